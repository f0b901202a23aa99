// br_sign: fixed-point stream to bits.
// Function       bit = 1 (meaning +1) where x >= 0, else 0 (meaning -1)
// Stream in      beat = Lanes signed numbers of InWidth bits, lowest channel in the low bits
// Stream out     beat = Lanes bits, lowest channel in bit 0; tlast passes through
// Parameters     Lanes >= 1, InWidth >= 1
// Latency        0: combinational, nothing is stored
// Throughput     cycles per frame = input beats
// Back-pressure  combinational path m_axis_tready -> s_axis_tready; holds 0 beats
// Source         paper, section 3.1; golden in bireal_hw/ops/sign.py

`default_nettype none

module br_sign #(
  parameter int unsigned Lanes   = 1,  // channels in a beat
  parameter int unsigned InWidth = 16  // bits of x
) (
  input  wire                           clk_i,
  input  wire                           rst_ni,
  input  wire       [Lanes*InWidth-1:0] s_axis_tdata,
  input  wire                           s_axis_tvalid,
  output logic                          s_axis_tready,
  input  wire                           s_axis_tlast,
  output logic      [Lanes-1:0]         m_axis_tdata,
  output logic                          m_axis_tvalid,
  input  wire                           m_axis_tready,
  output logic                          m_axis_tlast
);

  assign s_axis_tready = m_axis_tready;
  assign m_axis_tvalid = s_axis_tvalid;
  assign m_axis_tlast  = s_axis_tlast;

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    assign m_axis_tdata[l] = !s_axis_tdata[(l+1)*InWidth-1];
  end

  logic unused;
  assign unused = &{1'b0, clk_i, rst_ni, s_axis_tdata};

endmodule

`default_nettype wire
