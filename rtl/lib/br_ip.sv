// br_ip: registers and streams around a network, as a processor and its DMA want them.
// Function       a run takes IMAGES images from s_axis as one transfer, gives them to the network a pixel a beat, and
//                sends their logits as one transfer. A transfer that ends too early is filled up with zeros, one that
//                goes on too long is passed over to its end: both are told in ERRORS, and neither stops a DMA
// Registers      AXI4-Lite: br_ip_pkg, docs/zynq.md. A reset by register ends everything but the register interface
// Memory         a network with ports to memory stays in reset until both bases are set. A reset closes the gates of its
//                ports and reaches it when memory owes it nothing. An error ends the run: what is left of the images is
//                passed over, and a last beat of zeros ends the transfer of the logits
// Stream in      s_axis: InBytes bytes a beat, tlast on the last beat of a run, which alone may be shorter by tkeep; taken
//                during a run only. Bytes of pixel after pixel, image after image, without gaps; logit: beat = LogitLanes
//                logits of LogitWidth bits, tlast on the last of an image
// Stream out     m_axis: logits of 32 bits, OutBytes bytes a beat, tlast and a tkeep likewise; pixel: beat = PixelBytes
//                bytes, tlast on the last of an image
// Parameters     ImagePixels pixels of an image, Logits of an image, a multiple of LogitLanes; LogitWidth <= 32; InBytes
//                and OutBytes powers of two, 1 to 128 (checked); Identity as it is read
// Latency        s_axis to pixel 1 cycle, 0 where a beat is a pixel; logit to m_axis likewise
// Throughput     a beat or a pixel a cycle, whichever are more; so for logits
// Back-pressure  no path from a ready to a ready but where a beat is a pixel, or a logit's beat one of m_axis
// Source         docs/zynq.md
`default_nettype none

module br_ip #(
  parameter  logic        [63:0] Identity    = 64'd0,                // hash of network and folding
  parameter  int unsigned        InBytes     = 4,                    // bytes of a beat of s_axis, a power of two
  parameter  int unsigned        OutBytes    = 4,                    // bytes of a beat of m_axis, a power of two
  parameter  int unsigned        PixelBytes  = 3,                    // channels of a pixel
  parameter  int unsigned        ImagePixels = 4,                    // pixels of an image
  parameter  int unsigned        LogitLanes  = 1,                    // logits in a beat of the network
  parameter  int unsigned        LogitWidth  = 16,                   // bits of a logit, at most 32
  parameter  int unsigned        Logits      = 2,                    // logits of an image
  parameter  bit                 Memory      = 1'b0,                 // whether the network has ports to memory
  localparam int unsigned        AddrWidth   = br_ip_pkg::AddrWidth
) (
  input  wire                              clk_i,
  input  wire                              rst_ni,
  input  wire  [            AddrWidth-1:0] s_axil_awaddr,
  input  wire                              s_axil_awvalid,
  output logic                             s_axil_awready,
  input  wire  [                     31:0] s_axil_wdata,
  input  wire  [                      3:0] s_axil_wstrb,
  input  wire                              s_axil_wvalid,
  output logic                             s_axil_wready,
  output logic [                      1:0] s_axil_bresp,
  output logic                             s_axil_bvalid,
  input  wire                              s_axil_bready,
  input  wire  [            AddrWidth-1:0] s_axil_araddr,
  input  wire                              s_axil_arvalid,
  output logic                             s_axil_arready,
  output logic [                     31:0] s_axil_rdata,
  output logic [                      1:0] s_axil_rresp,
  output logic                             s_axil_rvalid,
  input  wire                              s_axil_rready,
  output logic                             interrupt_o,
  input  wire  [            8*InBytes-1:0] s_axis_tdata,
  input  wire  [              InBytes-1:0] s_axis_tkeep,
  input  wire                              s_axis_tvalid,
  output logic                             s_axis_tready,
  input  wire                              s_axis_tlast,
  output logic [           8*OutBytes-1:0] m_axis_tdata,
  output logic [             OutBytes-1:0] m_axis_tkeep,
  output logic                             m_axis_tvalid,
  input  wire                              m_axis_tready,
  output logic                             m_axis_tlast,
  output logic                             network_rst_no,    // of the network
  output logic [                     31:0] weights_base_o,    // of the network's memory, held from its reset on
  output logic [                     31:0] maps_base_o,
  output logic                             memory_close_o,    // to the gates of the ports
  input  wire                              memory_idle_i,     // no burst is under way
  input  wire  [                      3:0] memory_read_i,     // ports that took a beat
  input  wire  [                      3:0] memory_written_i,
  input  wire  [                      2:0] memory_status_i,   // of the network: read error, write error, wrong weights
  output logic [         8*PixelBytes-1:0] pixel_tdata,
  output logic                             pixel_tvalid,
  input  wire                              pixel_tready,
  output logic                             pixel_tlast,
  input  wire  [LogitLanes*LogitWidth-1:0] logit_tdata,
  input  wire                              logit_tvalid,
  output logic                             logit_tready,
  input  wire                              logit_tlast
);

  import br_ip_pkg::*;

  if (InBytes < 1 || InBytes > 128 || (InBytes & (InBytes - 1)) != 0) begin : gen_check_in
    $error("br_ip: InBytes=%0d must be a power of two, 1 to 128", InBytes);
  end
  if (OutBytes < 1 || OutBytes > 128 || (OutBytes & (OutBytes - 1)) != 0) begin : gen_check_out
    $error("br_ip: OutBytes=%0d must be a power of two, 1 to 128", OutBytes);
  end
  if (PixelBytes < 1 || ImagePixels < 1 || LogitLanes < 1 || Logits < 1) begin : gen_check_sizes
    $error(
        "br_ip: PixelBytes=%0d, ImagePixels=%0d, LogitLanes=%0d and Logits=%0d must be at least 1",
        PixelBytes,
        ImagePixels,
        LogitLanes,
        Logits
    );
  end
  if (LogitWidth < 1 || LogitWidth > 32) begin : gen_check_width
    $error("br_ip: LogitWidth=%0d must be 1 to 32", LogitWidth);
  end

  localparam int unsigned ResetCycles = 16;
  localparam int unsigned PixelCount = br_pkg::idx_width(ImagePixels);

  // ---- Registers --------------------------------------------------------------------------------------------------
  logic write;
  logic [AddrWidth-3:0] write_index, read_index;
  logic [31:0] write_data, cleared, words[RegisterCount], read_data;
  logic [3:0] write_strobe;

  br_axil_slave #(
    .AddrWidth(AddrWidth)
  ) u_axil (
    .clk_i,
    .rst_ni,
    .s_axil_awaddr,
    .s_axil_awvalid,
    .s_axil_awready,
    .s_axil_wdata,
    .s_axil_wstrb,
    .s_axil_wvalid,
    .s_axil_wready,
    .s_axil_bresp,
    .s_axil_bvalid,
    .s_axil_bready,
    .s_axil_araddr,
    .s_axil_arvalid,
    .s_axil_arready,
    .s_axil_rdata,
    .s_axil_rresp,
    .s_axil_rvalid,
    .s_axil_rready,
    .write_o       (write),
    .write_index_o (write_index),
    .write_data_o  (write_data),
    .write_strobe_o(write_strobe),
    .read_index_o  (read_index),
    .read_data_i   (read_data)
  );

  logic [31:0] images_q, done_q, cycles_q, first_q, beats_in_q, stalls_in_q, waits_in_q, beats_out_q, stalls_out_q;
  logic [31:0] take_left_q, give_left_q;  // images of the run that still have to come in, and to go out
  logic [ErrorCount-1:0] errors_q, found;
  logic [$clog2(ResetCycles+1)-1:0] reset_q;
  logic run_q, done_bit_q, on_done_q, on_error_q, last_seen_q, sent_q, abort_q;
  logic start, reset_n, taking, run_ends, draining, ready;
  logic [31:0] weights_base_q, maps_base_q, beats_read_q, beats_written_q;  // bases of the next reset

  for (genvar i = 0; i < 4; i++) begin : gen_strobe
    assign cleared[8*i+:8] = write_strobe[i] ? write_data[8*i+:8] : 8'd0;
  end
  assign start = write && 32'(write_index) == ControlReg && cleared[ControlStartBit];
  assign reset_n = rst_ni && reset_q == '0;
  // fault: reset-at-once
  assign draining = reset_q == $bits(reset_q)'(ResetCycles) && !memory_idle_i;
  assign memory_close_o = reset_q != '0;
  assign ready = !Memory || (weights_base_o != '0 && maps_base_o != '0);
  assign network_rst_no = rst_ni && ready && (reset_q == '0 || draining);
  assign taking = run_q && take_left_q != '0;
  assign interrupt_o = (done_bit_q && on_done_q) || (errors_q != '0 && on_error_q);

  always_comb begin
    words = '{default: '0};
    words[IdentityLowReg] = Identity[31:0];
    words[IdentityHighReg] = Identity[63:32];
    words[VersionReg] = {8'(OutBytes), 8'(InBytes), MapVersion};
    words[StatusReg][StatusIdleBit] = !run_q && reset_n;
    words[StatusReg][StatusDoneBit] = done_bit_q;
    words[StatusReg][StatusErrorBit] = errors_q != '0;
    words[StatusReg][StatusResettingBit] = !reset_n;
    words[StatusReg][StatusTookAllBit] = run_q && !taking;
    words[StatusReg][StatusMemoryBusyBit] = !memory_idle_i;
    words[ErrorsReg] = 32'(errors_q);
    words[InterruptReg][InterruptOnDoneBit] = on_done_q;
    words[InterruptReg][InterruptOnErrorBit] = on_error_q;
    words[ImagesReg] = images_q;
    words[ImagesDoneReg] = done_q;
    words[CyclesReg] = cycles_q;
    words[FirstLogitReg] = first_q;
    words[BeatsInReg] = beats_in_q;
    words[StallsInReg] = stalls_in_q;
    words[WaitsInReg] = waits_in_q;
    words[BeatsOutReg] = beats_out_q;
    words[StallsOutReg] = stalls_out_q;
    words[ImageBytesReg] = ImagePixels * PixelBytes;
    words[LogitsReg] = Logits;
    words[WeightsBaseReg] = weights_base_q;
    words[MapsBaseReg] = maps_base_q;
    words[BeatsReadReg] = beats_read_q;
    words[BeatsWrittenReg] = beats_written_q;
    read_data = 32'(read_index) < RegisterCount ? words[read_index] : '0;
  end

  // A counter that stops at its largest value.
  function automatic logic [31:0] counted(input logic [31:0] count, input logic more);
    return more && count != '1 ? count + 32'd1 : count;
  endfunction

  // The same for up to four at a time, which may stop a little below.
  function automatic logic [31:0] counted_all(input logic [31:0] count, input logic [3:0] more);
    return count < 32'hfffffffc ? count + 32'($countones(more)) : count;
  endfunction

  // ---- From the DMA to the network --------------------------------------------------------------------------------
  function automatic int unsigned common(input int unsigned a, input int unsigned b);
    return (b == 0) ? a : common(b, a % b);
  endfunction

  localparam int unsigned InUnit = common(InBytes, PixelBytes);  // bytes
  localparam int unsigned InUnits = InBytes / InUnit, PixelUnits = PixelBytes / InUnit;

  logic in_open, in_moves, in_tready, piece_tvalid, piece_tready, piece_whole, piece_tlast;
  logic [br_pkg::cnt_width(InUnits)-1:0] in_units;
  logic [br_pkg::cnt_width(PixelUnits)-1:0] piece_units;
  logic [8*PixelBytes-1:0] piece_tdata;
  logic [PixelCount-1:0] pixel_q;

  assign in_open = run_q && !last_seen_q;
  assign s_axis_tready = in_open && in_tready;
  assign in_moves = s_axis_tvalid && s_axis_tready;
  assign in_units = $bits(in_units)'($countones(s_axis_tkeep) / InUnit);

  br_gearbox #(
    .UnitWidth(8 * InUnit),
    .InUnits  (InUnits),
    .OutUnits (PixelUnits)
  ) u_in (
    .clk_i,
    .rst_ni       (reset_n),
    .s_axis_tdata,
    .s_axis_units (in_units),
    .s_axis_tvalid(s_axis_tvalid && in_open),
    .s_axis_tready(in_tready),
    .s_axis_tlast,
    .m_axis_tdata (piece_tdata),
    .m_axis_units (piece_units),
    .m_axis_tvalid(piece_tvalid),
    .m_axis_tready(piece_tready),
    .m_axis_tlast (piece_tlast)
  );

  // Behind the end of a transfer zeros come, until the run has all of its images.
  assign piece_whole  = piece_tvalid && piece_units == $bits(piece_units)'(PixelUnits);
  assign pixel_tvalid = taking && (piece_whole || last_seen_q);
  assign pixel_tdata  = piece_tvalid ? piece_tdata : '0;
  assign pixel_tlast  = pixel_q == PixelCount'(ImagePixels - 1);
  assign piece_tready = !taking || (pixel_tready && pixel_tvalid);

  // ---- From the network to the DMA --------------------------------------------------------------------------------
  localparam int unsigned LogitBytes = 4 * LogitLanes;
  localparam int unsigned OutUnit = common(OutBytes, LogitBytes);  // bytes
  localparam int unsigned LogitUnits = LogitBytes / OutUnit, OutUnits = OutBytes / OutUnit;
  localparam int unsigned LogitCount = br_pkg::cnt_width(LogitUnits);

  logic [32*LogitLanes-1:0] wide;
  logic [br_pkg::cnt_width(OutUnits)-1:0] out_units;
  logic out_moves, out_tvalid, out_tready;

  // Behind an error a beat of zeros takes the place of all logits that are missing.
  assign out_tvalid   = abort_q ? give_left_q != '0 : logit_tvalid;
  assign logit_tready = out_tready && !abort_q;

  always_comb begin
    for (int unsigned l = 0; l < LogitLanes; l++) begin
      wide[l*32+:32] = abort_q ? '0 : 32'(signed'(logit_tdata[l*LogitWidth+:LogitWidth]));
    end
    for (int unsigned i = 0; i < OutBytes; i++) m_axis_tkeep[i] = i < 32'(out_units) * OutUnit;
  end

  br_gearbox #(
    .UnitWidth(8 * OutUnit),
    .InUnits  (LogitUnits),
    .OutUnits (OutUnits)
  ) u_out (
    .clk_i,
    .rst_ni       (reset_n),
    .s_axis_tdata (wide),
    .s_axis_units (LogitCount'(LogitUnits)),
    .s_axis_tvalid(out_tvalid),
    .s_axis_tready(out_tready),
    .s_axis_tlast (abort_q || (logit_tlast && give_left_q == 32'd1)),
    .m_axis_tdata,
    .m_axis_units (out_units),
    .m_axis_tvalid,
    .m_axis_tready,
    .m_axis_tlast
  );

  assign out_moves = m_axis_tvalid && m_axis_tready;
  assign run_ends = run_q && sent_q && last_seen_q && !piece_tvalid;

  // ---- What went wrong --------------------------------------------------------------------------------------------
  always_comb begin
    found = '0;
    found[ErrorsShortFrameBit] = taking && last_seen_q && !piece_whole;
    found[ErrorsLongFrameBit] = run_q && !taking && !abort_q && (!last_seen_q || piece_tvalid);
    found[ErrorsSparseBeatBit] = in_moves && !s_axis_tlast && s_axis_tkeep != '1;
    found[ErrorsStartWhileBusyBit] = start && run_q;
    found[ErrorsNoImagesBit] = start && images_q == '0;
    found[ErrorsMemoryReadBit] = memory_status_i[0];
    found[ErrorsMemoryWriteBit] = memory_status_i[1];
    found[ErrorsWrongWeightsBit] = memory_status_i[2];
    found[ErrorsNoBasesBit] = start && !ready;
  end

  always_ff @(posedge clk_i) begin
    if (write && 32'(write_index) == ImagesReg) images_q <= write_data;
    if (write && 32'(write_index) == InterruptReg) begin
      on_done_q  <= write_data[InterruptOnDoneBit];
      on_error_q <= write_data[InterruptOnErrorBit];
    end
    if (Memory && write && 32'(write_index) == WeightsBaseReg) weights_base_q <= write_data & ~32'hfff;
    if (Memory && write && 32'(write_index) == MapsBaseReg) maps_base_q <= write_data & ~32'hfff;
    if (!network_rst_no) begin
      weights_base_o <= weights_base_q;
      maps_base_o    <= maps_base_q;
    end
    if (reset_q != '0 && !draining) reset_q <= reset_q - 1'b1;
    if (write && 32'(write_index) == ControlReg && cleared[ControlResetBit]) reset_q <= $bits(reset_q)'(ResetCycles);
    if (!rst_ni) begin
      images_q   <= '0;
      on_done_q  <= 1'b0;
      on_error_q <= 1'b0;
      reset_q    <= '0;
      weights_base_q <= '0;
      maps_base_q    <= '0;
      weights_base_o <= '0;
      maps_base_o    <= '0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (in_moves && s_axis_tlast) last_seen_q <= 1'b1;
    if (pixel_tvalid && pixel_tready) begin
      pixel_q <= pixel_tlast ? '0 : pixel_q + 1'b1;
      if (pixel_tlast) take_left_q <= take_left_q - 32'd1;
    end
    if (logit_tvalid && logit_tready && logit_tlast) begin
      give_left_q <= give_left_q - 32'd1;
      done_q      <= done_q + 32'd1;
    end
    if (abort_q && out_tvalid && out_tready) give_left_q <= '0;
    // What is offered stays as it is until it is taken.
    if (run_q && memory_status_i != '0 && (!out_tvalid || out_tready)) begin
      abort_q     <= 1'b1;
      take_left_q <= '0;
    end
    if (out_moves && m_axis_tlast) sent_q <= 1'b1;
    if (run_q && !sent_q) cycles_q <= counted(cycles_q, 1'b1);
    if (out_moves && beats_out_q == '0) first_q <= cycles_q;
    beats_in_q   <= counted(beats_in_q, in_moves);
    stalls_in_q  <= counted(stalls_in_q, in_open && s_axis_tvalid && !s_axis_tready);
    waits_in_q   <= counted(waits_in_q, in_open && s_axis_tready && !s_axis_tvalid);
    beats_out_q  <= counted(beats_out_q, out_moves);
    if (run_q && !sent_q) begin
      beats_read_q    <= counted_all(beats_read_q, memory_read_i);
      beats_written_q <= counted_all(beats_written_q, memory_written_i);
    end
    stalls_out_q <= counted(stalls_out_q, m_axis_tvalid && !m_axis_tready);
    errors_q     <= (errors_q & ~(write && 32'(write_index) == ErrorsReg ? ErrorCount'(cleared) : '0)) | found;
    if (write && 32'(write_index) == StatusReg && cleared[StatusDoneBit]) done_bit_q <= 1'b0;
    if (run_ends) begin
      run_q      <= 1'b0;
      done_bit_q <= 1'b1;
    end
    if (start && !run_q && images_q != '0 && ready) begin
      run_q        <= 1'b1;
      last_seen_q  <= 1'b0;
      sent_q       <= 1'b0;
      abort_q      <= 1'b0;
      take_left_q  <= images_q;
      give_left_q  <= images_q;
      pixel_q      <= '0;
      done_q       <= '0;
      cycles_q     <= '0;
      first_q      <= '0;
      beats_in_q   <= '0;
      stalls_in_q  <= '0;
      waits_in_q   <= '0;
      beats_out_q  <= '0;
      stalls_out_q <= '0;
      beats_read_q <= '0;
      beats_written_q <= '0;
    end
    if (!reset_n) begin
      run_q        <= 1'b0;
      last_seen_q  <= 1'b0;
      sent_q       <= 1'b0;
      abort_q      <= 1'b0;
      take_left_q  <= '0;
      give_left_q  <= '0;
      pixel_q      <= '0;
      done_bit_q   <= 1'b0;
      errors_q     <= '0;
      done_q       <= '0;
      cycles_q     <= '0;
      first_q      <= '0;
      beats_in_q   <= '0;
      stalls_in_q  <= '0;
      waits_in_q   <= '0;
      beats_out_q  <= '0;
      stalls_out_q <= '0;
      beats_read_q <= '0;
      beats_written_q <= '0;
    end
  end

  wire unused = &{1'b0, piece_tlast};

endmodule

`default_nettype wire
