// sum: two streams added and saturated.
// Function       y = a + b, saturated to OutWidth bits
// Stream in      in: beat = Lanes signed numbers a of InWidth bits; addend: beat = Lanes signed numbers b of AddendWidth
//                bits; lowest channel in the low bits; beats are taken in pairs
// Stream out     beat = Lanes signed numbers of OutWidth bits
// Parameters     Beats of a frame, Lanes >= 1
// Throughput     frames * Beats iterations: a frame every Beats cycles
// Source         golden in bireal_hw/ops/sum.py
#ifndef BIREAL_SUM_HPP
#define BIREAL_SUM_HPP

#include "common.hpp"

namespace bireal {

template <class Config>
void sum(hls::stream<ap_uint<Config::Lanes * Config::InWidth>>& in,
         hls::stream<ap_uint<Config::Lanes * Config::AddendWidth>>& addend,
         hls::stream<ap_uint<Config::Lanes * Config::OutWidth>>& out, int frames) {
  static_assert(Config::Beats >= 1 && Config::Lanes >= 1, "sum: Beats and Lanes must be at least 1");
  constexpr int SumWidth = max(max(Config::InWidth, Config::AddendWidth), Config::OutWidth) + 1;
  constexpr int Beats = Config::Beats;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const ap_uint<Config::Lanes * Config::InWidth> a = in.read();
    const ap_uint<Config::Lanes * Config::AddendWidth> b = addend.read();
    ap_uint<Config::Lanes * Config::OutWidth> total;
    for (int l = 0; l < Config::Lanes; ++l) {
      BIREAL_PRAGMA(HLS UNROLL)
      const ap_int<SumWidth> y = element<Config::InWidth>(a, l) + element<Config::AddendWidth>(b, l);
      set_element(total, l, saturate<Config::OutWidth>(y));
    }
    out.write(total);
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

}  // namespace bireal

#endif
