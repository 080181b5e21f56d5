// Included by the bench of a cell of datapath M: puts qgru_mshift_cell in, every name as the bench declares it.
qgru_mshift_cell #(
    .C(C), .H(H), .PRE_BITS(PRE_BITS), .W_FILE(W_FILE), .R_FILE(R_FILE), .BX_FILE(BX_FILE), .BR_FILE(BR_FILE),
    .TABLE_Z_FILE(TABLE_Z_FILE), .TABLE_R_FILE(TABLE_R_FILE), .TABLE_G_FILE(TABLE_G_FILE), .ZP_X(ZP_X), .ZP_H(ZP_H),
    .ZP_Z(ZP_Z), .ZP_R(ZP_R), .ZP_G(ZP_G), .M_RH_Z(M_RH_Z), .M_RH_R(M_RH_R), .M_BX(M_BX), .M_BR_Z(M_BR_Z),
    .M_BR_R(M_BR_R), .M_BR_G(M_BR_G), .M_Z(M_Z), .M_R(M_R), .M_G(M_G), .M_RRH(M_RRH), .M_GH(M_GH), .M_ONE(M_ONE),
    .S_RH_Z(S_RH_Z), .S_RH_R(S_RH_R), .S_BX(S_BX), .S_BR_Z(S_BR_Z), .S_BR_R(S_BR_R), .S_BR_G(S_BR_G), .S_Z(S_Z),
    .S_R(S_R), .S_G(S_G), .S_RRH(S_RRH), .S_GH(S_GH), .S_ONE(S_ONE)
) dut (
    .clk(clk), .rst(rst), .start(start), .x(x), .h(h), .done(done), .h_new(h_new), .stage_valid(stage_valid),
    .stage_unit(stage_unit), .stage_Wx_z(stage_Wx_z), .stage_Wx_r(stage_Wx_r), .stage_Wx_g(stage_Wx_g),
    .stage_Rh_z(stage_Rh_z), .stage_Rh_r(stage_Rh_r), .stage_Rh_g(stage_Rh_g), .stage_z_a(stage_z_a),
    .stage_r_a(stage_r_a), .stage_g_b(stage_g_b), .stage_g_c(stage_g_c), .stage_g_a(stage_g_a),
    .stage_z_pre(stage_z_pre), .stage_r_pre(stage_r_pre), .stage_g_pre(stage_g_pre), .stage_z(stage_z),
    .stage_r(stage_r), .stage_g(stage_g), .stage_n(stage_n), .stage_S(stage_S), .stage_h_new(stage_h_new)
);
