#include "codec.h"
#include "expect.h"

#include <random>
#include <vector>

using namespace c2r;

static std::vector<uint8_t> noise(size_t size) {
  std::mt19937 random(7);
  std::vector<uint8_t> out(size);
  for (auto& value : out) value = static_cast<uint8_t>(random() & 15);
  return out;
}

static PictureView view(uint32_t codec, View data, uint32_t width, uint32_t height) {
  PictureView out;
  out.codec = codec;
  out.width = width;
  out.height = height;
  out.pixel_format = codec == C2R_CODEC_JPEG ? 0 : C2R_PIXELS_RGB8;
  out.data = data;
  return out;
}

TEST(lossless_codecs_give_back_the_very_bytes) {
  const auto image = noise(48 * 32 * 3);
  for (uint32_t codec : {C2R_CODEC_RAW, C2R_CODEC_ZSTD, C2R_CODEC_LZ4}) {
    Bytes packed, scratch, out;
    View data;
    Fault fault;
    EXPECT(pack_colour(codec, {image.data(), image.size()}, 48, 32, packed, data, fault));
    const PictureSpec spec{codec, 48, 32, C2R_PIXELS_RGB8, C2R_ROWS_TOP_FIRST};
    EXPECT(unpack_picture(view(codec, data, 48, 32), spec, scratch, out, fault));
    EXPECT(out.size() == image.size() && std::memcmp(out.data(), image.data(), out.size()) == 0);
  }
}

TEST(pictures_come_in_the_wanted_pixels_and_rows) {
  const uint8_t image[] = {1, 2, 3, 4, 5, 6};  // two rows of one pixel
  const PictureSpec spec{C2R_CODEC_RAW, 1, 2, C2R_PIXELS_BGRA8, C2R_ROWS_BOTTOM_FIRST};
  Bytes scratch, out;
  Fault fault;
  EXPECT(unpack_picture(view(C2R_CODEC_RAW, {image, 6}, 1, 2), spec, scratch, out, fault));
  const uint8_t wanted[] = {6, 5, 4, 255, 3, 2, 1, 255};
  EXPECT(out.size() == 8 && std::memcmp(out.data(), wanted, 8) == 0);
}

TEST(payloads_that_lie_about_their_size_are_refused) {
  const auto image = noise(64 * 64 * 3);
  for (uint32_t codec : {C2R_CODEC_RAW, C2R_CODEC_ZSTD, C2R_CODEC_LZ4}) {
    Bytes packed, scratch, out;
    View data;
    Fault fault;
    EXPECT(pack_colour(codec, {image.data(), image.size()}, 64, 64, packed, data, fault));
    for (uint32_t side : {32u, 63u, 65u, 128u}) {
      const PictureSpec spec{codec, side, side, C2R_PIXELS_RGB8, C2R_ROWS_TOP_FIRST};
      EXPECT(!unpack_picture(view(codec, data, side, side), spec, scratch, out, fault));
      EXPECT(fault.code == fault_code::malformed || fault.code == fault_code::too_large);
    }
    const PictureSpec spec{codec, 64, 64, C2R_PIXELS_RGB8, C2R_ROWS_TOP_FIRST};
    data.size -= 1;
    EXPECT(!unpack_picture(view(codec, data, 64, 64), spec, scratch, out, fault));
  }
}

TEST(jpeg_is_checked_before_it_is_unpacked) {
  const auto image = noise(64 * 48 * 3);
  Bytes packed, scratch, out;
  View data;
  Fault fault;
  EXPECT(pack_colour(C2R_CODEC_JPEG, {image.data(), image.size()}, 64, 48, packed, data, fault));
  PictureSpec spec{C2R_CODEC_JPEG, 64, 48, C2R_PIXELS_RGBA8, C2R_ROWS_TOP_FIRST};
  EXPECT(unpack_picture(view(C2R_CODEC_JPEG, data, 64, 48), spec, scratch, out, fault));
  EXPECT(out.size() == 64 * 48 * 4 && out.data()[3] == 255);
  EXPECT(is_baseline(data));
  data.size /= 2;
  EXPECT(!unpack_picture(view(C2R_CODEC_JPEG, data, 64, 48), spec, scratch, out, fault));
  data.size *= 2;
  spec.width = 48;
  spec.height = 64;
  EXPECT(!unpack_picture(view(C2R_CODEC_JPEG, data, 48, 64), spec, scratch, out, fault));
  EXPECT(fault.code == fault_code::invalid);
}

TEST(another_codec_than_agreed_is_refused) {
  const auto image = noise(12);
  const PictureSpec spec{C2R_CODEC_LZ4, 2, 2, C2R_PIXELS_RGB8, C2R_ROWS_TOP_FIRST};
  Bytes scratch, out;
  Fault fault;
  EXPECT(!unpack_picture(view(C2R_CODEC_RAW, {image.data(), 12}, 2, 2), spec, scratch, out,
                         fault));
  EXPECT(fault.field == "payload.codec");
}
