// Bring an int32 accumulator into an output format: q = saturate(ties_up(v * M, s) + zp).  [M-5]
module qgru_requantize #(
    parameter int BITS = 8,
    parameter bit SIGNED = 1
) (
    input  logic signed [31:0] v,
    input  logic        [30:0] M,
    input  logic        [ 4:0] s,
    input  logic signed [31:0] zp,
    output logic        [BITS-1:0] q  // two's complement when SIGNED
);
  `include "qgru_functions.svh"

  localparam logic signed [63:0] QMIN = SIGNED ? -(64'sd1 <<< (BITS - 1)) : 64'sd0;
  localparam logic signed [63:0] QMAX = SIGNED ? (64'sd1 <<< (BITS - 1)) - 64'sd1 : (64'sd1 <<< BITS) - 64'sd1;

  logic signed [31:0] multiplier;
  logic signed [63:0] product;  // 32 x 32 bits, exact
  logic signed [63:0] limited;

  assign multiplier = {1'b0, M};
  assign product = v * multiplier;
  assign limited = saturate(ties_up(product, {1'b0, s}) + 64'(zp), QMIN, QMAX);
  assign q = limited[BITS-1:0];
endmodule
