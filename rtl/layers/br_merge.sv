// br_merge: affine of the convolution's sums and addition of the real-valued shortcut; a PReLU on request.
// Function       r' = sat(f(r + ((G_c*dot + H_c) >>> Shift))), saturation to OutWidth bits; KWidth = 0: f(u) = u, else
//                f(u) = u for u >= 0, (u + half) >>> k_c for u < 0, half = 2^(k_c-1), 0 for k_c = 0
// Stream in      s_axis: beat = Lanes signed sums dot of DotWidth bits; s_axis_shortcut: beat = Lanes signed numbers r
//                of ShortcutWidth bits; lowest channel in the low bits; beats are taken in pairs
// Stream out     beat = Lanes signed numbers of OutWidth bits; tlast is that of s_axis
// Parameters     Lanes divides Channels (checked at elaboration); G_c, H_c signed, GWidth and HWidth bits;
//                k_c unsigned, KWidth bits; AffineFile: Channels/Lanes words, lane l at [l*Field +: Field] with
//                Field = GWidth+HWidth+KWidth, G_c in the low bits, then H_c, k_c
// Latency        4: operands and constants, product, affine, sum; 5 with a PReLU
// Throughput     cycles per frame = input beats
// Back-pressure  combinational path m_axis_tready -> s_axis_tready and s_axis_shortcut_tready, and from the valid of
//                either input to the ready of the other; holds as many beats as its latency when stalled
// Source         paper, section 3.2; golden in bireal_hw/ops/merge.py

