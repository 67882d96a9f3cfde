// Baseline JPEG through TurboJPEG. Stateless, but for TurboJPEG's handle, made for each image.
#pragma once
#include "codec.h"

namespace c2r {

bool pack_jpeg(View rgb, uint32_t width, uint32_t height, Bytes& out, Fault& fault);
// Straight into the wanted pixels and row order; `out` has the image's size.
bool unpack_jpeg(View data, const PictureTerms& terms, uint8_t* out, Fault& fault);

// Sequential Huffman coding in at most three scans: a progressive file of a few kilobytes can hold
// thousands of scans, each as costly as a whole image.
bool is_baseline(View jpeg);

}  // namespace c2r
