// br_concat: the channels of two streams behind each other.
// Function       out[c] = in[c] for c < Channels, then other[c - Channels], OtherChannels of them; in OutWidth bits
// Stream in      s_axis: beat = OutLanes signed numbers of InWidth bits of one pixel; s_axis_other: the same of OtherWidth
//                bits; lowest channel in the low bits. A pixel's beats of the first are taken, then those of the other
// Stream out     beat = OutLanes signed numbers of OutWidth bits; tlast is that of s_axis_other
// Parameters     OutLanes divides Channels and OtherChannels; OutWidth >= InWidth and OtherWidth (checked at elaboration)
// Latency        1: output register
// Throughput     cycles per frame = output beats = beats of both inputs
// Back-pressure  combinational path m_axis_tready -> s_axis_tready and s_axis_other_tready; holds 1 beat when stalled
// Source         golden in bireal_hw/ops/concat.py

`default_nettype none

module br_concat #(
  parameter int unsigned Channels      = 1,   // channels of a pixel of the first stream
  parameter int unsigned OtherChannels = 1,   // of the other one
  parameter int unsigned OutLanes      = 1,   // channels in a beat; divides both
  parameter int unsigned InWidth       = 16,  // bits of a number of the first stream, signed
  parameter int unsigned OtherWidth    = 16,  // of the other one
  parameter int unsigned OutWidth      = 16   // of the output; at least both
) (
  input  wire                            clk_i,
  input  wire                            rst_ni,
  input  wire  [   OutLanes*InWidth-1:0] s_axis_tdata,
  input  wire                            s_axis_tvalid,
  output logic                           s_axis_tready,
  input  wire                            s_axis_tlast,
  input  wire  [OutLanes*OtherWidth-1:0] s_axis_other_tdata,
  input  wire                            s_axis_other_tvalid,
  output logic                           s_axis_other_tready,
  input  wire                            s_axis_other_tlast,
  output logic [  OutLanes*OutWidth-1:0] m_axis_tdata,
  output logic                           m_axis_tvalid,
  input  wire                            m_axis_tready,
  output logic                           m_axis_tlast
);

  if (OutLanes < 1 || Channels % OutLanes != 0 || OtherChannels % OutLanes != 0) begin : gen_check_lanes
    $error(
        "br_concat: Channels=%0d and OtherChannels=%0d must be multiples of OutLanes=%0d",
        Channels,
        OtherChannels,
        OutLanes
    );
  end
  if (OutWidth < InWidth || OutWidth < OtherWidth) begin : gen_check_width
    $error("br_concat: OutWidth=%0d must be at least InWidth=%0d and OtherWidth=%0d", OutWidth, InWidth, OtherWidth);
  end

  localparam int unsigned First = Channels / OutLanes;
  localparam int unsigned Beats = First + OtherChannels / OutLanes;
  localparam int unsigned BeatWidth = br_pkg::idx_width(Beats);

  logic [BeatWidth-1:0] beat_q;
  logic other_q, advance, take;

  assign advance             = !m_axis_tvalid || m_axis_tready;
  assign s_axis_tready       = advance && !other_q;
  assign s_axis_other_tready = advance && other_q;
  assign take                = advance && (other_q ? s_axis_other_tvalid : s_axis_tvalid);

  always_ff @(posedge clk_i) begin
    if (advance) begin
      m_axis_tvalid <= take;
      m_axis_tlast  <= other_q && s_axis_other_tlast;
    end
    if (take) begin
      beat_q <= beat_q == BeatWidth'(Beats - 1) ? '0 : beat_q + 1'b1;
      if (beat_q == BeatWidth'(First - 1)) other_q <= 1'b1;
      if (beat_q == BeatWidth'(Beats - 1)) other_q <= 1'b0;
    end
    if (!rst_ni) begin
      m_axis_tvalid <= 1'b0;
      beat_q        <= '0;
      other_q       <= 1'b0;
    end
  end

  for (genvar l = 0; l < OutLanes; l++) begin : gen_lane
    logic signed [InWidth-1:0] a;
    logic signed [OtherWidth-1:0] b;
    assign a = s_axis_tdata[l*InWidth+:InWidth];
    // fault: other-lane
    assign b = s_axis_other_tdata[l*OtherWidth+:OtherWidth];

    always_ff @(posedge clk_i) begin
      if (advance) m_axis_tdata[l*OutWidth+:OutWidth] <= other_q ? OutWidth'(b) : OutWidth'(a);
    end
  end

  logic unused;
  assign unused = &{1'b0, s_axis_tlast};

endmodule

`default_nettype wire
