// leaky_clip: a stream as it is inside -Limit..Limit, with the slope Gain/2^Shift outside.
// Function       y = c + ((Gain*(x - c) + 2^(Shift-1)) >> Shift), c = x clipped to -Limit..Limit
// Stream in      beat = Lanes signed numbers of InWidth bits, lowest channel in the low bits
// Stream out     beat = Lanes signed numbers of OutWidth bits
// Parameters     Beats of a frame, Lanes >= 1; Gain has GWidth bits as a signed number; Shift >= 1; OutWidth holds every y
// Throughput     frames * Beats iterations: a frame every Beats cycles
// Source         Bi-Real Net, IJCV 2020, the authors' release for 50 layers; golden in bireal_hw/ops/leaky_clip.py
#ifndef BIREAL_LEAKY_CLIP_HPP
#define BIREAL_LEAKY_CLIP_HPP

#include "common.hpp"

namespace bireal {

template <class Config>
void leaky_clip(hls::stream<ap_uint<Config::Lanes * Config::InWidth>>& in,
                hls::stream<ap_uint<Config::Lanes * Config::OutWidth>>& out, int frames) {
  static_assert(Config::Beats >= 1 && Config::Lanes >= 1, "leaky_clip: Beats and Lanes must be at least 1");
  static_assert(Config::Shift >= 1, "leaky_clip: Shift must be at least 1");
  constexpr int Width = Config::InWidth + 1;
  constexpr int ProductWidth = max(Width + Config::GWidth, Config::Shift) + 1;
  constexpr int Beats = Config::Beats;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const ap_uint<Config::Lanes * Config::InWidth> beat = in.read();
    ap_uint<Config::Lanes * Config::OutWidth> clipped;
    for (int l = 0; l < Config::Lanes; ++l) {
      BIREAL_PRAGMA(HLS UNROLL)
      const ap_int<Config::InWidth> x = element<Config::InWidth>(beat, l);
      ap_int<Width> core = x;
      if (x > Config::Limit) core = Config::Limit;
      if (x < -Config::Limit) core = -Config::Limit;
      const ap_int<Width> excess = x - core;
      const ap_int<ProductWidth> product = excess * ap_int<Config::GWidth>(Config::Gain);
      const ap_int<ProductWidth> leak = (product + (ap_int<ProductWidth>(1) << (Config::Shift - 1))) >> Config::Shift;
      set_element(clipped, l, ap_int<Config::OutWidth>(core + leak));
    }
    out.write(clipped);
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

}  // namespace bireal

#endif
