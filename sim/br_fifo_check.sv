// br_fifo_check: stops the simulation where a FIFO takes a beat without room or gives one that it has not (simulation
//                only).
// Function       counts the beats inside by itself: 0 to Depth of them, as many as usage_i says, with max_fill_i the
//                most so far and room exactly while there are fewer than Depth. A FIFO that does otherwise ends the run
//                with its name, the rule, and the cycle, counted from 0 behind the reset
`default_nettype none

module br_fifo_check #(
  parameter int unsigned Depth = 16  // beats
) (
  input wire         clk_i,
  input wire         rst_ni,
  input wire         s_axis_tvalid,
  input wire         s_axis_tready,
  input wire         m_axis_tvalid,
  input wire         m_axis_tready,
  input wire integer usage_i,
  input wire integer max_fill_i
);

  int fill_q, highest_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      fill_q    <= 0;
      highest_q <= 0;
    end else begin
      fill_q <= fill_q + int'(s_axis_tvalid && s_axis_tready) - int'(m_axis_tvalid && m_axis_tready);
      if (fill_q > highest_q) highest_q <= fill_q;
      assert (!s_axis_tready || fill_q < int'(Depth))
      else
        $fatal(
            1, "the FIFO overflows: ready with %0d of %0d beats, in cycle %0d", fill_q, Depth, br_bench.u_cycles.count_q
        );
      assert (s_axis_tready || fill_q == int'(Depth))
      else
        $fatal(
            1, "the FIFO is not ready with %0d of %0d beats, in cycle %0d", fill_q, Depth, br_bench.u_cycles.count_q
        );
      assert (!m_axis_tvalid || fill_q > 0)
      else $fatal(1, "the FIFO underflows: valid without a beat, in cycle %0d", br_bench.u_cycles.count_q);
      assert (usage_i == fill_q && max_fill_i == highest_q)
      else begin
        $fatal(1, "usage_o=%0d and max_fill_o=%0d are not %0d and %0d, in cycle %0d", usage_i, max_fill_i, fill_q,
               highest_q, br_bench.u_cycles.count_q);
      end
    end
  end

endmodule

`default_nettype wire
