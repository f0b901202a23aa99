// br_stream_sink: takes a stream and writes it down (simulation only).
// Function       writes each beat as a hexadecimal line of <run_i>.<FileName>.hex, and for each tlast a line
//                "<beats so far> <cycle>" of <run_i>.<FileName>.tlast, in the folder of +dir=<folder>
// Stalls         ready is low with probability stall_i/65536 a cycle, 0 = never. With stalls and an odd seed_i ready
//                also waits for valid, which shows a valid that waits for ready
// Outputs        beats_o: beats taken so far; first_o: cycle of the first transfer, -1 before it

`default_nettype none

module br_stream_sink #(
  parameter int unsigned Width    = 8,        // bits of tdata
  parameter              FileName = "m_axis"  // what the files are called, between the run and .hex or .tlast
) (
  input  wire                     clk_i,
  input  wire                     rst_ni,
  input  wire integer             cycle_i,
  input  wire integer             run_i,
  input  wire integer             stall_i,
  input  wire integer             seed_i,
  input  wire         [Width-1:0] s_axis_tdata,
  input  wire                     s_axis_tvalid,
  output logic                    s_axis_tready,
  input  wire                     s_axis_tlast,
  output int                      beats_o,
  output int                      first_o
);

  int data_file, last_file;
  logic go;
  string folder;

  br_stall u_stall (
    .clk_i,
    .rst_ni,
    .stall_i,
    .seed_i,
    .go_o(go)
  );

  assign s_axis_tready = go && (stall_i == 0 || !seed_i[0] || s_axis_tvalid);

  initial if (!$value$plusargs("dir=%s", folder)) folder = ".";

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      if (data_file != 0) begin
        $fclose(data_file);
        $fclose(last_file);
      end
      data_file = 0;
      beats_o   <= 0;
      first_o   <= -1;
    end else begin
      if (data_file == 0) begin
        data_file = $fopen($sformatf("%s/%0d.%s.hex", folder, run_i, FileName), "w");
        last_file = $fopen($sformatf("%s/%0d.%s.tlast", folder, run_i, FileName), "w");
      end
      if (s_axis_tvalid && s_axis_tready) begin
        $fwrite(data_file, "%h\n", s_axis_tdata);
        if (s_axis_tlast) $fwrite(last_file, "%0d %0d\n", beats_o + 1, cycle_i);
        if (first_o < 0) first_o <= cycle_i;
        beats_o <= beats_o + 1;
      end
    end
  end

endmodule

`default_nettype wire
