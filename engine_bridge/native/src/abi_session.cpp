// Options, session and control changes as the caller gives them.
#include "abi_structs.h"

#include "text.h"

#include <cmath>

namespace c2r {

static std::string text_of(const char* text) { return text == nullptr ? "" : text; }

static std::string read_seconds(double given, const char* name, double& seconds) {
  if (given == 0) return "";
  if (!(std::isfinite(given) && given > 0))
    return format("%s is %g; give seconds above 0", name, given);
  seconds = given;
  return "";
}

static std::string read_patience(const c2r_options& in, Patience& patience) {
  struct Pair {
    double given;
    const char* name;
    double* seconds;
  };
  const Pair pairs[] = {{in.connect_s, "connect_s", &patience.connect},
                        {in.silence_s, "silence_s", &patience.silence},
                        {in.stuck_s, "stuck_s", &patience.stuck},
                        {in.feedback_s, "feedback_s", &patience.feedback},
                        {in.retry_first_s, "retry_first_s", &patience.retry_first},
                        {in.retry_most_s, "retry_most_s", &patience.retry_most},
                        {in.give_up_s, "give_up_s", &patience.give_up},
                        {in.keepalive_s, "keepalive_s", &patience.keepalive},
                        {in.keepalive_answer_s, "keepalive_answer_s", &patience.keepalive_answer}};
  for (const Pair& one : pairs) {
    const std::string problem = read_seconds(one.given, one.name, *one.seconds);
    if (!problem.empty()) return problem;
  }
  return "";
}

static std::string read_own_tls(const c2r_tls* given, Endpoint& endpoint) {
  if (given == nullptr) return "";
  c2r_tls& own = endpoint.tls_functions;
  const bool whole = read_struct(given, own) && own.begin && own.handshake && own.put && own.get &&
                     own.read && own.write && own.why && own.end;
  endpoint.own_tls = true;
  return whole ? "" : "own_tls lacks a function or its struct_size";
}

std::string read_options(const c2r_options& in, Endpoint& endpoint, Patience& patience) {
  endpoint.address = in.address == nullptr ? "127.0.0.1:50051" : in.address;
  endpoint.tls = in.tls != 0;
  endpoint.root_ca = text_of(in.root_ca);
  endpoint.client_cert = text_of(in.client_cert);
  endpoint.client_key = text_of(in.client_key);
  endpoint.server_name = text_of(in.server_name);
  endpoint.token = text_of(in.token);
  if (in.token != nullptr && endpoint.token.empty()) return "the token is empty";
  std::string problem = endpoint.problem();
  if (problem.empty()) problem = read_own_tls(in.own_tls, endpoint);
  return problem.empty() ? read_patience(in, patience) : problem;
}

static std::string read_codecs(const uint32_t (&given)[4], const char* name,
                               std::vector<uint32_t> best, std::vector<uint32_t>& codecs) {
  for (uint32_t codec : given) {
    if (codec == 0) break;
    if (!has_codec(codec))
      return format("%s names codec %u (%s), which this build lacks", name, codec,
                    codec_name(codec));
    codecs.push_back(codec);
  }
  if (!codecs.empty()) return "";
  for (uint32_t codec : best)
    if (has_codec(codec)) codecs.push_back(codec);
  return "";
}

// On one machine raw in both directions: a copy costs less than any codec.
static std::string read_codecs(const c2r_session& in, bool loopback, Opening& opening) {
  const std::vector<uint32_t> bare = {C2R_CODEC_RAW, C2R_CODEC_ZSTD, C2R_CODEC_LZ4,
                                      C2R_CODEC_JPEG};
  const std::vector<uint32_t> coarse = {C2R_CODEC_ZSTD, C2R_CODEC_LZ4, C2R_CODEC_RAW,
                                        C2R_CODEC_JPEG};
  const std::vector<uint32_t> picture = {C2R_CODEC_JPEG, C2R_CODEC_ZSTD, C2R_CODEC_LZ4,
                                         C2R_CODEC_RAW};
  const std::string problem = read_codecs(in.coarse_codecs, "coarse_codecs",
                                          loopback ? bare : coarse, opening.coarse);
  if (!problem.empty()) return problem;
  return read_codecs(in.picture_codecs, "picture_codecs", loopback ? bare : picture,
                     opening.picture);
}

static std::string check_strength(double strength) {
  if (strength >= 0 && strength <= kMaxStrength) return "";
  return format("strength is %g; it must be in [0, 2]", strength);
}

static std::string check_text(const std::string& text, const char* name) {
  return is_utf8(text.data(), text.size()) ? "" : std::string(name) + " is not UTF-8";
}

static std::string check_opening(const Opening& opening) {
  const bool sized = opening.width >= 1 && opening.width <= kMaxSide && opening.height >= 1 &&
                     opening.height <= kMaxSide;
  if (!sized)
    return format("the size is %ux%u; sides must be in [1, %u]", opening.width, opening.height,
                  kMaxSide);
  if (!(std::isfinite(opening.fps) && opening.fps > 0))
    return format("fps is %g; it must be finite and above 0", opening.fps);
  if (opening.client.size() > 128) return "client has more than 128 bytes";
  for (const std::string& problem :
       {check_text(opening.prompt, "prompt"),
        check_text(opening.negative_prompt, "negative_prompt"),
        check_text(opening.client, "client"), check_strength(opening.strength)})
    if (!problem.empty()) return problem;
  return "";
}

std::string read_session(const c2r_session& in, const Endpoint& endpoint, Opening& opening,
                         PixelLayout& layout) {
  opening.width = in.width;
  opening.height = in.height;
  opening.fps = in.fps;
  opening.prompt = text_of(in.prompt);
  opening.negative_prompt = text_of(in.negative_prompt);
  opening.strength = in.strength;
  opening.has_seed = in.has_seed != 0;
  opening.seed = in.seed;
  opening.side_channels = in.side_channels & (C2R_SIDE_DEPTH | C2R_SIDE_MOTION | C2R_SIDE_CAMERA);
  opening.client = in.client == nullptr ? c2r_version_text() : in.client;
  layout = {in.picture_pixels, in.picture_rows};
  if (pixel_bytes(layout.pixels) == 0)
    return format("picture_pixels is %u; use a c2r_pixels", layout.pixels);
  if (layout.rows != C2R_ROWS_TOP_FIRST && layout.rows != C2R_ROWS_BOTTOM_FIRST)
    return format("picture_rows is %u; use a c2r_rows", layout.rows);
  const std::string problem = check_opening(opening);
  return problem.empty() ? read_codecs(in, endpoint.loopback(), opening) : problem;
}

std::string read_control(const c2r_control& in, Control& change) {
  change.has_prompt = in.prompt != nullptr;
  change.prompt = text_of(in.prompt);
  change.has_negative = in.negative_prompt != nullptr;
  change.negative_prompt = text_of(in.negative_prompt);
  change.has_strength = in.has_strength != 0;
  change.strength = in.strength;
  change.has_seed = in.has_seed != 0;
  change.seed = in.seed;
  change.blend_chunks = in.blend_chunks;
  if (!change.has_prompt && !change.has_negative && !change.has_strength && !change.has_seed)
    return "changes nothing; set prompt, negative_prompt, strength or seed";
  if (change.blend_chunks > 64)
    return format("blend_chunks is %u; it must be in [1, 64]", change.blend_chunks);
  std::string problem = check_text(change.prompt, "prompt");
  if (problem.empty()) problem = check_text(change.negative_prompt, "negative_prompt");
  if (problem.empty() && change.has_strength) problem = check_strength(change.strength);
  return problem;
}

}  // namespace c2r
