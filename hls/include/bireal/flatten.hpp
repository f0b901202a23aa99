// flatten: an image as one pixel of all its numbers; the beats stay as they are.
// Function       beat i of the pixel = beat i of the image
// Stream in      beat = Lanes numbers of InWidth bits of one pixel; rows from the top, pixels from the left, channels
//                ascending, lowest channel in the low bits
// Stream out     the same beats, in the same order
// Parameters     Beats of a frame, Lanes >= 1, InWidth >= 1
// Throughput     frames * Beats iterations: a frame every Beats cycles
// Source         golden in bireal_hw/ops/flatten.py
#ifndef BIREAL_FLATTEN_HPP
#define BIREAL_FLATTEN_HPP

#include "common.hpp"

namespace bireal {

template <class Config>
void flatten(hls::stream<ap_uint<Config::Lanes * Config::InWidth>>& in,
             hls::stream<ap_uint<Config::Lanes * Config::InWidth>>& out, int frames) {
  static_assert(Config::Beats >= 1 && Config::Lanes >= 1, "flatten: Beats and Lanes must be at least 1");
  constexpr int Beats = Config::Beats;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    out.write(in.read());
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

}  // namespace bireal

#endif
