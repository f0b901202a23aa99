// max_pool: 3x3 maximum, stride 2, padding 1.
// Function       out[y][x] = largest of in[2y-1..2y+1][2x-1..2x+1], taps outside the image left out
// Stream in      beat = Lanes signed numbers of InWidth bits of one pixel; rows from the top, pixels from the left
// Stream out     the same format
// Parameters     Height and Width even, Lanes divides Channels
// Throughput     frames * Height*Width*(Channels/Lanes) iterations: a frame every Height*Width*(Channels/Lanes) cycles
// Source         golden in bireal_hw/ops/max_pool.py. The maximum runs along the row, then down the column, and both are the
//                same step: at an even position the running maximum takes the value in, at an odd one it takes it in,
//                is complete, and the value starts the next maximum
#ifndef BIREAL_MAX_POOL_HPP
#define BIREAL_MAX_POOL_HPP

#include "common.hpp"

namespace bireal {

// The larger number of each lane.
template <int Width, int Bits>
ap_uint<Bits> lane_max(const ap_uint<Bits>& a, const ap_uint<Bits>& b) {
  BIREAL_HLS(INLINE)
  ap_uint<Bits> larger = a;
  for (int l = 0; l < Bits / Width; ++l) {
    BIREAL_HLS(UNROLL)
    const ap_int<Width> x = element<Width>(a, l), y = element<Width>(b, l);
    if (y > x) set_element(larger, l, y);
  }
  return larger;
}

template <class Config>
void max_pool(hls::stream<ap_uint<Config::Lanes * Config::InWidth>>& in,
              hls::stream<ap_uint<Config::Lanes * Config::InWidth>>& out, int frames) {
  static_assert(Config::Channels % Config::Lanes == 0, "max_pool: Channels must be a multiple of Lanes");
  static_assert(Config::Height % 2 == 0 && Config::Width % 2 == 0, "max_pool: Height and Width must be even");
  constexpr int Groups = Config::Channels / Config::Lanes;
  constexpr int Depth = Config::Width / 2 * Groups;
  constexpr int Beats = Config::Height * Config::Width * Groups;
  typedef ap_uint<Config::Lanes * Config::InWidth> Beat;

  // One running maximum per group of channels along the row, one per pixel pair and group down the column. What was
  // written last to the row's is also kept in a register: no memory is read in the cycle after its write.
  Beat row_maxima[Groups], column_maxima[Depth], latest = 0;
  BIREAL_HLS(DEPENDENCE variable=row_maxima inter RAW distance=2 true)
  BIREAL_HLS(DEPENDENCE variable=column_maxima inter RAW distance=2 true)
  SignedCount<Groups> latest_group = -1;
  // Of the next beat: channels, pixel, and the odd pixels of the row before it.
  Count<Groups - 1> group = 0;
  Count<Config::Width - 1> x = 0;
  Count<Config::Height - 1> y = 0;
  Count<Depth - 1> pair = 0;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_HLS(PIPELINE II=1 style=flp)
    const bool odd_x = x % 2 != 0, odd_y = y % 2 != 0;
    const bool group_end = group == Groups - 1, line_end = group_end && x == Config::Width - 1;
    const Beat beat = in.read();

    Beat row_max = beat;
    if (x != 0) {
      const Beat stored = group == latest_group ? latest : row_maxima[group];
      row_max = lane_max<Config::InWidth>(stored, beat);
    }
    row_maxima[group] = latest = odd_x ? beat : row_max;
    latest_group = group;

    if (odd_x) {
      Beat column_max = row_max;
      if (y != 0) column_max = lane_max<Config::InWidth>(column_maxima[pair], row_max);
      column_maxima[pair] = odd_y ? row_max : column_max;
      if (odd_y) out.write(column_max);
      pair = step(pair, line_end);
    }

    group = step(group, group_end);
    if (group_end) x = step(x, line_end);
    if (line_end) y = step(y, y == Config::Height - 1);
  }
  ran(static_cast<long>(frames) * Beats);
}

}  // namespace bireal

#endif
