// br_bench: the whole board (test only).
`default_nettype none

module br_bench (
  input  wire        clk_i  /*verilator public_flat_rw*/,
  input  wire        rst_ni  /*verilator public_flat_rw*/,
  input  wire        rx_i  /*verilator public_flat_rw*/,
  output logic       tx_o  /*verilator public_flat_rw*/,
  output logic [7:0] class_o  /*verilator public_flat_rw*/,
  output logic       high_o  /*verilator public_flat_rw*/
);

  br_board u_dut (.clk_i, .reset_i(!rst_ni), .rx_i, .tx_o, .led_o(class_o), .high_o);

endmodule

`default_nettype wire
