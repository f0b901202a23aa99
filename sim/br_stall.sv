// br_stall: decides cycle by cycle whether a stream model moves (simulation only).
// Function       go_o is low with probability stall_i/65536, drawn anew every cycle from a xorshift generator; stall_i
//                = 0 keeps it high; seed_i (not 0) chooses the pattern, which starts again at reset

`default_nettype none

module br_stall (
  input  wire         clk_i,
  input  wire         rst_ni,
  input  wire integer stall_i,
  input  wire integer seed_i,
  output logic        go_o
);

  logic [31:0] random_q;

  function automatic logic [31:0] xorshift(logic [31:0] x);
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
  endfunction

  assign go_o = stall_i == 0 || {16'b0, random_q[31:16]} >= stall_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) random_q <= seed_i;
    else if (stall_i != 0) random_q <= xorshift(random_q);
  end

endmodule

`default_nettype wire
