// The module that the benches of step piecewise_linear drive, bound to qgru_piecewise_linear.
module dut_piecewise_linear #(
    parameter THRESHOLDS_FILE = "thresholds.hex",
    parameter SLOPES_FILE = "slopes.hex",
    parameter SHIFTS_FILE = "shifts.hex",
    parameter INTERCEPTS_FILE = "intercepts.hex",
    parameter int SEGMENTS = 16,
    parameter logic signed [31:0] ZP_IN = 0,
    parameter logic [5:0] BITS_IN = 8,
    parameter logic SIGNED_IN = 1,
    parameter logic [5:0] BITS_OUT = 8,
    parameter logic SIGNED_OUT = 1
) (
    input  logic signed [31:0] q,
    output logic [BITS_OUT-1:0] y
);
  qgru_piecewise_linear #(
      .THRESHOLDS(THRESHOLDS_FILE), .SLOPES(SLOPES_FILE), .SHIFTS(SHIFTS_FILE), .INTERCEPTS(INTERCEPTS_FILE),
      .SEGMENTS(SEGMENTS), .IN_BITS(BITS_IN), .IN_SIGNED(SIGNED_IN), .OUT_BITS(BITS_OUT), .OUT_SIGNED(SIGNED_OUT)
  ) piecewise_linear (
      .q(q), .zp_in(ZP_IN), .y(y)
  );
endmodule
