// Runs the kernels of a top function side by side, as DATAFLOW does, and ends the program when nothing moves any more.
#ifndef BOUNDED_THREADS_HPP
#define BOUNDED_THREADS_HPP

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "hls_stream.h"

// Depth of a stream: the generated one, unless the environment has a variable of the stream's name.
inline std::size_t depth(const char* name, std::size_t generated) {
  const char* text = std::getenv(name);
  return text ? std::strtoul(text, nullptr, 10) : generated;
}

class Threads {
 public:
  void run(std::function<void()> kernel) {
    ++running_;
    threads_.emplace_back([this, kernel] {
      kernel();
      --running_;
    });
  }

  ~Threads() {
    long before = -1;
    int quiet = 0;  // tenths of a second
    while (running_ > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      const long now = hls::moves();
      quiet = now == before ? quiet + 1 : 0;
      before = now;
      if (quiet == 30) {
        std::fprintf(stderr, "deadlock: %d kernels wait\n", running_.load());
        std::_Exit(5);
      }
    }
    for (auto& thread : threads_) thread.join();
  }

 private:
  std::atomic<int> running_{0};
  std::vector<std::thread> threads_;
};

#endif
