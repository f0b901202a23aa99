// br_fifo: first-in first-out buffer of any depth.
// Function       m_axis repeats s_axis, beat for beat
// Stream in      any; Width bits of tdata and tlast
// Stream out     the same
// Parameters     Depth >= 1 beats, of which one waits in the output register and Depth-1 in a memory
// Latency        1
// Throughput     one beat a cycle; every second cycle for Depth = 1
// Back-pressure  no combinational path m_axis_tready -> s_axis_tready or s_axis_* -> m_axis_*; holds Depth beats when
//                stalled
// Source         a beat that finds the memory empty and the output free goes straight to the output register; the
//                memory is read one cycle ahead (block RAM or LUT RAM with a registered, enabled read port)

`default_nettype none

module br_fifo #(
  parameter  int unsigned Width     = 8,                        // bits of tdata
  parameter  int unsigned Depth     = 16,                       // beats that it holds, 1 or more
  localparam int unsigned FillWidth = br_pkg::cnt_width(Depth)
) (
  input  wire                  clk_i,
  input  wire                  rst_ni,
  input  wire  [    Width-1:0] s_axis_tdata,
  input  wire                  s_axis_tvalid,
  output logic                 s_axis_tready,
  input  wire                  s_axis_tlast,
  output logic [    Width-1:0] m_axis_tdata,
  output logic                 m_axis_tvalid,
  input  wire                  m_axis_tready,
  output logic                 m_axis_tlast,
  output logic [FillWidth-1:0] usage_o,        // beats inside
  output logic [FillWidth-1:0] max_fill_o      // most beats inside since reset; costs nothing when left open
);

  if (Depth < 1) begin : gen_check
    $error("br_fifo: Depth=%0d must be at least 1", Depth);
  end

  logic out_valid_q, out_free, push;
  logic [Width:0] direct_q;  // a beat that did not pass through the memory

  assign out_free = !out_valid_q || m_axis_tready;
  assign push = s_axis_tvalid && s_axis_tready;
  assign m_axis_tvalid = out_valid_q;

  if (Depth <= 1) begin : gen_register

    assign s_axis_tready = !out_valid_q;
    assign {m_axis_tlast, m_axis_tdata} = direct_q;
    assign usage_o = FillWidth'(out_valid_q);

    always_ff @(posedge clk_i) begin
      if (push) direct_q <= {s_axis_tlast, s_axis_tdata};
      if (out_free) out_valid_q <= push;
      if (!rst_ni) out_valid_q <= 1'b0;
    end

  end else begin : gen_memory

    // fault: room-withheld
    localparam int unsigned MemDepth = Depth - 1;
    localparam int unsigned AddrWidth = br_pkg::idx_width(MemDepth);

    logic [Width:0] mem[MemDepth];
    logic [Width:0] mem_q;
    logic [AddrWidth-1:0] write_q, read_q;
    logic [FillWidth-1:0] count_q;  // beats in the memory; more than 0 only while the output register is full
    logic from_mem_q, direct, mem_write, mem_read;

    assign mem_read  = out_free && count_q != 0;
    assign direct    = push && out_free && count_q == 0;
    assign mem_write = push && !direct;

    // fault: overflow
    assign s_axis_tready = count_q != FillWidth'(MemDepth);
    assign {m_axis_tlast, m_axis_tdata} = from_mem_q ? mem_q : direct_q;
    assign usage_o = count_q + FillWidth'(out_valid_q);

    function automatic logic [AddrWidth-1:0] next(logic [AddrWidth-1:0] address);
      return address == AddrWidth'(MemDepth - 1) ? '0 : address + 1'b1;
    endfunction

    always_ff @(posedge clk_i) begin
      if (mem_write) mem[write_q] <= {s_axis_tlast, s_axis_tdata};
      if (mem_read) mem_q <= mem[read_q];
      if (direct) direct_q <= {s_axis_tlast, s_axis_tdata};
    end

    always_ff @(posedge clk_i) begin
      if (out_free) begin
        // fault: underflow
        out_valid_q <= mem_read || direct;
        from_mem_q  <= mem_read;
      end
      if (mem_write) write_q <= next(write_q);
      if (mem_read) read_q <= next(read_q);
      count_q <= count_q + FillWidth'(mem_write) - FillWidth'(mem_read);
      if (!rst_ni) begin
        out_valid_q <= 1'b0;
        from_mem_q  <= 1'b0;
        count_q     <= '0;
        write_q     <= '0;
        read_q      <= '0;
      end
    end

  end

  always_ff @(posedge clk_i) begin
    // fault: highest-fill
    if (usage_o > max_fill_o) max_fill_o <= usage_o;
    if (!rst_ni) max_fill_o <= '0;
  end

endmodule

`default_nettype wire
