// Image buffers that are used again: fresh memory would cost the game thread a page fault per 4
// KiB. Safe to use from any thread.
#pragma once
#include "bytes.h"

#include <mutex>
#include <vector>

namespace c2r {

class BufferPool {
 public:
  Bytes take(size_t size) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      for (size_t i = 0; i < kept_.size(); ++i) {
        // A much larger buffer is left for a larger image.
        if (kept_[i].capacity() < size || kept_[i].capacity() / 4 > size) continue;
        Bytes buffer = std::move(kept_[i]);
        kept_[i] = std::move(kept_.back());
        kept_.pop_back();
        buffer.clear();
        return buffer;
      }
    }
    return Bytes();
  }

  void give(Bytes bytes) {
    if (bytes.capacity() == 0) return;
    std::lock_guard<std::mutex> lock(mutex_);
    if (kept_.size() < kMost) kept_.push_back(std::move(bytes));
  }

 private:
  // Pictures that may wait for c2r_poll (Account::kUnreadPictures), and some frames under way.
  static constexpr size_t kMost = 40;
  std::mutex mutex_;
  std::vector<Bytes> kept_;
};

}  // namespace c2r
