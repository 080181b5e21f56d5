// One GRU cell of datapath M, static ranges (clauses L-1, GM-1, GM-2, GM-3). One unit after the other: K cycles of
// multiply-accumulate (six products a cycle), then one cycle for the gates and the update of that unit.
//
// x and h are packed buses, lane 0 in the least significant bits. Weights, biases and tables come from hex files, one word
// a line, row-major: W [C,3H], R [H,3H], bx, br [3H], tables [256]; columns are the gates z, r, g, H each.
// While stage_valid is high, the stage_* outputs hold the intermediates of unit stage_unit.
module qgru_mshift_cell #(
    parameter int C = 4,
    parameter int H = 4,
    parameter int PRE_BITS = 8,  // 8 or 16, width of the gate inputs
    parameter W_FILE = "W.hex",
    parameter R_FILE = "R.hex",
    parameter BX_FILE = "bx.hex",
    parameter BR_FILE = "br.hex",
    parameter TABLE_Z_FILE = "table_z.hex",
    parameter TABLE_R_FILE = "table_r.hex",
    parameter TABLE_G_FILE = "table_g.hex",
    parameter logic signed [31:0] ZP_X = 0,
    parameter logic signed [31:0] ZP_H = 0,
    parameter logic signed [31:0] ZP_Z = 0,
    parameter logic signed [31:0] ZP_R = 0,
    parameter logic signed [31:0] ZP_G = 0,
    parameter logic [30:0] M_RH_Z = 1,
    parameter logic [30:0] M_RH_R = 1,
    parameter logic [30:0] M_BX = 1,
    parameter logic [30:0] M_BR_Z = 1,
    parameter logic [30:0] M_BR_R = 1,
    parameter logic [30:0] M_BR_G = 1,
    parameter logic [30:0] M_Z = 1,
    parameter logic [30:0] M_R = 1,
    parameter logic [30:0] M_G = 1,
    parameter logic [30:0] M_RRH = 1,
    parameter logic [30:0] M_GH = 1,
    parameter logic [30:0] M_ONE = 1,
    parameter logic [4:0] S_RH_Z = 0,
    parameter logic [4:0] S_RH_R = 0,
    parameter logic [4:0] S_BX = 0,
    parameter logic [4:0] S_BR_Z = 0,
    parameter logic [4:0] S_BR_R = 0,
    parameter logic [4:0] S_BR_G = 0,
    parameter logic [4:0] S_Z = 0,
    parameter logic [4:0] S_R = 0,
    parameter logic [4:0] S_G = 0,
    parameter logic [4:0] S_RRH = 0,
    parameter logic [4:0] S_GH = 0,
    parameter logic [4:0] S_ONE = 0
) (
    input  logic clk,
    input  logic rst,
    input  logic start,
    input  logic [8*C-1:0] x,
    input  logic [8*H-1:0] h,
    output logic done,
    output logic [8*H-1:0] h_new,
    output logic stage_valid,
    output logic [15:0] stage_unit,
    output logic signed [63:0] stage_Wx_z,
    output logic signed [63:0] stage_Wx_r,
    output logic signed [63:0] stage_Wx_g,
    output logic signed [63:0] stage_Rh_z,
    output logic signed [63:0] stage_Rh_r,
    output logic signed [63:0] stage_Rh_g,
    output logic signed [63:0] stage_z_a,
    output logic signed [63:0] stage_r_a,
    output logic signed [63:0] stage_g_b,
    output logic signed [63:0] stage_g_c,
    output logic signed [63:0] stage_g_a,
    output logic signed [63:0] stage_z_pre,
    output logic signed [63:0] stage_r_pre,
    output logic signed [63:0] stage_g_pre,
    output logic signed [63:0] stage_z,
    output logic signed [63:0] stage_r,
    output logic signed [63:0] stage_g,
    output logic signed [63:0] stage_n,
    output logic signed [63:0] stage_S,
    output logic signed [63:0] stage_h_new
);
  `include "qgru_functions.svh"

  localparam int K = (C > H) ? C : H;
  localparam logic signed [63:0] INT32_MIN = -64'sd2147483648;
  localparam logic signed [63:0] INT32_MAX = 64'sd2147483647;
  localparam logic signed [63:0] PRE_MIN = -(64'sd1 <<< (PRE_BITS - 1));
  localparam logic signed [63:0] PRE_MAX = (64'sd1 <<< (PRE_BITS - 1)) - 64'sd1;

  // v * M: 32 x 32 bits, exact.  [M-3]
  function automatic logic signed [63:0] scaled(
      input logic signed [31:0] value, input logic [30:0] factor, input logic [4:0] amount);
    logic signed [31:0] multiplier;
    logic signed [63:0] product;
    begin
      multiplier = {1'b0, factor};
      product = value * multiplier;
      scaled = ties_up(product, {1'b0, amount});
    end
  endfunction

  // saturate(apply(v, m), int32)  [M-4]
  function automatic logic signed [31:0] align(
      input logic signed [31:0] value, input logic [30:0] factor, input logic [4:0] amount);
    align = 32'(saturate(scaled(value, factor, amount), INT32_MIN, INT32_MAX));
  endfunction

  // into the gate input format  [M-5]
  function automatic logic signed [63:0] to_pre(
      input logic signed [31:0] value, input logic [30:0] factor, input logic [4:0] amount,
      input logic signed [31:0] zero_point);
    to_pre = saturate(scaled(value, factor, amount) + 64'(zero_point), PRE_MIN, PRE_MAX);
  endfunction

  // table index of a gate input  [A-1, A-2]
  function automatic logic [7:0] index_of(input logic signed [63:0] code);
    logic [24:0] wide;
    begin
      wide = {9'd0, ~code[15], code[14:0]} * 25'd255 + 25'd32767;
      wide = (wide + (wide >> 16) + 25'd1) >> 16;
      index_of = (PRE_BITS == 16) ? wide[7:0] : {~code[7], code[6:0]};
    end
  endfunction

  logic [7:0] W[0:C*3*H-1];
  logic [7:0] R[0:H*3*H-1];
  logic [31:0] bx[0:3*H-1];
  logic [31:0] br[0:3*H-1];
  logic [7:0] table_z[0:255];
  logic [7:0] table_r[0:255];
  logic [7:0] table_g[0:255];
  initial begin
    $readmemh(W_FILE, W);
    $readmemh(R_FILE, R);
    $readmemh(BX_FILE, bx);
    $readmemh(BR_FILE, br);
    $readmemh(TABLE_Z_FILE, table_z);
    $readmemh(TABLE_R_FILE, table_r);
    $readmemh(TABLE_G_FILE, table_g);
  end

  typedef enum logic [1:0] {IDLE, ACCUMULATE, FINISH} state_t;
  state_t state;
  logic [15:0] unit;
  logic [15:0] k;
  logic signed [63:0] wx[0:2];
  logic signed [63:0] rh[0:2];

  logic signed [7:0] x_k, h_k, w_z, w_r, w_g, r_z, r_r, r_g;
  logic signed [33:0] x_centred, h_centred;  // code - zero point
  assign x_k = x[8*k+:8];
  assign h_k = h[8*k+:8];
  assign x_centred = 34'(x_k) - 34'(ZP_X);
  assign h_centred = 34'(h_k) - 34'(ZP_H);
  assign w_z = W[k*3*H+unit];
  assign w_r = W[k*3*H+H+unit];
  assign w_g = W[k*3*H+2*H+unit];
  assign r_z = R[k*3*H+unit];
  assign r_r = R[k*3*H+H+unit];
  assign r_g = R[k*3*H+2*H+unit];

  // GM-1 ... GM-3 of the unit
  logic signed [31:0] bx_z, bx_r, bx_g, br_z, br_r, br_g;
  logic signed [63:0] z_a, r_a, g_b, g_rb, g_rb_product, g_c, g_a, z_pre, r_pre, g_pre, z, r, g, n, S, h_next;
  logic signed [33:0] h_unit;
  logic signed [31:0] rh_z, rh_r, n_acc;
  logic signed [31:0] rrh_multiplier;
  logic signed [7:0] z_code, r_code, g_code, h_code;
  assign bx_z = bx[unit];
  assign bx_r = bx[H+unit];
  assign bx_g = bx[2*H+unit];
  assign br_z = br[unit];
  assign br_r = br[H+unit];
  assign br_g = br[2*H+unit];
  assign rh_z = 32'(rh[0]);  // below 2^31 by the parameter check (L-2)
  assign rh_r = 32'(rh[1]);
  assign z_a = saturate(wx[0] + 64'(align(rh_z, M_RH_Z, S_RH_Z)) + 64'(align(bx_z, M_BX, S_BX))
                        + 64'(align(br_z, M_BR_Z, S_BR_Z)), INT32_MIN, INT32_MAX);
  assign r_a = saturate(wx[1] + 64'(align(rh_r, M_RH_R, S_RH_R)) + 64'(align(bx_r, M_BX, S_BX))
                        + 64'(align(br_r, M_BR_R, S_BR_R)), INT32_MIN, INT32_MAX);
  assign z_pre = to_pre(32'(z_a), M_Z, S_Z, ZP_Z);
  assign r_pre = to_pre(32'(r_a), M_R, S_R, ZP_R);
  assign z_code = table_z[index_of(z_pre)];
  assign r_code = table_r[index_of(r_pre)];
  assign z = 64'(z_code);
  assign r = 64'(r_code);
  assign g_b = saturate(rh[2] + 64'(align(br_g, M_BR_G, S_BR_G)), INT32_MIN, INT32_MAX);
  assign g_rb = 64'(r_code) * 64'(32'(g_b));  // 39 bits
  assign rrh_multiplier = {1'b0, M_RRH};  // below 2^24: the product is exact in 64 bits
  assign g_rb_product = 64'(40'(g_rb)) * 64'(rrh_multiplier);
  assign g_c = saturate(ties_up(g_rb_product, {1'b0, S_RRH}), INT32_MIN, INT32_MAX);
  assign g_a = saturate(wx[2] + g_c + 64'(align(bx_g, M_BX, S_BX)), INT32_MIN, INT32_MAX);
  assign g_pre = to_pre(32'(g_a), M_G, S_G, ZP_G);
  assign g_code = table_g[index_of(g_pre)];
  assign g = 64'(g_code);
  assign h_code = h[8*unit+:8];
  assign h_unit = 34'(h_code) - 34'(ZP_H);
  assign n_acc = (32'sd127 - 32'(z_code)) * 32'(g_code);
  assign n = 64'(align(n_acc, M_GH, S_GH));
  assign S = 64'(z_code) * 64'(h_unit) + n;  // below 2^31 by the parameter check (GM-3)
  assign h_next = saturate(scaled(32'(S), M_ONE, S_ONE) + 64'(ZP_H), -64'sd128, 64'sd127);

  assign stage_valid = (state == FINISH);
  assign stage_unit = unit;
  assign stage_Wx_z = wx[0];
  assign stage_Wx_r = wx[1];
  assign stage_Wx_g = wx[2];
  assign stage_Rh_z = rh[0];
  assign stage_Rh_r = rh[1];
  assign stage_Rh_g = rh[2];
  assign stage_z_a = z_a;
  assign stage_r_a = r_a;
  assign stage_g_b = g_b;
  assign stage_g_c = g_c;
  assign stage_g_a = g_a;
  assign stage_z_pre = z_pre;
  assign stage_r_pre = r_pre;
  assign stage_g_pre = g_pre;
  assign stage_z = z;
  assign stage_r = r;
  assign stage_g = g;
  assign stage_n = n;
  assign stage_S = S;
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
          wx[0] <= 64'sd0;
          wx[1] <= 64'sd0;
          wx[2] <= 64'sd0;
          rh[0] <= 64'sd0;
          rh[1] <= 64'sd0;
          rh[2] <= 64'sd0;
        end
        ACCUMULATE: begin
          if (k < C) begin
            wx[0] <= wx[0] + 64'(w_z) * 64'(x_centred);
            wx[1] <= wx[1] + 64'(w_r) * 64'(x_centred);
            wx[2] <= wx[2] + 64'(w_g) * 64'(x_centred);
          end
          if (k < H) begin
            rh[0] <= rh[0] + 64'(r_z) * 64'(h_centred);
            rh[1] <= rh[1] + 64'(r_r) * 64'(h_centred);
            rh[2] <= rh[2] + 64'(r_g) * 64'(h_centred);
          end
          k <= k + 16'd1;
          if (k == K - 1) state <= FINISH;
        end
        default: begin
          h_new[8*unit+:8] <= h_next[7:0];
          wx[0] <= 64'sd0;
          wx[1] <= 64'sd0;
          wx[2] <= 64'sd0;
          rh[0] <= 64'sd0;
          rh[1] <= 64'sd0;
          rh[2] <= 64'sd0;
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
