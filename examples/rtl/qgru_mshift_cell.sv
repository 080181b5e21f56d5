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
  localparam logic signed [63:0] CODE_OF_ONE = 64'sd127;

  // saturate(ties_up(v * M, s), int32)  [M-4]
  function automatic logic signed [63:0] align(
      input logic signed [63:0] v, input logic [30:0] mul, input logic [4:0] sh);
    align = saturate(ties_up(v * $signed({33'd0, mul}), {1'b0, sh}), INT32_MIN, INT32_MAX);
  endfunction

  // the gate input format  [M-5]
  function automatic logic signed [63:0] to_pre(
      input logic signed [63:0] v, input logic [30:0] mul, input logic [4:0] sh, input logic signed [31:0] zp);
    to_pre = saturate(ties_up(v * $signed({33'd0, mul}), {1'b0, sh}) + 64'(zp), PRE_MIN, PRE_MAX);
  endfunction

  // table index of a gate input  [A-1, A-2]
  function automatic logic [7:0] index_of(input logic signed [63:0] q);
    logic [63:0] wide;
    begin
      wide = (PRE_BITS == 16) ? (q + 64'sd32768) * 64'sd255 + 64'sd32767 : 64'd0;
      wide = (wide + (wide >> 16) + 64'd1) >> 16;
      index_of = (PRE_BITS == 16) ? wide[7:0] : q[7:0] + 8'd128;
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

  logic signed [7:0] x_k;
  logic signed [7:0] h_k;
  logic signed [63:0] x_centred;
  logic signed [63:0] h_centred;
  logic signed [7:0] w_z, w_r, w_g, r_z, r_r, r_g;
  always_comb begin
    x_k = x[8*k+:8];
    h_k = h[8*k+:8];
    x_centred = 64'(x_k) - 64'(ZP_X);
    h_centred = 64'(h_k) - 64'(ZP_H);
    w_z = W[k*3*H+unit];
    w_r = W[k*3*H+H+unit];
    w_g = W[k*3*H+2*H+unit];
    r_z = R[k*3*H+unit];
    r_r = R[k*3*H+H+unit];
    r_g = R[k*3*H+2*H+unit];
  end

  logic signed [31:0] bx_z, bx_r, bx_g, br_z, br_r, br_g;
  logic signed [63:0] z_a, r_a, g_b, g_c, g_a, z_pre, r_pre, g_pre, z, r, g, n, S, h_unit, h_next;
  logic signed [7:0] z_code, r_code, g_code, h_code;
  always_comb begin
    bx_z = bx[unit];
    bx_r = bx[H+unit];
    bx_g = bx[2*H+unit];
    br_z = br[unit];
    br_r = br[H+unit];
    br_g = br[2*H+unit];
    z_a = saturate(wx[0] + align(rh[0], M_RH_Z, S_RH_Z) + align(64'(bx_z), M_BX, S_BX) + align(64'(br_z), M_BR_Z, S_BR_Z),
                   INT32_MIN, INT32_MAX);
    r_a = saturate(wx[1] + align(rh[1], M_RH_R, S_RH_R) + align(64'(bx_r), M_BX, S_BX) + align(64'(br_r), M_BR_R, S_BR_R),
                   INT32_MIN, INT32_MAX);
    z_pre = to_pre(z_a, M_Z, S_Z, ZP_Z);
    r_pre = to_pre(r_a, M_R, S_R, ZP_R);
    z_code = table_z[index_of(z_pre)];
    r_code = table_r[index_of(r_pre)];
    z = 64'(z_code);
    r = 64'(r_code);
    g_b = saturate(rh[2] + align(64'(br_g), M_BR_G, S_BR_G), INT32_MIN, INT32_MAX);
    g_c = saturate(ties_up(r * g_b * $signed({33'd0, M_RRH}), {1'b0, S_RRH}), INT32_MIN, INT32_MAX);
    g_a = saturate(wx[2] + g_c + align(64'(bx_g), M_BX, S_BX), INT32_MIN, INT32_MAX);
    g_pre = to_pre(g_a, M_G, S_G, ZP_G);
    g_code = table_g[index_of(g_pre)];
    g = 64'(g_code);
    h_code = h[8*unit+:8];
    h_unit = 64'(h_code) - 64'(ZP_H);
    n = align((CODE_OF_ONE - z) * g, M_GH, S_GH);
    S = z * h_unit + n;
    h_next = saturate(ties_up(S * $signed({33'd0, M_ONE}), {1'b0, S_ONE}) + 64'(ZP_H), -64'sd128, 64'sd127);
  end

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
            wx[0] <= wx[0] + 64'(w_z) * x_centred;
            wx[1] <= wx[1] + 64'(w_r) * x_centred;
            wx[2] <= wx[2] + 64'(w_g) * x_centred;
          end
          if (k < H) begin
            rh[0] <= rh[0] + 64'(r_z) * h_centred;
            rh[1] <= rh[1] + 64'(r_r) * h_centred;
            rh[2] <= rh[2] + 64'(r_g) * h_centred;
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
