// engine: a network's tail, pass after pass, with weights and maps in memory beside the chip.
// Function       the passes of the program on each frame: products with weights from memory, for all pixels of a band at a
//                time; of the sums an affine, shortcut, clip; of these values maps, signs, pools, the output. engine_status
//                tells whether the image of the weights is this network's
// Stream in      beat = four channels of a pixel, InWidth signed bits each, lowest channel in the low bits; rows from the
//                top. A frame enters memory while the one before it is computed
// Stream out     beat = a number of the output, OutWidth signed bits
// Parameters     Channels of a group, Simd bits and Real numbers of the K axis, Pixels of a band: as in docs/engine.md;
//                words of the operands' memories, sums of windows under way (Pooled), InPixels, InChannels, InSize (bytes
//                between the two maps of the input), Passes, Segments. For the report of synthesis alone: iterations of
//                a mean pass (Dealt, Swept, Finished) and of the longest loop of a kind (Groups, Burst, Outputs, Copied)
// Memory         program[Passes][14]: fields of a pass, the first in the high bits; segment[Segments][1]: the image's
//                identity, then {beats, address} of the weights in the order in which they are read; schedule[Passes][3]:
//                pixels of the next frame that arrive during a pass, words of bits and of numbers that it makes; weights,
//                and maps for three processes: words of 64 bits
// Throughput     a pass takes as long as the slowest of its loops, which are at work at the same time; passes follow each
//                other, with a copy of the bits that one has made between them. bireal_hw/ops/engine.py has the bound
// Source         docs/engine.md, rtl/layers/br_engine.sv; golden: that of the layers it computes
#ifndef BIREAL_ENGINE_HPP
#define BIREAL_ENGINE_HPP

#include "common.hpp"
#ifndef BIREAL_SYNTHESIS
#include <type_traits>
#endif

namespace bireal {

// Unsigned and signed numbers: as wide as they are in hardware; g++ computes faster in its own.
#ifdef BIREAL_SYNTHESIS
template <int Width>
using Field = ap_uint<Width>;
template <int Width>
using Number = ap_int<Width>;
#else
template <int Width>
using Field = typename std::conditional<(Width < 32), int, std::uint32_t>::type;
template <int Width>
using Number = typename std::conditional<(Width > 32), std::int64_t, std::int32_t>::type;
#endif

constexpr int Lanes = 4;             // channels behind the products at once: those of 16 bits in a word of memory
constexpr int EnginePassWidth = 834;  // bits of a pass
constexpr int EnginePassWords = 14;
constexpr int EngineWrongImage = 4;  // as bit 2 of br_engine's status

// One pass; bireal_hw/engine/program.py says what its fields are.
struct EnginePass {
  Field<1> last, binary, real, shortcut, shortcut_input, shortcut_wide, knee, store, store_pool, store_wide;
  Field<1> sign, pool, pool_real, out;
  Field<12> bands, groups;
  Field<16> pixels, words;
  Field<4> idle, kernel;
  Field<12> chunks, columns, width, height;
  Field<4> stride, pad_top, pad_left;
  Field<12> band_rows;
  Field<20> read_first, step_pixel, step_row, step_line, step_band;
  Field<12> slices;
  Number<12> offset, offset_last;
  Number<32> limit;
  Field<6> shift;
  Number<32> low, high;
  Field<20> bits_first;
  Field<12> bits_chunks;
  Field<20> real_first;
  Field<12> real_chunks, pool_width, pool_height;
  Number<32> pool_half;
  Field<6> pool_shift;
  Number<32> pool_low, pool_high;
  Field<32> shortcut_first;
  Field<24> shortcut_beats;
  Field<32> shortcut_group, shortcut_band, store_first;
  Field<24> store_beats;
  Field<32> store_group, store_band;
  Field<16> channels;
};

// A word of the program, cut from its high bits on.
class EngineWord {
 public:
  explicit EngineWord(const Entry<64> (&words)[EnginePassWords]) {
    BIREAL_PRAGMA(HLS INLINE)
    for (int i = 0; i < EnginePassWords; ++i) {
      BIREAL_PRAGMA(HLS UNROLL)
      rest_.range(64 * i + 63, 64 * i) = ap_uint<64>(words[i]);
    }
  }
  template <int Width>
  void cut(Field<Width>& field) {
    BIREAL_PRAGMA(HLS INLINE)
    field = static_cast<Field<Width>>(next<Width>());
  }
  template <int Width>
  void cut_signed(Number<Width>& field) {
    BIREAL_PRAGMA(HLS INLINE)
    field = static_cast<Number<Width>>(ap_int<Width>(next<Width>()));
  }

