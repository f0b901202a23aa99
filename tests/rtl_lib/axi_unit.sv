// axi_unit: both AXI masters behind one stream of commands, as an engine has them: a port that reads weights, and one that
// reads and writes maps. Commands of a unit follow each other at once; one of another unit waits until the others are done.
`default_nettype none

module axi_unit #(
  parameter int unsigned MaxBurst = 16,
  parameter int unsigned Depth    = 64,
  parameter int unsigned Together = 0    // 1: commands wait for no other unit; nothing reads maps then
) (
  input  wire         clk_i,
  input  wire         rst_ni,
  input  wire  [95:0] s_cmd_tdata,            // unit (0 reads weights, 1 reads maps, 2 writes maps), beats, offset
  input  wire         s_cmd_tvalid,
  output logic        s_cmd_tready,
  input  wire         s_cmd_tlast,
  input  wire  [63:0] s_axis_tdata,
  input  wire         s_axis_tvalid,
  output logic        s_axis_tready,
  input  wire         s_axis_tlast,
  output logic [79:0] m_axis_tdata,           // whether it is a command's last beat, beat
  output logic        m_axis_tvalid,
  input  wire         m_axis_tready,
  output logic        m_axis_tlast,           // of the last command
  input  wire  [31:0] weights_base_i,
  input  wire  [31:0] maps_base_i,
  output logic [ 2:0] status_o,
  output logic [31:0] m_axi_weights_araddr,
  output logic [ 7:0] m_axi_weights_arlen,
  output logic [ 2:0] m_axi_weights_arsize,
  output logic [ 1:0] m_axi_weights_arburst,
  output logic [ 3:0] m_axi_weights_arcache,
  output logic [ 2:0] m_axi_weights_arprot,
  output logic        m_axi_weights_arvalid,
  input  wire         m_axi_weights_arready,
  input  wire  [63:0] m_axi_weights_rdata,
  input  wire  [ 1:0] m_axi_weights_rresp,
  input  wire         m_axi_weights_rlast,
  input  wire         m_axi_weights_rvalid,
  output logic        m_axi_weights_rready,
  output logic [31:0] m_axi_maps_araddr,
  output logic [ 7:0] m_axi_maps_arlen,
  output logic [ 2:0] m_axi_maps_arsize,
  output logic [ 1:0] m_axi_maps_arburst,
  output logic [ 3:0] m_axi_maps_arcache,
  output logic [ 2:0] m_axi_maps_arprot,
  output logic        m_axi_maps_arvalid,
  input  wire         m_axi_maps_arready,
  input  wire  [63:0] m_axi_maps_rdata,
  input  wire  [ 1:0] m_axi_maps_rresp,
  input  wire         m_axi_maps_rlast,
  input  wire         m_axi_maps_rvalid,
  output logic        m_axi_maps_rready,
  output logic [31:0] m_axi_maps_awaddr,
  output logic [ 7:0] m_axi_maps_awlen,
  output logic [ 2:0] m_axi_maps_awsize,
  output logic [ 1:0] m_axi_maps_awburst,
  output logic [ 3:0] m_axi_maps_awcache,
  output logic [ 2:0] m_axi_maps_awprot,
  output logic        m_axi_maps_awvalid,
  input  wire         m_axi_maps_awready,
  output logic [63:0] m_axi_maps_wdata,
  output logic [ 7:0] m_axi_maps_wstrb,
  output logic        m_axi_maps_wlast,
  output logic        m_axi_maps_wvalid,
  input  wire         m_axi_maps_wready,
  input  wire  [ 1:0] m_axi_maps_bresp,
  input  wire         m_axi_maps_bvalid,
  output logic        m_axi_maps_bready
);

  logic [1:0] unit, unit_q;
  logic [2:0] wanted, ready;
  logic [31:0] offset, beats, reads_q;  // reads that are not done
  logic done, take, ended_q, idle;
  logic [1:0] valid, last;
  logic [1:0][63:0] data;
  logic weights_error, read_error, write_error;

  assign {unit, beats, offset} = s_cmd_tdata[65:0];
  assign done = reads_q == '0 && idle;
  assign wanted = 3'(s_cmd_tvalid && (Together != 0 || done || unit == unit_q)) << unit;
  assign s_cmd_tready = ready[unit] && (Together != 0 || done || unit == unit_q);
  assign take = s_cmd_tvalid && s_cmd_tready;
  assign m_axis_tvalid = valid[unit_q[0]];
  assign m_axis_tdata = {15'b0, last[unit_q[0]], data[unit_q[0]]};
  assign status_o = {1'b0, write_error, weights_error || read_error};
  assign m_axis_tlast = last[unit_q[0]] && ended_q && reads_q == 1;

  always_ff @(posedge clk_i) begin
    if (take) unit_q <= unit;
    if (take && s_cmd_tlast) ended_q <= 1'b1;
    reads_q <= reads_q + 32'(take && unit != 2) - 32'(m_axis_tvalid && m_axis_tready && m_axis_tdata[64]);
    if (!rst_ni) begin
      reads_q <= '0;
      ended_q <= 1'b0;
      unit_q  <= '0;
    end
  end

  br_axi_reader #(
    .LenWidth(32),
    .MaxBurst(MaxBurst),
    .Depth   (Depth)
  ) u_weights (
    .clk_i,
    .rst_ni,
    .s_cmd_tdata  ({beats, weights_base_i + offset}),
    .s_cmd_tvalid (wanted[0]),
    .s_cmd_tready (ready[0]),
    .m_axis_tdata (data[0]),
    .m_axis_tvalid(valid[0]),
    .m_axis_tready(m_axis_tready && !unit_q[0]),
    .m_axis_tlast (last[0]),
    .m_axi_araddr (m_axi_weights_araddr),
    .m_axi_arlen  (m_axi_weights_arlen),
    .m_axi_arsize (m_axi_weights_arsize),
    .m_axi_arburst(m_axi_weights_arburst),
    .m_axi_arcache(m_axi_weights_arcache),
    .m_axi_arprot (m_axi_weights_arprot),
    .m_axi_arvalid(m_axi_weights_arvalid),
    .m_axi_arready(m_axi_weights_arready),
    .m_axi_rdata  (m_axi_weights_rdata),
    .m_axi_rresp  (m_axi_weights_rresp),
    .m_axi_rlast  (m_axi_weights_rlast),
    .m_axi_rvalid (m_axi_weights_rvalid),
    .m_axi_rready (m_axi_weights_rready),
    .error_o      (weights_error)
  );

  br_axi_reader #(
    .LenWidth(32),
    .MaxBurst(MaxBurst),
    .Depth   (Depth)
  ) u_reader (
    .clk_i,
    .rst_ni,
    .s_cmd_tdata  ({beats, maps_base_i + offset}),
    .s_cmd_tvalid (wanted[1]),
    .s_cmd_tready (ready[1]),
    .m_axis_tdata (data[1]),
    .m_axis_tvalid(valid[1]),
    .m_axis_tready(m_axis_tready && unit_q[0]),
    .m_axis_tlast (last[1]),
    .m_axi_araddr (m_axi_maps_araddr),
    .m_axi_arlen  (m_axi_maps_arlen),
    .m_axi_arsize (m_axi_maps_arsize),
    .m_axi_arburst(m_axi_maps_arburst),
    .m_axi_arcache(m_axi_maps_arcache),
    .m_axi_arprot (m_axi_maps_arprot),
    .m_axi_arvalid(m_axi_maps_arvalid),
    .m_axi_arready(m_axi_maps_arready),
    .m_axi_rdata  (m_axi_maps_rdata),
    .m_axi_rresp  (m_axi_maps_rresp),
    .m_axi_rlast  (m_axi_maps_rlast),
    .m_axi_rvalid (m_axi_maps_rvalid),
    .m_axi_rready (m_axi_maps_rready),
    .error_o      (read_error)
  );

  br_axi_writer #(
    .LenWidth(32),
    .MaxBurst(MaxBurst),
    .Depth   (Depth)
  ) u_writer (
    .clk_i,
    .rst_ni,
    .s_cmd_tdata  ({beats, maps_base_i + offset}),
    .s_cmd_tvalid (wanted[2]),
    .s_cmd_tready (ready[2]),
    .s_axis_tdata,
    .s_axis_tvalid,
    .s_axis_tready,
    .m_axi_awaddr (m_axi_maps_awaddr),
    .m_axi_awlen  (m_axi_maps_awlen),
    .m_axi_awsize (m_axi_maps_awsize),
    .m_axi_awburst(m_axi_maps_awburst),
    .m_axi_awcache(m_axi_maps_awcache),
    .m_axi_awprot (m_axi_maps_awprot),
    .m_axi_awvalid(m_axi_maps_awvalid),
    .m_axi_awready(m_axi_maps_awready),
    .m_axi_wdata  (m_axi_maps_wdata),
    .m_axi_wstrb  (m_axi_maps_wstrb),
    .m_axi_wlast  (m_axi_maps_wlast),
    .m_axi_wvalid (m_axi_maps_wvalid),
    .m_axi_wready (m_axi_maps_wready),
    .m_axi_bresp  (m_axi_maps_bresp),
    .m_axi_bvalid (m_axi_maps_bvalid),
    .m_axi_bready (m_axi_maps_bready),
    .idle_o       (idle),
    .error_o      (write_error)
  );

endmodule

`default_nettype wire
