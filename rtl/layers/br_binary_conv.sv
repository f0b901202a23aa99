// br_binary_conv: Kernel x Kernel binary convolution of an NHWC pixel stream.
// Function       y[o] = 2*popcount(xnor(w[o], x)) - valid, over the taps inside the image; bit 1 means +1, bit 0 means
//                -1. With Border also over those outside, which hold the bits of BorderFile
// Stream in      beat = Simd channels of one pixel, lowest channel in bit 0; rows from the top, pixels from the left;
//                tlast on the frame's last beat
// Stream out     beat = Pe signed sums of AccWidth bits, lowest output channel in the low bits; tlast likewise
// Parameters     Simd divides InChannels, Pe divides OutChannels, PadTop + PadBottom and PadLeft + PadRight less than
//                Kernel (checked); AccWidth holds every sum, which is at most the number of taps inside the image
//                or, with Border, of all taps (checked); WeightFile, BorderFile: docs/architecture.md, section 4
// Latency        C*(N + Kernel*Kernel) + 3 cycles from first input beat to first output beat, C = InChannels/Simd, N =
//                min(Height*Width, (Kernel-1-PadTop)*Width + Kernel-PadLeft)
// Throughput     a frame every max(Height*Width*C, Ho*Wo*(OutChannels/Pe)*Kernel*Kernel*C) cycles, Ho and Wo the
//                sides of the output image; for Stride <= Kernel or Kernel = 1
// Back-pressure  no combinational path m_axis_tready -> s_axis_tready; holds the window buffer's Capacity pixels
// Source         arXiv:1808.00278, section 3; golden in bireal_hw/ops/binary_conv.py
`default_nettype none

module br_binary_conv #(
  parameter int unsigned Height      = 8,     // rows of an image
  parameter int unsigned Width       = 8,     // columns of an image
  parameter int unsigned InChannels  = 8,     // channels of a pixel in
  parameter int unsigned OutChannels = 8,     // channels of a pixel out
  parameter int unsigned Kernel      = 3,     // taps along each side of a window
  parameter int unsigned Stride      = 1,     // pixels between two windows, along both sides; 1 or more
  parameter int unsigned PadTop      = 1,     // rows of padding above
  parameter int unsigned PadLeft     = 1,     // columns of padding on the left
  parameter int unsigned PadBottom   = 1,     // rows of padding below; with PadTop less than Kernel
  parameter int unsigned PadRight    = 1,     // columns of padding on the right; with PadLeft less than Kernel
  parameter int unsigned Pe          = 2,     // output channels at a time; divides OutChannels
  parameter int unsigned Simd        = 8,     // input channels at a time; divides InChannels
  parameter int unsigned AccWidth    = 8,     // bits of a sum, signed; holds +- the taps inside the image
  parameter bit          Border      = 1'b0,  // 1: taps outside the image hold bits, 0: they add nothing
  parameter              WeightFile  = "",    // memory file of the weights: docs/architecture.md, section 4
  parameter              BorderFile  = ""     // memory file of the border: docs/architecture.md, section 4
) (
  input  wire                    clk_i,
  input  wire                    rst_ni,
  input  wire  [       Simd-1:0] s_axis_tdata,
  input  wire                    s_axis_tvalid,
  output logic                   s_axis_tready,
  input  wire                    s_axis_tlast,
  output logic [Pe*AccWidth-1:0] m_axis_tdata,
  output logic                   m_axis_tvalid,
  input  wire                    m_axis_tready,
  output logic                   m_axis_tlast
);

  if (OutChannels % Pe != 0) begin : gen_check_pe
    $error("br_binary_conv: OutChannels=%0d must be a multiple of Pe=%0d", OutChannels, Pe);
  end
  if (InChannels % Simd != 0) begin : gen_check_simd
    $error("br_binary_conv: InChannels=%0d must be a multiple of Simd=%0d", InChannels, Simd);
  end

  localparam int unsigned Folds = OutChannels / Pe;
  localparam int unsigned Chunks = InChannels / Simd;
  localparam int unsigned Beats = Kernel * Kernel * Chunks;

  // A sum has as many terms as there are taps inside the image, or in the window.
  localparam int unsigned Rows = Border ? Kernel : br_pkg::min2(Kernel, Height);
  localparam int unsigned Columns = Border ? Kernel : br_pkg::min2(Kernel, Width);
  localparam int unsigned MaxSum = Rows * Columns * InChannels;
  localparam int unsigned MinWidth = br_pkg::cnt_width(MaxSum) + 1;

  if (AccWidth < MinWidth) begin : gen_check_acc_width
    $error("br_binary_conv: AccWidth=%0d must be at least %0d to hold +-%0d", AccWidth, MinWidth, MaxSum);
  end

  logic [Simd-1:0] window_tdata;
  logic window_tpad, window_tend, window_tvalid, window_tready, window_tlast;

  br_window #(
    .Height   (Height),
    .Width    (Width),
    .Channels (InChannels),
    .ElemWidth(1),
    .Lanes    (Simd),
    .KernelH  (Kernel),
    .KernelW  (Kernel),
    .StrideH  (Stride),
    .StrideW  (Stride),
    .PadTop   (PadTop),
    .PadLeft  (PadLeft),
    .PadBottom(PadBottom),
    .PadRight (PadRight),
    .Folds    (Folds),
    .MaskPad  (1'b0)         // the matrix unit skips padded beats, or they hold the border
  ) u_window (
    .clk_i,
    .rst_ni,
    .s_axis_tdata,
    .s_axis_tvalid,
    .s_axis_tready,
    .s_axis_tlast,
    .m_axis_tdata (window_tdata),
    .m_axis_tpad  (window_tpad),
    .m_axis_tend  (window_tend),
    .m_axis_tvalid(window_tvalid),
    .m_axis_tready(window_tready),
    .m_axis_tlast (window_tlast)
  );

  // What the matrix unit sees: a tap of the border is one like any other.
  logic [Simd-1:0] tap_tdata;
  logic tap_tpad;

  if (Border) begin : gen_border
    localparam int unsigned ChunkWidth = br_pkg::idx_width(Chunks);
    logic [ChunkWidth-1:0] chunk, chunk_q;
    logic [Simd-1:0] border_q;  // of the channels of chunk_q

    always_comb begin
      chunk = chunk_q;
      if (window_tvalid && window_tready) chunk = chunk_q == ChunkWidth'(Chunks - 1) ? '0 : chunk_q + 1'b1;
      if (!rst_ni) chunk = '0;
    end

    always_ff @(posedge clk_i) chunk_q <= chunk;

    br_rom #(
      .Width(Simd),
      .Depth(Chunks),
      .File (BorderFile)
    ) u_border (
      .clk_i,
      .en_i  (1'b1),
      .addr_i(chunk),
      .data_o(border_q)
    );

    // fault: border-of-ones
    assign tap_tdata = window_tpad ? border_q : window_tdata;
    assign tap_tpad  = 1'b0;
  end else begin : gen_nothing
    assign tap_tdata = window_tdata;
    assign tap_tpad  = window_tpad;
  end

  logic weights_next, weights_ready;
  logic [Pe*Simd-1:0] weights_data;

  br_constants #(
    .Width(Pe * Simd),
    .Depth(Folds * Beats),
    .File (WeightFile)
  ) u_weights (
    .clk_i,
    .rst_ni,
    .next_i (weights_next),
    .ready_o(weights_ready),
    .data_o (weights_data)
  );

  br_binary_mvu #(
    .Pe      (Pe),
    .Simd    (Simd),
    .AccWidth(AccWidth),
    .Beats   (Beats)
  ) u_mvu (
    .clk_i,
    .rst_ni,
    .weights_next_o (weights_next),
    .weights_ready_i(weights_ready),
    .weights_data_i (weights_data),
    .s_axis_tdata   (tap_tdata),
    .s_axis_tpad    (tap_tpad),
    .s_axis_tend    (window_tend),
    .s_axis_tvalid  (window_tvalid),
    .s_axis_tready  (window_tready),
    .s_axis_tlast   (window_tlast),
    .m_axis_tdata,
    .m_axis_tvalid,
    .m_axis_tready,
    .m_axis_tlast
  );

endmodule

`default_nettype wire