 private:
  template <int Width>
  ap_uint<Width> next() {
    BIREAL_PRAGMA(HLS INLINE)
    const ap_uint<Width> field = rest_.range(64 * EnginePassWords - 1, 64 * EnginePassWords - Width);
    rest_ <<= Width;
    return field;
  }
  ap_uint<64 * EnginePassWords> rest_;
};

// A pass of the program; one that does nothing if there is none.
inline EnginePass engine_pass_of(const Entry<64> (&words)[EnginePassWords], bool there) {
  BIREAL_PRAGMA(HLS INLINE)
  EngineWord word(words);
  EnginePass pass;
  word.cut<1>(pass.last);
  word.cut<1>(pass.binary);
  word.cut<1>(pass.real);
  word.cut<1>(pass.shortcut);
  word.cut<1>(pass.shortcut_input);
  word.cut<1>(pass.shortcut_wide);
  word.cut<1>(pass.knee);
  word.cut<1>(pass.store);
  word.cut<1>(pass.store_pool);
  word.cut<1>(pass.store_wide);
  word.cut<1>(pass.sign);
  word.cut<1>(pass.pool);
  word.cut<1>(pass.pool_real);
  word.cut<1>(pass.out);
  word.cut<12>(pass.bands);
  word.cut<12>(pass.groups);
  word.cut<16>(pass.pixels);
  word.cut<16>(pass.words);
  word.cut<4>(pass.idle);
  word.cut<4>(pass.kernel);
  word.cut<12>(pass.chunks);
  word.cut<12>(pass.columns);
  word.cut<12>(pass.width);
  word.cut<12>(pass.height);
  word.cut<4>(pass.stride);
  word.cut<4>(pass.pad_top);
  word.cut<4>(pass.pad_left);
  word.cut<12>(pass.band_rows);
  word.cut<20>(pass.read_first);
  word.cut<20>(pass.step_pixel);
  word.cut<20>(pass.step_row);
  word.cut<20>(pass.step_line);
  word.cut<20>(pass.step_band);
  word.cut<12>(pass.slices);
  word.cut_signed<12>(pass.offset);
  word.cut_signed<12>(pass.offset_last);
  word.cut_signed<32>(pass.limit);
  word.cut<6>(pass.shift);
  word.cut_signed<32>(pass.low);
  word.cut_signed<32>(pass.high);
  word.cut<20>(pass.bits_first);
  word.cut<12>(pass.bits_chunks);
  word.cut<20>(pass.real_first);
  word.cut<12>(pass.real_chunks);
  word.cut<12>(pass.pool_width);
  word.cut<12>(pass.pool_height);
  word.cut_signed<32>(pass.pool_half);
  word.cut<6>(pass.pool_shift);
  word.cut_signed<32>(pass.pool_low);
  word.cut_signed<32>(pass.pool_high);
  word.cut<32>(pass.shortcut_first);
  word.cut<24>(pass.shortcut_beats);
  word.cut<32>(pass.shortcut_group);
  word.cut<32>(pass.shortcut_band);
  word.cut<32>(pass.store_first);
  word.cut<24>(pass.store_beats);
  word.cut<32>(pass.store_group);
  word.cut<32>(pass.store_band);
  word.cut<16>(pass.channels);
  if (!there) pass.bands = 0;
  return pass;
}

// Sizes that follow from those of the engine.
template <class Config>
struct EngineShape {
  static_assert(Config::Channels % Lanes == 0, "engine: Channels must be a multiple of 4");
  static_assert(Config::Simd % Config::Channels == 0, "engine: Simd must be a multiple of Channels");
  static_assert(Config::Simd == 8 || Config::Simd == 16 || Config::Simd == 32 || Config::Simd % 64 == 0,
                "engine: Simd must be 8, 16, 32 or a multiple of 64");
  static_assert(Config::Channels * Config::Simd % 64 == 0, "engine: a word of weights must be a multiple of 64 bits");
  static_assert(Config::Real % Lanes == 0 && Config::Channels * Config::Real % 8 == 0,
                "engine: Real must be a multiple of 4, and a word of numbers one of 64 bits");
  static_assert(Config::AccWidth <= 32 && Config::InWidth <= 16 && Config::OutWidth <= 32,
                "engine: AccWidth and OutWidth must be at most 32, InWidth 16");
  static_assert(min(min(Config::Dealt, Config::Swept), min(Config::Finished, Config::Groups)) >= 0 &&
                    min(min(Config::Burst, Config::Outputs), Config::Copied) >= 1,
                "engine: iterations must not be negative, those of the longest loop of a kind at least 1");
  static constexpr int Beats = Config::Channels / Lanes;    // of a pixel in a group
  static constexpr int Limb = min(Config::Simd, 64);        // bits of the K axis in an entry of 64 bits or less
  static constexpr int Limbs = Config::Simd / Limb;         // of a lane
  static constexpr int Slices = Config::Simd / Config::Channels;  // groups in a word of bits
  static constexpr int Parts = max(Config::Real / Lanes, 1);  // fours in a word of numbers
  static constexpr int BitsBeats = Config::Channels * Config::Simd / 64;
  static constexpr int RealBeats = Config::Channels * Config::Real / 8;
  static constexpr int WordBeats = max(BitsBeats, RealBeats);
  static_assert(Limb % Config::Channels == 0, "engine: Channels must divide 64 and Simd");
};

// Sums of a group's channels.
template <class Config>
struct EngineSums {
  Number<Config::AccWidth> of[Config::Channels];
};
// Four numbers of a map.
struct EngineValues {
  Number<32> of[Lanes];
};

// Whether the image of the weights is this network's: 0, or the status that br_engine gives.
template <class Config>
int engine_status(const Entry<64>* weights, const Entry<56> (&segment)[Config::Segments][1]) {
  BIREAL_PRAGMA(HLS INLINE)
  const Entry<64> magic = weights[0], identity = weights[1];
  return magic == 0x3157455249425242ull && identity == static_cast<Entry<64>>(segment[0][0]) ? 0 : EngineWrongImage;
}

// Reads the weights, segment after segment, for every frame.
template <class Config>
void fetch(const Entry<64>* weights, const Entry<56> (&segment)[Config::Segments][1], hls::stream<Entry<64>>& beats,
           int frames) {
  constexpr int Segments = Config::Segments - 1;
  long iterations = 0;
  for (int frame = 0; frame < frames; ++frame) {
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=1 max=1)
    for (int s = 1; s <= Segments; ++s) {
      BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Segments max=Segments)
      const ap_uint<56> command = segment[s][0];
      const Field<32> first = static_cast<Field<32>>(ap_uint<32>(command)) >> 3;
      const Field<24> count = static_cast<Field<24>>(ap_uint<24>(command >> 32));
      for (Field<24> i = 0; i < count; ++i) {
        BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
        BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=1 max=Config::Burst)
        beats.write(weights[first + i]);
      }
      iterations += count;
    }
  }
  ran(iterations);
}

