// faulty: a register slice that breaks the stream rules on demand (test only); the first beat after reset says how.
//   0 no fault, 1 takes no more beats after the third, 2 lets valid fall, 3 changes the data of a waiting beat,
//   4 repeats the last beat, 5 raises tlast on every beat, 6 gives valid only when it sees ready

`default_nettype none

module faulty (
  input  wire         clk_i,
  input  wire         rst_ni,
  input  wire   [7:0] s_axis_tdata,
  input  wire         s_axis_tvalid,
  output logic        s_axis_tready,
  input  wire         s_axis_tlast,
  output logic  [7:0] m_axis_tdata,
  output logic        m_axis_tvalid,
  input  wire         m_axis_tready,
  output logic        m_axis_tlast
);

  logic [7:0] fault_q, data_q;
  logic valid_q, last_q, again_q, take;
  int beats;

  assign s_axis_tready = (!valid_q || (m_axis_tready && m_axis_tvalid)) && !(fault_q == 1 && beats == 3);
  assign take = s_axis_tvalid && s_axis_tready;
  assign m_axis_tvalid = valid_q && (fault_q != 6 || m_axis_tready);
  assign m_axis_tdata = data_q;
  assign m_axis_tlast = last_q || fault_q == 5;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q <= 1'b0;
      beats   <= 0;
      fault_q <= 0;
      again_q <= 1'b0;
    end else begin
      if (take) begin
        if (beats == 0) fault_q <= s_axis_tdata;
        beats   <= beats + 1;
        valid_q <= 1'b1;
        data_q  <= s_axis_tdata;
        last_q  <= s_axis_tlast;
        again_q <= 1'b0;
      end else if (m_axis_tvalid && m_axis_tready) begin
        valid_q <= fault_q == 4 && last_q && !again_q;
        again_q <= 1'b1;
      end else if (valid_q && beats > 3) begin
        if (fault_q == 2) valid_q <= 1'b0;
        if (fault_q == 3) data_q <= ~data_q;
      end
    end
  end

endmodule

`default_nettype wire
