// br_dense_rom: read-only memory that is read in order; every ninth word lies in the ninth bits of the eight before it.
// Function       data_o <= the next word at a clock edge with next_i high, word 0 first and after the last; holds otherwise
// Stream in      none: next_i
// Stream out     none: data_o
// Parameters     Width bits a word, a multiple of 8; Depth words, a multiple of 9 (both checked); File is a $readmemh file of
//                Depth/9*8 lines of Width/8*9 bits, "" leaves the words undefined. Of nine words, line i of eight holds word
//                i in the low bits and above it bits [i*Width/8 +: Width/8] of the ninth
// Latency        1 cycle from next_i to its word
// Throughput     one word a cycle
// Back-pressure  next_i low holds the word
// Source         block RAM has nine bits to a byte and a power of two of lines; the words of a 3x3 convolution are nine times
//                a power of two. Memory formats: docs/architecture.md, section 4
`default_nettype none

module br_dense_rom #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 18,
  parameter              File  = ""
) (
  input  wire              clk_i,
  input  wire              rst_ni,
  input  wire              next_i,
  output logic [Width-1:0] data_o
);

  if (Width < 1 || Width % 8 != 0) begin : gen_check_width
    $error("br_dense_rom: Width=%0d must be a multiple of 8", Width);
  end
  if (Depth < 1 || Depth % 9 != 0) begin : gen_check_depth
    $error("br_dense_rom: Depth=%0d must be a multiple of 9", Depth);
  end

  localparam int unsigned Extra = Width / 8;
  localparam int unsigned Lines = Depth / 9 * 8;
  localparam int unsigned AddrWidth = br_pkg::idx_width(Lines);

  logic [AddrWidth-1:0] addr_q;  // of the line that is read next
  logic [3:0] place_q;           // of the word that is read next among nine
  logic ninth, ninth_q;          // the next word, the word at the output is a ninth
  logic [Width+Extra-1:0] line;
  logic [7*Extra-1:0] extras_q;  // of the lines before this one

  assign ninth  = place_q == 4'd8;
  assign data_o = ninth_q ? {line[Width+:Extra], extras_q} : line[Width-1:0];

  br_rom #(
    .Width(Width + Extra),
    .Depth(Lines),
    .File (File)
  ) i_lines (
    .clk_i,
    .en_i  (next_i && !ninth),
    .addr_i(addr_q),
    .data_o(line)
  );

  always_ff @(posedge clk_i) begin
    if (next_i) begin
      ninth_q <= ninth;
      place_q <= ninth ? '0 : place_q + 4'd1;
      if (!ninth) begin
        addr_q   <= (addr_q == AddrWidth'(Lines - 1)) ? '0 : addr_q + AddrWidth'(1);
        extras_q <= (7*Extra)'({line[Width+:Extra], extras_q} >> Extra);
      end
    end
    if (!rst_ni) begin
      place_q <= '0;
      addr_q  <= '0;
    end
  end

endmodule

`default_nettype wire
