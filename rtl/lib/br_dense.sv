// br_dense: constants of which every ninth word lies in the ninth bits of the eight before it.
// Function       data_o <= the next word at a clock edge with next_i high, word 0 first and after the last; holds
//                otherwise
// Stream in      none: next_i, which may be high only while ready_o is
// Stream out     none: data_o; ready_o is low in a reset and for a few cycles after it, and high from then on
// Parameters     Width bits a word, a multiple of 8; Depth words, a multiple of 9 (both checked); File is that of a
//                br_fetch of Depth/9*8 words of Width/8*9 bits, "" leaves the words undefined. Of nine words, line i of
//                eight holds word i in the low bits and above it bits [i*Width/8 +: Width/8] of the ninth
// Latency        1 cycle from next_i to its word, whose line has been fetched before
// Throughput     one word a cycle
// Back-pressure  next_i low holds the word
// Source         block RAM has nine bits to a byte and a power of two of lines; the words of a 3x3 convolution are nine
//                times a power of two. Memory formats: docs/architecture.md, section 4
`default_nettype none

module br_dense #(
  parameter int unsigned Width = 8,   // bits of a word; a multiple of 8
  parameter int unsigned Depth = 18,  // words; a multiple of 9
  parameter              File  = ""   // $readmemh file of the lines, "" leaves the words undefined
) (
  input  wire              clk_i,
  input  wire              rst_ni,
  input  wire              next_i,
  output logic             ready_o,
  output logic [Width-1:0] data_o
);

  if (Width < 1 || Width % 8 != 0) begin : gen_check_width
    $error("br_dense: Width=%0d must be a multiple of 8", Width);
  end
  if (Depth < 1 || Depth % 9 != 0) begin : gen_check_depth
    $error("br_dense: Depth=%0d must be a multiple of 9", Depth);
  end

  localparam int unsigned Extra = Width / 8;

  logic [3:0] place_q;  // of the next word among nine
  logic ninth, fetch, lines_ready;
  logic [Width+Extra-1:0] line;  // that of the next word, or of the one before a ninth
  logic [8*Extra-1:0] ninth_q;   // gathered from the lines of the words that have gone out

  assign ninth = place_q == 4'd8;
  assign fetch = ready_o ? next_i && place_q != 4'd7 : lines_ready;

  br_fetch #(
    .Width(Width + Extra),
    .Depth(Depth / 9 * 8),
    .File (File)
  ) u_lines (
    .clk_i,
    .rst_ni,
    .next_i (fetch),
    .ready_o(lines_ready),
    .data_o (line)
  );

  always_ff @(posedge clk_i) begin
    if (lines_ready) ready_o <= 1'b1;
    if (next_i) begin
      data_o  <= ninth ? ninth_q : line[Width-1:0];
      place_q <= ninth ? '0 : place_q + 4'd1;
      if (!ninth) ninth_q <= (8 * Extra)'({line[Width+:Extra], ninth_q} >> Extra);
    end
    if (!rst_ni) begin
      ready_o <= 1'b0;
      place_q <= '0;
    end
  end

endmodule

`default_nettype wire
