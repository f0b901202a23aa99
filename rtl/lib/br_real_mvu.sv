// br_real_mvu: integer matrix unit, Pe dot products of InWidth-bit elements and 8-bit weights at a time.
// Function       per output lane p, over the beats of one pass (up to tend): y[p] = sum of w[p][j]*x[j], all signed
// Stream in      beat = Simd elements of InWidth bits; tend = last beat of a pass, tlast = last beat of the frame
//                (stands with tend)
// Weights        word = Pe*Simd*8 bits, lane p at [p*Simd*8 +: Simd*8]; Pack = 2: where lanes 2i and 2i+1 exist, w1 of
//                the upper and w0 of the lower hold both halves of the number w1*2^8 + w0; one word a beat: that of
//                br_constants after weights_next_o, which is high only while weights_ready_i is
// Stream out     beat = Pe signed sums of AccWidth bits, lane 0 in the low bits
// Parameters     Pack = 2: lanes 2i and 2i+1 share a multiplier (br_product_pair: weights -127..127), 1: none does;
//                AccWidth holds every sum (from the weights' range; not checked here)
// Latency        4 cycles from the last beat of a pass to its sums
// Throughput     one beat a cycle
// Back-pressure  combinational path m_axis_tready -> s_axis_tready, weights_next_o; holds 4 beats
// Source         golden in bireal_hw/ops/real_conv.py
`default_nettype none

module br_real_mvu #(
  parameter  int unsigned Pe          = 2,   // sums at a time
  parameter  int unsigned Simd        = 3,   // elements of a beat
  parameter  int unsigned InWidth     = 8,   // bits of an element, signed; 2 or more
  parameter  int unsigned AccWidth    = 24,  // bits of a sum, signed; holds every one
  parameter  int unsigned Pack        = 1,   // lanes that share a multiplier: 1, or 2 with weights of -127..127
  localparam int unsigned WeightWidth = 8
) (
  input  wire                            clk_i,
  input  wire                            rst_ni,
  output logic                           weights_next_o,
  input  wire                            weights_ready_i,
  input  wire  [Pe*Simd*WeightWidth-1:0] weights_data_i,
  input  wire  [       Simd*InWidth-1:0] s_axis_tdata,
  input  wire                            s_axis_tend,
  input  wire                            s_axis_tvalid,
  output logic                           s_axis_tready,
  input  wire                            s_axis_tlast,
  output logic [        Pe*AccWidth-1:0] m_axis_tdata,
  output logic                           m_axis_tvalid,
  input  wire                            m_axis_tready,
  output logic                           m_axis_tlast
);

  if (Pe < 1 || Simd < 1) begin : gen_check_lanes
    $error("br_real_mvu: Pe=%0d and Simd=%0d must be at least 1", Pe, Simd);
  end
  if (InWidth < 2) begin : gen_check_in_width
    $error("br_real_mvu: InWidth=%0d must be at least 2", InWidth);
  end

  if (Pack != 1 && Pack != 2) begin : gen_check_pack
    $error("br_real_mvu: Pack=%0d must be 1 or 2", Pack);
  end

  localparam int unsigned ProductWidth = InWidth + WeightWidth;
  localparam int unsigned Paired = (Pack == 2) ? Pe - Pe % 2 : 0;  // lanes that share a multiplier with a neighbour
  localparam int unsigned PartWidth = br_pkg::min2(AccWidth, ProductWidth + $unsigned($clog2(Simd)));

  // The pipeline moves as a whole: 1 weights and x, 2 products, 3 their sum, 4 sums over the pass (the accumulator is
  // the output register).
  localparam int unsigned Stages = 3;

  logic advance, out_valid_q, out_last_q, first_q;
  logic [Stages:1] valid_q, end_q, last_q;
  logic [Simd*InWidth-1:0] x_q;

  assign advance        = !out_valid_q || m_axis_tready;
  assign s_axis_tready  = advance && weights_ready_i;
  assign weights_next_o = s_axis_tvalid && s_axis_tready;
  assign m_axis_tvalid  = out_valid_q;
  assign m_axis_tlast   = out_last_q;

  always_ff @(posedge clk_i) begin
    if (advance) begin
      x_q         <= s_axis_tdata;
      valid_q     <= {valid_q[Stages-1:1], weights_next_o};
      end_q       <= {end_q[Stages-1:1], s_axis_tend};
      last_q      <= {last_q[Stages-1:1], s_axis_tlast};
      out_valid_q <= valid_q[Stages] && end_q[Stages];
      out_last_q  <= last_q[Stages];
      if (valid_q[Stages]) first_q <= end_q[Stages];
    end
    if (!rst_ni) begin
      valid_q     <= '0;
      out_valid_q <= 1'b0;
      first_q     <= 1'b1;
    end
  end

  // ---- Products: of two lanes in one multiplier, or each in its own -------------------------------------------------
  // An array keeps synthesis from adding the products up in the multipliers, one after another in the same cycle.
  logic signed [ProductWidth-1:0] product[Pe][Simd];
  logic [Simd-1:0] borrow[Pe];  // to be added to the products
  logic signed [WeightWidth-1:0] w[Pe][Simd];

  for (genvar p = 0; p < Pe; p++) begin : gen_weight
    for (genvar j = 0; j < Simd; j++) begin : gen_element
      assign w[p][j] = weights_data_i[(p*Simd+j)*WeightWidth+:WeightWidth];
    end
  end

  for (genvar j = 0; j < Simd; j++) begin : gen_element
    logic signed [InWidth-1:0] x;
    assign x = x_q[j*InWidth+:InWidth];

    for (genvar p = 0; p < Paired; p += 2) begin : gen_pair
      br_product_pair #(
        .InWidth(InWidth)
      ) u_pair (
        .clk_i,
        .en_i     (advance),
        .weights_i({w[p+1][j], w[p][j]}),
        .x_i      (x),
        .y0_o     (product[p][j]),
        .y1_o     (product[p+1][j]),
        .borrow_o (borrow[p+1][j])
      );
      assign borrow[p][j] = 1'b0;
    end

    for (genvar p = Paired; p < Pe; p++) begin : gen_single
      always_ff @(posedge clk_i) begin
        if (advance) product[p][j] <= x * w[p][j];
      end
      assign borrow[p][j] = 1'b0;
    end
  end

  // ---- Sums ---------------------------------------------------------------------------------------------------------
  for (genvar p = 0; p < Pe; p++) begin : gen_pe
    logic signed [PartWidth-1:0] part, part_q;  // sum over one beat, but for the borrow of its first element
    logic borrow_q, unused_low;
    logic signed [AccWidth-1:0] sum, sum_q;

    always_comb begin
      part = PartWidth'(product[p][0]);
      for (int unsigned j = 1; j < Simd; j++) part = part + PartWidth'(product[p][j]) + PartWidth'(borrow[p][j]);
    end

    // The borrow is the carry into the adder: a place below both numbers. The sum is a difference, part - ~sum - 1, as that
    // leaves synthesis no choice of the operand that stands in the LUTs together with first_q.
    assign {sum, unused_low} = {AccWidth'(part_q), borrow_q} - {first_q ? ~AccWidth'(0) : ~sum_q, 1'b1};

    always_ff @(posedge clk_i) begin
      if (advance) begin
        part_q   <= part;
        borrow_q <= borrow[p][0];
        if (valid_q[Stages]) sum_q <= sum;
      end
    end

    assign m_axis_tdata[p*AccWidth+:AccWidth] = sum_q;
  end

endmodule

`default_nettype wire
