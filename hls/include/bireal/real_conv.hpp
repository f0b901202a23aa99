// real_conv: Kernel x Kernel convolution of integers, 8-bit weights, then offset, shift, saturation per channel.
// Function       y[o] = sat_OutWidth(((sum over taps of w[o]*x + H[o]) << LeftShift) >> shift[o]); a tap outside the
//                image is an ordinary 0. Also the 1x1 shortcut and, on a 1x1 image, the classifier.
// Stream in      beat = InLanes elements of InWidth signed bits, lowest channel in the low bits; rows from the top,
//                pixels from the left; InLanes = InChannels (a whole pixel) for Kernel > 1, Simd for Kernel = 1
// Stream out     beat = OutLanes signed elements of OutWidth bits, lowest output channel in the low bits
// Parameters     Simd divides Kernel*InChannels (the row of a window is unfolded), Pe divides OutChannels, OutLanes
//                divides Pe, PadTop + PadBottom and PadLeft + PadRight less than Kernel; every sum and sum + H fit
//                AccWidth bits
// Memory         weights[(OutChannels/Pe)*(K/Simd)][Pe*Simd], K = Kernel*Kernel*InChannels, entries of 8 bits, and
//                scales[OutChannels/OutLanes][OutLanes], shift (unsigned, SWidth bits) low, H (signed) above:
//                docs/architecture.md, section 4
// Throughput     a frame every max(input beats, Ho*Wo*(OutChannels/Pe)*Kernel*C, output beats) iterations, C =
//                Kernel*InChannels/Simd; for Kernel > 1 also at least Height*(Kernel-1-PadLeft + Wo*max(Stride, C)),
//                which is more only where windows are few. Three loops at once for Kernel > 1, else two: unfold, multiply, scale
// Source         arXiv:1808.00278, section 4 (real-valued layers); golden in bireal_hw/ops/real_conv.py
#ifndef BIREAL_REAL_CONV_HPP
#define BIREAL_REAL_CONV_HPP

#include <type_traits>

#include "common.hpp"
#include "window.hpp"

namespace bireal {

// The window of the multiplying loop: rows of unfolded pixels, stacked.
template <class Config>
struct RealWindow {
  static_assert(Config::OutChannels % Config::Pe == 0, "real_conv: OutChannels must be a multiple of Pe");
  static_assert(Config::Kernel * Config::InChannels % Config::Simd == 0,
                "real_conv: Kernel*InChannels must be a multiple of Simd");
  static_assert(Config::Pe % Config::OutLanes == 0, "real_conv: Pe must be a multiple of OutLanes");
  static_assert(Config::SWidth >= 1 && Config::HWidth >= 1, "real_conv: SWidth and HWidth must be at least 1");
  static constexpr bool Unfolded = Config::Kernel > 1;
  static constexpr int Height = Config::Height;
  static constexpr int Padded = Config::PadLeft + Config::Width + Config::PadRight;
  static constexpr int Width = Unfolded ? (Padded - Config::Kernel) / Config::Stride + 1 : Config::Width;
  static constexpr int Chunks = Config::Kernel * Config::InChannels / Config::Simd;
  static constexpr int KernelH = Config::Kernel, KernelW = 1;
  static constexpr int StrideH = Config::Stride, StrideW = Unfolded ? 1 : Config::Stride;
  static constexpr int PadTop = Config::PadTop, PadLeft = 0, PadBottom = Config::PadBottom, PadRight = 0;
  static constexpr int Folds = Config::OutChannels / Config::Pe;
  // Words of the weight memory.
  static constexpr int Depth = Folds * KernelH * Chunks;
};

// Puts the Kernel horizontally neighbouring pixels of each window row side by side, Simd elements a beat; what lies
// outside the row is 0. A row enters as its pixels and what zeros its last window has behind them.
template <class Config>
void unfold(hls::stream<ap_uint<Config::InChannels * Config::InWidth>>& in,
            hls::stream<ap_uint<Config::Simd * Config::InWidth>>& out, int frames) {
  constexpr int Pixel = Config::InChannels * Config::InWidth, Beat = Config::Simd * Config::InWidth;
  constexpr int Chunks = RealWindow<Config>::Chunks, Slot = max(Config::Stride, Chunks);
  constexpr int Lead = Config::Kernel - 1 - Config::PadLeft;  // columns that enter before the first window's last one
  constexpr int Row = Lead + RealWindow<Config>::Width * Slot, Beats = Config::Height * Row;
  ap_uint<Config::Kernel * Pixel> taps = 0, rest = 0;  // the newest pixel in the high bits; what is still to be sent
  Count<Row - 1> at = 0;             // in the row
  Count<Row> column = 0;             // of the next pixel
  SignedCount<Slot> slot = -Lead;  // position within the current window's slot
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    const bool row_end = at == Row - 1;
    if (slot < Config::Stride) {
      ap_uint<Pixel> pixel = 0;
      if (column < Config::Width) pixel = in.read();
      taps >>= Pixel;
      taps.range(Config::Kernel * Pixel - 1, (Config::Kernel - 1) * Pixel) = pixel;
      ++column;
    }
    if (slot == 0) rest = taps;
    if (slot >= 0 && slot < Chunks) {
      out.write(ap_uint<Beat>(rest));
      rest >>= Beat;
    }
    slot = step(slot, slot == Slot - 1);
    at = step(at, row_end);
    if (row_end) {
      column = 0;
      slot = -Lead;
      taps = 0;  // the padding on the left of the next row
    }
  }
  ran(static_cast<long>(frames) * Beats);
}

