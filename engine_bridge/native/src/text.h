// Text: formatting, truncation at a whole character, and the percent encoding of grpc-message.
#pragma once
#include "prelude.h"

#include <cstddef>
#include <string>

#if defined(__GNUC__)
#define C2R_PRINTF __attribute__((format(printf, 1, 2)))
#else
#define C2R_PRINTF
#endif

namespace c2r {

std::string format(const char* pattern, ...) C2R_PRINTF;

// Copies as much as fits, whole UTF-8 characters only, and a zero.
void copy_text(char* out, size_t capacity, const std::string& text);

// `text` cut to `most` bytes, at a whole UTF-8 character.
std::string cut(const std::string& text, size_t most);

// Decodes %XX; anything else stays as it is, as the gRPC protocol asks. Bytes that are not UTF-8
// become '?'.
std::string percent_decoded(const std::string& text);

// Whether the bytes are UTF-8 as protobuf demands it: shortest forms, no surrogates.
bool is_utf8(const char* text, size_t size);

}  // namespace c2r
