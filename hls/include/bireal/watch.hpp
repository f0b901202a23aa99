// watch: what C simulation sees of a network beyond its outputs; nothing of it is in the hardware.
// Function       BIREAL_WATCH(name, stream) behind a kernel's call notes the cycles that it took, and writes the beats on
//                its output to a file if watch_folder() is not empty
// Files          one beat a line, hexadecimal, as many digits as the beat needs
#ifndef BIREAL_WATCH_HPP
#define BIREAL_WATCH_HPP

#ifdef __SYNTHESIS__
#define BIREAL_WATCH(name, stream)
#else
#define BIREAL_WATCH(name, stream) bireal::watch(#name, stream);

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "common.hpp"

namespace bireal {

// Where the beats of every stream go; empty: nowhere.
inline std::string& watch_folder() {
  static std::string folder;
  return folder;
}

// Kernels in the order of their calls, with the cycles of each.
inline std::vector<std::pair<std::string, long>>& watched() {
  static std::vector<std::pair<std::string, long>> kernels;
  return kernels;
}

template <int Width>
std::string to_hex(const ap_uint<Width>& beat) {
  constexpr int Digits = (Width + 3) / 4;
  const ap_uint<4 * Digits> padded = beat;
  std::string text(Digits, '0');
  for (int i = 0; i < Digits; ++i)
    text[Digits - 1 - i] = "0123456789abcdef"[ap_uint<4>(padded.range(4 * i + 3, 4 * i)).to_uint()];
  return text;
}

template <int Width>
ap_uint<Width> from_hex(const std::string& text) {
  constexpr int Digits = (Width + 3) / 4;
  ap_uint<4 * Digits> padded = 0;
  for (int i = 0; i < Digits; ++i)
    padded.range(4 * i + 3, 4 * i) = ap_uint<4>(std::stoi(text.substr(Digits - 1 - i, 1), nullptr, 16));
  return padded;
}

// Write the beats of a stream, which stay in it.
template <int Width>
void write_beats(const std::string& path, hls::stream<ap_uint<Width>>& stream) {
  std::ofstream file(path);
  for (std::size_t left = stream.size(); left > 0; --left) {
    const ap_uint<Width> beat = stream.read();
    file << to_hex(beat) << '\n';
    stream.write(beat);
  }
}

template <int Width>
void watch(const char* name, hls::stream<ap_uint<Width>>& stream) {
  watched().emplace_back(name, take_cycles());
  if (!watch_folder().empty()) write_beats(watch_folder() + "/" + name + ".hex", stream);
}

}  // namespace bireal

#endif
#endif
