// slices: two register slices in a row (test only), whose inner stream a probe can record.

`default_nettype none

module slices (
  input  wire         clk_i,
  input  wire         rst_ni,
  input  wire   [7:0] s_axis_tdata,
  input  wire         s_axis_tvalid,
  output logic        s_axis_tready,
  input  wire         s_axis_tlast,
  output logic  [7:0] m_axis_tdata,
  output logic        m_axis_tvalid,
  input  wire         m_axis_tready,
  output logic        m_axis_tlast
);

  logic [7:0] mid_tdata;
  logic mid_tvalid, mid_tready, mid_tlast;

  br_reg_slice u_first (
    .clk_i, .rst_ni, .s_axis_tdata, .s_axis_tvalid, .s_axis_tready, .s_axis_tlast,
    .m_axis_tdata(mid_tdata), .m_axis_tvalid(mid_tvalid), .m_axis_tready(mid_tready), .m_axis_tlast(mid_tlast)
  );

  br_reg_slice u_second (
    .clk_i, .rst_ni,
    .s_axis_tdata(mid_tdata), .s_axis_tvalid(mid_tvalid), .s_axis_tready(mid_tready), .s_axis_tlast(mid_tlast),
    .m_axis_tdata, .m_axis_tvalid, .m_axis_tready, .m_axis_tlast
  );

endmodule

`default_nettype wire
