// Self-checking bench of case $case: one cell of datapath $datapath, clauses $clauses.  Made with the vector set.
// dut_${datapath}_cell.svh, which is included below, puts the design in: it connects the names declared here.
// Run in the folder of the case, for example
//   iverilog -g2012 -I RTL -o tb.vvp tb_${datapath}_cell.sv RTL/*.sv && vvp tb.vvp
module $module #(
    parameter integer ALONE = 1  // 0 in tb_all
);
  localparam integer T = $steps;
  localparam integer N = $batch;
  localparam integer C = $inputs;
  localparam integer H = $hidden;
  localparam integer CYCLES = 64 * H * (C + H + 16);  // of a run, after which it has failed: enough for a serial multiplier
$parameters
  logic clk;
  logic rst;
  logic start;
  logic [$x_bits*C-1:0] x;
  logic [$h_bits*H-1:0] h;
  logic done;
  logic [$h_bits*H-1:0] h_new;
  logic stage_valid;
  logic [15:0] stage_unit;
$stages
  `include "dut_${datapath}_cell.svh"

$bases
  logic signed [63:0] want[0:$total-1];
  integer base;
  integer count;
  integer width;
  integer is_signed;
  integer index;
  string name;
  string path;
  integer row;
  integer t;
  integer n;
  integer u;
  integer seen;
  integer cycles;
  logic finished;
  logic signed [63:0] value;

$reader
  task load;
    for (index = 0; index < $fields; index = index + 1) begin
      case (index)
$loads        default: ;
      endcase
      open(path);
      for (row = 0; row < count && !failed; row = row + 1) begin
        next_word(name, file, width);
        value = word << (64 - width);
        want[base+row] = (is_signed != 0) ? value >>> (64 - width) : $$signed(word);
      end
      at_end(name, file);
    end
  endtask

  task check(input string stage, input logic signed [63:0] got, input logic signed [63:0] want);
    if (!failed && got !== want) begin
      failed = 1'b1;
      $$fatal(1, "t %0d n %0d unit %0d: %s is %0d (%h), expected %0d (%h); $note", t, n, u, stage, got, got, want, want);
    end
  endtask

  task tick;
    begin
      #1 clk = 1'b1;
      #1 clk = 1'b0;
    end
  endtask

  // one step of one row: every unit once, in order, then done
  task run_cell;
    begin
      for (u = 0; u < C; u = u + 1) x[$x_bits*u+:$x_bits] = want[BASE_x+(t*N+n)*C+u][$x_bits-1:0];
      for (u = 0; u < H; u = u + 1) h[$h_bits*u+:$h_bits] = want[BASE_h+(t*N+n)*H+u][$h_bits-1:0];
      start = 1'b1;
      tick;
      start = 1'b0;
      seen = 0;
      cycles = 0;
      finished = 1'b0;
      while (!failed && !finished) begin
        if (stage_valid === 1'b1) begin
          u = stage_unit;
          if (u !== seen || u >= H) begin
            failed = 1'b1;
            $$fatal(1, "t %0d n %0d: unit %0d is shown, expected unit %0d of %0d; $note", t, n, u, seen, H);
          end
$checks
          seen = seen + 1;
        end
        finished = done === 1'b1;
        if (!finished) tick;
        cycles = cycles + 1;
        if (!failed && !finished && cycles > CYCLES) begin
          failed = 1'b1;
          $$fatal(1, "t %0d n %0d: no done after %0d cycles; $note", t, n, cycles);
        end
      end
      if (!failed && seen != H) begin
        failed = 1'b1;
        $$fatal(1, "t %0d n %0d: %0d units were shown, expected %0d; $note", t, n, seen, H);
      end
      for (u = 0; u < H; u = u + 1)
        if (!failed && h_new[$h_bits*u+:$h_bits] !== want[BASE_h_new+(t*N+n)*H+u][$h_bits-1:0]) begin
          failed = 1'b1;
          $$fatal(1, "t %0d n %0d unit %0d: lane of h_new is %h, expected %h; $note", t, n, u,
                  h_new[$h_bits*u+:$h_bits], want[BASE_h_new+(t*N+n)*H+u][$h_bits-1:0]);
        end
      idle;  // as is a cell that says done with its last unit
    end
  endtask

  // a few clocks without start, with other operands: a cell does nothing then
  task idle;
    begin
      tick;
      x = ~x;
      h = ~h;
      for (u = 0; u < 3; u = u + 1) tick;
    end
  endtask

  initial begin
    failed = 1'b0;
    ended = 1'b0;
    clk = 1'b0;
    rst = 1'b1;
    start = 1'b0;
    x = 0;
    h = 0;
    load;
    tick;
    tick;
    rst = 1'b0;
    idle;
    for (t = 0; t < T && !failed; t = t + 1)
      for (n = 0; n < N && !failed; n = n + 1) run_cell;
    if (!failed) $$display("PASS $case %0d rows", T * N);
    ended = 1'b1;
  end

  // a simulation that something else ends, a $$finish of the design for one, has not passed
  final if (ALONE != 0 && failed !== 1'b1 && ended !== 1'b1)
    $$fatal(1, "the simulation ended before the bench; $note");
endmodule
