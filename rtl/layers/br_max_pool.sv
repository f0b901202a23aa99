// br_max_pool: largest value of each window; windows side by side, or with a row and a column in common.
// Function       out[y][x] = largest of in[y*(KernelH-Overlap)-PadTop..][x*(KernelW-Overlap)-PadLeft..], KernelH x
//                KernelW taps, those outside the image left out; what is left over at the end is dropped
// Stream in      beat = Lanes numbers of InWidth bits of one pixel; rows from the top, pixels from the left
// Stream out     the same format; tlast on the frame's last beat (counted: the input's tlast is not read)
// Parameters     Lanes divides Channels, at least one window fits; Overlap = 1 takes kernels of 2 and more, pads are less
//                than the kernel without Overlap (checked); Signed = 0 compares without sign, as bits of -1 and +1 are
// Latency        (Y*Width + X)*(Channels/Lanes) + 4, where (Y, X) is the last tap of the first window inside the image
// Throughput     cycles per frame = input beats = Height*Width*(Channels/Lanes)
// Back-pressure  combinational path m_axis_tready -> s_axis_tready; holds 4 beats when stalled
// Source         golden in bireal_hw/ops/max_pool.py. The maximum runs along the row, then down the column, and both
//                are the same step: a value begins the maximum or is taken in; where a window ends the maximum is
//                complete, and what windows have in common, the value, begins the next one

