// hls::stream as hardware has it: a FIFO of limited depth between two threads. Writing into a full one waits, reading from
// an empty one waits; `moves` counts what moved anywhere, so that a watchdog sees when nothing does.
#ifndef BOUNDED_HLS_STREAM_H
#define BOUNDED_HLS_STREAM_H

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>

namespace hls {

inline std::atomic<long>& moves() {
  static std::atomic<long> count{0};
  return count;
}

template <class T>
class stream {
 public:
  stream() {}
  explicit stream(const std::string&) {}
  stream(const stream&) = delete;

  void limit(std::size_t depth) { depth_ = depth; }

  void write(const T& beat) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return beats_.size() < depth_; });
    beats_.push_back(beat);
    ++moves();
    changed_.notify_all();
  }

  T read() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !beats_.empty(); });
    const T beat = beats_.front();
    beats_.pop_front();
    ++moves();
    changed_.notify_all();
    return beat;
  }

  bool read_nb(T& beat) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (beats_.empty()) return false;
    beat = beats_.front();
    beats_.pop_front();
    ++moves();
    changed_.notify_all();
    return true;
  }

  bool empty() { return size() == 0; }

  std::size_t size() {
    std::lock_guard<std::mutex> lock(mutex_);
    return beats_.size();
  }

 private:
  std::deque<T> beats_;
  std::size_t depth_ = static_cast<std::size_t>(-1);
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace hls

#endif
