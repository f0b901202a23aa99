// br_hls_model: the IP that Vitis HLS would make of a network's C++, around the C++ itself as g++ compiles it.
// Function       a start takes `frames` images, computes them in one call of the top function, and sends their logits;
//                values are those of the C++, cycles are not: all images come in before the first logit leaves
// Registers      as Vitis HLS writes them for ap_ctrl_hs: CTRL, GIER, IP_IER, IP_ISR, frames
// Streams        s_axis, m_axis: 4 bytes a beat, as a DMA has them; the data width converters of the block design are here
`default_nettype none

module br_hls_model #(
  parameter int unsigned PixelBytes = 3,  // channels of a pixel
  parameter int unsigned Pixels     = 4,  // of an image
  parameter int unsigned LogitLanes = 1,  // logits of a beat of the kernel
  parameter int unsigned Logits     = 2   // of an image
) (
  input  wire         aclk,
  input  wire         aresetn,
  input  wire  [ 6:0] s_axi_control_awaddr,
  input  wire         s_axi_control_awvalid,
  output logic        s_axi_control_awready,
  input  wire  [31:0] s_axi_control_wdata,
  input  wire  [ 3:0] s_axi_control_wstrb,
  input  wire         s_axi_control_wvalid,
  output logic        s_axi_control_wready,
  output logic [ 1:0] s_axi_control_bresp,
  output logic        s_axi_control_bvalid,
  input  wire         s_axi_control_bready,
  input  wire  [ 6:0] s_axi_control_araddr,
  input  wire         s_axi_control_arvalid,
  output logic        s_axi_control_arready,
  output logic [31:0] s_axi_control_rdata,
  output logic [ 1:0] s_axi_control_rresp,
  output logic        s_axi_control_rvalid,
  input  wire         s_axi_control_rready,
  input  wire  [31:0] s_axis_tdata,
  input  wire  [ 3:0] s_axis_tkeep,
  input  wire         s_axis_tvalid,
  output logic        s_axis_tready,
  input  wire         s_axis_tlast,
  output logic [31:0] m_axis_tdata,
  output logic [ 3:0] m_axis_tkeep,
  output logic        m_axis_tvalid,
  input  wire         m_axis_tready,
  output logic        m_axis_tlast,
  output logic        interrupt
);

  import "DPI-C" function void kernel_clear();
  import "DPI-C" function void kernel_push(
    input int value,
    input int last
  );  // a byte; last of its pixel
  import "DPI-C" function void kernel_run(input int frames);
  import "DPI-C" function int kernel_pop();  // a logit

  localparam logic [4:0] Ctrl = 0, Frames = 4;  // numbers of registers

  logic write;
  logic [4:0] write_index, read_index;
  logic [31:0] write_data, frames_q, read_data;
  logic [3:0] write_strobe;
  logic run_q, give_q, done_q;
  longint taken, given;

  br_axil_slave #(
    .AddrWidth(7)
  ) u_axil (
    .clk_i         (aclk),
    .rst_ni        (aresetn),
    .s_axil_awaddr (s_axi_control_awaddr),
    .s_axil_awvalid(s_axi_control_awvalid),
    .s_axil_awready(s_axi_control_awready),
    .s_axil_wdata  (s_axi_control_wdata),
    .s_axil_wstrb  (s_axi_control_wstrb),
    .s_axil_wvalid (s_axi_control_wvalid),
    .s_axil_wready (s_axi_control_wready),
    .s_axil_bresp  (s_axi_control_bresp),
    .s_axil_bvalid (s_axi_control_bvalid),
    .s_axil_bready (s_axi_control_bready),
    .s_axil_araddr (s_axi_control_araddr),
    .s_axil_arvalid(s_axi_control_arvalid),
    .s_axil_arready(s_axi_control_arready),
    .s_axil_rdata  (s_axi_control_rdata),
    .s_axil_rresp  (s_axi_control_rresp),
    .s_axil_rvalid (s_axi_control_rvalid),
    .s_axil_rready (s_axi_control_rready),
    .write_o       (write),
    .write_index_o (write_index),
    .write_data_o  (write_data),
    .write_strobe_o(write_strobe),
    .read_index_o  (read_index),
    .read_data_i   (read_data)
  );

  assign read_data = read_index == Ctrl ? {29'b0, !run_q, done_q, run_q} : read_index == Frames ? frames_q : '0;
  assign interrupt = 1'b0;

  logic in_tready, pixel_tvalid, pixel_tlast;
  logic [8*PixelBytes-1:0] pixel_tdata;
  logic [$clog2(PixelBytes+1)-1:0] pixel_units;

  assign s_axis_tready = run_q && !give_q && in_tready;

  br_gearbox #(
    .UnitWidth(8),
    .InUnits  (4),
    .OutUnits (PixelBytes)
  ) u_in (
    .clk_i        (aclk),
    .rst_ni       (aresetn),
    .s_axis_tdata,
    .s_axis_units (3'($countones(s_axis_tkeep))),
    .s_axis_tvalid(s_axis_tvalid && run_q && !give_q),
    .s_axis_tready(in_tready),
    .s_axis_tlast,
    .m_axis_tdata (pixel_tdata),
    .m_axis_units (pixel_units),
    .m_axis_tvalid(pixel_tvalid),
    .m_axis_tready(1'b1),
    .m_axis_tlast (pixel_tlast)
  );

  assign m_axis_tkeep = '1;

  always_ff @(posedge aclk) begin
    if (write && write_index == Frames) frames_q <= write_data;
    if (write && write_index == Ctrl && write_data[0] && !run_q) begin
      run_q  <= 1'b1;
      give_q <= 1'b0;
      done_q <= 1'b0;
      taken  <= 0;
      given  <= 0;
    end
    if (pixel_tvalid) begin
      for (int c = 0; c < int'(PixelBytes); c++) kernel_push(32'(pixel_tdata[8*c+:8]), 32'(c == int'(PixelBytes) - 1));
      taken <= taken + 1;
      if (taken + 1 == longint'(frames_q) * Pixels) begin
        kernel_run(frames_q);
        give_q <= 1'b1;
      end
    end
    if (m_axis_tvalid && m_axis_tready) m_axis_tvalid <= 1'b0;
    if (give_q && (!m_axis_tvalid || m_axis_tready)) begin
      if (given == longint'(frames_q) * Logits) begin
        if (!m_axis_tvalid || m_axis_tready) begin
          run_q  <= 1'b0;
          give_q <= 1'b0;
          done_q <= 1'b1;
        end
      end else begin
        m_axis_tdata  <= kernel_pop();
        m_axis_tvalid <= 1'b1;
        m_axis_tlast  <= given + 1 == longint'(frames_q) * Logits;
        given         <= given + 1;
      end
    end
    if (!aresetn) begin
      run_q         <= 1'b0;
      give_q        <= 1'b0;
      done_q        <= 1'b0;
      m_axis_tvalid <= 1'b0;
      kernel_clear();
    end
  end

  wire unused = &{1'b0, write_strobe, pixel_units, pixel_tlast, 32'(LogitLanes)};

endmodule

`default_nettype wire
