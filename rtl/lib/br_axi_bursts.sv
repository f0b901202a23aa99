// br_axi_bursts: address channel of an AXI4 master: cuts runs of memory into bursts, each when its beats have a place.
// Function       announces the beats of each command in order, a burst at a time. A burst ends where its command does,
//                and at every multiple of MaxBurst beats of the address, so none crosses 4 KB. It is announced when
//                credits for all its beats are there: Credits behind a reset, one more with each credit_i, as many fewer
//                as a burst has beats
// Commands       s_cmd: {length in beats, address in bytes}; an address is a multiple of a beat (what lies below is not
//                looked at), a length of 0 asks for nothing; tready is low until the last burst of a command is announced
// Bursts         issue_o: a burst of len_o + 1 beats is announced in this cycle, last_o: its command's last; it waits on
//                m_axi from the next cycle on. hold_i keeps bursts back. busy_o: a command has bursts to announce
// Parameters     MaxBurst: a power of two, 16 for AXI3, 256 for AXI4; MaxBurst beats are 4 KB at most
// Latency        2 cycles from a command to the first address
// Throughput     one burst a cycle; one command in two cycles
// Back-pressure  a stalled m_axi holds one burst; no combinational path m_axi_ready -> s_cmd_tready
// Source         AMBA AXI4, A3.4.1 (bursts, 4 KB)

`default_nettype none

module br_axi_bursts #(
  parameter int unsigned AddrWidth = 32,  // bits of an address
  parameter int unsigned DataWidth = 64,  // bits of a beat: 8, 16, 32, .. 1024
  parameter int unsigned LenWidth  = 24,  // bits of the length of a command
  parameter int unsigned MaxBurst  = 16,  // most beats of a burst
  parameter int unsigned Depth     = 64,  // most credits, MaxBurst or more
  parameter int unsigned Credits   = 1    // credits behind a reset
) (
  input  wire                           clk_i,
  input  wire                           rst_ni,
  input  wire  [LenWidth+AddrWidth-1:0] s_cmd_tdata,
  input  wire                           s_cmd_tvalid,
  output logic                          s_cmd_tready,
  input  wire                           credit_i,
  input  wire                           hold_i,
  output logic                          issue_o,
  output logic [                   7:0] len_o,
  output logic                          last_o,
  output logic                          busy_o,
  output logic [         AddrWidth-1:0] m_axi_addr,
  output logic [                   7:0] m_axi_len,     // beats less one
  output logic                          m_axi_valid,
  input  wire                           m_axi_ready
);

  localparam int unsigned BeatBits = $clog2(DataWidth / 8);  // of an address, below its beats
  localparam int unsigned Longest = br_pkg::min2(256, 4096 >> BeatBits);  // burst of AXI4
  localparam int unsigned BurstWidth = br_pkg::cnt_width(MaxBurst);
  localparam int unsigned CreditWidth = br_pkg::cnt_width(Depth);

  if (DataWidth < 8 || DataWidth > 1024 || DataWidth != 8 << BeatBits) begin : gen_check_data
    $error("br_axi_bursts: DataWidth=%0d must be 8, 16, 32, .. 1024", DataWidth);
  end
  if (MaxBurst < 1 || MaxBurst > Longest || (MaxBurst & (MaxBurst - 1)) != 0) begin : gen_check_burst
    $error("br_axi_bursts: MaxBurst=%0d must be a power of two of at most %0d beats", MaxBurst, Longest);
  end
  if (Depth < MaxBurst) begin : gen_check_depth
    $error("br_axi_bursts: Depth=%0d must be at least MaxBurst=%0d", Depth, MaxBurst);
  end

  logic free, take;
  logic [AddrWidth-1:0] first, beat_q;  // addresses in beats: of the command, of the next burst
  logic [LenWidth-1:0] length, rest_q;  // beats: of the command, behind the next burst
  logic [CreditWidth-1:0] credit_q;
  logic [BurstWidth-1:0] room, burst_q;  // beats: up to the next multiple of MaxBurst, of the next burst, 0 if none

  assign first        = s_cmd_tdata[AddrWidth-1:0] >> BeatBits;
  assign length       = s_cmd_tdata[AddrWidth+:LenWidth];
  // fault: across-4-kb
  assign room         = BurstWidth'(MaxBurst) - BurstWidth'(first & AddrWidth'(MaxBurst - 1));
  assign free         = !m_axi_valid || m_axi_ready;
  // fault: burst-without-room
  assign issue_o      = busy_o && free && !hold_i && 32'(credit_q) >= 32'(burst_q);
  assign len_o        = 8'(burst_q - BurstWidth'(1));
  assign last_o       = rest_q == '0;
  assign busy_o       = burst_q != '0;
  assign s_cmd_tready = !busy_o;
  assign take         = s_cmd_tvalid && s_cmd_tready;

  function automatic logic [BurstWidth-1:0] least(logic [LenWidth-1:0] beats, logic [BurstWidth-1:0] most);
    return 32'(beats) < 32'(most) ? BurstWidth'(beats) : most;
  endfunction

  always_ff @(posedge clk_i) begin
    if (issue_o) begin
      m_axi_addr <= beat_q << BeatBits;
      m_axi_len  <= len_o;
      // fault: next-address
      beat_q     <= beat_q + AddrWidth'(burst_q);
      rest_q     <= rest_q - LenWidth'(least(rest_q, BurstWidth'(MaxBurst)));
    end
    if (take) begin
      beat_q <= first;
      rest_q <= length - LenWidth'(least(length, room));
    end
  end

  always_ff @(posedge clk_i) begin
    // fault: address-falls
    if (free) m_axi_valid <= issue_o;
    if (take) burst_q <= least(length, room);
    else if (issue_o) burst_q <= least(rest_q, BurstWidth'(MaxBurst));
    // fault: credit-twice, credit-lost
    credit_q <= credit_q + CreditWidth'(credit_i) - (issue_o ? CreditWidth'(burst_q) : '0);
    if (!rst_ni) begin
      m_axi_valid <= 1'b0;
      burst_q     <= '0;
      credit_q    <= CreditWidth'(Credits);
    end
  end

endmodule

`default_nettype wire
