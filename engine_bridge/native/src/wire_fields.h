// nanopb callbacks for text and bytes that live outside nanopb's structures.
#pragma once
#include "bytes.h"

#include <pb_decode.h>
#include <pb_encode.h>

#include <string>

namespace c2r {

// Longest text that is kept of what a server sends.
constexpr size_t kKeptText = 4096;

// Input whose callbacks can point into the bytes instead of copying them.
struct Source {
  const uint8_t* at;
};
pb_istream_t source_stream(Source& source, size_t size);

// Writes when not empty, as proto3 does without `optional`.
pb_callback_t out_text(const std::string& text);
pb_callback_t out_bytes(const View& bytes);
// Writes even when empty.
pb_callback_t out_text_always(const std::string& text);

// Reads text, which must be UTF-8, and truncates it to `kKeptText`.
pb_callback_t in_text(std::string& text);
// Reads bytes as they are, at most `kKeptText`.
pb_callback_t in_token(std::string& token);
// Points at the bytes; only from a `source_stream`.
pb_callback_t in_view(View& view);

}  // namespace c2r
