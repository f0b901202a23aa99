// br_short_fifo: br_fifo that holds fewer beats than it could (simulation only).
// Function       as br_fifo with Depth = depth, 1 .. Depth, which the bench sets between two runs
// Parameters     those of br_fifo

`default_nettype none

module br_short_fifo #(
  parameter int unsigned Width = 8,  // bits of tdata
  parameter int unsigned Depth = 16  // beats that it holds at most, 1 or more
) (
  input  wire              clk_i,
  input  wire              rst_ni,
  input  wire  [Width-1:0] s_axis_tdata,
  input  wire              s_axis_tvalid,
  output logic             s_axis_tready,
  input  wire              s_axis_tlast,
  output logic [Width-1:0] m_axis_tdata,
  output logic             m_axis_tvalid,
  input  wire              m_axis_tready,
  output logic             m_axis_tlast
);

  localparam int unsigned FillWidth = br_pkg::cnt_width(Depth);

  int depth;  // beats
  logic [FillWidth-1:0] usage, max_fill_o;
  logic room, ready;

  assign room = 32'(usage) < depth;
  assign s_axis_tready = room && ready;

  br_fifo #(
    .Width(Width),
    .Depth(Depth)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .s_axis_tdata,
    .s_axis_tvalid(s_axis_tvalid && room),
    .s_axis_tready(ready),
    .s_axis_tlast,
    .m_axis_tdata,
    .m_axis_tvalid,
    .m_axis_tready,
    .m_axis_tlast,
    .usage_o      (usage),
    .max_fill_o
  );

endmodule

`default_nettype wire
