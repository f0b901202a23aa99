// sign: fixed-point stream to bits.
// Function       bit = 1 (meaning +1) where x >= t_c, else 0 (meaning -1); t_c = 0 without thresholds
// Stream in      beat = Lanes signed numbers of InWidth bits, lowest channel in the low bits
// Stream out     beat = Lanes bits, lowest channel in bit 0
// Parameters     Beats of a frame, Lanes >= 1, InWidth >= 1; with thresholds also Channels, a multiple of Lanes, and
//                TWidth, the bits of t_c, signed
// Memory         thresholds[Channels/Lanes][Lanes]: t_c; none without thresholds
// Throughput     frames * Beats iterations: a frame every Beats cycles
// Source         arXiv:1808.00278, section 3.1; RSign, arXiv:2003.03488; golden in bireal_hw/ops/sign.py
#ifndef BIREAL_SIGN_HPP
#define BIREAL_SIGN_HPP

#include "common.hpp"

namespace bireal {

template <class Config>
void sign(hls::stream<ap_uint<Config::Lanes * Config::InWidth>>& in, hls::stream<ap_uint<Config::Lanes>>& out,
          int frames) {
  static_assert(Config::Beats >= 1 && Config::Lanes >= 1, "sign: Beats and Lanes must be at least 1");
  constexpr int Beats = Config::Beats;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const ap_uint<Config::Lanes * Config::InWidth> beat = in.read();
    ap_uint<Config::Lanes> bits;
    for (int l = 0; l < Config::Lanes; ++l) {
      BIREAL_PRAGMA(HLS UNROLL)
      bits[l] = !beat[(l + 1) * Config::InWidth - 1];
    }
    out.write(bits);
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

template <class Config>
void sign(hls::stream<ap_uint<Config::Lanes * Config::InWidth>>& in, hls::stream<ap_uint<Config::Lanes>>& out,
          const Entry<Config::TWidth> (&thresholds)[Config::Channels / Config::Lanes][Config::Lanes], int frames) {
  static_assert(Config::Channels % Config::Lanes == 0, "sign: Channels must be a multiple of Lanes");
  constexpr int Groups = Config::Channels / Config::Lanes;
  Count<Groups - 1> group = 0;  // channels of the next beat
  constexpr int Beats = Config::Beats;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const ap_uint<Config::Lanes * Config::InWidth> beat = in.read();
    ap_uint<Config::Lanes> bits;
    for (int l = 0; l < Config::Lanes; ++l) {
      BIREAL_PRAGMA(HLS UNROLL)
      const auto threshold = field<Config::TWidth, 0, Config::TWidth>(thresholds[group][l]);
      bits[l] = element<Config::InWidth>(beat, l) >= threshold;
    }
    out.write(bits);
    group = step(group, group == Groups - 1);
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

}  // namespace bireal

#endif
