// br_checks: puts a check on every stream and every FIFO of the library (simulation only).
// Streams        every stream is the output of a module, and each module with an output has a line below. Verilator
//                passes over a line whose module a build does not hold; tests/sim/test_checks.py finds a module without
//                a line
// Frames         tlast is checked where a module's parameters tell the beats of a frame; bireal_hw/rtl writes the beats
//                of all streams of a network beside it, into br_top_checks.sv
// BR_CHECK_ALL   without this macro only the two ends of a bench are checked: all the others make a network's
//                simulation a third slower. bireal_hw/sim/verilator.py sets it where the environment has BIREAL_CHECKS,
//                as tests do
`default_nettype none

`define BR_CHECK_BEATS(name, beat) \
  bind name br_stream_check #(.Width($bits(beat)), .Outputs($bits(m_axis_tvalid))) u_check_m_axis \
    (.clk_i, .rst_ni, .beat_i(beat), .tvalid_i(m_axis_tvalid), .tready_i(m_axis_tready));
`define BR_CHECK_STREAM(name) `BR_CHECK_BEATS(name, {m_axis_tlast, m_axis_tdata})
`define BR_CHECK_FRAME(name, beats) \
  bind name br_frame_check #(.Beats(beats)) u_frame_m_axis \
    (.clk_i, .rst_ni, .tvalid_i(m_axis_tvalid), .tready_i(m_axis_tready), .tlast_i(m_axis_tlast));
// An address channel, with the rules of bursts; then what comes or goes for the bursts of a direction.
`define BR_CHECK_ADDRESS(name, a) \
  bind name br_stream_check #(.Width(AddrWidth + 8)) u_check_m_axi_``a (.clk_i, .rst_ni, \
    .beat_i({m_axi_``a``addr, m_axi_``a``len}), .tvalid_i(m_axi_``a``valid), .tready_i(m_axi_``a``ready)); \
  bind name br_axi_check #(.AddrWidth(AddrWidth), .DataWidth(DataWidth), .MaxBurst(MaxBurst)) u_check_burst_``a ( \
    .clk_i, .rst_ni, .addr_i(m_axi_``a``addr), .len_i(m_axi_``a``len), .size_i(m_axi_``a``size), \
    .burst_i(m_axi_``a``burst), .valid_i(m_axi_``a``valid));
`define BR_CHECK_ANSWERS(name, channel, issue, len, beat, last, idle) \
  bind name br_axi_answers_check u_check_``channel (.clk_i, .rst_ni, .issue_i(issue), .len_i(len), .beat_i(beat), \
    .last_i(last), .idle_i(idle));
`define BR_OUT(size, pad) br_pkg::out_size(size, Kernel, Stride, pad)

bind br_bench br_cycles u_cycles (
  .clk_i,
  .rst_ni
);

