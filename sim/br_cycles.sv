// br_cycles: counts cycles for what the checks report (simulation only); br_checks.sv puts one into the bench.
// Function       count_q is the number of the cycle, from 0 behind the reset
`default_nettype none

module br_cycles (
  input wire clk_i,
  input wire rst_ni
);

  int count_q;

  always_ff @(posedge clk_i) count_q <= rst_ni ? count_q + 1 : 0;

endmodule

`default_nettype wire
