// Direct activation table: 256 entries, addressed by q + 128.  [A-1]
module qgru_direct_table #(
    parameter FILE = "table.hex",
    parameter int OUT_BITS = 8
) (
    input  logic [7:0] q,  // int8
    output logic [OUT_BITS-1:0] y
);
  logic [OUT_BITS-1:0] entries[0:255];
  initial $readmemh(FILE, entries);
  // q + 128 is q with its sign bit flipped
  assign y = entries[{~q[7], q[6:0]}];
endmodule

// The same entries addressed by an int16: index = ((q + 32768) * 255 + 32767) div 65535.  [A-2]
module qgru_direct_table_wide #(
    parameter FILE = "table.hex",
    parameter int OUT_BITS = 8
) (
    input  logic [15:0] q,  // int16
    output logic [OUT_BITS-1:0] y
);
  logic [OUT_BITS-1:0] entries[0:255];
  logic [24:0] n;
  logic [24:0] index;
  initial $readmemh(FILE, entries);
  always_comb begin
    n = {9'd0, ~q[15], q[14:0]} * 25'd255 + 25'd32767;
    // n div 65535 without a divider: n < 2^24, so the quotient is floor((n + floor(n / 2^16) + 1) / 2^16)
    index = (n + (n >> 16) + 25'd1) >> 16;
  end
  assign y = entries[index[7:0]];
endmodule
