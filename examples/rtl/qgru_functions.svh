// Rounding shifts and saturation (clauses F-2, R-1, R-2, R-3). Included inside a module; plain functions, synthesizable.
// A module that uses only some of them:
// verilator lint_off UNUSEDSIGNAL

// floor((x + 2^(s-1)) / 2^s), 0 <= s <= 63: the bits that stay, plus the last bit that is dropped; a shift of 0 is the
// identity. Nothing is added before the shift, so nothing can overflow.  [R-1]
function automatic logic signed [63:0] ties_up(input logic signed [63:0] value, input logic [5:0] amount);
  logic signed [63:0] kept;
  logic signed [63:0] dropped;
  begin
    kept = value >>> amount;
    dropped = (amount == 6'd0) ? 64'sd0 : (value >>> (amount - 6'd1)) & 64'sd1;
    ties_up = kept + dropped;
  end
endfunction

// sign(x) * floor((|x| + 2^(s-1)) / 2^s); for s <= 0 exactly x * 2^-s. A negative amount is a left shift.  [R-2]
function automatic logic signed [63:0] ties_away(input logic signed [63:0] value, input logic signed [7:0] amount);
  logic [63:0] magnitude;
  logic [63:0] doubled;
  logic [63:0] quotient;
  logic [7:0] right;
  logic [7:0] left;
  begin
    right = amount;
    left = 8'd0 - right;
    magnitude = (value < 64'sd0) ? -value : value;
    doubled = magnitude >> (right - 8'd1);  // the quotient and one bit more
    quotient = (doubled >> 1) + (doubled & 64'd1);
    if (amount <= 8'sd0) ties_away = value <<< left;
    else ties_away = (value < 64'sd0) ? -quotient : quotient;
  end
endfunction

// Nearest, a tie to the even quotient; for s <= 0 exactly x * 2^-s.  [R-3]
function automatic logic signed [63:0] ties_even(input logic signed [63:0] value, input logic signed [7:0] amount);
  logic [63:0] magnitude;
  logic [63:0] doubled;
  logic [63:0] quotient;
  logic [63:0] sticky;
  logic [7:0] right;
  logic [7:0] left;
  begin
    right = amount;
    left = 8'd0 - right;
    magnitude = (value < 64'sd0) ? -value : value;
    doubled = magnitude >> (right - 8'd1);
    sticky = magnitude & ((64'd1 << (right - 8'd1)) - 64'd1);  // what lies below that bit
    quotient = doubled >> 1;
    if ((doubled & 64'd1) != 64'd0 && (sticky != 64'd0 || (quotient & 64'd1) != 64'd0)) quotient = quotient + 64'd1;
    if (amount <= 8'sd0) ties_even = value <<< left;
    else ties_even = (value < 64'sd0) ? -quotient : quotient;
  end
endfunction

// min(max(v, low), high).  [F-2]
function automatic logic signed [63:0] saturate(
    input logic signed [63:0] value, input logic signed [63:0] low, input logic signed [63:0] high);
  saturate = (value < low) ? low : (value > high) ? high : value;
endfunction
// verilator lint_on UNUSEDSIGNAL
