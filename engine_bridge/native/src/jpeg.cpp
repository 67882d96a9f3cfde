#include "codec.h"

#include "text.h"

#if defined(C2R_WITH_JPEG)
#include <turbojpeg.h>
#endif

namespace c2r {

// Frame headers are 0xC0 to 0xCF but for these three.
static bool is_frame_header(uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

bool is_baseline(View jpeg) {
  constexpr uint8_t kScan = 0xDA;
  constexpr int kMostScans = 3;
  size_t at = 2;
  while (at + 4 <= jpeg.size && jpeg.data[at] == 0xFF && jpeg.data[at + 1] != kScan) {
    const uint8_t marker = jpeg.data[at + 1];
    if (is_frame_header(marker) && marker != 0xC0 && marker != 0xC1) return false;
    at += 2 + (size_t{jpeg.data[at + 2]} << 8 | jpeg.data[at + 3]);
  }
  // Inside a scan a byte 0xFF is followed by 0 or a restart marker, so this counts scans.
  int scans = 0;
  for (; at + 1 < jpeg.size; ++at) scans += jpeg.data[at] == 0xFF && jpeg.data[at + 1] == kScan;
  return scans >= 1 && scans <= kMostScans;
}

#if defined(C2R_WITH_JPEG)

// Coarse frames tell objects apart by flat colours: 4:4:4, so that their edges do not bleed.
static constexpr int kQuality = 95, kChroma = TJSAMP_444;

static bool set_fault(Fault& fault, uint32_t code, std::string message) {
  fault = {code, std::move(message), ""};
  return false;
}

bool pack_jpeg(View rgb, uint32_t width, uint32_t height, Bytes& out, Fault& fault) {
  const int w = static_cast<int>(width), h = static_cast<int>(height);
  tjhandle turbo = tjInitCompress();
  unsigned long size = tjBufSize(w, h, kChroma);
  if (turbo == nullptr || !out.resize(size)) {
    if (turbo != nullptr) tjDestroy(turbo);
    return set_fault(fault, fault_code::internal, "no memory");
  }
  unsigned char* to = out.data();
  const int failed = tjCompress2(turbo, rgb.data, w, 0, h, TJPF_RGB, &to, &size, kChroma, kQuality,
                                 TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT);
  if (failed != 0) set_fault(fault, fault_code::internal, tjGetErrorStr2(turbo));
  tjDestroy(turbo);
  return failed == 0 && out.resize(size);
}

static bool check_header(tjhandle turbo, View data, const PictureSpec& spec, Fault& fault) {
  int width = 0, height = 0, chroma = 0, space = 0;
  if (tjDecompressHeader3(turbo, data.data, static_cast<unsigned long>(data.size), &width, &height,
                          &chroma, &space) != 0)
    return set_fault(fault, fault_code::malformed,
                     format("is not a whole JPEG image (%s)", tjGetErrorStr2(turbo)));
  if (static_cast<uint32_t>(width) != spec.width || static_cast<uint32_t>(height) != spec.height)
    return set_fault(fault, fault_code::invalid,
                     format("is a JPEG of %dx%d; the session agreed %ux%u", width, height,
                            spec.width, spec.height));
  if (space == TJCS_CMYK || space == TJCS_YCCK)
    return set_fault(fault, fault_code::unsupported,
                     "is a JPEG of CMYK colours; send YCbCr (JFIF)");
  if (!is_baseline(data))
    return set_fault(fault, fault_code::unsupported, "is a progressive JPEG; send a baseline one");
  return true;
}

static int turbo_pixels(uint32_t pixels) {
  if (pixels == C2R_PIXELS_RGBA8) return TJPF_RGBA;
  return pixels == C2R_PIXELS_BGRA8 ? TJPF_BGRA : TJPF_RGB;
}

bool unpack_jpeg(View data, const PictureSpec& spec, uint8_t* out, Fault& fault) {
  tjhandle turbo = tjInitDecompress();
  if (turbo == nullptr) return set_fault(fault, fault_code::internal, "no memory");
  bool good = check_header(turbo, data, spec, fault);
  if (good) {
    const int flags =
        TJFLAG_ACCURATEDCT | (spec.rows == C2R_ROWS_BOTTOM_FIRST ? TJFLAG_BOTTOMUP : 0);
    good = tjDecompress2(turbo, data.data, static_cast<unsigned long>(data.size), out,
                         static_cast<int>(spec.width), 0, static_cast<int>(spec.height),
                         turbo_pixels(spec.pixels), flags) == 0;
    if (!good)
      set_fault(fault, fault_code::malformed,
                format("is not a whole JPEG image (%s)", tjGetErrorStr2(turbo)));
  }
  tjDestroy(turbo);
  return good;
}

#else

static bool not_built_in(Fault& fault) {
  fault = {fault_code::unsupported, "codec jpeg is not part of this build", ""};
  return false;
}
bool pack_jpeg(View, uint32_t, uint32_t, Bytes&, Fault& fault) { return not_built_in(fault); }
bool unpack_jpeg(View, const PictureSpec&, uint8_t*, Fault& fault) { return not_built_in(fault); }

#endif

}  // namespace c2r
