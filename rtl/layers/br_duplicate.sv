// br_duplicate: the channels of every pixel Copies times behind each other.
// Function       out[c] = in[c mod Channels], Copies * Channels channels
// Stream in      beat = OutLanes numbers of InWidth bits of one pixel; lowest channel in the low bits
// Stream out     the same format; tlast on the frame's last beat
// Parameters     Copies >= 1, OutLanes divides Channels (checked at elaboration)
// Latency        3: as br_upsample
// Throughput     cycles per frame = output beats = Copies * input beats
// Back-pressure  no combinational path m_axis_tready -> s_axis_tready; holds two pixels of input, and 2 beats of output,
//                when stalled
// Source         golden in bireal_hw/ops/duplicate.py. The beats of a pixel with Copies times the channels are those of
//                the pixel Copies times: br_upsample along rows of one pixel

`default_nettype none

module br_duplicate #(
  parameter int unsigned Channels = 1,   // channels of a pixel of the input
  parameter int unsigned OutLanes = 1,   // channels in a beat, of input and output; divides Channels
  parameter int unsigned InWidth  = 16,  // bits of a number
  parameter int unsigned Copies   = 2    // of the channels, 1 or more
) (
  input  wire                         clk_i,
  input  wire                         rst_ni,
  input  wire  [OutLanes*InWidth-1:0] s_axis_tdata,
  input  wire                         s_axis_tvalid,
  output logic                        s_axis_tready,
  input  wire                         s_axis_tlast,
  output logic [OutLanes*InWidth-1:0] m_axis_tdata,
  output logic                        m_axis_tvalid,
  input  wire                         m_axis_tready,
  output logic                        m_axis_tlast
);

  if (OutLanes < 1 || Channels % OutLanes != 0) begin : gen_check_lanes
    $error("br_duplicate: Channels=%0d must be a multiple of OutLanes=%0d", Channels, OutLanes);
  end
  if (Copies < 1) begin : gen_check_copies
    $error("br_duplicate: Copies=%0d must be at least 1", Copies);
  end

  br_upsample #(
    .Width   (1),
    .Channels(Channels),
    .Lanes   (OutLanes),
    .InWidth (InWidth),
    // fault: copies-short
    .FactorW (Copies),
    .FactorH (1)
  ) u_upsample (
    .clk_i,
    .rst_ni,
    .s_axis_tdata,
    .s_axis_tvalid,
    .s_axis_tready,
    .s_axis_tlast,
    .m_axis_tdata,
    .m_axis_tvalid,
    .m_axis_tready,
    .m_axis_tlast
  );

endmodule

`default_nettype wire
