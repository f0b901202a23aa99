// br_stream_check: stops the simulation where a stream breaks the rules of a handshake (simulation only; br_checks.sv).
// Function       once valid, valid and beat hold until the beat is taken: a stream that does otherwise ends the run
//                with its name, the rule, and the cycle, counted from 0 behind the reset
// Ports          those of a stream, seen from outside; several outputs that share their beats have a handshake each
`default_nettype none

module br_stream_check #(
  parameter int unsigned Width   = 8,  // bits of a beat, tlast and other marks included
  parameter int unsigned Outputs = 1   // handshakes, 1 but for br_fork
) (
  input wire               clk_i,
  input wire               rst_ni,
  input wire [  Width-1:0] beat_i,
  input wire [Outputs-1:0] tvalid_i,
  input wire [Outputs-1:0] tready_i
);

  logic [Outputs-1:0] waiting_q;  // was offered in the last cycle and not taken
  logic [Width-1:0] beat_q;  // what waits

  always_ff @(posedge clk_i) begin
    waiting_q <= rst_ni ? tvalid_i & ~tready_i : '0;
    if ((tvalid_i & ~tready_i) != '0) beat_q <= beat_i;
    if (rst_ni && waiting_q != '0) begin
      assert ((waiting_q & ~tvalid_i) == '0)
      else $fatal(1, "tvalid fell before its beat was taken, in cycle %0d", br_bench.u_cycles.count_q);
      assert (beat_i == beat_q)
      else $fatal(1, "the beat changed before it was taken, in cycle %0d", br_bench.u_cycles.count_q);
    end
  end

endmodule

`default_nettype wire