// Parts the beats of a pass: for every band and group the constants of its channels, two a channel, then its weights.
template <class Config>
void deal(const EnginePass& pass, hls::stream<Entry<64>>& beats, hls::stream<Entry<64>>& constants,
          hls::stream<Entry<64>>& words) {
  typedef EngineShape<Config> Shape;
  constexpr int BitsBeats = Shape::BitsBeats, RealBeats = Shape::RealBeats;
  const Field<16> need = pass.binary ? BitsBeats : pass.real ? RealBeats : 0;
  long iterations = 0;
  bool run = pass.bands != 0, weights = false;
  Field<16> beat = 0, word = 0;
  Field<12> group = 0, band = 0;
  while (run) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=1 max=Config::Dealt)
    const Entry<64> data = beats.read();
    if (weights) words.write(data);
    else constants.write(data);
    const bool beat_end = beat == (weights ? need : Field<16>(2 * Config::Channels)) - 1;
    const bool word_end = beat_end && (weights ? word == pass.words - 1 : need == 0);
    const bool group_end = word_end && group == pass.groups - 1;
    const bool band_end = group_end && band == pass.bands - 1;
    beat = step(beat, beat_end);
    if (beat_end && weights) word = step(word, word_end);
    if (beat_end) weights = need != 0 && !word_end;
    if (word_end) group = step(group, group_end);
    if (group_end) band = step(band, band_end);
    run = !band_end;
    ++iterations;
  }
  ran(iterations);
}

// Where the products of a pass stand: band, group, word of weights (ky, kx, chunk), pixel of the band.
class EngineSweep {
 public:
  explicit EngineSweep(const EnginePass& pass)
      : run_(pass.bands != 0 && (pass.binary || pass.real)),
        address_band_(pass.read_first),
        address_tap_(pass.read_first),
        address_(pass.read_first),
        row_band_(-Number<14>(pass.pad_top)),
        row_tap_(-Number<14>(pass.pad_top)),
        row_(-Number<14>(pass.pad_top)),
        column_tap_(-Number<14>(pass.pad_left)),
        column_(-Number<14>(pass.pad_left)) {
    BIREAL_PRAGMA(HLS INLINE)
  }
  bool left() const {
    BIREAL_PRAGMA(HLS INLINE)
    return run_;
  }
  // Whether a word of weights begins.
  bool begins() const {
    BIREAL_PRAGMA(HLS INLINE)
    return pixel_ == 0;
  }
  // Whether there is a pixel, and not a word that waits until its sums can be read again.
  bool works(const EnginePass& pass) const {
    BIREAL_PRAGMA(HLS INLINE)
    return pixel_ < pass.pixels;
  }
  bool inside(const EnginePass& pass) const {
    BIREAL_PRAGMA(HLS INLINE)
    return row_ >= 0 && column_ >= 0 && row_ < Number<14>(pass.height) && column_ < Number<14>(pass.width);
  }
  Field<16> pixel() const {
    BIREAL_PRAGMA(HLS INLINE)
    return pixel_;
  }
  // Word of the operand.
  Field<20> address() const {
    BIREAL_PRAGMA(HLS INLINE)
    return address_ & ((1 << 20) - 1);
  }
  bool first() const {
    BIREAL_PRAGMA(HLS INLINE)
    return chunk_ == 0 && kx_ == 0 && ky_ == 0;
  }
  bool chunk_end(const EnginePass& pass) const {
    BIREAL_PRAGMA(HLS INLINE)
    return chunk_ == pass.chunks - 1;
  }
  bool last(const EnginePass& pass) const {
    BIREAL_PRAGMA(HLS INLINE)
    return chunk_end(pass) && kx_ == pass.kernel - 1 && ky_ == pass.kernel - 1;
  }
  void next(const EnginePass& pass) {
    BIREAL_PRAGMA(HLS INLINE)
    const bool row_end = at_ == pass.columns - 1;
    address_ += row_end ? pass.step_row : pass.step_pixel;
    column_ = row_end ? column_tap_ : Number<14>(column_ + pass.stride);
    if (row_end) row_ += pass.stride;
    at_ = step(at_, row_end);
    const bool sweep_end = pixel_ == pass.pixels + pass.idle - 1;
    pixel_ = step(pixel_, sweep_end);
    if (sweep_end) next_word(pass);
  }

