// One GRU cell of datapath P, power-of-two scales (clauses L-1, GP-1 ... GP-8), activations piecewise linear (A-3). One unit
// after the other: max(C, H) cycles of multiply-accumulate (six products a cycle), then one cycle for the gates and the
// update of that unit.
//
// x and h are packed buses, lane 0 in the least significant bits, X_BITS and H_BITS a lane. Weights, biases, their exponents
// and the tables come from hex files, one word a line, row-major: W [C,3H], R [H,3H], bx, br and the exponents [3H]; columns
// are the gates z, r, g, H each. Exponents and table words are 32 bits wide.
// An operator has its width, sign, exponent and zero point: *_BITS, *_SIGNED, *_E, *_ZP; its scale is 2^-E.
// While stage_valid is high, the stage_* outputs hold the intermediates of unit stage_unit, as 64-bit signed numbers.
module qgru_pot_cell #(
    parameter int C = 4,
    parameter int H = 4,
    parameter bit TIES_EVEN = 0,  // RS is R-3 when 1, else R-2
    parameter int W_BITS = 8,  // weight.W, signed
    parameter int R_BITS = 8,  // weight.R, signed
    parameter int BX_BITS = 32,  // weight.bx, signed
    parameter int BR_BITS = 32,  // weight.br, signed
    parameter int X_BITS = 8,  // input.x
    parameter bit X_SIGNED = 1,
    parameter logic signed [7:0] X_E = 0,
    parameter logic signed [31:0] X_ZP = 0,
    parameter int H_BITS = 8,  // input.h
    parameter bit H_SIGNED = 1,
    parameter logic signed [7:0] H_E = 0,
    parameter logic signed [31:0] H_ZP = 0,
    parameter int WX_BITS = 8,  // matmul.Wx
    parameter bit WX_SIGNED = 1,
    parameter logic signed [7:0] WX_E = 0,
    parameter logic signed [31:0] WX_ZP = 0,
    parameter int RH_BITS = 8,  // matmul.Rh
    parameter bit RH_SIGNED = 1,
    parameter logic signed [7:0] RH_E = 0,
    parameter logic signed [31:0] RH_ZP = 0,
    parameter int Z_PRE_BITS = 8,  // gate.z_pre
    parameter bit Z_PRE_SIGNED = 1,
    parameter logic signed [7:0] Z_PRE_E = 0,
    parameter logic signed [31:0] Z_PRE_ZP = 0,
    parameter int Z_OUT_BITS = 8,  // gate.z_out, unsigned
    parameter bit Z_OUT_SIGNED = 0,
    parameter logic signed [7:0] Z_OUT_E = 0,
    parameter logic signed [31:0] Z_OUT_ZP = 0,
    parameter int R_PRE_BITS = 8,  // gate.r_pre
    parameter bit R_PRE_SIGNED = 1,
    parameter logic signed [7:0] R_PRE_E = 0,
    parameter logic signed [31:0] R_PRE_ZP = 0,
    parameter int R_OUT_BITS = 8,  // gate.r_out, unsigned
    parameter bit R_OUT_SIGNED = 0,
    parameter logic signed [7:0] R_OUT_E = 0,
    parameter logic signed [31:0] R_OUT_ZP = 0,
    parameter int G_PRE_BITS = 8,  // gate.g_pre
    parameter bit G_PRE_SIGNED = 1,
    parameter logic signed [7:0] G_PRE_E = 0,
    parameter logic signed [31:0] G_PRE_ZP = 0,
    parameter int G_OUT_BITS = 8,  // gate.g_out
    parameter bit G_OUT_SIGNED = 1,
    parameter logic signed [7:0] G_OUT_E = 0,
    parameter logic signed [31:0] G_OUT_ZP = 0,
    parameter int RH_ADD_BR_BITS = 8,  // op.Rh_add_br
    parameter bit RH_ADD_BR_SIGNED = 1,
    parameter logic signed [7:0] RH_ADD_BR_E = 0,
    parameter logic signed [31:0] RH_ADD_BR_ZP = 0,
    parameter int RRH_BITS = 8,  // op.rRh
    parameter bit RRH_SIGNED = 1,
    parameter logic signed [7:0] RRH_E = 0,
    parameter logic signed [31:0] RRH_ZP = 0,
    parameter int OLD_CONTRIB_BITS = 8,  // op.old_contrib
    parameter bit OLD_CONTRIB_SIGNED = 1,
    parameter logic signed [7:0] OLD_CONTRIB_E = 0,
    parameter logic signed [31:0] OLD_CONTRIB_ZP = 0,
    parameter int NEW_CONTRIB_BITS = 8,  // op.new_contrib
    parameter bit NEW_CONTRIB_SIGNED = 1,
    parameter logic signed [7:0] NEW_CONTRIB_E = 0,
    parameter logic signed [31:0] NEW_CONTRIB_ZP = 0,
    parameter W_FILE = "W.hex",
    parameter W_E_FILE = "W_exponent.hex",
    parameter R_FILE = "R.hex",
    parameter R_E_FILE = "R_exponent.hex",
    parameter BX_FILE = "bx.hex",
    parameter BX_E_FILE = "bx_exponent.hex",
    parameter BR_FILE = "br.hex",
    parameter BR_E_FILE = "br_exponent.hex",
    parameter int Z_SEGMENTS = 16,
    parameter Z_THRESHOLDS_FILE = "act_z_thresholds.hex",
    parameter Z_SLOPES_FILE = "act_z_slopes.hex",
    parameter Z_SHIFTS_FILE = "act_z_shifts.hex",
    parameter Z_INTERCEPTS_FILE = "act_z_intercepts.hex",
    parameter int R_SEGMENTS = 16,
    parameter R_THRESHOLDS_FILE = "act_r_thresholds.hex",
    parameter R_SLOPES_FILE = "act_r_slopes.hex",
    parameter R_SHIFTS_FILE = "act_r_shifts.hex",
    parameter R_INTERCEPTS_FILE = "act_r_intercepts.hex",
    parameter int G_SEGMENTS = 16,
    parameter G_THRESHOLDS_FILE = "act_g_thresholds.hex",
    parameter G_SLOPES_FILE = "act_g_slopes.hex",
    parameter G_SHIFTS_FILE = "act_g_shifts.hex",
    parameter G_INTERCEPTS_FILE = "act_g_intercepts.hex"
) (
    input  logic clk,
    input  logic rst,
    input  logic start,
    input  logic [X_BITS*C-1:0] x,
    input  logic [H_BITS*H-1:0] h,
    output logic done,
    output logic [H_BITS*H-1:0] h_new,
    output logic stage_valid,
    output logic [15:0] stage_unit,
    output logic signed [63:0] stage_one,
    output logic signed [63:0] stage_Wx_acc_z,
    output logic signed [63:0] stage_Wx_acc_r,
    output logic signed [63:0] stage_Wx_acc_g,
    output logic signed [63:0] stage_Wx_z,
    output logic signed [63:0] stage_Wx_r,
    output logic signed [63:0] stage_Wx_g,
    output logic signed [63:0] stage_Rh_acc_z,
    output logic signed [63:0] stage_Rh_acc_r,
    output logic signed [63:0] stage_Rh_acc_g,
    output logic signed [63:0] stage_Rh_z,
    output logic signed [63:0] stage_Rh_r,
    output logic signed [63:0] stage_Rh_g,
    output logic signed [63:0] stage_z_Wx_aligned,
    output logic signed [63:0] stage_z_Rh_aligned,
    output logic signed [63:0] stage_z_bx_aligned,
    output logic signed [63:0] stage_z_br_aligned,
    output logic signed [63:0] stage_z_acc,
    output logic signed [63:0] stage_z_pre,
    output logic signed [63:0] stage_z,
    output logic signed [63:0] stage_r_Wx_aligned,
    output logic signed [63:0] stage_r_Rh_aligned,
    output logic signed [63:0] stage_r_bx_aligned,
    output logic signed [63:0] stage_r_br_aligned,
    output logic signed [63:0] stage_r_acc,
    output logic signed [63:0] stage_r_pre,
    output logic signed [63:0] stage_r,
    output logic signed [63:0] stage_A_Rh_aligned,
    output logic signed [63:0] stage_A_br_aligned,
    output logic signed [63:0] stage_A_acc,
    output logic signed [63:0] stage_A,
    output logic signed [63:0] stage_P_prod,
    output logic signed [63:0] stage_P_acc,
    output logic signed [63:0] stage_P,
    output logic signed [63:0] stage_g_Wx_aligned,
    output logic signed [63:0] stage_g_P_aligned,
    output logic signed [63:0] stage_g_bx_aligned,
    output logic signed [63:0] stage_g_acc,
    output logic signed [63:0] stage_g_pre,
    output logic signed [63:0] stage_g,
    output logic signed [63:0] stage_O_prod,
    output logic signed [63:0] stage_O_acc,
    output logic signed [63:0] stage_O,
    output logic signed [63:0] stage_N_prod,
    output logic signed [63:0] stage_N_acc,
    output logic signed [63:0] stage_N,
    output logic signed [63:0] stage_h_O_aligned,
    output logic signed [63:0] stage_h_N_aligned,
    output logic signed [63:0] stage_h_acc,
    output logic signed [63:0] stage_h_new
);
  `include "qgru_functions.svh"

  localparam int K = (C > H) ? C : H;

  // RS: R-2 or R-3 by parameter; a negative amount is an exact left shift
  function automatic logic signed [63:0] rs(input logic signed [63:0] value, input logic signed [7:0] amount);
    rs = TIES_EVEN ? ties_even(value, amount) : ties_away(value, amount);
  endfunction

  // the greatest and the least code of a format  [F-1]
  function automatic logic signed [63:0] qmin_of(input int bits, input bit is_signed);
    qmin_of = is_signed ? -(64'sd1 <<< (bits - 1)) : 64'sd0;
  endfunction
  function automatic logic signed [63:0] qmax_of(input int bits, input bit is_signed);
    qmax_of = is_signed ? (64'sd1 <<< (bits - 1)) - 64'sd1 : (64'sd1 <<< bits) - 64'sd1;
  endfunction
  function automatic logic signed [63:0] sat(input logic signed [63:0] value, input int bits, input bit is_signed);
    sat = saturate(value, qmin_of(bits, is_signed), qmax_of(bits, is_signed));
  endfunction

  // the number that a code stands for: its low bits, extended by its sign
  function automatic logic signed [63:0] code(input logic [31:0] word, input int bits, input bit is_signed);
    logic signed [63:0] moved;
    begin
      moved = {32'd0, word} << (64 - bits);
      if (is_signed) code = moved >>> (64 - bits);
      else code = moved >> (64 - bits);
    end
  endfunction

  logic [W_BITS-1:0] W[0:C*3*H-1];
  logic [R_BITS-1:0] R[0:H*3*H-1];
  logic [BX_BITS-1:0] bx[0:3*H-1];
  logic [BR_BITS-1:0] br[0:3*H-1];
  logic [31:0] e_w[0:3*H-1];
  logic [31:0] e_r[0:3*H-1];
  logic [31:0] e_bx[0:3*H-1];
  logic [31:0] e_br[0:3*H-1];
  initial begin
    $readmemh(W_FILE, W);
    $readmemh(R_FILE, R);
    $readmemh(BX_FILE, bx);
    $readmemh(BR_FILE, br);
    $readmemh(W_E_FILE, e_w);
    $readmemh(R_E_FILE, e_r);
    $readmemh(BX_E_FILE, e_bx);
    $readmemh(BR_E_FILE, e_br);
  end

  typedef enum logic [1:0] {IDLE, ACCUMULATE, FINISH} state_t;
  state_t state;
  logic [15:0] unit;
  logic [15:0] k;
  logic signed [63:0] wx_acc[0:2];
  logic signed [63:0] rh_acc[0:2];

  logic signed [33:0] x_centred, h_centred;  // code - zero point
  logic signed [W_BITS-1:0] w_z, w_r, w_g;
  logic signed [R_BITS-1:0] r_z, r_r, r_g;
  assign x_centred = 34'(code(32'(x[X_BITS*k+:X_BITS]), X_BITS, X_SIGNED)) - 34'(X_ZP);
  assign h_centred = 34'(code(32'(h[H_BITS*k+:H_BITS]), H_BITS, H_SIGNED)) - 34'(H_ZP);
  assign w_z = W[k*3*H+unit];
  assign w_r = W[k*3*H+H+unit];
  assign w_g = W[k*3*H+2*H+unit];
  assign r_z = R[k*3*H+unit];
  assign r_r = R[k*3*H+H+unit];
  assign r_g = R[k*3*H+2*H+unit];

  // GP-1 ... GP-8 of the unit
  logic signed [63:0] bx_z, bx_r, bx_g, br_z, br_r, br_g, one, h_unit, h_next;
  logic signed [7:0] e_w_z, e_w_r, e_w_g, e_r_z, e_r_r, e_r_g, e_bx_z, e_bx_r, e_bx_g, e_br_z, e_br_r, e_br_g;
  logic signed [33:0] r_centred, A_centred, z_centred, h_unit_centred, one_minus_z, g_centred;
  logic [Z_OUT_BITS-1:0] z_code;
  logic [R_OUT_BITS-1:0] r_code;
  logic [G_OUT_BITS-1:0] g_code;
  logic signed [63:0] Wx_z, Wx_r, Wx_g, Rh_z, Rh_r, Rh_g, z_Wx_aligned, z_Rh_aligned, z_bx_aligned, z_br_aligned,
      z_acc, z_pre, z, r_Wx_aligned, r_Rh_aligned, r_bx_aligned, r_br_aligned, r_acc, r_pre, r, A_Rh_aligned,
      A_br_aligned, A_acc, A, P_prod, P_acc, P, g_Wx_aligned, g_P_aligned, g_bx_aligned, g_acc, g_pre, g, O_prod,
      O_acc, O, N_prod, N_acc, N, h_O_aligned, h_N_aligned, h_acc;

  assign bx_z = code(32'(bx[unit]), BX_BITS, 1'b1);
  assign bx_r = code(32'(bx[H+unit]), BX_BITS, 1'b1);
  assign bx_g = code(32'(bx[2*H+unit]), BX_BITS, 1'b1);
  assign br_z = code(32'(br[unit]), BR_BITS, 1'b1);
  assign br_r = code(32'(br[H+unit]), BR_BITS, 1'b1);
  assign br_g = code(32'(br[2*H+unit]), BR_BITS, 1'b1);
  assign e_w_z = 8'(e_w[unit]);
  assign e_w_r = 8'(e_w[H+unit]);
  assign e_w_g = 8'(e_w[2*H+unit]);
  assign e_r_z = 8'(e_r[unit]);
  assign e_r_r = 8'(e_r[H+unit]);
  assign e_r_g = 8'(e_r[2*H+unit]);
  assign e_bx_z = 8'(e_bx[unit]);
  assign e_bx_r = 8'(e_bx[H+unit]);
  assign e_bx_g = 8'(e_bx[2*H+unit]);
  assign e_br_z = 8'(e_br[unit]);
  assign e_br_r = 8'(e_br[H+unit]);
  assign e_br_g = 8'(e_br[2*H+unit]);

  // GP-1
  assign Wx_z = sat(rs(wx_acc[0], e_w_z + X_E - WX_E) + 64'(WX_ZP), WX_BITS, WX_SIGNED);
  assign Wx_r = sat(rs(wx_acc[1], e_w_r + X_E - WX_E) + 64'(WX_ZP), WX_BITS, WX_SIGNED);
  assign Wx_g = sat(rs(wx_acc[2], e_w_g + X_E - WX_E) + 64'(WX_ZP), WX_BITS, WX_SIGNED);
  assign Rh_z = sat(rs(rh_acc[0], e_r_z + H_E - RH_E) + 64'(RH_ZP), RH_BITS, RH_SIGNED);
  assign Rh_r = sat(rs(rh_acc[1], e_r_r + H_E - RH_E) + 64'(RH_ZP), RH_BITS, RH_SIGNED);
  assign Rh_g = sat(rs(rh_acc[2], e_r_g + H_E - RH_E) + 64'(RH_ZP), RH_BITS, RH_SIGNED);

  // GP-2, update gate: each term is rounded by itself
  assign z_Wx_aligned = rs(Wx_z - 64'(WX_ZP), WX_E - Z_PRE_E);
  assign z_Rh_aligned = rs(Rh_z - 64'(RH_ZP), RH_E - Z_PRE_E);
  assign z_bx_aligned = rs(bx_z, e_bx_z - Z_PRE_E);
  assign z_br_aligned = rs(br_z, e_br_z - Z_PRE_E);
  assign z_acc = z_Wx_aligned + z_Rh_aligned + z_bx_aligned + z_br_aligned + 64'(Z_PRE_ZP);
  assign z_pre = sat(z_acc, Z_PRE_BITS, Z_PRE_SIGNED);
  assign z = code(32'(z_code), Z_OUT_BITS, Z_OUT_SIGNED);

  // GP-2, reset gate: each term is rounded by itself
  assign r_Wx_aligned = rs(Wx_r - 64'(WX_ZP), WX_E - R_PRE_E);
  assign r_Rh_aligned = rs(Rh_r - 64'(RH_ZP), RH_E - R_PRE_E);
  assign r_bx_aligned = rs(bx_r, e_bx_r - R_PRE_E);
  assign r_br_aligned = rs(br_r, e_br_r - R_PRE_E);
  assign r_acc = r_Wx_aligned + r_Rh_aligned + r_bx_aligned + r_br_aligned + 64'(R_PRE_ZP);
  assign r_pre = sat(r_acc, R_PRE_BITS, R_PRE_SIGNED);
  assign r = code(32'(r_code), R_OUT_BITS, R_OUT_SIGNED);

  // GP-3, GP-4: what the reset gate acts on
  assign A_Rh_aligned = rs(Rh_g - 64'(RH_ZP), RH_E - RH_ADD_BR_E);
  assign A_br_aligned = rs(br_g, e_br_g - RH_ADD_BR_E);
  assign A_acc = A_Rh_aligned + A_br_aligned + 64'(RH_ADD_BR_ZP);
  assign A = sat(A_acc, RH_ADD_BR_BITS, RH_ADD_BR_SIGNED);
  assign r_centred = 34'(r - 64'(R_OUT_ZP));
  assign A_centred = 34'(A - 64'(RH_ADD_BR_ZP));
  assign P_prod = 64'(r_centred) * 64'(A_centred);
  assign P_acc = rs(P_prod, R_OUT_E + RH_ADD_BR_E - RRH_E) + 64'(RRH_ZP);
  assign P = sat(P_acc, RRH_BITS, RRH_SIGNED);

  // GP-5: candidate
  assign g_Wx_aligned = rs(Wx_g - 64'(WX_ZP), WX_E - G_PRE_E);
  assign g_P_aligned = rs(P - 64'(RRH_ZP), RRH_E - G_PRE_E);
  assign g_bx_aligned = rs(bx_g, e_bx_g - G_PRE_E);
  assign g_acc = g_Wx_aligned + g_P_aligned + g_bx_aligned + 64'(G_PRE_ZP);
  assign g_pre = sat(g_acc, G_PRE_BITS, G_PRE_SIGNED);
  assign g = code(32'(g_code), G_OUT_BITS, G_OUT_SIGNED);

  qgru_piecewise_linear #(
      .THRESHOLDS(Z_THRESHOLDS_FILE), .SLOPES(Z_SLOPES_FILE), .SHIFTS(Z_SHIFTS_FILE), .INTERCEPTS(Z_INTERCEPTS_FILE),
      .SEGMENTS(Z_SEGMENTS), .IN_BITS(Z_PRE_BITS), .IN_SIGNED(Z_PRE_SIGNED), .OUT_BITS(Z_OUT_BITS),
      .OUT_SIGNED(Z_OUT_SIGNED)
  ) activation_z (.q(32'(z_pre)), .zp_in(Z_PRE_ZP), .y(z_code));
  qgru_piecewise_linear #(
      .THRESHOLDS(R_THRESHOLDS_FILE), .SLOPES(R_SLOPES_FILE), .SHIFTS(R_SHIFTS_FILE), .INTERCEPTS(R_INTERCEPTS_FILE),
      .SEGMENTS(R_SEGMENTS), .IN_BITS(R_PRE_BITS), .IN_SIGNED(R_PRE_SIGNED), .OUT_BITS(R_OUT_BITS),
      .OUT_SIGNED(R_OUT_SIGNED)
  ) activation_r (.q(32'(r_pre)), .zp_in(R_PRE_ZP), .y(r_code));
  qgru_piecewise_linear #(
      .THRESHOLDS(G_THRESHOLDS_FILE), .SLOPES(G_SLOPES_FILE), .SHIFTS(G_SHIFTS_FILE), .INTERCEPTS(G_INTERCEPTS_FILE),
      .SEGMENTS(G_SEGMENTS), .IN_BITS(G_PRE_BITS), .IN_SIGNED(G_PRE_SIGNED), .OUT_BITS(G_OUT_BITS),
      .OUT_SIGNED(G_OUT_SIGNED)
  ) activation_g (.q(32'(g_pre)), .zp_in(G_PRE_ZP), .y(g_code));

  // GP-6 ... GP-8: h'
  assign h_unit = code(32'(h[H_BITS*unit+:H_BITS]), H_BITS, H_SIGNED);
  assign one = rs(64'sd1, -Z_OUT_E) + 64'(Z_OUT_ZP);
  assign z_centred = 34'(z - 64'(Z_OUT_ZP));
  assign h_unit_centred = 34'(h_unit - 64'(H_ZP));
  assign O_prod = 64'(z_centred) * 64'(h_unit_centred);
  assign O_acc = rs(O_prod, Z_OUT_E + H_E - OLD_CONTRIB_E) + 64'(OLD_CONTRIB_ZP);
  assign O = sat(O_acc, OLD_CONTRIB_BITS, OLD_CONTRIB_SIGNED);
  assign one_minus_z = 34'(one - z);
  assign g_centred = 34'(g - 64'(G_OUT_ZP));
  assign N_prod = 64'(one_minus_z) * 64'(g_centred);
  assign N_acc = rs(N_prod, Z_OUT_E + G_OUT_E - NEW_CONTRIB_E) + 64'(NEW_CONTRIB_ZP);
  assign N = sat(N_acc, NEW_CONTRIB_BITS, NEW_CONTRIB_SIGNED);
  assign h_O_aligned = rs(O - 64'(OLD_CONTRIB_ZP), OLD_CONTRIB_E - H_E);
  assign h_N_aligned = rs(N - 64'(NEW_CONTRIB_ZP), NEW_CONTRIB_E - H_E);
  assign h_acc = h_O_aligned + h_N_aligned + 64'(H_ZP);
  assign h_next = sat(h_acc, H_BITS, H_SIGNED);

  assign stage_valid = (state == FINISH);
  assign stage_unit = unit;
  assign stage_one = one;
  assign stage_Wx_acc_z = wx_acc[0];
  assign stage_Wx_acc_r = wx_acc[1];
  assign stage_Wx_acc_g = wx_acc[2];
  assign stage_Wx_z = Wx_z;
  assign stage_Wx_r = Wx_r;
  assign stage_Wx_g = Wx_g;
  assign stage_Rh_acc_z = rh_acc[0];
  assign stage_Rh_acc_r = rh_acc[1];
  assign stage_Rh_acc_g = rh_acc[2];
  assign stage_Rh_z = Rh_z;
  assign stage_Rh_r = Rh_r;
  assign stage_Rh_g = Rh_g;
  assign stage_z_Wx_aligned = z_Wx_aligned;
  assign stage_z_Rh_aligned = z_Rh_aligned;
  assign stage_z_bx_aligned = z_bx_aligned;
  assign stage_z_br_aligned = z_br_aligned;
  assign stage_z_acc = z_acc;
  assign stage_z_pre = z_pre;
  assign stage_z = z;
  assign stage_r_Wx_aligned = r_Wx_aligned;
  assign stage_r_Rh_aligned = r_Rh_aligned;
  assign stage_r_bx_aligned = r_bx_aligned;
  assign stage_r_br_aligned = r_br_aligned;
  assign stage_r_acc = r_acc;
  assign stage_r_pre = r_pre;
  assign stage_r = r;
  assign stage_A_Rh_aligned = A_Rh_aligned;
  assign stage_A_br_aligned = A_br_aligned;
  assign stage_A_acc = A_acc;
  assign stage_A = A;
  assign stage_P_prod = P_prod;
  assign stage_P_acc = P_acc;
  assign stage_P = P;
  assign stage_g_Wx_aligned = g_Wx_aligned;
  assign stage_g_P_aligned = g_P_aligned;
  assign stage_g_bx_aligned = g_bx_aligned;
  assign stage_g_acc = g_acc;
  assign stage_g_pre = g_pre;
  assign stage_g = g;
  assign stage_O_prod = O_prod;
  assign stage_O_acc = O_acc;
  assign stage_O = O;
  assign stage_N_prod = N_prod;
  assign stage_N_acc = N_acc;
  assign stage_N = N;
  assign stage_h_O_aligned = h_O_aligned;
  assign stage_h_N_aligned = h_N_aligned;
  assign stage_h_acc = h_acc;
  assign stage_h_new = h_next;

  always_ff @(posedge clk) begin
    done <= 1'b0;
    if (rst) begin
      state <= IDLE;
      unit <= 16'd0;
      k <= 16'd0;
    end else begin
      case (state)
        IDLE:
        if (start) begin
          state <= ACCUMULATE;
          unit <= 16'd0;
          k <= 16'd0;
          wx_acc[0] <= 64'sd0;
          wx_acc[1] <= 64'sd0;
          wx_acc[2] <= 64'sd0;
          rh_acc[0] <= 64'sd0;
          rh_acc[1] <= 64'sd0;
          rh_acc[2] <= 64'sd0;
        end
        ACCUMULATE: begin
          if (k < C) begin
            wx_acc[0] <= wx_acc[0] + 64'(w_z) * 64'(x_centred);
            wx_acc[1] <= wx_acc[1] + 64'(w_r) * 64'(x_centred);
            wx_acc[2] <= wx_acc[2] + 64'(w_g) * 64'(x_centred);
          end
          if (k < H) begin
            rh_acc[0] <= rh_acc[0] + 64'(r_z) * 64'(h_centred);
            rh_acc[1] <= rh_acc[1] + 64'(r_r) * 64'(h_centred);
            rh_acc[2] <= rh_acc[2] + 64'(r_g) * 64'(h_centred);
          end
          k <= k + 16'd1;
          if (k == K - 1) state <= FINISH;
        end
        default: begin
          h_new[H_BITS*unit+:H_BITS] <= h_next[H_BITS-1:0];
          wx_acc[0] <= 64'sd0;
          wx_acc[1] <= 64'sd0;
          wx_acc[2] <= 64'sd0;
          rh_acc[0] <= 64'sd0;
          rh_acc[1] <= 64'sd0;
          rh_acc[2] <= 64'sd0;
          k <= 16'd0;
          unit <= unit + 16'd1;
          state <= ACCUMULATE;
          if (unit == H - 1) begin
            state <= IDLE;
            done <= 1'b1;
          end
        end
      endcase
    end
  end
endmodule
