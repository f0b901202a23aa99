// window: positions of a sliding window over an NHWC stream, each window read out Folds times.
// Function       for every output pixel (oy, ox) in raster order, Folds times: the KernelH*KernelW taps in order (ky,
//                kx), each as Chunks beats, lowest channels first; tap (ky, kx) is pixel (oy*StrideH - PadTop + ky,
//                ox*StrideW - PadLeft + kx), or padding where that lies outside the image
// Use            the kernel owns the memory of Words beats and counts down Beats of windows and Arrivals of each frame; each
//                iteration of its loop first asks ready() (the window's next beat has arrived), then may write a beat that
//                arrives at push(), if room(), and if ready, reads the current beat at address() unless it is not
//                inside(), and goes on with next(). What arrives behind the last window is of that frame and is taken too
// Parameters     Shape: Height, Width, Chunks beats a pixel, KernelH, KernelW, StrideH, StrideW, PadTop, PadLeft, PadBottom,
//                PadRight, Folds; PadTop + PadBottom < KernelH, PadLeft + PadRight < KernelW
// Throughput     a beat in and a beat out an iteration; while a window is read, all pixels of the next one can arrive, so
//                a frame takes max(input beats, window beats) iterations where StrideH <= KernelH and StrideW <= KernelW
// Source         the same state as rtl/lib/br_window.sv, step by step
#ifndef BIREAL_WINDOW_HPP
#define BIREAL_WINDOW_HPP

#include "common.hpp"

namespace bireal {

template <class Shape>
class Window {
  static constexpr int PadRows = Shape::PadTop + Shape::PadBottom, PadColumns = Shape::PadLeft + Shape::PadRight;
  static_assert(PadRows < Shape::KernelH, "window: PadTop + PadBottom must be less than KernelH");
  static_assert(PadColumns < Shape::KernelW, "window: PadLeft + PadRight must be less than KernelW");
  static_assert(Shape::Height + PadRows >= Shape::KernelH, "window: the image must be as high as the kernel");
  static_assert(Shape::Width + PadColumns >= Shape::KernelW, "window: the image must be as wide as the kernel");
  static_assert(Shape::StrideH >= 1 && Shape::StrideW >= 1, "window: strides must be at least 1");

 public:
  static constexpr int OutHeight = (Shape::Height + PadRows - Shape::KernelH) / Shape::StrideH + 1;
  static constexpr int OutWidth = (Shape::Width + PadColumns - Shape::KernelW) / Shape::StrideW + 1;
  // Beats of all windows of a frame, of the frame itself, and the more of both.
  static constexpr int Beats = OutHeight * OutWidth * Shape::Folds * Shape::KernelH * Shape::KernelW * Shape::Chunks;
  static constexpr int Arrivals = Shape::Height * Shape::Width * Shape::Chunks, Longest = max(Arrivals, Beats);

 private:
  // All positions are linear: pixel (y, x) of the frame is y*Width + x, also for taps outside the image. A window is its
  // origin (top left tap, possibly negative) and reaches Span pixels; the origin moves by one of three constants.
  static constexpr int Span = (Shape::KernelH - 1) * Shape::Width + Shape::KernelW;
  static constexpr int StepColumn = Shape::StrideW;
  static constexpr int StepRow = Shape::StrideH * Shape::Width - (OutWidth - 1) * Shape::StrideW;
  static constexpr int StepFrame = Shape::Height * Shape::Width - (OutHeight - 1) * Shape::StrideH * Shape::Width -
                                   (OutWidth - 1) * Shape::StrideW;
  static constexpr int MaxStep =
      max(OutWidth > 1 ? StepColumn : 0, max(OutHeight > 1 ? StepRow : 0, StepFrame));

 public:
  // Beats of the memory: the window, what the next one adds, and one pixel more that absorbs a late start; rounded up
  // to a power of two, so that addresses wrap by themselves.
  static constexpr int Words = power_of_two((Span + MaxStep + 1) * Shape::Chunks);

