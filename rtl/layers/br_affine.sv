// br_affine: affine of the convolution's sums, where no shortcut is added.
// Function       r' = sat((G_c*dot + H_c) >>> Shift), saturation to OutWidth bits
// Stream in      beat = Lanes signed sums dot of DotWidth bits, lowest channel in the low bits
// Stream out     beat = Lanes signed numbers of OutWidth bits; tlast passes through
// Parameters     those of br_merge, of which this is the case that the shortcut is always there and 0
// Latency        4
// Throughput     cycles per frame = input beats
// Back-pressure  combinational path m_axis_tready -> s_axis_tready; holds 4 beats when stalled
// Source         golden in bireal_hw/ops/affine.py

`default_nettype none

module br_affine #(
  parameter int unsigned Channels   = 1,   // channels of a pixel
  parameter int unsigned Lanes      = 1,   // channels in a beat; divides Channels
  parameter int unsigned DotWidth   = 8,   // bits of dot, signed
  parameter int unsigned GWidth     = 16,  // bits of G_c, signed
  parameter int unsigned HWidth     = 24,  // bits of H_c, signed
  parameter int unsigned Shift      = 8,   // bits by which the affine is shifted right
  parameter int unsigned OutWidth   = 16,  // bits of r', signed
  parameter              AffineFile = ""   // memory file of G_c and H_c, as that of br_merge
) (
  input  wire                       clk_i,
  input  wire                       rst_ni,
  input  wire  [Lanes*DotWidth-1:0] s_axis_tdata,
  input  wire                       s_axis_tvalid,
  output logic                      s_axis_tready,
  input  wire                       s_axis_tlast,
  output logic [Lanes*OutWidth-1:0] m_axis_tdata,
  output logic                      m_axis_tvalid,
  input  wire                       m_axis_tready,
  output logic                      m_axis_tlast
);

  logic unused;

  br_merge #(
    .Channels     (Channels),
    .Lanes        (Lanes),
    .DotWidth     (DotWidth),
    .ShortcutWidth(1),
    .GWidth       (GWidth),
    .HWidth       (HWidth),
    .Shift        (Shift),
    .OutWidth     (OutWidth),
    .AffineFile   (AffineFile)
  ) u_merge (
    .clk_i,
    .rst_ni,
    .s_axis_tdata,
    .s_axis_tvalid,
    .s_axis_tready,
    .s_axis_tlast,
    // fault: affine-adds
    .s_axis_shortcut_tdata ('0),
    .s_axis_shortcut_tvalid(1'b1),
    .s_axis_shortcut_tready(unused),
    .s_axis_shortcut_tlast (1'b0),
    .m_axis_tdata,
    .m_axis_tvalid,
    .m_axis_tready,
    .m_axis_tlast
  );

endmodule

`default_nettype wire
