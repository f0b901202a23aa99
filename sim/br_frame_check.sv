// br_frame_check: stops the simulation where tlast does not stand on the last beat of a frame (simulation only).
// Function       tlast is high on every Beats-th beat and on no other: a stream that does otherwise ends the run with
//                its name, the rule, and the cycle, counted from 0 behind the reset
`default_nettype none

module br_frame_check #(
  parameter int unsigned Beats = 1  // of a frame
) (
  input wire clk_i,
  input wire rst_ni,
  input wire tvalid_i,
  input wire tready_i,
  input wire tlast_i
);

  int beat_q;  // beat_q: those of the frame that have been taken

  always_ff @(posedge clk_i) begin
    if (!rst_ni) beat_q <= 0;
    else if (tvalid_i && tready_i) begin
      beat_q <= tlast_i ? 0 : beat_q + 1;
      assert (tlast_i == (beat_q == int'(Beats) - 1))
      else begin
        $fatal(1, "tlast is %0d on beat %0d of a frame of %0d, in cycle %0d", tlast_i, beat_q + 1, Beats,
               br_bench.u_cycles.count_q);
      end
    end
  end

endmodule

`default_nettype wire
