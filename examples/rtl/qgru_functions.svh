// Rounding shifts and saturation (clauses F-2, R-1, R-2). Included inside a module; plain functions, synthesizable.

// floor((x + 2^(s-1)) / 2^s): the bits that stay, plus the last bit that is dropped; a shift of 0 is the identity.  [R-1]
function automatic logic signed [63:0] ties_up(input logic signed [63:0] x, input logic [5:0] sh);
  logic signed [63:0] kept;
  logic signed [63:0] below;
  begin
    kept = x >>> sh;
    below = x >>> (sh - 6'd1);
    ties_up = (sh == 6'd0) ? x : kept + {63'd0, below[0]};
  end
endfunction

// sign(x) * floor((|x| + 2^(s-1)) / 2^s); for s <= 0 exactly x * 2^-s.  [R-2]
function automatic logic signed [63:0] ties_away(input logic signed [63:0] x, input logic signed [7:0] sh);
  logic [63:0] magnitude;
  logic [63:0] rounded;
  logic [63:0] below;
  logic [7:0] left;
  begin
    left = -sh;
    magnitude = (x < 0) ? -x : x;
    below = magnitude >> (sh - 8'sd1);
    rounded = (magnitude >> sh) + {63'd0, below[0]};
    if (sh <= 0) ties_away = x <<< left;
    else if (sh > 64) ties_away = 64'sd0;
    else ties_away = (x < 0) ? -$signed(rounded) : $signed(rounded);
  end
endfunction

// Nearest, a tie to the even quotient; for s <= 0 exactly x * 2^-s.  [R-3]
function automatic logic signed [63:0] ties_even(input logic signed [63:0] x, input logic signed [7:0] sh);
  logic [63:0] magnitude;
  logic [63:0] quotient;
  logic [63:0] below;
  logic [63:0] sticky;
  logic [7:0] left;
  logic up;
  begin
    left = -sh;
    magnitude = (x < 0) ? -x : x;
    quotient = magnitude >> sh;
    below = magnitude >> (sh - 8'sd1);
    sticky = magnitude & ((64'd1 << (sh - 8'sd1)) - 64'd1);
    up = below[0] & ((sticky != 64'd0) | quotient[0]);
    quotient = quotient + {63'd0, up};
    if (sh <= 0) ties_even = x <<< left;
    else if (sh >= 64) ties_even = 64'sd0;
    else ties_even = (x < 0) ? -$signed(quotient) : $signed(quotient);
  end
endfunction

// min(max(v, low), high).  [F-2]
function automatic logic signed [63:0] saturate(
    input logic signed [63:0] v, input logic signed [63:0] low, input logic signed [63:0] high);
  saturate = (v < low) ? low : (v > high) ? high : v;
endfunction
