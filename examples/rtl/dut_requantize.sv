// The module that the benches of step requantize drive, bound to qgru_requantize.
module dut_requantize #(
    parameter logic [31:0] M = 1,
    parameter logic [4:0] S = 0,
    parameter logic signed [31:0] ZP = 0,
    parameter logic [5:0] BITS = 8,
    parameter logic SIGNED = 1
) (
    input  logic signed [31:0] v,
    output logic [BITS-1:0] q
);
  qgru_requantize #(
      .BITS(BITS), .SIGNED(SIGNED)
  ) requantize (
      .v(v), .M(M[30:0]), .s(S), .zp(ZP), .q(q)
  );
endmodule
