// The C interface's structures in and out. Only the first min(struct_size, sizeof) bytes of each
// are touched: the caller may have been compiled against an older or a newer header, and to read or
// write beyond its size would corrupt its stack.
#pragma once
#include "client.h"

namespace c2r {

// What the caller gave, over the defaults; false when struct_size is not set.
template <class T>
bool read_struct(const T* given, T& value) {
  uint32_t size = 0;
  if (given == nullptr) return false;
  std::memcpy(&size, given, sizeof size);
  if (size < 2 * sizeof size) return false;
  std::memcpy(&value, given, size < sizeof value ? size : sizeof value);
  value.struct_size = sizeof value;
  return true;
}

// Hands `value` to the caller, as much as its struct_size holds; false when that is not set.
template <class T>
bool write_struct(const T& value, T* to) {
  uint32_t size = 0;
  if (to == nullptr) return false;
  std::memcpy(&size, to, sizeof size);
  if (size < 2 * sizeof size) return false;
  if (size > sizeof value) size = sizeof value;
  std::memcpy(reinterpret_cast<char*>(to) + sizeof size,
              reinterpret_cast<const char*>(&value) + sizeof size, size - sizeof size);
  return true;
}

// Each: empty when the structure is valid, else what is wrong with it.
std::string read_options(const c2r_options& in, Endpoint& endpoint, Patience& patience);
std::string read_session(const c2r_session& in, const Endpoint& endpoint, Opening& opening,
                         PixelLayout& layout);
std::string read_control(const c2r_control& in, Control& change);
// Copies the images, top row first and packed, into buffers of the pool.
std::string read_frame(const c2r_frame& in, const Opening& session, BufferPool& pool,
                       Frame& frame);

c2r_result result_of(const Outcome& outcome, const Opening& session, const PixelLayout& layout);
c2r_event event_of(const Event& event);
c2r_status status_of(const Status& status);
c2r_accepted accepted_of(const Accepted& accepted);

}  // namespace c2r
