// br_fork: hands every beat to each of several outputs.
// Function       each m_axis output repeats s_axis, beat for beat; an output may run ahead of the others by one beat
// Stream in      any; Width bits of tdata and tlast
// Stream out     Outputs streams that share tdata and tlast; bit i of tvalid/tready is output i
// Parameters     Width >= 1, Outputs >= 1
// Latency        0
// Throughput     one beat a cycle
// Back-pressure  a beat leaves the input when its last output takes it; combinational path m_axis_tready ->
//                s_axis_tready; holds no beat: it remembers which outputs have taken the present one, so no output
//                waits for another
// Source         eager fork

`default_nettype none

module br_fork #(
  parameter int unsigned Width   = 8,  // bits of tdata
  parameter int unsigned Outputs = 2   // streams out, 1 or more
) (
  input  wire                clk_i,
  input  wire                rst_ni,
  input  wire  [  Width-1:0] s_axis_tdata,
  input  wire                s_axis_tvalid,
  output logic               s_axis_tready,
  input  wire                s_axis_tlast,
  output logic [  Width-1:0] m_axis_tdata,
  output logic [Outputs-1:0] m_axis_tvalid,
  input  wire  [Outputs-1:0] m_axis_tready,
  output logic               m_axis_tlast
);

  if (Outputs < 1) begin : gen_check
    $error("br_fork: Outputs=%0d must be at least 1", Outputs);
  end

  logic [Outputs-1:0] taken_q;  // outputs that already have the present beat

  assign m_axis_tdata  = s_axis_tdata;
  assign m_axis_tlast  = s_axis_tlast;
  assign m_axis_tvalid = {Outputs{s_axis_tvalid}} & ~taken_q;
  assign s_axis_tready = &(taken_q | m_axis_tready);

  always_ff @(posedge clk_i) begin
    if (s_axis_tvalid) taken_q <= s_axis_tready ? '0 : taken_q | m_axis_tready;
    if (!rst_ni) taken_q <= '0;
  end

endmodule

`default_nettype wire
