// merge: affine of the convolution's sums and addition of the real-valued shortcut.
// Function       r' = sat(r + ((G_c*dot + H_c) >> Shift)), saturation to OutWidth bits
// Stream in      shortcut: beat = Lanes signed numbers r of ShortcutWidth bits; sums: beat = Lanes signed sums dot of
//                DotWidth bits; lowest channel in the low bits; beats are taken in pairs
// Stream out     beat = Lanes signed numbers of OutWidth bits
// Parameters     Beats of a frame; Lanes divides Channels; G_c, H_c signed, GWidth and HWidth bits; Shift >= 0
// Memory         affine[Channels/Lanes][Lanes]: G_c in the low GWidth bits, H_c above
// Throughput     frames * Beats iterations: a frame every Beats cycles
// Source         arXiv:1808.00278, section 3.2; golden in bireal_hw/ops/merge.py
#ifndef BIREAL_MERGE_HPP
#define BIREAL_MERGE_HPP

#include "common.hpp"

namespace bireal {

template <class Config>
void merge(hls::stream<ap_uint<Config::Lanes * Config::ShortcutWidth>>& shortcut,
           hls::stream<ap_uint<Config::Lanes * Config::DotWidth>>& sums,
           hls::stream<ap_uint<Config::Lanes * Config::OutWidth>>& out,
           const Entry<Config::GWidth + Config::HWidth> (&affine)[Config::Channels / Config::Lanes][Config::Lanes],
           int frames) {
  static_assert(Config::Channels % Config::Lanes == 0, "merge: Channels must be a multiple of Lanes");
  static_assert(Config::Shift >= 0, "merge: Shift must not be negative");
  constexpr int Groups = Config::Channels / Config::Lanes;
  constexpr int AffineWidth = max(Config::DotWidth + Config::GWidth, Config::HWidth) + 1;
  constexpr int SumWidth = max(max(AffineWidth, Config::ShortcutWidth), Config::OutWidth) + 1;
  Count<Groups - 1> group = 0;  // channels of the next beat
  for (Countdown<Config::Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_HLS(PIPELINE II=1 style=flp)
    const ap_uint<Config::Lanes * Config::ShortcutWidth> r = shortcut.read();
    const ap_uint<Config::Lanes * Config::DotWidth> dot = sums.read();
    ap_uint<Config::Lanes * Config::OutWidth> merged;
    for (int l = 0; l < Config::Lanes; ++l) {
      BIREAL_HLS(UNROLL)
      const auto& entry = affine[group][l];
      const auto gain = field<Config::GWidth, 0, Config::GWidth + Config::HWidth>(entry);
      const auto bias = field<Config::HWidth, Config::GWidth, Config::GWidth + Config::HWidth>(entry);
      const ap_int<AffineWidth> t = gain * element<Config::DotWidth>(dot, l) + bias;
      const ap_int<SumWidth> sum = element<Config::ShortcutWidth>(r, l) + (t >> Config::Shift);
      set_element(merged, l, saturate<Config::OutWidth>(sum));
    }
    out.write(merged);
    group = step(group, group == Groups - 1);
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

}  // namespace bireal

#endif
