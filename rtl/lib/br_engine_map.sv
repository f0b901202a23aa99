// br_engine_map: the commands with which a pass of br_engine reads or writes a map.
// Function       for every band, for every group: {beats_i, first_i + band*band_i + group*group_i}
// Stream out     commands of br_axi_reader and br_axi_writer
// Ports          start_i, a pulse, begins; the other inputs hold until the last command is taken
// Parameters     AddrWidth, LenWidth: bits of an address and of a length
// Latency        1 cycle from start_i
// Throughput     a command a cycle
// Back-pressure  a command holds until it is taken
// Source         docs/engine.md
`default_nettype none

module br_engine_map #(
  parameter int unsigned AddrWidth = 32,  // bits of an address
  parameter int unsigned LenWidth  = 24   // bits of a length
) (
  input  wire                           clk_i,
  input  wire                           rst_ni,
  input  wire                           start_i,
  input  wire  [         AddrWidth-1:0] first_i,
  input  wire  [          LenWidth-1:0] beats_i,
  input  wire  [         AddrWidth-1:0] group_i,
  input  wire  [         AddrWidth-1:0] band_i,
  input  wire  [                  11:0] groups_i,
  input  wire  [                  11:0] bands_i,
  output logic [LenWidth+AddrWidth-1:0] m_cmd_tdata,
  output logic                          m_cmd_tvalid,
  input  wire                           m_cmd_tready
);

  logic [AddrWidth-1:0] addr_q, band_addr_q;
  logic [11:0] group_q, band_q;
  logic group_end;

  assign m_cmd_tdata = {beats_i, addr_q};
  assign group_end   = group_q == groups_i - 12'd1;

  always_ff @(posedge clk_i) begin
    if (m_cmd_tvalid && m_cmd_tready) begin
      group_q <= group_end ? '0 : group_q + 12'd1;
      // fault: engine-map-stays
      addr_q  <= group_end ? band_addr_q + band_i : addr_q + group_i;
      if (group_end) begin
        band_q      <= band_q + 12'd1;
        band_addr_q <= band_addr_q + band_i;
        if (band_q == bands_i - 12'd1) m_cmd_tvalid <= 1'b0;
      end
    end
    if (start_i) begin
      m_cmd_tvalid <= 1'b1;
      addr_q       <= first_i;
      band_addr_q  <= first_i;
      group_q      <= '0;
      band_q       <= '0;
    end
    if (!rst_ni) m_cmd_tvalid <= 1'b0;
  end

endmodule

`default_nettype wire
