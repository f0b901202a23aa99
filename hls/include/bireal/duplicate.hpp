// duplicate: the channels of every pixel Copies times behind each other.
// Function       out[c] = in[c mod Channels], Copies * Channels channels
// Stream in      beat = OutLanes numbers of InWidth bits of one pixel; lowest channel in the low bits
// Stream out     the same format
// Parameters     Beats of a frame of the input; Copies >= 1, OutLanes divides Channels
// Throughput     frames * Copies * Beats iterations: a frame every Copies * Beats cycles
// Source         golden in bireal_hw/ops/duplicate.py
#ifndef BIREAL_DUPLICATE_HPP
#define BIREAL_DUPLICATE_HPP

#include "upsample.hpp"

namespace bireal {

// The beats of a pixel with Copies times the channels are those of the pixel Copies times: upsampling along rows of one
// pixel.
template <class Config>
struct DuplicateRows {
  enum : int {
    Height = Config::Beats / (Config::Channels / Config::OutLanes),
    Width = 1,
    Channels = Config::Channels,
    Lanes = Config::OutLanes,
    InWidth = Config::InWidth,
    FactorH = 1,
    FactorW = Config::Copies
  };
};

template <class Config>
void duplicate(hls::stream<ap_uint<Config::OutLanes * Config::InWidth>>& in,
               hls::stream<ap_uint<Config::OutLanes * Config::InWidth>>& out, int frames) {
  static_assert(Config::Channels % Config::OutLanes == 0, "duplicate: Channels must be a multiple of OutLanes");
  static_assert(Config::Copies >= 1, "duplicate: Copies must be at least 1");
  upsample<DuplicateRows<Config>>(in, out, frames);
}

}  // namespace bireal

#endif
