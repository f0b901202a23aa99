// br_stream_source: plays a file of beats into a stream (simulation only).
// Function       sends total_i beats from FileName, one hexadecimal number a line; tlast on every frame_i-th beat.
//                The file lies in the folder of +dir=<folder>; reset starts it again
// Stalls         before each beat: idle with probability idle_i/65536 a cycle, 0 = never; seed_i chooses the pattern
// Outputs        beats_o: beats taken so far; first_o: cycle of the first transfer, -1 before it; period_o: cycles between
//                the last beats of the last two frames

`default_nettype none

module br_stream_source #(
  parameter int unsigned Width    = 8,            // bits of tdata
  parameter              FileName = "s_axis.hex"  // file in the folder of +dir
) (
  input  wire                     clk_i,
  input  wire                     rst_ni,
  input  wire integer             cycle_i,
  input  wire integer             total_i,
  input  wire integer             frame_i,
  input  wire integer             idle_i,
  input  wire integer             seed_i,
  output logic        [Width-1:0] m_axis_tdata,
  output logic                    m_axis_tvalid,
  input  wire                     m_axis_tready,
  output logic                    m_axis_tlast,
  output int                      beats_o,
  output int                      first_o,
  output int                      period_o
);

  int file, found, sent, in_frame, ended;
  logic go;
  logic [Width-1:0] beat;
  string folder;

  br_stall u_stall (
    .clk_i,
    .rst_ni,
    .stall_i(idle_i),
    .seed_i,
    .go_o   (go)
  );

  initial if (!$value$plusargs("dir=%s", folder)) folder = ".";

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      if (file != 0) $fclose(file);
      file = 0;
      m_axis_tvalid <= 1'b0;
      beats_o  <= 0;
      first_o  <= -1;
      period_o <= 0;
      ended    <= 0;
      sent     <= 0;
      in_frame <= 0;
    end else begin
      if (m_axis_tvalid && m_axis_tready) begin
        beats_o <= beats_o + 1;
        if (first_o < 0) first_o <= cycle_i;
        if (m_axis_tlast) begin
          period_o <= cycle_i - ended;
          ended    <= cycle_i;
        end
      end
      if (!m_axis_tvalid || m_axis_tready) begin
        m_axis_tvalid <= 1'b0;
        if (go && sent != total_i) begin
          if (file == 0) file = $fopen({folder, "/", FileName}, "r");
          if (file == 0) $fatal(1, "br_stream_source: cannot read %s/%s", folder, FileName);
          found = $fscanf(file, "%h\n", beat);
          if (found != 1) $fatal(1, "br_stream_source: %s ends after %0d of %0d beats", FileName, sent, total_i);
          m_axis_tdata  <= beat;
          m_axis_tvalid <= 1'b1;
          m_axis_tlast  <= in_frame == frame_i - 1;
          in_frame      <= in_frame == frame_i - 1 ? 0 : in_frame + 1;
          sent          <= sent + 1;
        end
      end
    end
  end

endmodule

`default_nettype wire