 private:
  void next_word(const EnginePass& pass) {
    BIREAL_PRAGMA(HLS INLINE)
    const bool kx_end = kx_ == pass.kernel - 1, ky_end = ky_ == pass.kernel - 1;
    const bool tap_end = chunk_end(pass), line_end = tap_end && kx_end, word_end = line_end && ky_end;
    const bool group_end = word_end && group_ == pass.groups - 1, band_end = group_end && band_ == pass.bands - 1;
    chunk_ = step(chunk_, tap_end);
    if (tap_end) kx_ = step(kx_, kx_end);
    if (line_end) ky_ = step(ky_, ky_end);
    if (word_end) group_ = step(group_, group_end);
    if (group_end) {
      band_ = step(band_, band_end);
      address_band_ += pass.step_band;
      row_band_ += pass.band_rows;
    }
    if (tap_end) ++column_tap_;
    if (line_end) {
      column_tap_ = -Number<14>(pass.pad_left);
      ++row_tap_;
    }
    address_tap_ += line_end ? pass.step_line : Field<20>(1);
    if (word_end) {
      address_tap_ = address_band_;
      row_tap_ = row_band_;
    }
    at_ = 0;
    address_ = address_tap_;
    row_ = row_tap_;
    column_ = column_tap_;
    run_ = !band_end;
  }
  bool run_;
  Field<12> band_ = 0, group_ = 0, chunk_ = 0, at_ = 0;
  Field<16> pixel_ = 0;
  Field<4> kx_ = 0, ky_ = 0;
  Field<20> address_band_, address_tap_, address_;
  Number<14> row_band_, row_tap_, row_, column_tap_, column_;
};

// Bits and 8-bit numbers that passes read: words of the K axis, in parts that are written one by one.
template <class Config>
using EngineBits = Entry<Config::Channels>[Config::BitsDepth][EngineShape<Config>::Slices];
template <class Config>
using EngineNumbers = Entry<32>[Config::RealDepth][EngineShape<Config>::Parts];

// Products of a pass: for every band and group, for every word of weights, for every pixel of the band.
template <class Config>
void multiply(const EnginePass& pass, hls::stream<Entry<64>>& words, const EngineBits<Config>& bits,
              const EngineNumbers<Config>& numbers, hls::stream<EngineSums<Config>>& out) {
  typedef EngineShape<Config> Shape;
  typedef Number<Config::AccWidth> Sum;
  constexpr int Limb = Shape::Limb, BitsBeats = Shape::BitsBeats, RealBeats = Shape::RealBeats;
  Sum sums[Config::Pixels][Config::Channels];
  BIREAL_PRAGMA(HLS ARRAY_RESHAPE variable=sums complete dim=2)
  BIREAL_PRAGMA(HLS DEPENDENCE variable=sums inter RAW distance=8 true)  // pixels and idle of a word at least
  Entry<64> word[Shape::WordBeats], following[Shape::WordBeats];
  BIREAL_PRAGMA(HLS ARRAY_PARTITION variable=word complete)
  BIREAL_PRAGMA(HLS ARRAY_PARTITION variable=following complete)
  for (int i = 0; i < Shape::WordBeats; ++i) {
    BIREAL_PRAGMA(HLS UNROLL)
    word[i] = following[i] = 0;
  }
  const Field<16> need = pass.binary ? BitsBeats : RealBeats;
  Field<16> filled = 0;  // beats of the word that follows
  long iterations = 0;
  EngineSweep sweep(pass);
  while (sweep.left()) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=1 max=Config::Swept)
    const bool ready = !sweep.begins() || filled == need;
    if (ready && sweep.begins()) {
      for (int i = 0; i < Shape::WordBeats; ++i) {
        BIREAL_PRAGMA(HLS UNROLL)
        word[i] = following[i];
      }
      filled = 0;
    }
    Entry<64> beat;
    const bool arrives = filled < need && words.read_nb(beat);
    if (!ready && !arrives) starved("engine");
    if (arrives) {
      following[filled] = beat;
      ++filled;
    }
    if (ready) {
      if (sweep.works(pass)) {
        const bool inside = sweep.inside(pass), short_word = sweep.chunk_end(pass);
        const bool first = sweep.first(), last = sweep.last(pass);
        Entry<Limb> x[Shape::Limbs];
        BIREAL_PRAGMA(HLS ARRAY_PARTITION variable=x complete)
        for (int i = 0; i < Shape::Limbs; ++i) {
          BIREAL_PRAGMA(HLS UNROLL)
          x[i] = 0;
        }
        if (inside && pass.binary) {
          for (int s = 0; s < Shape::Slices; ++s) {
            BIREAL_PRAGMA(HLS UNROLL)
            constexpr int Each = Limb / Config::Channels;  // slices of a limb
            // Channels that a pixel's last word lacks are 0, as their weights are: they do not differ.
            const Entry<Limb> slice = short_word && s >= pass.slices ? Entry<Limb>(0) : Entry<Limb>(bits[sweep.address()][s]);
            x[s / Each] |= Entry<Limb>(slice << (s % Each * Config::Channels));
          }
        }
        EngineSums<Config> made;
        for (int p = 0; p < Config::Channels; ++p) {
          BIREAL_PRAGMA(HLS UNROLL)
          Sum part = 0;
          if (inside && pass.binary) {
            part = 2 * Config::Simd + (short_word ? pass.offset_last : pass.offset);
            for (int i = 0; i < Shape::Limbs; ++i) {
              BIREAL_PRAGMA(HLS UNROLL)
              const int at = p * Config::Simd + i * Limb;
              const Entry<Limb> weight = static_cast<Entry<Limb>>(word[at / 64] >> (at % 64));
              part -= 2 * popcount<Limb>(static_cast<Entry<Limb>>(weight ^ x[i]));
            }
          }
          if (inside && pass.real) {
            for (int j = 0; j < Config::Real; ++j) {
              BIREAL_PRAGMA(HLS UNROLL)
              const int at = p * Config::Real + j, lower = at - Config::Real;
              const std::int8_t y = static_cast<std::int8_t>(numbers[sweep.address()][j / Lanes] >> (j % Lanes * 8));
              // Two lanes share a multiplier in br_engine: what the lower borrows there, the upper lacks in the image.
              const bool lent = p % 2 == 1 && (word[lower / 8] >> (lower % 8 * 8 + 7) & 1);
              const Number<9> weight = static_cast<std::int8_t>(word[at / 8] >> (at % 8 * 8)) + lent;
              part += weight * Number<8>(y);
            }
          }
          const Sum sum = (first ? Sum(0) : sums[sweep.pixel()][p]) + part;
          sums[sweep.pixel()][p] = sum;
          made.of[p] = sum;
        }
        if (last) out.write(made);
      }
      sweep.next(pass);
    }
    ++iterations;
  }
  ran(iterations);
}

