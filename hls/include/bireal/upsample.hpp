// upsample: every pixel repeated FactorW times along the row, every row FactorH times.
// Function       out[y][x] = in[y/FactorH][x/FactorW], rounded down
// Stream in      beat = Lanes numbers of InWidth bits of one pixel; rows from the top, pixels from the left
// Stream out     the same format
// Parameters     FactorH, FactorW >= 1, Lanes divides Channels; Height and Width of the input
// Throughput     frames * Beats iterations, Beats = FactorH*FactorW*Height*Width*(Channels/Lanes): a frame every Beats
//                cycles
// Source         golden in bireal_hw/ops/upsample.py
#ifndef BIREAL_UPSAMPLE_HPP
#define BIREAL_UPSAMPLE_HPP

#include "common.hpp"

namespace bireal {

template <class Config>
void upsample(hls::stream<ap_uint<Config::Lanes * Config::InWidth>>& in,
              hls::stream<ap_uint<Config::Lanes * Config::InWidth>>& out, int frames) {
  static_assert(Config::Channels % Config::Lanes == 0, "upsample: Channels must be a multiple of Lanes");
  static_assert(Config::FactorH >= 1 && Config::FactorW >= 1 && Config::Width >= 1,
                "upsample: FactorH, FactorW and Width must be at least 1");
  constexpr int Groups = Config::Channels / Config::Lanes;
  constexpr int Beats = Config::FactorH * Config::FactorW * Config::Height * Config::Width * Groups;
  typedef ap_uint<Config::Lanes * Config::InWidth> Beat;

  // A row of the input. What was written last is also kept in a register: the next iteration may read it.
  Beat row[Config::Width * Groups], latest = 0;
  BIREAL_PRAGMA(HLS DEPENDENCE variable=row inter RAW distance=2 true)
  SignedCount<Config::Width * Groups> latest_place = -1;
  // Of the next beat: place in the row, where its pixel begins, channels, copies along the row and down, pixel.
  Count<Config::Width * Groups - 1> place = 0, pixel = 0;
  Count<Groups - 1> group = 0;
  Count<Config::FactorW - 1> across = 0;
  Count<Config::FactorH - 1> down = 0;
  Count<Config::Width - 1> x = 0;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const bool group_end = group == Groups - 1, across_end = group_end && across == Config::FactorW - 1;
    const bool line_end = across_end && x == Config::Width - 1;
    Beat beat;
    if (across == 0 && down == 0) {
      beat = latest = row[place] = in.read();
      latest_place = place;
    } else {
      beat = place == latest_place ? latest : row[place];
    }
    out.write(beat);

    if (line_end) {
      place = pixel = 0;
    } else if (group_end && !across_end) {
      place = pixel;
    } else {
      ++place;
      if (across_end) pixel = place;
    }
    group = step(group, group_end);
    if (group_end) across = step(across, across_end);
    if (across_end) x = step(x, line_end);
    if (line_end) down = step(down, down == Config::FactorH - 1);
  }
  ran(static_cast<long>(frames) * Beats);
}

}  // namespace bireal

#endif
