// axis: the network's two ends on AXI4-Stream.
// Function       take_pixels drops TLAST and keeps TDATA; give_logits sends Lanes logits a beat, each sign-extended to 32
//                bits, and TLAST on the last beat of the call, where a DMA transfer ends
// Stream in      TDATA = the channels of one pixel, 8 bits each, lowest channel in the low byte; TLAST is not read
// Stream out     TDATA = Lanes * 32 bits, lowest class in the low bits: an array of int32 in memory
// Parameters     Beats of a frame, Lanes of a beat, Width of a logit, at most 32
// Throughput     frames * Beats iterations: a frame every Beats cycles
// Source         the vendor's ap_axi_sdata.h where there is one; open headers have none, so its fields stand here
#ifndef BIREAL_AXIS_HPP
#define BIREAL_AXIS_HPP

#include "common.hpp"

#if __has_include(<ap_axi_sdata.h>)
#include <ap_axi_sdata.h>
#endif

namespace bireal {

#if __has_include(<ap_axi_sdata.h>)
template <int Width>
using AxisBeat = ap_axiu<Width, 0, 0, 0>;
#else
template <int Width>
struct AxisBeat {
  ap_uint<Width> data;
  ap_uint<Width / 8> keep, strb;
  ap_uint<1> last;
};
#endif

template <class Config>
void take_pixels(hls::stream<AxisBeat<8 * Config::Lanes>>& in, hls::stream<ap_uint<8 * Config::Lanes>>& out,
                 int frames) {
  constexpr int Beats = Config::Beats;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    out.write(in.read().data);
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

template <class Config>
void give_logits(hls::stream<ap_uint<Config::Lanes * Config::Width>>& in,
                 hls::stream<AxisBeat<32 * Config::Lanes>>& out, int frames) {
  static_assert(Config::Width <= 32, "give_logits: a logit must fit 32 bits");
  constexpr int Beats = Config::Beats;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const ap_uint<Config::Lanes * Config::Width> logits = in.read();
    AxisBeat<32 * Config::Lanes> beat;
    for (int l = 0; l < Config::Lanes; ++l) {
      BIREAL_PRAGMA(HLS UNROLL)
      set_element(beat.data, l, ap_int<32>(element<Config::Width>(logits, l)));
    }
    beat.keep = -1;
    beat.strb = -1;
    beat.last = beats.last();
    out.write(beat);
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

}  // namespace bireal

#endif