// Reads what a pass adds of a map.
template <class Config>
void load(const EnginePass& pass, bool side, const Entry<64>* maps, hls::stream<EngineValues>& out) {
  const Field<12> bands = pass.shortcut ? pass.bands : Field<12>(0);
  Field<32> band_first = pass.shortcut_first + (pass.shortcut_input && side ? Config::InSize : 0);
  long iterations = 0;
  for (Field<12> band = 0; band < bands; ++band) {
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=0 max=Config::Groups)
    Field<32> first = band_first;
    for (Field<12> group = 0; group < pass.groups; ++group) {
      BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=1 max=Config::Groups)
      EngineValues values;
      for (Field<24> i = 0; i < pass.shortcut_beats; ++i) {
        BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
        BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=1 max=Config::Burst)
        const Entry<64> beat = maps[(first >> 3) + i];
        const bool second = i & 1;
        for (int l = 0; l < Lanes; ++l) {
          BIREAL_PRAGMA(HLS UNROLL)
          if (!pass.shortcut_wide) values.of[l] = static_cast<std::int16_t>(beat >> (l * 16));
          else if (second == (l >= 2)) values.of[l] = static_cast<std::int32_t>(beat >> (l % 2 * 32));
        }
        if (second || !pass.shortcut_wide) out.write(values);
      }
      iterations += pass.shortcut_beats;
      first += pass.shortcut_group;
    }
    band_first += pass.shortcut_band;
  }
  ran(iterations);
}

// Pixel of a band and its place in a window, for four channels after the other.
class EngineScan {
 public:
  // Channels of the beat, in fours.
  Field<5> beat() const {
    BIREAL_PRAGMA(HLS INLINE)
    return beat_;
  }
  Field<12> window() const {
    BIREAL_PRAGMA(HLS INLINE)
    return window_;
  }
  bool window_begins() const {
    BIREAL_PRAGMA(HLS INLINE)
    return x_ == 0 && y_ == 0;
  }
  bool window_ends(const EnginePass& pass) const {
    BIREAL_PRAGMA(HLS INLINE)
    return x_ == pass.pool_width - 1 && y_ == pass.pool_height - 1;
  }
  // Go on; whether that was the group's last beat.
  template <int Beats>
  bool next(const EnginePass& pass) {
    BIREAL_PRAGMA(HLS INLINE)
    const bool beat_end = beat_ == Beats - 1;
    const bool row_end = beat_end && column_ == pass.columns - 1, end = beat_end && pixel_ == pass.pixels - 1;
    const bool x_end = beat_end && (x_ == pass.pool_width - 1 || row_end);
    beat_ = step(beat_, beat_end);
    if (beat_end) {
      pixel_ = step(pixel_, end);
      column_ = step(column_, row_end);
      x_ = step(x_, x_end);
    }
    if (x_end) window_ = step(window_, row_end);
    if (row_end) y_ = step(y_, end || y_ == pass.pool_height - 1);
    return end;
  }

 private:
  Field<5> beat_ = 0;
  Field<16> pixel_ = 0;
  Field<12> column_ = 0, x_ = 0, y_ = 0, window_ = 0;
};

