// br_upsample: every pixel repeated FactorW times along the row, every row FactorH times.
// Function       out[y][x] = in[y/FactorH][x/FactorW], rounded down
// Stream in      beat = Lanes numbers of InWidth bits of one pixel; rows from the top, pixels from the left
// Stream out     the same format; tlast on the frame's last beat
// Parameters     FactorH, FactorW >= 1, Lanes divides Channels (checked at elaboration)
// Latency        3: store, read, output register
// Throughput     cycles per frame = output beats = FactorH*FactorW * input beats
// Back-pressure  no combinational path m_axis_tready -> s_axis_tready; holds a row and a pixel of input, and 2 beats of
//                output, when stalled
// Source         golden in bireal_hw/ops/upsample.py. A ring of one row and one pixel: while the last copies of a row
//                are read, the next row takes the places that they leave, and its first pixel the one to spare, so no
//                cycle is lost

`default_nettype none

module br_upsample #(
  parameter int unsigned Width    = 2,   // pixels of an input row, 1 or more
  parameter int unsigned Channels = 1,   // channels of a pixel
  parameter int unsigned Lanes    = 1,   // channels in a beat; divides Channels
  parameter int unsigned InWidth  = 16,  // bits of a number
  parameter int unsigned FactorH  = 2,   // copies of a row, 1 or more
  parameter int unsigned FactorW  = 2    // copies of a pixel along the row, 1 or more
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
  localparam int unsigned Depth = (Width + 1) * Groups;
  localparam int unsigned AddrWidth = br_pkg::idx_width(Depth);
  localparam int unsigned CountWidth = br_pkg::cnt_width(Depth);
  localparam int unsigned GroupWidth = br_pkg::idx_width(Groups);
  localparam int unsigned PixelWidth = br_pkg::idx_width(Width);
  localparam int unsigned DownWidth = br_pkg::idx_width(FactorH);
  localparam int unsigned AcrossWidth = br_pkg::idx_width(FactorW);

  if (Lanes < 1 || Channels % Lanes != 0) begin : gen_check_lanes
    $error("br_upsample: Channels=%0d must be a multiple of Lanes=%0d", Channels, Lanes);
  end
  if (FactorH < 1 || FactorW < 1 || Width < 1) begin : gen_check_sizes
    $error("br_upsample: FactorH=%0d, FactorW=%0d and Width=%0d must be at least 1", FactorH, FactorW, Width);
  end

  typedef logic [AddrWidth-1:0] addr_t;

  function automatic addr_t next(addr_t address);
    return address == addr_t'(Depth - 1) ? '0 : address + 1'b1;
  endfunction

  logic [Lanes*InWidth:0] mem[Depth];  // tlast above tdata
  logic [Lanes*InWidth:0] mem_q;

  addr_t write_q;
  logic [CountWidth-1:0] held_q;   // beats inside whose last copy has not been read
  logic [CountWidth-1:0] fresh_q;  // those of them of which no copy has been read
  logic push, read, first_copy, last_copy;

  // The next beat to read: its address, where its pixel and its row begin, and the loops from the inside out.
  addr_t addr_q, pixel_q, row_q;
  logic [GroupWidth-1:0] group_q;
  logic [AcrossWidth-1:0] across_q;
  logic [DownWidth-1:0] down_q;
  logic [PixelWidth-1:0] x_q;
  logic group_end, across_end, line_end, down_end;

  assign group_end  = group_q == GroupWidth'(Groups - 1);
  assign across_end = group_end && across_q == AcrossWidth'(FactorW - 1);
  assign line_end   = across_end && x_q == PixelWidth'(Width - 1);
  assign down_end   = down_q == DownWidth'(FactorH - 1);
  // fault: copy-of-next-row
  assign first_copy = across_q == '0 && down_q == '0;
  assign last_copy  = across_q == AcrossWidth'(FactorW - 1) && down_end;

  // Stages 1 and 2: the memory's output register, the module's.
  logic advance, valid1_q, last1_q;
  assign advance = !m_axis_tvalid || m_axis_tready;
  assign read = advance && (!first_copy || fresh_q != '0);
  // fault: ring-overflows
  assign s_axis_tready = held_q != CountWidth'(Depth);
  assign push = s_axis_tvalid && s_axis_tready;

  always_ff @(posedge clk_i) begin
    if (push) mem[write_q] <= {s_axis_tlast, s_axis_tdata};
    if (advance) mem_q <= mem[addr_q];
  end

  always_ff @(posedge clk_i) begin
    if (advance) begin
      valid1_q      <= read;
      last1_q       <= last_copy;
      m_axis_tvalid <= valid1_q;
      m_axis_tdata  <= mem_q[Lanes*InWidth-1:0];
      m_axis_tlast  <= last1_q && mem_q[Lanes*InWidth];
    end

    if (push) write_q <= next(write_q);
    held_q  <= held_q + CountWidth'(push) - CountWidth'(read && last_copy);
    fresh_q <= fresh_q + CountWidth'(push) - CountWidth'(read && first_copy);
    if (read) begin
      group_q <= group_end ? '0 : group_q + 1'b1;
      if (group_end) across_q <= across_end ? '0 : across_q + 1'b1;
      if (across_end) x_q <= line_end ? '0 : x_q + 1'b1;
      if (line_end) down_q <= down_end ? '0 : down_q + 1'b1;
      if (line_end && !down_end) begin
        addr_q  <= row_q;
        pixel_q <= row_q;
      end else if (group_end && !across_end) begin
        addr_q <= pixel_q;
      end else begin
        addr_q <= next(addr_q);
        if (across_end) pixel_q <= next(addr_q);
        if (line_end) row_q <= next(addr_q);
      end
    end
    if (!rst_ni) begin
      write_q       <= '0;
      held_q        <= '0;
      fresh_q       <= '0;
      addr_q        <= '0;
      pixel_q       <= '0;
      row_q         <= '0;
      group_q       <= '0;
      across_q      <= '0;
      down_q        <= '0;
      x_q           <= '0;
      valid1_q      <= 1'b0;
      m_axis_tvalid <= 1'b0;
    end
  end

endmodule

`default_nettype wire
