// binary_conv: Kernel x Kernel binary convolution of an NHWC pixel stream.
// Function       y[o] = 2*popcount(xnor(w[o], x)) - valid, over the taps inside the image; bit 1 means +1, bit 0 means
//                -1. With a border also over those outside, which hold its bits
// Stream in      beat = Simd channels of one pixel, lowest channel in bit 0; rows from the top, pixels from the left
// Stream out     beat = Pe signed sums of AccWidth bits, lowest output channel in the low bits
// Parameters     Simd divides InChannels, Pe divides OutChannels, PadTop + PadBottom and PadLeft + PadRight less than
//                Kernel; AccWidth holds every sum
// Memory         weights[(OutChannels/Pe)*(K/Simd)][Pe*Simd/Limb], K = Kernel*Kernel*InChannels: docs/architecture.md,
//                section 4; a lane's Simd bits lie in entries of Limb bits, Limb = limb_width(Simd).
//                border[InChannels/Simd][Simd/Limb]: the bits of a tap outside the image; where it adds nothing, none
// Throughput     a frame every max(Height*Width*C, Ho*Wo*(OutChannels/Pe)*Kernel*Kernel*C) iterations, C =
//                InChannels/Simd, Ho and Wo the sides of the output image, for Stride <= Kernel or Kernel = 1; the first
//                one takes C*N more at most, N = min(Height*Width, (Kernel-1-PadTop)*Width + Kernel-PadLeft). An iteration
//                waits only for input that the current window needs; a call takes the beats of its frames, those behind
//                their last windows too, and no other
// Source         arXiv:1808.00278, section 3; golden in bireal_hw/ops/binary_conv.py
#ifndef BIREAL_BINARY_CONV_HPP
#define BIREAL_BINARY_CONV_HPP

#include "common.hpp"
#include "window.hpp"

namespace bireal {

template <class Config>
struct BinaryWindow {
  static_assert(Config::OutChannels % Config::Pe == 0, "binary_conv: OutChannels must be a multiple of Pe");
  static_assert(Config::InChannels % Config::Simd == 0, "binary_conv: InChannels must be a multiple of Simd");
  static constexpr int Height = Config::Height, Width = Config::Width;
  static constexpr int Chunks = Config::InChannels / Config::Simd;
  static constexpr int KernelH = Config::Kernel, KernelW = Config::Kernel;
  static constexpr int StrideH = Config::Stride, StrideW = Config::Stride;
  static constexpr int PadTop = Config::PadTop, PadLeft = Config::PadLeft;
  static constexpr int PadBottom = Config::PadBottom, PadRight = Config::PadRight;
  static constexpr int Folds = Config::OutChannels / Config::Pe;
  // Words of the weight memory.
  static constexpr int Depth = Folds * KernelH * KernelW * Chunks;
  static constexpr int Limb = limb_width(Config::Simd), Limbs = Config::Simd / Limb;
};

template <class Config>
using BinaryWeights = Entry<BinaryWindow<Config>::Limb>[BinaryWindow<Config>::Depth]
                                                       [Config::Pe * BinaryWindow<Config>::Limbs];
template <class Config>
using BinaryBorder = Entry<BinaryWindow<Config>::Limb>[BinaryWindow<Config>::Chunks][BinaryWindow<Config>::Limbs];

// Both kernels below. Without HasBorder nothing is read of border.
template <class Config, bool HasBorder>
void binary_conv_with(hls::stream<ap_uint<Config::Simd>>& in, hls::stream<ap_uint<Config::Pe * Config::AccWidth>>& out,
                      const BinaryWeights<Config>& weights, const BinaryBorder<Config>& border, int frames) {
  BIREAL_PRAGMA(HLS INLINE)
  typedef BinaryWindow<Config> Shape;
  constexpr int Limb = Shape::Limb, Limbs = Shape::Limbs;

  typedef Window<Shape> Buffer;
  Buffer window;
  Entry<Limb> pixels[Buffer::Words][Limbs];
  BIREAL_PRAGMA(HLS ARRAY_RESHAPE variable=pixels complete dim=2)
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
    ap_uint<Config::Simd> beat;
    const bool arrives = arrivals.left() && window.room() && in.read_nb(beat);
    if (!ready && !arrives) starved("binary_conv");
    if (arrives) {
      arrivals.next();
      const int at = window.push();
      for (int i = 0; i < Limbs; ++i) {
        BIREAL_PRAGMA(HLS UNROLL)
        pixels[at][i] = ap_uint<Limb>(beat.range((i + 1) * Limb - 1, i * Limb));
      }
    }
    if (ready) {
      const int at = window.address();
      const bool first = window.first(), inside = window.inside(), last = window.last();
      ap_uint<Config::Pe * Config::AccWidth> made;
      for (int p = 0; p < Config::Pe; ++p) {
        BIREAL_PRAGMA(HLS UNROLL)
        ap_int<Config::AccWidth> sum = first ? ap_int<Config::AccWidth>(0) : sums[p];
        if (inside || HasBorder) {
          int different = 0;
          for (int i = 0; i < Limbs; ++i) {
            BIREAL_PRAGMA(HLS UNROLL)
            const Entry<Limb> x = inside ? pixels[at][i] : border[window.chunk()][i];
            different += popcount<Limb>(weights[word][p * Limbs + i] ^ x);
          }
          sum += Config::Simd - 2 * different;
        }
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

template <class Config>
void binary_conv(hls::stream<ap_uint<Config::Simd>>& in, hls::stream<ap_uint<Config::Pe * Config::AccWidth>>& out,
                 const BinaryWeights<Config>& weights, int frames) {
  static const BinaryBorder<Config> none = {};
  binary_conv_with<Config, false>(in, out, weights, none, frames);
}

template <class Config>
void binary_conv(hls::stream<ap_uint<Config::Simd>>& in, hls::stream<ap_uint<Config::Pe * Config::AccWidth>>& out,
                 const BinaryWeights<Config>& weights, const BinaryBorder<Config>& border, int frames) {
  binary_conv_with<Config, true>(in, out, weights, border, frames);
}

}  // namespace bireal

#endif
