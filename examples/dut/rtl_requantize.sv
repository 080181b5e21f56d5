// Drives dut_requantize with the operands of a file and writes what it gives: in.txt -> out.txt, one decimal number a line.
module rtl_requantize;
  parameter logic [31:0] M = 1;
  parameter logic [4:0] S = 0;
  parameter logic signed [31:0] ZP = 0;
  parameter logic [5:0] BITS = 8;
  parameter logic SIGNED = 1;

  logic signed [31:0] v;
  logic [BITS-1:0] q;
  integer source, sink, count, value;

  dut_requantize #(.M(M), .S(S), .ZP(ZP), .BITS(BITS), .SIGNED(SIGNED)) dut (.v(v), .q(q));

  initial begin
    source = $fopen("in.txt", "r");
    sink = $fopen("out.txt", "w");
    count = $fscanf(source, "%d\n", value);
    while (count == 1) begin
      v = value;
      #1 $fwrite(sink, "%0d\n", q);
      count = $fscanf(source, "%d\n", value);
    end
    $fclose(sink);
    $finish(0);
  end
endmodule
