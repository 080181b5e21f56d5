// Self-checking bench of case $case: step $step, clause $clause.  Made with the vector set.
// Run in the folder of the case, for example
//   iverilog -g2012 -o tb.vvp tb_$step.sv dut_$step.sv && vvp tb.vvp
`include "$svh"
module $module #(
    parameter integer ALONE = 1  // 0 in tb_all
);
  localparam integer ROWS = ${package}::ROWS;
  integer row;
  integer lane;
$declarations
  $dut $parameters dut (
$ports
  );

$reader
  initial begin
    failed = 1'b0;
    ended = 1'b0;
    row = 0;
$opens
    while (row < ROWS && !failed) begin
$reads      #1;
$checks      row = row + 1;
    end
$ends
    if (!failed) $$display("PASS $case %0d rows", ROWS);
    ended = 1'b1;
  end

  // a simulation that something else ends, a $$finish of the design for one, has not passed
  final if (ALONE != 0 && failed !== 1'b1 && ended !== 1'b1)
    $$fatal(1, "the simulation ended before the bench; $note");
endmodule
