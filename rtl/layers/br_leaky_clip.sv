// br_leaky_clip: a stream as it is inside -Limit..Limit, with the slope Gain/2^Shift outside.
// Function       y = c + ((Gain*(x - c) + 2^(Shift-1)) >>> Shift), c = x clipped to -Limit..Limit
// Stream in      beat = Lanes signed numbers of InWidth bits, lowest channel in the low bits
// Stream out     beat = Lanes signed numbers of OutWidth bits; tlast passes through
// Parameters     Lanes >= 1; Gain has GWidth bits as a signed number; Shift >= 1; OutWidth holds every y (from the
//                range; not checked here)
// Latency        3: inside and outside, product, sum
// Throughput     cycles per frame = input beats
// Back-pressure  combinational path m_axis_tready -> s_axis_tready; holds 3 beats when stalled
// Source         Bi-Real Net, IJCV 2020, the authors' release for 50 layers; golden in bireal_hw/ops/leaky_clip.py

`default_nettype none

module br_leaky_clip #(
  parameter int unsigned Lanes    = 1,     // channels in a beat, 1 or more
  parameter int unsigned InWidth  = 16,    // bits of x, signed
  parameter int unsigned Limit    = 1024,  // 1 on the grid of x
  parameter int unsigned Gain     = 205,   // slope outside, times 2^Shift; fits GWidth bits, signed
  parameter int unsigned GWidth   = 9,     // bits of Gain, signed
  parameter int unsigned Shift    = 11,    // bits by which the product is shifted right, 1 or more
  parameter int unsigned OutWidth = 16     // bits of y, signed; holds every one
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

  localparam int unsigned Stages = 3;
  localparam int unsigned LimitWidth = $clog2(Limit + 1) + 1;
  localparam int unsigned ExcessWidth = br_pkg::max2(InWidth, LimitWidth) + 1;  // x, Limit and their difference
  localparam int unsigned ProductWidth = br_pkg::max2(ExcessWidth + GWidth, Shift) + 1;
  localparam logic signed [ExcessWidth-1:0] High = ExcessWidth'(Limit);
  localparam logic signed [ProductWidth-1:0] Half = ProductWidth'(1) << (Shift - 1);

  if (Lanes < 1) begin : gen_check_lanes
    $error("br_leaky_clip: Lanes=%0d must be at least 1", Lanes);
  end
  if (Shift < 1) begin : gen_check_shift
    $error("br_leaky_clip: Shift=%0d must be at least 1", Shift);
  end

  // All stages advance together, whenever the last one is empty or handed over.
  logic advance;
  logic [Stages-1:0] valid_q, last_q;

  assign advance = !valid_q[Stages-1] || m_axis_tready;
  assign s_axis_tready = advance;
  assign m_axis_tvalid = valid_q[Stages-1];
  assign m_axis_tlast = last_q[Stages-1];

  always_ff @(posedge clk_i) begin
    if (advance) begin
      valid_q <= {valid_q[Stages-2:0], s_axis_tvalid};
      last_q  <= {last_q[Stages-2:0], s_axis_tlast};
    end
    if (!rst_ni) valid_q <= '0;
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic signed [ExcessWidth-1:0] x, core, core_q[2], excess_q, leak;
    logic signed [ProductWidth-1:0] product_q;

    assign x = ExcessWidth'(signed'(s_axis_tdata[l*InWidth+:InWidth]));
    // fault: one-side-only
    assign core = x > High ? High : x < -High ? -High : x;
    // fault: half-of-clip
    assign leak = ExcessWidth'((product_q + Half) >>> Shift);

    always_ff @(posedge clk_i) begin
      if (advance) begin
        core_q[0] <= core;
        excess_q  <= x - core;
        core_q[1] <= core_q[0];
        product_q <= excess_q * signed'(ProductWidth'(Gain));
        // fault: clip-saturates
        m_axis_tdata[l*OutWidth+:OutWidth] <= OutWidth'(core_q[1] + leak);
      end
    end
  end

endmodule

`default_nettype wire
