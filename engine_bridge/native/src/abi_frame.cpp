// Frames as the engine gives them: problem, and copied. This is what c2r_submit costs.
#include "abi_structs.h"

#include "text.h"

#include <cmath>

namespace c2r {

static std::string copy_image(const c2r_image& in, uint32_t pixel, const char* name,
                              BufferPool& pool, Plane& plane) {
  if (in.width < 1 || in.height < 1 || in.width > kMaxSide || in.height > kMaxSide)
    return format("%s is %ux%u; sides must be in [1, %u]", name, in.width, in.height, kMaxSide);
  const size_t row = size_t{in.width} * pixel, step = in.row_bytes == 0 ? row : in.row_bytes;
  if (step < row) return format("%s has %zu bytes a row, row_bytes is %zu", name, row, step);
  if (in.rows > C2R_ROWS_BOTTOM_FIRST) return format("%s.rows is %u", name, in.rows);
  const size_t size = row * in.height;
  plane.data = pool.take(size);
  if (!plane.data.resize(size)) return format("no memory for %s", name);
  const auto* from = static_cast<const uint8_t*>(in.data);
  const bool flipped = in.rows == C2R_ROWS_BOTTOM_FIRST;
  if (step == row && !flipped) {
    std::memcpy(plane.data.data(), from, size);
  } else {
    for (uint32_t y = 0; y < in.height; ++y) {
      const uint32_t source = flipped ? in.height - 1 - y : y;
      std::memcpy(plane.data.data() + y * row, from + source * step, row);
    }
  }
  plane.width = in.width;
  plane.height = in.height;
  return "";
}

static bool at_least(double value, double low) { return std::isfinite(value) && value >= low; }
static bool positive(double value) { return std::isfinite(value) && value > 0; }

static std::string check_scalars(const c2r_frame& in) {
  if (!at_least(in.frame_delta_ms, 0))
    return format("frame_delta_ms is %g; it must be finite and at least 0", in.frame_delta_ms);
  if (!(std::fabs(in.jitter_x) <= 0.5 && std::fabs(in.jitter_y) <= 0.5))
    return format("jitter is (%g, %g); it must be in [-0.5, 0.5]", in.jitter_x, in.jitter_y);
  if (!positive(in.pre_exposure))
    return format("pre_exposure is %g; it must be finite and above 0", in.pre_exposure);
  if (in.reset < C2R_RESET_NONE || in.reset > C2R_RESET_USER)
    return format("reset is %d; use a c2r_reset", in.reset);
  return "";
}

static std::string check_depth(const c2r_frame& in) {
  if (in.depth.data == nullptr) return "";
  if (in.depth_format < C2R_DEPTH_F16 || in.depth_format > C2R_DEPTH_U16)
    return format("depth_format is %u; use a c2r_depth_format", in.depth_format);
  if (in.device_depth == 0)
    return positive(in.meters_per_unit) ? ""
                                        : format("meters_per_unit is %g; it must be above 0",
                                                 in.meters_per_unit);
  const bool planes = positive(in.near_plane) && positive(in.view_space_to_meters) &&
                      (in.depth_infinite != 0 ||
                       (std::isfinite(in.far_plane) && in.far_plane > in.near_plane));
  return planes ? "" : "device_depth needs near_plane and view_space_to_meters above 0, and "
                       "far_plane beyond near_plane or depth_infinite";
}

static void take_scalars(const c2r_frame& in, Frame& frame) {
  frame.id = in.frame_id;
  frame.captured_us = in.capture_time_us == 0 ? now_us() : in.capture_time_us;
  frame.delta_ms = in.frame_delta_ms;
  frame.pixels = in.pixels;
  frame.depth_format = in.depth_format;
  frame.meters_per_unit = in.meters_per_unit;
  frame.device_depth = in.device_depth != 0;
  frame.depth_inverted = in.depth_inverted != 0;
  frame.depth_infinite = in.depth_infinite != 0;
  frame.near_plane = in.near_plane;
  frame.far_plane = in.far_plane;
  frame.view_space_to_meters = in.view_space_to_meters;
  frame.has_camera = in.camera != nullptr;
  if (frame.has_camera) frame.camera = *in.camera;
  frame.jitter_x = in.jitter_x;
  frame.jitter_y = in.jitter_y;
  frame.pre_exposure = in.pre_exposure;
  frame.reset = in.reset;
}

// Side channels that the session did not ask for are not copied.
static std::string copy_sides(const c2r_frame& in, uint32_t asked, BufferPool& pool,
                              Frame& frame) {
  std::string problem;
  if (in.depth.data != nullptr && (asked & C2R_SIDE_DEPTH) != 0)
    problem = copy_image(in.depth, in.depth_format == C2R_DEPTH_F32 ? 4 : 2, "depth", pool,
                         frame.depth);
  if (problem.empty() && in.motion.data != nullptr && (asked & C2R_SIDE_MOTION) != 0)
    problem = copy_image(in.motion, 4, "motion", pool, frame.motion);
  return problem;
}

std::string read_frame(const c2r_frame& in, const Opening& session, BufferPool& pool,
                       Frame& frame) {
  std::string problem = check_scalars(in);
  if (problem.empty()) problem = check_depth(in);
  if (!problem.empty()) return problem;
  if (in.colour.data == nullptr) return "colour is missing";
  if (pixel_bytes(in.pixels) == 0) return format("pixels is %u; use a c2r_pixels", in.pixels);
  if (in.colour.width != session.width || in.colour.height != session.height)
    return format("the frame is %ux%u, the session %ux%u; resize it", in.colour.width,
                  in.colour.height, session.width, session.height);
  take_scalars(in, frame);
  problem = copy_image(in.colour, pixel_bytes(in.pixels), "colour", pool, frame.colour);
  return problem.empty() ? copy_sides(in, session.side_channels, pool, frame) : problem;
}

}  // namespace c2r
