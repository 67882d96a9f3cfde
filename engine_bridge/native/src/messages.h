// The messages of a session as plain structures; renderer.proto defines every field. Enums stay
// numbers: a newer server may send some that are unknown here.
#pragma once
#include "bytes.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace c2r {

constexpr uint32_t kProtocolMajor = 1, kProtocolMinor = 0;
constexpr uint32_t kMaxSide = 16384;
constexpr double kMaxStrength = 2.0;

// Numbers of ErrorCode.
namespace fault_code {
enum { unspecified, malformed, invalid, unsupported, too_large, out_of_order, needs_key, internal };
}

struct Fault {
  uint32_t code = 0;
  std::string message, field;
  // The path, then the message.
  std::string text() const { return field.empty() ? message : field + ": " + message; }
  // Prefixes the path with `name`: the field that holds the faulty message.
  void inside(const char* name) { field = field.empty() ? name : name + ("." + field); }
};

// Engine to renderer

struct Opening {
  uint32_t width = 0, height = 0;
  double fps = 0;
  std::vector<uint32_t> coarse, picture;
  std::string prompt, negative_prompt, resume_token, client;
  double strength = 1;
  bool has_seed = false;
  uint64_t seed = 0;
  uint32_t side_channels = 0;  // C2R_SIDE_*
};

struct Plane {
  Bytes data;  // packed rows, top first
  uint32_t width = 0, height = 0;
  bool present() const { return width != 0; }
};

struct Frame {
  uint64_t id = 0, captured_us = 0;
  double delta_ms = 0;
  uint32_t pixels = C2R_PIXELS_RGB8;
  Plane colour, depth, motion;
  uint32_t depth_format = C2R_DEPTH_F32;
  double meters_per_unit = 1;
  bool device_depth = false, depth_inverted = false, depth_infinite = false;
  double near_plane = 0, far_plane = 0, view_space_to_meters = 0;
  bool has_camera = false;
  c2r_camera camera{};
  double jitter_x = 0, jitter_y = 0, pre_exposure = 1;
  int32_t reset = C2R_RESET_NONE;
};

using FramePtr = std::unique_ptr<Frame>;

// An encoded image.
struct Packed {
  uint32_t codec = 0, width = 0, height = 0;
  View data;
};

struct PackedFrame {
  const Frame* frame = nullptr;
  Packed colour;
  uint32_t pixel_format = 0;
  bool has_depth = false, has_motion = false, has_camera = false;
  Packed depth, motion;
};

struct Control {
  uint64_t id = 0;
  bool has_prompt = false, has_negative = false, has_strength = false, has_seed = false;
  std::string prompt, negative_prompt;
  double strength = 0;
  uint64_t seed = 0;
  uint32_t blend_chunks = 0;  // 0: unset
};

struct Feedback {
  bool has_displayed = false;
  uint64_t displayed_id = 0, frames_unsent = 0;
  double decode_ms = 0, buffer_ms = 0, latency_ms = 0;
};

// Renderer to engine

struct Accepted {
  uint32_t width = 0, height = 0;
  double fps = 0, resume_grace_s = 0, strength = 0, idle_timeout_s = 0;
  uint32_t chunk_latents = 0, first_chunk_frames = 0, chunk_frames = 0, max_in_flight_chunks = 0;
  uint32_t coarse_codec = 0, plane_codec = 0, picture_codec = 0;
  uint32_t side_channels = 0;  // C2R_SIDE_*
  uint32_t max_message_bytes = 0;
  uint64_t seed = 0;
  bool resumed = false;
  std::string server, session_id, resume_token;
};

struct PictureView {
  uint32_t codec = 0, width = 0, height = 0, row_order = 0, pixel_format = 0;
  View data;  // inside the message that was parsed
};

struct Reply {
  uint64_t id = 0, captured_us = 0, chunk_index = 0;
  int32_t outcome = 0;  // c2r_outcome; 0: none was set
  PictureView picture;
  c2r_stages stages{};
  uint32_t drop = 0;
  Fault fault;
};

struct Ack {
  uint64_t control_id = 0, frame_id = 0;
  uint32_t blend_chunks = 0;
  bool is_refused = false;
  Fault refused;
};

struct Flow {
  uint32_t queue_position = 0, window_frames = 0;
};

struct Warning {
  uint32_t code = 0;
  std::string message;
};

// Numbers of EndReason.
namespace end_reason {
enum { unspecified, client, shutdown, idle, fault, taken_over };
}

struct Ended {
  uint32_t reason = 0;
  std::string message;
  bool resumable = false;
};

struct Response {
  enum class Kind { none, accepted, reply, ack, flow, warning, keepalive, ended };
  Kind kind = Kind::none;
  Accepted accepted;
  Reply reply;
  Ack ack;
  Flow flow;
  Warning warning;
  Ended ended;
};

}  // namespace c2r