`BR_CHECK_STREAM(br_stream_source)
bind br_stream_sink br_stream_check #(
  .Width(Width + 1)
) u_check_s_axis (
  .clk_i,
  .rst_ni,
  .beat_i  ({s_axis_tlast, s_axis_tdata}),
  .tvalid_i(s_axis_tvalid),
  .tready_i(s_axis_tready)
);

`ifdef BR_CHECK_ALL
`BR_CHECK_STREAM(br_avg_pool)
`BR_CHECK_STREAM(br_axi_reader)
`BR_CHECK_STREAM(br_binary_conv)
`BR_CHECK_STREAM(br_binary_mvu)
`BR_CHECK_STREAM(br_center)
`BR_CHECK_STREAM(br_concat)
`BR_CHECK_STREAM(br_duplicate)
`BR_CHECK_STREAM(br_engine)
`BR_CHECK_STREAM(br_engine_finish)
`BR_CHECK_BEATS(br_engine_input, m_axis_tdata)
`BR_CHECK_BEATS(br_engine_mac, m_axis_tdata)
`BR_CHECK_STREAM(br_fifo)
`BR_CHECK_STREAM(br_flatten)
`BR_CHECK_STREAM(br_fork)
`BR_CHECK_STREAM(br_frame_rx)
`BR_CHECK_BEATS(br_frame_tx, m_axis_tdata)
`BR_CHECK_STREAM(br_gearbox)
`BR_CHECK_STREAM(br_ip)
`BR_CHECK_STREAM(br_leaky_clip)
`BR_CHECK_STREAM(br_link)
`BR_CHECK_STREAM(br_max_pool)
`BR_CHECK_STREAM(br_merge)
`BR_CHECK_STREAM(br_real_conv)
`BR_CHECK_STREAM(br_real_mvu)
`BR_CHECK_STREAM(br_reg_slice)
`BR_CHECK_STREAM(br_requantize)
`BR_CHECK_STREAM(br_rescale)
`BR_CHECK_STREAM(br_sign)
`BR_CHECK_STREAM(br_sum)
`BR_CHECK_STREAM(br_unfold)
`BR_CHECK_STREAM(br_upsample)
`BR_CHECK_STREAM(br_width_converter)
`BR_CHECK_BEATS(br_window, {m_axis_tlast, m_axis_tend, m_axis_tpad, m_axis_tdata})

`BR_CHECK_FRAME(br_avg_pool, Height / KernelH * (Width / KernelW) * Groups)
`BR_CHECK_FRAME(br_binary_conv, `BR_OUT(Height, PadTop + PadBottom) * `BR_OUT(Width, PadLeft + PadRight) * Folds)
`BR_CHECK_FRAME(br_frame_rx, FrameBytes)
`BR_CHECK_FRAME(br_link, ImageBytes / OutLanes)
`BR_CHECK_FRAME(br_max_pool, OutHeight * OutWidth * Groups)
`BR_CHECK_FRAME(br_real_conv, `BR_OUT(Height, PadTop + PadBottom) * `BR_OUT(Width, PadLeft + PadRight)
                * OutChannels / OutLanes)
`BR_CHECK_FRAME(br_unfold, Height * OutWidth)
`BR_CHECK_FRAME(br_window, OutHeight * OutWidth * Folds * KernelH * KernelW * Chunks)

`BR_CHECK_ADDRESS(br_axi_reader, ar)
`BR_CHECK_ANSWERS(br_axi_reader, m_axi_r, issue, unused_len, m_axi_rvalid && m_axi_rready, m_axi_rlast, 1'b0)
`BR_CHECK_ADDRESS(br_axi_writer, aw)
`BR_CHECK_ANSWERS(br_axi_writer, m_axi_w_bursts, issue, len, m_axi_wvalid && m_axi_wready, m_axi_wlast, 1'b0)
`BR_CHECK_ANSWERS(br_axi_writer, m_axi_b, m_axi_wvalid && m_axi_wready && m_axi_wlast, 8'd0,
                  m_axi_bvalid && m_axi_bready, 1'b1, idle_o)
bind br_axi_writer br_stream_check #(
  .Width(DataWidth + 1)
) u_check_m_axi_w (
  .clk_i,
  .rst_ni,
  .beat_i  ({m_axi_wlast, m_axi_wdata}),
  .tvalid_i(m_axi_wvalid),
  .tready_i(m_axi_wready)
);

bind br_fifo br_fifo_check #(
  .Depth(Depth)
) u_check_fill (
  .clk_i,
  .rst_ni,
  .s_axis_tvalid,
  .s_axis_tready,
  .m_axis_tvalid,
  .m_axis_tready,
  .usage_i   (32'(usage_o)),
  .max_fill_i(32'(max_fill_o))
);

`endif  // BR_CHECK_ALL

`undef BR_OUT
`undef BR_CHECK_ANSWERS
`undef BR_CHECK_ADDRESS
`undef BR_CHECK_FRAME
`undef BR_CHECK_STREAM
`undef BR_CHECK_BEATS
`default_nettype wire
