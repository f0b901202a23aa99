// br_processor: model of the side of a processor that reads and writes registers over AXI4-Lite.
// Function       when go_i changes, one read or write; busy_o until its response. Address and data of a write leave in an
//                order, and responses are taken after a while, that change from access to access
`default_nettype none

module br_processor #(
  parameter int unsigned AddrWidth = 7  // bits of an address
) (
  input  wire                         clk_i,
  input  wire                         rst_ni,
  input  wire integer                 go_i,            // a change begins an access
  input  wire integer                 write_i,         // 1: a write
  input  wire integer                 address_i,
  input  wire integer                 data_i,
  output int                          done_o,          // accesses that have ended
  output logic        [         31:0] data_o,          // of the last read
  output logic        [AddrWidth-1:0] m_axil_awaddr,
  output logic                        m_axil_awvalid,
  input  wire                         m_axil_awready,
  output logic        [         31:0] m_axil_wdata,
  output logic        [          3:0] m_axil_wstrb,
  output logic                        m_axil_wvalid,
  input  wire                         m_axil_wready,
  input  wire         [          1:0] m_axil_bresp,
  input  wire                         m_axil_bvalid,
  output logic                        m_axil_bready,
  output logic        [AddrWidth-1:0] m_axil_araddr,
  output logic                        m_axil_arvalid,
  input  wire                         m_axil_arready,
  input  wire         [         31:0] m_axil_rdata,
  input  wire         [          1:0] m_axil_rresp,
  input  wire                         m_axil_rvalid,
  output logic                        m_axil_rready
);

  int seen, at;
  logic busy;

  assign m_axil_wstrb  = '1;
  assign m_axil_bready = busy && at > 4 + done_o % 3;
  assign m_axil_rready = m_axil_bready;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      seen           <= go_i;
      busy           <= 1'b0;
      done_o         <= 0;
      m_axil_awvalid <= 1'b0;
      m_axil_wvalid  <= 1'b0;
      m_axil_arvalid <= 1'b0;
    end else begin
      at <= at + 1;
      if (go_i != seen && !busy) begin
        seen          <= go_i;
        busy          <= 1'b1;
        at            <= 0;
        m_axil_awaddr <= AddrWidth'(address_i);
        m_axil_araddr <= AddrWidth'(address_i);
        m_axil_wdata  <= data_i;
      end
      if (busy && at == done_o % 3) begin  // the address before, with or behind the data
        m_axil_awvalid <= write_i != 0;
        m_axil_arvalid <= write_i == 0;
      end
      if (busy && at == 1) m_axil_wvalid <= write_i != 0;
      if (m_axil_awvalid && m_axil_awready) m_axil_awvalid <= 1'b0;
      if (m_axil_wvalid && m_axil_wready) m_axil_wvalid <= 1'b0;
      if (m_axil_arvalid && m_axil_arready) m_axil_arvalid <= 1'b0;
      if ((m_axil_bvalid || m_axil_rvalid) && m_axil_bready) begin
        busy   <= 1'b0;
        done_o <= done_o + 1;
        if (m_axil_rvalid) data_o <= m_axil_rdata;
        if (m_axil_bvalid ? m_axil_bresp != '0 : m_axil_rresp != '0) $fatal(1, "br_processor: a bus error");
      end
    end
  end

endmodule

`default_nettype wire
