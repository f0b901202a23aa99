// br_bench: serial receivers and senders of three speeds side by side (test only).
// Function       sender i repeats what receiver i reads; broken_o counts bytes without a stop bit, 8 bits a receiver
`default_nettype none

module br_bench (
  input  wire              clk_i  /*verilator public_flat_rw*/,
  input  wire              rst_ni  /*verilator public_flat_rw*/,
  input  wire        [2:0] rx_i  /*verilator public_flat_rw*/,
  output logic       [2:0] tx_o  /*verilator public_flat_rw*/,
  output logic [2:0] [7:0] broken_o  /*verilator public_flat_rw*/
);

  for (genvar i = 0; i < 3; i++) begin : gen_speed

    localparam int unsigned BitCycles = i == 0 ? 4 : i == 1 ? 9 : 50;

    logic [7:0] data, waiting;
    logic valid, broken, waiting_valid, ready;

    br_uart_rx #(.BitCycles(BitCycles)) u_rx (
      .clk_i, .rst_ni, .rx_i(rx_i[i]), .data_o(data), .valid_o(valid), .broken_o(broken)
    );

    br_fifo #(.Width(8), .Depth(64)) u_fifo (
      .clk_i, .rst_ni, .s_axis_tdata(data), .s_axis_tvalid(valid), .s_axis_tready(), .s_axis_tlast(1'b0),
      .m_axis_tdata(waiting), .m_axis_tvalid(waiting_valid), .m_axis_tready(ready), .m_axis_tlast(), .usage_o(),
      .max_fill_o()
    );

    br_uart_tx #(.BitCycles(BitCycles)) u_tx (
      .clk_i, .rst_ni, .s_axis_tdata(waiting), .s_axis_tvalid(waiting_valid), .s_axis_tready(ready), .tx_o(tx_o[i])
    );

    always_ff @(posedge clk_i) begin
      if (!rst_ni) broken_o[i] <= '0;
      else if (broken) broken_o[i] <= broken_o[i] + 8'd1;
    end

  end

endmodule

`default_nettype wire
