// br_popcount: number of positions at which two words agree: XNOR and population count of a binary dot product.
// Function       count_o + carry_o = popcount(xnor(a_i, b_i)), or Width/2 rounded down where half_i is set; carry_o is
//                position 0 on its own, for the carry input of the adder behind
// Parameters     Width = positions, at least 1 (checked); Tree = counted by br_popcount_tree, the default where the
//                macro SYNTHESIS is set; else the tool counts, the default in simulation: the same numbers on both
//                outputs, sooner, but in more LUTs
// Latency        1 cycle with en_i; the results hold while en_i is low
// Throughput     one pair of words a cycle with en_i
// Back-pressure  en_i low holds the result
// Source         docs/datapath.md

`ifdef SYNTHESIS
`define BR_TREE 1'b1
`else
`define BR_TREE 1'b0
`endif

`default_nettype none

module br_popcount #(
  parameter  int unsigned Width      = 8,                            // positions, 1 or more
  parameter  bit          Tree       = `BR_TREE,                     // 1: br_popcount_tree counts, 0: $countones
  localparam int unsigned CountWidth = br_pkg::cnt_width(Width - 1)
) (
  input  wire                   clk_i,
  input  wire                   en_i,
  input  wire                   half_i,
  input  wire  [     Width-1:0] a_i,
  input  wire  [     Width-1:0] b_i,
  output logic [CountWidth-1:0] count_o,
  output logic                  carry_o
);

  if (Width < 1) begin : gen_check
    $error("br_popcount: Width=%0d must be at least 1", Width);
  end

  always_ff @(posedge clk_i) begin
    if (en_i) carry_o <= !half_i && a_i[0] == b_i[0];
  end

  if (Width == 1) begin : gen_none
    assign count_o = '0;
  end else if (Tree) begin : gen_tree
    br_popcount_tree #(
      .Width(Width - 1),
      .Half (Width / 2)
    ) u_tree (
      .clk_i,
      .en_i,
      .half_i,
      .a_i(a_i[Width-1:1]),
      .b_i(b_i[Width-1:1]),
      .count_o
    );
  end else begin : gen_ones
    always_ff @(posedge clk_i) begin
      if (en_i) begin
        // fault: xor
        count_o <= half_i ? CountWidth'(Width / 2) : CountWidth'($countones(~(a_i[Width-1:1] ^ b_i[Width-1:1])));
      end
    end
  end

endmodule

`undef BR_TREE
`default_nettype wire
