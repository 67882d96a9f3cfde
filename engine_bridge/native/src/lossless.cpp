#include "codec.h"

#include "text.h"

#include <climits>

#if defined(C2R_WITH_LZ4)
#include <lz4.h>
#endif
#if defined(C2R_WITH_ZSTD)
#include <zstd.h>
#endif

namespace c2r {

static bool set_fault(Fault& fault, uint32_t code, std::string message) {
  fault = {code, std::move(message), ""};
  return false;
}

// Not used where neither codec is built in.
[[maybe_unused]] static bool malformed(Fault& fault, const char* name, size_t size,
                                       const char* why) {
  return set_fault(fault, fault_code::malformed,
                   format("is not %s data of %zu unpacked bytes (%s)", name, size, why));
}

#if defined(C2R_WITH_ZSTD)
static constexpr int kZstdLevel = 1;

static bool pack_zstd(View raw, Bytes& out, Fault& fault) {
  if (!out.resize(ZSTD_compressBound(raw.size)))
    return set_fault(fault, fault_code::internal, "no memory");
  const size_t size = ZSTD_compress(out.data(), out.size(), raw.data, raw.size, kZstdLevel);
  if (ZSTD_isError(size)) return set_fault(fault, fault_code::internal, ZSTD_getErrorName(size));
  return out.resize(size);
}

static bool unpack_zstd(View data, uint8_t* out, size_t size, Fault& fault) {
  const unsigned long long declared = ZSTD_getFrameContentSize(data.data, data.size);
  if (declared == ZSTD_CONTENTSIZE_ERROR) return malformed(fault, "zstd", size, "no frame header");
  if (declared != ZSTD_CONTENTSIZE_UNKNOWN && declared != size)
    return set_fault(fault, declared > size ? fault_code::too_large : fault_code::malformed,
                     format("unpacks to %llu bytes; its width, height and format say %zu", declared,
                            size));
  if (ZSTD_findFrameCompressedSize(data.data, data.size) != data.size)
    return malformed(fault, "zstd", size, "not one whole frame");
  // One call, straight into `out`: streaming would allocate whatever window the frame declares.
  ZSTD_DCtx* context = ZSTD_createDCtx();
  if (context == nullptr) return set_fault(fault, fault_code::internal, "no memory");
  const size_t unpacked = ZSTD_decompressDCtx(context, out, size, data.data, data.size);
  ZSTD_freeDCtx(context);
  if (ZSTD_isError(unpacked)) return malformed(fault, "zstd", size, ZSTD_getErrorName(unpacked));
  if (unpacked != size) return malformed(fault, "zstd", size, "too short");
  return true;
}
#endif

#if defined(C2R_WITH_LZ4)
static bool pack_lz4(View raw, Bytes& out, Fault& fault) {
  if (raw.size > LZ4_MAX_INPUT_SIZE)
    return set_fault(fault, fault_code::too_large, "is too large for lz4");
  const int most = LZ4_compressBound(static_cast<int>(raw.size));
  if (!out.resize(static_cast<size_t>(most)))
    return set_fault(fault, fault_code::internal, "no memory");
  const int size = LZ4_compress_default(reinterpret_cast<const char*>(raw.data),
                                        reinterpret_cast<char*>(out.data()),
                                        static_cast<int>(raw.size), most);
  if (size <= 0) return set_fault(fault, fault_code::internal, "lz4 failed");
  return out.resize(static_cast<size_t>(size));
}

static bool unpack_lz4(View data, uint8_t* out, size_t size, Fault& fault) {
  if (data.size > INT_MAX || size > INT_MAX) return malformed(fault, "lz4", size, "too large");
  const int unpacked = LZ4_decompress_safe(reinterpret_cast<const char*>(data.data),
                                        reinterpret_cast<char*>(out), static_cast<int>(data.size),
                                        static_cast<int>(size));
  if (unpacked < 0 || static_cast<size_t>(unpacked) != size)
    return malformed(fault, "lz4", size, unpacked < 0 ? "damaged" : "too short");
  return true;
}
#endif

static bool not_built_in(uint32_t codec, Fault& fault) {
  return set_fault(fault, fault_code::unsupported,
                   format("codec %s is not part of this build", codec_name(codec)));
}

bool pack_lossless(uint32_t codec, View raw, Bytes& out, Fault& fault) {
#if defined(C2R_WITH_ZSTD)
  if (codec == C2R_CODEC_ZSTD) return pack_zstd(raw, out, fault);
#endif
#if defined(C2R_WITH_LZ4)
  if (codec == C2R_CODEC_LZ4) return pack_lz4(raw, out, fault);
#endif
  (void)raw, (void)out;
  return not_built_in(codec, fault);
}

bool unpack_lossless(uint32_t codec, View data, uint8_t* out, size_t size, Fault& fault) {
#if defined(C2R_WITH_ZSTD)
  if (codec == C2R_CODEC_ZSTD) return unpack_zstd(data, out, size, fault);
#endif
#if defined(C2R_WITH_LZ4)
  if (codec == C2R_CODEC_LZ4) return unpack_lz4(data, out, size, fault);
#endif
  (void)data, (void)out, (void)size;
  return not_built_in(codec, fault);
}

}  // namespace c2r
