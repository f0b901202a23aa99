// hls::stream whose writer is slow: a read that does not wait often finds nothing although data are on their way. Whoever
// asks a stream without data a million times waits for ever.
#ifndef SLOW_HLS_STREAM_H
#define SLOW_HLS_STREAM_H

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>

namespace hls {

// Reads of 256 that find nothing.
inline int& slowness() {
  static int of_256 = 0;
  return of_256;
}

inline void stop(const std::string& name, const char* why) {
  std::fprintf(stderr, "%s %s\n", name.c_str(), why);
  std::exit(6);
}

template <class T>
class stream {
 public:
  stream() {}
  explicit stream(const std::string& name) : name_(name) {}
  stream(const stream&) = delete;

  void write(const T& beat) { beats_.push_back(beat); }

  T read() {
    if (beats_.empty()) stop(name_, "is read while empty");
    const T beat = beats_.front();
    beats_.pop_front();
    return beat;
  }

  bool read_nb(T& beat) {
    if (empty()) return false;
    beat = read();
    return true;
  }

  bool empty() {
    if (beats_.empty() && ++in_vain_ == 1000000) stop(name_, "is waited for");
    state_ = state_ * 1664525u + 1013904223u;
    return beats_.empty() || static_cast<int>(state_ >> 24) < slowness();
  }

  std::size_t size() const { return beats_.size(); }

 private:
  std::deque<T> beats_;
  std::string name_;
  unsigned state_ = 1;
  int in_vain_ = 0;
};

}  // namespace hls

#endif
