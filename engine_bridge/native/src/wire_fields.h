// nanopb's callbacks for text and bytes, to and from what lives elsewhere.
#pragma once
#include "bytes.h"

#include <pb_decode.h>
#include <pb_encode.h>

#include <string>

namespace c2r {

// Longest text that is kept of what a server sends.
constexpr size_t kKeptText = 4096;

// Input whose callbacks may look at the bytes in place.
struct Source {
  const uint8_t* at;
};
pb_istream_t source_stream(Source& source, size_t size);

// To be written when not empty, as proto3 does without `optional`.
pb_callback_t out_text(const std::string& text);
pb_callback_t out_bytes(const View& bytes);
// To be written even when empty.
pb_callback_t out_text_always(const std::string& text);

// To be read: text must be UTF-8; what is longer than `kKeptText` is cut.
pb_callback_t in_text(std::string& text);
// To be read as it is, at most `kKeptText` bytes kept.
pb_callback_t in_token(std::string& token);
// To be read in place; only from a `source_stream`.
pb_callback_t in_view(View& view);

}  // namespace c2r
