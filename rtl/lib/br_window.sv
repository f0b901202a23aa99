// br_window: sliding window over an NHWC stream, each window read out Folds times.
// Function       for every output pixel (oy, ox) in raster order, Folds times: the KernelH*KernelW taps in order (ky,
//                kx), each as Channels/Lanes beats, lowest channels first; tap (ky, kx) is pixel (oy*StrideH - PadTop +
//                ky, ox*StrideW - PadLeft + kx), or padding where that lies outside the image
// Stream in      beat = Lanes elements of one pixel, lowest channel in the low bits; tlast on the frame's last beat
// Stream out     beat = Lanes elements of one tap; tpad marks padding (its data is 0 if MaskPad, else undefined), tend
//                marks the last beat of one pass over a window, tlast the last beat of the frame
// Parameters     Lanes divides Channels; PadTop + PadBottom < KernelH, PadLeft + PadRight < KernelW; the padded image is
//                at least one kernel large (checked)
// Latency        N*Channels/Lanes + 1 cycles, N = min(Height*Width, (KernelH-1-PadTop)*Width + KernelW-PadLeft) pixels
// Throughput     frames follow each other every max(Height*Width*Channels/Lanes,
//                OutHeight*OutWidth*Folds*KernelH*KernelW*Channels/Lanes) cycles; needs Stride <= Kernel or Kernel = 1
// Back-pressure  no combinational path m_axis_tready -> s_axis_tready; the buffer holds Capacity pixels (below)
// Source         golden in bireal_hw/ops/binary_conv.py; zero padding: docs/architecture.md, section 1
`default_nettype none

module br_window #(
  parameter int unsigned Height    = 8,    // rows of an image; with its padding KernelH or more
  parameter int unsigned Width     = 8,    // columns of an image; with its padding KernelW or more
  parameter int unsigned Channels  = 4,    // channels of a pixel
  parameter int unsigned ElemWidth = 1,    // bits of an element
  parameter int unsigned Lanes     = 4,    // elements in a beat; divides Channels
  parameter int unsigned KernelH   = 3,    // rows of a window
  parameter int unsigned KernelW   = 3,    // columns of a window
  parameter int unsigned StrideH   = 1,    // rows between two windows, 1 or more
  parameter int unsigned StrideW   = 1,    // columns between two windows, 1 or more
  parameter int unsigned PadTop    = 1,    // rows of padding above
  parameter int unsigned PadLeft   = 1,    // columns of padding on the left
  parameter int unsigned PadBottom = 1,    // rows of padding below; with PadTop less than KernelH
  parameter int unsigned PadRight  = 1,    // columns of padding on the right; with PadLeft less than KernelW
  parameter int unsigned Folds     = 1,    // times that each window is read out, 1 or more
  parameter bit          MaskPad   = 1'b1  // 1: the data of padding is 0, 0: it is undefined
) (
  input  wire                        clk_i,
  input  wire                        rst_ni,
  input  wire  [Lanes*ElemWidth-1:0] s_axis_tdata,
  input  wire                        s_axis_tvalid,
  output logic                       s_axis_tready,
  input  wire                        s_axis_tlast,
  output logic [Lanes*ElemWidth-1:0] m_axis_tdata,
  output logic                       m_axis_tpad,
  output logic                       m_axis_tend,
  output logic                       m_axis_tvalid,
  input  wire                        m_axis_tready,
  output logic                       m_axis_tlast
);

  localparam int unsigned PadRows = PadTop + PadBottom;
  localparam int unsigned PadColumns = PadLeft + PadRight;

  if (Channels % Lanes != 0) begin : gen_check_lanes
    $error("br_window: Channels=%0d must be a multiple of Lanes=%0d", Channels, Lanes);
  end
  if (PadRows >= KernelH) begin : gen_check_pad_rows
    $error("br_window: PadTop=%0d plus PadBottom=%0d must be less than KernelH=%0d", PadTop, PadBottom, KernelH);
  end
  if (PadColumns >= KernelW) begin : gen_check_pad_columns
    $error("br_window: PadLeft=%0d plus PadRight=%0d must be less than KernelW=%0d", PadLeft, PadRight, KernelW);
  end
  if (Height + PadRows < KernelH) begin : gen_check_height
    $error("br_window: Height=%0d plus %0d of padding is less than KernelH=%0d", Height, PadRows, KernelH);
  end
  if (Width + PadColumns < KernelW) begin : gen_check_width
    $error("br_window: Width=%0d plus %0d of padding is less than KernelW=%0d", Width, PadColumns, KernelW);
  end
  if (StrideH < 1 || StrideW < 1) begin : gen_check_stride
    $error("br_window: StrideH=%0d and StrideW=%0d must be at least 1", StrideH, StrideW);
  end
  if (Folds < 1) begin : gen_check_folds
    $error("br_window: Folds=%0d must be at least 1", Folds);
  end

  localparam int unsigned Chunks = Channels / Lanes;  // beats a pixel
  localparam int unsigned OutHeight = br_pkg::out_size(Height, KernelH, StrideH, PadRows);
  localparam int unsigned OutWidth = br_pkg::out_size(Width, KernelW, StrideW, PadColumns);

  // All positions are linear: pixel (y, x) of the frame is y*Width + x, also for taps outside the image. A window is
  // its origin (top left tap, possibly negative) and reaches Span pixels; the origin moves by one of three constants.
  localparam int unsigned Span = (KernelH - 1) * Width + KernelW;
  localparam int unsigned StepCol = StrideW;
  localparam int unsigned StepRow = StrideH * Width - (OutWidth - 1) * StrideW;
  localparam int unsigned StepFrame = Height * Width - (OutHeight - 1) * StrideH * Width - (OutWidth - 1) * StrideW;
  localparam int unsigned MaxStep = br_pkg::max2(
      OutWidth > 1 ? StepCol : 0, br_pkg::max2(OutHeight > 1 ? StepRow : 0, StepFrame)
  );

  // While a window is read, all pixels of the next one can arrive: Span + MaxStep. One more absorbs a late start.
  // fault: window-overwrites
  localparam int unsigned Capacity = Span + MaxStep + 1;

  // The memory is rounded up to a power of two words: addresses wrap by themselves.
  localparam int unsigned AddrWidth = br_pkg::idx_width(Capacity * Chunks);
  localparam int unsigned DataWidth = Lanes * ElemWidth;

  // ---- Fill level -------------------------------------------------------------------------------------------------
  // surplus_q = pixels written beyond the last tap of the current window, negative while some are missing.
  // frames_q  = frames written completely minus frames read completely, minus 1: not negative once the current frame is
  //             in; then taps beyond the frame's end (all of them padding) are not waited for.
  localparam int unsigned SurplusWidth = br_pkg::idx_width(br_pkg::max2(Span, MaxStep + 2)) + 1;
  localparam int unsigned FramesWidth = br_pkg::cnt_width(Capacity / (Height * Width) + 2) + 1;

  logic signed [SurplusWidth-1:0] surplus_q, step;
  logic signed [FramesWidth-1:0] frames_q;
  logic write, write_pixel, write_frame, read, read_window, read_frame, window_ready;

  assign window_ready  = !surplus_q[SurplusWidth-1] || !frames_q[FramesWidth-1];
  assign s_axis_tready = surplus_q != SurplusWidth'(MaxStep + 1);
  assign write         = s_axis_tvalid && s_axis_tready;

  always_ff @(posedge clk_i) begin
    surplus_q <= surplus_q + (write_pixel ? SurplusWidth'(1) : '0) - (read_window ? step : '0);
    frames_q  <= frames_q + (write_frame ? FramesWidth'(1) : '0) - (read_frame ? FramesWidth'(1) : '0);
    if (!rst_ni) begin
      // fault: window-early
      surplus_q <= SurplusWidth'(int'(PadTop * Width + PadLeft) - int'(Span));
      frames_q  <= '1;
    end
  end

  // ---- Write side -------------------------------------------------------------------------------------------------
  localparam int unsigned ChunkWidth = br_pkg::idx_width(Chunks);

  logic [ AddrWidth-1:0] write_addr_q;
  logic [ChunkWidth-1:0] write_chunk_q;

  assign write_pixel = write && write_chunk_q == ChunkWidth'(Chunks - 1);
  assign write_frame = write && s_axis_tlast;

  always_ff @(posedge clk_i) begin
    if (write) begin
      write_addr_q  <= write_addr_q + AddrWidth'(1);
      write_chunk_q <= write_pixel ? '0 : write_chunk_q + ChunkWidth'(1);
    end
    if (!rst_ni) begin
      write_addr_q  <= '0;
      write_chunk_q <= '0;
    end
  end

  // ---- Read side: position of the current beat --------------------------------------------------------------------
  localparam int unsigned KxWidth = br_pkg::idx_width(KernelW);
  localparam int unsigned KyWidth = br_pkg::idx_width(KernelH);
  localparam int unsigned FoldWidth = br_pkg::idx_width(Folds);
  localparam int unsigned ColWidth = br_pkg::idx_width(Width + PadColumns);  // two's complement for -PadLeft..-1
  localparam int unsigned RowWidth = br_pkg::idx_width(Height + PadRows);

  logic [AddrWidth-1:0] read_addr_q, addr_step;
  logic [ChunkWidth-1:0] chunk_q;
  logic [   KxWidth-1:0] kx_q;
  logic [   KyWidth-1:0] ky_q;
  logic [ FoldWidth-1:0] fold_q;
  logic [  ColWidth-1:0] col_q;  // column of the tap, modulo 2**ColWidth
  logic [  RowWidth-1:0] row_q;  // row of the tap, modulo 2**RowWidth
  logic chunk_end, kx_end, ky_end, fold_end, col_end, row_end;
  logic tap_end, line_end, pass_end, window_end;
  logic pad, advance;

  assign chunk_end  = chunk_q == ChunkWidth'(Chunks - 1);
  assign kx_end     = kx_q == KxWidth'(KernelW - 1);
  assign ky_end     = ky_q == KyWidth'(KernelH - 1);
  assign fold_end   = fold_q == FoldWidth'(Folds - 1);
  assign col_end    = col_q == ColWidth'((OutWidth - 1) * StrideW + KernelW - 1 - PadLeft);  // at window_end only
  assign row_end    = row_q == RowWidth'((OutHeight - 1) * StrideH + KernelH - 1 - PadTop);  // at window_end only
  assign tap_end    = chunk_end;
  assign line_end   = tap_end && kx_end;
  assign pass_end   = line_end && ky_end;
  assign window_end = pass_end && fold_end;

  assign read        = window_ready && advance;
  assign read_window = read && window_end;
  assign read_frame  = read_window && col_end && row_end;
  assign step        = SurplusWidth'(col_end ? (row_end ? StepFrame : StepRow) : StepCol);

  // Within a kernel row the beats lie one after the other; at its end the address jumps by a constant, also backwards.
  always_comb begin
    addr_step = AddrWidth'(1);
    if (pass_end) begin
      addr_step = AddrWidth'(1) - AddrWidth'(Span * Chunks);
      if (fold_end) begin
        if (!col_end) addr_step = AddrWidth'(1 + StepCol * Chunks) - AddrWidth'(Span * Chunks);
        else if (!row_end) addr_step = AddrWidth'(1 + StepRow * Chunks) - AddrWidth'(Span * Chunks);
        else addr_step = AddrWidth'(1 + StepFrame * Chunks) - AddrWidth'(Span * Chunks);
      end
    end else if (line_end) begin
      addr_step = AddrWidth'(1 + Width * Chunks) - AddrWidth'(KernelW * Chunks);
    end
  end

  always_ff @(posedge clk_i) begin
    if (read) begin
      read_addr_q <= read_addr_q + addr_step;
      chunk_q     <= chunk_end ? '0 : chunk_q + ChunkWidth'(1);
      if (tap_end) begin
        kx_q  <= kx_end ? '0 : kx_q + KxWidth'(1);
        col_q <= col_q + ColWidth'(1);
      end
      if (line_end) begin
        ky_q  <= ky_end ? '0 : ky_q + KyWidth'(1);
        col_q <= col_q - ColWidth'(KernelW - 1);
        row_q <= row_q + RowWidth'(1);
      end
      if (pass_end) begin
        fold_q <= fold_end ? '0 : fold_q + FoldWidth'(1);
        row_q  <= row_q - RowWidth'(KernelH - 1);
      end
      if (window_end) begin
        col_q <= col_q - ColWidth'(KernelW - 1) + ColWidth'(StrideW);
        if (col_end) begin
          col_q <= -ColWidth'(PadLeft);
          row_q <= row_q - RowWidth'(KernelH - 1) + RowWidth'(StrideH);
          if (row_end) row_q <= -RowWidth'(PadTop);
        end
      end
    end
    if (!rst_ni) begin
      read_addr_q <= -AddrWidth'((PadTop * Width + PadLeft) * Chunks);
      chunk_q     <= '0;
      kx_q        <= '0;
      ky_q        <= '0;
      fold_q      <= '0;
      col_q       <= -ColWidth'(PadLeft);
      row_q       <= -RowWidth'(PadTop);
    end
  end

  // fault: window-column
  assign pad = (PadColumns != 0 && 32'(col_q) >= Width) || (PadRows != 0 && 32'(row_q) >= Height);

  // ---- Memory -----------------------------------------------------------------------------------------------------
  // A word is read only after it was written and written only after its last read; padding may read anything.
  (* no_rw_check *) logic [DataWidth-1:0] mem [2**AddrWidth];
  logic [DataWidth-1:0] data_q;
  logic valid_q, pad_q, end_q, last_q;

  assign advance = !valid_q || m_axis_tready;

  always_ff @(posedge clk_i) begin
    if (write) mem[write_addr_q] <= s_axis_tdata;
  end

  always_ff @(posedge clk_i) begin
    if (read) data_q <= mem[read_addr_q];
  end

  always_ff @(posedge clk_i) begin
    if (advance) begin
      valid_q <= window_ready;
      pad_q   <= pad;
      end_q   <= pass_end;
      last_q  <= window_end && col_end && row_end;
    end
    if (!rst_ni) valid_q <= 1'b0;
  end

  // fault: padding-not-zero
  assign m_axis_tdata  = (MaskPad && pad_q) ? '0 : data_q;
  assign m_axis_tpad   = pad_q;
  assign m_axis_tend   = end_q;
  assign m_axis_tlast  = last_q;
  assign m_axis_tvalid = valid_q;

endmodule

`default_nettype wire
