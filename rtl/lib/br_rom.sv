// br_rom: read-only memory with a registered output, initialised from a file.
// Function       data_o <= mem[addr_i] at a clock edge with en_i high; data_o holds otherwise
// Stream in      none: addr_i, en_i form a plain memory port; addr_i < Depth
// Stream out     none: data_o
// Parameters     Width bits a word, Depth words; File is a $readmemh file of Depth lines, "" leaves the words undefined
// Latency        1 cycle from an enabled address to its word
// Throughput     one word a cycle
// Back-pressure  en_i low holds the word
// Source         memory formats: docs/architecture.md, section 4
`default_nettype none

module br_rom #(
  parameter  int unsigned Width     = 8,                        // bits of a word
  parameter  int unsigned Depth     = 16,                       // words, 1 or more
  parameter               File      = "",                       // $readmemh file of Depth lines; "": undefined
  localparam int unsigned AddrWidth = br_pkg::idx_width(Depth)
) (
  input  wire                  clk_i,
  input  wire                  en_i,
  input  wire  [AddrWidth-1:0] addr_i,
  output logic [    Width-1:0] data_o
);

  if (Width < 1) begin : gen_check_width
    $error("br_rom: Width=%0d must be at least 1", Width);
  end
  if (Depth < 1) begin : gen_check_depth
    $error("br_rom: Depth=%0d must be at least 1", Depth);
  end

  /* verilator lint_off UNDRIVEN */  // without a file
  logic [Width-1:0] mem[Depth];
  /* verilator lint_on UNDRIVEN */

  if (File != "") begin : gen_file
    initial $readmemh(File, mem);
  end

  always_ff @(posedge clk_i) begin
    if (en_i) data_o <= mem[addr_i];
  end

endmodule

`default_nettype wire
