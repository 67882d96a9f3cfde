// Buffers of images that come and go: the next frame takes the memory of one before, so that the
// game thread meets no page faults. Safe to use from any thread.
#pragma once
#include "bytes.h"

#include <mutex>
#include <vector>

namespace c2r {

class BufferPool {
 public:
  Bytes take(size_t size) {
    {
      std::lock_guard<std::mutex> hold(mutex_);
      for (size_t i = 0; i < kept_.size(); ++i) {
        // Not a much larger one, which another image will want.
        if (kept_[i].capacity() < size || kept_[i].capacity() / 4 > size) continue;
        Bytes found = std::move(kept_[i]);
        kept_[i] = std::move(kept_.back());
        kept_.pop_back();
        found.clear();
        return found;
      }
    }
    return Bytes();
  }

  void give(Bytes bytes) {
    if (bytes.capacity() == 0) return;
    std::lock_guard<std::mutex> hold(mutex_);
    if (kept_.size() < kMost) kept_.push_back(std::move(bytes));
  }

 private:
  // As many as there may be pictures that wait to be read, and frames under way.
  static constexpr size_t kMost = 40;
  std::mutex mutex_;
  std::vector<Bytes> kept_;
};

}  // namespace c2r
