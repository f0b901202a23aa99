// avg_pool: average over windows that do not overlap, as an exact sum rounded once.
// Function       q = sat((sum of the KernelH x KernelW window + half) >> Shift), saturation to OutWidth bits;
//                half = 2^(Shift-1) for Shift > 0, else 0; a negative Shift is a left shift. The global pool is the kernel
//                Height x Width
// Stream in      beat = Lanes signed numbers of InWidth bits of one pixel; rows from the top, pixels from the left
// Stream out     beat = Lanes signed numbers of OutWidth bits
// Parameters     Lanes divides Channels, KernelH divides Height, KernelW divides Width; SumWidth bits hold any sum over a
//                window or a part of it
// Throughput     frames * Height*Width*(Channels/Lanes) iterations: a frame every Height*Width*(Channels/Lanes) cycles
// Source         golden in bireal_hw/ops/avg_pool.py
#ifndef BIREAL_AVG_POOL_HPP
#define BIREAL_AVG_POOL_HPP

#include "common.hpp"

namespace bireal {

template <class Config>
void avg_pool(hls::stream<ap_uint<Config::Lanes * Config::InWidth>>& in,
              hls::stream<ap_uint<Config::Lanes * Config::OutWidth>>& out, int frames) {
  static_assert(Config::Channels % Config::Lanes == 0, "avg_pool: Channels must be a multiple of Lanes");
  static_assert(Config::Height % Config::KernelH == 0 && Config::Width % Config::KernelW == 0,
                "avg_pool: the window must tile the image");
  constexpr int Groups = Config::Channels / Config::Lanes;
  constexpr int Depth = Config::Width / Config::KernelW * Groups;
  constexpr int Beats = Config::Height * Config::Width * Groups;
  constexpr int Right = max(Config::Shift, 0), Left = max(-Config::Shift, 0);
  constexpr int RoundWidth = max(max(Config::SumWidth, Right) + Left, Config::OutWidth) + 1;
  const ap_int<RoundWidth> Half = Right > 0 ? ap_int<RoundWidth>(ap_int<RoundWidth>(1) << max(Right - 1, 0)) : ap_int<RoundWidth>(0);

  // One sum per window beside each other and group of channels. The sum written last is also kept in a register, so that
  // the memory is never read in the cycle after its write.
  ap_uint<Config::Lanes * Config::SumWidth> sums[Depth], latest = 0;
  BIREAL_PRAGMA(HLS DEPENDENCE variable=sums inter RAW distance=2 true)
  SignedCount<Depth> latest_address = -1;
  // Of the next beat: channels, pixel inside the window, its sum.
  Count<Groups - 1> group = 0;
  Count<Config::KernelW - 1> column = 0;
  Count<Config::KernelH - 1> row = 0;
  Count<Depth - 1> address = 0;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const bool group_end = group == Groups - 1, column_end = column == Config::KernelW - 1;
    const bool row_end = row == Config::KernelH - 1, line_end = group_end && column_end && address == Depth - 1;
    const ap_uint<Config::Lanes * Config::InWidth> beat = in.read();
    ap_uint<Config::Lanes * Config::SumWidth> sum = 0;
    if (column != 0 || row != 0) sum = address == latest_address ? latest : sums[address];
    ap_uint<Config::Lanes * Config::OutWidth> pooled;
    for (int l = 0; l < Config::Lanes; ++l) {
      BIREAL_PRAGMA(HLS UNROLL)
      const ap_int<Config::SumWidth> total = element<Config::SumWidth>(sum, l) + element<Config::InWidth>(beat, l);
      const ap_int<RoundWidth> rounded = ((ap_int<RoundWidth>(total) << Left) + Half) >> Right;
      set_element(sum, l, total);
      set_element(pooled, l, saturate<Config::OutWidth>(rounded));
    }
    sums[address] = latest = sum;
    latest_address = address;
    if (column_end && row_end) out.write(pooled);

    group = step(group, group_end);
    if (group_end) column = step(column, column_end);
    if (line_end) row = step(row, row_end);
    if (group_end && !column_end) {
      address -= Groups - 1;
    } else {
      address = step(address, line_end);
    }
  }
  ran(static_cast<long>(frames) * Beats);
}

}  // namespace bireal

#endif
