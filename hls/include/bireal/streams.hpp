// streams: what stands between the layers: fork and width converter.
//
// fork: one stream to several readers.
// Function       every output gets every beat
// Parameters     Beats of a frame, Width bits of a beat
// Throughput     frames * Beats iterations; a beat is taken when all outputs have room
//
// width_converter: changes the number of elements a beat carries.
// Function       splits a beat into InLanes/OutLanes beats, or joins OutLanes/InLanes beats into one; order is kept
// Stream in      beat = InLanes elements of ElemWidth bits, first element in the low bits
// Stream out     beat = OutLanes elements, likewise
// Parameters     Beats of the narrower side in a frame; InLanes divides OutLanes or OutLanes divides InLanes
// Throughput     frames * Beats iterations: a frame every Beats cycles
// Source         the order of elements is that of docs/architecture.md, section 3
#ifndef BIREAL_STREAMS_HPP
#define BIREAL_STREAMS_HPP

#include "common.hpp"

namespace bireal {

template <int Width>
void write_all(const ap_uint<Width>&) { BIREAL_PRAGMA(HLS INLINE) }

template <int Width, class... Others>
void write_all(const ap_uint<Width>& beat, hls::stream<ap_uint<Width>>& out, Others&... others) {
  BIREAL_PRAGMA(HLS INLINE)
  out.write(beat);
  write_all(beat, others...);
}

template <class Config, class... Outputs>
void fork(hls::stream<ap_uint<Config::Width>>& in, int frames, Outputs&... outputs) {
  static_assert(sizeof...(Outputs) >= 2, "fork: it needs two outputs or more");
  constexpr int Beats = Config::Beats;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const ap_uint<Config::Width> beat = in.read();
    write_all(beat, outputs...);
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

template <class Config>
void width_converter(hls::stream<ap_uint<Config::InLanes * Config::ElemWidth>>& in,
                     hls::stream<ap_uint<Config::OutLanes * Config::ElemWidth>>& out, int frames) {
  static_assert(Config::InLanes % Config::OutLanes == 0 || Config::OutLanes % Config::InLanes == 0,
                "width_converter: one of InLanes and OutLanes must be a multiple of the other");
  constexpr bool Split = Config::InLanes > Config::OutLanes;
  constexpr int Ratio = Split ? Config::InLanes / Config::OutLanes : Config::OutLanes / Config::InLanes;
  constexpr int Narrow = min(Config::InLanes, Config::OutLanes) * Config::ElemWidth;
  static_assert(Config::Beats % Ratio == 0, "width_converter: a frame must end with a whole beat of the wider side");
  ap_uint<Narrow * Ratio> wide = 0;  // the next piece leaves at the low end, a new one enters at the high end
  Count<Ratio - 1> piece = 0;
  constexpr int Beats = Config::Beats;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const bool first = piece == 0, last = piece == Ratio - 1;
    piece = step(piece, last);
    if (Split) {
      if (first) wide = in.read();
      out.write(ap_uint<Config::OutLanes * Config::ElemWidth>(wide));
      wide >>= Narrow;
    } else {
      wide >>= Narrow;
      wide.range(Narrow * Ratio - 1, Narrow * (Ratio - 1)) = ap_uint<Narrow>(in.read());
      if (last) out.write(ap_uint<Config::OutLanes * Config::ElemWidth>(wide));
    }
  }
  ran(static_cast<long>(frames) * Config::Beats);
}

}  // namespace bireal

#endif
