// Pictures: the first bytes choose codec, size and what was agreed on.
#include "codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 6) return 0;
  c2r::PictureTerms terms;
  terms.codec = 1 + data[0] % 4;
  terms.width = 1 + data[1] % 64;
  terms.height = 1 + data[2] % 64;
  terms.pixels = 1 + data[3] % 3;
  terms.rows = 1 + data[4] % 2;
  c2r::PictureView picture;
  picture.codec = terms.codec;
  picture.width = terms.width;
  picture.height = terms.height;
  picture.pixel_format = data[5] % 5;
  picture.data = {data + 6, size - 6};
  c2r::Bytes scratch, out;
  c2r::Fault fault;
  const bool good = c2r::unpack_picture(picture, terms, scratch, out, fault);
  const size_t wanted = size_t{terms.width} * terms.height * c2r::pixel_bytes(terms.pixels);
  if (good && out.size() != wanted) std::abort();
  if (!good && fault.message.empty()) std::abort();
  return 0;
}
