// br_engine_finish: what br_engine makes of sums, four channels at a time.
// Function       y = clip(f(r + ((G*x + H) >> shift))), x the sums or 0, r the shortcut or 0, or both of a number v with a
//                knee: r = v within -limit..limit, x = v - r; f(u) = u for u >= 0, else (u + half) >> k; of y, as the pass says: values or pooled sums for a map, bits, pooled 8-bit numbers,
//                the network's output
// Stream in      constants: two beats of 64 bits a channel, {G, H} and {k, threshold}; sums: beat = Channels sums of a
//                pixel; shortcut: 64 bits of a map, two numbers or four a beat
// Stream out     map: 64 bits, likewise; out: beat = a number of 32 bits, tlast with the last channel
// Ports          start_i with pass_i begins a pass, done_o ends it, a pulse: all has left but what the map's writer
//                holds. Order everywhere: (band, group, pixel, channel)
// Parameters     AccWidth = bits of a sum; Pooled = sums of windows under way, at most, four channels each
// Latency        7 cycles from sums and shortcut to a value
// Throughput     four channels a cycle; maps of four bytes a number take two beats for them
// Back-pressure  the pipeline moves as a whole, when map and out have room
// Source         docs/engine.md; golden in bireal_hw/ops/merge.py, real_conv.py, sign.py, avg_pool.py
`default_nettype none

module br_engine_finish #(
  parameter  int unsigned Channels      = 8,                              // of a group
  parameter  int unsigned Simd          = 16,                             // bits of an operand word
  parameter  int unsigned Real          = 4,                              // numbers of one; 0: none
  parameter  int unsigned AccWidth      = 24,                             // bits of a sum
  parameter  int unsigned Pooled        = 64,                             // sums of windows under way
  parameter  int unsigned BitsDepth     = 64,                             // words of the memory of bits
  parameter  int unsigned RealDepth     = 64,                             // words of the memory of numbers
  localparam int unsigned Beat          = 64,
  localparam int unsigned Lanes         = 4,
  localparam int unsigned Wide          = 32,
  localparam int unsigned BitsAddrWidth = br_pkg::idx_width(BitsDepth),
  localparam int unsigned RealAddrWidth = br_pkg::idx_width(RealDepth),
  localparam int unsigned Slices        = Simd / Channels,
  localparam int unsigned SliceWidth    = br_pkg::idx_width(Slices),
  localparam int unsigned Parts         = br_pkg::max2(Real / Lanes, 1),
  localparam int unsigned PartWidth     = br_pkg::idx_width(Parts)
) (
  input  wire                                 clk_i,
  input  wire                                 rst_ni,
  input  wire                                 start_i,
  output logic                                done_o,
  input  wire  [br_engine_pkg::PassWidth-1:0] pass_i,
  input  wire  [                    Beat-1:0] s_const_tdata,
  input  wire                                 s_const_tvalid,
  output logic                                s_const_tready,
  input  wire  [       Channels*AccWidth-1:0] s_sums_tdata,
  input  wire                                 s_sums_tvalid,
  output logic                                s_sums_tready,
  input  wire  [                    Beat-1:0] s_shortcut_tdata,
  input  wire                                 s_shortcut_tvalid,
  output logic                                s_shortcut_tready,
  output logic                                bits_write_o,
  output logic [           BitsAddrWidth-1:0] bits_addr_o,
  output logic [              SliceWidth-1:0] bits_slice_o,
  output logic [                Channels-1:0] bits_data_o,
  output logic                                real_write_o,
  output logic [           RealAddrWidth-1:0] real_addr_o,
  output logic [               PartWidth-1:0] real_part_o,
  output logic [                 Lanes*8-1:0] real_data_o,
  output logic [                    Beat-1:0] m_map_tdata,
  output logic                                m_map_tvalid,
  input  wire                                 m_map_tready,
  output logic [                    Wide-1:0] m_axis_tdata,
  output logic                                m_axis_tvalid,
  input  wire                                 m_axis_tready,
  output logic                                m_axis_tlast
);

  localparam int unsigned Beats = Channels / Lanes;  // of a pixel in a group
  localparam int unsigned BeatWidth = br_pkg::idx_width(Beats);
  localparam int unsigned GWidth = 16;
  localparam int unsigned HWidth = 48;
  localparam int unsigned KWidth = 3;
  localparam int unsigned ConstWidth = GWidth + HWidth + KWidth + Wide;
  localparam int unsigned PoolWidth = br_pkg::idx_width(Pooled);

  if (Channels % Lanes != 0) begin : gen_check
    $error("br_engine_finish: Channels=%0d must be a multiple of %0d", Channels, Lanes);
  end

  br_engine_pkg::pass_t pass;
  assign pass = pass_i;

  logic advance, take;
  logic [7:1] valid_q;
  logic [BeatWidth-1:0] beat_q;  // of the pixel that is taken

  // ---- Constants: of the group that is computed and of the next ---------------------------------------------------------
  logic [Lanes*ConstWidth-1:0] consts[2*Beats];
  logic [(Lanes-1)*ConstWidth-1:0] fill_q;
  logic [Lanes*ConstWidth-1:0] const1_q;
  logic [br_pkg::idx_width(Lanes)-1:0] lane_q;
  logic [BeatWidth-1:0] const_beat_q;
  logic second_q, write_side_q, read_side_q, const_take, const_line, const_group, group_done;
  logic [1:0] groups_q;  // that are complete
  logic [GWidth+HWidth-1:0] low_q;
  logic [ConstWidth-1:0] const_lane;

  assign s_const_tready = groups_q != 2'd2;
  assign const_take     = s_const_tvalid && s_const_tready && second_q;
  assign const_line     = const_take && lane_q == '1;
  assign const_group    = const_line && const_beat_q == BeatWidth'(Beats - 1);
  assign const_lane     = {s_const_tdata[Wide+:KWidth], s_const_tdata[Wide-1:0], low_q};

  always_ff @(posedge clk_i) begin
    if (s_const_tvalid && s_const_tready) begin
      second_q <= !second_q;
      if (!second_q) low_q <= {s_const_tdata[HWidth+:GWidth], s_const_tdata[HWidth-1:0]};
    end
    if (const_take) begin
      lane_q <= lane_q + 1'b1;
      fill_q <= ((Lanes - 1) * ConstWidth)'({const_lane, fill_q} >> ConstWidth);
    end
    if (const_line) const_beat_q <= const_group ? '0 : const_beat_q + 1'b1;
    if (const_group) write_side_q <= !write_side_q;
    // fault: engine-other-constants
    if (group_done) read_side_q <= !read_side_q;
    groups_q <= groups_q + 2'(const_group) - 2'(group_done);
    if (!rst_ni) begin
      second_q     <= 1'b0;
      lane_q       <= '0;
      const_beat_q <= '0;
      write_side_q <= 1'b0;
      read_side_q  <= 1'b0;
      groups_q     <= '0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (const_line) begin
      consts[(write_side_q?Beats : 0)+32'(const_beat_q)] <= {const_lane, fill_q};
    end
    if (advance) const1_q <= consts[(read_side_q?Beats : 0)+32'(beat_q)];
  end

  // ---- Sums, four channels at a time ------------------------------------------------------------------------------------
  logic [Channels*AccWidth-1:0] sums_q;
  logic sums_full_q, use_sums, sums_end;

  assign use_sums      = pass.binary || pass.real_;
  assign sums_end      = take && use_sums && beat_q == BeatWidth'(Beats - 1);
  assign s_sums_tready = !sums_full_q || sums_end;

  always_ff @(posedge clk_i) begin
    if (s_sums_tvalid && s_sums_tready) sums_q <= s_sums_tdata;
    else if (take) sums_q <= sums_q >> (Lanes * AccWidth);
    if (s_sums_tready) sums_full_q <= s_sums_tvalid;
    if (!rst_ni) sums_full_q <= 1'b0;
  end

  // ---- Shortcut, four numbers of 32 bits --------------------------------------------------------------------------------
  logic [Lanes*Wide-1:0] shortcut_q;
  logic shortcut_full_q, shortcut_half_q;

  assign s_shortcut_tready = !shortcut_full_q || (take && pass.shortcut);

  always_ff @(posedge clk_i) begin
    if (s_shortcut_tvalid && s_shortcut_tready) begin
      if (pass.shortcut_wide) begin
        shortcut_q      <= {s_shortcut_tdata, shortcut_q[Lanes*Wide-1:Beat]};
        shortcut_half_q <= !shortcut_half_q;
      end else begin
        for (int l = 0; l < Lanes; l++) shortcut_q[l*Wide+:Wide] <= Wide'(signed'(s_shortcut_tdata[l*16+:16]));
      end
    end
    if (s_shortcut_tready) shortcut_full_q <= s_shortcut_tvalid && (!pass.shortcut_wide || shortcut_half_q);
    if (!rst_ni) begin
      shortcut_full_q <= 1'b0;
      shortcut_half_q <= 1'b0;
    end
  end

  // ---- Position of the beat that is taken: band, group, pixel, beat; pixel in its window ----------------------------------
  logic run_q, first_window, last_window;
  logic [11:0] band_q, group_q, column_q, window_x_q, window_y_q, window_q;
  logic [15:0] pixel_q;
  logic beat_end, row_end, pixel_end, group_end, band_end, window_x_end, window_y_end;

  assign take         = advance && run_q && groups_q != '0 && (!use_sums || sums_full_q) &&
                        (!pass.shortcut || shortcut_full_q);
  assign beat_end     = beat_q == BeatWidth'(Beats - 1);
  assign row_end      = column_q == pass.columns - 12'd1;
  assign pixel_end    = pixel_q == pass.pixels - 16'd1;
  assign group_end    = group_q == pass.groups - 12'd1;
  assign band_end     = band_q == pass.bands - 12'd1;
  assign window_x_end = window_x_q == pass.pool_width - 12'd1;
  assign window_y_end = window_y_q == pass.pool_height - 12'd1;
  assign first_window = window_x_q == '0 && window_y_q == '0;
  assign last_window  = window_x_end && window_y_end;
  assign group_done   = take && beat_end && pixel_end;

  always_ff @(posedge clk_i) begin
    if (take) begin
      beat_q <= beat_end ? '0 : beat_q + 1'b1;
      if (beat_end) begin
        pixel_q    <= pixel_end ? '0 : pixel_q + 16'd1;
        column_q   <= row_end ? '0 : column_q + 12'd1;
        window_x_q <= (window_x_end || row_end) ? '0 : window_x_q + 12'd1;
        if (row_end) window_q <= '0;
        else if (window_x_end) window_q <= window_q + 12'd1;
        if (row_end) window_y_q <= window_y_end ? '0 : window_y_q + 12'd1;
        if (pixel_end) begin
          window_y_q <= '0;
          group_q    <= group_end ? '0 : group_q + 12'd1;
          if (group_end) band_q <= band_q + 12'd1;
          if (group_end && band_end) run_q <= 1'b0;
        end
      end
    end
    if (start_i) begin
      run_q      <= 1'b1;
      beat_q     <= '0;
      pixel_q    <= '0;
      column_q   <= '0;
      window_x_q <= '0;
      window_y_q <= '0;
      window_q   <= '0;
      group_q    <= '0;
      band_q     <= '0;
    end
    if (!rst_ni) begin
      run_q  <= 1'b0;
      beat_q <= '0;
    end
  end

  // ---- Pipeline: 1 constants, 2 products, 3 affine, 4 shift and shortcut, 5 PReLU, 6 clip, 7 sign and pool ----------------
  localparam int unsigned ProductWidth = AccWidth + GWidth;
  localparam int unsigned SumWidth = HWidth + 1;
  logic [7:1] last_q, last_window_q;
  logic [6:1] first_window_q;
  logic [PoolWidth-1:0] pool1_q, pool2_q, pool3_q, pool4_q, pool5_q, pool6_q;
  logic [Lanes*AccWidth-1:0] x1_q;
  logic [Lanes*Wide-1:0] r1_q, r2_q, r3_q, y6_q, y7_q, pooled7_q, stored6, sum6;
  logic [Lanes*KWidth-1:0] k2_q, k3_q, k4_q;
  logic [Lanes*Wide-1:0] theta2_q, theta3_q, theta4_q, theta5_q, theta6_q;
  logic [Lanes-1:0] bits7_q;

  // What is multiplied and what is added: the sums and the shortcut, or the two parts of a number beyond a knee.
  logic [Lanes*AccWidth-1:0] x;
  logic [Lanes*Wide-1:0] r;

  for (genvar l = 0; l < Lanes; l++) begin : gen_operand
    logic signed [Wide-1:0] value, kept;
    assign value = pass.shortcut ? shortcut_q[l*Wide+:Wide] : '0;
    always_comb begin
      kept = value;
      if (pass.knee && value > signed'(pass.limit)) kept = signed'(pass.limit);
      if (pass.knee && value < -signed'(pass.limit)) kept = -signed'(pass.limit);
    end
    assign r[l*Wide+:Wide] = kept;
    assign x[l*AccWidth+:AccWidth] = use_sums ? sums_q[l*AccWidth+:AccWidth] : AccWidth'(value - kept);
  end

  always_ff @(posedge clk_i) begin
    if (advance) begin
      valid_q        <= {valid_q[6:1], take};
      last_q         <= {last_q[6:1], beat_end && pixel_end && group_end && band_end};
      first_window_q <= {first_window_q[5:1], first_window};
      last_window_q  <= {last_window_q[6:1], last_window};
      x1_q           <= x;
      r1_q           <= r;
      r2_q           <= r1_q;
      r3_q           <= r2_q;
      k3_q           <= k2_q;
      k4_q           <= k3_q;
      theta3_q       <= theta2_q;
      theta4_q       <= theta3_q;
      theta5_q       <= theta4_q;
      theta6_q       <= theta5_q;
      pool1_q        <= PoolWidth'(32'(window_q) * Beats + 32'(beat_q));
      pool2_q        <= pool1_q;
      pool3_q        <= pool2_q;
      pool4_q        <= pool3_q;
      pool5_q        <= pool4_q;
      pool6_q        <= pool5_q;
      y7_q           <= y6_q;
    end
    if (!rst_ni) valid_q <= '0;
  end

  br_ram #(
    .Width(Lanes * Wide),
    .Depth(Pooled)
  ) u_pooled (
    .clk_i,
    .en_i   (advance),
    .raddr_i(pool4_q),
    .rdata_o(stored6),
    .write_i(valid_q[6] && pass.pool),
    .waddr_i(pool6_q),
    .wdata_i(sum6)
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic signed [AccWidth-1:0] x1;
    logic signed [GWidth-1:0] gain;
    logic signed [HWidth-1:0] bias2_q;
    logic signed [ProductWidth-1:0] product2_q;
    logic signed [SumWidth-1:0] affine3_q, u4_q, u5_q, half;
    logic signed [Wide-1:0] y6, theta;
    logic signed [Wide:0] rounded;
    logic [KWidth-1:0] k4;

    assign x1    = x1_q[l*AccWidth+:AccWidth];
    assign gain  = const1_q[l*ConstWidth+HWidth+:GWidth];
    assign k4    = k4_q[l*KWidth+:KWidth];
    assign half  = (SumWidth'(1) <<< k4) >>> 1;
    assign theta = theta6_q[l*Wide+:Wide];
    assign y6    = y6_q[l*Wide+:Wide];
    // fault: engine-two-windows
    assign sum6[l*Wide+:Wide] = (first_window_q[6] ? '0 : stored6[l*Wide+:Wide]) + y6;
    assign rounded = ((Wide + 1)'(signed'(sum6[l*Wide+:Wide])) + signed'({1'b0, pass.pool_half})) >>> pass.pool_shift;

    always_ff @(posedge clk_i) begin
      if (advance) begin
        product2_q <= x1 * gain;
        bias2_q    <= const1_q[l*ConstWidth+:HWidth];
        theta2_q[l*Wide+:Wide] <= const1_q[l*ConstWidth+HWidth+GWidth+:Wide];
        k2_q[l*KWidth+:KWidth] <= const1_q[l*ConstWidth+HWidth+GWidth+Wide+:KWidth];
        affine3_q <= SumWidth'(product2_q) + SumWidth'(bias2_q);
        // fault: engine-logical-shift
        u4_q <= SumWidth'(signed'(r3_q[l*Wide+:Wide])) + (affine3_q >>> pass.shift);
        // fault: engine-prelu-half
        u5_q <= u4_q < 0 ? (u4_q + half) >>> k4 : u4_q;
        if (u5_q < SumWidth'(signed'(pass.low))) y6_q[l*Wide+:Wide] <= pass.low;
        else if (u5_q > SumWidth'(signed'(pass.high))) y6_q[l*Wide+:Wide] <= pass.high;
        else y6_q[l*Wide+:Wide] <= Wide'(u5_q);
        bits7_q[l] <= y6 >= theta;
        if (rounded < (Wide + 1)'(signed'(pass.pool_low))) pooled7_q[l*Wide+:Wide] <= pass.pool_low;
        else if (rounded > (Wide + 1)'(signed'(pass.pool_high))) pooled7_q[l*Wide+:Wide] <= pass.pool_high;
        else pooled7_q[l*Wide+:Wide] <= Wide'(rounded);
      end
    end
  end

  // ---- What becomes of a value: position of the beat that leaves ----------------------------------------------------------
  logic map_valid, map_ready, out_ready, leave, pooled7;
  logic [BeatWidth-1:0] out_beat_q;
  logic [15:0] out_pixel_q;
  logic [11:0] out_group_q, chunk_q, real_chunk_q, real_chunk_first_q;
  logic [SliceWidth-1:0] slice_q;
  logic [PartWidth-1:0] part_q, part_first_q;
  logic [19:0] bits_pixel_q, bits_band_q, real_pixel_q, real_band_q;
  logic out_beat_end, out_pixel_end, out_group_end, slice_end, part_end;
  localparam int unsigned GroupParts = Channels / Lanes;
  logic [PartWidth-1:0] part_next;
  logic [11:0] chunk_next;
  logic [19:0] real_next;

  assign pooled7       = valid_q[7] && pass.pool && last_window_q[7];
  assign map_valid     = (valid_q[7] && pass.store) || (pooled7 && pass.store_pool);
  assign advance       = !valid_q[7] || ((!map_valid || map_ready) && (!pass.out || out_ready));
  assign leave         = valid_q[7] && advance;
  assign out_beat_end  = out_beat_q == BeatWidth'(Beats - 1);
  assign out_pixel_end = out_pixel_q == pass.pixels - 16'd1;
  assign out_group_end = out_group_q == pass.groups - 12'd1;
  assign slice_end     = slice_q == SliceWidth'(Slices - 1);
  assign part_end      = part_q == PartWidth'(Parts - 1);
  assign done_o        = leave && last_q[7];

  // Bits of a pixel in a group are gathered, then written as a slice of a word.
  if (Beats > 1) begin : gen_gather
    logic [Channels-Lanes-1:0] gather_q;
    always_ff @(posedge clk_i) begin
      if (leave) gather_q <= (Channels - Lanes)'({bits7_q, gather_q} >> Lanes);
    end
    assign bits_data_o = {bits7_q, gather_q};
  end else begin : gen_direct
    assign bits_data_o = bits7_q;
  end

  assign bits_write_o = leave && pass.sign && out_beat_end;
  assign bits_addr_o  = BitsAddrWidth'(bits_pixel_q + 20'(chunk_q));
  assign bits_slice_o = slice_q;
  assign real_write_o = leave && pooled7 && pass.pool_real;
  assign real_addr_o  = RealAddrWidth'(real_pixel_q + 20'(real_chunk_q));
  assign real_part_o  = part_q;
  for (genvar l = 0; l < Lanes; l++) begin : gen_real_data
    assign real_data_o[l*8+:8] = pooled7_q[l*Wide+:8];
  end

  always_ff @(posedge clk_i) begin
    if (leave) begin
      out_beat_q <= out_beat_end ? '0 : out_beat_q + 1'b1;
      if (pooled7) begin
        part_q <= part_end ? '0 : part_q + 1'b1;
        if (part_end) real_chunk_q <= real_chunk_q + 12'd1;
        if (out_beat_end) begin  // the same channels of the next pooled pixel
          part_q       <= part_first_q;
          real_chunk_q <= real_chunk_first_q;
          real_pixel_q <= real_pixel_q + 20'(pass.real_chunks);
        end
      end
      if (out_beat_end) begin
        out_pixel_q  <= out_pixel_end ? '0 : out_pixel_q + 16'd1;
        bits_pixel_q <= bits_pixel_q + 20'(pass.bits_chunks);
        if (out_pixel_end) begin
          out_group_q  <= out_group_end ? '0 : out_group_q + 12'd1;
          // fault: engine-bits-elsewhere
          bits_pixel_q <= bits_band_q;
          slice_q      <= slice_end ? '0 : slice_q + 1'b1;
          if (slice_end) chunk_q <= chunk_q + 12'd1;
          real_pixel_q       <= real_band_q;
          part_q             <= part_next;
          part_first_q       <= part_next;
          real_chunk_q       <= chunk_next;
          real_chunk_first_q <= chunk_next;
          if (out_group_end) begin
            slice_q            <= '0;
            chunk_q            <= '0;
            part_q             <= '0;
            part_first_q       <= '0;
            real_chunk_q       <= '0;
            real_chunk_first_q <= '0;
            bits_band_q        <= bits_pixel_q + 20'(pass.bits_chunks);
            bits_pixel_q       <= bits_pixel_q + 20'(pass.bits_chunks);
            real_band_q        <= real_next;
            real_pixel_q       <= real_next;
          end
        end
      end
    end
    if (start_i) begin
      out_beat_q         <= '0;
      out_pixel_q        <= '0;
      out_group_q        <= '0;
      slice_q            <= '0;
      chunk_q            <= '0;
      part_q             <= '0;
      part_first_q       <= '0;
      real_chunk_q       <= '0;
      real_chunk_first_q <= '0;
      bits_band_q        <= pass.bits_first;
      bits_pixel_q       <= pass.bits_first;
      real_band_q        <= pass.real_first;
      real_pixel_q       <= pass.real_first;
    end
  end

  // Where the next group's numbers begin: Channels numbers further, Lanes*Parts of them a word.
  if (GroupParts % Parts == 0) begin : gen_whole_words
    assign part_next  = '0;
    assign chunk_next = real_chunk_first_q + 12'(GroupParts / Parts);
  end else begin : gen_parts_of_words  // Parts is a multiple of GroupParts
    logic over;
    assign over       = 32'(part_first_q) + GroupParts >= Parts;
    assign part_next  = over ? '0 : part_first_q + PartWidth'(GroupParts);
    assign chunk_next = real_chunk_first_q + 12'(over);
  end
  if (Real > 0 && GroupParts % Parts != 0 && Parts % GroupParts != 0) begin : gen_check_real
    $error("br_engine_finish: one of Channels=%0d and Real=%0d must divide the other", Channels, Real);
  end
  assign real_next = pooled7 ? real_pixel_q + 20'(pass.real_chunks) : real_pixel_q;

  // ---- Map: a beat of four numbers of 16 bits, or two of two numbers of 32 ----------------------------------------------
  logic [Lanes*Wide-1:0] map_value;
  logic map_second_q;

  assign map_value    = pass.store ? y7_q : pooled7_q;
  assign m_map_tvalid = map_valid;
  assign map_ready    = m_map_tready && (!pass.store_wide || map_second_q);

  always_comb begin
    for (int l = 0; l < Lanes; l++) m_map_tdata[l*16+:16] = map_value[l*Wide+:16];
    if (pass.store_wide) m_map_tdata = map_second_q ? map_value[Lanes*Wide-1:Beat] : map_value[Beat-1:0];
  end

  always_ff @(posedge clk_i) begin
    if (m_map_tvalid && m_map_tready) map_second_q <= pass.store_wide && !map_second_q;
    if (!rst_ni) map_second_q <= 1'b0;
  end

  // ---- Output: a channel at a time ------------------------------------------------------------------------------------------
  logic [br_pkg::idx_width(Lanes)-1:0] out_lane_q;
  logic [15:0] channel_q;
  logic beyond;

  assign beyond        = channel_q >= pass.channels;
  assign m_axis_tvalid = valid_q[7] && pass.out && !beyond;
  assign m_axis_tdata  = y7_q[out_lane_q*Wide+:Wide];
  assign m_axis_tlast  = channel_q == pass.channels - 16'd1;
  assign out_ready     = (m_axis_tready || beyond) && out_lane_q == '1;

  always_ff @(posedge clk_i) begin
    if (valid_q[7] && pass.out && (m_axis_tready || beyond)) begin
      out_lane_q <= out_lane_q + 1'b1;
      channel_q  <= channel_q + 16'd1;
    end
    if (start_i || !rst_ni) begin
      out_lane_q <= '0;
      channel_q  <= '0;
    end
  end

  logic unused;
  assign unused = &{1'b0, pass, s_const_tdata[Beat-1:Wide+KWidth]};

endmodule

`default_nettype wire
