#include "frame_packer.h"

#include "codec.h"
#include "text.h"
#include "wire.h"

namespace c2r {

bool FramePacker::pack_side(const Plane& plane, uint32_t bit, bool& has, Packed& packed,
                            Bytes& scratch, Fault& fault) {
  has = plane.present() && (accepted_.side_channels & bit) != 0;
  if (!has) return true;
  packed.codec = accepted_.plane_codec;
  packed.width = plane.width;
  packed.height = plane.height;
  return pack_plane(accepted_.plane_codec, plane.data.view(), scratch, packed.data, fault);
}

bool FramePacker::pack(const Frame& frame, Bytes& message, Fault& fault) {
  PackedFrame packed;
  packed.frame = &frame;
  packed.colour.codec = accepted_.coarse_codec;
  packed.colour.width = frame.colour.width;
  packed.colour.height = frame.colour.height;
  packed.pixel_format = accepted_.coarse_codec == C2R_CODEC_JPEG ? 0 : C2R_PIXELS_RGB8;
  packed.has_camera = frame.has_camera && (accepted_.side_channels & C2R_SIDE_CAMERA) != 0;
  View rgb;
  if (!to_rgb(frame.colour, frame.pixels, rgb_, rgb)) {
    fault = {fault_code::internal, "no memory", "colour"};
    return false;
  }
  if (!pack_colour(accepted_.coarse_codec, rgb, frame.colour.width, frame.colour.height, colour_,
                   packed.colour.data, fault)) {
    fault.inside("colour");
    return false;
  }
  if (!pack_side(frame.depth, C2R_SIDE_DEPTH, packed.has_depth, packed.depth, depth_, fault) ||
      !pack_side(frame.motion, C2R_SIDE_MOTION, packed.has_motion, packed.motion, motion_, fault))
    return false;
  if (!pack_frame(packed, message)) {
    fault = {fault_code::internal, "no memory", ""};
    return false;
  }
  if (message.size() <= accepted_.max_message_bytes) return true;
  fault = {fault_code::too_large,
           format("is %zu bytes packed; the server takes %u: use a better codec", message.size(),
                  accepted_.max_message_bytes),
           ""};
  return false;
}

}  // namespace c2r
