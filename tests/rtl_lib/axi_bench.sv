// axi_bench: axi_unit between stream models, with its AXI ports open to models in Python (play_axi.py).
`default_nettype none

module br_bench (
  input  wire logic          clk_i  /*verilator public_flat_rw*/,
  input  wire logic          rst_ni  /*verilator public_flat_rw*/,
  input  wire integer        run_i  /*verilator public_flat_rw*/,
  input  wire integer        idle_i  /*verilator public_flat_rw*/,
  input  wire integer        stall_i  /*verilator public_flat_rw*/,
  input  wire integer        seed_i  /*verilator public_flat_rw*/,
  input  wire integer        commands_i  /*verilator public_flat_rw*/,
  input  wire integer        written_i  /*verilator public_flat_rw*/,
  input  wire integer        beats_i  /*verilator public_flat_rw*/,
  input  wire logic   [31:0] weights_base_i  /*verilator public_flat_rw*/,
  input  wire logic   [31:0] maps_base_i  /*verilator public_flat_rw*/,
  output logic        [ 2:0] status_o  /*verilator public_flat_rw*/,
  output logic               done_o  /*verilator public_flat_rw*/,
  output logic        [31:0] m_axi_weights_araddr  /*verilator public_flat_rw*/,
  output logic        [ 7:0] m_axi_weights_arlen  /*verilator public_flat_rw*/,
  output logic        [ 2:0] m_axi_weights_arsize  /*verilator public_flat_rw*/,
  output logic        [ 1:0] m_axi_weights_arburst  /*verilator public_flat_rw*/,
  output logic        [ 3:0] m_axi_weights_arcache  /*verilator public_flat_rw*/,
  output logic        [ 2:0] m_axi_weights_arprot  /*verilator public_flat_rw*/,
  output logic               m_axi_weights_arvalid  /*verilator public_flat_rw*/,
  input  wire logic          m_axi_weights_arready  /*verilator public_flat_rw*/,
  input  wire logic   [63:0] m_axi_weights_rdata  /*verilator public_flat_rw*/,
  input  wire logic   [ 1:0] m_axi_weights_rresp  /*verilator public_flat_rw*/,
  input  wire logic          m_axi_weights_rlast  /*verilator public_flat_rw*/,
  input  wire logic          m_axi_weights_rvalid  /*verilator public_flat_rw*/,
  output logic               m_axi_weights_rready  /*verilator public_flat_rw*/,
  output logic               m_axi_weights_arid  /*verilator public_flat_rw*/,
  input  wire logic          m_axi_weights_rid  /*verilator public_flat_rw*/,
  output logic        [31:0] m_axi_maps_araddr  /*verilator public_flat_rw*/,
  output logic        [ 7:0] m_axi_maps_arlen  /*verilator public_flat_rw*/,
  output logic        [ 2:0] m_axi_maps_arsize  /*verilator public_flat_rw*/,
  output logic        [ 1:0] m_axi_maps_arburst  /*verilator public_flat_rw*/,
  output logic        [ 3:0] m_axi_maps_arcache  /*verilator public_flat_rw*/,
  output logic        [ 2:0] m_axi_maps_arprot  /*verilator public_flat_rw*/,
  output logic               m_axi_maps_arvalid  /*verilator public_flat_rw*/,
  input  wire logic          m_axi_maps_arready  /*verilator public_flat_rw*/,
  output logic        [31:0] m_axi_maps_awaddr  /*verilator public_flat_rw*/,
  output logic        [ 7:0] m_axi_maps_awlen  /*verilator public_flat_rw*/,
  output logic        [ 2:0] m_axi_maps_awsize  /*verilator public_flat_rw*/,
  output logic        [ 1:0] m_axi_maps_awburst  /*verilator public_flat_rw*/,
  output logic        [ 3:0] m_axi_maps_awcache  /*verilator public_flat_rw*/,
  output logic        [ 2:0] m_axi_maps_awprot  /*verilator public_flat_rw*/,
  output logic               m_axi_maps_awvalid  /*verilator public_flat_rw*/,
  input  wire logic          m_axi_maps_awready  /*verilator public_flat_rw*/,
  input  wire logic   [63:0] m_axi_maps_rdata  /*verilator public_flat_rw*/,
  input  wire logic   [ 1:0] m_axi_maps_rresp  /*verilator public_flat_rw*/,
  input  wire logic          m_axi_maps_rlast  /*verilator public_flat_rw*/,
  input  wire logic          m_axi_maps_rvalid  /*verilator public_flat_rw*/,
  output logic               m_axi_maps_rready  /*verilator public_flat_rw*/,
  output logic        [63:0] m_axi_maps_wdata  /*verilator public_flat_rw*/,
  output logic        [ 7:0] m_axi_maps_wstrb  /*verilator public_flat_rw*/,
  output logic               m_axi_maps_wlast  /*verilator public_flat_rw*/,
  output logic               m_axi_maps_wvalid  /*verilator public_flat_rw*/,
  input  wire logic          m_axi_maps_wready  /*verilator public_flat_rw*/,
  input  wire logic   [ 1:0] m_axi_maps_bresp  /*verilator public_flat_rw*/,
  input  wire logic          m_axi_maps_bvalid  /*verilator public_flat_rw*/,
  output logic               m_axi_maps_bready  /*verilator public_flat_rw*/,
  output logic               m_axi_maps_arid  /*verilator public_flat_rw*/,
  input  wire logic          m_axi_maps_rid  /*verilator public_flat_rw*/,
  output logic               m_axi_maps_awid  /*verilator public_flat_rw*/,
  input  wire logic          m_axi_maps_bid                                        /*verilator public_flat_rw*/
);

  logic [95:0] s_cmd_tdata;
  logic [63:0] s_axis_tdata;
  logic [79:0] m_axis_tdata;
  logic s_cmd_tvalid, s_cmd_tready, s_cmd_tlast, s_axis_tvalid, s_axis_tready, s_axis_tlast;
  logic m_axis_tvalid, m_axis_tready, m_axis_tlast;
  int beats, cycle;

  // cocotbext-axi wants ids, which in-order masters have no use for.
  assign {m_axi_weights_arid, m_axi_maps_arid, m_axi_maps_awid} = 3'b000;
  assign done_o = beats >= beats_i;

  always_ff @(posedge clk_i) cycle <= rst_ni ? cycle + 1 : 0;

  br_stream_source #(
    .Width   (96),
    .FileName("s_cmd.hex")
  ) u_s_cmd (
    .clk_i,
    .rst_ni,
    .cycle_i      (cycle),
    .total_i      (commands_i),
    .frame_i      (commands_i),
    .idle_i,
    .seed_i       (seed_i + 1),
    .m_axis_tdata (s_cmd_tdata),
    .m_axis_tvalid(s_cmd_tvalid),
    .m_axis_tready(s_cmd_tready),
    .m_axis_tlast (s_cmd_tlast),
    .beats_o      (),
    .first_o      (),
    .period_o     ()
  );

  br_stream_source #(
    .Width   (64),
    .FileName("s_axis.hex")
  ) u_s_axis (
    .clk_i,
    .rst_ni,
    .cycle_i      (cycle),
    .total_i      (written_i),
    .frame_i      (written_i),
    .idle_i,
    .seed_i       (seed_i + 2),
    .m_axis_tdata (s_axis_tdata),
    .m_axis_tvalid(s_axis_tvalid),
    .m_axis_tready(s_axis_tready),
    .m_axis_tlast (s_axis_tlast),
    .beats_o      (),
    .first_o      (),
    .period_o     ()
  );

  br_stream_sink #(
    .Width(80)
  ) u_m_axis (
    .clk_i,
    .rst_ni,
    .cycle_i      (cycle),
    .run_i,
    .stall_i,
    .seed_i,
    .s_axis_tdata (m_axis_tdata),
    .s_axis_tvalid(m_axis_tvalid),
    .s_axis_tready(m_axis_tready),
    .s_axis_tlast (m_axis_tlast),
    .beats_o      (beats),
    .first_o      ()
  );

  axi_unit u_dut (.*);

endmodule

`default_nettype wire
