// br_bench: serial links of the smallest sizes side by side, each with a network that gives the pixels back (test only).
// Function       link i takes images of i+1 bytes and gives i+1 logits, the bytes as signed numbers
`default_nettype none

module br_bench (
  input  wire        clk_i  /*verilator public_flat_rw*/,
  input  wire        rst_ni  /*verilator public_flat_rw*/,
  input  wire  [5:0] rx_i  /*verilator public_flat_rw*/,
  output logic [5:0] tx_o  /*verilator public_flat_rw*/
);

  for (genvar i = 0; i < 6; i++) begin : gen_size

    logic [7:0] data;
    logic valid, ready, last;

    br_link #(
      .BitCycles(4), .TimeoutBits(60), .ImageBytes(i + 1), .OutLanes(1), .Classes(i + 1), .InLanes(1), .InWidth(8)
    ) u_dut (
      .clk_i, .rst_ni, .rx_i(rx_i[i]), .tx_o(tx_o[i]), .class_o(),
      .s_axis_tdata(data), .s_axis_tvalid(valid), .s_axis_tready(ready), .s_axis_tlast(last),
      .m_axis_tdata(data), .m_axis_tvalid(valid), .m_axis_tready(ready), .m_axis_tlast(last)
    );

  end

endmodule

`default_nettype wire
