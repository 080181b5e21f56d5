// Piecewise linear activation: y = saturate(ties_away(slope_i * (q - zp_in), n_i) + intercept_i).  [A-3]
// Segment = first i with q < threshold_i, else the last. Tables come from hex files, one word a line.
module qgru_piecewise_linear #(
    parameter THRESHOLDS = "thresholds.hex",
    parameter SLOPES = "slopes.hex",
    parameter SHIFTS = "shifts.hex",
    parameter INTERCEPTS = "intercepts.hex",
    parameter int SEGMENTS = 16,
    parameter int IN_BITS = 8,
    parameter bit IN_SIGNED = 1,
    parameter int OUT_BITS = 8,
    parameter bit OUT_SIGNED = 1
) (
    input  logic signed [31:0] q,
    input  logic signed [31:0] zp_in,
    output logic [OUT_BITS-1:0] y
);
  `include "qgru_functions.svh"

  localparam logic signed [63:0] IN_MIN = IN_SIGNED ? -(64'sd1 <<< (IN_BITS - 1)) : 64'sd0;
  localparam logic signed [63:0] IN_MAX = IN_SIGNED ? (64'sd1 <<< (IN_BITS - 1)) - 64'sd1 : (64'sd1 <<< IN_BITS) - 64'sd1;
  localparam logic signed [63:0] OUT_MIN = OUT_SIGNED ? -(64'sd1 <<< (OUT_BITS - 1)) : 64'sd0;
  localparam logic signed [63:0] OUT_MAX = OUT_SIGNED ? (64'sd1 <<< (OUT_BITS - 1)) - 64'sd1 : (64'sd1 <<< OUT_BITS) - 64'sd1;

  logic [31:0] thresholds[0:SEGMENTS-1];
  logic [31:0] slopes[0:SEGMENTS-1];
  logic [31:0] shifts[0:SEGMENTS-1];
  logic [31:0] intercepts[0:SEGMENTS-1];
  initial begin
    $readmemh(THRESHOLDS, thresholds);
    $readmemh(SLOPES, slopes);
    $readmemh(SHIFTS, shifts);
    $readmemh(INTERCEPTS, intercepts);
  end

  logic signed [63:0] limited_q;
  logic [4:0] segment;
  logic signed [31:0] threshold;
  logic signed [31:0] slope;
  logic signed [31:0] intercept;
  logic signed [31:0] shift_word;
  logic signed [7:0] shift;
  logic signed [33:0] centred;  // q - zp_in
  logic signed [63:0] product;
  logic signed [63:0] limited;

  assign limited_q = saturate(64'(q), IN_MIN, IN_MAX);

  // the last threshold decides nothing
  always_comb begin
    segment = 5'(SEGMENTS - 1);
    threshold = 32'sd0;
    for (int i = SEGMENTS - 2; i >= 0; i--) begin
      threshold = thresholds[i];
      if (limited_q < 64'(threshold)) segment = 5'(i);
    end
  end

  assign slope = slopes[segment];
  assign intercept = intercepts[segment];
  assign shift_word = shifts[segment];
  assign shift = shift_word[7:0];  // -31 ... 62
  assign centred = 34'(limited_q - 64'(zp_in));
  assign product = 64'(slope) * 64'(centred);
  assign limited = saturate(ties_away(product, shift) + 64'(intercept), OUT_MIN, OUT_MAX);
  assign y = limited[OUT_BITS-1:0];
endmodule
