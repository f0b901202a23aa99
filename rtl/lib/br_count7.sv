// br_count7: sum, 0 to 7, of three bits, two positions at which words may agree, and a bit of twice the weight
//            (combinational).
// Function       count_o = popcount(ones_i) + popcount(xnor(a_i, b_i)) + 2*two_i
// Source         carry-save addition on a carry chain: the chain adds the numbers {two_i, ones_i[2]} and {how many of
//                three bits}, and ones_i[0] as its carry. Each of its two bits is one LUT of six inputs, where the
//                second number is a function of five; six bits go in and three come out.

`default_nettype none

// verilog_format: off
(* keep_hierarchy = "yes" *)
// verilog_format: on
module br_count7 (
  input  wire  [2:0] ones_i,
  input  wire  [1:0] a_i,
  input  wire  [1:0] b_i,
  input  wire        two_i,
  output logic [2:0] count_o
);

  logic [2:0] bits;
  logic [1:0] second;
  logic unused_borrow;

  assign bits   = {ones_i[1], ~(a_i ^ b_i)};
  assign second = {(bits[0] & bits[1]) | (bits[0] & bits[2]) | (bits[1] & bits[2]), ^bits};

  // x + y + carry as x - ~y - !carry: of a sum, synthesis takes either number for the one that enters the chain as it
  // is; of a difference, the first. The lowest bit makes the carry.
  assign {count_o, unused_borrow} = {1'b0, two_i, ones_i[2], ones_i[0]} - {1'b1, ~second, 1'b1};

endmodule

`default_nettype wire
