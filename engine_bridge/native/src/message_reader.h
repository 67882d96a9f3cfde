// gRPC's length-prefixed messages out of a stream of bytes, each at most `most` bytes.
#pragma once
#include "bytes.h"

#include <deque>

namespace c2r {

class MessageReader {
 public:
  explicit MessageReader(size_t most) : most_(most) {}

  enum class Fault { none, compressed, too_large, no_memory };

  // False once something is wrong; `fault` says what.
  bool feed(const uint8_t* data, size_t size);
  // The next whole message.
  bool next(Bytes& message);
  // The buffer of a message that was handled, for a later one.
  void recycle(Bytes spent) { spare_ = std::move(spent); }
  Fault fault() const { return fault_; }
  uint64_t announced() const { return wanted_; }
  // A message has begun and is not whole.
  bool partial() const { return header_size_ > 0; }

 private:
  bool begin();

  size_t most_;
  Fault fault_ = Fault::none;
  uint8_t header_[5] = {};
  size_t header_size_ = 0;
  uint64_t wanted_ = 0;
  Bytes body_, spare_;
  std::deque<Bytes> whole_;
};

}  // namespace c2r
