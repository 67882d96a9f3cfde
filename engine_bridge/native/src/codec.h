// Images into payloads and back: raw, zstd, lz4, JPEG, as far as this build has them. Nothing that
// comes from the network can take more memory than the image that was agreed on.
#pragma once
#include "messages.h"

namespace c2r {

bool has_codec(uint32_t codec);
const char* codec_name(uint32_t codec);

// Bytes of one pixel of a c2r_pixels; 0 for another number.
uint32_t pixel_bytes(uint32_t pixels);

// RGB8 of any packed image, or the image itself when it is RGB8 already; false without memory.
bool to_rgb(const Plane& image, uint32_t pixels, Bytes& scratch, View& rgb);

// A plane of values; `scratch` may hold the result, or `out` is `raw` itself.
bool pack_plane(uint32_t codec, View raw, Bytes& scratch, View& out, Fault& fault);
// RGB8 [height, width, 3] as the codec asks.
bool pack_colour(uint32_t codec, View rgb, uint32_t width, uint32_t height, Bytes& scratch,
                 View& out, Fault& fault);

// How pictures are wanted, and of which size and codec they must be.
struct PictureTerms {
  uint32_t codec = 0, width = 0, height = 0;
  uint32_t pixels = C2R_PIXELS_RGB8, rows = C2R_ROWS_TOP_FIRST;
};

// A picture into `out` (height x width x pixel_bytes); false with the fault when it is not that.
bool unpack_picture(const PictureView& picture, const PictureTerms& terms, Bytes& scratch,
                    Bytes& out, Fault& fault);

}  // namespace c2r
