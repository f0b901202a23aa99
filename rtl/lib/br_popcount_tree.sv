// br_popcount_tree: number of positions at which two words agree, for LUTs of six inputs with carry chains.
// Function       count_o = popcount(xnor(a_i, b_i)), or Half where half_i is set
// Parameters     Width positions, at least 1; Half at most Width (checked at elaboration)
// Latency        1 cycle with en_i; the result holds while en_i is low
// Throughput     one pair of words a cycle with en_i
// Back-pressure  en_i low holds the result
// Source         br_count3 takes positions to bits of weight 1 and 2, br_count7 these to a number of up to 15
//                positions, which goes into registers; more are two halves and one position on its own, which is the
//                carry of the adder that joins them. Widths of 2^n - 1 waste nothing. docs/datapath.md: drawing,
//                figures

`default_nettype none

module br_popcount_tree #(
  parameter  int unsigned Width      = 15,                       // positions, 1 or more
  parameter  int unsigned Half       = Width / 2,                // count_o where half_i is set; Width at most
  localparam int unsigned CountWidth = br_pkg::cnt_width(Width)
) (
  input  wire                   clk_i,
  input  wire                   en_i,
  input  wire                   half_i,
  input  wire  [     Width-1:0] a_i,
  input  wire  [     Width-1:0] b_i,
  output logic [CountWidth-1:0] count_o
);

  if (Width < 1 || Half > Width) begin : gen_check
    $error("br_popcount_tree: Width=%0d must be at least 1, Half=%0d at most that", Width, Half);
  end

  if (Width > 15) begin : gen_halves
    localparam int unsigned First = (Width - 1) / 2;
    localparam int unsigned Second = Width - 1 - First;
    localparam int unsigned FirstHalf = (Half < First) ? Half : First;
    localparam int unsigned SecondHalf = (Half - FirstHalf < Second) ? Half - FirstHalf : Second;
    logic [br_pkg::cnt_width(First)-1:0] first;
    logic [br_pkg::cnt_width(Second)-1:0] second;
    logic carry_q, unused_low;

    br_popcount_tree #(
      .Width(First),
      .Half (FirstHalf)
    ) u_first (
      .clk_i,
      .en_i,
      .half_i,
      .a_i    (a_i[1+:First]),
      .b_i    (b_i[1+:First]),
      .count_o(first)
    );
    br_popcount_tree #(
      .Width(Second),
      .Half (SecondHalf)
    ) u_second (
      .clk_i,
      .en_i,
      .half_i,
      .a_i    (a_i[Width-1-:Second]),
      .b_i    (b_i[Width-1-:Second]),
      .count_o(second)
    );

    always_ff @(posedge clk_i) begin
      if (en_i) carry_q <= half_i ? (FirstHalf + SecondHalf < Half) : a_i[0] == b_i[0];
    end

    assign {count_o, unused_low} = {CountWidth'(first), carry_q} + {CountWidth'(second), carry_q};
  end else begin : gen_leaf
    localparam int unsigned Triples = (Width + 2) / 3;
    localparam int unsigned Leaf = (Width == 1) ? 1 : (Width > 3 && Width <= 7) ? 7 : 3 * Triples;
    logic [Leaf-1:0] a, b;  // positions behind the last do not agree
    logic [br_pkg::cnt_width(Leaf)-1:0] count;

    always_comb begin
      a = '0;
      b = '1;
      a[Width-1:0] = a_i;
      b[Width-1:0] = b_i;
    end

    if (Leaf == 1) begin : gen_one
      assign count = a == b;
    end else if (Leaf == 3) begin : gen_three
      br_count3 u_count3 (
        .a_i    (a),
        .b_i    (b),
        .count_o(count)
      );
    end else if (Leaf == 7) begin : gen_seven
      logic [1:0] triple;
      br_count3 u_count3 (
        .a_i    (a[2:0]),
        .b_i    (b[2:0]),
        .count_o(triple)
      );
      br_count7 u_count7 (
        .ones_i ({~(a[6:5] ^ b[6:5]), triple[0]}),
        .a_i    (a[4:3]),
        .b_i    (b[4:3]),
        .two_i  (triple[1]),
        .count_o(count)
      );
    end else begin : gen_fifteen
      logic [4:0] ones, twos;
      logic two, four;
      for (genvar i = 0; i < 5; i++) begin : gen_triple
        if (i < Triples) begin : gen_used
          br_count3 u_count3 (
            .a_i    (a[3*i+:3]),
            .b_i    (b[3*i+:3]),
            .count_o({twos[i], ones[i]})
          );
        end else begin : gen_unused
          assign {twos[i], ones[i]} = 2'b00;
        end
      end
      br_count7 u_ones (
        .ones_i (ones[2:0]),
        .a_i    (ones[4:3]),
        .b_i    (2'b11),
        .two_i  (twos[0]),
        .count_o({four, two, count[0]})
      );
      br_count7 u_twos (
        .ones_i ({twos[2:1], two}),
        .a_i    (twos[4:3]),
        .b_i    (2'b11),
        .two_i  (four),
        .count_o(count[3:1])
      );
    end

    always_ff @(posedge clk_i) begin
      if (en_i) count_o <= half_i ? CountWidth'(Half) : CountWidth'(count);
    end
  end

endmodule

`default_nettype wire
