// br_axil_slave: AXI4-Lite in front of registers.
// Function       a write becomes one cycle of write_o with number, data and byte strobes; a read takes the word that
//                read_data_i shows for read_index_o. The response is OKAY always: to a processor an error is a fault
// Streams        AXI4-Lite (ARM IHI 0022), words of 32 bits; the lowest two address bits are not looked at
// Parameters     AddrWidth: bits of a byte address, 3 or more (checked)
// Latency        write: response in the cycle behind the later of address and data; read: data behind the address
// Throughput     a write or a read every second cycle, both at once
// Back-pressure  one access of each kind at a time; no combinational path between channels
// Source         ARM IHI 0022, AXI4-Lite
`default_nettype none

module br_axil_slave #(
  parameter  int unsigned AddrWidth  = 7,             // bits of a byte address, 3 or more
  localparam int unsigned IndexWidth = AddrWidth - 2
) (
  input  wire                   clk_i,
  input  wire                   rst_ni,
  input  wire  [ AddrWidth-1:0] s_axil_awaddr,
  input  wire                   s_axil_awvalid,
  output logic                  s_axil_awready,
  input  wire  [          31:0] s_axil_wdata,
  input  wire  [           3:0] s_axil_wstrb,
  input  wire                   s_axil_wvalid,
  output logic                  s_axil_wready,
  output logic [           1:0] s_axil_bresp,
  output logic                  s_axil_bvalid,
  input  wire                   s_axil_bready,
  input  wire  [ AddrWidth-1:0] s_axil_araddr,
  input  wire                   s_axil_arvalid,
  output logic                  s_axil_arready,
  output logic [          31:0] s_axil_rdata,
  output logic [           1:0] s_axil_rresp,
  output logic                  s_axil_rvalid,
  input  wire                   s_axil_rready,
  output logic                  write_o,         // a write, for one cycle
  output logic [IndexWidth-1:0] write_index_o,   // number of its register
  output logic [          31:0] write_data_o,
  output logic [           3:0] write_strobe_o,
  output logic [IndexWidth-1:0] read_index_o,    // number of the register that is read
  input  wire  [          31:0] read_data_i      // what it holds
);

  if (AddrWidth < 3) begin : gen_check
    $error("br_axil_slave: AddrWidth=%0d must be at least 3", AddrWidth);
  end

  // Address and data of a write may come in either order; each waits for the other.
  logic have_address_q, have_data_q, have_read_q;

  assign s_axil_awready = !have_address_q;
  assign s_axil_wready  = !have_data_q;
  assign s_axil_arready = !have_read_q && !s_axil_rvalid;
  assign s_axil_bresp   = 2'b00;
  assign s_axil_rresp   = 2'b00;
  assign write_o        = have_address_q && have_data_q && !s_axil_bvalid;

  always_ff @(posedge clk_i) begin
    if (s_axil_awvalid && s_axil_awready) begin
      have_address_q <= 1'b1;
      write_index_o  <= s_axil_awaddr[AddrWidth-1:2];
    end
    if (s_axil_wvalid && s_axil_wready) begin
      have_data_q    <= 1'b1;
      write_data_o   <= s_axil_wdata;
      write_strobe_o <= s_axil_wstrb;
    end
    if (s_axil_bvalid && s_axil_bready) s_axil_bvalid <= 1'b0;
    if (write_o) begin
      have_address_q <= 1'b0;
      have_data_q    <= 1'b0;
      s_axil_bvalid  <= 1'b1;
    end
    if (s_axil_arvalid && s_axil_arready) begin
      have_read_q  <= 1'b1;
      read_index_o <= s_axil_araddr[AddrWidth-1:2];
    end
    if (s_axil_rvalid && s_axil_rready) s_axil_rvalid <= 1'b0;
    if (have_read_q) begin
      have_read_q   <= 1'b0;
      s_axil_rvalid <= 1'b1;
      s_axil_rdata  <= read_data_i;
    end
    if (!rst_ni) begin
      have_address_q <= 1'b0;
      have_data_q    <= 1'b0;
      have_read_q    <= 1'b0;
      s_axil_bvalid  <= 1'b0;
      s_axil_rvalid  <= 1'b0;
    end
  end

  wire unused = &{1'b0, s_axil_awaddr[1:0], s_axil_araddr[1:0]};

endmodule

`default_nettype wire
