// br_axi_check: stops the simulation where an address channel announces a burst that AXI does not allow (simulation only).
// Function       a burst stays within 4 KB, has MaxBurst beats at most, begins at a whole beat, and is an INCR burst of
//                whole beats. That valid and address hold is checked by br_stream_check
// Place          br_checks.sv binds it to the address channels of both masters

`default_nettype none

module br_axi_check #(
  parameter int unsigned AddrWidth = 32,
  parameter int unsigned DataWidth = 64,
  parameter int unsigned MaxBurst  = 16
) (
  input wire                 clk_i,
  input wire                 rst_ni,
  input wire [AddrWidth-1:0] addr_i,
  input wire [          7:0] len_i,
  input wire [          2:0] size_i,
  input wire [          1:0] burst_i,
  input wire                 valid_i
);

  localparam int unsigned Bytes = DataWidth / 8;

  int unsigned beats;
  assign beats = 32'(len_i) + 1;

  always_ff @(posedge clk_i) begin
    if (rst_ni && valid_i) begin
      assert (32'(addr_i) % 4096 + beats * Bytes <= 4096)
      else $fatal(1, "%0d beats from %h cross 4 KB, in cycle %0d", beats, addr_i, br_bench.u_cycles.count_q);
      assert (beats <= MaxBurst)
      else $fatal(1, "a burst of %0d beats, more than %0d, in cycle %0d", beats, MaxBurst, br_bench.u_cycles.count_q);
      assert (32'(addr_i) % Bytes == 0 && size_i == 3'($clog2(Bytes)) && burst_i == 2'b01)
      else $fatal(1, "a burst from %h is not INCR of whole beats, in cycle %0d", addr_i, br_bench.u_cycles.count_q);
    end
  end

endmodule

`default_nettype wire
