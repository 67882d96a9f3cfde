// A block of memory that grows without being zeroed, unlike std::vector: images are overwritten
// whole, and zeroing a frame first would double its cost on the game thread.
#pragma once
#include "prelude.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace c2r {

struct View {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

class Bytes {
 public:
  Bytes() = default;
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  Bytes(Bytes&& other) noexcept { swap(other); }
  Bytes& operator=(Bytes&& other) noexcept {
    Bytes moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~Bytes() { std::free(data_); }

  // False, and nothing changes, when the system has no more memory. Keeps the contents.
  bool resize(size_t size) {
    if (size > capacity_ && !grow(size)) return false;
    size_ = size;
    return true;
  }

  bool append(const void* data, size_t size) {
    const size_t before = size_;
    if (before + size > capacity_ && !grow((before + size) * 2)) return false;
    size_ = before + size;
    if (size != 0) std::memcpy(data_ + before, data, size);
    return true;
  }

  void clear() { size_ = 0; }
  uint8_t* data() { return data_; }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  View view() const { return {data_, size_}; }

 private:
  bool grow(size_t capacity) {
    void* bigger = std::realloc(data_, capacity);
    if (bigger == nullptr) return false;
    data_ = static_cast<uint8_t*>(bigger);
    capacity_ = capacity;
    return true;
  }
  void swap(Bytes& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  uint8_t* data_ = nullptr;
  size_t size_ = 0, capacity_ = 0;
};

}  // namespace c2r
