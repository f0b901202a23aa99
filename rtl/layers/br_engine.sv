// br_engine: a network's tail, pass after pass, with weights and maps in DRAM.
// Function       the passes of ProgramFile (br_engine_pkg::pass_t) on each frame: products with weights from DRAM, for
//                all pixels of a band at a time (br_engine_mac), then affine, shortcut, sign, pool (br_engine_finish)
// Stream in      beat = four channels of a pixel, InWidth bits each; rows from the top; written to DRAM
//                (br_engine_input) while the frame before is computed
// Stream out     beat = a number of the output, OutWidth bits; tlast on the last
// Ports          m_axi_weights reads the image of the weights from weights_base_i on; m_axi_maps reads and writes maps,
//                m_axi_input writes the input's, both from maps_base_i on: the same memory. status_o, until reset: bit 0
//                a read was answered with an error, 1 a write was, 2 the image is not this network's, and nothing is
//                computed; with any of them set no output leaves
// Parameters     Channels, Simd, Real, Pixels: sizes, as in docs/engine.md; memories of the operands in words; Passes and
//                Segments: words of the files
// Latency        that of a frame, and of its passes
// Throughput     a frame every sum of the passes' cycles: bireal_hw/ops/engine.py counts them
// Back-pressure  two frames of the input wait in DRAM; a stalled output stalls the last pass
// Source         docs/engine.md; golden: that of the layers it computes
`default_nettype none

module br_engine #(
  parameter  int unsigned Channels    = 8,     // output channels of a group
  parameter  int unsigned Simd        = 16,    // bits of the K axis at a time
  parameter  int unsigned Real        = 4,     // 8-bit numbers of the K axis at a time; 0: none
  parameter  int unsigned Pixels      = 64,    // of a band, at most
  parameter  int unsigned Queue       = 0,     // pixels whose sums wait, so that products go on; 0: none
  parameter  int unsigned AccWidth    = 24,    // bits of a sum, signed
  parameter  int unsigned BitsDepth   = 64,    // words of bits on the chip
  parameter  int unsigned RealDepth   = 64,    // words of 8-bit numbers on the chip
  parameter  int unsigned Pooled      = 64,    // sums of windows under way, four channels each
  parameter  int unsigned InPixels    = 16,    // of a frame of the input
  parameter  int unsigned InChannels  = 16,    // of a pixel of the input
  parameter  int unsigned InWidth     = 16,    // bits of a number of the input, signed
  parameter  int unsigned InSize      = 4096,  // bytes between the two maps of the input
  parameter  int unsigned OutWidth    = 24,    // bits of a number of the output, signed
  parameter  int unsigned Passes      = 1,     // words of ProgramFile
  parameter  int unsigned Segments    = 2,     // words of SegmentFile
  parameter               ProgramFile = "",    // passes: bireal_hw/engine/program.py
  parameter               SegmentFile = "",    // the image's identity, then {beats, address} of the weights in order
  localparam int unsigned Beat        = 64,
  localparam int unsigned AddrWidth   = 32,
  localparam int unsigned LenWidth    = 24,
  localparam int unsigned Lanes       = 4
) (
  input  wire                      clk_i,
  input  wire                      rst_ni,
  input  wire  [    AddrWidth-1:0] weights_base_i,
  input  wire  [    AddrWidth-1:0] maps_base_i,
  output logic [              2:0] status_o,
  input  wire  [Lanes*InWidth-1:0] s_axis_tdata,
  input  wire                      s_axis_tvalid,
  output logic                     s_axis_tready,
  input  wire                      s_axis_tlast,
  output logic [     OutWidth-1:0] m_axis_tdata,
  output logic                     m_axis_tvalid,
  input  wire                      m_axis_tready,
  output logic                     m_axis_tlast,
  output logic [    AddrWidth-1:0] m_axi_weights_araddr,
  output logic [              7:0] m_axi_weights_arlen,
  output logic [              2:0] m_axi_weights_arsize,
  output logic [              1:0] m_axi_weights_arburst,
  output logic [              3:0] m_axi_weights_arcache,
  output logic [              2:0] m_axi_weights_arprot,
  output logic                     m_axi_weights_arvalid,
  input  wire                      m_axi_weights_arready,
  input  wire  [         Beat-1:0] m_axi_weights_rdata,
  input  wire  [              1:0] m_axi_weights_rresp,
  input  wire                      m_axi_weights_rlast,
  input  wire                      m_axi_weights_rvalid,
  output logic                     m_axi_weights_rready,
  output logic [    AddrWidth-1:0] m_axi_maps_araddr,
  output logic [              7:0] m_axi_maps_arlen,
  output logic [              2:0] m_axi_maps_arsize,
  output logic [              1:0] m_axi_maps_arburst,
  output logic [              3:0] m_axi_maps_arcache,
  output logic [              2:0] m_axi_maps_arprot,
  output logic                     m_axi_maps_arvalid,
  input  wire                      m_axi_maps_arready,
  input  wire  [         Beat-1:0] m_axi_maps_rdata,
  input  wire  [              1:0] m_axi_maps_rresp,
  input  wire                      m_axi_maps_rlast,
  input  wire                      m_axi_maps_rvalid,
  output logic                     m_axi_maps_rready,
  output logic [    AddrWidth-1:0] m_axi_maps_awaddr,
  output logic [              7:0] m_axi_maps_awlen,
  output logic [              2:0] m_axi_maps_awsize,
  output logic [              1:0] m_axi_maps_awburst,
  output logic [              3:0] m_axi_maps_awcache,
  output logic [              2:0] m_axi_maps_awprot,
  output logic                     m_axi_maps_awvalid,
  input  wire                      m_axi_maps_awready,
  output logic [         Beat-1:0] m_axi_maps_wdata,
  output logic [       Beat/8-1:0] m_axi_maps_wstrb,
  output logic                     m_axi_maps_wlast,
  output logic                     m_axi_maps_wvalid,
  input  wire                      m_axi_maps_wready,
  input  wire  [              1:0] m_axi_maps_bresp,
  input  wire                      m_axi_maps_bvalid,
  output logic                     m_axi_maps_bready,
  output logic [    AddrWidth-1:0] m_axi_input_awaddr,
  output logic [              7:0] m_axi_input_awlen,
  output logic [              2:0] m_axi_input_awsize,
  output logic [              1:0] m_axi_input_awburst,
  output logic [              3:0] m_axi_input_awcache,
  output logic [              2:0] m_axi_input_awprot,
  output logic                     m_axi_input_awvalid,
  input  wire                      m_axi_input_awready,
  output logic [         Beat-1:0] m_axi_input_wdata,
  output logic [       Beat/8-1:0] m_axi_input_wstrb,
  output logic                     m_axi_input_wlast,
  output logic                     m_axi_input_wvalid,
  input  wire                      m_axi_input_wready,
  input  wire  [              1:0] m_axi_input_bresp,
  input  wire                      m_axi_input_bvalid,
  output logic                     m_axi_input_bready
);

  localparam int unsigned CmdWidth = LenWidth + AddrWidth;
  localparam int unsigned HeaderBeats = 2;
  localparam logic [Beat-1:0] Magic = 64'h31574552_49425242;

  br_engine_pkg::pass_t pass;
  logic [br_engine_pkg::PassWidth-1:0] pass_q;
  assign pass = pass_q;

  // ---- Weights: the header once, then segment after segment, around and around -----------------------------------------
  localparam int unsigned SegmentWidth = br_pkg::idx_width(Segments);
  logic [CmdWidth-1:0] segment, weights_cmd;
  logic [SegmentWidth-1:0] segment_q;
  logic [Beat-1:0] weights_tdata;
  logic weights_cmd_valid, weights_cmd_ready, weights_tvalid, weights_tready, weights_error, unused_weights_last;
  logic have_segment_q, header_sent_q, checked_q, wrong_q;
  logic [1:0] header_q;
  logic [CmdWidth-1:0] identity_q;

  br_rom #(
    .Width(CmdWidth),
    .Depth(Segments),
    .File (SegmentFile)
  ) u_segments (
    .clk_i,
    .en_i  (!have_segment_q || (weights_cmd_valid && weights_cmd_ready)),
    .addr_i(segment_q),
    .data_o(segment)
  );

  // Word 0 is the identity, which is read first, while the header is on its way.
  logic identity_next_q;
  assign weights_cmd_valid = have_segment_q && (!header_sent_q || (!identity_next_q && checked_q && !wrong_q));
  assign weights_cmd = header_sent_q ? {segment[AddrWidth+:LenWidth], segment[AddrWidth-1:0] + weights_base_i}
                                     : {LenWidth'(HeaderBeats), weights_base_i};

  always_ff @(posedge clk_i) begin
    have_segment_q <= 1'b1;
    if (!have_segment_q || (weights_cmd_valid && weights_cmd_ready)) begin
      // fault: engine-segments-stop
      segment_q <= segment_q == SegmentWidth'(Segments - 1) ? SegmentWidth'(1) : segment_q + SegmentWidth'(1);
    end
    if (have_segment_q && identity_next_q) identity_q <= segment;
    if (weights_cmd_valid && weights_cmd_ready) begin
      header_sent_q   <= 1'b1;
      identity_next_q <= 1'b0;
    end
    if (weights_tvalid && !checked_q) begin
      header_q <= header_q + 2'd1;
      if (header_q == 2'd0 && weights_tdata != Magic) wrong_q <= 1'b1;
      if (header_q == 2'd1) begin
        if (weights_tdata != Beat'(identity_q)) wrong_q <= 1'b1;
        checked_q <= 1'b1;
      end
    end
    if (!rst_ni) begin
      have_segment_q  <= 1'b0;
      identity_next_q <= 1'b1;
      header_sent_q   <= 1'b0;
      segment_q       <= '0;
      header_q        <= '0;
      checked_q       <= 1'b0;
      wrong_q         <= 1'b0;
    end
  end

  br_axi_reader #(
    .AddrWidth(AddrWidth),
    .DataWidth(Beat),
    .LenWidth (LenWidth),
    .Depth    (512)
  ) u_weights (
    .clk_i,
    .rst_ni,
    .s_cmd_tdata  (weights_cmd),
    .s_cmd_tvalid (weights_cmd_valid),
    .s_cmd_tready (weights_cmd_ready),
    .m_axis_tdata (weights_tdata),
    .m_axis_tvalid(weights_tvalid),
    .m_axis_tready(weights_tready),
    .m_axis_tlast (unused_weights_last),
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

  // ---- Passes: fetch, start, wait until all is written ------------------------------------------------------------------
  typedef enum logic [2:0] {
    Frame,   // wait for a frame of the input
    Fetch,   // the pass is read
    Load,
    Start,
    Run,
    Settle,  // the writer notes the last command
    Drain    // the map is being written
  } state_e;

  localparam int unsigned IndexWidth = br_pkg::idx_width(Passes);
  state_e state_q;
  logic [IndexWidth-1:0] index_q;
  logic [br_engine_pkg::PassWidth-1:0] fetched;
  logic start, finished, frame_done, maps_idle;
  logic [1:0] frames;
  logic side;

  br_rom #(
    .Width(br_engine_pkg::PassWidth),
    .Depth(Passes),
    .File (ProgramFile)
  ) u_program (
    .clk_i,
    .en_i  (1'b1),
    .addr_i(index_q),
    .data_o(fetched)
  );

  assign start      = state_q == Start;
  assign frame_done = state_q == Drain && maps_idle && pass.last;

  always_ff @(posedge clk_i) begin
    unique case (state_q)
      Frame:  if (frames != '0 && checked_q && !wrong_q) state_q <= Fetch;
      Fetch:  state_q <= Load;
      Load: begin
        pass_q  <= fetched;
        state_q <= Start;
      end
      Start:  state_q <= Run;
      Run:    if (finished) state_q <= Settle;
      Settle: state_q <= Drain;
      Drain:
      if (maps_idle) begin
        state_q <= pass.last ? Frame : Fetch;
        index_q <= pass.last ? '0 : index_q + 1'b1;
      end
      default: state_q <= Frame;
    endcase
    if (!rst_ni) begin
      state_q <= Frame;
      index_q <= '0;
    end
  end

  // ---- Distribution of the weights' stream: for every band and group its constants, then its weights ---------------------
  localparam int unsigned ConstBeats = 2 * Channels;
  localparam int unsigned BitsBeats = Channels * Simd / Beat;
  localparam int unsigned RealBeats = Channels * Real * 8 / Beat;
  localparam int unsigned PartWidth = br_pkg::idx_width(br_pkg::max2(ConstBeats, br_pkg::max2(BitsBeats, RealBeats)));

  logic deal_q, words_q, products, const_tvalid, const_tready, word_tvalid, word_tready, deal_take;
  logic [PartWidth-1:0] deal_beat_q;
  logic [15:0] deal_word_q;
  logic [11:0] deal_group_q, deal_band_q;
  logic deal_beat_end, deal_word_end, deal_group_end;

  assign products       = pass.binary || pass.real_;
  assign const_tvalid   = deal_q && !words_q && weights_tvalid;
  assign word_tvalid    = deal_q && words_q && weights_tvalid;
  assign weights_tready = !checked_q || (deal_q && (words_q ? word_tready : const_tready));
  assign deal_take      = deal_q && weights_tvalid && weights_tready;
  assign deal_beat_end  = deal_beat_q == (!words_q ? PartWidth'(ConstBeats - 1) :
                                          pass.binary ? PartWidth'(BitsBeats - 1) : PartWidth'(RealBeats - 1));
  assign deal_word_end  = words_q ? deal_word_q == pass.words - 16'd1 : !products;
  assign deal_group_end = deal_group_q == pass.groups - 12'd1;

  always_ff @(posedge clk_i) begin
    if (deal_take) begin
      deal_beat_q <= deal_beat_end ? '0 : deal_beat_q + 1'b1;
      if (deal_beat_end) begin
        words_q <= products && !(words_q && deal_word_end);
        if (words_q) deal_word_q <= deal_word_end ? '0 : deal_word_q + 16'd1;
        if (deal_word_end) begin
          deal_group_q <= deal_group_end ? '0 : deal_group_q + 12'd1;
          if (deal_group_end) begin
            deal_band_q <= deal_band_q + 12'd1;
            if (deal_band_q == pass.bands - 12'd1) deal_q <= 1'b0;
          end
        end
      end
    end
    if (start) begin
      deal_q       <= 1'b1;
      words_q      <= 1'b0;
      deal_beat_q  <= '0;
      deal_word_q  <= '0;
      deal_group_q <= '0;
      deal_band_q  <= '0;
    end
    if (!rst_ni) deal_q <= 1'b0;
  end

  // ---- Commands for the maps ----------------------------------------------------------------------------------------------
  // One for every band and group; what is read of the input lies in one of two maps.
  logic shortcut_cmd_valid, shortcut_cmd_ready, store_cmd_valid, store_cmd_ready;
  logic [CmdWidth-1:0] shortcut_cmd, store_cmd;

  br_engine_map #(
    .AddrWidth(AddrWidth),
    .LenWidth (LenWidth)
  ) u_shortcut_map (
    .clk_i,
    .rst_ni,
    .start_i     (start && pass.shortcut),
    .first_i     (maps_base_i + pass.shortcut_first + ((pass.shortcut_input && side) ? AddrWidth'(InSize) : '0)),
    .beats_i     (pass.shortcut_beats),
    .group_i     (pass.shortcut_group),
    .band_i      (pass.shortcut_band),
    .groups_i    (pass.groups),
    .bands_i     (pass.bands),
    .m_cmd_tdata (shortcut_cmd),
    .m_cmd_tvalid(shortcut_cmd_valid),
    .m_cmd_tready(shortcut_cmd_ready)
  );

  br_engine_map #(
    .AddrWidth(AddrWidth),
    .LenWidth (LenWidth)
  ) u_store_map (
    .clk_i,
    .rst_ni,
    .start_i     (start && (pass.store || pass.store_pool)),
    .first_i     (maps_base_i + pass.store_first),
    .beats_i     (pass.store_beats),
    .group_i     (pass.store_group),
    .band_i      (pass.store_band),
    .groups_i    (pass.groups),
    .bands_i     (pass.bands),
    .m_cmd_tdata (store_cmd),
    .m_cmd_tvalid(store_cmd_valid),
    .m_cmd_tready(store_cmd_ready)
  );

  logic [Beat-1:0] shortcut_tdata, map_tdata;
  logic shortcut_tvalid, shortcut_tready, map_tvalid, map_tready, unused_shortcut_last;
  logic maps_read_error, maps_write_error, input_error, writer_idle;

  assign maps_idle = writer_idle && !store_cmd_valid;

  br_axi_reader #(
    .AddrWidth(AddrWidth),
    .DataWidth(Beat),
    .LenWidth (LenWidth),
    .Depth    (512)
  ) u_maps_read (
    .clk_i,
    .rst_ni,
    .s_cmd_tdata  (shortcut_cmd),
    .s_cmd_tvalid (shortcut_cmd_valid),
    .s_cmd_tready (shortcut_cmd_ready),
    .m_axis_tdata (shortcut_tdata),
    .m_axis_tvalid(shortcut_tvalid),
    .m_axis_tready(shortcut_tready),
    .m_axis_tlast (unused_shortcut_last),
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
    .error_o      (maps_read_error)
  );

  br_axi_writer #(
    .AddrWidth(AddrWidth),
    .DataWidth(Beat),
    .LenWidth (LenWidth),
    .Depth    (64)
  ) u_maps_write (
    .clk_i,
    .rst_ni,
    .s_cmd_tdata  (store_cmd),
    .s_cmd_tvalid (store_cmd_valid),
    .s_cmd_tready (store_cmd_ready),
    .s_axis_tdata (map_tdata),
    .s_axis_tvalid(map_tvalid),
    .s_axis_tready(map_tready),
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
    .idle_o       (writer_idle),
    .error_o      (maps_write_error)
  );

  // ---- The front's stream ---------------------------------------------------------------------------------------------------
  logic [CmdWidth-1:0] input_cmd;
  logic [Beat-1:0] input_tdata;
  logic input_cmd_valid, input_cmd_ready, input_tvalid, input_tready, input_idle;

  br_engine_input #(
    .Pixels  (InPixels),
    .Total   (InChannels),
    .Channels(Channels),
    .InWidth (InWidth),
    .Size    (InSize),
    .LenWidth(LenWidth)
  ) u_input (
    .clk_i,
    .rst_ni,
    .base_i       (maps_base_i),
    .s_axis_tdata,
    .s_axis_tvalid,
    .s_axis_tready,
    .m_cmd_tdata  (input_cmd),
    .m_cmd_tvalid (input_cmd_valid),
    .m_cmd_tready (input_cmd_ready),
    .m_axis_tdata (input_tdata),
    .m_axis_tvalid(input_tvalid),
    .m_axis_tready(input_tready),
    .idle_i       (input_idle),
    .release_i    (frame_done),
    .frames_o     (frames),
    .side_o       (side)
  );

  br_axi_writer #(
    .AddrWidth(AddrWidth),
    .DataWidth(Beat),
    .LenWidth (LenWidth),
    .Depth    (64)
  ) u_input_write (
    .clk_i,
    .rst_ni,
    .s_cmd_tdata  (input_cmd),
    .s_cmd_tvalid (input_cmd_valid),
    .s_cmd_tready (input_cmd_ready),
    .s_axis_tdata (input_tdata),
    .s_axis_tvalid(input_tvalid),
    .s_axis_tready(input_tready),
    .m_axi_awaddr (m_axi_input_awaddr),
    .m_axi_awlen  (m_axi_input_awlen),
    .m_axi_awsize (m_axi_input_awsize),
    .m_axi_awburst(m_axi_input_awburst),
    .m_axi_awcache(m_axi_input_awcache),
    .m_axi_awprot (m_axi_input_awprot),
    .m_axi_awvalid(m_axi_input_awvalid),
    .m_axi_awready(m_axi_input_awready),
    .m_axi_wdata  (m_axi_input_wdata),
    .m_axi_wstrb  (m_axi_input_wstrb),
    .m_axi_wlast  (m_axi_input_wlast),
    .m_axi_wvalid (m_axi_input_wvalid),
    .m_axi_wready (m_axi_input_wready),
    .m_axi_bresp  (m_axi_input_bresp),
    .m_axi_bvalid (m_axi_input_bvalid),
    .m_axi_bready (m_axi_input_bready),
    .idle_o       (input_idle),
    .error_o      (input_error)
  );

  // ---- Products and what is made of them ------------------------------------------------------------------------------------
  logic [Channels*AccWidth-1:0] sums_tdata;
  logic sums_tvalid, sums_tready;
  logic bits_write, real_write;
  logic [br_pkg::idx_width(BitsDepth)-1:0] bits_addr;
  logic [br_pkg::idx_width(Simd / Channels)-1:0] bits_slice;
  logic [Channels-1:0] bits_data;
  logic [br_pkg::idx_width(RealDepth)-1:0] real_addr;
  logic [br_pkg::idx_width(br_pkg::max2(Real / Lanes, 1))-1:0] real_part;
  logic [Lanes*8-1:0] real_data;
  logic [31:0] value_tdata;
  logic value_tvalid, value_tready, value_tlast;

  br_engine_mac #(
    .Channels (Channels),
    .Simd     (Simd),
    .Real     (Real),
    .Pixels   (Pixels),
    .AccWidth (AccWidth),
    .BitsDepth(BitsDepth),
    .RealDepth(RealDepth)
  ) u_mac (
    .clk_i,
    .rst_ni,
    .start_i      (start && products),
    .pass_i       (pass_q),
    .s_axis_tdata (weights_tdata),
    .s_axis_tvalid(word_tvalid),
    .s_axis_tready(word_tready),
    .bits_write_i (bits_write),
    .bits_addr_i  (bits_addr),
    .bits_slice_i (bits_slice),
    .bits_data_i  (bits_data),
    .real_write_i (real_write),
    .real_addr_i  (real_addr),
    .real_part_i  (real_part),
    .real_data_i  (real_data),
    .m_axis_tdata (sums_tdata),
    .m_axis_tvalid(sums_tvalid),
    .m_axis_tready(sums_tready)
  );

  // Sums of a group wait here while the next group's are made.
  logic [Channels*AccWidth-1:0] queued_tdata;
  logic queued_tvalid, queued_tready;

  if (Queue > 0) begin : gen_queue
    logic unused_last;
    logic [br_pkg::cnt_width(Queue)-1:0] unused_usage, unused_fill;
    br_fifo #(
      .Width(Channels * AccWidth),
      .Depth(Queue)
    ) u_queue (
      .clk_i,
      .rst_ni,
      .s_axis_tdata (sums_tdata),
      .s_axis_tvalid(sums_tvalid),
      .s_axis_tready(sums_tready),
      .s_axis_tlast (1'b0),
      .m_axis_tdata (queued_tdata),
      .m_axis_tvalid(queued_tvalid),
      .m_axis_tready(queued_tready),
      .m_axis_tlast (unused_last),
      .usage_o      (unused_usage),
      .max_fill_o   (unused_fill)
    );
  end else begin : gen_no_queue
    assign queued_tdata  = sums_tdata;
    assign queued_tvalid = sums_tvalid;
    assign sums_tready   = queued_tready;
  end

  br_engine_finish #(
    .Channels (Channels),
    .Simd     (Simd),
    .Real     (Real),
    .AccWidth (AccWidth),
    .Pooled   (Pooled),
    .BitsDepth(BitsDepth),
    .RealDepth(RealDepth)
  ) u_finish (
    .clk_i,
    .rst_ni,
    .start_i          (start),
    .done_o           (finished),
    .pass_i           (pass_q),
    .s_const_tdata    (weights_tdata),
    .s_const_tvalid   (const_tvalid),
    .s_const_tready   (const_tready),
    .s_sums_tdata     (queued_tdata),
    .s_sums_tvalid    (queued_tvalid),
    .s_sums_tready    (queued_tready),
    .s_shortcut_tdata (shortcut_tdata),
    .s_shortcut_tvalid(shortcut_tvalid),
    .s_shortcut_tready(shortcut_tready),
    .bits_write_o     (bits_write),
    .bits_addr_o      (bits_addr),
    .bits_slice_o     (bits_slice),
    .bits_data_o      (bits_data),
    .real_write_o     (real_write),
    .real_addr_o      (real_addr),
    .real_part_o      (real_part),
    .real_data_o      (real_data),
    .m_map_tdata      (map_tdata),
    .m_map_tvalid     (map_tvalid),
    .m_map_tready     (map_tready),
    .m_axis_tdata     (value_tdata),
    .m_axis_tvalid    (value_tvalid),
    .m_axis_tready    (value_tready),
    .m_axis_tlast     (value_tlast)
  );

  // ---- Output and status: behind an error nothing leaves any more -------------------------------------------------------------
  logic failed_q;

  assign m_axis_tdata  = OutWidth'(value_tdata);
  assign m_axis_tvalid = value_tvalid && !failed_q;
  assign m_axis_tlast  = value_tlast;
  assign value_tready  = m_axis_tready && !failed_q;
  assign status_o      = {wrong_q, maps_write_error || input_error, weights_error || maps_read_error};

  always_ff @(posedge clk_i) begin
    if (status_o != '0 && !(m_axis_tvalid && !m_axis_tready)) failed_q <= 1'b1;
    if (!rst_ni) failed_q <= 1'b0;
  end

  logic unused;
  assign unused = &{1'b0, s_axis_tlast, value_tdata, pass};

endmodule

`default_nettype wire
