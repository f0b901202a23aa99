// common.hpp: what every kernel shares: pragmas, elements of a beat, words of a memory, saturation, popcount.
// A kernel is `void kernel<Config>(inputs, output, memories, frames)`. Config is a struct of `static constexpr int`s with
// the names of the SystemVerilog parameters; there are no default sizes: a missing one does not compile. Every kernel
// handles `frames` images in one call, and the images follow each other without a gap.
// A kernel's loops report their iterations to `ran`, which costs nothing in hardware: C simulation counts cycles so.
#ifndef BIREAL_COMMON_HPP
#define BIREAL_COMMON_HPP

#ifndef AP_INT_MAX_W
#define AP_INT_MAX_W 4096  // bits of the widest beat; as many as Vitis HLS documents
#endif
#include <ap_int.h>
#include <hls_stream.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#ifdef BIREAL_THREADS
#include <thread>
#endif

// BIREAL_AS_SYNTHESISED makes g++ take the few paths that differ in hardware, for a test that both give the same.
#if defined(__SYNTHESIS__) || defined(BIREAL_AS_SYNTHESISED)
#define BIREAL_SYNTHESIS
#endif

// BIREAL_PRAGMA(HLS PIPELINE II=1) is `#pragma HLS PIPELINE II=1` in synthesis; other compilers, which know no such
// pragma, see nothing. The words are turned into text before anything else: INLINE, for one, is a macro of ap_int.h.
#ifdef __SYNTHESIS__
#define BIREAL_PRAGMA(...) _Pragma(#__VA_ARGS__)
#else
#define BIREAL_PRAGMA(...)
#endif

namespace bireal {

constexpr int max(int a, int b) { return a > b ? a : b; }
constexpr int min(int a, int b) { return a < b ? a : b; }

// Smallest power of two that is at least n.
constexpr int power_of_two(int n) { return n <= 1 ? 1 : 2 * power_of_two((n + 1) / 2); }

// Bits of the number n as an unsigned one.
constexpr int bits(long n) { return n <= 1 ? 1 : 1 + bits(n / 2); }

// Bits of the widest part, at most 64, into which `width` bits can be cut evenly.
constexpr int limb_width(int width, int parts = 1) {
  return width % parts == 0 && width / parts <= 64 ? width / parts : limb_width(width, parts + 1);
}

// An entry of a memory, Width bits, 1 to 64. A memory word is an array of entries, the first in the low bits. Tables of
// plain integers are data, and the other entries of g++ are too, which would call a constructor for each ap_uint;
// synthesis wants the exact width.
#ifdef BIREAL_SYNTHESIS
template <int Width>
struct Exact { typedef ap_uint<Width> type; };
template <>
struct Exact<8> { typedef std::uint8_t type; };
template <>
struct Exact<16> { typedef std::uint16_t type; };
template <>
struct Exact<32> { typedef std::uint32_t type; };
template <>
struct Exact<64> { typedef std::uint64_t type; };

template <int Width>
using Entry = typename Exact<Width>::type;
#else
template <int Bits>
struct Plain : Plain<Bits - 1> {
  static_assert(Bits <= 64, "an entry of a memory must have at most 64 bits");
};
template <>
struct Plain<1> { typedef std::uint8_t type; };
template <>
struct Plain<9> { typedef std::uint16_t type; };
template <>
struct Plain<17> { typedef std::uint32_t type; };
template <>
struct Plain<33> { typedef std::uint64_t type; };

template <int Width>
using Entry = typename Plain<Width>::type;
#endif

// A counter of 0 .. High, and one of -High .. High. In hardware it has the bits that this takes; g++ counts faster in ints.
#ifdef BIREAL_SYNTHESIS
template <long High>
using Count = ap_uint<bits(High)>;
template <long High>
using SignedCount = ap_int<bits(High) + 1>;
#else
template <long High>
using Count = int;
template <long High>
using SignedCount = int;
#endif

// The counter after x: 0 at the end.
template <class Counter>
Counter step(const Counter& x, bool end) {
  BIREAL_PRAGMA(HLS INLINE)
  return end ? Counter(0) : Counter(x + 1);
}

// The beats of `frames` frames as one loop: no cycle is lost between frames, and no number of beats has to be multiplied.
template <long Beats>
class Countdown {
  static_assert(Beats >= 1 && Beats < 1L << 31, "the beats of a frame must number 1 to 2^31 - 1");

