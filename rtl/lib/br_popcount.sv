// br_popcount: number of positions at which two words agree: XNOR and population count of a binary dot product.
// Function       count_o + carry_o = popcount(xnor(a_i, b_i)), or Width/2 rounded down where half_i is set; carry_o is
//                position 0 on its own, for the carry input of the adder behind
// Parameters     Width = positions, at least 1 (checked); Tree = counted by br_popcount_tree, the default where the macro
//                SYNTHESIS is set; else the tool counts, the default in simulation: the same numbers on both outputs,
//                sooner, but in more LUTs
// Latency        1 cycle with en_i; the results hold while en_i is low
// Source         a tree of more than 15 positions has its registers in front of its last adder: docs/datapath.md

`ifdef SYNTHESIS
`define BR_TREE 1'b1
`else
`define BR_TREE 1'b0
`endif

`default_nettype none

module br_popcount #(
  parameter int unsigned Width = 8,
  parameter bit          Tree  = `BR_TREE,
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

  if (Tree && Width > 16) begin : gen_halves
    localparam int unsigned First = Width / 2 - 1;
    localparam int unsigned Second = Width - 2 - First;
    logic [br_pkg::cnt_width(First)-1:0] first, first_q;
    logic [br_pkg::cnt_width(Second)-1:0] second, second_q;
    logic carry_q, unused_low;

    br_popcount_tree #(.Width(First)) i_first (.a_i(a_i[2+:First]), .b_i(b_i[2+:First]), .count_o(first));
    br_popcount_tree #(.Width(Second)) i_second (
      .a_i(a_i[Width-1-:Second]), .b_i(b_i[Width-1-:Second]), .count_o(second)
    );

    always_ff @(posedge clk_i) begin
      if (en_i) begin
        first_q  <= half_i ? $bits(first)'(First) : first;
        second_q <= half_i ? '0 : second;
        carry_q  <= half_i || a_i[1] == b_i[1];
      end
    end

    assign {count_o, unused_low} = {CountWidth'(first_q), carry_q} + {CountWidth'(second_q), carry_q};
  end else begin : gen_count
    logic [CountWidth-1:0] count;

    if (Width == 1) begin : gen_none
      assign count = '0;
    end else if (Tree) begin : gen_tree
      br_popcount_tree #(.Width(Width - 1)) i_tree (.a_i(a_i[Width-1:1]), .b_i(b_i[Width-1:1]), .count_o(count));
    end else begin : gen_ones
      assign count = CountWidth'($countones(~(a_i[Width-1:1] ^ b_i[Width-1:1])));
    end

    always_ff @(posedge clk_i) begin
      if (en_i) count_o <= half_i ? CountWidth'(Width / 2) : count;
    end
  end

endmodule

`undef BR_TREE
`default_nettype wire
