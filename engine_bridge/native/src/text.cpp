#include "text.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace c2r {

std::string format(const char* pattern, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return cut(text, sizeof text - 1);
}

static bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

std::string cut(const std::string& text, size_t most) {
  if (text.size() <= most) return text;
  size_t size = most;
  while (size > 0 && continues(text[size])) --size;
  return text.substr(0, size);
}

void copy_text(char* out, size_t capacity, const std::string& text) {
  const std::string fits = cut(text, capacity - 1);
  const size_t size = std::strlen(fits.c_str());
  std::memcpy(out, fits.c_str(), size);
  std::memset(out + size, 0, capacity - size);
}

// Bytes of the character that begins at `text`; 0 when it is none.
static size_t character(const char* text, size_t left) {
  const auto* byte = reinterpret_cast<const unsigned char*>(text);
  if (byte[0] < 0x80) return 1;
  const size_t size = byte[0] >= 0xF0 ? 4 : byte[0] >= 0xE0 ? 3 : 2;
  if (byte[0] < 0xC2 || byte[0] > 0xF4 || left < size) return 0;
  for (size_t i = 1; i < size; ++i)
    if (!continues(text[i])) return 0;
  if (byte[0] == 0xE0 && byte[1] < 0xA0) return 0;
  if (byte[0] == 0xED && byte[1] > 0x9F) return 0;
  if (byte[0] == 0xF0 && byte[1] < 0x90) return 0;
  if (byte[0] == 0xF4 && byte[1] > 0x8F) return 0;
  return size;
}

bool is_utf8(const char* text, size_t size) {
  for (size_t at = 0; at < size;) {
    const size_t step = character(text + at, size - at);
    if (step == 0) return false;
    at += step;
  }
  return true;
}

static int hex(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

static std::string only_utf8(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t step = character(text.data() + at, text.size() - at);
    if (step == 0 || text[at] == 0)
      out += '?';
    else
      out.append(text, at, step);
    at += step == 0 ? 1 : step;
  }
  return out;
}

std::string percent_decoded(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    const bool pair = text[at] == '%' && at + 2 < text.size() && hex(text[at + 1]) >= 0 &&
                      hex(text[at + 2]) >= 0;
    if (!pair) {
      out += text[at];
      continue;
    }
    out += static_cast<char>(hex(text[at + 1]) * 16 + hex(text[at + 2]));
    at += 2;
  }
  return only_utf8(out);
}

}  // namespace c2r
