// br_sign: fixed-point stream to bits.
// Function       bit = 1 (meaning +1) where x >= t_c, else 0 (meaning -1); t_c = 0 unless TWidth > 0
// Stream in      beat = Lanes signed numbers of InWidth bits, lowest channel in the low bits
// Stream out     beat = Lanes bits, lowest channel in bit 0; tlast passes through
// Parameters     Lanes divides Channels, InWidth >= 1; TWidth = 0: no thresholds, and Channels is not used;
//                ThresholdFile: Channels/Lanes words, lane l's t_c at [l*TWidth +: TWidth], signed
// Latency        0: combinational, nothing is stored; 1 with thresholds
// Throughput     cycles per frame = input beats
// Back-pressure  combinational path m_axis_tready -> s_axis_tready; holds 0 beats, 1 with thresholds
// Source         paper, section 3.1; RSign, arXiv:2003.03488; golden in bireal_hw/ops/sign.py

`default_nettype none

module br_sign #(
  parameter int unsigned Lanes         = 1,      // channels in a beat; divides Channels
  parameter int unsigned InWidth       = 16,     // bits of x, signed
  parameter int unsigned Channels      = Lanes,  // channels of a pixel; not used without thresholds
  parameter int unsigned TWidth        = 0,      // bits of t_c, signed; 0 for no thresholds
  parameter              ThresholdFile = ""      // memory file of t_c
) (
  input  wire                      clk_i,
  input  wire                      rst_ni,
  input  wire  [Lanes*InWidth-1:0] s_axis_tdata,
  input  wire                      s_axis_tvalid,
  output logic                     s_axis_tready,
  input  wire                      s_axis_tlast,
  output logic [        Lanes-1:0] m_axis_tdata,
  output logic                     m_axis_tvalid,
  input  wire                      m_axis_tready,
  output logic                     m_axis_tlast
);

  if (TWidth == 0) begin : gen_msb
    assign s_axis_tready = m_axis_tready;
    assign m_axis_tvalid = s_axis_tvalid;
    assign m_axis_tlast  = s_axis_tlast;

    for (genvar l = 0; l < Lanes; l++) begin : gen_lane
      // fault: sign-of-zero
      assign m_axis_tdata[l] = !s_axis_tdata[(l+1)*InWidth-1];
    end

    logic unused;
    assign unused = &{1'b0, clk_i, rst_ni, s_axis_tdata};
  end else begin : gen_thresholds
    localparam int unsigned Groups = Channels / Lanes;
    localparam int unsigned CompareWidth = br_pkg::max2(InWidth, TWidth);

    if (Lanes < 1 || Channels % Lanes != 0) begin : gen_check
      $error("br_sign: Channels=%0d must be a multiple of Lanes=%0d", Channels, Lanes);
    end

    logic take, ready;
    logic [Lanes*TWidth-1:0] thresholds_q;
    logic [Lanes*InWidth-1:0] x_q;

    assign s_axis_tready = ready && (!m_axis_tvalid || m_axis_tready);
    assign take = s_axis_tvalid && s_axis_tready;

    br_constants #(
      .Width(Lanes * TWidth),
      .Depth(Groups),
      .File (ThresholdFile)
    ) u_thresholds (
      .clk_i,
      .rst_ni,
      .next_i (take),
      .ready_o(ready),
      .data_o (thresholds_q)
    );

    always_ff @(posedge clk_i) begin
      if (take) begin
        x_q          <= s_axis_tdata;
        m_axis_tlast <= s_axis_tlast;
      end
      if (s_axis_tready) m_axis_tvalid <= s_axis_tvalid;
      if (!rst_ni) m_axis_tvalid <= 1'b0;
    end

    for (genvar l = 0; l < Lanes; l++) begin : gen_lane
      // fault: threshold-itself
      assign m_axis_tdata[l] = CompareWidth'(signed'(x_q[l*InWidth+:InWidth])) >=
                               CompareWidth'(signed'(thresholds_q[l*TWidth+:TWidth]));
    end
  end

endmodule

`default_nettype wire
