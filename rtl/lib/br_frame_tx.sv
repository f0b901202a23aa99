// br_frame_tx: puts results and errors into frames, byte by byte.
// Function       for every packet of s_axis a frame with the next tag and the packet's words; for every error a frame
//                with its tag and the error as the only byte. Frames as in br_frame_rx. An error goes before a result
//                that waits
// Stream in      beat = one word of 32 bits; tlast on the last of a packet of Words words
// Stream out     beat = one byte; no tlast. A word's high byte first
// Parameters     Words >= 1, fewer than 2^22 (checked)
// Latency        0: the first byte stands on m_axis while a packet and a tag, or an error, wait
// Throughput     one byte a cycle; 7 bytes a frame beside the payload
// Back-pressure  combinational path m_axis_tready -> s_axis_tready, tag_ready_o, error_taken_o
// Source         frames: docs/bitstream.md
`default_nettype none

module br_frame_tx #(
  parameter int unsigned Words = 1  // words of every packet, 1 to 2^22 - 1
) (
  input  wire         clk_i,
  input  wire         rst_ni,
  input  wire  [31:0] s_axis_tdata,
  input  wire         s_axis_tvalid,
  output logic        s_axis_tready,
  input  wire         s_axis_tlast,
  input  wire  [ 7:0] tag_i,
  input  wire         tag_valid_i,
  output logic        tag_ready_o,
  input  wire  [ 7:0] error_i,
  input  wire  [ 7:0] error_tag_i,
  input  wire         error_valid_i,  // stays until error_taken_o
  output logic        error_taken_o,
  output logic [ 7:0] m_axis_tdata,
  output logic        m_axis_tvalid,
  input  wire         m_axis_tready
);

  if (Words < 1 || Words >= 1 << 22) begin : gen_check
    $error("br_frame_tx: Words=%0d must be 1 to 2^22 - 1", Words);
  end

  typedef enum logic [2:0] {
    Sync,
    Tag,
    Length,
    Payload,
    Check
  } state_e;

  state_e state_q;
  logic [1:0] count_q;  // bytes of the field, or of the word
  logic is_error_q, move, field_ends;
  logic [7:0] tag_q, error_q;
  logic [15:0] crc_q, crc;
  logic [23:0] length;

  br_crc16 u_crc (
    .crc_i (crc_q),
    .data_i(m_axis_tdata),
    .crc_o (crc)
  );

  assign length = is_error_q ? 24'd1 : 24'(4 * Words);
  assign move = m_axis_tvalid && m_axis_tready;
  assign error_taken_o = state_q == Sync && move && error_valid_i;
  assign tag_ready_o = state_q == Sync && move && !error_valid_i;
  assign s_axis_tready = state_q == Payload && !is_error_q && count_q == 2'd3 && m_axis_tready;

  always_comb begin
    m_axis_tvalid = 1'b1;
    field_ends = 1'b1;
    unique case (state_q)
      Sync: begin
        m_axis_tdata  = 8'hB1;
        m_axis_tvalid = error_valid_i || (s_axis_tvalid && tag_valid_i);
      end
      Tag: m_axis_tdata = tag_q;
      Length: begin
        m_axis_tdata = length[8*(2-int'(count_q))+:8];
        field_ends   = count_q == 2'd2;
      end
      Payload: begin
        m_axis_tdata  = is_error_q ? error_q : s_axis_tdata[8*(3-int'(count_q))+:8];
        m_axis_tvalid = is_error_q || s_axis_tvalid;
        field_ends    = is_error_q || (count_q == 2'd3 && s_axis_tlast);
      end
      default: begin
        m_axis_tdata = count_q == '0 ? crc_q[15:8] : crc_q[7:0];
        field_ends   = count_q == 2'd1;
      end
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (move) begin
      count_q <= field_ends ? '0 : count_q + 2'd1;
      if (field_ends) begin
        unique case (state_q)
          Sync:    state_q <= Tag;
          Tag:     state_q <= Length;
          Length:  state_q <= Payload;
          Payload: state_q <= Check;
          default: state_q <= Sync;
        endcase
      end
    end
    if (move && state_q != Check) crc_q <= state_q == Sync ? '1 : crc;
    if (move && state_q == Sync) begin
      is_error_q <= error_valid_i;
      error_q    <= error_i;
      tag_q      <= error_valid_i ? error_tag_i : tag_i;
    end
    if (!rst_ni) begin
      state_q <= Sync;
      count_q <= '0;
    end
  end

endmodule

`default_nettype wire