`default_nettype none

module br_merge #(
  parameter int unsigned Channels      = 1,   // channels of a pixel
  parameter int unsigned Lanes         = 1,   // channels in a beat
  parameter int unsigned DotWidth      = 8,   // bits of dot, signed
  parameter int unsigned ShortcutWidth = 16,  // bits of r, signed
  parameter int unsigned GWidth        = 16,  // bits of G_c, signed
  parameter int unsigned HWidth        = 24,  // bits of H_c, signed
  parameter int unsigned KWidth        = 0,   // bits of k_c, unsigned; 0 for no PReLU
  parameter int unsigned Shift         = 8,   // bits by which the affine is shifted right
  parameter int unsigned OutWidth      = 16,  // bits of r', signed
  parameter              AffineFile    = ""   // memory file of G_c, H_c and k_c
) (
  input  wire                            clk_i,
  input  wire                            rst_ni,
  input  wire  [     Lanes*DotWidth-1:0] s_axis_tdata,
  input  wire                            s_axis_tvalid,
  output logic                           s_axis_tready,
  input  wire                            s_axis_tlast,
  input  wire  [Lanes*ShortcutWidth-1:0] s_axis_shortcut_tdata,
  input  wire                            s_axis_shortcut_tvalid,
  output logic                           s_axis_shortcut_tready,
  input  wire                            s_axis_shortcut_tlast,
  output logic [     Lanes*OutWidth-1:0] m_axis_tdata,
  output logic                           m_axis_tvalid,
  input  wire                            m_axis_tready,
  output logic                           m_axis_tlast
);

  localparam int unsigned Stages = 4;  // up to the sum
  localparam int unsigned Depth = Stages + (KWidth > 0 ? 1 : 0);
  localparam int unsigned Groups = Channels / Lanes;
  localparam int unsigned FieldWidth = GWidth + HWidth + KWidth;
  localparam int unsigned ProductWidth = DotWidth + GWidth;
  localparam int unsigned AffineWidth = br_pkg::max2(ProductWidth, HWidth) + 1;
  localparam int unsigned SumWidth = br_pkg::max2(br_pkg::max2(AffineWidth, ShortcutWidth), OutWidth) + 1;

  if (Lanes < 1 || Channels % Lanes != 0) begin : gen_check
    $error("br_merge: Channels=%0d must be a multiple of Lanes=%0d", Channels, Lanes);
  end

  // All stages advance together, whenever the last one is empty or handed over.
  logic advance, take, ready;
  logic [Depth-1:0] valid_q, last_q;
  logic [Lanes*FieldWidth-1:0] affine_q;

  assign advance = !valid_q[Depth-1] || m_axis_tready;
  assign take = advance && ready && s_axis_tvalid && s_axis_shortcut_tvalid;
  assign s_axis_tready = advance && ready && s_axis_shortcut_tvalid;
  assign s_axis_shortcut_tready = advance && ready && s_axis_tvalid;
  assign m_axis_tvalid = valid_q[Depth-1];
  assign m_axis_tlast = last_q[Depth-1];

  br_constants #(
    .Width(Lanes * FieldWidth),
    .Depth(Groups),
    .File (AffineFile)
  ) u_affine (
    .clk_i,
    .rst_ni,
    .next_i (take),
    .ready_o(ready),
    .data_o (affine_q)
  );

  always_ff @(posedge clk_i) begin
    if (advance) begin
      valid_q <= {valid_q[Depth-2:0], take};
      last_q  <= {last_q[Depth-2:0], s_axis_tlast};
    end
    if (!rst_ni) valid_q <= '0;
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic signed [DotWidth-1:0] dot_q;
    logic signed [GWidth-1:0] gain;
    logic signed [HWidth-1:0] bias, bias_q;
    logic signed [ProductWidth-1:0] product_q;
    logic signed [AffineWidth-1:0] affine_sum_q;
    logic signed [ShortcutWidth-1:0] shortcut_q[Stages-1];
    logic signed [SumWidth-1:0] sum;
    logic signed [OutWidth-1:0] out;

    assign gain = affine_q[l*FieldWidth+:GWidth];
    assign bias = affine_q[l*FieldWidth+GWidth+:HWidth];
    // fault: logical-shift, shortcut-early
    assign sum  = SumWidth'(shortcut_q[Stages-2]) + SumWidth'(affine_sum_q >>> Shift);

    if (KWidth == 0) begin : gen_sum
      br_saturate #(
        .InWidth (SumWidth),
        .OutWidth(OutWidth)
      ) u_saturate (
        .in_i (sum),
        .out_o(out)
      );
    end else begin : gen_prelu
      localparam int unsigned ActWidth = br_pkg::max2(SumWidth, 1 << KWidth) + 1;  // sum and any half
      logic [KWidth-1:0] slope_q[Stages-1];  // k_c beside the sum
      logic signed [ActWidth-1:0] sum_q, half, activated;

      assign half = (ActWidth'(1) <<< slope_q[Stages-2]) >>> 1;
      // fault: half-of-prelu, both-sides-prelu
      assign activated = sum_q < 0 ? (sum_q + half) >>> slope_q[Stages-2] : sum_q;

      always_ff @(posedge clk_i) begin
        if (advance) begin
          sum_q      <= ActWidth'(sum);
          slope_q[0] <= affine_q[l*FieldWidth+GWidth+HWidth+:KWidth];
          // fault: slope-early
          for (int i = 1; i < Stages - 1; i++) slope_q[i] <= slope_q[i-1];
        end
      end

      br_saturate #(
        .InWidth (ActWidth),
        .OutWidth(OutWidth)
      ) u_saturate (
        .in_i (activated),
        .out_o(out)
      );
    end

    always_ff @(posedge clk_i) begin
      if (advance) begin
        dot_q         <= s_axis_tdata[l*DotWidth+:DotWidth];
        shortcut_q[0] <= s_axis_shortcut_tdata[l*ShortcutWidth+:ShortcutWidth];

        product_q     <= dot_q * gain;
        bias_q        <= bias;
        shortcut_q[1] <= shortcut_q[0];

        affine_sum_q  <= AffineWidth'(product_q) + AffineWidth'(bias_q);
        shortcut_q[2] <= shortcut_q[1];

        m_axis_tdata[l*OutWidth+:OutWidth] <= out;
      end
    end
  end

  logic unused;
  assign unused = &{1'b0, s_axis_shortcut_tlast};

endmodule

`default_nettype wire