// The matrix unit: Pe sums at a time.
template <class Config>
void multiply(hls::stream<ap_uint<Config::Simd * Config::InWidth>>& in,
              hls::stream<ap_uint<Config::Pe * Config::AccWidth>>& out,
              const Entry<8> (&weights)[RealWindow<Config>::Depth][Config::Pe * Config::Simd], int frames) {
  typedef RealWindow<Config> Shape;
  typedef Window<Shape> Buffer;
  Buffer window;
  ap_uint<Config::Simd * Config::InWidth> pixels[Buffer::Words];
  BIREAL_PRAGMA(HLS DEPENDENCE variable=pixels intra RAW false)
  ap_int<Config::AccWidth> sums[Config::Pe];
  BIREAL_PRAGMA(HLS ARRAY_PARTITION variable=sums complete)
  for (int p = 0; p < Config::Pe; ++p) {
    BIREAL_PRAGMA(HLS UNROLL)
    sums[p] = 0;
  }

  long iterations = 0;
  Count<Shape::Depth - 1> word = 0;  // of the weights
  Countdown<Buffer::Arrivals> arrivals(frames);
  for (Countdown<Buffer::Beats> beats(frames); beats.left() || arrivals.left();) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Buffer::Longest max=Buffer::Longest)
    const bool ready = beats.left() && window.ready();
    ap_uint<Config::Simd * Config::InWidth> beat;
    const bool arrives = arrivals.left() && window.room() && in.read_nb(beat);
    if (!ready && !arrives) starved("real_conv");
    if (arrives) {
      arrivals.next();
      pixels[window.push()] = beat;
    }
    if (ready) {
      ap_int<Config::InWidth> x[Config::Simd];
      BIREAL_PRAGMA(HLS ARRAY_PARTITION variable=x complete)
      ap_uint<Config::Simd * Config::InWidth> taps = 0;
      if (window.inside()) taps = pixels[window.address()];
      for (int j = 0; j < Config::Simd; ++j) {
        BIREAL_PRAGMA(HLS UNROLL)
        x[j] = element<Config::InWidth>(taps, j);
      }
      const bool first = window.first(), last = window.last();
      ap_uint<Config::Pe * Config::AccWidth> made;
      for (int p = 0; p < Config::Pe; ++p) {
        BIREAL_PRAGMA(HLS UNROLL)
        ap_int<Config::AccWidth> products = 0;
        for (int j = 0; j < Config::Simd; ++j) {
          BIREAL_PRAGMA(HLS UNROLL)
          products += field<8, 0, 8>(weights[word][p * Config::Simd + j]) * x[j];
        }
        const ap_int<Config::AccWidth> sum = (first ? ap_int<Config::AccWidth>(0) : sums[p]) + products;
        sums[p] = sum;
        if (last) set_element(made, p, sum);
      }
      if (last) out.write(made);
      word = step(word, word == Shape::Depth - 1);
      window.next();
      beats.next();
    }
    ++iterations;
  }
  ran(iterations);
}

