// affine: affine of the convolution's sums, where no shortcut is added.
// Function       r' = sat((G_c*dot + H_c) >> Shift), saturation to OutWidth bits
// Stream in      beat = Lanes signed sums dot of DotWidth bits, lowest channel in the low bits
// Stream out     beat = Lanes signed numbers of OutWidth bits
// Parameters     Beats of a frame; Lanes divides Channels; G_c, H_c signed, GWidth and HWidth bits; Shift >= 0
// Memory         affine[Channels/Lanes][Lanes]: G_c in the low GWidth bits, H_c above
// Throughput     frames * Beats iterations: a frame every Beats cycles
// Source         golden in bireal_hw/ops/affine.py
#ifndef BIREAL_AFFINE_HPP
#define BIREAL_AFFINE_HPP

#include "common.hpp"

namespace bireal {

template <class Config>
void affine(hls::stream<ap_uint<Config::Lanes * Config::DotWidth>>& sums,
            hls::stream<ap_uint<Config::Lanes * Config::OutWidth>>& out,
            const Entry<Config::GWidth + Config::HWidth> (&affine)[Config::Channels / Config::Lanes][Config::Lanes],
            int frames) {
  static_assert(Config::Channels % Config::Lanes == 0, "affine: Channels must be a multiple of Lanes");
  static_assert(Config::Shift >= 0, "affine: Shift must not be negative");
  constexpr int Groups = Config::Channels / Config::Lanes;
  constexpr int FieldWidth = Config::GWidth + Config::HWidth;
  constexpr int SumWidth = max(max(Config::DotWidth + Config::GWidth, Config::HWidth) + 1, Config::OutWidth + 1);
  Count<Groups - 1> group = 0;  // channels of the next beat
  for (Countdown<Config::Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_HLS(PIPELINE II=1 style=flp)
    const ap_uint<Config::Lanes * Config::DotWidth> dot = sums.read();
    ap_uint<Config::Lanes * Config::OutWidth> made;
    for (int l = 0; l < Config::Lanes; ++l) {
      BIREAL_HLS(UNROLL)
      const auto gain = field<Config::GWidth, 0, FieldWidth>(affine[group][l]);
      const auto bias = field<Config::HWidth, Config::GWidth, FieldWidth>(affine[group][l]);
      const ap_int<SumWidth> t = gain * element<Config::DotWidth>(dot, l) + bias;
      set_element(made, l, saturate<Config::OutWidth>(ap_int<SumWidth>(t >> Config::Shift)));
    }
    out.write(made);
    group = step(group, group == Groups - 1);
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

}  // namespace bireal

#endif
