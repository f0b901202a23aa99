// br_count3: number of positions at which two words of three bits agree (combinational).
// Function       count_o = popcount(xnor(a_i, b_i)): the first level of br_popcount_tree
// Source         two functions of six inputs: two LUTs of six inputs take three positions to two bits

`default_nettype none

// verilog_format: off
(* keep_hierarchy = "yes" *)  // the mapping of many of them at once finds fewer and wider functions
// verilog_format: on
module br_count3 (
  input  wire  [2:0] a_i,
  input  wire  [2:0] b_i,
  output logic [1:0] count_o
);

  logic [2:0] agree;

  assign agree   = ~(a_i ^ b_i);
  assign count_o = {(agree[0] & agree[1]) | (agree[0] & agree[2]) | (agree[1] & agree[2]), ^agree};

endmodule

`default_nettype wire
