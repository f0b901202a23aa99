// br_reg_slice: register slice that cuts every combinational path between its two sides.
// Function       m_axis repeats s_axis, beat for beat
// Stream in      any; Width bits of tdata and tlast
// Stream out     the same
// Parameters     Width >= 1
// Latency        1
// Throughput     one beat a cycle
// Back-pressure  no combinational path m_axis_tready -> s_axis_tready or s_axis_* -> m_axis_*; holds 2 beats when
//                stalled
// Source         two-entry skid buffer: an output register and one spare place for the beat in flight when ready falls

`default_nettype none

module br_reg_slice #(
  parameter int unsigned Width = 8  // bits of tdata
) (
  input  wire              clk_i,
  input  wire              rst_ni,
  input  wire  [Width-1:0] s_axis_tdata,
  input  wire              s_axis_tvalid,
  output logic             s_axis_tready,
  input  wire              s_axis_tlast,
  output logic [Width-1:0] m_axis_tdata,
  output logic             m_axis_tvalid,
  input  wire              m_axis_tready,
  output logic             m_axis_tlast
);

  logic [Width:0] out_q, spare_q;
  logic out_valid_q, spare_valid_q;
  logic out_free;

  assign out_free = !out_valid_q || m_axis_tready;
  assign s_axis_tready = !spare_valid_q;
  // fault: valid-falls
  assign m_axis_tvalid = out_valid_q;
  assign {m_axis_tlast, m_axis_tdata} = out_q;

  always_ff @(posedge clk_i) begin
    // fault: beat-in-flight, beat-changes
    if (out_free) out_q <= spare_valid_q ? spare_q : {s_axis_tlast, s_axis_tdata};
    if (!spare_valid_q) spare_q <= {s_axis_tlast, s_axis_tdata};
    if (out_free) begin
      out_valid_q   <= s_axis_tvalid || spare_valid_q;
      spare_valid_q <= 1'b0;
    end else if (s_axis_tvalid) begin
      spare_valid_q <= 1'b1;
    end
    if (!rst_ni) begin
      out_valid_q   <= 1'b0;
      spare_valid_q <= 1'b0;
    end
  end

endmodule

`default_nettype wire
