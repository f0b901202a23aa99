// br_max_pool: 3x3 maximum, stride 2, padding 1.
// Function       out[y][x] = largest of in[2y-1..2y+1][2x-1..2x+1], taps outside the image left out
// Stream in      beat = Lanes signed numbers of InWidth bits of one pixel; rows from the top, pixels from the left
// Stream out     the same format; tlast on the frame's last beat
// Parameters     Height and Width even, Lanes divides Channels (checked at elaboration)
// Latency        (Width + 1)*(Channels/Lanes) + 4
// Throughput     cycles per frame = input beats = Height*Width*(Channels/Lanes)
// Back-pressure  combinational path m_axis_tready -> s_axis_tready; holds 4 beats when stalled
// Source         golden in bireal_hw/ops/max_pool.py. The maximum runs along the row, then down the column, and both
//                are the same step: at an even position the running maximum takes the value in, at an odd one it takes
//                it in, is complete, and the value starts the next maximum

`default_nettype none

module br_max_pool #(
  parameter int unsigned Height   = 2,  // rows of an image, even
  parameter int unsigned Width    = 2,  // columns of an image, even
  parameter int unsigned Channels = 1,  // channels of a pixel
  parameter int unsigned Lanes    = 1,  // channels in a beat
  parameter int unsigned InWidth  = 16  // bits of a number, signed
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

  localparam int unsigned Groups = Channels / Lanes;
  localparam int unsigned Depth = Width / 2 * Groups;
  localparam int unsigned GroupWidth = br_pkg::idx_width(Groups);
  localparam int unsigned AddrWidth = br_pkg::idx_width(Depth);
  localparam int unsigned RowWidth = br_pkg::idx_width(Height);

  if (Lanes < 1 || Channels % Lanes != 0) begin : gen_check_lanes
    $error("br_max_pool: Channels=%0d must be a multiple of Lanes=%0d", Channels, Lanes);
  end
  if (Height % 2 != 0 || Width % 2 != 0) begin : gen_check_even
    $error("br_max_pool: Height=%0d and Width=%0d must be even", Height, Width);
  end

  typedef logic [Lanes*InWidth-1:0] beat_t;

  function automatic beat_t lane_max(beat_t a, beat_t b);
    for (int unsigned l = 0; l < Lanes; l++) begin
      lane_max[l*InWidth+:InWidth] = signed'(a[l*InWidth+:InWidth]) > signed'(b[l*InWidth+:InWidth])
                                     ? a[l*InWidth+:InWidth] : b[l*InWidth+:InWidth];
    end
  endfunction

  logic advance, take;
  assign advance = !m_axis_tvalid || m_axis_tready;
  assign s_axis_tready = advance;
  assign take = advance && s_axis_tvalid;

  // Position of the next input beat; pair_q counts the beats at odd pixels of the row, it addresses the column maxima.
  logic [GroupWidth-1:0] group_q;
  logic odd_q, first_q;  // odd pixel, first pixel of the row
  logic [RowWidth-1:0] row_q;
  logic [AddrWidth-1:0] pair_q;
  logic group_end, line_end;

  assign group_end = group_q == GroupWidth'(Groups - 1);
  assign line_end  = odd_q && pair_q == AddrWidth'(Depth - 1);

  always_ff @(posedge clk_i) begin
    if (take) begin
      group_q <= group_end ? '0 : group_q + 1'b1;
      if (group_end) begin
        odd_q   <= !odd_q;
        first_q <= line_end;
      end
      if (odd_q) pair_q <= line_end ? '0 : pair_q + 1'b1;
      if (line_end) row_q <= row_q == RowWidth'(Height - 1) ? '0 : row_q + 1'b1;
    end
    if (!rst_ni) begin
      group_q <= '0;
      odd_q   <= 1'b0;
      first_q <= 1'b1;
      row_q   <= '0;
      pair_q  <= '0;
    end
  end

  // Stages 1 and 2: along the row, one running maximum per group of channels.
  logic valid1_q, odd1_q, first1_q, end1_q, row_odd1_q, row_first1_q;
  logic valid2_q, odd2_q, first2_q, end2_q, row_odd2_q, row_first2_q;
  logic [GroupWidth-1:0] group1_q, group2_q;
  logic [AddrWidth-1:0] pair1_q, pair2_q;
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
    .wdata_i(odd2_q ? data2_q : row_max)
  );

  assign row_max = first2_q ? data2_q : lane_max(row_stored, data2_q);

  // Stages 2 and 3: down the column, one running maximum per pixel pair and group; stage 4 is the output register.
  logic valid3_q, end3_q, row_odd3_q, row_first3_q;
  logic [AddrWidth-1:0] pair3_q;
  beat_t row_max_q, col_stored, col_max;

  br_ram #(
    .Width(Lanes * InWidth),
    .Depth(Depth)
  ) u_column (
    .clk_i,
    .en_i   (advance),
    .raddr_i(pair1_q),
    .rdata_o(col_stored),
    .write_i(valid3_q),
    .waddr_i(pair3_q),
    .wdata_i(row_odd3_q ? row_max_q : col_max)
  );

  assign col_max = row_first3_q ? row_max_q : lane_max(col_stored, row_max_q);

  always_ff @(posedge clk_i) begin
    if (advance) begin
      data1_q      <= s_axis_tdata;
      group1_q     <= group_q;
      pair1_q      <= pair_q;
      odd1_q       <= odd_q;
      first1_q     <= first_q;
      row_odd1_q   <= row_q[0];
      row_first1_q <= row_q == '0;
      end1_q       <= s_axis_tlast;

      data2_q      <= data1_q;
      group2_q     <= group1_q;
      pair2_q      <= pair1_q;
      odd2_q       <= odd1_q;
      first2_q     <= first1_q;
      row_odd2_q   <= row_odd1_q;
      row_first2_q <= row_first1_q;
      end2_q       <= end1_q;

      row_max_q    <= row_max;
      pair3_q      <= pair2_q;
      row_odd3_q   <= row_odd2_q;
      row_first3_q <= row_first2_q;
      end3_q       <= end2_q;

      m_axis_tdata <= col_max;
      m_axis_tlast <= end3_q;

      valid1_q      <= take;
      valid2_q      <= valid1_q;
      valid3_q      <= valid2_q && odd2_q;
      m_axis_tvalid <= valid3_q && row_odd3_q;
    end
    if (!rst_ni) begin
      valid1_q      <= 1'b0;
      valid2_q      <= 1'b0;
      valid3_q      <= 1'b0;
      m_axis_tvalid <= 1'b0;
    end
  end

endmodule

`default_nettype wire
