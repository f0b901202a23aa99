// br_uart_rx: serial receiver; 8 data bits, no parity, 1 stop bit.
// Function       a byte that arrives on rx_i stands on data_o in the one cycle in which valid_o is high; if its stop
//                bit is low, broken_o is high instead, and the next byte is looked for once the line is high again
// Line           least significant bit first, idle high; rx_i may change at any time, it is synchronised here
// Parameters     BitCycles >= 4 clock cycles a bit (checked); a sender that is up to 2 % faster or slower is understood
// Latency        valid_o rises in the middle of the stop bit
// Source         the start bit's edge starts a counter, every bit is sampled once in its middle
`default_nettype none

module br_uart_rx #(
  parameter int unsigned BitCycles = 50  // clock cycles a bit of the line, 4 or more
) (
  input  wire        clk_i,
  input  wire        rst_ni,
  input  wire        rx_i,
  output logic [7:0] data_o,
  output logic       valid_o,
  output logic       broken_o
);

  if (BitCycles < 4) begin : gen_check
    $error("br_uart_rx: BitCycles=%0d must be at least 4", BitCycles);
  end

  localparam int unsigned WaitWidth = br_pkg::idx_width(BitCycles);
  localparam logic [3:0] Bits = 4'd10;  // start, data, stop

  logic [1:0] sync_q;
  logic line, armed_q;  // armed: the line has been high since the last byte
  logic [3:0] left_q;  // bits still to be sampled
  logic [WaitWidth-1:0] wait_q;  // cycles before the next sample

  assign line = sync_q[0];

  always_ff @(posedge clk_i) begin
    sync_q   <= {rx_i, sync_q[1]};
    valid_o  <= 1'b0;
    broken_o <= 1'b0;
    if (left_q == '0) begin
      armed_q <= line;
      wait_q  <= WaitWidth'(BitCycles / 2 - 1);
      if (armed_q && !line) left_q <= Bits;
    end else if (wait_q != '0) begin
      wait_q <= wait_q - 1'b1;
    end else begin
      wait_q  <= WaitWidth'(BitCycles - 1);
      left_q  <= left_q - 4'd1;
      armed_q <= line;  // a start bit may follow the middle of the stop bit at once
      if (left_q == Bits && line) left_q <= '0;  // too short for a start bit
      if (left_q == 4'd1) begin
        valid_o  <= line;
        broken_o <= !line;
      end else begin
        data_o <= {line, data_o[7:1]};
      end
    end
    if (!rst_ni) begin
      armed_q  <= 1'b0;
      left_q   <= '0;
      valid_o  <= 1'b0;
      broken_o <= 1'b0;
    end
  end

endmodule

`default_nettype wire
