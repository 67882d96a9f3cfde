// The monotonic clock of capture times and timeouts.
#pragma once
#include "prelude.h"

#include <chrono>
#include <cstdint>

namespace c2r {

inline uint64_t now_us() {
  using namespace std::chrono;
  const auto since = steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(duration_cast<microseconds>(since).count());
}

inline double now_s() { return static_cast<double>(now_us()) * 1e-6; }

}  // namespace c2r