// Offset, shift and saturation, OutLanes sums at a time.
template <class Config>
void scale(hls::stream<ap_uint<Config::Pe * Config::AccWidth>>& in,
           hls::stream<ap_uint<Config::OutLanes * Config::OutWidth>>& out,
           const Entry<Config::SWidth + Config::HWidth> (
               &scales)[Config::OutChannels / Config::OutLanes][Config::OutLanes],
           int frames) {
  constexpr int Entries = Config::OutChannels / Config::OutLanes, Pieces = Config::Pe / Config::OutLanes;
  constexpr int Beats = Window<RealWindow<Config>>::OutHeight * Window<RealWindow<Config>>::OutWidth * Entries;
  constexpr int FullWidth = Config::AccWidth + Config::LeftShift;
  ap_uint<Config::Pe * Config::AccWidth> sums = 0;  // the next piece in the low bits
  Count<Pieces - 1> piece = 0;
  Count<Entries - 1> entry = 0;
  for (Countdown<Beats> beats(frames); beats.left(); beats.next()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
    if (piece == 0) sums = in.read();
    ap_uint<Config::OutLanes * Config::OutWidth> beat;
    for (int l = 0; l < Config::OutLanes; ++l) {
      BIREAL_PRAGMA(HLS UNROLL)
      const ap_uint<Config::SWidth + Config::HWidth> constants = scales[entry][l];
      const ap_uint<Config::SWidth> shift = constants;
      const ap_int<Config::HWidth> offset = ap_uint<Config::HWidth>(constants >> Config::SWidth);
      const ap_int<Config::AccWidth> sum = element<Config::AccWidth>(sums, l) + offset;
      const ap_int<FullWidth> shifted = (ap_int<FullWidth>(sum) << Config::LeftShift) >> shift;
      set_element(beat, l, saturate<Config::OutWidth>(shifted));
    }
    out.write(beat);
    sums >>= Config::OutLanes * Config::AccWidth;
    piece = step(piece, piece == Pieces - 1);
    entry = step(entry, entry == Entries - 1);
  }
  ran(static_cast<long>(frames) * Beats);
}

// For a kernel of one pixel.
template <class Config>
typename std::enable_if<!RealWindow<Config>::Unfolded>::type real_conv(
    hls::stream<ap_uint<Config::Simd * Config::InWidth>>& in,
    hls::stream<ap_uint<Config::OutLanes * Config::OutWidth>>& out,
    const Entry<8> (&weights)[RealWindow<Config>::Depth][Config::Pe * Config::Simd],
    const Entry<Config::SWidth + Config::HWidth> (&scales)[Config::OutChannels / Config::OutLanes][Config::OutLanes],
    int frames) {
  BIREAL_PRAGMA(HLS DATAFLOW)
  BIREAL_PRAGMA(HLS STABLE variable=frames)
  hls::stream<ap_uint<Config::Pe * Config::AccWidth>> sums("sums");
  multiply<Config>(in, sums, weights, frames);
  scale<Config>(sums, out, scales, frames);
}

// For a larger one.
template <class Config>
typename std::enable_if<RealWindow<Config>::Unfolded>::type real_conv(
    hls::stream<ap_uint<Config::InChannels * Config::InWidth>>& in,
    hls::stream<ap_uint<Config::OutLanes * Config::OutWidth>>& out,
    const Entry<8> (&weights)[RealWindow<Config>::Depth][Config::Pe * Config::Simd],
    const Entry<Config::SWidth + Config::HWidth> (&scales)[Config::OutChannels / Config::OutLanes][Config::OutLanes],
    int frames) {
  BIREAL_PRAGMA(HLS DATAFLOW)
  BIREAL_PRAGMA(HLS STABLE variable=frames)
  hls::stream<ap_uint<Config::Simd * Config::InWidth>> rows("rows");
  hls::stream<ap_uint<Config::Pe * Config::AccWidth>> sums("sums");
  unfold<Config>(in, rows, frames);
  multiply<Config>(rows, sums, weights, frames);
  scale<Config>(sums, out, scales, frames);
}

}  // namespace bireal

#endif
