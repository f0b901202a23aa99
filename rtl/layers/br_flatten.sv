// br_flatten: an image as one pixel of all its numbers; wires only, as the beats stay as they are.
// Function       beat i of the pixel = beat i of the image
// Stream in      beat = Lanes numbers of InWidth bits of one pixel; rows from the top, pixels from the left, channels
//                ascending, lowest channel in the low bits
// Stream out     the same beats, in the same order; tlast passes through
// Parameters     Lanes >= 1, InWidth >= 1
// Latency        0: combinational, nothing is stored
// Throughput     cycles per frame = input beats
// Back-pressure  combinational path m_axis_tready -> s_axis_tready; holds 0 beats
// Source         golden in bireal_hw/ops/flatten.py

`default_nettype none

module br_flatten #(
  parameter int unsigned Lanes   = 1,  // channels in a beat
  parameter int unsigned InWidth = 8   // bits of a number
) (
  input  wire                      clk_i,
  input  wire                      rst_ni,
  input  wire  [Lanes*InWidth-1:0] s_axis_tdata,
  input  wire                      s_axis_tvalid,
  output logic                     s_axis_tready,
  input  wire                      s_axis_tlast,
  output logic [Lanes*InWidth-1:0] m_axis_tdata,
  output logic                     m_axis_tvalid,
  input  wire                      m_axis_tready,
  output logic                     m_axis_tlast
);

  // fault: lanes-turned
  assign m_axis_tdata  = s_axis_tdata;
  assign m_axis_tvalid = s_axis_tvalid;
  assign m_axis_tlast  = s_axis_tlast;
  assign s_axis_tready = m_axis_tready;

  logic unused;
  assign unused = &{1'b0, clk_i, rst_ni};

endmodule

`default_nettype wire
