// br_rescale: a linear function of each channel, or one of two linear pieces, shifted to another grid and clipped.
// Function       y = clip((G_c*x + H_c) >>> Shift) to Low..High; KneeWidth > 0: below the knee, for x < K_c, with G'_c
//                and H'_c instead of G_c and H_c
// Stream in      beat = Lanes signed numbers x of InWidth bits, lowest channel in the low bits
// Stream out     beat = Lanes signed numbers of OutWidth bits; tlast passes through
// Parameters     Lanes divides Channels, Low and High lie in the range of OutWidth bits (checked at elaboration); G_c, H_c
//                signed, GWidth and HWidth bits, K_c signed, KneeWidth bits; AffineFile: Channels/Lanes words, lane l at
//                [l*(GWidth+HWidth) +: ..], G_c in the low bits, H_c above; BelowFile likewise with G'_c, H'_c; KneeFile:
//                lane l's K_c at [l*KneeWidth +: KneeWidth]
// Latency        4: x and constants, product, sum, shifted and clipped; 5 with a knee, whose piece is chosen in front of
//                the multiplier
// Throughput     cycles per frame = input beats
// Back-pressure  combinational path m_axis_tready -> s_axis_tready; holds as many beats as its latency when stalled
// Source         golden in bireal_hw/ops/rescale.py

