// br_unfold: puts Kernel horizontally neighbouring pixels side by side, so that a narrow image fills wide lanes.
// Function       for every row, OutWidth beats; beat ox holds the pixels at columns ox*Stride - PadLeft + kx, kx = 0 ..
//                Kernel-1; pixels outside the row are 0
// Stream in      beat = one whole pixel, Channels elements of ElemWidth bits, lowest channel in the low bits
// Stream out     beat = Kernel*Channels elements in order (kx, channel), channel fastest; all Height rows are sent;
//                tlast on the frame's last beat (counted: the input's tlast is not read)
// Parameters     Kernel at least 2, PadLeft + PadRight < Kernel, the padded row at least a Kernel wide (checked)
// Latency        Kernel - 1 - PadLeft cycles (the last tap passes straight through)
// Throughput     a row every Width cycles: beats that reach beyond a row leave while the next row enters; every Right
//                cycles, the number of padding columns right of the last beat, where those are more
// Back-pressure  combinational paths s_axis_tvalid, s_axis_tdata -> m_axis and m_axis_tready -> s_axis_tready; a row
//                (and the frame) drains without a successor
// Source         first convolution of the network, docs/architecture.md, section 5
`default_nettype none

module br_unfold #(
  parameter int unsigned Height    = 4,  // rows of an image
  parameter int unsigned Width     = 8,  // columns of an image; with its padding Kernel or more
  parameter int unsigned Channels  = 3,  // channels of a pixel, all in a beat
  parameter int unsigned ElemWidth = 8,  // bits of an element
  parameter int unsigned Kernel    = 3,  // taps side by side, 2 or more
  parameter int unsigned Stride    = 1,  // pixels between two beats out, 1 or more
  parameter int unsigned PadLeft   = 1,  // pixels of padding in front of a row
  parameter int unsigned PadRight  = 1   // pixels of padding behind a row; with PadLeft less than Kernel
) (
  input  wire                                  clk_i,
  input  wire                                  rst_ni,
  input  wire  [       Channels*ElemWidth-1:0] s_axis_tdata,
  input  wire                                  s_axis_tvalid,
  output logic                                 s_axis_tready,
  input  wire                                  s_axis_tlast,
  output logic [Kernel*Channels*ElemWidth-1:0] m_axis_tdata,
  output logic                                 m_axis_tvalid,
  input  wire                                  m_axis_tready,
  output logic                                 m_axis_tlast
);

  if (Kernel < 2) begin : gen_check_kernel
    $error("br_unfold: Kernel=%0d must be at least 2", Kernel);
  end
  if (PadLeft + PadRight >= Kernel) begin : gen_check_pad
    $error("br_unfold: PadLeft=%0d plus PadRight=%0d must be less than Kernel=%0d", PadLeft, PadRight, Kernel);
  end
  if (Width + PadLeft + PadRight < Kernel) begin : gen_check_width
    $error("br_unfold: Width=%0d plus %0d of padding is less than Kernel=%0d", Width, PadLeft + PadRight, Kernel);
  end
  if (Stride < 1) begin : gen_check_stride
    $error("br_unfold: Stride=%0d must be at least 1", Stride);
  end

  // A step shifts one pixel in. The beat that ends at column v (its tap kx is column v - (Kernel-1) + kx) is sent at
  // the step of column v, for v = Lead, Lead + Stride, ...; the Right steps beyond column Width-1 ("flush") need no input,
  // and the first columns of the next row, which send nothing before column Lead, may enter at the same time.
  localparam int unsigned OutWidth = br_pkg::out_size(Width, Kernel, Stride, PadLeft + PadRight);
  localparam int unsigned Lead = Kernel - 1 - PadLeft;
  localparam int unsigned LastEnd = (OutWidth - 1) * Stride + Lead;
  localparam int unsigned Right = (LastEnd >= Width) ? LastEnd - (Width - 1) : 0;
  localparam int unsigned PixelWidth = Channels * ElemWidth;

  localparam int unsigned ColWidth = br_pkg::idx_width(Width);
  localparam int unsigned EndWidth = br_pkg::cnt_width(Width + Right);
  localparam int unsigned RightWidth = br_pkg::cnt_width(Right);
  localparam int unsigned SkipWidth = br_pkg::cnt_width(br_pkg::max2(Lead, Stride - 1));
  localparam int unsigned RowWidth = br_pkg::idx_width(Height);
  localparam int unsigned OutColWidth = br_pkg::idx_width(OutWidth);

  logic [PixelWidth-1:0] shift_q [Kernel-1];  // newest pixel at the highest index
  logic [ColWidth-1:0] col_q;  // column of the next input pixel
  logic [RightWidth-1:0] flush_q;  // flush steps still to do for the previous row
  logic [SkipWidth-1:0] skip_q;  // steps before the next beat is sent
  logic [RowWidth-1:0] row_q;  // row and column of the next beat
  logic [OutColWidth-1:0] out_col_q;
  logic [EndWidth-1:0] end_col_q;  // column of the current step
  logic flush, send, go, consume, step, row_in, out_row_end;

  assign flush         = flush_q != '0;
  assign send          = skip_q == '0;
  assign row_in        = col_q == ColWidth'(Width - 1);
  assign m_axis_tvalid = send && (flush || s_axis_tvalid);
  assign go            = !send || m_axis_tready;
  assign s_axis_tready = go && (!flush || flush_q == RightWidth'(1) || !row_in);  // no second row in flight
  assign consume       = s_axis_tvalid && s_axis_tready;
  assign step          = go && (flush || s_axis_tvalid);
  assign out_row_end   = out_col_q == OutColWidth'(OutWidth - 1);
  assign m_axis_tlast  = out_row_end && row_q == RowWidth'(Height - 1);

  always_ff @(posedge clk_i) begin
    if (step) begin
      // skip_q follows the row that is being sent; when its flush ends, up to Right columns of the next row are in.
      if (flush) flush_q <= flush_q - RightWidth'(1);
      skip_q <= send ? SkipWidth'(Stride - 1) : skip_q - SkipWidth'(1);
      if (flush_q == RightWidth'(1)) skip_q <= SkipWidth'(Lead) - SkipWidth'(col_q) - SkipWidth'(consume);
      if (consume) begin
        col_q <= row_in ? '0 : col_q + ColWidth'(1);
        if (row_in) begin
          flush_q <= RightWidth'(Right);
          if (Right == 0) skip_q <= SkipWidth'(Lead);
        end
      end
      // fault: right-edge-as-row
      if (consume && row_in) end_col_q <= (Right != 0) ? EndWidth'(Width) : '0;
      else if (flush && flush_q != RightWidth'(1)) end_col_q <= end_col_q + EndWidth'(1);
      // fault: pixel-of-next-row
      else
        end_col_q <= EndWidth'(col_q) + EndWidth'(consume);
      if (send) begin
        out_col_q <= out_row_end ? '0 : out_col_q + OutColWidth'(1);
        if (out_row_end) row_q <= m_axis_tlast ? '0 : row_q + RowWidth'(1);
      end
    end
    if (!rst_ni) begin
      col_q     <= '0;
      end_col_q <= '0;
      flush_q   <= '0;
      skip_q    <= SkipWidth'(Lead);
      row_q     <= '0;
      out_col_q <= '0;
    end
  end

  // A flush step without input moves only the pixels of the previous row: col_q newer ones stay where they are.
  for (genvar k = 0; k < Kernel - 1; k++) begin : gen_shift
    always_ff @(posedge clk_i) begin
      if (consume || (step && 32'(col_q) + k <= Kernel - 2)) begin
        shift_q[k] <= (k == Kernel - 2) ? s_axis_tdata : shift_q[(k+1)%(Kernel-1)];
      end
    end
  end

  for (genvar k = 0; k < Kernel; k++) begin : gen_tap
    logic in_row;  // 0 <= end_col_q - (Kernel-1) + k <= Width-1
    assign in_row = 32'(end_col_q) + k >= Kernel - 1 && 32'(end_col_q) + k <= Kernel - 1 + Width - 1;
    if (k == Kernel - 1) begin : gen_newest
      assign m_axis_tdata[k*PixelWidth+:PixelWidth] = in_row ? s_axis_tdata : '0;
    end else begin : gen_older
      assign m_axis_tdata[k*PixelWidth+:PixelWidth] = in_row ? shift_q[k] : '0;
    end
  end

  wire unused = &{1'b0, s_axis_tlast};

endmodule

`default_nettype wire
