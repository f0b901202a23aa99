// br_argmax: index of the largest word of a packet.
// Function       after the last word of a packet, index_o is the lowest index of its largest word, until the next
//                packet's end
// Words in       data_i signed, taken in cycles with valid_i; last_i with the last word of a packet
// Parameters     Width bits a word; Words of a packet at most
// Latency        1 cycle from the last word
// Source         golden is classify() in bireal_hw/golden
`default_nettype none

module br_argmax #(
  parameter  int unsigned Width      = 8,                        // bits of a word, signed
  parameter  int unsigned Words      = 2,                        // words of a packet at most
  localparam int unsigned IndexWidth = br_pkg::idx_width(Words)
) (
  input  wire                         clk_i,
  input  wire                         rst_ni,
  input  wire signed [     Width-1:0] data_i,
  input  wire                         valid_i,
  input  wire                         last_i,
  output logic       [IndexWidth-1:0] index_o
);

  logic [IndexWidth-1:0] count_q, best_q, best;
  logic signed [Width-1:0] most_q;
  logic larger;

  assign larger = count_q == '0 || data_i > most_q;
  assign best = larger ? count_q : best_q;

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      best_q <= best;
      if (larger) most_q <= data_i;
      if (last_i) index_o <= best;
      count_q <= last_i ? '0 : count_q + 1'b1;
    end
    if (!rst_ni) begin
      count_q <= '0;
      index_o <= '0;
    end
  end

endmodule

`default_nettype wire
