#include "message_reader.h"

#include <algorithm>

namespace c2r {

bool MessageReader::begin() {
  wanted_ = uint64_t{header_[1]} << 24 | uint64_t{header_[2]} << 16 | uint64_t{header_[3]} << 8 |
            header_[4];
  // The client offers no compression, so a compressed message is a fault.
  if (header_[0] != 0)
    fault_ = Fault::compressed;
  else if (wanted_ > most_)
    fault_ = Fault::too_large;
  return fault_ == Fault::none;
}

bool MessageReader::feed(const uint8_t* data, size_t size) {
  while (fault_ == Fault::none && size > 0) {
    if (header_size_ < sizeof header_) {
      header_[header_size_++] = *data++;
      --size;
      if (header_size_ < sizeof header_ || !begin()) continue;
    }
    const size_t count = std::min<uint64_t>(size, wanted_ - body_.size());
    // The buffer grows with the bytes that come: a prefix alone must not reserve its announced
    // size.
    if (!body_.append(data, count)) {
      fault_ = Fault::no_memory;
      break;
    }
    data += count;
    size -= count;
    if (body_.size() < wanted_) continue;
    whole_.push_back(std::move(body_));
    body_ = std::move(spare_);
    body_.clear();
    header_size_ = 0;
  }
  return fault_ == Fault::none;
}

bool MessageReader::next(Bytes& message) {
  if (whole_.empty()) return false;
  message = std::move(whole_.front());
  whole_.pop_front();
  return true;
}

}  // namespace c2r
