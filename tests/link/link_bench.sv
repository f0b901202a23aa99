// br_bench: br_link with a network of four pixels and four logits, a logit being the lower 13 bits of a pixel (test only).
// Function       stall_i in 65536 cycles the network takes no pixel; at 65536 never
`default_nettype none

module br_bench (
  input  wire         clk_i  /*verilator public_flat_rw*/,
  input  wire         rst_ni  /*verilator public_flat_rw*/,
  input  wire         rx_i  /*verilator public_flat_rw*/,
  output logic        tx_o  /*verilator public_flat_rw*/,
  output logic [1:0]  class_o  /*verilator public_flat_rw*/,
  input  wire integer stall_i  /*verilator public_flat_rw*/,
  input  wire integer seed_i  /*verilator public_flat_rw*/
);

  logic [23:0] pixel_tdata;
  logic [12:0] logit_tdata;
  logic [25:0] pair_tdata;
  logic go, pixel_tvalid, pixel_tready, pixel_tlast, fifo_tready, logit_tvalid, logit_tready, logit_tlast;
  logic pair_tvalid, pair_tready, pair_tlast;

  br_link #(
    .BitCycles(8), .TimeoutBits(60), .ImageBytes(12), .OutLanes(3), .Classes(4), .InLanes(2), .InWidth(13)
  ) u_dut (
    .clk_i, .rst_ni, .rx_i, .tx_o, .class_o,
    .s_axis_tdata(pair_tdata), .s_axis_tvalid(pair_tvalid), .s_axis_tready(pair_tready), .s_axis_tlast(pair_tlast),
    .m_axis_tdata(pixel_tdata), .m_axis_tvalid(pixel_tvalid), .m_axis_tready(pixel_tready), .m_axis_tlast(pixel_tlast)
  );

  br_stall u_stall (.clk_i, .rst_ni, .stall_i, .seed_i, .go_o(go));

  assign pixel_tready = fifo_tready && go;

  br_fifo #(.Width(13), .Depth(3)) u_fifo (
    .clk_i, .rst_ni, .s_axis_tdata(pixel_tdata[12:0]), .s_axis_tvalid(pixel_tvalid && go), .s_axis_tready(fifo_tready),
    .s_axis_tlast(pixel_tlast), .m_axis_tdata(logit_tdata), .m_axis_tvalid(logit_tvalid), .m_axis_tready(logit_tready),
    .m_axis_tlast(logit_tlast), .usage_o(), .max_fill_o()
  );

  br_width_converter #(.ElemWidth(13), .InLanes(1), .OutLanes(2)) u_pairs (
    .clk_i, .rst_ni, .s_axis_tdata(logit_tdata), .s_axis_tvalid(logit_tvalid), .s_axis_tready(logit_tready),
    .s_axis_tlast(logit_tlast), .m_axis_tdata(pair_tdata), .m_axis_tvalid(pair_tvalid), .m_axis_tready(pair_tready),
    .m_axis_tlast(pair_tlast)
  );

endmodule

`default_nettype wire
