// The client's messages into bytes.
#include "wire.h"
#include "wire_fields.h"

#include "c2r/wire/v1/renderer.pb.h"

namespace c2r {

using Request = c2r_wire_v1_RenderStreamRequest;

// Room for all fields of a message beside its images and texts.
static constexpr size_t kSpare = 4096;

static bool encode(const Request& request, size_t most, Bytes& out) {
  if (!out.resize(most)) return false;
  pb_ostream_t stream = pb_ostream_from_buffer(out.data(), out.size());
  if (!pb_encode(&stream, c2r_wire_v1_RenderStreamRequest_fields, &request)) return false;
  return out.resize(stream.bytes_written);
}

template <class Numbers, class Count>
static void fill(const std::vector<uint32_t>& from, Numbers& to, Count& count) {
  count = 0;
  for (uint32_t number : from)
    if (count < sizeof to / sizeof to[0]) to[count++] = static_cast<c2r_wire_v1_Codec>(number);
}

static void add_side(c2r_wire_v1_OpenRequest& open, uint32_t asked, uint32_t bit,
                     c2r_wire_v1_SideChannel channel) {
  if ((asked & bit) != 0) open.side_channels[open.side_channels_count++] = channel;
}

bool pack_open(const Opening& opening, Bytes& out) {
  Request request = c2r_wire_v1_RenderStreamRequest_init_zero;
  request.has_open = true;
  auto& open = request.open;
  open.protocol_major = kProtocolMajor;
  open.protocol_minor = kProtocolMinor;
  open.client = out_text(opening.client);
  open.width = opening.width;
  open.height = opening.height;
  open.fps = opening.fps;
  open.has_codecs = true;
  fill(opening.coarse, open.codecs.coarse, open.codecs.coarse_count);
  fill(opening.picture, open.codecs.picture, open.codecs.picture_count);
  open.prompt = out_text(opening.prompt);
  open.negative_prompt = out_text(opening.negative_prompt);
  open.has_strength = true;
  open.strength = opening.strength;
  open.has_seed = opening.has_seed;
  open.seed = opening.seed;
  add_side(open, opening.side_channels, C2R_SIDE_DEPTH,
           c2r_wire_v1_SideChannel_SIDE_CHANNEL_DEPTH);
  add_side(open, opening.side_channels, C2R_SIDE_MOTION,
           c2r_wire_v1_SideChannel_SIDE_CHANNEL_MOTION);
  add_side(open, opening.side_channels, C2R_SIDE_CAMERA,
           c2r_wire_v1_SideChannel_SIDE_CHANNEL_CAMERA);
  const View token{reinterpret_cast<const uint8_t*>(opening.resume_token.data()),
                   opening.resume_token.size()};
  open.resume_token = out_bytes(token);
  const size_t texts = opening.prompt.size() + opening.negative_prompt.size();
  return encode(request, texts + kSpare, out);
}

static void fill(const Packed& packed, bool& has, c2r_wire_v1_Payload& payload) {
  has = true;
  payload.codec = static_cast<c2r_wire_v1_Codec>(packed.codec);
  payload.data = out_bytes(packed.data);
  payload.width = packed.width;
  payload.height = packed.height;
  payload.row_order = c2r_wire_v1_RowOrder_ROW_ORDER_TOP_FIRST;
}

static void fill(const Frame& frame, c2r_wire_v1_DepthMap& depth) {
  depth.format = static_cast<c2r_wire_v1_DepthFormat>(frame.depth_format);
  depth.has_meters_per_unit = !frame.device_depth && frame.meters_per_unit != 1.0;
  depth.meters_per_unit = frame.meters_per_unit;
  depth.has_device = frame.device_depth;
  depth.device.depth_inverted = frame.depth_inverted;
  depth.device.depth_infinite = frame.depth_infinite;
  depth.device.near_plane = frame.near_plane;
  depth.device.far_plane = frame.far_plane;
  depth.device.view_space_to_meters = frame.view_space_to_meters;
}

template <size_t N, class Count>
static void fill(const double (&from)[N], double (&to)[N], Count& count) {
  count = N;
  for (size_t i = 0; i < N; ++i) to[i] = from[i];
}

static void fill(const c2r_camera& from, c2r_wire_v1_Camera& to) {
  fill(from.position, to.position, to.position_count);
  fill(from.right, to.right, to.right_count);
  fill(from.up, to.up, to.up_count);
  fill(from.forward, to.forward, to.forward_count);
  to.fov_y = from.fov_y;
  fill(from.view_to_clip, to.view_to_clip, to.view_to_clip_count);
  fill(from.clip_to_prev_clip, to.clip_to_prev_clip, to.clip_to_prev_clip_count);
}

bool pack_frame(const PackedFrame& packed, Bytes& out) {
  const Frame& frame = *packed.frame;
  Request request = c2r_wire_v1_RenderStreamRequest_init_zero;
  request.has_frame = true;
  auto& to = request.frame;
  to.frame_id = frame.id;
  to.capture_time_us = frame.captured_us;
  to.frame_delta_ms = frame.delta_ms;
  to.jitter_x = frame.jitter_x;
  to.jitter_y = frame.jitter_y;
  to.has_pre_exposure = true;
  to.pre_exposure = frame.pre_exposure;
  to.has_reset = frame.reset != C2R_RESET_NONE;
  if (to.has_reset) to.reset.reason = static_cast<c2r_wire_v1_ResetReason>(frame.reset);
  to.has_colour = true;
  to.colour.pixel_format = static_cast<c2r_wire_v1_PixelFormat>(packed.pixel_format);
  fill(packed.colour, to.colour.has_payload, to.colour.payload);
  size_t most = packed.colour.data.size + kSpare;
  if ((to.has_depth = packed.has_depth)) {
    fill(frame, to.depth);
    fill(packed.depth, to.depth.has_payload, to.depth.payload);
    most += packed.depth.data.size;
  }
  if ((to.has_motion = packed.has_motion)) {
    fill(packed.motion, to.motion.has_payload, to.motion.payload);
    most += packed.motion.data.size;
  }
  if ((to.has_camera = packed.has_camera)) fill(frame.camera, to.camera);
  return encode(request, most, out);
}

bool pack_control(const Control& change, Bytes& out) {
  Request request = c2r_wire_v1_RenderStreamRequest_init_zero;
  request.has_control = true;
  auto& to = request.control;
  to.control_id = change.id;
  if (change.has_prompt) to.prompt = out_text_always(change.prompt);
  if (change.has_negative) to.negative_prompt = out_text_always(change.negative_prompt);
  to.has_strength = change.has_strength;
  to.strength = change.strength;
  to.has_seed = change.has_seed;
  to.seed = change.seed;
  to.has_blend_chunks = change.blend_chunks != 0;
  to.blend_chunks = change.blend_chunks;
  return encode(request, change.prompt.size() + change.negative_prompt.size() + kSpare, out);
}

bool pack_feedback(const Feedback& feedback, Bytes& out) {
  Request request = c2r_wire_v1_RenderStreamRequest_init_zero;
  request.has_feedback = true;
  auto& to = request.feedback;
  to.has_displayed_frame_id = feedback.has_displayed;
  to.displayed_frame_id = feedback.displayed_id;
  to.decode_ms = feedback.decode_ms;
  to.jitter_buffer_ms = feedback.buffer_ms;
  to.latency_ms = feedback.latency_ms;
  to.frames_unsent = feedback.frames_unsent;
  return encode(request, kSpare, out);
}

bool pack_end(bool discard, Bytes& out) {
  Request request = c2r_wire_v1_RenderStreamRequest_init_zero;
  request.has_end = true;
  request.end.discard_pending = discard;
  return encode(request, kSpare, out);
}

}  // namespace c2r
