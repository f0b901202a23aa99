// br_constants: the words of a ROM from the first to the last and again, in as few block RAMs as they take.
// Function       data_o <= the next word at a clock edge with next_i high, word 0 first; data_o holds otherwise
// Stream in      none: next_i, which may be high only while ready_o is
// Stream out     none: data_o; ready_o is low in a reset and for 1 to 3 cycles after it, and high from then on
// Parameters     Width bits a word, Depth words; File is a $readmemh file of the memory's lines (br_fetch, or br_dense
//                where br_pkg::is_dense), "" leaves the words undefined
// Latency        1 cycle from next_i to its word, which has been fetched before
// Throughput     one word a cycle
// Back-pressure  next_i low holds the word
// Source         memory formats: docs/architecture.md, section 4
`default_nettype none

module br_constants #(
  parameter int unsigned Width = 8,   // bits of a word
  parameter int unsigned Depth = 16,  // words
  parameter              File  = ""   // $readmemh file of the memory's lines, "" leaves the words undefined
) (
  input  wire              clk_i,
  input  wire              rst_ni,
  input  wire              next_i,
  output logic             ready_o,
  output logic [Width-1:0] data_o
);

  if (br_pkg::is_dense(Width, Depth)) begin : gen_dense
    br_dense #(
      .Width(Width),
      .Depth(Depth),
      .File (File)
    ) u_words (
      .clk_i,
      .rst_ni,
      .next_i,
      .ready_o,
      .data_o
    );
  end else begin : gen_plain
    br_fetch #(
      .Width(Width),
      .Depth(Depth),
      .File (File)
    ) u_words (
      .clk_i,
      .rst_ni,
      .next_i,
      .ready_o,
      .data_o
    );
  end

endmodule

`default_nettype wire