// Where the parts of a group go in words of so many parts, pixel after pixel.
template <int Parts, int Each>
class EnginePlace {
 public:
  Field<20> word() const {
    BIREAL_PRAGMA(HLS INLINE)
    return pixel_ + chunk_;
  }
  Field<8> part() const {
    BIREAL_PRAGMA(HLS INLINE)
    return part_;
  }
  // The next part of a pixel's group, and behind its last one the next pixel's.
  void next(Field<12> chunks) {
    BIREAL_PRAGMA(HLS INLINE)
    const bool word_end = part_ == Parts - 1, pixel_end = at_ == Each - 1;
    part_ = pixel_end ? first_part_ : step(part_, word_end);
    chunk_ = pixel_end ? first_chunk_ : Field<12>(chunk_ + word_end);
    at_ = step(at_, pixel_end);
    if (pixel_end) pixel_ += chunks;
  }
  // The next group of the band.
  void next_group() {
    BIREAL_PRAGMA(HLS INLINE)
    const bool over = first_part_ + Each % Parts >= Parts;
    first_chunk_ += Each / Parts + over;
    first_part_ = over ? Field<8>(0) : Field<8>(first_part_ + Each % Parts);
    restart(band_);
  }
  // The first group of the next band.
  void next_band() {
    BIREAL_PRAGMA(HLS INLINE)
    first_part_ = 0;
    first_chunk_ = 0;
    band_ = pixel_;
    restart(band_);
  }

 private:
  void restart(Field<20> pixel) {
    BIREAL_PRAGMA(HLS INLINE)
    pixel_ = pixel;
    part_ = first_part_;
    chunk_ = first_chunk_;
    at_ = 0;
  }
  Field<20> pixel_ = 0, band_ = 0;
  Field<12> chunk_ = 0, first_chunk_ = 0;
  Field<8> part_ = 0, first_part_ = 0, at_ = 0;
};

// What is made of sums and shortcuts, four channels at a time: values for a map or the output, bits, pooled numbers.
template <class Config>
void finish(const EnginePass& pass, hls::stream<Entry<64>>& constants, hls::stream<EngineSums<Config>>& sums,
            hls::stream<EngineValues>& shortcuts, hls::stream<EngineValues>& out, EngineBits<Config>& bits,
            EngineNumbers<Config>& numbers) {
  typedef EngineShape<Config> Shape;
  constexpr int Beats = Shape::Beats, Wide = 49;
  Entry<64> affine[2 * Beats][Lanes], rest[2 * Beats][Lanes];  // of the group that is computed and of the next
  BIREAL_PRAGMA(HLS ARRAY_PARTITION variable=affine complete dim=2)
  BIREAL_PRAGMA(HLS ARRAY_PARTITION variable=rest complete dim=2)
  Number<32> windows[Config::Pooled][Lanes];  // sums under way
  BIREAL_PRAGMA(HLS ARRAY_PARTITION variable=windows complete dim=2)
  BIREAL_PRAGMA(HLS BIND_STORAGE variable=windows type=ram_2p impl=lutram)
  EngineScan scan;
  EnginePlace<Shape::Slices, 1> bits_place;
  EnginePlace<Shape::Parts, Beats> numbers_place;
  EngineSums<Config> group_sums;
  const bool multiplied = pass.binary || pass.real;
  bool run = pass.bands != 0, write_side = false, read_side = false;
  Field<2> complete = 0;  // groups whose constants are there
  Field<8> filled = 0;    // constants of the next, two a channel
  Field<12> group = 0, band = 0;
  Entry<Config::Channels> gathered = 0;
  long iterations = 0;
  while (run) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=1 max=Config::Finished)
    const bool ready = complete != 0;
    Entry<64> constant;
    const bool arrives = complete != 2 && constants.read_nb(constant);
    if (!ready && !arrives) starved("engine");
    bool filled_up = false, group_end = false;
    if (arrives) {
      const int line = (write_side ? Beats : 0) + (filled >> 3), lane = filled >> 1 & 3;
      if (filled & 1) rest[line][lane] = constant;
      else affine[line][lane] = constant;
      filled_up = filled == 2 * Config::Channels - 1;
      filled = step(filled, filled_up);
    }
    if (ready) {
      const Field<5> beat = scan.beat();
      const int line = (read_side ? Beats : 0) + beat;
      if (multiplied && beat == 0) group_sums = sums.read();
      EngineValues shortcut, made, pooled;
      if (pass.shortcut) shortcut = shortcuts.read();
      const bool window_begins = scan.window_begins(), window_ends = pass.pool && scan.window_ends(pass);
      const int window = scan.window() * Beats + beat;
      if (beat == 0) gathered = 0;
      Entry<32> packed = 0;
      for (int l = 0; l < Lanes; ++l) {
        BIREAL_PRAGMA(HLS UNROLL)
        // What is added and what is multiplied: shortcut and sum, or both parts of a number beyond a knee.
        const Number<32> value = pass.shortcut ? shortcut.of[l] : Number<32>(0);
        Number<32> kept = value;
        if (pass.knee && value > pass.limit) kept = pass.limit;
        if (pass.knee && value < -pass.limit) kept = -pass.limit;
        const Number<Config::AccWidth> x =
            multiplied ? group_sums.of[beat * Lanes + l] : Number<Config::AccWidth>(value - kept);
        const std::int16_t gain = static_cast<std::int16_t>(affine[line][l] >> 48);
        const Number<48> bias = static_cast<std::int64_t>(affine[line][l] << 16) >> 16;
        const Field<3> k = rest[line][l] >> 32 & 7;
        const Number<32> threshold = static_cast<std::int32_t>(rest[line][l]);
        const Number<Wide> t = Number<Wide>(x) * gain + bias;
        const Number<Wide> u = kept + (t >> pass.shift), half = (Number<Wide>(1) << k) >> 1;
        const Number<Wide> activated = u < 0 ? Number<Wide>((u + half) >> k) : u;
        const Number<32> y = activated < pass.low ? pass.low : activated > pass.high ? pass.high : Number<32>(activated);
        made.of[l] = y;
        gathered |= static_cast<Entry<Config::Channels>>(Entry<Config::Channels>(y >= threshold) << (beat * Lanes + l));
        if (pass.pool) {
          const Number<32> sum = (window_begins ? Number<32>(0) : windows[window][l]) + y;
          windows[window][l] = sum;
          const Number<33> rounded = (Number<33>(sum) + pass.pool_half) >> pass.pool_shift;
          pooled.of[l] = rounded < pass.pool_low ? pass.pool_low : rounded > pass.pool_high ? pass.pool_high : Number<32>(rounded);
          packed |= static_cast<Entry<32>>(pooled.of[l] & 255) << (8 * l);
        }
      }
      if (pass.store || pass.out) out.write(made);
      else if (pass.store_pool && window_ends) out.write(pooled);
      if (window_ends && pass.pool_real) {
        numbers[numbers_place.word()][numbers_place.part()] = packed;
        numbers_place.next(pass.real_chunks);
      }
      if (pass.sign && beat == Beats - 1) {
        bits[bits_place.word()][bits_place.part()] = gathered;
        bits_place.next(pass.bits_chunks);
      }
      group_end = scan.next<Beats>(pass);
      if (group_end) {
        const bool last = group == pass.groups - 1;
        if (last) {
          bits_place.next_band();
          numbers_place.next_band();
          run = band != pass.bands - 1;
          ++band;
        } else {
          bits_place.next_group();
          numbers_place.next_group();
        }
        group = step(group, last);
        read_side = !read_side;
      }
    }
    if (filled_up) write_side = !write_side;
    complete += filled_up - group_end;
    ++iterations;
  }
  ran(iterations);
}

