// zstd and lz4: bytes of a known unpacked length.
#pragma once
#include "messages.h"

namespace c2r {

bool pack_lossless(uint32_t codec, View raw, Bytes& out, Fault& fault);
// Exactly `size` bytes into `out`.
bool unpack_lossless(uint32_t codec, View data, uint8_t* out, size_t size, Fault& fault);

}  // namespace c2r