`default_nettype none

module br_max_pool #(
  parameter int unsigned Height    = 2,   // rows of an image
  parameter int unsigned Width     = 2,   // columns of an image
  parameter int unsigned Channels  = 1,   // channels of a pixel
  parameter int unsigned Lanes     = 1,   // channels in a beat
  parameter int unsigned InWidth   = 16,  // bits of a number
  parameter bit          Signed    = 1,   // 1: numbers are signed, 0: unsigned, or bits
  parameter int unsigned KernelH   = 3,   // rows of a window
  parameter int unsigned KernelW   = 3,   // columns of a window
  parameter int unsigned Overlap   = 1,   // rows and columns that neighbouring windows have in common, 0 or 1
  parameter int unsigned PadTop    = 1,   // rows of padding above
  parameter int unsigned PadLeft   = 1,   // columns of padding on the left
  parameter int unsigned PadBottom = 1,   // rows of padding below
  parameter int unsigned PadRight  = 1    // columns of padding on the right
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

  localparam int unsigned StrideH = KernelH - Overlap;
  localparam int unsigned StrideW = KernelW - Overlap;
  localparam int unsigned OutHeight = br_pkg::out_size(Height, KernelH, StrideH, PadTop + PadBottom);
  localparam int unsigned OutWidth = br_pkg::out_size(Width, KernelW, StrideW, PadLeft + PadRight);
  // Rows and columns of the image up to the end of the last windows; more than all where they reach over the edge.
  localparam int unsigned Rows = OutHeight * StrideH + Overlap - PadTop;
  localparam int unsigned Columns = OutWidth * StrideW + Overlap - PadLeft;
  localparam int unsigned LastRow = br_pkg::min2(Rows, Height) - 1;
  // Place of the first row and column in the stride; that of a whole window's end where they are in no earlier window.
  localparam int unsigned StartY = (PadTop + StrideH - Overlap) % StrideH;
  localparam int unsigned StartX = (PadLeft + StrideW - Overlap) % StrideW;
  // fault: row-of-no-window
  localparam bit AloneY = Overlap != 0 && PadTop == 0;
  // fault: column-of-no-window
  localparam bit AloneX = Overlap != 0 && PadLeft == 0;
  localparam int unsigned Groups = Channels / Lanes;
  localparam int unsigned Depth = OutWidth * Groups;
  localparam int unsigned GroupWidth = br_pkg::idx_width(Groups);
  localparam int unsigned AddrWidth = br_pkg::idx_width(Depth);
  localparam int unsigned ColWidth = br_pkg::idx_width(Width);
  localparam int unsigned RowWidth = br_pkg::idx_width(Height);
  localparam int unsigned PhaseXWidth = br_pkg::idx_width(StrideW);
  localparam int unsigned PhaseYWidth = br_pkg::idx_width(StrideH);

  if (Lanes < 1 || Channels % Lanes != 0) begin : gen_check_lanes
    $error("br_max_pool: Channels=%0d must be a multiple of Lanes=%0d", Channels, Lanes);
  end
  if (Overlap > 1 || KernelH <= Overlap || KernelW <= Overlap) begin : gen_check_overlap
    $error("br_max_pool: Overlap=%0d must be 0 or 1 and less than the kernel, %0dx%0d", Overlap, KernelH, KernelW);
  end
  if (PadTop >= StrideH || PadBottom >= StrideH || PadLeft >= StrideW || PadRight >= StrideW) begin : gen_check_pads
    $error(
        "br_max_pool: pads %0d, %0d, %0d, %0d (top, left, bottom, right) must be less than the stride, %0dx%0d",
        PadTop,
        PadLeft,
        PadBottom,
        PadRight,
        StrideH,
        StrideW
    );
  end
  if (Height + PadTop + PadBottom < KernelH || Width + PadLeft + PadRight < KernelW) begin : gen_check_size
    $error("br_max_pool: a %0dx%0d window does not fit %0dx%0d", KernelH, KernelW, Height, Width);
  end

  typedef logic [Lanes*InWidth-1:0] beat_t;

  function automatic beat_t lane_max(beat_t a, beat_t b);
    for (int unsigned l = 0; l < Lanes; l++) begin
      logic [InWidth-1:0] x, y;
      x = a[l*InWidth+:InWidth];
      y = b[l*InWidth+:InWidth];
      // fault: compares-otherwise
      lane_max[l*InWidth+:InWidth] = (Signed ? signed'(x) > signed'(y) : x > y) ? x : y;
    end
  endfunction

  logic advance, take;
  assign advance = !m_axis_tvalid || m_axis_tready;
  assign s_axis_tready = advance;
  assign take = advance && s_axis_tvalid;

  // Position of the next input beat: channels, pixel, row; the place of pixel and row in the stride; addr_q counts the
  // beats of the row that complete a maximum, and addresses the column maxima.
  logic [GroupWidth-1:0] group_q;
  logic [ColWidth-1:0] col_q;
  logic [RowWidth-1:0] row_q;
  logic [PhaseXWidth-1:0] phase_x_q;
  logic [PhaseYWidth-1:0] phase_y_q;
  logic [AddrWidth-1:0] addr_q;
  logic group_end, col_end, line_end, row_end, wrap_x, wrap_y, first_x, first_y, whole_x, whole_y;

  assign group_end = group_q == GroupWidth'(Groups - 1);
  assign col_end   = col_q == ColWidth'(Width - 1);
  assign row_end   = row_q == RowWidth'(Height - 1);
  assign line_end  = group_end && col_end;
  assign wrap_x    = phase_x_q == PhaseXWidth'(StrideW - 1);
  assign wrap_y    = phase_y_q == PhaseYWidth'(StrideH - 1);
  assign first_x   = col_q == '0 || (Overlap == 0 && phase_x_q == '0);
  assign first_y   = row_q == '0 || (Overlap == 0 && phase_y_q == '0);
  // fault: left-over-column
  assign whole_x   = (wrap_x && !(AloneX && col_q == '0)) || (Columns > Width && col_end);
  // fault: left-over-row
  assign whole_y   = (wrap_y && !(AloneY && row_q == '0)) || (Rows > Height && row_end);

  always_ff @(posedge clk_i) begin
    if (take) begin
      group_q <= group_end ? '0 : group_q + 1'b1;
      if (group_end) begin
        col_q     <= col_end ? '0 : col_q + 1'b1;
        phase_x_q <= col_end ? PhaseXWidth'(StartX) : wrap_x ? '0 : phase_x_q + 1'b1;
      end
      if (line_end) begin
        row_q     <= row_end ? '0 : row_q + 1'b1;
        phase_y_q <= row_end ? PhaseYWidth'(StartY) : wrap_y ? '0 : phase_y_q + 1'b1;
      end
      if (line_end) addr_q <= '0;
      else if (whole_x) addr_q <= addr_q + 1'b1;
    end
    if (!rst_ni) begin
      group_q   <= '0;
      col_q     <= '0;
      row_q     <= '0;
      phase_x_q <= PhaseXWidth'(StartX);
      phase_y_q <= PhaseYWidth'(StartY);
      addr_q    <= '0;
    end
  end

  // Stages 1 and 2: along the row, one running maximum per group of channels.
  logic valid1_q, whole_x1_q, first_x1_q, whole_y1_q, first_y1_q, end1_q;
  logic valid2_q, whole_x2_q, first_x2_q, whole_y2_q, first_y2_q, end2_q;
  logic [GroupWidth-1:0] group1_q, group2_q;
  logic [AddrWidth-1:0] addr1_q, addr2_q;
  beat_t data1_q, data2_q, row_stored, row_max;

  br_ram #(
    .Width(Lanes * InWidth),
    .Depth(Groups)
  ) u_row (
    .clk_i,
    .en_i   (advance),
    .raddr_i(group_q),
    .rdata_o(row_stored),
    .write_i(valid2_q),
    .waddr_i(group2_q),
    .wdata_i(Overlap != 0 && whole_x2_q ? data2_q : row_max)
  );

  assign row_max = first_x2_q ? data2_q : lane_max(row_stored, data2_q);

  // Stages 2 and 3: down the column, one running maximum per window and group; stage 4 is the output register.
  logic valid3_q, whole_y3_q, first_y3_q, end3_q;
  logic [AddrWidth-1:0] addr3_q;
  beat_t row_max_q, col_stored, col_max;

  br_ram #(
    .Width(Lanes * InWidth),
    .Depth(Depth)
  ) u_column (
    .clk_i,
    .en_i   (advance),
    .raddr_i(addr1_q),
    .rdata_o(col_stored),
    .write_i(valid3_q),
    .waddr_i(addr3_q),
    .wdata_i(Overlap != 0 && whole_y3_q ? row_max_q : col_max)
  );

  assign col_max = first_y3_q ? row_max_q : lane_max(col_stored, row_max_q);

  always_ff @(posedge clk_i) begin
    if (advance) begin
      data1_q       <= s_axis_tdata;
      group1_q      <= group_q;
      addr1_q       <= addr_q;
      whole_x1_q    <= whole_x;
      first_x1_q    <= first_x;
      whole_y1_q    <= whole_y;
      first_y1_q    <= first_y;
      end1_q        <= addr_q == AddrWidth'(Depth - 1) && row_q == RowWidth'(LastRow);

      data2_q       <= data1_q;
      group2_q      <= group1_q;
      addr2_q       <= addr1_q;
      whole_x2_q    <= whole_x1_q;
      first_x2_q    <= first_x1_q;
      whole_y2_q    <= whole_y1_q;
      first_y2_q    <= first_y1_q;
      end2_q        <= end1_q;

      row_max_q     <= row_max;
      addr3_q       <= addr2_q;
      whole_y3_q    <= whole_y2_q;
      first_y3_q    <= first_y2_q;
      end3_q        <= end2_q;

      m_axis_tdata  <= col_max;
      m_axis_tlast  <= end3_q;

      valid1_q      <= take;
      valid2_q      <= valid1_q;
      valid3_q      <= valid2_q && whole_x2_q;
      m_axis_tvalid <= valid3_q && whole_y3_q;
    end
    if (!rst_ni) begin
      valid1_q      <= 1'b0;
      valid2_q      <= 1'b0;
      valid3_q      <= 1'b0;
      m_axis_tvalid <= 1'b0;
    end
  end

  logic unused;
  assign unused = &{1'b0, s_axis_tlast};

endmodule

`default_nettype wire