 public:
  explicit Countdown(int frames) : frames_(frames) {}
  bool left() const {
    BIREAL_PRAGMA(HLS INLINE)
    return frames_ > 0;
  }
  // Whether this is the last beat of all.
  bool last() const {
    BIREAL_PRAGMA(HLS INLINE)
    return frames_ == 1 && beat_ == Beats - 1;
  }
  void next() {
    BIREAL_PRAGMA(HLS INLINE)
    const bool end = beat_ == Beats - 1;
    beat_ = step(beat_, end);
    if (end) --frames_;
  }

 private:
  int frames_;
  Count<Beats - 1> beat_ = 0;
};

// Bits At .. At+Width-1 of an entry as a signed number.
template <int Width, int At, int Bits>
ap_int<Width> field(const Entry<Bits>& entry) {
  BIREAL_PRAGMA(HLS INLINE)
  static_assert(At + Width <= Bits, "field: it must lie inside the entry");
  return ap_int<Width>(ap_uint<Bits>(entry) >> At);
}

// Element `index` of a beat as a signed number of Width bits.
template <int Width, int Bits>
ap_int<Width> element(const ap_uint<Bits>& beat, int index) {
  BIREAL_PRAGMA(HLS INLINE)
  return ap_int<Width>(ap_uint<Width>(beat.range((index + 1) * Width - 1, index * Width)));
}

// Write element `index` of a beat.
template <int Width, int Bits>
void set_element(ap_uint<Bits>& beat, int index, const ap_int<Width>& value) {
  BIREAL_PRAGMA(HLS INLINE)
  beat.range((index + 1) * Width - 1, index * Width) = ap_uint<Width>(value);
}

// x clipped to the range of a signed number of Out bits.
template <int Out, int In>
ap_int<Out> saturate(const ap_int<In>& x) {
  BIREAL_PRAGMA(HLS INLINE)
  const ap_int<Out> kept = x;
  if (kept == x) return kept;
  const ap_int<Out> low = ap_int<Out>(1) << (Out - 1);
  return x < 0 ? low : ap_int<Out>(~low);
}

// Ones of an entry, as hardware counts them.
template <int Width>
int popcount_by_bits(const ap_uint<Width>& x) {
  BIREAL_PRAGMA(HLS INLINE)
  ap_uint<8> count = 0;
  for (int i = 0; i < Width; ++i) {
    BIREAL_PRAGMA(HLS UNROLL)
    count += x[i];
  }
  return count;
}

// Ones of an entry.
template <int Width>
int popcount(const Entry<Width>& x) {
  BIREAL_PRAGMA(HLS INLINE)
#ifdef BIREAL_SYNTHESIS
  return popcount_by_bits<Width>(x);
#else
  return __builtin_popcountll(x);
#endif
}

#ifdef __SYNTHESIS__
inline void ran(long) { BIREAL_PRAGMA(HLS INLINE) }
inline void starved(const char*) { BIREAL_PRAGMA(HLS INLINE) }
inline long take_cycles() {
  BIREAL_PRAGMA(HLS INLINE)
  return 0;
}
#else
// Iterations of the longest loop since the last call of `take_cycles`.
inline long& longest_loop() {
  static thread_local long iterations = 0;
  return iterations;
}
// A loop's last statement to the world: how many iterations it took, which are cycles at an initiation interval of 1.
inline void ran(long iterations) {
  if (iterations > longest_loop()) longest_loop() = iterations;
}
// C simulation calls one kernel after the other: one that waits for input will never get it. BIREAL_THREADS is for a
// simulation in which they run side by side.
inline void starved(const char* kernel) {
#ifdef BIREAL_THREADS
  (void)kernel;
  std::this_thread::yield();
#else
  std::fprintf(stderr, "%s: its input ended before its frames\n", kernel);
  std::exit(3);
#endif
}
inline long take_cycles() {
  const long iterations = longest_loop();
  longest_loop() = 0;
  return iterations;
}
#endif

}  // namespace bireal

#endif
