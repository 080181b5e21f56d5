// The module that the benches of step direct drive, bound to qgru_direct_table.
module dut_direct #(
    parameter ENTRIES_FILE = "entries.hex",
    parameter logic [5:0] BITS_OUT = 8,
    parameter logic SIGNED_OUT = 1
) (
    input  logic [7:0] q,
    output logic [BITS_OUT-1:0] y  // the entry as it is stored, signed or not
);
  qgru_direct_table #(
      .FILE(ENTRIES_FILE), .OUT_BITS(BITS_OUT)
  ) direct_table (
      .q(q), .y(y)
  );
endmodule