`default_nettype none

module br_rescale #(
  parameter int unsigned Channels   = 1,       // channels of a pixel
  parameter int unsigned Lanes      = 1,       // channels in a beat; divides Channels
  parameter int unsigned InWidth    = 16,      // bits of x, signed
  parameter int unsigned GWidth     = 16,      // bits of G_c and G'_c, signed
  parameter int unsigned HWidth     = 24,      // bits of H_c and H'_c, signed
  parameter int unsigned KneeWidth  = 0,       // bits of K_c, signed; 0 for one piece
  parameter int unsigned Shift      = 8,       // bits by which the sum is shifted right
  parameter int unsigned OutWidth   = 16,      // bits of y, signed
  parameter int          Low        = -32768,  // least y
  parameter int          High       = 32767,   // largest y, not below Low
  parameter              AffineFile = "",      // memory file of G_c and H_c
  parameter              BelowFile  = "",      // memory file of G'_c and H'_c; not read without a knee
  parameter              KneeFile   = ""       // memory file of K_c; not read without a knee
) (
  input  wire                       clk_i,
  input  wire                       rst_ni,
  input  wire  [ Lanes*InWidth-1:0] s_axis_tdata,
  input  wire                       s_axis_tvalid,
  output logic                      s_axis_tready,
  input  wire                       s_axis_tlast,
  output logic [Lanes*OutWidth-1:0] m_axis_tdata,
  output logic                      m_axis_tvalid,
  input  wire                       m_axis_tready,
  output logic                      m_axis_tlast
);

  localparam int unsigned Depth = 4 + (KneeWidth > 0 ? 1 : 0);
  localparam int unsigned Groups = Channels / Lanes;
  localparam int unsigned FieldWidth = GWidth + HWidth;
  localparam int unsigned ProductWidth = InWidth + GWidth;
  localparam int unsigned SumWidth = br_pkg::max2(br_pkg::max2(ProductWidth, HWidth), OutWidth) + 1;
  localparam int Largest = int'((1 << (OutWidth - 1)) - 1);  // of OutWidth bits

  if (Lanes < 1 || Channels % Lanes != 0) begin : gen_check_lanes
    $error("br_rescale: Channels=%0d must be a multiple of Lanes=%0d", Channels, Lanes);
  end
  if (Low > High || Low < -Largest - 1 || High > Largest) begin : gen_check_limits
    $error("br_rescale: Low=%0d and High=%0d must be in this order and have OutWidth=%0d bits", Low, High, OutWidth);
  end

  // All stages advance together, whenever the last one is empty or handed over.
  logic advance, take, ready;
  logic [Depth-1:0] valid_q, last_q;

  assign advance = !valid_q[Depth-1] || m_axis_tready;
  assign s_axis_tready = advance && ready;
  assign take = s_axis_tvalid && s_axis_tready;
  assign m_axis_tvalid = valid_q[Depth-1];
  assign m_axis_tlast = last_q[Depth-1];

  always_ff @(posedge clk_i) begin
    if (advance) begin
      valid_q <= {valid_q[Depth-2:0], take};
      last_q  <= {last_q[Depth-2:0], s_axis_tlast};
    end
    if (!rst_ni) valid_q <= '0;
  end

  // ---- x and the constants of the piece in which it lies ------------------------------------------------------------
  logic affine_ready;
  logic [Lanes*InWidth-1:0] x_q, factor_q;
  logic [Lanes*FieldWidth-1:0] affine_q, chosen_q;

  br_constants #(
    .Width(Lanes * FieldWidth),
    .Depth(Groups),
    .File (AffineFile)
  ) u_affine (
    .clk_i,
    .rst_ni,
    .next_i (take),
    .ready_o(affine_ready),
    .data_o (affine_q)
  );

  always_ff @(posedge clk_i) begin
    if (advance) x_q <= s_axis_tdata;
  end

  if (KneeWidth == 0) begin : gen_one_piece
    assign ready    = affine_ready;
    assign factor_q = x_q;
    assign chosen_q = affine_q;
  end else begin : gen_two_pieces
    localparam int unsigned CompareWidth = br_pkg::max2(InWidth, KneeWidth);

    logic below_ready, knees_ready;
    logic [Lanes*FieldWidth-1:0] below_q;
    logic [Lanes*KneeWidth-1:0] knees_q;

    assign ready = affine_ready && below_ready && knees_ready;

    br_constants #(
      .Width(Lanes * FieldWidth),
      .Depth(Groups),
      .File (BelowFile)
    ) u_below (
      .clk_i,
      .rst_ni,
      .next_i (take),
      .ready_o(below_ready),
      .data_o (below_q)
    );

    br_constants #(
      .Width(Lanes * KneeWidth),
      .Depth(Groups),
      .File (KneeFile)
    ) u_knees (
      .clk_i,
      .rst_ni,
      .next_i (take),
      .ready_o(knees_ready),
      .data_o (knees_q)
    );

    for (genvar l = 0; l < Lanes; l++) begin : gen_lane
      logic signed [CompareWidth-1:0] x, knee;

      assign x    = CompareWidth'(signed'(x_q[l*InWidth+:InWidth]));
      assign knee = CompareWidth'(signed'(knees_q[l*KneeWidth+:KneeWidth]));

      always_ff @(posedge clk_i) begin
        if (advance) begin
          // fault: knee-itself
          chosen_q[l*FieldWidth+:FieldWidth] <= x >= knee ? affine_q[l*FieldWidth+:FieldWidth]
                                                          : below_q[l*FieldWidth+:FieldWidth];
        end
      end
    end

    always_ff @(posedge clk_i) begin
      if (advance) factor_q <= x_q;
    end
  end

  // ---- Product, sum, shift, limits ----------------------------------------------------------------------------------
  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic signed [InWidth-1:0] x;
    logic signed [GWidth-1:0] gain;
    logic signed [HWidth-1:0] bias, bias_q;
    logic signed [ProductWidth-1:0] product_q;
    logic signed [SumWidth-1:0] sum_q, shifted;
    logic signed [OutWidth-1:0] saturated, out;

    assign x       = factor_q[l*InWidth+:InWidth];
    assign gain    = chosen_q[l*FieldWidth+:GWidth];
    assign bias    = chosen_q[l*FieldWidth+GWidth+:HWidth];
    assign shifted = sum_q >>> Shift;

    br_saturate #(
      .InWidth (SumWidth),
      .OutWidth(OutWidth)
    ) u_saturate (
      .in_i (shifted),
      .out_o(saturated)
    );

    always_comb begin
      out = saturated;
      // fault: limit-above-only
      if (Low > -Largest - 1 && saturated < OutWidth'(Low)) out = OutWidth'(Low);
      if (High < Largest && saturated > OutWidth'(High)) out = OutWidth'(High);
    end

    always_ff @(posedge clk_i) begin
      if (advance) begin
        product_q <= x * gain;
        bias_q    <= bias;
        // fault: bias-late
        sum_q     <= SumWidth'(product_q) + SumWidth'(bias_q);
        m_axis_tdata[l*OutWidth+:OutWidth] <= out;
      end
    end
  end

endmodule

`default_nettype wire
