// br_ram: memory with one read and one write port, for accumulators read, changed and written back in a pipeline.
// Function       rdata_o is the word at the raddr_i of two enabled cycles ago, with every write up to the last enabled
//                cycle: what is read may be written back two cycles later, and read again in any cycle
// Ports          en_i enables everything; write_i writes wdata_i to waddr_i
// Parameters     Width bits of a word, Depth words
// Latency        2 cycles from raddr_i to rdata_o
// Throughput     a read and a write a cycle with en_i
// Back-pressure  en_i low holds rdata_o and writes nothing
// Source         block RAM or LUT RAM with a registered read port and a register behind it, since a block RAM is slow.
//                A write in the cycle of the read, or in the one after, is taken from a copy of what was written

`default_nettype none

module br_ram #(
  parameter  int unsigned Width     = 8,                        // bits of a word
  parameter  int unsigned Depth     = 16,                       // words, 1 or more
  localparam int unsigned AddrWidth = br_pkg::idx_width(Depth)
) (
  input  wire                  clk_i,
  input  wire                  en_i,
  input  wire  [AddrWidth-1:0] raddr_i,
  output logic [    Width-1:0] rdata_o,
  input  wire                  write_i,
  input  wire  [AddrWidth-1:0] waddr_i,
  input  wire  [    Width-1:0] wdata_i
);

  if (Depth < 1) begin : gen_check
    $error("br_ram: Depth=%0d must be at least 1", Depth);
  end

  (* no_rw_check *) logic [Width-1:0] mem[Depth];
  logic [Width-1:0] mem_q, word_q, written_q, newer_q;
  logic [AddrWidth-1:0] raddr_q;
  logic with_read_q, behind_read, newer_valid_q;  // was written in the cycle of the read, in the one after, in either

  assign behind_read = write_i && waddr_i == raddr_q;
  assign rdata_o     = newer_valid_q ? newer_q : word_q;

  always_ff @(posedge clk_i) begin
    if (en_i) begin
      if (write_i) mem[waddr_i] <= wdata_i;
      mem_q <= mem[raddr_i];
    end
  end

  always_ff @(posedge clk_i) begin
    if (en_i) begin
      written_q     <= wdata_i;
      raddr_q       <= raddr_i;
      with_read_q   <= write_i && waddr_i == raddr_i;
      word_q        <= mem_q;
      newer_q       <= behind_read ? wdata_i : written_q;
      // fault: written-with-read, written-behind-read
      newer_valid_q <= behind_read || with_read_q;
    end
  end

endmodule

`default_nettype wire
