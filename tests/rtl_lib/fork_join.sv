// fork_join: br_fork with three outputs that move in different rhythms, joined again (test only).
// Function       m_axis_tdata = {s_axis_tdata, s_axis_tdata, s_axis_tdata}
// Behind the fork stand a register slice, a FIFO of one beat (moves every second cycle) and a FIFO of five beats.

`default_nettype none

module fork_join #(
  parameter int unsigned Width = 8
) (
  input  wire                 clk_i,
  input  wire                 rst_ni,
  input  wire   [Width-1:0]   s_axis_tdata,
  input  wire                 s_axis_tvalid,
  output logic                s_axis_tready,
  input  wire                 s_axis_tlast,
  output logic  [3*Width-1:0] m_axis_tdata,
  output logic                m_axis_tvalid,
  input  wire                 m_axis_tready,
  output logic                m_axis_tlast
);

  logic [Width-1:0] fork_tdata;
  logic fork_tlast, move;
  logic [2:0] fork_tvalid, fork_tready, join_tvalid, join_tlast;

  br_fork #(.Width(Width), .Outputs(3)) u_fork (
    .clk_i, .rst_ni, .s_axis_tdata, .s_axis_tvalid, .s_axis_tready, .s_axis_tlast,
    .m_axis_tdata(fork_tdata), .m_axis_tvalid(fork_tvalid), .m_axis_tready(fork_tready), .m_axis_tlast(fork_tlast)
  );

  br_reg_slice #(.Width(Width)) u_slice (
    .clk_i, .rst_ni,
    .s_axis_tdata(fork_tdata), .s_axis_tvalid(fork_tvalid[0]), .s_axis_tready(fork_tready[0]), .s_axis_tlast(fork_tlast),
    .m_axis_tdata(m_axis_tdata[0+:Width]), .m_axis_tvalid(join_tvalid[0]), .m_axis_tready(move),
    .m_axis_tlast(join_tlast[0])
  );

  for (genvar i = 1; i < 3; i++) begin : gen_fifo
    br_fifo #(.Width(Width), .Depth(i == 1 ? 1 : 5)) u_fifo (
      .clk_i, .rst_ni,
      .s_axis_tdata(fork_tdata), .s_axis_tvalid(fork_tvalid[i]), .s_axis_tready(fork_tready[i]),
      .s_axis_tlast(fork_tlast),
      .m_axis_tdata(m_axis_tdata[i*Width+:Width]), .m_axis_tvalid(join_tvalid[i]), .m_axis_tready(move),
      .m_axis_tlast(join_tlast[i]), .usage_o(), .max_fill_o()
    );
  end

  assign m_axis_tvalid = &join_tvalid;
  assign m_axis_tlast  = &join_tlast;
  assign move = m_axis_tvalid && m_axis_tready;

endmodule

`default_nettype wire
