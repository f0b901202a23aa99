// br_fetch: the words of a ROM from the first to the last and again, with a register behind the memory.
// Function       data_o <= the next word at a clock edge with next_i high, word 0 first; data_o holds otherwise
// Stream in      none: next_i, which may be high only while ready_o is
// Stream out     none: data_o; ready_o is low in a reset and for 1 cycle after it, 2 where a line holds several words,
//                and high from then on
// Parameters     Width bits a word, Depth words; File is a $readmemh file, "" leaves the words undefined. It has
//                Lines = br_pkg::rom_lines(Width, Depth) lines, as the memory has; line j holds the words j, j + Lines,
//                j + 2*Lines, .. from the low bits up
// Latency        1 cycle from next_i to its word, which has been fetched before: block RAM is slow. Each block RAM has
//                an output register; those that are not selected are zeroed, and all are ORed: no multiplexer
// Throughput     one word a cycle
// Back-pressure  next_i low holds the word
// Source         memory formats: docs/architecture.md, section 4
`default_nettype none

module br_fetch #(
  parameter int unsigned Width = 8,   // bits of a word
  parameter int unsigned Depth = 16,  // words
  parameter              File  = ""   // $readmemh file of the lines, "" leaves the words undefined
) (
  input  wire              clk_i,
  input  wire              rst_ni,
  input  wire              next_i,
  output logic             ready_o,
  output logic [Width-1:0] data_o
);

  if (Width < 1) begin : gen_check_width
    $error("br_fetch: Width=%0d must be at least 1", Width);
  end
  if (Depth < 1) begin : gen_check_depth
    $error("br_fetch: Depth=%0d must be at least 1", Depth);
  end

  localparam int unsigned Lines = br_pkg::rom_lines(Width, Depth);
  localparam int unsigned Rows = (Depth + Lines - 1) / Lines;
  localparam int unsigned LineWidth = br_pkg::idx_width(Lines);
  localparam int unsigned RowWidth = br_pkg::idx_width(Rows);
  localparam int unsigned Ahead = (Rows > 1) ? 2 : 1;  // words that have been fetched

  logic [Ahead-1:0] fetched_q;
  logic [LineWidth-1:0] line_q;  // where the word is that is read next
  logic [RowWidth-1:0] row_q;
  logic [Rows*Width-1:0] line;
  logic step, line_end, end_of_words;

  assign ready_o      = fetched_q[Ahead-1];
  assign step         = next_i || !ready_o;
  assign line_end     = line_q == LineWidth'(Lines - 1);
  // fault: other-channel
  assign end_of_words = line_q == LineWidth'((Depth - 1) % Lines) && row_q == RowWidth'(Rows - 1);

  always_ff @(posedge clk_i) begin
    if (step) begin
      line_q <= (line_end || end_of_words) ? '0 : line_q + LineWidth'(1);
      if (end_of_words) row_q <= '0;
      else if (line_end) row_q <= row_q + RowWidth'(1);
    end
    fetched_q <= Ahead'({fetched_q, 1'b1});
    if (!rst_ni) begin
      line_q    <= '0;
      row_q     <= '0;
      fetched_q <= '0;
    end
  end

  br_rom #(
    .Width(Rows * Width),
    .Depth(Lines),
    .File (File)
  ) u_rom (
    .clk_i,
    .en_i  (step),
    .addr_i(line_q),
    .data_o(line)
  );

  if (Rows == 1) begin : gen_word
    always_ff @(posedge clk_i) begin
      if (step) data_o <= line;
    end
  end else begin : gen_rows
    logic [RowWidth-1:0] wanted_q;  // row of the word in line
    logic [Rows*Width-1:0] rows_q;
    logic [Width-1:0] word;

    always_ff @(posedge clk_i) begin
      if (step) wanted_q <= row_q;
    end

    for (genvar r = 0; r < Rows; r++) begin : gen_row
      always_ff @(posedge clk_i) begin
        if (step && wanted_q != RowWidth'(r)) rows_q[r*Width+:Width] <= '0;
        else if (step) rows_q[r*Width+:Width] <= line[r*Width+:Width];
      end
    end

    always_comb begin
      word = '0;
      for (int unsigned r = 0; r < Rows; r++) word |= rows_q[r*Width+:Width];
    end

    always_ff @(posedge clk_i) begin
      if (step) data_o <= word;
    end
  end

endmodule

`default_nettype wire
