// br_uart_tx: serial sender; 8 data bits, no parity, 1 stop bit.
// Function       every byte of s_axis goes out on tx_o
// Stream in      beat = one byte; no tlast
// Stream out     none: tx_o, least significant bit first, idle high
// Parameters     BitCycles >= 2 clock cycles a bit (checked)
// Latency        1 cycle from a beat to the beginning of its start bit
// Throughput     one byte in 10 * BitCycles + 1 cycles
// Back-pressure  s_axis_tready is high while no byte is on the line
// Source         one shift register, filled with ones from behind
`default_nettype none

module br_uart_tx #(
  parameter int unsigned BitCycles = 50  // clock cycles a bit of the line, 2 or more
) (
  input  wire        clk_i,
  input  wire        rst_ni,
  input  wire  [7:0] s_axis_tdata,
  input  wire        s_axis_tvalid,
  output logic       s_axis_tready,
  output logic       tx_o
);

  if (BitCycles < 2) begin : gen_check
    $error("br_uart_tx: BitCycles=%0d must be at least 2", BitCycles);
  end

  localparam int unsigned WaitWidth = br_pkg::idx_width(BitCycles);
  localparam logic [3:0] Bits = 4'd10;  // start, data, stop

  logic [8:0] shift_q;  // the bit on the line is the lowest
  logic [3:0] left_q;  // bits that have not ended
  logic [WaitWidth-1:0] wait_q;  // cycles that the bit on the line stays after this one

  assign tx_o = shift_q[0];
  assign s_axis_tready = left_q == '0;

  always_ff @(posedge clk_i) begin
    if (left_q == '0) begin
      wait_q <= WaitWidth'(BitCycles - 1);
      if (s_axis_tvalid) begin
        shift_q <= {s_axis_tdata, 1'b0};
        left_q  <= Bits;
      end
    end else if (wait_q != '0) begin
      wait_q <= wait_q - 1'b1;
    end else begin
      wait_q  <= WaitWidth'(BitCycles - 1);
      shift_q <= {1'b1, shift_q[8:1]};
      left_q  <= left_q - 4'd1;
    end
    if (!rst_ni) begin
      shift_q <= '1;
      left_q  <= '0;
    end
  end

endmodule

`default_nettype wire
