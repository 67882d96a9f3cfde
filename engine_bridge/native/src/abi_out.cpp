// Results, events and status as the C interface's structures.
#include "abi_structs.h"

#include "text.h"

namespace c2r {

c2r_result result_of(const Outcome& outcome, const Opening& session, const PixelLayout& layout) {
  c2r_result out{};
  out.struct_size = sizeof out;
  out.outcome = outcome.outcome;
  out.frame_id = outcome.id;
  out.capture_time_us = outcome.captured_us;
  out.chunk_index = outcome.chunk_index;
  if (outcome.outcome == C2R_OUTCOME_RENDERED) {
    out.picture = outcome.picture.data();
    out.width = session.width;
    out.height = session.height;
    out.pixels = layout.pixels;
    out.row_bytes = session.width * pixel_bytes(layout.pixels);
    out.stages = outcome.stages;
    out.latency_ms = outcome.latency_ms;
  } else if (outcome.outcome == C2R_OUTCOME_DROPPED) {
    out.drop = static_cast<int32_t>(outcome.drop);
  } else {
    out.fault = static_cast<int32_t>(outcome.fault.code);
    copy_text(out.message, sizeof out.message, outcome.fault.message);
    copy_text(out.field, sizeof out.field, outcome.fault.field);
  }
  return out;
}

c2r_event event_of(const Event& event) {
  c2r_event out{};
  out.struct_size = sizeof out;
  out.kind = event.kind;
  out.number = event.number;
  out.refused = event.ack.is_refused;
  out.control_id = event.ack.control_id;
  out.frame_id = event.ack.frame_id;
  out.blend_chunks = event.ack.blend_chunks;
  copy_text(out.text, sizeof out.text, event.text);
  return out;
}

c2r_status status_of(const Status& status) {
  c2r_status out{};
  out.struct_size = sizeof out;
  out.state = status.state;
  out.error = status.error;
  out.grpc_status = status.grpc;
  out.queue_position = status.queue_position;
  out.retry_in_s = status.retry_in_s;
  copy_text(out.text, sizeof out.text, status.text);
  return out;
}

c2r_accepted accepted_of(const Accepted& accepted) {
  c2r_accepted out{};
  out.struct_size = sizeof out;
  out.width = accepted.width;
  out.height = accepted.height;
  out.chunk_latents = accepted.chunk_latents;
  out.first_chunk_frames = accepted.first_chunk_frames;
  out.chunk_frames = accepted.chunk_frames;
  out.max_in_flight_chunks = accepted.max_in_flight_chunks;
  out.coarse_codec = accepted.coarse_codec;
  out.plane_codec = accepted.plane_codec;
  out.picture_codec = accepted.picture_codec;
  out.side_channels = accepted.side_channels;
  out.resumed = accepted.resumed;
  out.fps = accepted.fps;
  out.strength = accepted.strength;
  out.resume_grace_s = accepted.resume_grace_s;
  out.seed = accepted.seed;
  out.max_message_bytes = accepted.max_message_bytes;
  copy_text(out.session_id, sizeof out.session_id, accepted.session_id);
  copy_text(out.server, sizeof out.server, accepted.server);
  return out;
}

}  // namespace c2r
