// br_axi_writer: AXI4 master that writes a stream into runs of memory, with several bursts under way.
// Function       the beats of s_axis go to the addresses of the commands, in order. A burst is announced when all its
//                beats are in the FIFO, so the port never waits for the stream
// Commands       s_cmd: {length in beats, address in bytes}, as br_axi_bursts takes them; beats may come before their
//                command
// Stream in      beats of DataWidth bits, lowest address in the low bits; counted, no tlast
// Stream out     none
// Parameters     Depth: MaxBurst or more, 2*MaxBurst for one beat a cycle
// Errors         error_o is high from the first response that is not OKAY to the reset
// Idle           idle_o: all commands that were taken are in the memory: every burst has its response. Low from the
//                cycle behind a command
// Latency        2 cycles from the last beat of a burst to its address and first beat on the port
// Throughput     one beat a cycle, for commands of two beats and more
// Back-pressure  holds Depth beats; 63 bursts without a response at most; no combinational path between any two ports
// Source         house style; the FIFO's credits are those of br_axi_reader, turned around

`default_nettype none

module br_axi_writer #(
  parameter int unsigned AddrWidth = 32,  // bits of an address
  parameter int unsigned DataWidth = 64,  // bits of a beat: 8, 16, 32, .. 1024
  parameter int unsigned LenWidth  = 24,  // bits of the length of a command
  parameter int unsigned MaxBurst  = 16,  // most beats of a burst: a power of two, 16 for AXI3
  parameter int unsigned Depth     = 32   // beats that wait
) (
  input  wire                           clk_i,
  input  wire                           rst_ni,
  input  wire  [LenWidth+AddrWidth-1:0] s_cmd_tdata,
  input  wire                           s_cmd_tvalid,
  output logic                          s_cmd_tready,
  input  wire  [         DataWidth-1:0] s_axis_tdata,
  input  wire                           s_axis_tvalid,
  output logic                          s_axis_tready,
  output logic [         AddrWidth-1:0] m_axi_awaddr,
  output logic [                   7:0] m_axi_awlen,
  output logic [                   2:0] m_axi_awsize,
  output logic [                   1:0] m_axi_awburst,
  output logic [                   3:0] m_axi_awcache,
  output logic [                   2:0] m_axi_awprot,
  output logic                          m_axi_awvalid,
  input  wire                           m_axi_awready,
  output logic [         DataWidth-1:0] m_axi_wdata,
  output logic [       DataWidth/8-1:0] m_axi_wstrb,
  output logic                          m_axi_wlast,
  output logic                          m_axi_wvalid,
  input  wire                           m_axi_wready,
  input  wire  [                   1:0] m_axi_bresp,
  input  wire                           m_axi_bvalid,
  output logic                          m_axi_bready,
  output logic                          idle_o,
  output logic                          error_o
);

  localparam int unsigned IndexWidth = br_pkg::idx_width(Depth);
  localparam int unsigned OwedWidth = 6;

  logic issue, busy, push, send, fifo_valid, unused_last, unused_tlast;
  logic [br_pkg::cnt_width(Depth)-1:0] unused_usage, unused_fill;
  logic [7:0] len, beat_q;  // of the burst that is sent: number of its beat
  logic [7:0] lens[Depth];  // beats less one of each burst that is announced and not sent
  logic [IndexWidth-1:0] issued_q, sent_q;  // bursts, modulo Depth
  logic [br_pkg::cnt_width(Depth)-1:0] unsent_q;  // bursts announced and not sent; each has a beat in the FIFO
  logic [OwedWidth-1:0] owed_q;  // bursts announced that have no response

  assign m_axi_awsize  = 3'($clog2(DataWidth / 8));
  assign m_axi_awburst = 2'b01;  // INCR
  assign m_axi_awcache = 4'b0011;  // bufferable, modifiable
  assign m_axi_awprot  = 3'b000;
  assign m_axi_wstrb   = '1;
  // fault: beat-before-burst
  assign m_axi_wvalid  = fifo_valid && unsent_q != '0;
  // fault: burst-ends-late
  assign m_axi_wlast   = beat_q == lens[sent_q];
  assign m_axi_bready  = 1'b1;
  assign push          = s_axis_tvalid && s_axis_tready;
  assign send          = m_axi_wvalid && m_axi_wready;
  // fault: idle-early
  assign idle_o        = !busy && owed_q == '0;

  function automatic logic [IndexWidth-1:0] next(logic [IndexWidth-1:0] index);
    return index == IndexWidth'(Depth - 1) ? '0 : index + 1'b1;
  endfunction

  br_axi_bursts #(
    .AddrWidth(AddrWidth),
    .DataWidth(DataWidth),
    .LenWidth (LenWidth),
    .MaxBurst (MaxBurst),
    .Depth    (Depth),
    .Credits  (0)
  ) u_bursts (
    .clk_i,
    .rst_ni,
    .s_cmd_tdata,
    .s_cmd_tvalid,
    .s_cmd_tready,
    .credit_i   (push),
    // fault: responses-uncounted
    .hold_i     (owed_q == '1),
    .issue_o    (issue),
    .len_o      (len),
    .last_o     (unused_last),
    .busy_o     (busy),
    .m_axi_addr (m_axi_awaddr),
    .m_axi_len  (m_axi_awlen),
    .m_axi_valid(m_axi_awvalid),
    .m_axi_ready(m_axi_awready)
  );

  br_fifo #(
    .Width(DataWidth),
    .Depth(Depth)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .s_axis_tdata,
    .s_axis_tvalid,
    .s_axis_tready,
    .s_axis_tlast (1'b0),
    .m_axis_tdata (m_axi_wdata),
    .m_axis_tvalid(fifo_valid),
    .m_axis_tready(send),
    .m_axis_tlast (unused_tlast),
    .usage_o      (unused_usage),
    .max_fill_o   (unused_fill)
  );

  always_ff @(posedge clk_i) begin
    if (issue) lens[issued_q] <= len;
  end

  always_ff @(posedge clk_i) begin
    if (issue) issued_q <= next(issued_q);
    if (send) beat_q <= m_axi_wlast ? '0 : beat_q + 8'd1;
    if (send && m_axi_wlast) sent_q <= next(sent_q);
    unsent_q <= unsent_q + ($bits(unsent_q))'(issue) - ($bits(unsent_q))'(send && m_axi_wlast);
    // fault: response-twice
    owed_q   <= owed_q + OwedWidth'(issue) - OwedWidth'(m_axi_bvalid);
    // fault: write-error-passed
    if (m_axi_bvalid && m_axi_bresp != 2'b00) error_o <= 1'b1;
    if (!rst_ni) begin
      issued_q <= '0;
      beat_q   <= '0;
      sent_q   <= '0;
      unsent_q <= '0;
      owed_q   <= '0;
      error_o  <= 1'b0;
    end
  end

endmodule

`default_nettype wire
