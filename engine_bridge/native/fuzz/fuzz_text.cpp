// Header texts: any bytes become UTF-8 without zeros, truncated at whole characters.
#include "text.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::string decoded = c2r::percent_decoded(text);
  if (!c2r::is_utf8(decoded.data(), decoded.size())) std::abort();
  char out[32];
  c2r::copy_text(out, sizeof out, decoded);
  const std::string copied = out;
  if (!c2r::is_utf8(copied.data(), copied.size())) std::abort();
  return 0;
}
