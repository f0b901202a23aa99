// fifo_watch: br_fifo beside counters of our own (test only); a wrong fill level stops the simulation.

`default_nettype none

module fifo_watch #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 4
) (
  input  wire                clk_i,
  input  wire                rst_ni,
  input  wire   [Width-1:0]  s_axis_tdata,
  input  wire                s_axis_tvalid,
  output logic               s_axis_tready,
  input  wire                s_axis_tlast,
  output logic  [Width-1:0]  m_axis_tdata,
  output logic               m_axis_tvalid,
  input  wire                m_axis_tready,
  output logic               m_axis_tlast
);

  logic [$clog2(Depth+1)-1:0] usage, max_fill;
  int fill, highest;

  br_fifo #(.Width(Width), .Depth(Depth)) u_fifo (.*, .usage_o(usage), .max_fill_o(max_fill));

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      fill    <= 0;
      highest <= 0;
    end else begin
      fill <= fill + (s_axis_tvalid && s_axis_tready ? 1 : 0) - (m_axis_tvalid && m_axis_tready ? 1 : 0);
      if (fill > highest) highest <= fill;
      if (int'(usage) != fill) $fatal(1, "usage_o is %0d, %0d beats are inside", usage, fill);
      if (int'(max_fill) != highest) $fatal(1, "max_fill_o is %0d, the highest fill was %0d", max_fill, highest);
      if (fill == int'(Depth) && s_axis_tready) $fatal(1, "ready while %0d of %0d beats are inside", fill, Depth);
      if (fill != int'(Depth) && !s_axis_tready) $fatal(1, "not ready while %0d of %0d beats are inside", fill, Depth);
    end
  end

endmodule

`default_nettype wire
