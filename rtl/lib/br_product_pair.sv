// br_product_pair: products of one number by two weights, in one multiplier of InWidth+15 by InWidth bits.
// Function       y0_o = w0*x, y1_o + borrow_o = w1*x, exactly, for w0, w1 in -127..127 and every x; all but borrow_o
//                signed
// Ports          weights_i = w1*2^8 + w0 in two's complement
// Parameters     InWidth = bits of x; up to 10 the multiplier is one DSP48E1 (25 x 18 bits), up to 12 one DSP48E2
//                (27 x 18 bits)
// Latency        1 cycle
// Throughput     two products a cycle with en_i
// Back-pressure  en_i low holds the results
// Source         (w1*2^LowWidth + w0)*x holds w0*x in its low bits: |w0*x| <= 127*2^(InWidth-1) < 2^(LowWidth-1). Where
//                that is negative it has borrowed one from what lies above. Weights as such a number need no adder: its
//                upper half has lent already. Proven for every w0, w1, x of 8 bits in
//                tests/rtl_lib/test_product_pair.py
`default_nettype none

module br_product_pair #(
  parameter  int unsigned InWidth      = 8,                     // bits of x, signed
  localparam int unsigned WeightWidth  = 8,
  localparam int unsigned ProductWidth = InWidth + WeightWidth
) (
  input  wire                             clk_i,
  input  wire                             en_i,
  input  wire         [2*WeightWidth-1:0] weights_i,
  input  wire signed  [      InWidth-1:0] x_i,
  output logic signed [ ProductWidth-1:0] y0_o,
  output logic signed [ ProductWidth-1:0] y1_o,
  output logic                            borrow_o
);

  localparam int unsigned LowWidth = ProductWidth - 1;
  localparam int unsigned SpreadWidth = LowWidth + WeightWidth;

  logic signed [WeightWidth-1:0] upper, lower;
  logic signed [SpreadWidth-1:0] spread;
  logic signed [SpreadWidth+InWidth-1:0] product_q;

  assign {upper, lower} = weights_i;
  assign spread         = {upper, LowWidth'(lower)};

  always_ff @(posedge clk_i) begin
    if (en_i) product_q <= spread * x_i;
  end

  assign y0_o     = ProductWidth'($signed(product_q[LowWidth-1:0]));
  assign y1_o     = product_q[LowWidth+:ProductWidth];
  assign borrow_o = product_q[LowWidth-1];

endmodule

`default_nettype wire
