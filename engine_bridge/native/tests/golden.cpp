// Prints messages as this client writes them, a name and hexadecimal bytes per line; with `read`, what
// it reads from given messages, one per line. The tests in Python compare both with protobuf.
#include "wire.h"

#include <cinttypes>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

using namespace c2r;

static void show(const char* name, const Bytes& message) {
  std::printf("%s ", name);
  for (size_t i = 0; i < message.size(); ++i) std::printf("%02x", message.data()[i]);
  std::printf("\n");
}

static Opening full_opening() {
  Opening out;
  out.width = 832;
  out.height = 480;
  out.fps = 29.97;
  out.coarse = {C2R_CODEC_ZSTD, C2R_CODEC_RAW};
  out.picture = {C2R_CODEC_JPEG, C2R_CODEC_LZ4, C2R_CODEC_RAW};
  out.prompt = "fr\xC3\xBCher Morgen";
  out.negative_prompt = "blur";
  out.resume_token = std::string("\x00\xFF\x01", 3);
  out.client = "golden";
  out.strength = 0;
  out.has_seed = true;
  out.seed = UINT64_MAX;
  out.side_channels = C2R_SIDE_DEPTH | C2R_SIDE_MOTION | C2R_SIDE_CAMERA;
  return out;
}

static void fill(double* values, size_t count, double first) {
  for (size_t i = 0; i < count; ++i) values[i] = first + static_cast<double>(i);
}

static void show_frames() {
  const uint8_t pixels[] = {1, 2, 3, 4, 5, 6}, depth[] = {7, 8, 9, 10}, motion[] = {0, 60, 0, 188};
  Frame frame;
  frame.id = 1ull << 40;
  frame.captured_us = 123456789;
  frame.delta_ms = 16.5;
  frame.jitter_x = -0.25;
  frame.pre_exposure = 2;
  PackedFrame packed;
  packed.frame = &frame;
  packed.colour = {C2R_CODEC_RAW, 2, 1, {pixels, 6}};
  packed.pixel_format = C2R_PIXELS_RGB8;
  Bytes out;
  if (pack_frame(packed, out)) show("frame_plain", out);
  frame.reset = C2R_RESET_UNSPECIFIED;
  frame.depth_format = C2R_DEPTH_U16;
  frame.device_depth = frame.depth_inverted = true;
  frame.near_plane = 0.1;
  frame.far_plane = 100;
  frame.view_space_to_meters = 0.01;
  fill(frame.camera.position, 3, 0);
  fill(frame.camera.right, 3, 10);
  fill(frame.camera.up, 3, 20);
  fill(frame.camera.forward, 3, 30);
  frame.camera.fov_y = 1.25;
  fill(frame.camera.view_to_clip, 16, 100);
  fill(frame.camera.clip_to_prev_clip, 16, -8);
  packed.has_depth = packed.has_motion = packed.has_camera = true;
  packed.depth = {C2R_CODEC_LZ4, 2, 1, {depth, 4}};
  packed.motion = {C2R_CODEC_ZSTD, 1, 1, {motion, 4}};
  if (pack_frame(packed, out)) show("frame_full", out);
}

static void show_others() {
  Bytes out;
  if (pack_open(full_opening(), out)) show("open_full", out);
  Opening plain;
  plain.width = 64;
  plain.height = 32;
  plain.fps = 16;
  plain.coarse = plain.picture = {C2R_CODEC_RAW};
  if (pack_open(plain, out)) show("open_plain", out);
  Control change;
  change.id = 7;
  change.has_prompt = change.has_strength = change.has_seed = true;
  change.blend_chunks = 3;
  if (pack_control(change, out)) show("control", out);
  Feedback feedback;
  if (pack_feedback(feedback, out)) show("feedback_plain", out);
  feedback = {true, 0, 9, 1.5, 2.5, 70.25};
  if (pack_feedback(feedback, out)) show("feedback_full", out);
  if (pack_end(false, out)) show("end", out);
  if (pack_end(true, out)) show("end_discard", out);
}

static void tell(const Response& r) {
  switch (r.kind) {
    case Response::Kind::accepted:
      std::printf("accepted %ux%u %g %u %u %u %u %u %u %u %u %" PRIu64 " %d %u %s %s %zu\n",
                  r.accepted.width, r.accepted.height, r.accepted.fps, r.accepted.chunk_latents,
                  r.accepted.first_chunk_frames, r.accepted.chunk_frames,
                  r.accepted.max_in_flight_chunks, r.accepted.coarse_codec,
                  r.accepted.plane_codec, r.accepted.picture_codec, r.accepted.side_channels,
                  r.accepted.seed, r.accepted.resumed, r.accepted.max_message_bytes,
                  r.accepted.server.c_str(), r.accepted.session_id.c_str(),
                  r.accepted.resume_token.size());
      break;
    case Response::Kind::reply:
      std::printf("reply %" PRIu64 " %" PRIu64 " %d %u %u %" PRIu64 " %u %zu %g %s|%s\n",
                  r.reply.id, r.reply.captured_us, r.reply.outcome, r.reply.drop,
                  r.reply.fault.code, r.reply.chunk_index, r.reply.picture.width,
                  r.reply.picture.data.size, r.reply.stages.total_ms,
                  r.reply.fault.message.c_str(), r.reply.fault.field.c_str());
      break;
    case Response::Kind::ack:
      std::printf("ack %" PRIu64 " %" PRIu64 " %u %d %s\n", r.ack.control_id, r.ack.frame_id,
                  r.ack.blend_chunks, r.ack.is_refused, r.ack.refused.text().c_str());
      break;
    case Response::Kind::flow:
      std::printf("flow %u %u\n", r.flow.queue_position, r.flow.window_frames);
      break;
    case Response::Kind::warning:
      std::printf("warning %u %s\n", r.warning.code, r.warning.message.c_str());
      break;
    case Response::Kind::ended:
      std::printf("ended %u %d %s\n", r.ended.reason, r.ended.resumable,
                  r.ended.message.c_str());
      break;
    case Response::Kind::keepalive: std::printf("keepalive\n"); break;
    case Response::Kind::none: std::printf("none\n"); break;
  }
}

static void read_given() {
  std::string line;
  while (std::getline(std::cin, line)) {
    std::vector<uint8_t> data;
    for (size_t at = 0; at + 1 < line.size(); at += 2)
      data.push_back(static_cast<uint8_t>(std::stoi(line.substr(at, 2), nullptr, 16)));
    Response response;
    Fault fault;
    if (parse_response({data.data(), data.size()}, response, fault))
      tell(response);
    else
      std::printf("refused %u %s\n", fault.code, fault.text().c_str());
  }
}

int main(int count, char**) {
  if (count > 1) {
    read_given();
  } else {
    show_frames();
    show_others();
  }
}
