// The module that the benches of step direct_wide drive, bound to qgru_direct_table_wide.
module dut_direct_wide #(
    parameter ENTRIES_FILE = "entries.hex",
    parameter logic [5:0] BITS_OUT = 8,
    parameter logic SIGNED_OUT = 1
) (
    input  logic [15:0] q,
    output logic [BITS_OUT-1:0] y  // the entry as it is stored, signed or not
);
  qgru_direct_table_wide #(
      .FILE(ENTRIES_FILE), .OUT_BITS(BITS_OUT)
  ) direct_table (
      .q(q), .y(y)
  );
endmodule
