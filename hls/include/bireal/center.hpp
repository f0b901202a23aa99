// center: stored pixels to the signed input of the stem.
// Function       x = p - m_c
// Stream in      beat = Lanes pixels p of 8 bits unsigned, lowest channel in the low bits
// Stream out     beat = Lanes signed numbers of OutWidth bits
// Parameters     Beats of a frame; Lanes divides Channels; OutWidth 8 or 9 and wide enough for 0-m_c..255-m_c
// Memory         offsets[Channels/Lanes][Lanes]: m_c, 9 bits unsigned
// Throughput     frames * Beats iterations: a frame every Beats cycles
// Source         golden in bireal_hw/ops/center.py
#ifndef BIREAL_CENTER_HPP
#define BIREAL_CENTER_HPP

#include "common.hpp"

namespace bireal {

template <class Config>
void center(hls::stream<ap_uint<Config::Lanes * 8>>& in,
            hls::stream<ap_uint<Config::Lanes * Config::OutWidth>>& out,
            const Entry<9> (&offsets)[Config::Channels / Config::Lanes][Config::Lanes], int frames) {
  static_assert(Config::Channels % Config::Lanes == 0, "center: Channels must be a multiple of Lanes");
  static_assert(Config::OutWidth == 8 || Config::OutWidth == 9, "center: OutWidth must be 8 or 9");
  constexpr int Groups = Config::Channels / Config::Lanes;
  Count<Groups - 1> group = 0;  // channels of the next beat
  constexpr int Beats = Config::Beats;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const ap_uint<Config::Lanes * 8> beat = in.read();
    ap_uint<Config::Lanes * Config::OutWidth> centred;
    for (int l = 0; l < Config::Lanes; ++l) {
      BIREAL_PRAGMA(HLS UNROLL)
      const ap_uint<8> pixel = beat.range(l * 8 + 7, l * 8);
      const ap_int<Config::OutWidth> x = pixel - ap_uint<9>(offsets[group][l]);
      set_element(centred, l, x);
    }
    out.write(centred);
    group = step(group, group == Groups - 1);
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

}  // namespace bireal

#endif
