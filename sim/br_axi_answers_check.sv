// br_axi_answers_check: stops the simulation where data or responses do not belong to a burst (simulation only).
// Function       of a direction's bursts, in the order of their addresses: a beat comes when a burst has been announced,
//                last with its last beat and with no other; idle_i is low while a burst lacks beats. For responses in
//                place of beats last_i is 1 and len_i 0
// Place          br_checks.sv binds it to the channels R, W and B of the masters: R and B show a memory that breaks a
//                rule, W the writer, which sends no beat before the address is offered

`default_nettype none

module br_axi_answers_check (
  input wire       clk_i,
  input wire       rst_ni,
  input wire       issue_i,  // a burst of len_i + 1 beats is announced
  input wire [7:0] len_i,
  input wire       beat_i,   // a beat is taken
  input wire       last_i,
  input wire       idle_i
);

  logic [7:0] lens_q[$];
  int beat_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      lens_q.delete();
      beat_q = 0;
    end else begin
      assert (!idle_i || lens_q.size() == 0)
      else $fatal(1, "idle with bursts under way, in cycle %0d", br_bench.u_cycles.count_q);
      if (beat_i) begin
        assert (lens_q.size() != 0)
        else $fatal(1, "a beat without a burst, in cycle %0d", br_bench.u_cycles.count_q);
        assert (last_i == (beat_q == int'(lens_q[0])))
        else
          $fatal(
              1,
              "last is %b on beat %0d of %0d, in cycle %0d",
              last_i,
              beat_q + 1,
              lens_q[0] + 1,
              br_bench.u_cycles.count_q
          );
        beat_q++;
        if (last_i) begin
          beat_q = 0;
          void'(lens_q.pop_front());
        end
      end
      if (issue_i) lens_q.push_back(len_i);
    end
  end

endmodule

`default_nettype wire
