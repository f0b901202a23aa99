// br_axi_reader: AXI4 master that reads runs of memory into a stream, with several bursts under way.
// Function       m_axis gives the beats of each command in order, tlast with the last of a command. A burst is asked for
//                when the FIFO has room for all of it, so what comes is always taken and the port never waits for the
//                stream
// Commands       s_cmd: {length in beats, address in bytes}, as br_axi_bursts takes them: the next command's bursts
//                follow while those of the last are under way
// Stream in      none
// Stream out     beats of DataWidth bits, lowest address in the low bits
// Parameters     Depth: MaxBurst or more; for a beat a cycle 2 more than a burst and the cycles from an address to its
//                first beat
// Errors         error_o is high from the first response that is not OKAY to the reset; the beat is passed on
// Latency        3 cycles from a command to its first beat, and those of the memory
// Throughput     one beat a cycle, for commands of two beats and more
// Back-pressure  holds Depth beats, and asks for no more; no combinational path between any two ports
// Source         credits for room in a buffer, as in H2PIPE (arXiv:2408.09209)

`default_nettype none

module br_axi_reader #(
  parameter int unsigned AddrWidth = 32,  // bits of an address
  parameter int unsigned DataWidth = 64,  // bits of a beat: 8, 16, 32, .. 1024
  parameter int unsigned LenWidth  = 24,  // bits of the length of a command
  parameter int unsigned MaxBurst  = 16,  // most beats of a burst: a power of two, 16 for AXI3
  parameter int unsigned Depth     = 64   // beats that are asked for or wait
) (
  input  wire                           clk_i,
  input  wire                           rst_ni,
  input  wire  [LenWidth+AddrWidth-1:0] s_cmd_tdata,
  input  wire                           s_cmd_tvalid,
  output logic                          s_cmd_tready,
  output logic [         DataWidth-1:0] m_axis_tdata,
  output logic                          m_axis_tvalid,
  input  wire                           m_axis_tready,
  output logic                          m_axis_tlast,
  output logic [         AddrWidth-1:0] m_axi_araddr,
  output logic [                   7:0] m_axi_arlen,
  output logic [                   2:0] m_axi_arsize,
  output logic [                   1:0] m_axi_arburst,
  output logic [                   3:0] m_axi_arcache,
  output logic [                   2:0] m_axi_arprot,
  output logic                          m_axi_arvalid,
  input  wire                           m_axi_arready,
  input  wire  [         DataWidth-1:0] m_axi_rdata,
  input  wire  [                   1:0] m_axi_rresp,
  input  wire                           m_axi_rlast,
  input  wire                           m_axi_rvalid,
  output logic                          m_axi_rready,
  output logic                          error_o
);

  localparam int unsigned IndexWidth = br_pkg::idx_width(Depth);

  logic issue, last, beat_last, unused_ready, unused_busy;
  logic [7:0] unused_len;
  logic [br_pkg::cnt_width(Depth)-1:0] unused_usage, unused_fill;
  logic lasts[Depth];  // of each burst under way: whether it ends its command
  logic [IndexWidth-1:0] issued_q, came_q;  // bursts, modulo Depth; none is under way without a beat of credit

  assign m_axi_arsize  = 3'($clog2(DataWidth / 8));
  assign m_axi_arburst = 2'b01;  // INCR
  assign m_axi_arcache = 4'b0011;  // bufferable, modifiable
  assign m_axi_arprot  = 3'b000;
  assign m_axi_rready  = 1'b1;
  // fault: last-of-burst
  assign beat_last     = m_axi_rlast && lasts[came_q];

  function automatic logic [IndexWidth-1:0] next(logic [IndexWidth-1:0] index);
    return index == IndexWidth'(Depth - 1) ? '0 : index + 1'b1;
  endfunction

  br_axi_bursts #(
    .AddrWidth(AddrWidth),
    .DataWidth(DataWidth),
    .LenWidth (LenWidth),
    .MaxBurst (MaxBurst),
    .Depth    (Depth),
    .Credits  (Depth)
  ) u_bursts (
    .clk_i,
    .rst_ni,
    .s_cmd_tdata,
    .s_cmd_tvalid,
    .s_cmd_tready,
    .credit_i   (m_axis_tvalid && m_axis_tready),
    .hold_i     (1'b0),
    .issue_o    (issue),
    .len_o      (unused_len),
    .last_o     (last),
    .busy_o     (unused_busy),
    .m_axi_addr (m_axi_araddr),
    .m_axi_len  (m_axi_arlen),
    .m_axi_valid(m_axi_arvalid),
    .m_axi_ready(m_axi_arready)
  );

  br_fifo #(
    .Width(DataWidth),
    .Depth(Depth)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .s_axis_tdata (m_axi_rdata),
    .s_axis_tvalid(m_axi_rvalid),
    .s_axis_tready(unused_ready),
    .s_axis_tlast (beat_last),
    .m_axis_tdata,
    .m_axis_tvalid,
    .m_axis_tready,
    .m_axis_tlast,
    .usage_o      (unused_usage),
    .max_fill_o   (unused_fill)
  );

  always_ff @(posedge clk_i) begin
    if (issue) lasts[issued_q] <= last;
  end

  always_ff @(posedge clk_i) begin
    if (issue) issued_q <= next(issued_q);
    if (m_axi_rvalid && m_axi_rlast) came_q <= next(came_q);
    // fault: read-error-passed
    if (m_axi_rvalid && m_axi_rresp != 2'b00) error_o <= 1'b1;
    if (!rst_ni) begin
      issued_q <= '0;
      came_q   <= '0;
      error_o  <= 1'b0;
    end
  end

endmodule

`default_nettype wire
