// br_saturate: clips a signed number to fewer bits (combinational).
// Function       out_o = min(max(in_i, -2^(OutWidth-1)), 2^(OutWidth-1) - 1)
// Parameters     1 <= OutWidth < InWidth (checked at elaboration)
// Source         golden is saturate() in bireal_hw/ir/encoding.py

`default_nettype none

module br_saturate #(
  parameter int unsigned InWidth  = 9,  // bits of in_i, signed
  parameter int unsigned OutWidth = 8   // bits of out_o, signed; 1 or more and less than InWidth
) (
  input  wire signed  [ InWidth-1:0] in_i,
  output logic signed [OutWidth-1:0] out_o
);

  if (OutWidth < 1 || OutWidth >= InWidth) begin : gen_check
    $error("br_saturate: OutWidth=%0d must be at least 1 and less than InWidth=%0d", OutWidth, InWidth);
  end

  logic negative, fits;

  assign negative = in_i[InWidth-1];
  assign fits = in_i[InWidth-1:OutWidth-1] == {(InWidth - OutWidth + 1) {negative}};

  always_comb begin
    out_o = in_i[OutWidth-1:0];
    // fault: wraps
    if (!fits) begin
      out_o = {OutWidth{!negative}};
      out_o[OutWidth-1] = negative;
    end
  end

endmodule

`default_nettype wire
