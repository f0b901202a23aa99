// br_stream_probe: writes down a stream inside the design (simulation only).
// Function       each beat that moves becomes a hexadecimal line of <run_i>.<FileName>.hex in the folder of
//                +dir=<folder>

`default_nettype none

module br_stream_probe #(
  parameter int unsigned Width    = 8,       // bits of tdata
  parameter              FileName = "probe"  // what the file is called, between the run and .hex
) (
  input wire                     clk_i,
  input wire                     rst_ni,
  input wire integer             run_i,
  input wire         [Width-1:0] tdata_i,
  input wire                     tvalid_i,
  input wire                     tready_i
);

  int file;
  string folder;

  initial if (!$value$plusargs("dir=%s", folder)) folder = ".";

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      if (file != 0) $fclose(file);
      file = 0;
    end else begin
      if (file == 0) file = $fopen($sformatf("%s/%0d.%s.hex", folder, run_i, FileName), "w");
      if (tvalid_i && tready_i) $fwrite(file, "%h\n", tdata_i);
    end
  end

endmodule

`default_nettype wire
