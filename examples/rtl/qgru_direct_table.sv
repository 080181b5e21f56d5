// Direct activation table: 256 entries, addressed by q + 128.  [A-1]
module qgru_direct_table #(
    parameter FILE = "table.hex",
    parameter int OUT_BITS = 8
) (
    input  logic [7:0] q,  // int8
    output logic [OUT_BITS-1:0] y
);
  logic [OUT_BITS-1:0] entries[0:255];
  logic [7:0] index;
  initial $readmemh(FILE, entries);
  // q + 128 is q with its sign bit flipped
  assign index = {~q[7], q[6:0]};
  assign y = entries[index];
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
  logic [15:0] offset;
  logic [24:0] n;
  logic [24:0] sum;
  logic [7:0] index;
  initial $readmemh(FILE, entries);
  assign offset = {~q[15], q[14:0]};  // q + 32768
  assign n = {9'd0, offset} * 25'd255 + 25'd32767;
  // n div 65535 without a divider: n < 2^24, so the quotient is floor((n + floor(n / 2^16) + 1) / 2^16)
  assign sum = n + (n >> 16) + 25'd1;
  assign index = sum[23:16];
  assign y = entries[index];
endmodule
