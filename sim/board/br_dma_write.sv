// br_dma_write: model of the half of a DMA that takes a stream and writes memory (S2MM of an AXI DMA).
// Function       when go_i changes, the beats of one transfer are written to a file, to its tlast or to the length; a
//                longer transfer is an error, as for the AXI DMA
// Files          <file>.hex in the folder of +dir, a beat a line; written anew for every transfer
// Faults         stop_at_i: beats after which none is taken; error_at_i: beats after which memory answers with an error
`default_nettype none

module br_dma_write #(
  parameter int unsigned Bytes    = 4,        // of a beat
  parameter              FileName = "logits"  // of the file, without .hex
) (
  input  wire                       clk_i,
  input  wire                       rst_ni,
  input  wire integer               go_i,           // a change begins a transfer
  input  wire integer               length_i,       // bytes that there is room for
  input  wire integer               stop_at_i,
  input  wire integer               error_at_i,
  input  wire integer               stall_i,        // probability of a cycle that is not ready, in 1/65536
  input  wire integer               seed_i,
  output int                        taken_o,        // transfers that have ended
  output int                        bytes_o,        // of the last one
  output logic                      error_o,        // of memory
  output logic                      too_long_o,
  input  wire         [8*Bytes-1:0] s_axis_tdata,
  input  wire         [  Bytes-1:0] s_axis_tkeep,
  input  wire                       s_axis_tvalid,
  output logic                      s_axis_tready,
  input  wire                       s_axis_tlast
);

  int file, seen, beat;
  logic go, running;
  string folder;

  br_stall u_stall (
    .clk_i,
    .rst_ni,
    .stall_i,
    .seed_i,
    .go_o(go)
  );

  initial if (!$value$plusargs("dir=%s", folder)) folder = ".";

  assign s_axis_tready = running && go && !error_o && !too_long_o && (stop_at_i == 0 || beat < stop_at_i);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      if (running) $fclose(file);
      seen       <= go_i;
      running    <= 1'b0;
      error_o    <= 1'b0;
      too_long_o <= 1'b0;
      taken_o    <= 0;
    end else if (go_i != seen) begin
      seen    <= go_i;
      running <= 1'b1;
      beat    <= 0;
      bytes_o <= 0;
      file = $fopen({folder, "/", FileName, ".hex"}, "w");
    end else if (s_axis_tvalid && s_axis_tready) begin
      beat <= beat + 1;
      if (error_at_i != 0 && beat == error_at_i) error_o <= 1'b1;
      else if (bytes_o + $countones(s_axis_tkeep) > length_i) too_long_o <= 1'b1;
      else begin
        $fwrite(file, "%h\n", s_axis_tdata);
        bytes_o <= bytes_o + $countones(s_axis_tkeep);
        if (s_axis_tlast) begin
          running <= 1'b0;
          taken_o <= taken_o + 1;
          $fclose(file);
        end
      end
    end
  end

endmodule

`default_nettype wire
