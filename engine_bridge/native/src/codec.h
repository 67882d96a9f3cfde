// Images into payloads and back: raw, zstd, lz4, JPEG, as far as this build has them. No payload
// can take more memory than the agreed image, whatever sizes it declares.
#pragma once
#include "messages.h"

namespace c2r {

bool has_codec(uint32_t codec);
const char* codec_name(uint32_t codec);

// Bytes per pixel of a c2r_pixels; 0 for another number.
uint32_t pixel_bytes(uint32_t pixels);

// RGB8 of any packed image, or the image itself when it is RGB8 already; false without memory.
bool to_rgb(const Plane& image, uint32_t pixels, Bytes& scratch, View& rgb);

// A plane of values; `scratch` may hold the result, or `out` is `raw` itself.
bool pack_plane(uint32_t codec, View raw, Bytes& scratch, View& out, Fault& fault);
// RGB8 [height, width, 3] as the codec asks.
bool pack_colour(uint32_t codec, View rgb, uint32_t width, uint32_t height, Bytes& scratch,
                 View& out, Fault& fault);

// The agreed codec and size of pictures, and the layout that the engine reads.
struct PictureSpec {
  uint32_t codec = 0, width = 0, height = 0;
  uint32_t pixels = C2R_PIXELS_RGB8, rows = C2R_ROWS_TOP_FIRST;
};

// A picture into `out` (height x width x pixel_bytes); false with the fault when it does not match.
bool unpack_picture(const PictureView& picture, const PictureSpec& spec, Bytes& scratch,
                    Bytes& out, Fault& fault);

// The codecs themselves. lossless.cpp: zstd and lz4, of a known unpacked size.
bool pack_lossless(uint32_t codec, View raw, Bytes& out, Fault& fault);
// Exactly `size` bytes into `out`.
bool unpack_lossless(uint32_t codec, View data, uint8_t* out, size_t size, Fault& fault);

// jpeg.cpp: baseline JPEG through TurboJPEG.
bool pack_jpeg(View rgb, uint32_t width, uint32_t height, Bytes& out, Fault& fault);
// Straight into the wanted pixels and row order; `out` has the image's size.
bool unpack_jpeg(View data, const PictureSpec& spec, uint8_t* out, Fault& fault);
// Sequential Huffman coding in at most three scans: a progressive file of a few kilobytes can hold
// thousands of scans, each as costly to decode as a whole image.
bool is_baseline(View jpeg);

}  // namespace c2r
