// br_real_conv: Kernel x Kernel convolution of integers, 8-bit weights, then offset, shift, saturation per channel.
// Function       y[o] = sat_OutWidth(((sum over taps of w[o]*x + H[o]) <<< LeftShift) >>> shift[o]); a tap outside the
//                image is an ordinary 0. Also the 1x1 shortcut and, on a 1x1 image, the classifier.
// Stream in      beat = InLanes elements of InWidth signed bits, lowest channel in the low bits; rows from the top,
//                pixels from the left; InLanes = InChannels (a whole pixel) for Kernel > 1, Simd for Kernel = 1; tlast
//                on the frame's last beat (not read for Kernel > 1)
// Stream out     beat = OutLanes signed elements of OutWidth bits, lowest output channel in the low bits; tlast
//                likewise
// Parameters     Simd divides Kernel*InChannels (the row of a window is unfolded), Pe divides OutChannels, OutLanes
//                divides Pe, PadTop + PadBottom and PadLeft + PadRight less than Kernel (checked); every sum and
//                sum + H fit AccWidth bits (from the weights; not checked here); SWidth = 0: no shift field, every
//                shift 0; Pack = 2: two output channels share a multiplier (br_real_mvu), 1: none do; WeightFile and
//                ScaleFile as docs/architecture.md, section 4 says
// Latency        L + Kernel*C + 9 + (1 if Pe > OutLanes) cycles from first input beat to first output beat, where
//                C = Kernel*InChannels/Simd and L is when the last input that the first window waits for is stored:
//                Kernel = 1: L = C - 1;
//                Kernel > 1: L = Kernel-1-PadLeft + r*R + q*S + (C if C > 1), for the unfolded pixel in row r, column q
//                that completes the window, (Kernel-1-PadTop, 0) or, if Height <= Kernel-1-PadTop, (Height-1, Wo-1);
//                pixels are unfolded every S = max(Stride, C) cycles, rows every R = (Wo-1)*S + max(Width -
//                (Wo-1)*Stride, C, Kernel - PadLeft - Width); the output image is Ho x Wo
// Throughput     a frame every max(input beats, Ho*Wo*(OutChannels/Pe)*Kernel*C, output beats) cycles; for Kernel > 1
//                also at least Height*R, which is more only where windows are few: no padding, rows left over below
// Back-pressure  no combinational path m_axis_tready -> s_axis_tready; for Kernel > 1 and Simd = Kernel*InChannels a
//                combinational path s_axis_tvalid, s_axis_tdata -> write port of the window buffer
// Source         arXiv:1808.00278, section 4 (real-valued layers); golden in bireal_hw/ops/real_conv.py
`default_nettype none

module br_real_conv #(
  parameter  int unsigned Height      = 8,                                // rows of an image
  parameter  int unsigned Width       = 8,                                // columns of an image
  parameter  int unsigned InChannels  = 3,                                // channels of a pixel in
  parameter  int unsigned OutChannels = 8,                                // channels of a pixel out
  parameter  int unsigned Kernel      = 3,                                // taps along each side of a window
  parameter  int unsigned Stride      = 1,                                // pixels between two windows; >= 1
  parameter  int unsigned PadTop      = 1,                                // rows of padding above
  parameter  int unsigned PadLeft     = 1,                                // columns of padding on the left
  parameter  int unsigned PadBottom   = 1,                                // below; with PadTop less than Kernel
  parameter  int unsigned PadRight    = 1,                                // right; with PadLeft less than Kernel
  parameter  int unsigned Pe          = 2,                                // sums at a time; divides OutChannels
  parameter  int unsigned Simd        = 3,                                // taps a beat; divides Kernel*InChannels
  parameter  int unsigned OutLanes    = 1,                                // output channels in a beat; divides Pe
  parameter  int unsigned InWidth     = 8,                                // bits of x, signed; 2 or more
  parameter  int unsigned AccWidth    = 24,                               // bits of sums and sums + H; holds all
  parameter  int unsigned HWidth      = 16,                               // bits of H, signed; 1 or more
  parameter  int unsigned SWidth      = 4,                                // bits of a shift; 0 for no shifts
  parameter  int unsigned LeftShift   = 0,                                // left shift before the right one
  parameter  int unsigned OutWidth    = 16,                               // bits of y, signed
  parameter  int unsigned Pack        = 1,                                // output channels to a multiplier: 1, 2
  parameter               WeightFile  = "",                               // docs/architecture.md, section 4
  parameter               ScaleFile   = "",                               // as that of br_requantize
  localparam int unsigned InLanes     = (Kernel > 1) ? InChannels : Simd
) (
  input  wire                          clk_i,
  input  wire                          rst_ni,
  input  wire  [  InLanes*InWidth-1:0] s_axis_tdata,
  input  wire                          s_axis_tvalid,
  output logic                         s_axis_tready,
  input  wire                          s_axis_tlast,
  output logic [OutLanes*OutWidth-1:0] m_axis_tdata,
  output logic                         m_axis_tvalid,
  input  wire                          m_axis_tready,
  output logic                         m_axis_tlast
);

  if (OutChannels % Pe != 0) begin : gen_check_pe
    $error("br_real_conv: OutChannels=%0d must be a multiple of Pe=%0d", OutChannels, Pe);
  end
  if ((Kernel * InChannels) % Simd != 0) begin : gen_check_simd
    $error("br_real_conv: Kernel*InChannels=%0d must be a multiple of Simd=%0d", Kernel * InChannels, Simd);
  end
  if (Pe % OutLanes != 0) begin : gen_check_out_lanes
    $error("br_real_conv: Pe=%0d must be a multiple of OutLanes=%0d", Pe, OutLanes);
  end

  localparam int unsigned RowChannels = Kernel * InChannels;
  localparam int unsigned RowWidth = (Kernel > 1) ? br_pkg::out_size(Width, Kernel, Stride, PadLeft + PadRight) : Width;
  localparam int unsigned Folds = OutChannels / Pe;
  localparam int unsigned WeightDepth = Folds * Kernel * (RowChannels / Simd);

  // ---- Unfold: a pixel becomes the Kernel taps of one window row, which the window buffer then stacks -------------
  logic [Simd*InWidth-1:0] row_tdata;
  logic row_tvalid, row_tready, row_tlast;

  if (Kernel > 1) begin : gen_unfold
    logic [RowChannels*InWidth-1:0] wide_tdata;
    logic wide_tvalid, wide_tready, wide_tlast;

    br_unfold #(
      .Height   (Height),
      .Width    (Width),
      .Channels (InChannels),
      .ElemWidth(InWidth),
      .Kernel   (Kernel),
      .Stride   (Stride),
      .PadLeft  (PadLeft),
      .PadRight (PadRight)
    ) u_unfold (
      .clk_i,
      .rst_ni,
      .s_axis_tdata,
      .s_axis_tvalid,
      .s_axis_tready,
      .s_axis_tlast,
      .m_axis_tdata (wide_tdata),
      .m_axis_tvalid(wide_tvalid),
      .m_axis_tready(wide_tready),
      .m_axis_tlast (wide_tlast)
    );

    br_width_converter #(
      .ElemWidth(InWidth),
      .InLanes  (RowChannels),
      .OutLanes (Simd)
    ) u_converter (
      .clk_i,
      .rst_ni,
      .s_axis_tdata (wide_tdata),
      .s_axis_tvalid(wide_tvalid),
      .s_axis_tready(wide_tready),
      .s_axis_tlast (wide_tlast),
      .m_axis_tdata (row_tdata),
      .m_axis_tvalid(row_tvalid),
      .m_axis_tready(row_tready),
      .m_axis_tlast (row_tlast)
    );
  end else begin : gen_direct
    assign row_tdata     = s_axis_tdata;
    assign row_tvalid    = s_axis_tvalid;
    assign row_tlast     = s_axis_tlast;
    assign s_axis_tready = row_tready;
  end

  // ---- Windows ----------------------------------------------------------------------------------------------------
  logic [Simd*InWidth-1:0] window_tdata;
  logic window_tpad, window_tend, window_tvalid, window_tready, window_tlast;

  br_window #(
    .Height   (Height),
    .Width    (RowWidth),
    .Channels (RowChannels),
    .ElemWidth(InWidth),
    .Lanes    (Simd),
    .KernelH  (Kernel),
    .KernelW  (1),
    .StrideH  (Stride),
    .StrideW  ((Kernel > 1) ? 1 : Stride),
    .PadTop   (PadTop),
    .PadLeft  (0),
    .PadBottom(PadBottom),
    .PadRight (0),
    .Folds    (Folds),
    .MaskPad  (1'b1)
  ) u_window (
    .clk_i,
    .rst_ni,
    .s_axis_tdata (row_tdata),
    .s_axis_tvalid(row_tvalid),
    .s_axis_tready(row_tready),
    .s_axis_tlast (row_tlast),
    .m_axis_tdata (window_tdata),
    .m_axis_tpad  (window_tpad),
    .m_axis_tend  (window_tend),
    .m_axis_tvalid(window_tvalid),
    .m_axis_tready(window_tready),
    .m_axis_tlast (window_tlast)
  );

  wire unused = &{1'b0, window_tpad};  // padding arrives as zeros

  // ---- Matrix unit ------------------------------------------------------------------------------------------------
  logic weights_next, weights_ready;
  logic [Pe*Simd*8-1:0] weights_data;
  logic [Pe*AccWidth-1:0] sums_tdata;
  logic sums_tvalid, sums_tready, sums_tlast;

  br_constants #(
    .Width(Pe * Simd * 8),
    .Depth(WeightDepth),
    .File (WeightFile)
  ) u_weights (
    .clk_i,
    .rst_ni,
    .next_i (weights_next),
    .ready_o(weights_ready),
    .data_o (weights_data)
  );

  br_real_mvu #(
    .Pe      (Pe),
    .Simd    (Simd),
    .InWidth (InWidth),
    .AccWidth(AccWidth),
    .Pack    (Pack)
  ) u_mvu (
    .clk_i,
    .rst_ni,
    .weights_next_o (weights_next),
    .weights_ready_i(weights_ready),
    .weights_data_i (weights_data),
    .s_axis_tdata   (window_tdata),
    .s_axis_tend    (window_tend),
    .s_axis_tvalid  (window_tvalid),
    .s_axis_tready  (window_tready),
    .s_axis_tlast   (window_tlast),
    .m_axis_tdata   (sums_tdata),
    .m_axis_tvalid  (sums_tvalid),
    .m_axis_tready  (sums_tready),
    .m_axis_tlast   (sums_tlast)
  );

  // ---- Offset, shift, saturation, shared over OutLanes lanes ------------------------------------------------------
  logic [OutLanes*AccWidth-1:0] piece_tdata, lanes_tdata;
  logic piece_tvalid, piece_tready, piece_tlast, lanes_tvalid, lanes_tready, lanes_tlast;

  br_width_converter #(
    .ElemWidth(AccWidth),
    .InLanes  (Pe),
    .OutLanes (OutLanes)
  ) u_lanes (
    .clk_i,
    .rst_ni,
    .s_axis_tdata (sums_tdata),
    .s_axis_tvalid(sums_tvalid),
    .s_axis_tready(sums_tready),
    .s_axis_tlast (sums_tlast),
    .m_axis_tdata (piece_tdata),
    .m_axis_tvalid(piece_tvalid),
    .m_axis_tready(piece_tready),
    .m_axis_tlast (piece_tlast)
  );

  // Here the way back of ready is cut: it ends at the enables of every register and multiplier in front.
  br_reg_slice #(
    .Width(OutLanes * AccWidth)
  ) u_slice (
    .clk_i,
    .rst_ni,
    .s_axis_tdata (piece_tdata),
    .s_axis_tvalid(piece_tvalid),
    .s_axis_tready(piece_tready),
    .s_axis_tlast (piece_tlast),
    .m_axis_tdata (lanes_tdata),
    .m_axis_tvalid(lanes_tvalid),
    .m_axis_tready(lanes_tready),
    .m_axis_tlast (lanes_tlast)
  );

  br_requantize #(
    .Channels (OutChannels),
    .Lanes    (OutLanes),
    .AccWidth (AccWidth),
    .HWidth   (HWidth),
    .SWidth   (SWidth),
    .LeftShift(LeftShift),
    .OutWidth (OutWidth),
    .ScaleFile(ScaleFile)
  ) u_requantize (
    .clk_i,
    .rst_ni,
    .s_axis_tdata (lanes_tdata),
    .s_axis_tvalid(lanes_tvalid),
    .s_axis_tready(lanes_tready),
    .s_axis_tlast (lanes_tlast),
    .m_axis_tdata,
    .m_axis_tvalid,
    .m_axis_tready,
    .m_axis_tlast
  );

endmodule

`default_nettype wire
