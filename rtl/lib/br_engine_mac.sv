// br_engine_mac: products of br_engine, a word of weights for all pixels of a band at a time.
// Function       for every band and group of a pass: for every word of weights, in the order (ky, kx, chunk), for every
//                pixel of the band: sum += w*x, over the taps inside the image; the sums leave with the last word. Bits:
//                w*x = 2*popcount(xnor(w, x)) - bits; numbers: 8 by 8 bits, two lanes a multiplier
// Stream in      weights: beat = 64 bits, words of a group after each other, lane p of a word at [p*Simd +: Simd] or
//                [p*Real*8 +: Real*8]
// Stream out     beat = Channels signed sums of AccWidth bits of a pixel; order (band, group, pixel)
// Ports          start_i with pass_i begins a pass, which has products; pass_i holds until the last sum has left.
//                Operands are written at any time: bits_* Channels bits of a word, real_* four numbers of a word
// Parameters     Simd is a multiple of Channels, Real one of 4 or 0 for no multipliers; a pass has 8 cycles a word or
//                more (pixels + idle)
// Latency        6 cycles from the last word's first pixel to its sums
// Throughput     a pixel a cycle; a word of weights takes at least as many cycles as it has beats
// Back-pressure  a stalled m_axis stops all but the arrival of weights: a word in use and one behind it
// Source         docs/engine.md; golden in bireal_hw/ops/binary_conv.py, real_conv.py
`default_nettype none

module br_engine_mac #(
  parameter  int unsigned Channels      = 8,                              // output channels of a group
  parameter  int unsigned Simd          = 16,                             // bits of the K axis at a time
  parameter  int unsigned Real          = 4,                              // 8-bit numbers at a time; 0: none
  parameter  int unsigned Pixels        = 64,                             // of a band, at most
  parameter  int unsigned AccWidth      = 24,                             // bits of a sum, signed
  parameter  int unsigned BitsDepth     = 64,                             // words of the operand memory of bits
  parameter  int unsigned RealDepth     = 64,                             // words of the operand memory of numbers
  localparam int unsigned Beat          = 64,
  localparam int unsigned Lanes         = 4,
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
  input  wire  [br_engine_pkg::PassWidth-1:0] pass_i,
  input  wire  [                    Beat-1:0] s_axis_tdata,
  input  wire                                 s_axis_tvalid,
  output logic                                s_axis_tready,
  input  wire                                 bits_write_i,
  input  wire  [           BitsAddrWidth-1:0] bits_addr_i,
  input  wire  [              SliceWidth-1:0] bits_slice_i,
  input  wire  [                Channels-1:0] bits_data_i,
  input  wire                                 real_write_i,
  input  wire  [           RealAddrWidth-1:0] real_addr_i,
  input  wire  [               PartWidth-1:0] real_part_i,
  input  wire  [                 Lanes*8-1:0] real_data_i,
  output logic [       Channels*AccWidth-1:0] m_axis_tdata,
  output logic                                m_axis_tvalid,
  input  wire                                 m_axis_tready
);

  if (Simd % Channels != 0) begin : gen_check_simd
    $error("br_engine_mac: Simd=%0d must be a multiple of Channels=%0d", Simd, Channels);
  end
  if (Real % Lanes != 0) begin : gen_check_real
    $error("br_engine_mac: Real=%0d must be a multiple of %0d, or 0", Real, Lanes);
  end
  if (Channels * Simd % Beat != 0 || Channels * Real * 8 % Beat != 0) begin : gen_check_word
    $error("br_engine_mac: Channels=%0d times Simd=%0d or Real=%0d is no whole beat", Channels, Simd, Real);
  end

  br_engine_pkg::pass_t pass;
  assign pass = pass_i;

  localparam int unsigned BitsWord = Channels * Simd;
  localparam int unsigned RealWord = Channels * Real * 8;
  localparam int unsigned WordWidth = br_pkg::max2(BitsWord, RealWord);
  localparam int unsigned BitsBeats = BitsWord / Beat;
  localparam int unsigned RealBeats = RealWord / Beat;
  localparam int unsigned FillWidth = br_pkg::cnt_width(WordWidth / Beat);
  localparam int unsigned PixelWidth = br_pkg::idx_width(Pixels);

  logic advance;
  assign advance = !m_axis_tvalid || m_axis_tready;

  // ---- Weights: beats are shifted into fill_q from the top, so that a shorter word stands in its high bits ------------
  logic [WordWidth-1:0] fill_q, word_q;
  logic [FillWidth-1:0] filled_q;
  logic full_q, load, take;

  assign take = s_axis_tvalid && s_axis_tready;
  assign s_axis_tready = !full_q;

  always_ff @(posedge clk_i) begin
    if (take) begin
      if (WordWidth == Beat) fill_q <= WordWidth'(s_axis_tdata);
      else fill_q <= WordWidth'({s_axis_tdata, fill_q} >> Beat);
      filled_q <= filled_q + FillWidth'(1);
      if (filled_q + FillWidth'(1) == (pass.binary ? FillWidth'(BitsBeats) : FillWidth'(RealBeats))) begin
        full_q   <= 1'b1;
        filled_q <= '0;
      end
    end
    if (load) begin
      full_q <= 1'b0;
      word_q <= fill_q;
    end
    if (!rst_ni) begin
      full_q   <= 1'b0;
      filled_q <= '0;
    end
  end

  // ---- Position: band, group, word (ky, kx, chunk), pixel --------------------------------------------------------------
  logic run_q, loading_q, issue, first_pixel_q;
  logic [11:0] band_q, group_q, chunk_q, column_q;
  logic [15:0] pixel_q;
  logic [3:0] kx_q, ky_q, idle_q;
  logic [19:0] addr_band_q, addr_tap_q, addr_q;
  logic signed [13:0] row_band_q, row_tap_q, row_q, col_tap_q, col_q;
  logic sweep_end, row_end, chunk_end, kx_end, ky_end, group_end, band_end, pad;
  logic first_word, last_word;

  assign first_word = chunk_q == '0 && kx_q == '0 && ky_q == '0;
  assign chunk_end  = chunk_q == pass.chunks - 12'd1;
  assign kx_end     = kx_q == pass.kernel - 4'd1;
  assign ky_end     = ky_q == pass.kernel - 4'd1;
  assign last_word  = chunk_end && kx_end && ky_end;
  assign row_end    = column_q == pass.columns - 12'd1;
  assign sweep_end  = pixel_q == pass.pixels - 16'd1;
  assign group_end  = group_q == pass.groups - 12'd1;
  assign band_end   = band_q == pass.bands - 12'd1;
  // fault: engine-padding-counts
  assign pad        = row_q < 0 || col_q < 0 || row_q >= 14'(pass.height) || col_q >= 14'(pass.width);
  assign issue      = run_q && advance && idle_q == '0 && (!first_pixel_q || (full_q && !loading_q));

  logic [19:0] next_tap;
  logic signed [13:0] next_col_tap, next_row_tap;

  // The next word's first window.
  always_comb begin
    next_tap     = addr_tap_q + 20'd1;
    next_col_tap = col_tap_q;
    next_row_tap = row_tap_q;
    if (chunk_end) begin
      next_col_tap = col_tap_q + 14'sd1;
      if (kx_end) begin
        next_tap     = addr_tap_q + pass.step_line;
        next_col_tap = -14'(pass.pad_left);
        next_row_tap = row_tap_q + 14'sd1;
        if (ky_end) begin
          next_tap     = addr_band_q;
          next_row_tap = row_band_q;
          if (group_end) begin
            next_tap     = addr_band_q + pass.step_band;
            next_row_tap = row_band_q + 14'(pass.band_rows);
          end
        end
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (advance && idle_q != '0) idle_q <= idle_q - 4'd1;
    if (issue) begin
      first_pixel_q <= 1'b0;
      pixel_q       <= pixel_q + 16'd1;
      column_q      <= row_end ? '0 : column_q + 12'd1;
      addr_q        <= addr_q + (row_end ? pass.step_row : pass.step_pixel);
      col_q         <= row_end ? col_tap_q : col_q + 14'(pass.stride);
      if (row_end) row_q <= row_q + 14'(pass.stride);
      if (sweep_end) begin
        first_pixel_q <= 1'b1;
        pixel_q       <= '0;
        column_q      <= '0;
        idle_q        <= pass.idle;
        addr_tap_q    <= next_tap;
        addr_q        <= next_tap;
        col_tap_q     <= next_col_tap;
        col_q         <= next_col_tap;
        row_tap_q     <= next_row_tap;
        row_q         <= next_row_tap;
        chunk_q       <= chunk_end ? '0 : chunk_q + 12'd1;
        if (chunk_end) kx_q <= kx_end ? '0 : kx_q + 4'd1;
        if (chunk_end && kx_end) ky_q <= ky_end ? '0 : ky_q + 4'd1;
        if (last_word) group_q <= group_end ? '0 : group_q + 12'd1;
        if (last_word && group_end) begin
          band_q      <= band_q + 12'd1;
          addr_band_q <= next_tap;
          row_band_q  <= next_row_tap;
          if (band_end) run_q <= 1'b0;
        end
      end
    end
    if (start_i) begin
      run_q         <= 1'b1;
      first_pixel_q <= 1'b1;
      idle_q        <= '0;
      band_q        <= '0;
      group_q       <= '0;
      chunk_q       <= '0;
      kx_q          <= '0;
      ky_q          <= '0;
      pixel_q       <= '0;
      column_q      <= '0;
      addr_band_q   <= pass.read_first;
      addr_tap_q    <= pass.read_first;
      addr_q        <= pass.read_first;
      row_band_q    <= -14'(pass.pad_top);
      row_tap_q     <= -14'(pass.pad_top);
      row_q         <= -14'(pass.pad_top);
      col_tap_q     <= -14'(pass.pad_left);
      col_q         <= -14'(pass.pad_left);
    end
    if (!rst_ni) run_q <= 1'b0;
  end

  // ---- Pipeline, moves as a whole: 1 operand read, 2 operand and weights, 3 counts or products, 4 their sum, 5 sums ----
  logic [5:1] valid_q, pad_q, first_q, last_q;
  logic sweep1_q, short1_q, short2_q, short3_q;
  logic [PixelWidth-1:0] pixel1_q, pixel2_q, pixel3_q, pixel4_q, pixel5_q;

  assign load = advance && valid_q[1] && sweep1_q;

  always_ff @(posedge clk_i) begin
    if (issue && first_pixel_q) loading_q <= 1'b1;
    else if (load) loading_q <= 1'b0;
    if (advance) begin
      valid_q  <= {valid_q[4:1], issue};
      pad_q    <= {pad_q[4:1], pad};
      first_q  <= {first_q[4:1], first_word};
      last_q   <= {last_q[4:1], last_word};
      sweep1_q <= first_pixel_q;
      short1_q <= chunk_end;
      short2_q <= short1_q;
      short3_q <= short2_q;
      pixel1_q <= PixelWidth'(pixel_q);
      pixel2_q <= pixel1_q;
      pixel3_q <= pixel2_q;
      pixel4_q <= pixel3_q;
      pixel5_q <= pixel4_q;
    end
    if (!rst_ni) begin
      valid_q   <= '0;
      loading_q <= 1'b0;
    end
  end

  // ---- Operands ---------------------------------------------------------------------------------------------------------
  logic [Simd-1:0] bits2_q;

  for (genvar s = 0; s < Slices; s++) begin : gen_slice
    logic [Channels-1:0] mem[BitsDepth];
    logic [Channels-1:0] read_q;

    always_ff @(posedge clk_i) begin
      if (bits_write_i && bits_slice_i == SliceWidth'(s)) mem[bits_addr_i] <= bits_data_i;
      if (advance) read_q <= mem[BitsAddrWidth'(addr_q)];
    end

    always_ff @(posedge clk_i) begin
      // Channels that a pixel's last word lacks are 0, as their weights are: they agree, and offset_last takes them away.
      // fault: engine-channels-beyond
      if (advance) bits2_q[s*Channels+:Channels] <= (short1_q && 12'(s) >= pass.slices) ? '0 : read_q;
    end
  end

  logic signed [AccWidth-1:0] part4[Channels];
  logic signed [AccWidth-1:0] real4[Channels];

  if (Real > 0) begin : gen_real
    localparam int unsigned ProductWidth = 16;
    logic signed [7:0] x2_q[Real];
    logic signed [ProductWidth-1:0] product[Channels][Real];
    logic [Real-1:0] borrow[Channels];

    for (genvar i = 0; i < Real / Lanes; i++) begin : gen_part
      logic [Lanes*8-1:0] mem[RealDepth];
      logic [Lanes*8-1:0] read_q;

      always_ff @(posedge clk_i) begin
        if (real_write_i && real_part_i == PartWidth'(i)) mem[real_addr_i] <= real_data_i;
        if (advance) read_q <= mem[RealAddrWidth'(addr_q)];
      end

      for (genvar l = 0; l < Lanes; l++) begin : gen_lane
        always_ff @(posedge clk_i) begin
          if (advance) x2_q[i*Lanes+l] <= read_q[l*8+:8];
        end
      end
    end

    for (genvar j = 0; j < Real; j++) begin : gen_element
      for (genvar p = 0; p < Channels; p += 2) begin : gen_pair
        br_product_pair #(
          .InWidth(8)
        ) u_pair (
          .clk_i,
          .en_i     (advance),
          .weights_i({word_q[WordWidth-RealWord+((p+1)*Real+j)*8+:8], word_q[WordWidth-RealWord+(p*Real+j)*8+:8]}),
          .x_i      (x2_q[j]),
          .y0_o     (product[p][j]),
          .y1_o     (product[p+1][j]),
          .borrow_o (borrow[p+1][j])
        );
        assign borrow[p][j] = 1'b0;
      end
    end

    for (genvar p = 0; p < Channels; p++) begin : gen_sum
      logic signed [AccWidth-1:0] sum;
      always_comb begin
        sum = '0;
        for (int unsigned j = 0; j < Real; j++) sum = sum + AccWidth'(product[p][j]) + AccWidth'({1'b0, borrow[p][j]});
      end
      always_ff @(posedge clk_i) begin
        if (advance) real4[p] <= pad_q[3] ? '0 : sum;
      end
    end
  end else begin : gen_no_real
    for (genvar p = 0; p < Channels; p++) begin : gen_none
      assign real4[p] = '0;
    end
    logic unused;
    assign unused = &{1'b0, real_write_i, real_addr_i, real_part_i, real_data_i};
  end

  // ---- Sums -------------------------------------------------------------------------------------------------------------
  logic [Channels*AccWidth-1:0] sums[Pixels];
  logic [Channels*AccWidth-1:0] read3_q, read4_q, sum5_q;
  logic signed [11:0] offset;

  assign offset = short3_q ? pass.offset_last : pass.offset;

  always_ff @(posedge clk_i) begin
    if (advance) begin
      read3_q <= sums[pixel2_q];
      read4_q <= read3_q;
      if (valid_q[5] && !last_q[5]) sums[pixel5_q] <= sum5_q;
    end
  end

  for (genvar p = 0; p < Channels; p++) begin : gen_channel
    logic [br_pkg::cnt_width(Simd-1)-1:0] count;
    logic carry;

    br_popcount #(
      .Width(Simd)
    ) u_popcount (
      .clk_i,
      .en_i   (advance),
      .half_i (1'b0),
      .a_i    (word_q[WordWidth-BitsWord+p*Simd+:Simd]),
      .b_i    (bits2_q),
      .count_o(count),
      .carry_o(carry)
    );

    always_ff @(posedge clk_i) begin
      if (advance) begin
        part4[p] <= pad_q[3] ? '0 :
            (AccWidth'({1'b0, count}) <<< 1) + (AccWidth'({1'b0, carry}) <<< 1) + AccWidth'(offset);
        // fault: engine-sum-not-cleared
        sum5_q[p*AccWidth+:AccWidth] <=
            (first_q[4] ? '0 : read4_q[p*AccWidth+:AccWidth]) + (pass.binary ? part4[p] : real4[p]);
      end
    end
  end

  assign m_axis_tvalid = valid_q[5] && last_q[5];
  assign m_axis_tdata  = sum5_q;

  logic unused;
  assign unused = &{1'b0, pass, pad_q[5:4], first_q[5]};

endmodule

`default_nettype wire
