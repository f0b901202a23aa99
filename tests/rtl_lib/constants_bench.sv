// constants_bench: br_constants of several shapes beside each other (test only).
// Stream in      beat = one bit, without meaning: asks for the next word of every memory
// Stream out     beat = these words, 40 bits each, that of shape 0 in the low bits
// Shapes         Width x Depth: 5 x 1, 7 x 33, 4 x 4608 (9 words in a line), 18 x 2500 (3), 40 x 1100 (3), 16 x 9216 (9),
//                32 x 576 and 16 x 4608 (a ninth word in the lines of eight, the second with 2 in a line)

`default_nettype none

module constants_bench #(
  parameter File0 = "",
  parameter File1 = "",
  parameter File2 = "",
  parameter File3 = "",
  parameter File4 = "",
  parameter File5 = "",
  parameter File6 = "",
  parameter File7 = ""
) (
  input  wire          clk_i,
  input  wire          rst_ni,
  input  wire          s_axis_tdata,
  input  wire          s_axis_tvalid,
  output logic         s_axis_tready,
  input  wire          s_axis_tlast,
  output logic [319:0] m_axis_tdata,
  output logic         m_axis_tvalid,
  input  wire          m_axis_tready,
  output logic         m_axis_tlast
);

  logic [7:0] ready;
  logic advance, take;

  assign advance       = !m_axis_tvalid || m_axis_tready;
  assign s_axis_tready = advance && ready == '1;
  assign take          = s_axis_tvalid && s_axis_tready;

  always_ff @(posedge clk_i) begin
    if (advance) begin
      m_axis_tvalid <= take;
      m_axis_tlast  <= s_axis_tlast;
    end
    if (!rst_ni) m_axis_tvalid <= 1'b0;
  end

  logic [ 4:0] data0;
  logic [ 6:0] data1;
  logic [ 3:0] data2;
  logic [17:0] data3;
  logic [39:0] data4;
  logic [15:0] data5;
  logic [31:0] data6;
  logic [15:0] data7;

  br_constants #(.Width(5), .Depth(1), .File(File0)) u_0 (.clk_i, .rst_ni, .next_i(take), .ready_o(ready[0]), .data_o(data0));
  br_constants #(.Width(7), .Depth(33), .File(File1)) u_1 (.clk_i, .rst_ni, .next_i(take), .ready_o(ready[1]), .data_o(data1));
  br_constants #(.Width(4), .Depth(4608), .File(File2)) u_2 (.clk_i, .rst_ni, .next_i(take), .ready_o(ready[2]), .data_o(data2));
  br_constants #(.Width(18), .Depth(2500), .File(File3)) u_3 (.clk_i, .rst_ni, .next_i(take), .ready_o(ready[3]), .data_o(data3));
  br_constants #(.Width(40), .Depth(1100), .File(File4)) u_4 (.clk_i, .rst_ni, .next_i(take), .ready_o(ready[4]), .data_o(data4));
  br_constants #(.Width(16), .Depth(9216), .File(File5)) u_5 (.clk_i, .rst_ni, .next_i(take), .ready_o(ready[5]), .data_o(data5));
  br_constants #(.Width(32), .Depth(576), .File(File6)) u_6 (.clk_i, .rst_ni, .next_i(take), .ready_o(ready[6]), .data_o(data6));
  br_constants #(.Width(16), .Depth(4608), .File(File7)) u_7 (.clk_i, .rst_ni, .next_i(take), .ready_o(ready[7]), .data_o(data7));

  assign m_axis_tdata = {40'(data7), 40'(data6), 40'(data5), data4, 40'(data3), 40'(data2), 40'(data1), 40'(data0)};

  wire unused = &{1'b0, s_axis_tdata};

endmodule

`default_nettype wire
