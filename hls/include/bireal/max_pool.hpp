// max_pool: largest value of each window; windows side by side, or with a row and a column in common.
// Function       out[y][x] = largest of in[y*(KernelH-Overlap)-PadTop..][x*(KernelW-Overlap)-PadLeft..], KernelH x
//                KernelW taps, those outside the image left out; what is left over at the end is dropped
// Stream in      beat = Lanes numbers of InWidth bits of one pixel; rows from the top, pixels from the left
// Stream out     the same format
// Parameters     Lanes divides Channels, at least one window fits; Overlap = 1 takes kernels of 2 and more; pads are less
//                than the kernel without Overlap; Signed = 0 compares without sign, as bits of -1 and +1 are
// Throughput     frames * Height*Width*(Channels/Lanes) iterations: a frame every Height*Width*(Channels/Lanes) cycles
// Source         golden in bireal_hw/ops/max_pool.py. The maximum runs along the row, then down the column, and both are the
//                same step: a value begins the maximum or is taken in; where a window ends the maximum is complete, and
//                what windows have in common, the value, begins the next one
#ifndef BIREAL_MAX_POOL_HPP
#define BIREAL_MAX_POOL_HPP

#include "common.hpp"

namespace bireal {

// The larger number of each lane.
template <int Width, bool Signed, int Bits>
ap_uint<Bits> lane_max(const ap_uint<Bits>& a, const ap_uint<Bits>& b) {
  BIREAL_PRAGMA(HLS INLINE)
  ap_uint<Bits> larger = a;
  for (int l = 0; l < Bits / Width; ++l) {
    BIREAL_PRAGMA(HLS UNROLL)
    const ap_int<Width> x = element<Width>(a, l), y = element<Width>(b, l);
    if (Signed ? y > x : ap_uint<Width>(y) > ap_uint<Width>(x)) set_element(larger, l, y);
  }
  return larger;
}

template <class Config>
void max_pool(hls::stream<ap_uint<Config::Lanes * Config::InWidth>>& in,
              hls::stream<ap_uint<Config::Lanes * Config::InWidth>>& out, int frames) {
  static_assert(Config::Channels % Config::Lanes == 0, "max_pool: Channels must be a multiple of Lanes");
  static_assert(Config::Overlap <= 1 && Config::KernelH > Config::Overlap && Config::KernelW > Config::Overlap,
                "max_pool: Overlap must be 0 or 1 and less than the kernel");
  constexpr int StrideH = Config::KernelH - Config::Overlap, StrideW = Config::KernelW - Config::Overlap;
  static_assert(Config::PadTop < StrideH && Config::PadBottom < StrideH && Config::PadLeft < StrideW &&
                    Config::PadRight < StrideW,
                "max_pool: pads must be less than the stride");
  constexpr int PaddedHeight = Config::Height + Config::PadTop + Config::PadBottom;
  constexpr int PaddedWidth = Config::Width + Config::PadLeft + Config::PadRight;
  static_assert(PaddedHeight >= Config::KernelH && PaddedWidth >= Config::KernelW,
                "max_pool: a window must fit the image");
  constexpr int OutHeight = (PaddedHeight - Config::KernelH) / StrideH + 1;
  constexpr int OutWidth = (PaddedWidth - Config::KernelW) / StrideW + 1;
  // Whether the last windows reach over the edge; the place of the first row and column in the stride; whether that is
  // where a window ends, though there is none before them.
  constexpr bool OverY = OutHeight * StrideH + Config::Overlap - Config::PadTop > Config::Height;
  constexpr bool OverX = OutWidth * StrideW + Config::Overlap - Config::PadLeft > Config::Width;
  constexpr int StartY = (Config::PadTop + StrideH - Config::Overlap) % StrideH;
  constexpr int StartX = (Config::PadLeft + StrideW - Config::Overlap) % StrideW;
  constexpr bool AloneY = Config::Overlap != 0 && Config::PadTop == 0;
  constexpr bool AloneX = Config::Overlap != 0 && Config::PadLeft == 0;
  constexpr int Groups = Config::Channels / Config::Lanes;
  constexpr int Depth = OutWidth * Groups;
  constexpr int Beats = Config::Height * Config::Width * Groups;
  constexpr bool Overlap = Config::Overlap != 0, Signed = Config::Signed != 0;
  typedef ap_uint<Config::Lanes * Config::InWidth> Beat;

  // One running maximum per group of channels along the row, one per window and group down the column. What was written
  // last to either is also kept in a register: no memory is read in the cycle after its write.
  Beat row_maxima[Groups], column_maxima[Depth], latest_row = 0, latest_column = 0;
  BIREAL_PRAGMA(HLS DEPENDENCE variable=row_maxima inter RAW distance=2 true)
  BIREAL_PRAGMA(HLS DEPENDENCE variable=column_maxima inter RAW distance=2 true)
  SignedCount<Groups> latest_group = -1;
  SignedCount<Depth> latest_address = -1;
  // Of the next beat: channels, pixel, its place in the stride, and the maxima that are complete in the row before it.
  Count<Groups - 1> group = 0;
  Count<Config::Width - 1> x = 0;
  Count<Config::Height - 1> y = 0;
  Count<StrideW - 1> phase_x = StartX;
  Count<StrideH - 1> phase_y = StartY;
  Count<Depth> address = 0;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const bool group_end = group == Groups - 1, x_end = x == Config::Width - 1, y_end = y == Config::Height - 1;
    const bool wrap_x = phase_x == StrideW - 1, wrap_y = phase_y == StrideH - 1;
    const bool first_x = x == 0 || (!Overlap && phase_x == 0), first_y = y == 0 || (!Overlap && phase_y == 0);
    const bool whole_x = (wrap_x && !(AloneX && x == 0)) || (OverX && x_end);
    const bool whole_y = (wrap_y && !(AloneY && y == 0)) || (OverY && y_end);
    const Beat beat = in.read();

    Beat row_max = beat;
    if (!first_x) {
      const Beat stored = group == latest_group ? latest_row : row_maxima[group];
      row_max = lane_max<Config::InWidth, Signed>(stored, beat);
    }
    row_maxima[group] = latest_row = Overlap && whole_x ? beat : row_max;
    latest_group = group;

    if (whole_x) {
      Beat column_max = row_max;
      if (!first_y) {
        const Beat stored = address == latest_address ? latest_column : column_maxima[address];
        column_max = lane_max<Config::InWidth, Signed>(stored, row_max);
      }
      column_maxima[address] = latest_column = Overlap && whole_y ? row_max : column_max;
      latest_address = address;
      if (whole_y) out.write(column_max);
      ++address;
    }

    group = step(group, group_end);
    if (group_end) {
      x = step(x, x_end);
      phase_x = x_end ? Count<StrideW - 1>(StartX) : step(phase_x, wrap_x);
    }
    if (group_end && x_end) {
      y = step(y, y_end);
      phase_y = y_end ? Count<StrideH - 1>(StartY) : step(phase_y, wrap_y);
      address = 0;
    }
  }
  ran(static_cast<long>(frames) * Beats);
}

}  // namespace bireal

#endif
