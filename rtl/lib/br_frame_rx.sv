// br_frame_rx: takes frames apart that arrive byte by byte; only whole and correct ones are passed on.
// Function       the payload of every correct frame goes out on m_axis, its tag on tag_o; for every other frame one
//                pulse of error_valid_o with the frame's tag and what was wrong. Bytes outside of frames are passed
//                over
// Frame          8'hB1, tag, length (3 bytes), payload, CRC-16 from the tag on (2 bytes, starting from 16'hFFFF,
//                br_crc16); numbers with the high byte first
// Errors         1 length is not FrameBytes; 2 checksum; 3 no byte for TimeoutCycles inside a frame; 4 busy: no room,
//                the frame is ignored; 5 a byte without stop bit. After an error the next 8'hB1 begins a frame
// Bytes in       data_i with valid_i; broken_i for a byte that could not be read (br_uart_rx)
// Stream out     beat = one byte of the payload; tlast on the last one of a frame
// Parameters     FrameBytes: length of every payload, at most 2^24 - 1 (checked); TimeoutCycles >= 1
// Latency        2 cycles from the last byte of a frame to the first beat of its payload
// Throughput     one beat a cycle
// Back-pressure  none for bytes, a line cannot wait: there is room for two frames or more, and a frame is taken only if
//                it has room and tag_ready_i is high at its beginning. No combinational path m_axis_tready -> m_axis_*
// Source         payloads go into a ring behind those that are complete, and count only once the checksum is right
`default_nettype none

module br_frame_rx #(
  parameter int unsigned FrameBytes    = 4,    // bytes of every payload, 1 to 2^24 - 1
  parameter int unsigned TimeoutCycles = 1000  // clock cycles without a byte that end a frame, 1 or more
) (
  input  wire        clk_i,
  input  wire        rst_ni,
  input  wire  [7:0] data_i,
  input  wire        valid_i,
  input  wire        broken_i,
  output logic [7:0] m_axis_tdata,
  output logic       m_axis_tvalid,
  input  wire        m_axis_tready,
  output logic       m_axis_tlast,
  output logic [7:0] tag_o,
  output logic       tag_valid_o,
  input  wire        tag_ready_i,    // there is room for a tag, until it is used
  output logic [7:0] error_o,
  output logic [7:0] error_tag_o,
  output logic       error_valid_o
);

  if (FrameBytes < 1 || FrameBytes >= 1 << 24) begin : gen_check_frame
    $error("br_frame_rx: FrameBytes=%0d must be 1 to 2^24 - 1", FrameBytes);
  end
  if (TimeoutCycles < 1) begin : gen_check_timeout
    $error("br_frame_rx: TimeoutCycles=%0d must be at least 1", TimeoutCycles);
  end

  localparam int unsigned AddrWidth = br_pkg::idx_width(2 * FrameBytes);
  localparam int unsigned CountWidth = br_pkg::idx_width(br_pkg::max2(FrameBytes, 3));  // bytes of the longest field
  localparam int unsigned TimeWidth = br_pkg::cnt_width(TimeoutCycles);
  localparam logic [7:0] Sync = 8'hB1;

  typedef enum logic [2:0] {
    Hunt,
    Tag,
    Length,
    Payload,
    Check
  } state_e;

  typedef enum logic [7:0] {
    None,
    WrongLength,
    WrongChecksum,
    Timeout,
    Busy,
    BrokenByte
  } error_e;

  state_e state_q;
  error_e error;
  logic [7:0] tag_q;
  logic [15:0] length_q, crc_q, crc;  // the length's third byte is looked at as it arrives
  logic [CountWidth-1:0] count_q;  // bytes of the field so far
  logic [TimeWidth-1:0] quiet_q;  // cycles since the last byte
  logic keep_q, room, field_ends, complete;

  // Ring: [read_q, write_q) is complete, the payload under way follows. One bit more tells full from empty.
  logic [7:0] ring[2**AddrWidth];
  logic [AddrWidth:0] write_q, read_q, used;
  logic [AddrWidth-1:0] write_addr;

  br_crc16 u_crc (
    .crc_i(crc_q),
    .data_i,
    .crc_o(crc)
  );

  assign used = write_q - read_q;
  assign room = used <= (AddrWidth + 1)'(2 ** AddrWidth - FrameBytes) && tag_ready_i;
  assign write_addr = write_q[AddrWidth-1:0] + AddrWidth'(count_q);

  always_comb begin
    unique case (state_q)
      Length:  field_ends = count_q == CountWidth'(2);
      Payload: field_ends = count_q == CountWidth'(FrameBytes - 1);
      Check:   field_ends = count_q == CountWidth'(1);
      default: field_ends = 1'b1;
    endcase
  end

  always_comb begin
    error = None;
    if (state_q != Hunt) begin
      if (broken_i) error = BrokenByte;
      else if (valid_i && field_ends) begin
        if (state_q == Length && {length_q, data_i} != 24'(FrameBytes)) error = WrongLength;
        if (state_q == Check && crc != '0) error = WrongChecksum;
        else if (state_q == Check && !keep_q) error = Busy;
      end else if (!valid_i && quiet_q == TimeWidth'(TimeoutCycles)) error = Timeout;
    end
  end

  assign complete = state_q == Check && valid_i && field_ends && error == None;

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      length_q <= {length_q[7:0], data_i};
      crc_q    <= state_q == Hunt ? '1 : crc;
      count_q  <= field_ends ? '0 : count_q + 1'b1;
      if (state_q == Hunt) tag_q <= '0;
      if (state_q == Tag) tag_q <= data_i;
      if (state_q == Length) keep_q <= room;
      if (state_q == Payload && keep_q) ring[write_addr] <= data_i;
    end
    quiet_q <= valid_i ? '0 : quiet_q + 1'b1;
    if (valid_i && field_ends) begin
      unique case (state_q)
        Hunt:    state_q <= data_i == Sync ? Tag : Hunt;
        Tag:     state_q <= Length;
        Length:  state_q <= Payload;
        Payload: state_q <= Check;
        default: state_q <= Hunt;
      endcase
    end
    if (error != None) state_q <= Hunt;
    if (complete) write_q <= write_q + (AddrWidth + 1)'(FrameBytes);
    tag_valid_o   <= complete;
    error_valid_o <= error != None;
    error_o       <= error;
    if (!rst_ni) begin
      state_q       <= Hunt;
      write_q       <= '0;
      tag_valid_o   <= 1'b0;
      error_valid_o <= 1'b0;
    end
  end

  assign tag_o = tag_q;
  assign error_tag_o = tag_q;

  // The way out.
  logic fetch, out_free;
  logic [CountWidth-1:0] sent_q;  // bytes of the frame that were fetched

  assign out_free = !m_axis_tvalid || m_axis_tready;
  assign fetch = out_free && used != '0;

  always_ff @(posedge clk_i) begin
    if (fetch) m_axis_tdata <= ring[read_q[AddrWidth-1:0]];
    if (fetch) m_axis_tlast <= sent_q == CountWidth'(FrameBytes - 1);
    if (out_free) m_axis_tvalid <= fetch;
    if (fetch) begin
      read_q <= read_q + 1'b1;
      sent_q <= sent_q == CountWidth'(FrameBytes - 1) ? '0 : sent_q + 1'b1;
    end
    if (!rst_ni) begin
      m_axis_tvalid <= 1'b0;
      read_q        <= '0;
      sent_q        <= '0;
    end
  end

endmodule

`default_nettype wire