  bool ready() const {
    BIREAL_PRAGMA(HLS INLINE)
    return surplus_ >= 0 || frames_ > 0;
  }
  bool room() const {
    BIREAL_PRAGMA(HLS INLINE)
    return surplus_ <= MaxStep;
  }
  bool inside() const {
    BIREAL_PRAGMA(HLS INLINE)
    return row_ >= 0 && row_ < Shape::Height && column_ >= 0 && column_ < Shape::Width;
  }
  bool first() const {
    BIREAL_PRAGMA(HLS INLINE)
    return chunk_ == 0 && kx_ == 0 && ky_ == 0;
  }
  bool last() const {
    BIREAL_PRAGMA(HLS INLINE)
    return chunk_ == Shape::Chunks - 1 && kx_ == Shape::KernelW - 1 && ky_ == Shape::KernelH - 1;
  }
  // Which beat of its tap the current one is.
  int chunk() const {
    BIREAL_PRAGMA(HLS INLINE)
    return chunk_;
  }
  int address() const {
    BIREAL_PRAGMA(HLS INLINE)
    return read_;
  }

  // Take the place of the next beat that arrives.
  int push() {
    BIREAL_PRAGMA(HLS INLINE)
    const int at = write_;
    write_ = wrap(write_ + 1);
    if (++write_chunk_ == Shape::Chunks) {
      write_chunk_ = 0;
      ++surplus_;
      if (++write_pixel_ == Shape::Height * Shape::Width) {
        write_pixel_ = 0;
        ++frames_;
      }
    }
    return at;
  }

  // Go on to the next beat of the windows.
  void next() {
    BIREAL_PRAGMA(HLS INLINE)
    const bool chunk_end = chunk_ == Shape::Chunks - 1, kx_end = kx_ == Shape::KernelW - 1;
    const bool ky_end = ky_ == Shape::KernelH - 1, fold_end = fold_ == Shape::Folds - 1;
    int move = 1;  // of the address, in beats
    chunk_ = step(chunk_, chunk_end);
    if (chunk_end) {
      kx_ = step(kx_, kx_end);
      ++column_;
    }
    if (chunk_end && kx_end) {
      ky_ = step(ky_, ky_end);
      column_ -= Shape::KernelW;
      ++row_;
      move += (Shape::Width - Shape::KernelW) * Shape::Chunks;
    }
    if (chunk_end && kx_end && ky_end) {  // a pass is over: back to the window's origin, or on to the next window's
      fold_ = step(fold_, fold_end);
      row_ -= Shape::KernelH;
      int pixels = 0;
      if (fold_end) pixels = next_window();
      move = 1 + (pixels - Span) * Shape::Chunks;
    }
    read_ = wrap(read_ + move);
  }

 private:
  static int wrap(int address) {
    BIREAL_PRAGMA(HLS INLINE)
    return address & (Words - 1);
  }

  // Move the origin; returns by how many pixels.
  int next_window() {
    BIREAL_PRAGMA(HLS INLINE)
    const bool row_end = out_x_ == OutWidth - 1, frame_end = row_end && out_y_ == OutHeight - 1;
    const int pixels = frame_end ? StepFrame : row_end ? StepRow : StepColumn;
    out_x_ = step(out_x_, row_end);
    column_ += Shape::StrideW;
    if (row_end) {
      out_y_ = step(out_y_, frame_end);
      column_ = -Shape::PadLeft;
      row_ += Shape::StrideH;
    }
    if (frame_end) {
      row_ = -Shape::PadTop;
      --frames_;
    }
    surplus_ -= pixels;
    return pixels;
  }

  static constexpr int Reach = Span + MaxStep + 2;  // no pixel that matters is farther from the window's last tap

  SignedCount<Reach> surplus_ = Shape::PadTop * Shape::Width + Shape::PadLeft - Span;  // pixels in beyond the last tap
  SignedCount<Reach> frames_ = 0;  // in completely minus read: above 0 nothing of the window is still to come
  Count<Words - 1> write_ = 0, read_ = wrap(-(Shape::PadTop * Shape::Width + Shape::PadLeft) * Shape::Chunks);
  Count<Shape::Chunks> write_chunk_ = 0;
  Count<Shape::Height * Shape::Width> write_pixel_ = 0;
  Count<Shape::Chunks - 1> chunk_ = 0;
  Count<Shape::KernelW - 1> kx_ = 0;
  Count<Shape::KernelH - 1> ky_ = 0;
  Count<Shape::Folds - 1> fold_ = 0;
  Count<OutWidth - 1> out_x_ = 0;
  Count<OutHeight - 1> out_y_ = 0;
  SignedCount<Shape::Width + 2 * Shape::KernelW + Shape::StrideW> column_ = -Shape::PadLeft;  // of the tap
  SignedCount<Shape::Height + 2 * Shape::KernelH + Shape::StrideH> row_ = -Shape::PadTop;
};

}  // namespace bireal

#endif
