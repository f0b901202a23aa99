// product_pair_bench: br_product_pair with every x of 8 bits beside products by themselves (test only).
// Stream in      beat = {w1, w0, weights}: two signed bytes and the 16 bits that stand for them
// Stream out     beat = how many of the 256 x have a wrong product

`default_nettype none

module product_pair_bench (
  input  wire         clk_i,
  input  wire         rst_ni,
  input  wire  [31:0] s_axis_tdata,
  input  wire         s_axis_tvalid,
  output logic        s_axis_tready,
  input  wire         s_axis_tlast,
  output logic [ 8:0] m_axis_tdata,
  output logic        m_axis_tvalid,
  input  wire         m_axis_tready,
  output logic        m_axis_tlast
);

  logic en;
  logic signed [15:0] w0_q, w1_q;
  logic [255:0] wrong;

  assign en            = !m_axis_tvalid || m_axis_tready;
  assign s_axis_tready = en;
  assign m_axis_tdata  = 9'($countones(wrong));

  always_ff @(posedge clk_i) begin
    if (en) begin
      m_axis_tvalid <= s_axis_tvalid;
      m_axis_tlast  <= s_axis_tlast;
      w0_q          <= 16'($signed(s_axis_tdata[16+:8]));
      w1_q          <= 16'($signed(s_axis_tdata[24+:8]));
    end
    if (!rst_ni) m_axis_tvalid <= 1'b0;
  end

  for (genvar i = 0; i < 256; i++) begin : gen_x
    localparam logic signed [7:0] X = 8'(i);
    logic signed [15:0] y0, y1;
    logic borrow;

    br_product_pair u_pair (
      .clk_i, .en_i(en), .weights_i(s_axis_tdata[15:0]), .x_i(X), .y0_o(y0), .y1_o(y1), .borrow_o(borrow)
    );
    assign wrong[i] = y0 != w0_q * 16'(X) || y1 + 16'(borrow) != w1_q * 16'(X);
  end

endmodule

`default_nettype wire