// Writes what a pass has made: a map, or the network's output.
template <class Config>
void store(const EnginePass& pass, hls::stream<EngineValues>& in, Entry<64>* maps,
           hls::stream<ap_uint<Config::OutWidth>>& out) {
  const bool gives = pass.bands != 0 && pass.out;
  const Field<12> bands = pass.store || pass.store_pool ? pass.bands : Field<12>(0);
  const int numbers = gives ? static_cast<int>(pass.groups) * Config::Channels : 0;
  EngineValues values;
  for (int i = 0; i < numbers; ++i) {
    BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=0 max=Config::Outputs)
    if (i % Lanes == 0) values = in.read();
    if (i < pass.channels) out.write(static_cast<ap_uint<Config::OutWidth>>(ap_int<32>(values.of[i % Lanes])));
  }
  long iterations = numbers;
  Field<32> band_first = pass.store_first;
  for (Field<12> band = 0; band < bands; ++band) {
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=0 max=Config::Groups)
    Field<32> first = band_first;
    for (Field<12> group = 0; group < pass.groups; ++group) {
      BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=1 max=Config::Groups)
      for (Field<24> i = 0; i < pass.store_beats; ++i) {
        BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
        BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=1 max=Config::Burst)
        const bool second = pass.store_wide && (i & 1);
        if (!second) values = in.read();
        ap_uint<64> beat = 0;
        for (int l = 0; l < Lanes; ++l) {
          BIREAL_PRAGMA(HLS UNROLL)
          if (!pass.store_wide) set_element(beat, l, ap_int<16>(values.of[l]));
          else if (second == (l >= 2)) set_element(beat, l % 2, ap_int<32>(values.of[l]));
        }
        maps[(first >> 3) + i] = beat;
      }
      iterations += pass.store_beats;
      first += pass.store_group;
    }
    band_first += pass.store_band;
  }
  ran(iterations);
}

// Writes pixels of the stream to where the groups of the input's map have them.
template <class Config>
void arrive(hls::stream<ap_uint<Lanes * Config::InWidth>>& in, Entry<64>* maps, bool side, int first, int pixels) {
  constexpr int Beats = EngineShape<Config>::Beats, Groups = Config::InChannels / Config::Channels;
  static_assert(Config::InChannels % Config::Channels == 0, "engine: Channels must divide InChannels");
  for (int pixel = first; pixel < first + pixels; ++pixel) {
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=0 max=Config::InPixels)
    for (int group = 0; group < Groups; ++group) {
      BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Groups max=Groups)
      const int at = (side ? Config::InSize / 8 : 0) + (group * Config::InPixels + pixel) * Beats;
      for (int i = 0; i < Beats; ++i) {
        BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
        BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Beats max=Beats)
        const ap_uint<Lanes * Config::InWidth> numbers = in.read();
        ap_uint<64> beat = 0;
        for (int l = 0; l < Lanes; ++l) {
          BIREAL_PRAGMA(HLS UNROLL)
          set_element(beat, l, ap_int<16>(element<Config::InWidth>(numbers, l)));
        }
        maps[at + i] = beat;
      }
    }
  }
  ran(static_cast<long>(pixels) * Groups * Beats);
}

