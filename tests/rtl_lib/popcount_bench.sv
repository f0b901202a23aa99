// popcount_bench: br_popcount of many widths, counted by a tree and by the tool, beside each other (test only).
// Stream in      beat = {half, b, a}, 256 bits a and b: a width looks at its low bits
// Stream out     beat = count_o + carry_o of the tree of each width, 9 bits, the smallest width in the low bits
// A difference between the two ways stops the simulation; both hold their results while the stream is stalled.
// Widths         1 to 33, 63, 64, 65, 127, 128, 129, 255, 256

`default_nettype none

module popcount_bench #(
  localparam int unsigned Widths = 41
) (
  input  wire                 clk_i,
  input  wire                 rst_ni,
  input  wire         [512:0] s_axis_tdata,
  input  wire                 s_axis_tvalid,
  output logic                s_axis_tready,
  input  wire                 s_axis_tlast,
  output logic [9*Widths-1:0] m_axis_tdata,
  output logic                m_axis_tvalid,
  input  wire                 m_axis_tready,
  output logic                m_axis_tlast
);

  function automatic int unsigned width_of(input int unsigned i);
    case (i)
      33: return 63;
      34: return 64;
      35: return 65;
      36: return 127;
      37: return 128;
      38: return 129;
      39: return 255;
      40: return 256;
      default: return i + 1;
    endcase
  endfunction

  logic [255:0] a, b;
  logic half, en;

  assign {half, b, a}  = s_axis_tdata;
  assign en            = !m_axis_tvalid || m_axis_tready;
  assign s_axis_tready = en;

  always_ff @(posedge clk_i) begin
    if (en) begin
      m_axis_tvalid <= s_axis_tvalid;
      m_axis_tlast  <= s_axis_tlast;
    end
    if (!rst_ni) m_axis_tvalid <= 1'b0;
  end

  for (genvar i = 0; i < Widths; i++) begin : gen_width
    localparam int unsigned Width = width_of(i);
    logic [br_pkg::cnt_width(Width-1)-1:0] count, plain_count;
    logic carry, plain_carry;

    br_popcount #(.Width(Width), .Tree(1'b1)) u_tree (
      .clk_i, .en_i(en), .half_i(half), .a_i(a[Width-1:0]), .b_i(b[Width-1:0]), .count_o(count), .carry_o(carry)
    );
    br_popcount #(.Width(Width), .Tree(1'b0)) u_plain (
      .clk_i, .en_i(en), .half_i(half), .a_i(a[Width-1:0]), .b_i(b[Width-1:0]), .count_o(plain_count),
      .carry_o(plain_carry)
    );
    assign m_axis_tdata[9*i+:9] = 9'(count) + 9'(carry);

    always_ff @(posedge clk_i) begin
      if (m_axis_tvalid && {count, carry} != {plain_count, plain_carry}) begin
        $fatal(1, "Width=%0d: the tree gives %0d and %0d, not %0d and %0d", Width, count, carry, plain_count, plain_carry);
      end
    end
  end

endmodule

`default_nettype wire
