// Pictures: the first bytes choose the agreed codec, size and layout.
#include "codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 6) return 0;
  c2r::PictureSpec spec;
  spec.codec = 1 + data[0] % 4;
  spec.width = 1 + data[1] % 64;
  spec.height = 1 + data[2] % 64;
  spec.pixels = 1 + data[3] % 3;
  spec.rows = 1 + data[4] % 2;
  c2r::PictureView picture;
  picture.codec = spec.codec;
  picture.width = spec.width;
  picture.height = spec.height;
  picture.pixel_format = data[5] % 5;
  picture.data = {data + 6, size - 6};
  c2r::Bytes scratch, out;
  c2r::Fault fault;
  const bool good = c2r::unpack_picture(picture, spec, scratch, out, fault);
  const size_t wanted = size_t{spec.width} * spec.height * c2r::pixel_bytes(spec.pixels);
  if (good && out.size() != wanted) std::abort();
  if (!good && fault.message.empty()) std::abort();
  return 0;
}
