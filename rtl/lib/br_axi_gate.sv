// br_axi_gate: stands in the address channels of an AXI4 master, so that the master can be reset while others go on.
// Function       open, everything passes. Closed, no burst is announced any more, but for an address that has been
//                offered; what was announced goes on to its last beat and its response, then idle_o is high and stays so
//                while the gate is closed: now a reset of the master leaves no burst without its data and no answer
//                without its burst. It needs a master that takes every answer and has all data of what it announces,
//                such as br_axi_reader and br_axi_writer, and that runs on until idle_o
// Streams        s_axi: handshakes of the master, m_axi: of the memory; what they carry goes past the gate, as do those
//                channels that it only watches. A direction that is not there is tied to 0
// Outputs        idle_o: no burst lacks an answer; read_o, written_o: a beat of data was taken in this cycle
// Latency        0
// Throughput     a burst a cycle
// Back-pressure  a beat to be written waits for its address to be offered, not for it to be taken
// Source         AMBA AXI4, A3.2.1 (a valid stays until its ready), A3.3.1 (what may wait for what)
`default_nettype none

module br_axi_gate #(
  parameter int unsigned CountWidth = 10  // bits of the number of bursts under way
) (
  input  wire  clk_i,
  input  wire  rst_ni,
  input  wire  close_i,
  output logic idle_o,
  output logic read_o,
  output logic written_o,
  input  wire  s_axi_arvalid,
  output logic s_axi_arready,
  output logic m_axi_arvalid,
  input  wire  m_axi_arready,
  input  wire  m_axi_rvalid,
  input  wire  m_axi_rready,
  input  wire  m_axi_rlast,
  input  wire  s_axi_awvalid,
  output logic s_axi_awready,
  output logic m_axi_awvalid,
  input  wire  m_axi_awready,
  input  wire  s_axi_wvalid,
  output logic s_axi_wready,
  output logic m_axi_wvalid,
  input  wire  m_axi_wready,
  input  wire  m_axi_wlast,
  input  wire  m_axi_bvalid,
  input  wire  m_axi_bready
);

  logic ar_waits_q, aw_waits_q;  // an address has been offered and not taken
  logic ar_new, aw_new, wlast;
  logic [CountWidth-1:0] reads_q, writes_q;  // bursts offered that have no whole answer
  logic [CountWidth-1:0] unsent_q;  // bursts offered whose data has not been sent

  // fault: gate-offers, gate-drops
  assign m_axi_arvalid = s_axi_arvalid && (!close_i || ar_waits_q);
  assign m_axi_awvalid = s_axi_awvalid && (!close_i || aw_waits_q);
  assign s_axi_arready = m_axi_arready && m_axi_arvalid;
  assign s_axi_awready = m_axi_awready && m_axi_awvalid;
  assign ar_new        = m_axi_arvalid && !ar_waits_q;
  assign aw_new        = m_axi_awvalid && !aw_waits_q;
  // fault: gate-data
  assign m_axi_wvalid  = s_axi_wvalid && (unsent_q != '0 || aw_new);
  assign s_axi_wready  = m_axi_wready && m_axi_wvalid;
  assign wlast         = written_o && m_axi_wlast;
  assign read_o        = m_axi_rvalid && m_axi_rready;
  assign written_o     = m_axi_wvalid && m_axi_wready;
  // fault: gate-idle
  assign idle_o        = reads_q == '0 && writes_q == '0;

  always_ff @(posedge clk_i) begin
    ar_waits_q <= m_axi_arvalid && !m_axi_arready;
    aw_waits_q <= m_axi_awvalid && !m_axi_awready;
    reads_q    <= reads_q + CountWidth'(ar_new) - CountWidth'(read_o && m_axi_rlast);
    writes_q   <= writes_q + CountWidth'(aw_new) - CountWidth'(m_axi_bvalid && m_axi_bready);
    unsent_q   <= unsent_q + CountWidth'(aw_new) - CountWidth'(wlast);
    if (!rst_ni) begin
      ar_waits_q <= 1'b0;
      aw_waits_q <= 1'b0;
      reads_q    <= '0;
      writes_q   <= '0;
      unsent_q   <= '0;
    end
  end

endmodule

`default_nettype wire
