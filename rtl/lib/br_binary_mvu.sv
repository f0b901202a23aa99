// br_binary_mvu: XNOR-popcount matrix unit, Pe dot products of +-1 vectors at a time.
// Function       per output lane p, over the beats of one pass (up to tend): y[p] = sum of (tpad ? 0 : sum_j
//                w[p][j]*x[j]), w, x in {-1, +1} stored as {0, 1}: sum_j w*x = 2*popcount(xnor(w, x)) - Simd
// Stream in      beat = Simd bits of one tap; tpad = the tap lies outside the image, tend = last beat of a pass, tlast
//                = last beat of the frame (stands with tend)
// Weights        word = Pe*Simd bits, lane p at [p*Simd +: Simd], one a beat: that of br_constants after
//                weights_next_o, which is high only while weights_ready_i is
// Stream out     beat = Pe signed sums of AccWidth bits, lane 0 in the low bits
// Parameters     Beats in a pass; AccWidth holds every sum (checked by br_binary_conv)
// Latency        3 cycles from the last beat of a pass to its sums
// Throughput     one beat a cycle
// Back-pressure  combinational path m_axis_tready -> s_axis_tready, weights_next_o; holds 3 beats
// Source         arXiv:1808.00278, section 3; golden in bireal_hw/ops/binary_conv.py
`default_nettype none

module br_binary_mvu #(
  parameter int unsigned Pe       = 2,  // sums at a time
  parameter int unsigned Simd     = 8,  // bits of a beat
  parameter int unsigned AccWidth = 8,  // bits of a sum, signed; holds every one
  parameter int unsigned Beats    = 2   // beats of a pass
) (
  input  wire                    clk_i,
  input  wire                    rst_ni,
  output logic                   weights_next_o,
  input  wire                    weights_ready_i,
  input  wire  [    Pe*Simd-1:0] weights_data_i,
  input  wire  [       Simd-1:0] s_axis_tdata,
  input  wire                    s_axis_tpad,
  input  wire                    s_axis_tend,
  input  wire                    s_axis_tvalid,
  output logic                   s_axis_tready,
  input  wire                    s_axis_tlast,
  output logic [Pe*AccWidth-1:0] m_axis_tdata,
  output logic                   m_axis_tvalid,
  input  wire                    m_axis_tready,
  output logic                   m_axis_tlast
);

  localparam int unsigned CountWidth = br_pkg::cnt_width(Simd);

  if (Pe < 1 || Simd < 1) begin : gen_check_lanes
    $error("br_binary_mvu: Pe=%0d and Simd=%0d must be at least 1", Pe, Simd);
  end
  if (AccWidth < CountWidth + 1) begin : gen_check_acc_width
    $error("br_binary_mvu: AccWidth=%0d must be at least %0d to hold +-Simd=%0d", AccWidth, CountWidth + 1, Simd);
  end

  // Accumulated is how many positions agree, twice, from -Beats*Simd on. In a padded beat half of them do: it adds
  // nothing. For an even Simd all sums are even: half of them is accumulated and the low bit is a constant 0.
  localparam int unsigned Halved = (Simd % 2 == 0) ? 1 : 0;
  localparam int unsigned SumWidth = AccWidth - Halved;
  localparam logic [SumWidth-1:0] Start = SumWidth'(-int'(Beats * Simd) >>> Halved);

  // The pipeline moves as a whole: 1 weights and x, 2 popcounts, 3 sums (the accumulator is the output register).
  logic advance, valid1_q, valid2_q, valid3_q;
  logic end1_q, end2_q, last1_q, last2_q, last3_q, pad1_q, pad2_q, first_q;
  logic [Simd-1:0] x_q;

  assign advance        = !valid3_q || m_axis_tready;
  assign s_axis_tready  = advance && weights_ready_i;
  assign weights_next_o = s_axis_tvalid && s_axis_tready;
  assign m_axis_tvalid  = valid3_q;
  assign m_axis_tlast   = last3_q;

  always_ff @(posedge clk_i) begin
    if (advance) begin
      valid1_q <= weights_next_o;
      x_q      <= s_axis_tdata;
      pad1_q   <= s_axis_tpad;
      end1_q   <= s_axis_tend;
      last1_q  <= s_axis_tlast;
      valid2_q <= valid1_q;
      pad2_q   <= pad1_q;
      end2_q   <= end1_q;
      last2_q  <= last1_q;
      valid3_q <= valid2_q && end2_q;
      last3_q  <= last2_q;
      if (valid2_q) first_q <= end2_q;
    end
    if (!rst_ni) begin
      valid1_q <= 1'b0;
      valid2_q <= 1'b0;
      valid3_q <= 1'b0;
      first_q  <= 1'b1;
    end
  end

  for (genvar p = 0; p < Pe; p++) begin : gen_pe
    logic [br_pkg::cnt_width(Simd-1)-1:0] count;
    logic carry, unused_low;
    logic [SumWidth-1:0] addend, sum, sum_q;

    br_popcount #(
      .Width(Simd)
    ) u_popcount (
      .clk_i,
      .en_i   (advance),
      // fault: padding-counts
      .half_i (pad1_q),
      .a_i    (weights_data_i[p*Simd+:Simd]),
      .b_i    (x_q),
      .count_o(count),
      .carry_o(carry)
    );

    // Where nothing is halved, the low bit of the addend is the carry as well, which makes two; it is also the half of a
    // padded beat that was rounded away. The sum of addend, accumulator and carry is a difference as in br_count7.
    assign addend = (Halved != 0) ? SumWidth'(count) : SumWidth'({count, carry || pad2_q});
    // fault: sum-not-cleared
    assign {sum, unused_low} = {addend, carry} - {first_q ? ~Start : ~sum_q, 1'b1};

    always_ff @(posedge clk_i) begin
      if (advance && valid2_q) sum_q <= sum;
    end

    assign m_axis_tdata[p*AccWidth+:AccWidth] = AccWidth'(sum_q) << Halved;
  end

endmodule

`default_nettype wire
