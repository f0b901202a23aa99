// br_dma_read: model of the half of a DMA that reads memory and sends a stream (MM2S of an AXI DMA).
// Function       when go_i changes, the beats of a file leave as one transfer, the last one with tlast and a tkeep that
//                covers the bytes; a transfer can be made to end early, to go on, to stop, or to meet an error of memory
// Files          <file>.hex in the folder of +dir, a beat a line; it is opened anew for every transfer
// Faults         cut_i: beats after which tlast stands already, and nothing follows; extra_i: beats more than asked for;
//                stop_at_i: beats after which none follows; error_at_i: beats after which memory answers with an error;
//                sparse_at_i: a beat whose tkeep leaves out a byte; each 0 for never
`default_nettype none

module br_dma_read #(
  parameter int unsigned Bytes    = 4,        // of a beat
  parameter int unsigned Latency  = 40,       // cycles until memory answers
  parameter              FileName = "pixels"  // of the file, without .hex
) (
  input  wire                       clk_i,
  input  wire                       rst_ni,         // of the DMA, by register too
  input  wire integer               go_i,           // a change begins a transfer
  input  wire integer               length_i,       // its bytes
  input  wire integer               cut_i,
  input  wire integer               extra_i,
  input  wire integer               stop_at_i,
  input  wire integer               sparse_at_i,
  input  wire integer               error_at_i,
  input  wire integer               idle_i,         // probability of a cycle without a beat, in 1/65536
  input  wire integer               seed_i,
  output int                        sent_o,         // transfers that have ended
  output logic                      error_o,
  output logic        [8*Bytes-1:0] m_axis_tdata,
  output logic        [  Bytes-1:0] m_axis_tkeep,
  output logic                      m_axis_tvalid,
  input  wire                       m_axis_tready,
  output logic                      m_axis_tlast
);

  int file, found, seen, beats, beat, wait_q;
  logic go, running;
  logic [8*Bytes-1:0] word;
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
      if (running && file != 0) $fclose(file);
      seen          <= go_i;
      running       <= 1'b0;
      error_o       <= 1'b0;
      m_axis_tvalid <= 1'b0;
      sent_o        <= 0;
    end else begin
      if (m_axis_tvalid && m_axis_tready) begin
        m_axis_tvalid <= 1'b0;
        if (m_axis_tlast) begin
          running <= 1'b0;
          sent_o  <= sent_o + 1;
          $fclose(file);
        end
      end
      if (go_i != seen) begin
        seen    <= go_i;
        running <= 1'b1;
        beats   <= cut_i != 0 ? cut_i : (length_i + Bytes - 1) / Bytes + extra_i;
        beat    <= 0;
        wait_q  <= Latency;
        file = $fopen({folder, "/", FileName, ".hex"}, "r");
        if (file == 0) $fatal(1, "br_dma_read: cannot read %s/%s.hex", folder, FileName);
      end else if (running && wait_q != 0) wait_q <= wait_q - 1;
      else if (running && !error_o && (!m_axis_tvalid || m_axis_tready) && beat < beats && go) begin
        if (error_at_i != 0 && beat == error_at_i) error_o <= 1'b1;
        else if (stop_at_i == 0 || beat < stop_at_i) begin
          found = $fscanf(file, "%h\n", word);
          if (found != 1) word = '0;
          m_axis_tdata  <= word;
          m_axis_tkeep  <= '1;
          if (sparse_at_i != 0 && beat == sparse_at_i) m_axis_tkeep[0] <= 1'b0;
          if (cut_i == 0 && extra_i == 0 && beat == beats - 1 && length_i % Bytes != 0)
            m_axis_tkeep <= Bytes'((1 << (length_i % Bytes)) - 1);
          m_axis_tvalid <= 1'b1;
          m_axis_tlast  <= beat == beats - 1;
          beat          <= beat + 1;
        end
      end
    end
  end

endmodule

`default_nettype wire
