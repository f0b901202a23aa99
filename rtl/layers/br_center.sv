// br_center: stored pixels to the signed input of the stem.
// Function       x = p - m_c
// Stream in      beat = Lanes pixels p of 8 bits unsigned, lowest channel in the low bits
// Stream out     beat = Lanes signed numbers of OutWidth bits; tlast passes through
// Parameters     Lanes divides Channels; OutWidth 8 or 9 (checked at elaboration) and wide enough for 0-m_c..255-m_c;
//                OffsetFile: Channels/Lanes words, lane l's m_c at [l*9 +: 9], unsigned
// Latency        1
// Throughput     cycles per frame = input beats
// Back-pressure  combinational path m_axis_tready -> s_axis_tready; holds 1 beat when stalled
// Source         golden in bireal_hw/ops/center.py

`default_nettype none

module br_center #(
  parameter int unsigned Channels   = 1,  // channels of a pixel
  parameter int unsigned Lanes      = 1,  // channels in a beat
  parameter int unsigned OutWidth   = 8,  // bits of x, signed: 8 or 9
  parameter              OffsetFile = ""  // memory file of m_c, "" leaves it undefined
) (
  input  wire                       clk_i,
  input  wire                       rst_ni,
  input  wire  [       Lanes*8-1:0] s_axis_tdata,
  input  wire                       s_axis_tvalid,
  output logic                      s_axis_tready,
  input  wire                       s_axis_tlast,
  output logic [Lanes*OutWidth-1:0] m_axis_tdata,
  output logic                      m_axis_tvalid,
  input  wire                       m_axis_tready,
  output logic                      m_axis_tlast
);

  localparam int unsigned OffsetWidth = 9;
  localparam int unsigned Groups = Channels / Lanes;

  if (Lanes < 1 || Channels % Lanes != 0) begin : gen_check_lanes
    $error("br_center: Channels=%0d must be a multiple of Lanes=%0d", Channels, Lanes);
  end
  if (OutWidth < 8 || OutWidth > 9) begin : gen_check_width
    $error("br_center: OutWidth=%0d must be 8 or 9", OutWidth);
  end

  logic take, ready;
  logic [Lanes*OffsetWidth-1:0] offsets_q;
  logic [Lanes*8-1:0] pixels_q;

  assign s_axis_tready = ready && (!m_axis_tvalid || m_axis_tready);
  assign take = s_axis_tvalid && s_axis_tready;

  br_constants #(
    .Width(Lanes * OffsetWidth),
    .Depth(Groups),
    .File (OffsetFile)
  ) u_offsets (
    .clk_i,
    .rst_ni,
    .next_i (take),
    .ready_o(ready),
    .data_o (offsets_q)
  );

  always_ff @(posedge clk_i) begin
    if (take) begin
      pixels_q     <= s_axis_tdata;
      m_axis_tlast <= s_axis_tlast;
    end
    if (s_axis_tready) m_axis_tvalid <= s_axis_tvalid;
    if (!rst_ni) m_axis_tvalid <= 1'b0;
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    // fault: other-offset
    assign m_axis_tdata[l*OutWidth+:OutWidth] =
        OutWidth'({1'b0, pixels_q[l*8+:8]} - offsets_q[l*OffsetWidth+:OffsetWidth]);
  end

endmodule

`default_nettype wire
