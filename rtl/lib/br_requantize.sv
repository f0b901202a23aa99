// br_requantize: per-channel offset, shift and saturation, Lanes channels at a time.
// Function       y = sat_OutWidth(((x + H) <<< LeftShift) >>> shift), H and shift per channel from ScaleFile
// Stream in      beat = Lanes signed elements of AccWidth bits, channels ascending, lowest channel in the low bits
// Stream out     beat = Lanes signed elements of OutWidth bits, likewise
// Parameters     Lanes divides Channels (checked); x and x + H fit AccWidth bits (from the ranges; not checked here);
//                scale word, lane l at [l*(SWidth+HWidth) +: ...]: shift (unsigned, SWidth bits) low, H (signed) above;
//                SWidth = 0 means that the words hold no shift and every shift is 0
// Latency        3 cycles
// Throughput     one beat a cycle
// Back-pressure  combinational path m_axis_tready -> s_axis_tready; holds 3 beats
// Source         rounding and saturation: docs/architecture.md, section 1; golden in bireal_hw/ops/real_conv.py
`default_nettype none

module br_requantize #(
  parameter int unsigned Channels  = 8,   // channels of a pixel
  parameter int unsigned Lanes     = 2,   // channels in a beat; divides Channels
  parameter int unsigned AccWidth  = 24,  // bits of x and of x + H, signed; holds every one
  parameter int unsigned HWidth    = 16,  // bits of H, signed; 1 or more
  parameter int unsigned SWidth    = 4,   // bits of a shift, unsigned; 0 for no shifts
  parameter int unsigned LeftShift = 0,   // bits by which x + H is shifted left before the shift to the right
  parameter int unsigned OutWidth  = 16,  // bits of y, signed
  parameter              ScaleFile = ""   // memory file of shifts and H
) (
  input  wire                       clk_i,
  input  wire                       rst_ni,
  input  wire  [Lanes*AccWidth-1:0] s_axis_tdata,
  input  wire                       s_axis_tvalid,
  output logic                      s_axis_tready,
  input  wire                       s_axis_tlast,
  output logic [Lanes*OutWidth-1:0] m_axis_tdata,
  output logic                      m_axis_tvalid,
  input  wire                       m_axis_tready,
  output logic                      m_axis_tlast
);

  if (Channels % Lanes != 0) begin : gen_check_lanes
    $error("br_requantize: Channels=%0d must be a multiple of Lanes=%0d", Channels, Lanes);
  end
  if (HWidth < 1) begin : gen_check_h_width
    $error("br_requantize: HWidth=%0d must be at least 1", HWidth);
  end

  localparam int unsigned Depth = Channels / Lanes;
  localparam int unsigned ScaleWidth = SWidth + HWidth;
  localparam int unsigned ShiftWidth = br_pkg::max2(SWidth, 1);
  localparam int unsigned FullWidth = AccWidth + LeftShift;

  // The pipeline moves as a whole: 1 scale word and x, 2 x + H, 3 shifted and saturated.
  logic advance, take, ready;
  logic [3:1] valid_q, last_q;
  logic [Lanes*AccWidth-1:0] x_q;
  logic [Lanes*ScaleWidth-1:0] scale;

  assign advance       = !valid_q[3] || m_axis_tready;
  assign s_axis_tready = advance && ready;
  assign take          = s_axis_tvalid && s_axis_tready;
  assign m_axis_tvalid = valid_q[3];
  assign m_axis_tlast  = last_q[3];

  br_constants #(
    .Width(Lanes * ScaleWidth),
    .Depth(Depth),
    .File (ScaleFile)
  ) u_scales (
    .clk_i,
    .rst_ni,
    .next_i (take),
    .ready_o(ready),
    .data_o (scale)
  );

  always_ff @(posedge clk_i) begin
    if (advance) begin
      valid_q <= {valid_q[2:1], take};
      last_q  <= {last_q[2:1], s_axis_tlast};
      x_q     <= s_axis_tdata;
    end
    if (!rst_ni) valid_q <= '0;
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic signed [AccWidth-1:0] x, sum_q;
    logic signed [HWidth-1:0] h;
    logic [ShiftWidth-1:0] shift, shift_q;
    logic signed [FullWidth-1:0] full;

    assign x = x_q[l*AccWidth+:AccWidth];
    assign h = scale[l*ScaleWidth+SWidth+:HWidth];
    if (SWidth == 0) begin : gen_no_shift
      assign shift = '0;
    end else begin : gen_shift
      assign shift = scale[l*ScaleWidth+:SWidth];
    end

    assign full = (FullWidth'(sum_q) <<< LeftShift) >>> shift_q;

    always_ff @(posedge clk_i) begin
      if (advance) begin
        // fault: offset-dropped
        sum_q   <= x + AccWidth'(h);
        shift_q <= shift;
      end
    end

    if (OutWidth >= FullWidth) begin : gen_extend
      always_ff @(posedge clk_i) begin
        if (advance) m_axis_tdata[l*OutWidth+:OutWidth] <= OutWidth'(full);
      end
    end else begin : gen_saturate
      logic signed [OutWidth-1:0] clipped;
      br_saturate #(
        .InWidth (FullWidth),
        .OutWidth(OutWidth)
      ) u_saturate (
        .in_i (full),
        .out_o(clipped)
      );
      always_ff @(posedge clk_i) begin
        if (advance) m_axis_tdata[l*OutWidth+:OutWidth] <= clipped;
      end
    end
  end

endmodule

`default_nettype wire
