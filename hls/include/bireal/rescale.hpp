// rescale: a linear function of each channel, or one of two linear pieces, shifted to another grid and clipped.
// Function       y = clip((G_c*x + H_c) >> Shift) to Low..High; KneeWidth > 0: below the knee, for x < K_c, with G'_c
//                and H'_c instead of G_c and H_c
// Stream in      beat = Lanes signed numbers x of InWidth bits, lowest channel in the low bits
// Stream out     beat = Lanes signed numbers of OutWidth bits
// Parameters     Beats of a frame; Lanes divides Channels; G_c, H_c signed, GWidth and HWidth bits, K_c signed, KneeWidth
//                bits; Shift >= 0; Low <= High, both of OutWidth bits
// Memory         affine[Channels/Lanes][Lanes]: G_c in the low GWidth bits, H_c above; below likewise with G'_c, H'_c;
//                knees[Channels/Lanes][Lanes]: K_c; the last two with a knee only
// Throughput     frames * Beats iterations: a frame every Beats cycles
// Source         golden in bireal_hw/ops/rescale.py
#ifndef BIREAL_RESCALE_HPP
#define BIREAL_RESCALE_HPP

#include "common.hpp"

namespace bireal {

template <class Config>
struct RescaleShape {
  static_assert(Config::Channels % Config::Lanes == 0, "rescale: Channels must be a multiple of Lanes");
  static_assert(Config::Shift >= 0, "rescale: Shift must not be negative");
  static_assert(Config::Low <= Config::High, "rescale: Low must not exceed High");
  static constexpr int Groups = Config::Channels / Config::Lanes, FieldWidth = Config::GWidth + Config::HWidth;
  typedef ap_uint<Config::Lanes * Config::InWidth> In;
  typedef ap_uint<Config::Lanes * Config::OutWidth> Out;
  typedef ap_int<Config::InWidth> Number;
  typedef Entry<FieldWidth> Affine;
  typedef Entry<max(Config::KneeWidth, 1)> Knee;

  // y of x with the gain and the bias of an entry.
  static ap_int<Config::OutWidth> apply(const Number& x, const Affine& entry) {
    BIREAL_PRAGMA(HLS INLINE)
    constexpr int SumWidth = max(max(Config::InWidth + Config::GWidth, Config::HWidth), Config::OutWidth) + 1;
    const ap_int<SumWidth> sum =
        x * field<Config::GWidth, 0, FieldWidth>(entry) + field<Config::HWidth, Config::GWidth, FieldWidth>(entry);
    const ap_int<SumWidth> shifted = sum >> Config::Shift;
    if (shifted < Config::Low) return Config::Low;
    if (shifted > Config::High) return Config::High;
    return shifted;
  }
};

template <class Config>
void rescale(hls::stream<typename RescaleShape<Config>::In>& in, hls::stream<typename RescaleShape<Config>::Out>& out,
             const typename RescaleShape<Config>::Affine (&affine)[RescaleShape<Config>::Groups][Config::Lanes],
             int frames) {
  typedef RescaleShape<Config> Shape;
  Count<Shape::Groups - 1> group = 0;  // channels of the next beat
  constexpr int Beats = Config::Beats;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const typename Shape::In beat = in.read();
    typename Shape::Out made;
    for (int l = 0; l < Config::Lanes; ++l) {
      BIREAL_PRAGMA(HLS UNROLL)
      set_element(made, l, Shape::apply(element<Config::InWidth>(beat, l), affine[group][l]));
    }
    out.write(made);
    group = step(group, group == Shape::Groups - 1);
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

// With a knee.
template <class Config>
void rescale(hls::stream<typename RescaleShape<Config>::In>& in, hls::stream<typename RescaleShape<Config>::Out>& out,
             const typename RescaleShape<Config>::Affine (&affine)[RescaleShape<Config>::Groups][Config::Lanes],
             const typename RescaleShape<Config>::Affine (&below)[RescaleShape<Config>::Groups][Config::Lanes],
             const typename RescaleShape<Config>::Knee (&knees)[RescaleShape<Config>::Groups][Config::Lanes],
             int frames) {
  typedef RescaleShape<Config> Shape;
  Count<Shape::Groups - 1> group = 0;  // channels of the next beat
  constexpr int Beats = Config::Beats;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const typename Shape::In beat = in.read();
    typename Shape::Out made;
    for (int l = 0; l < Config::Lanes; ++l) {
      BIREAL_PRAGMA(HLS UNROLL)
      const typename Shape::Number x = element<Config::InWidth>(beat, l);
      const auto knee = field<max(Config::KneeWidth, 1), 0, max(Config::KneeWidth, 1)>(knees[group][l]);
      set_element(made, l, Shape::apply(x, x >= knee ? affine[group][l] : below[group][l]));
    }
    out.write(made);
    group = step(group, group == Shape::Groups - 1);
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

}  // namespace bireal

#endif
