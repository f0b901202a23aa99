// br_ram: memory with one read and one write port, for accumulators that are read, changed and written a cycle later.
// Function       rdata_o is the word at raddr_i as of the end of the cycle in which en_i was high: a write to the same
//                address in that cycle is already in it
// Ports          en_i enables both ports; write_i writes wdata_i to waddr_i
// Parameters     Width bits of a word, Depth words
// Latency        1 from raddr_i to rdata_o, which holds while en_i is low
// Source         block RAM or LUT RAM with a registered read port; a comparator forwards the colliding write

`default_nettype none

module br_ram #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 16,
  localparam int unsigned AddrW = br_pkg::idx_width(Depth)
) (
  input  wire                   clk_i,
  input  wire                   en_i,
  input  wire       [AddrW-1:0] raddr_i,
  output logic      [Width-1:0] rdata_o,
  input  wire                   write_i,
  input  wire       [AddrW-1:0] waddr_i,
  input  wire       [Width-1:0] wdata_i
);

  if (Depth < 1) begin : gen_check
    $error("br_ram: Depth=%0d must be at least 1", Depth);
  end

  logic [Width-1:0] mem[Depth];
  logic [Width-1:0] mem_q, forward_q;
  logic forwarded_q;

  assign rdata_o = forwarded_q ? forward_q : mem_q;

  always_ff @(posedge clk_i) begin
    if (en_i) begin
      if (write_i) mem[waddr_i] <= wdata_i;
      mem_q <= mem[raddr_i];
    end
  end

  always_ff @(posedge clk_i) begin
    if (en_i) begin
      forward_q   <= wdata_i;
      forwarded_q <= write_i && waddr_i == raddr_i;
    end
  end

endmodule

`default_nettype wire
