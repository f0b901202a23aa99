// br_engine_input: writes the stream that the engine reads as a map, for two frames in turn.
// Function       pixel by pixel, Channels numbers of 16 bits at a time, to where the map's groups have them; a frame is
//                announced when all of it is in the memory
// Stream in      beat = four numbers of InWidth bits, channels ascending; tlast is not looked at
// Stream out     to br_axi_writer: commands {beats, address} and beats of 64 bits
// Ports          frames_o: frames that are complete, at most 2; release_i, a pulse, gives one back; side_o: which of the
//                two maps the older one is
// Parameters     Total channels of Pixels pixels; Channels of a group divide them; First, Size: bytes
// Latency        a beat passes at once
// Throughput     one beat a cycle
// Back-pressure  that of the writer; a third frame waits
// Source         docs/engine.md
`default_nettype none

module br_engine_input #(
  parameter  int unsigned Pixels    = 16,   // of a frame
  parameter  int unsigned Total     = 16,   // channels of a pixel
  parameter  int unsigned Channels  = 8,    // channels of a group
  parameter  int unsigned InWidth   = 16,   // bits of a number, signed; at most 16
  parameter  int unsigned Size      = 512,  // bytes between the two maps
  parameter  int unsigned LenWidth  = 24,   // bits of a command's length
  localparam int unsigned Beat      = 64,
  localparam int unsigned AddrWidth = 32,
  localparam int unsigned Lanes     = 4
) (
  input  wire                           clk_i,
  input  wire                           rst_ni,
  input  wire  [         AddrWidth-1:0] base_i,
  input  wire  [     Lanes*InWidth-1:0] s_axis_tdata,
  input  wire                           s_axis_tvalid,
  output logic                          s_axis_tready,
  output logic [LenWidth+AddrWidth-1:0] m_cmd_tdata,
  output logic                          m_cmd_tvalid,
  input  wire                           m_cmd_tready,
  output logic [              Beat-1:0] m_axis_tdata,
  output logic                          m_axis_tvalid,
  input  wire                           m_axis_tready,
  input  wire                           idle_i,
  input  wire                           release_i,
  output logic [                   1:0] frames_o,
  output logic                          side_o
);

  if (InWidth > 16) begin : gen_check_width
    $error("br_engine_input: InWidth=%0d must be at most 16", InWidth);
  end
  if (Total % Channels != 0 || Channels % Lanes != 0) begin : gen_check_channels
    $error("br_engine_input: Channels=%0d must divide Total=%0d and be a multiple of %0d", Channels, Total, Lanes);
  end

  localparam int unsigned Groups = Total / Channels;
  localparam int unsigned GroupWidth = br_pkg::idx_width(Groups);
  localparam int unsigned PixelWidth = br_pkg::idx_width(Pixels);
  localparam int unsigned Bytes = 2 * Channels;

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    assign m_axis_tdata[l*16+:16] = 16'(signed'(s_axis_tdata[l*InWidth+:InWidth]));
  end
  assign m_axis_tvalid = s_axis_tvalid;
  assign s_axis_tready = m_axis_tready;

  logic [GroupWidth-1:0] group_q;
  logic [PixelWidth-1:0] pixel_q;
  logic [AddrWidth-1:0] offset_q, pixel_offset_q;
  logic write_side_q, drain_q, settle_q, take, group_end, pixel_end, complete;

  assign m_cmd_tvalid = !drain_q && frames_o != 2'd2;
  assign m_cmd_tdata  = {LenWidth'(Bytes / (Beat / 8)), base_i + (write_side_q ? AddrWidth'(Size) : '0) + offset_q};
  assign take         = m_cmd_tvalid && m_cmd_tready;
  assign group_end    = group_q == GroupWidth'(Groups - 1);
  assign pixel_end    = pixel_q == PixelWidth'(Pixels - 1);
  assign complete     = drain_q && settle_q && idle_i;

  always_ff @(posedge clk_i) begin
    settle_q <= drain_q;  // the writer counts a command a cycle later
    if (take) begin
      group_q  <= group_end ? '0 : group_q + 1'b1;
      offset_q <= offset_q + AddrWidth'(Pixels * Bytes);
      if (group_end) begin
        pixel_q        <= pixel_end ? '0 : pixel_q + 1'b1;
        pixel_offset_q <= pixel_end ? '0 : pixel_offset_q + AddrWidth'(Bytes);
        offset_q       <= pixel_end ? '0 : pixel_offset_q + AddrWidth'(Bytes);
        drain_q        <= pixel_end;
      end
    end
    if (complete) begin
      drain_q      <= 1'b0;
      write_side_q <= !write_side_q;
    end
    // fault: engine-same-frame
    if (release_i) side_o <= !side_o;
    frames_o <= frames_o + 2'(complete) - 2'(release_i);
    if (!rst_ni) begin
      group_q        <= '0;
      pixel_q        <= '0;
      offset_q       <= '0;
      pixel_offset_q <= '0;
      drain_q        <= 1'b0;
      settle_q       <= 1'b0;
      write_side_q   <= 1'b0;
      side_o         <= 1'b0;
      frames_o       <= '0;
    end
  end

endmodule

`default_nettype wire
