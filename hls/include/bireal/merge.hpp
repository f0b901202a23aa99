// merge: affine of the convolution's sums and addition of the real-valued shortcut; a PReLU on request.
// Function       r' = sat(f(r + ((G_c*dot + H_c) >> Shift))), saturation to OutWidth bits; KWidth = 0: f(u) = u, else
//                f(u) = u for u >= 0, (u + half) >> k_c for u < 0, half = 2^(k_c-1), 0 for k_c = 0
// Stream in      shortcut: beat = Lanes signed numbers r of ShortcutWidth bits; sums: beat = Lanes signed sums dot of
//                DotWidth bits; lowest channel in the low bits; beats are taken in pairs
// Stream out     beat = Lanes signed numbers of OutWidth bits
// Parameters     Beats of a frame; Lanes divides Channels; G_c, H_c signed, GWidth and HWidth bits; k_c unsigned, KWidth bits;
//                Shift >= 0
// Memory         affine[Channels/Lanes][Lanes]: G_c in the low GWidth bits, then H_c, k_c
// Throughput     frames * Beats iterations: a frame every Beats cycles
// Source         arXiv:1808.00278, section 3.2; golden in bireal_hw/ops/merge.py
#ifndef BIREAL_MERGE_HPP
#define BIREAL_MERGE_HPP

#include "common.hpp"

namespace bireal {

// f(u) with the k_c of an entry, which stands above its lowest At bits.
template <int KWidth, int At>
struct Activation {
  template <int Width>
  static ap_int<max(Width, 1 << KWidth) + 1> of(const ap_int<Width>& u, const Entry<At + KWidth>& entry) {
    BIREAL_PRAGMA(HLS INLINE)
    typedef ap_int<max(Width, 1 << KWidth) + 1> Wide;
    const ap_uint<KWidth> k = ap_uint<KWidth>(ap_uint<At + KWidth>(entry) >> At);
    const Wide half = (Wide(1) << k) >> 1;
    return u < 0 ? Wide((u + half) >> k) : Wide(u);
  }
};
template <int At>
struct Activation<0, At> {
  template <int Width>
  static ap_int<Width> of(const ap_int<Width>& u, const Entry<At>&) {
    BIREAL_PRAGMA(HLS INLINE)
    return u;
  }
};

template <class Config>
void merge(hls::stream<ap_uint<Config::Lanes * Config::ShortcutWidth>>& shortcut,
           hls::stream<ap_uint<Config::Lanes * Config::DotWidth>>& sums,
           hls::stream<ap_uint<Config::Lanes * Config::OutWidth>>& out,
           const Entry<Config::GWidth + Config::HWidth + Config::KWidth> (
               &affine)[Config::Channels / Config::Lanes][Config::Lanes],
           int frames) {
  static_assert(Config::Channels % Config::Lanes == 0, "merge: Channels must be a multiple of Lanes");
  static_assert(Config::Shift >= 0, "merge: Shift must not be negative");
  constexpr int Groups = Config::Channels / Config::Lanes;
  constexpr int FieldWidth = Config::GWidth + Config::HWidth + Config::KWidth;
  constexpr int AffineWidth = max(Config::DotWidth + Config::GWidth, Config::HWidth) + 1;
  constexpr int SumWidth = max(max(AffineWidth, Config::ShortcutWidth), Config::OutWidth) + 1;
  Count<Groups - 1> group = 0;  // channels of the next beat
  constexpr int Beats = Config::Beats;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const ap_uint<Config::Lanes * Config::ShortcutWidth> r = shortcut.read();
    const ap_uint<Config::Lanes * Config::DotWidth> dot = sums.read();
    ap_uint<Config::Lanes * Config::OutWidth> merged;
    for (int l = 0; l < Config::Lanes; ++l) {
      BIREAL_PRAGMA(HLS UNROLL)
      const auto& entry = affine[group][l];
      const auto gain = field<Config::GWidth, 0, FieldWidth>(entry);
      const auto bias = field<Config::HWidth, Config::GWidth, FieldWidth>(entry);
      const ap_int<AffineWidth> t = gain * element<Config::DotWidth>(dot, l) + bias;
      const ap_int<SumWidth> sum = element<Config::ShortcutWidth>(r, l) + (t >> Config::Shift);
      const auto activated = Activation<Config::KWidth, Config::GWidth + Config::HWidth>::of(sum, entry);
      set_element(merged, l, saturate<Config::OutWidth>(activated));
    }
    out.write(merged);
    group = step(group, group == Groups - 1);
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

}  // namespace bireal

#endif
