// The server's bytes into messages. Nothing that is read here can be trusted.
#include "wire.h"
#include "wire_fields.h"

#include "text.h"

#include "c2r/wire/v1/renderer.pb.h"

#include <cmath>

namespace c2r {

// An enum from the wire may hold any number; reading it as an enum would be undefined.
template <class Enum>
static uint32_t number(const Enum& value) {
  static_assert(sizeof(Enum) == sizeof(uint32_t), "nanopb enums are 32 bits wide here");
  uint32_t out;
  std::memcpy(&out, &value, sizeof out);
  return out;
}

static bool set_fault(Fault& fault, uint32_t code, std::string message, const char* field) {
  fault = {code, std::move(message), field};
  return false;
}

static bool at_least_zero(double value) { return std::isfinite(value) && value >= 0; }

// Callbacks of a response, bound to where their text goes.
static void bind(c2r_wire_v1_RenderStreamResponse& in, Response& out) {
  in.accepted.server = in_text(out.accepted.server);
  in.accepted.session_id = in_text(out.accepted.session_id);
  in.accepted.resume_token = in_token(out.accepted.resume_token);
  in.frame.rendered.picture.payload.data = in_view(out.reply.picture.data);
  in.frame.failed.message = in_text(out.reply.fault.message);
  in.frame.failed.field = in_text(out.reply.fault.field);
  in.control_ack.refused.message = in_text(out.ack.refused.message);
  in.control_ack.refused.field = in_text(out.ack.refused.field);
  in.warning.message = in_text(out.warning.message);
  in.ended.message = in_text(out.ended.message);
}

static bool lossless(uint32_t codec) { return codec >= C2R_CODEC_RAW && codec <= C2R_CODEC_LZ4; }

static bool between(Fault& fault, uint32_t value, uint32_t most, const char* field) {
  if (value >= 1 && value <= most) return true;
  return set_fault(fault, fault_code::invalid,
                   format("is %u; it must be in [1, %u]", value, most), field);
}

static bool check_accepted(const Accepted& a, Fault& fault) {
  if (!between(fault, a.width, kMaxSide, "width") ||
      !between(fault, a.height, kMaxSide, "height") ||
      !between(fault, a.chunk_latents, UINT32_MAX, "chunk_latents") ||
      !between(fault, a.first_chunk_frames, UINT32_MAX, "first_chunk_frames") ||
      !between(fault, a.chunk_frames, UINT32_MAX, "chunk_frames") ||
      !between(fault, a.max_in_flight_chunks, UINT32_MAX, "max_in_flight_chunks") ||
      !between(fault, a.max_message_bytes, UINT32_MAX, "limits.max_message_bytes"))
    return false;
  if (!(at_least_zero(a.fps) && a.fps > 0))
    return set_fault(fault, fault_code::invalid, "must be finite and above 0", "fps");
  if (!(at_least_zero(a.idle_timeout_s) && a.idle_timeout_s > 0))
    return set_fault(fault, fault_code::invalid, "must be finite and above 0",
                     "limits.idle_timeout_s");
  if (!at_least_zero(a.resume_grace_s) || !at_least_zero(a.strength) || a.strength > kMaxStrength)
    return set_fault(fault, fault_code::invalid, "is out of range", "strength");
  if (a.resume_token.size() > 64)
    return set_fault(fault, fault_code::invalid, "is longer than 64 bytes", "resume_token");
  if (!lossless(a.plane_codec))
    return set_fault(fault, fault_code::invalid, "must be raw, zstd or lz4", "codecs.plane");
  return true;
}

static bool read(const c2r_wire_v1_Accepted& in, Accepted& out, Fault& fault) {
  if (in.protocol_major != kProtocolMajor)
    return set_fault(fault, fault_code::unsupported,
                     format("the server speaks protocol %u.%u, this client %u.%u; "
                            "update the older one",
                            in.protocol_major, in.protocol_minor, kProtocolMajor, kProtocolMinor),
                     "protocol_major");
  if (!in.has_codecs || !in.has_limits)
    return set_fault(fault, fault_code::malformed, "is missing",
                     in.has_codecs ? "limits" : "codecs");
  out.width = in.width;
  out.height = in.height;
  out.fps = in.fps;
  out.resume_grace_s = in.resume_grace_s;
  out.resumed = in.resumed;
  out.chunk_latents = in.chunk_latents;
  out.first_chunk_frames = in.first_chunk_frames;
  out.chunk_frames = in.chunk_frames;
  out.max_in_flight_chunks = in.max_in_flight_chunks;
  out.coarse_codec = number(in.codecs.coarse);
  out.plane_codec = number(in.codecs.plane);
  out.picture_codec = number(in.codecs.picture);
  out.max_message_bytes = in.limits.max_message_bytes;
  out.idle_timeout_s = in.limits.idle_timeout_s;
  out.strength = in.strength;
  out.seed = in.seed;
  out.side_channels = 0;
  for (pb_size_t i = 0; i < in.side_channels_count; ++i) {
    const uint32_t channel = number(in.side_channels[i]);
    if (channel >= 1 && channel <= 3) out.side_channels |= 1u << (channel - 1);
  }
  return check_accepted(out, fault);
}

static bool read(const c2r_wire_v1_StageTimes& in, c2r_stages& out, Fault& fault) {
  out = {in.decode_ms,  in.queue_ms,  in.dino_ms,     in.adapter_ms, in.denoise_ms,
         in.vae_ms,     in.encode_ms, in.kv_write_ms, in.total_ms};
  const double all[] = {out.decode_ms, out.queue_ms,  out.dino_ms,     out.adapter_ms,
                        out.denoise_ms, out.vae_ms,   out.encode_ms,   out.kv_write_ms,
                        out.total_ms};
  for (double value : all)
    if (!at_least_zero(value))
      return set_fault(fault, fault_code::invalid, "must be finite and at least 0", "stages");
  return true;
}

static void read(const c2r_wire_v1_FrameReply& in, Reply& out) {
  out.id = in.frame_id;
  out.captured_us = in.capture_time_us;
  Fault fault;
  if (in.has_rendered) {
    const auto& image = in.rendered.picture;
    out.outcome = C2R_OUTCOME_RENDERED;
    out.chunk_index = in.rendered.chunk_index;
    out.picture.codec = number(image.payload.codec);
    out.picture.width = image.payload.width;
    out.picture.height = image.payload.height;
    out.picture.row_order = number(image.payload.row_order);
    out.picture.pixel_format = number(image.pixel_format);
    if (!read(in.rendered.stages, out.stages, fault)) {
      fault.inside("rendered");
      out.outcome = C2R_OUTCOME_FAILED;
      out.fault = fault;
    }
  } else if (in.has_dropped) {
    out.outcome = C2R_OUTCOME_DROPPED;
    const uint32_t reason = number(in.dropped.reason);
    out.drop = reason < C2R_DROP_REASONS ? reason : 0;
  } else if (in.has_failed) {
    out.outcome = C2R_OUTCOME_FAILED;
    out.fault.code = number(in.failed.code);
  } else {
    out.outcome = C2R_OUTCOME_FAILED;
    set_fault(out.fault, fault_code::malformed,
              "is unset; one of rendered, dropped, failed must be set", "outcome");
  }
}

static bool read(const c2r_wire_v1_ControlAck& in, Ack& out, Fault& fault) {
  out.control_id = in.control_id;
  out.frame_id = in.frame_id;
  out.blend_chunks = in.blend_chunks;
  out.is_refused = in.has_refused;
  out.refused.code = number(in.refused.code);
  if (in.has_frame_id != in.has_refused) return true;
  return set_fault(fault, fault_code::invalid,
                   "must be unset when the change was refused, and set when it was not",
                   "frame_id");
}

static bool read(const c2r_wire_v1_RenderStreamResponse& in, Response& out, Fault& fault) {
  using Kind = Response::Kind;
  const int bodies = in.has_accepted + in.has_frame + in.has_control_ack + in.has_flow +
                     in.has_warning + in.has_keepalive + in.has_ended;
  if (bodies != 1)
    return set_fault(fault, fault_code::malformed, "the message must have one body", "");
  if (in.has_accepted) {
    out.kind = Kind::accepted;
    if (read(in.accepted, out.accepted, fault)) return true;
    fault.inside("accepted");
    return false;
  }
  if (in.has_control_ack) {
    out.kind = Kind::ack;
    if (read(in.control_ack, out.ack, fault)) return true;
    fault.inside("control_ack");
    return false;
  }
  if (in.has_frame) {
    out.kind = Kind::reply;
    read(in.frame, out.reply);
  } else if (in.has_flow) {
    out.kind = Kind::flow;
    out.flow = {in.flow.queue_position, in.flow.window_frames};
  } else if (in.has_warning) {
    out.kind = Kind::warning;
    out.warning.code = number(in.warning.code);
  } else if (in.has_ended) {
    out.kind = Kind::ended;
    out.ended.reason = number(in.ended.reason);
    out.ended.resumable = in.ended.resumable;
  } else {
    out.kind = Kind::keepalive;
  }
  return true;
}

bool parse_response(View data, Response& response, Fault& fault) {
  response = Response();
  c2r_wire_v1_RenderStreamResponse message = c2r_wire_v1_RenderStreamResponse_init_zero;
  bind(message, response);
  Source source{data.data};
  pb_istream_t stream = source_stream(source, data.size);
  if (!pb_decode(&stream, c2r_wire_v1_RenderStreamResponse_fields, &message))
    return set_fault(fault, fault_code::malformed,
                     format("%zu bytes are no RenderStreamResponse of c2r.wire.v1 (%s)", data.size,
                            PB_GET_ERROR(&stream)),
                     "");
  return read(message, response, fault);
}

}  // namespace c2r
