// br_link: serial line between a host and a network.
// Function       an image that arrives on rx_i as a frame goes to the network as one frame of m_axis; the logits that
//                come back leave on tx_o in a frame with the image's tag. What is wrong with a frame is told in a frame
//                of one byte
// Frames         br_frame_rx, br_frame_tx; line br_uart_rx, br_uart_tx. An image: rows from the top, pixels from the
//                left, channels ascending, one byte each. Logits: 32 bits each, two's complement
// Stream in      from the network: beat = InLanes logits of InWidth bits, signed; tlast on the last of an image
// Stream out     to the network: beat = OutLanes channels of 8 bits; tlast on the last of an image
// Parameters     BitCycles >= 4 a bit of the line; TimeoutBits: pause inside a frame that ends it, in bits; ImageBytes
//                of an image, a multiple of OutLanes; Classes: logits of an image, a multiple of InLanes; InWidth <= 32
//                (checked)
// Latency        a frame is checked before its first beat leaves; logits are sent as they come
// Throughput     that of the line: 10 bits a byte, 7 bytes a frame beside the payload
// Back-pressure  logits wait for the line; images wait for the network, two or more of them here and 8 under way in
//                all, and an image that finds no room is refused with an error. Of errors that happen while a frame is
//                being sent the last one is told
// Source         protocol: docs/bitstream.md; host: bireal_hw/synth/host.py
`default_nettype none

module br_link #(
  parameter  int unsigned BitCycles   = 50,                         // clock cycles a bit of the line, 4 or more
  parameter  int unsigned TimeoutBits = 65536,                      // bits of silence that end a frame
  parameter  int unsigned ImageBytes  = 4,                          // bytes of an image; a multiple of OutLanes
  parameter  int unsigned OutLanes    = 1,                          // bytes in a beat to the network
  parameter  int unsigned Classes     = 2,                          // logits of an image; a multiple of InLanes
  parameter  int unsigned InLanes     = 1,                          // logits in a beat from the network
  parameter  int unsigned InWidth     = 16,                         // bits of a logit, signed; 32 at most
  localparam int unsigned ClassWidth  = br_pkg::idx_width(Classes)
) (
  input  wire                        clk_i,
  input  wire                        rst_ni,
  input  wire                        rx_i,
  output logic                       tx_o,
  output logic [     ClassWidth-1:0] class_o,        // of the last image
  input  wire  [InLanes*InWidth-1:0] s_axis_tdata,
  input  wire                        s_axis_tvalid,
  output logic                       s_axis_tready,
  input  wire                        s_axis_tlast,
  output logic [     8*OutLanes-1:0] m_axis_tdata,
  output logic                       m_axis_tvalid,
  input  wire                        m_axis_tready,
  output logic                       m_axis_tlast
);

  if (InWidth > 32) begin : gen_check_width
    $error("br_link: InWidth=%0d must be at most 32", InWidth);
  end
  if (ImageBytes % OutLanes != 0) begin : gen_check_image
    $error("br_link: ImageBytes=%0d must be a multiple of OutLanes=%0d", ImageBytes, OutLanes);
  end
  if (Classes % InLanes != 0) begin : gen_check_classes
    $error("br_link: Classes=%0d must be a multiple of InLanes=%0d", Classes, InLanes);
  end

  localparam int unsigned Tags = 8;  // images under way

  // From the line to the network.
  logic [7:0] byte_data, pixel_tdata, new_tag, error, error_tag;
  logic byte_valid, byte_broken, pixel_tvalid, pixel_tready, pixel_tlast, new_tag_valid, new_tag_ready, error_valid;

  br_uart_rx #(
    .BitCycles(BitCycles)
  ) u_uart_rx (
    .clk_i,
    .rst_ni,
    .rx_i,
    .data_o  (byte_data),
    .valid_o (byte_valid),
    .broken_o(byte_broken)
  );

  br_frame_rx #(
    .FrameBytes   (ImageBytes),
    .TimeoutCycles(TimeoutBits * BitCycles)
  ) u_frame_rx (
    .clk_i,
    .rst_ni,
    .data_i       (byte_data),
    .valid_i      (byte_valid),
    .broken_i     (byte_broken),
    .m_axis_tdata (pixel_tdata),
    .m_axis_tvalid(pixel_tvalid),
    .m_axis_tready(pixel_tready),
    .m_axis_tlast (pixel_tlast),
    .tag_o        (new_tag),
    .tag_valid_o  (new_tag_valid),
    .tag_ready_i  (new_tag_ready),
    .error_o      (error),
    .error_tag_o  (error_tag),
    .error_valid_o(error_valid)
  );

  br_width_converter #(
    .ElemWidth(8),
    .InLanes  (1),
    .OutLanes (OutLanes)
  ) u_pixels (
    .clk_i,
    .rst_ni,
    .s_axis_tdata (pixel_tdata),
    .s_axis_tvalid(pixel_tvalid),
    .s_axis_tready(pixel_tready),
    .s_axis_tlast (pixel_tlast),
    .m_axis_tdata,
    .m_axis_tvalid,
    .m_axis_tready,
    .m_axis_tlast
  );

  // From the network to the line.
  logic signed [InWidth-1:0] logit_tdata;
  logic logit_tvalid, logit_tready, logit_tlast;
  logic [7:0] tag, out_tdata, pending_q, pending_tag_q;
  logic tag_valid, tag_ready, pending_valid_q, error_taken, out_tvalid, out_tready;

  br_width_converter #(
    .ElemWidth(InWidth),
    .InLanes  (InLanes),
    .OutLanes (1)
  ) u_logits (
    .clk_i,
    .rst_ni,
    .s_axis_tdata,
    .s_axis_tvalid,
    .s_axis_tready,
    .s_axis_tlast,
    .m_axis_tdata (logit_tdata),
    .m_axis_tvalid(logit_tvalid),
    .m_axis_tready(logit_tready),
    .m_axis_tlast (logit_tlast)
  );

  br_argmax #(
    .Width(InWidth),
    .Words(Classes)
  ) u_argmax (
    .clk_i,
    .rst_ni,
    .data_i (logit_tdata),
    .valid_i(logit_tvalid && logit_tready),
    .last_i (logit_tlast),
    .index_o(class_o)
  );

  /* verilator lint_off PINCONNECTEMPTY */
  br_fifo #(
    .Width(8),
    .Depth(Tags)
  ) u_tags (
    .clk_i,
    .rst_ni,
    .s_axis_tdata (new_tag),
    .s_axis_tvalid(new_tag_valid),
    .s_axis_tready(new_tag_ready),
    .s_axis_tlast (1'b1),
    .m_axis_tdata (tag),
    .m_axis_tvalid(tag_valid),
    .m_axis_tready(tag_ready),
    .m_axis_tlast (),
    .usage_o      (),
    .max_fill_o   ()
  );
  /* verilator lint_on PINCONNECTEMPTY */

  always_ff @(posedge clk_i) begin
    if (error_valid) begin
      pending_q     <= error;
      pending_tag_q <= error_tag;
    end
    if (error_valid) pending_valid_q <= 1'b1;
    else if (error_taken) pending_valid_q <= 1'b0;
    if (!rst_ni) pending_valid_q <= 1'b0;
  end

  br_frame_tx #(
    .Words(Classes)
  ) u_frame_tx (
    .clk_i,
    .rst_ni,
    .s_axis_tdata (32'(logit_tdata)),
    .s_axis_tvalid(logit_tvalid),
    .s_axis_tready(logit_tready),
    .s_axis_tlast (logit_tlast),
    .tag_i        (tag),
    .tag_valid_i  (tag_valid),
    .tag_ready_o  (tag_ready),
    .error_i      (pending_q),
    .error_tag_i  (pending_tag_q),
    .error_valid_i(pending_valid_q),
    .error_taken_o(error_taken),
    .m_axis_tdata (out_tdata),
    .m_axis_tvalid(out_tvalid),
    .m_axis_tready(out_tready)
  );

  br_uart_tx #(
    .BitCycles(BitCycles)
  ) u_uart_tx (
    .clk_i,
    .rst_ni,
    .s_axis_tdata (out_tdata),
    .s_axis_tvalid(out_tvalid),
    .s_axis_tready(out_tready),
    .tx_o
  );

endmodule

`default_nettype wire