// One pass, all of its loops at the same time; and the share of the next frame that arrives meanwhile.
template <class Config>
void run_pass(const EnginePass& pass, bool side, int first, int pixels, hls::stream<Entry<64>>& beats,
              hls::stream<ap_uint<Lanes * Config::InWidth>>& in, hls::stream<ap_uint<Config::OutWidth>>& out,
              const Entry<64>* maps_read, Entry<64>* maps_write, Entry<64>* input, const EngineBits<Config>& bits,
              const EngineNumbers<Config>& numbers, EngineBits<Config>& new_bits, EngineNumbers<Config>& new_numbers) {
  BIREAL_PRAGMA(HLS DATAFLOW)
  BIREAL_PRAGMA(HLS STABLE variable=pass)
  hls::stream<Entry<64>> constants("constants");
  BIREAL_PRAGMA(HLS STREAM variable=constants depth=2)
  hls::stream<Entry<64>> words("words");
  BIREAL_PRAGMA(HLS STREAM variable=words depth=2)
  hls::stream<EngineSums<Config>> sums("sums");
  BIREAL_PRAGMA(HLS STREAM variable=sums depth=2)
  hls::stream<EngineValues> shortcuts("shortcuts");
  BIREAL_PRAGMA(HLS STREAM variable=shortcuts depth=512)
  hls::stream<EngineValues> values("values");
  BIREAL_PRAGMA(HLS STREAM variable=values depth=64)
  deal<Config>(pass, beats, constants, words);
  multiply<Config>(pass, words, bits, numbers, sums);
  load<Config>(pass, !side, maps_read, shortcuts);
  finish<Config>(pass, constants, sums, shortcuts, values, new_bits, new_numbers);
  store<Config>(pass, values, maps_write, out);
  arrive<Config>(in, input, side, first, pixels);
}

// The passes of every frame; a frame arrives in one round and is computed in the next.
template <class Config>
void run_program(hls::stream<Entry<64>>& beats, hls::stream<ap_uint<Lanes * Config::InWidth>>& in,
                 hls::stream<ap_uint<Config::OutWidth>>& out, const Entry<64> (&program)[Config::Passes][EnginePassWords],
                 const Entry<32> (&schedule)[Config::Passes][3], const Entry<64>* maps_read, Entry<64>* maps_write,
                 Entry<64>* input, int frames) {
  constexpr int Passes = Config::Passes, Slices = EngineShape<Config>::Slices, Parts = EngineShape<Config>::Parts;
  EngineBits<Config> bits, new_bits;
  BIREAL_PRAGMA(HLS ARRAY_RESHAPE variable=bits complete dim=2)
  BIREAL_PRAGMA(HLS ARRAY_PARTITION variable=new_bits complete dim=2)
  EngineNumbers<Config> numbers, new_numbers;
  BIREAL_PRAGMA(HLS ARRAY_RESHAPE variable=numbers complete dim=2)
  BIREAL_PRAGMA(HLS ARRAY_PARTITION variable=new_numbers complete dim=2)
  const long before = take_cycles();
  long iterations = 0;
  bool side = false;
  for (int round = 0; round <= frames; ++round) {
    BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=1 max=1)
    int arrived = 0;
    for (int p = 0; p < Passes; ++p) {
      BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=Passes max=Passes)
      const EnginePass pass = engine_pass_of(program[p], round > 0);
      const int arriving = round < frames ? static_cast<int>(schedule[p][0]) : 0;
      run_pass<Config>(pass, side, arrived, arriving, beats, in, out, maps_read, maps_write, input, bits, numbers,
                       new_bits, new_numbers);
      arrived += arriving;
      iterations += take_cycles();
      // What a pass has made is read by those behind it alone.
      const int made_bits = round > 0 ? static_cast<int>(schedule[p][1]) : 0;
      for (int i = 0; i < made_bits; ++i) {
        BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
        BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=0 max=Config::Copied)
        for (int s = 0; s < Slices; ++s) {
          BIREAL_PRAGMA(HLS UNROLL)
          bits[pass.bits_first + i][s] = new_bits[i][s];
        }
      }
      const int made_numbers = round > 0 ? static_cast<int>(schedule[p][2]) : 0;
      for (int i = 0; i < made_numbers; ++i) {
        BIREAL_PRAGMA(HLS PIPELINE II=1 style=flp)
        BIREAL_PRAGMA(HLS LOOP_TRIPCOUNT min=0 max=Config::Copied)
        for (int s = 0; s < Parts; ++s) {
          BIREAL_PRAGMA(HLS UNROLL)
          numbers[pass.real_first + i][s] = new_numbers[i][s];
        }
      }
      iterations += made_bits + made_numbers;
    }
    side = !side;
  }
  ran(before);
  ran(iterations);
}

template <class Config>
void engine(hls::stream<ap_uint<Lanes * Config::InWidth>>& in, hls::stream<ap_uint<Config::OutWidth>>& out,
            const Entry<64> (&program)[Config::Passes][EnginePassWords], const Entry<56> (&segment)[Config::Segments][1],
            const Entry<32> (&schedule)[Config::Passes][3], const Entry<64>* weights, const Entry<64>* maps_read,
            Entry<64>* maps_write, Entry<64>* input, int frames) {
  BIREAL_PRAGMA(HLS DATAFLOW)
  BIREAL_PRAGMA(HLS STABLE variable=frames)
  hls::stream<Entry<64>> beats("beats");
  BIREAL_PRAGMA(HLS STREAM variable=beats depth=512)
  fetch<Config>(weights, segment, beats, frames);
  run_program<Config>(beats, in, out, program, schedule, maps_read, maps_write, input, frames);
}

}  // namespace bireal

#endif
