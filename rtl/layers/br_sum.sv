// br_sum: two streams added and saturated.
// Function       y = a + b, saturated to OutWidth bits
// Stream in      s_axis: beat = Lanes signed numbers a of InWidth bits; s_axis_addend: beat = Lanes signed numbers b of
//                AddendWidth bits; lowest channel in the low bits; beats are taken in pairs
// Stream out     beat = Lanes signed numbers of OutWidth bits; tlast is that of s_axis
// Parameters     Lanes >= 1 (checked at elaboration)
// Latency        2: operands, sum
// Throughput     cycles per frame = input beats
// Back-pressure  combinational path m_axis_tready -> s_axis_tready and s_axis_addend_tready, and from the valid of
//                either input to the ready of the other; holds 2 beats when stalled
// Source         golden in bireal_hw/ops/sum.py

`default_nettype none

module br_sum #(
  parameter int unsigned Lanes       = 1,   // channels in a beat, 1 or more
  parameter int unsigned InWidth     = 16,  // bits of a, signed
  parameter int unsigned AddendWidth = 16,  // bits of b, signed
  parameter int unsigned OutWidth    = 16   // bits of y, signed
) (
  input  wire                          clk_i,
  input  wire                          rst_ni,
  input  wire  [    Lanes*InWidth-1:0] s_axis_tdata,
  input  wire                          s_axis_tvalid,
  output logic                         s_axis_tready,
  input  wire                          s_axis_tlast,
  input  wire  [Lanes*AddendWidth-1:0] s_axis_addend_tdata,
  input  wire                          s_axis_addend_tvalid,
  output logic                         s_axis_addend_tready,
  input  wire                          s_axis_addend_tlast,
  output logic [   Lanes*OutWidth-1:0] m_axis_tdata,
  output logic                         m_axis_tvalid,
  input  wire                          m_axis_tready,
  output logic                         m_axis_tlast
);

  localparam int unsigned SumWidth = br_pkg::max2(br_pkg::max2(InWidth, AddendWidth), OutWidth) + 1;

  if (Lanes < 1) begin : gen_check
    $error("br_sum: Lanes=%0d must be at least 1", Lanes);
  end

  // Both stages advance together, whenever the last one is empty or handed over.
  logic advance, take, valid_q, last_q;

  assign advance = !m_axis_tvalid || m_axis_tready;
  assign take = advance && s_axis_tvalid && s_axis_addend_tvalid;
  assign s_axis_tready = advance && s_axis_addend_tvalid;
  assign s_axis_addend_tready = advance && s_axis_tvalid;

  always_ff @(posedge clk_i) begin
    if (advance) begin
      valid_q       <= take;
      last_q        <= s_axis_tlast;
      m_axis_tvalid <= valid_q;
      m_axis_tlast  <= last_q;
    end
    if (!rst_ni) begin
      valid_q       <= 1'b0;
      m_axis_tvalid <= 1'b0;
    end
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic signed [InWidth-1:0] a_q;
    logic signed [AddendWidth-1:0] b_q;
    logic signed [OutWidth-1:0] out;

    br_saturate #(
      .InWidth (SumWidth),
      .OutWidth(OutWidth)
    ) u_saturate (
      // fault: addend-dropped
      .in_i (SumWidth'(a_q) + SumWidth'(b_q)),
      .out_o(out)
    );

    always_ff @(posedge clk_i) begin
      if (advance) begin
        a_q <= s_axis_tdata[l*InWidth+:InWidth];
        b_q <= s_axis_addend_tdata[l*AddendWidth+:AddendWidth];

        m_axis_tdata[l*OutWidth+:OutWidth] <= out;
      end
    end
  end

  logic unused;
  assign unused = &{1'b0, s_axis_addend_tlast};

endmodule

`default_nettype wire
