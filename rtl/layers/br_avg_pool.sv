// br_avg_pool: average over windows that do not overlap, as an exact sum rounded once.
// Function       q = sat((sum of the KernelH x KernelW window + half) >>> Shift), saturation to OutWidth bits;
//                half = 2^(Shift-1) for Shift > 0, else 0; a negative Shift is a left shift. The global pool is the
//                kernel Height x Width; the kernel 1x1 only rounds and holds no sums
// Stream in      beat = Lanes signed numbers of InWidth bits of one pixel; rows from the top, pixels from the left
// Stream out     beat = Lanes signed numbers of OutWidth bits; tlast on the frame's last beat
// Parameters     Lanes divides Channels, KernelH divides Height, KernelW divides Width (checked at elaboration);
//                SumWidth bits hold any sum over a window or a part of it
// Latency        ((KernelH-1)*Width + KernelW-1)*(Channels/Lanes) + 4
// Throughput     cycles per frame = input beats = Height*Width*(Channels/Lanes)
// Back-pressure  combinational path m_axis_tready -> s_axis_tready; holds 4 beats when stalled
// Source         golden in bireal_hw/ops/avg_pool.py

`default_nettype none

module br_avg_pool #(
  parameter int unsigned Height   = 2,   // rows of an image; a multiple of KernelH
  parameter int unsigned Width    = 2,   // columns of an image; a multiple of KernelW
  parameter int unsigned Channels = 1,   // channels of a pixel
  parameter int unsigned Lanes    = 1,   // channels in a beat; divides Channels
  parameter int unsigned InWidth  = 16,  // bits of a number in, signed
  parameter int unsigned KernelH  = 2,   // rows of a window
  parameter int unsigned KernelW  = 2,   // columns of a window
  parameter int unsigned SumWidth = 18,  // bits of a sum over a window or a part of it; holds every one
  parameter int          Shift    = 2,   // bits by which the sum is shifted right, negative = left
  parameter int unsigned OutWidth = 8    // bits of q, signed
) (
  input  wire                       clk_i,
  input  wire                       rst_ni,
  input  wire  [ Lanes*InWidth-1:0] s_axis_tdata,
  input  wire                       s_axis_tvalid,
  output logic                      s_axis_tready,
  input  wire                       s_axis_tlast,
  output logic [Lanes*OutWidth-1:0] m_axis_tdata,
  output logic                      m_axis_tvalid,
  input  wire                       m_axis_tready,
  output logic                      m_axis_tlast
);

  localparam int unsigned Groups = Channels / Lanes;
  localparam int unsigned Tiles = Width / KernelW;  // windows side by side
  localparam int unsigned Depth = Tiles * Groups;
  localparam int unsigned AddrWidth = br_pkg::idx_width(Depth);
  localparam int unsigned GroupWidth = br_pkg::idx_width(Groups);
  localparam int unsigned ColWidth = br_pkg::idx_width(KernelW);
  localparam int unsigned RowWidth = br_pkg::idx_width(KernelH);
  localparam int unsigned Right = Shift > 0 ? Shift : 0;
  localparam int unsigned Left = Shift < 0 ? -Shift : 0;
  localparam int unsigned RoundWidth = br_pkg::max2(br_pkg::max2(SumWidth, Right) + Left, OutWidth) + 1;
  localparam logic signed [RoundWidth-1:0] Half = Right > 0 ? RoundWidth'(1) << (Right - 1) : '0;

  if (Lanes < 1 || Channels % Lanes != 0) begin : gen_check_lanes
    $error("br_avg_pool: Channels=%0d must be a multiple of Lanes=%0d", Channels, Lanes);
  end
  if (Height % KernelH != 0 || Width % KernelW != 0) begin : gen_check_kernel
    $error("br_avg_pool: a %0dx%0d window does not tile %0dx%0d", KernelH, KernelW, Height, Width);
  end

  logic advance, take;
  assign advance = !m_axis_tvalid || m_axis_tready;
  assign s_axis_tready = advance;
  assign take = advance && s_axis_tvalid;

  // Position of the next input beat: channels, pixel and row inside the window, address of the window's sum.
  logic [GroupWidth-1:0] group_q;
  logic [ColWidth-1:0] col_q;
  logic [RowWidth-1:0] row_q;
  logic [AddrWidth-1:0] addr_q;
  logic group_end, col_end, row_end, line_end;

  assign group_end = group_q == GroupWidth'(Groups - 1);
  assign col_end   = col_q == ColWidth'(KernelW - 1);
  assign row_end   = row_q == RowWidth'(KernelH - 1);
  assign line_end  = group_end && col_end && addr_q == AddrWidth'(Depth - 1);

  always_ff @(posedge clk_i) begin
    if (take) begin
      group_q <= group_end ? '0 : group_q + 1'b1;
      if (group_end) col_q <= col_end ? '0 : col_q + 1'b1;
      if (line_end) row_q <= row_end ? '0 : row_q + 1'b1;
      if (line_end) addr_q <= '0;
      else if (group_end && !col_end) addr_q <= addr_q - AddrWidth'(Groups - 1);
      else addr_q <= addr_q + 1'b1;
    end
    if (!rst_ni) begin
      group_q <= '0;
      col_q   <= '0;
      row_q   <= '0;
      addr_q  <= '0;
    end
  end

  // Stage 1 reads the stored sum, stage 2 adds to it, stage 3 rounds, stage 4 is the output register.
  logic valid1_q, first1_q, last1_q, end1_q, valid2_q, first2_q, last2_q, end2_q, valid3_q, end3_q;
  logic [Lanes*InWidth-1:0] data1_q, data2_q;
  logic [AddrWidth-1:0] addr1_q, addr2_q;
  logic [Lanes*SumWidth-1:0] stored, sum, sum_q;

  if (KernelH * KernelW == 1) begin : gen_no_sums
    assign stored = '0;
    logic unused;
    assign unused = &{1'b0, addr2_q};
  end else begin : gen_sums
    br_ram #(
      .Width(Lanes * SumWidth),
      .Depth(Depth)
    ) u_sums (
      .clk_i,
      .en_i   (advance),
      .raddr_i(addr_q),
      .rdata_o(stored),
      .write_i(valid2_q),
      .waddr_i(addr2_q),
      .wdata_i(sum)
    );
  end

  always_ff @(posedge clk_i) begin
    if (advance) begin
      data1_q  <= s_axis_tdata;
      addr1_q  <= addr_q;
      first1_q <= col_q == '0 && row_q == '0;
      last1_q  <= col_end && row_end;
      end1_q   <= s_axis_tlast;

      data2_q  <= data1_q;
      addr2_q  <= addr1_q;
      first2_q <= first1_q;
      last2_q  <= last1_q;
      end2_q   <= end1_q;

      sum_q        <= sum;
      end3_q       <= end2_q;
      m_axis_tlast <= end3_q;

      valid1_q      <= take;
      valid2_q      <= valid1_q;
      valid3_q      <= valid2_q && last2_q;
      m_axis_tvalid <= valid3_q;
    end
    if (!rst_ni) begin
      valid1_q      <= 1'b0;
      valid2_q      <= 1'b0;
      valid3_q      <= 1'b0;
      m_axis_tvalid <= 1'b0;
    end
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic signed [InWidth-1:0] in;
    logic signed [SumWidth-1:0] partial;
    logic signed [RoundWidth-1:0] rounded;
    logic signed [OutWidth-1:0] out;

    assign in = data2_q[l*InWidth+:InWidth];
    // fault: two-windows
    assign partial = first2_q ? '0 : stored[l*SumWidth+:SumWidth];
    assign sum[l*SumWidth+:SumWidth] = partial + SumWidth'(in);
    // fault: half-of-average
    assign rounded = ((RoundWidth'(signed'(sum_q[l*SumWidth+:SumWidth])) <<< Left) + Half) >>> Right;

    br_saturate #(
      .InWidth (RoundWidth),
      .OutWidth(OutWidth)
    ) u_saturate (
      .in_i (rounded),
      .out_o(out)
    );

    always_ff @(posedge clk_i) begin
      if (advance) m_axis_tdata[l*OutWidth+:OutWidth] <= out;
    end
  end

endmodule

`default_nettype wire
