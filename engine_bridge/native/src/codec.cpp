#include "codec.h"

#include "text.h"

namespace c2r {

static bool set_fault(Fault& fault, uint32_t code, std::string message, const char* field) {
  fault = {code, std::move(message), field};
  return false;
}

bool has_codec(uint32_t codec) {
  switch (codec) {
    case C2R_CODEC_RAW: return true;
#if defined(C2R_WITH_ZSTD)
    case C2R_CODEC_ZSTD: return true;
#endif
#if defined(C2R_WITH_LZ4)
    case C2R_CODEC_LZ4: return true;
#endif
#if defined(C2R_WITH_JPEG)
    case C2R_CODEC_JPEG: return true;
#endif
    default: return false;
  }
}

const char* codec_name(uint32_t codec) {
  static const char* const names[] = {"unspecified", "raw", "zstd", "lz4", "jpeg", "h264"};
  return codec < sizeof names / sizeof names[0] ? names[codec] : "unknown";
}

uint32_t pixel_bytes(uint32_t pixels) {
  if (pixels == C2R_PIXELS_RGB8) return 3;
  return pixels == C2R_PIXELS_RGBA8 || pixels == C2R_PIXELS_BGRA8 ? 4 : 0;
}

// `count` pixels of one layout as another; a fourth byte becomes 255.
static void convert(const uint8_t* from, uint32_t from_pixels, uint8_t* to, uint32_t to_pixels,
                    size_t count) {
  const uint32_t from_step = pixel_bytes(from_pixels), to_step = pixel_bytes(to_pixels);
  const uint32_t red = from_pixels == C2R_PIXELS_BGRA8 ? 2 : 0;
  const uint32_t to_red = to_pixels == C2R_PIXELS_BGRA8 ? 2 : 0;
  for (size_t i = 0; i < count; ++i, from += from_step, to += to_step) {
    to[to_red] = from[red];
    to[1] = from[1];
    to[2 - to_red] = from[2 - red];
    if (to_step == 4) to[3] = 255;
  }
}

bool to_rgb(const Plane& image, uint32_t pixels, Bytes& scratch, View& rgb) {
  rgb = image.data.view();
  if (pixels == C2R_PIXELS_RGB8) return true;
  const size_t count = size_t{image.width} * image.height;
  if (!scratch.resize(count * 3)) return false;
  convert(image.data.data(), pixels, scratch.data(), C2R_PIXELS_RGB8, count);
  rgb = scratch.view();
  return true;
}

bool pack_plane(uint32_t codec, View raw, Bytes& scratch, View& out, Fault& fault) {
  out = raw;
  if (codec == C2R_CODEC_RAW) return true;
  if (!pack_lossless(codec, raw, scratch, fault)) return false;
  out = scratch.view();
  return true;
}

bool pack_colour(uint32_t codec, View rgb, uint32_t width, uint32_t height, Bytes& scratch,
                 View& out, Fault& fault) {
  if (codec != C2R_CODEC_JPEG) return pack_plane(codec, rgb, scratch, out, fault);
  if (!pack_jpeg(rgb, width, height, scratch, fault)) return false;
  out = scratch.view();
  return true;
}

static bool check_picture(const PictureView& picture, const PictureSpec& spec, Fault& fault) {
  if (picture.codec != spec.codec)
    return set_fault(fault, fault_code::unsupported,
                     format("is %u; the session agreed %u (%s)", picture.codec, spec.codec,
                            codec_name(spec.codec)),
                     "payload.codec");
  if (picture.width != spec.width || picture.height != spec.height)
    return set_fault(fault, fault_code::invalid,
                     format("is %ux%u; the session agreed %ux%u", picture.width, picture.height,
                            spec.width, spec.height),
                     "payload");
  if (picture.row_order > C2R_ROWS_TOP_FIRST)
    return set_fault(fault, fault_code::unsupported, "must be top first", "payload.row_order");
  if (spec.codec != C2R_CODEC_JPEG && pixel_bytes(picture.pixel_format) == 0)
    return set_fault(fault, fault_code::malformed, "must say how a pixel is held", "pixel_format");
  return true;
}

static void place(const uint8_t* from, uint32_t from_pixels, const PictureSpec& spec,
                  uint8_t* out) {
  const size_t from_row = size_t{spec.width} * pixel_bytes(from_pixels);
  const size_t to_row = size_t{spec.width} * pixel_bytes(spec.pixels);
  for (uint32_t row = 0; row < spec.height; ++row) {
    const uint32_t target = spec.rows == C2R_ROWS_BOTTOM_FIRST ? spec.height - 1 - row : row;
    uint8_t* to = out + target * to_row;
    if (from_pixels == spec.pixels && to_row == from_row)
      std::memcpy(to, from + row * from_row, from_row);
    else
      convert(from + row * from_row, from_pixels, to, spec.pixels, spec.width);
  }
}

static bool unpack_raw(const PictureView& picture, const PictureSpec& spec, uint8_t* out,
                       size_t size, Fault& fault) {
  if (picture.data.size != size)
    return set_fault(fault,
                     picture.data.size > size ? fault_code::too_large : fault_code::malformed,
                     format("unpacks to %zu bytes; its width, height and format say %zu",
                            picture.data.size, size),
                     "payload");
  place(picture.data.data, picture.pixel_format, spec, out);
  return true;
}

bool unpack_picture(const PictureView& picture, const PictureSpec& spec, Bytes& scratch,
                    Bytes& out, Fault& fault) {
  if (!check_picture(picture, spec, fault)) return false;
  const size_t count = size_t{spec.width} * spec.height;
  if (!out.resize(count * pixel_bytes(spec.pixels)))
    return set_fault(fault, fault_code::internal, "no memory for the picture", "");
  if (spec.codec == C2R_CODEC_JPEG) return unpack_jpeg(picture.data, spec, out.data(), fault);
  const size_t size = count * pixel_bytes(picture.pixel_format);
  if (spec.codec == C2R_CODEC_RAW) return unpack_raw(picture, spec, out.data(), size, fault);
  if (!scratch.resize(size)) return set_fault(fault, fault_code::internal, "no memory", "");
  if (!unpack_lossless(spec.codec, picture.data, scratch.data(), size, fault)) return false;
  place(scratch.data(), picture.pixel_format, spec, out.data());
  return true;
}

}  // namespace c2r
