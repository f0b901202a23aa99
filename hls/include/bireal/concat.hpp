// concat: the channels of two streams behind each other.
// Function       out[c] = in[c] for c < Channels, then other[c - Channels], OtherChannels of them; in OutWidth bits
// Stream in      in: beat = OutLanes signed numbers of InWidth bits of one pixel; other: the same of OtherWidth bits;
//                lowest channel in the low bits. A pixel's beats of the first are taken, then those of the other
// Stream out     beat = OutLanes signed numbers of OutWidth bits
// Parameters     Beats of a frame of the first input; OutLanes divides Channels and OtherChannels
// Throughput     frames * (beats of both inputs) iterations
// Source         golden in bireal_hw/ops/concat.py
#ifndef BIREAL_CONCAT_HPP
#define BIREAL_CONCAT_HPP

#include "common.hpp"

namespace bireal {

template <class Config>
void concat(hls::stream<ap_uint<Config::OutLanes * Config::InWidth>>& in,
            hls::stream<ap_uint<Config::OutLanes * Config::OtherWidth>>& other,
            hls::stream<ap_uint<Config::OutLanes * Config::OutWidth>>& out, int frames) {
  static_assert(Config::Channels % Config::OutLanes == 0 && Config::OtherChannels % Config::OutLanes == 0,
                "concat: Channels and OtherChannels must be multiples of OutLanes");
  static_assert(Config::OutWidth >= max(Config::InWidth, Config::OtherWidth),
                "concat: OutWidth must be at least InWidth and OtherWidth");
  constexpr int First = Config::Channels / Config::OutLanes;
  constexpr int All = First + Config::OtherChannels / Config::OutLanes;
  constexpr int Beats = Config::Beats / First * All;
  Count<All - 1> beat = 0;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    ap_uint<Config::OutLanes * Config::OutWidth> both;
    if (beat < First) {
      const ap_uint<Config::OutLanes * Config::InWidth> a = in.read();
      for (int l = 0; l < Config::OutLanes; ++l) {
        BIREAL_PRAGMA(HLS UNROLL)
        set_element(both, l, ap_int<Config::OutWidth>(element<Config::InWidth>(a, l)));
      }
    } else {
      const ap_uint<Config::OutLanes * Config::OtherWidth> b = other.read();
      for (int l = 0; l < Config::OutLanes; ++l) {
        BIREAL_PRAGMA(HLS UNROLL)
        set_element(both, l, ap_int<Config::OutWidth>(element<Config::OtherWidth>(b, l)));
      }
    }
    out.write(both);
    beat = step(beat, beat == All - 1);
  }
  ran(static_cast<long>(frames) * Beats);
}

}  // namespace bireal

#endif
