// The exported functions: each checks its arguments and calls the Client. No exception may leave
// them, and none is thrown: everything is compiled without. What the caller passes belongs to the
// caller and is copied before the call returns; what it gets belongs to the client (see c2r_poll).
#include "abi_structs.h"

#include "text.h"

#include <cinttypes>
#include <cmath>
#include <new>

struct c2r_client {
  c2r::Client client;
};

using namespace c2r;

static thread_local char last_error[C2R_TEXT_BYTES];

static int32_t fail(c2r_code code, const std::string& text) {
  copy_text(last_error, sizeof last_error, text);
  return code;
}

static int32_t no_size(const char* name) {
  return fail(C2R_E_ARGUMENT, std::string(name) + " is NULL or its struct_size is not set");
}

static int32_t no_client() { return fail(C2R_E_ARGUMENT, "the client is NULL"); }

uint32_t c2r_abi_version(void) { return C2R_ABI_VERSION; }

uint32_t c2r_struct_size(int32_t which) {
  switch (which) {
    case C2R_STRUCT_OPTIONS: return sizeof(c2r_options);
    case C2R_STRUCT_SESSION: return sizeof(c2r_session);
    case C2R_STRUCT_FRAME: return sizeof(c2r_frame);
    case C2R_STRUCT_RESULT: return sizeof(c2r_result);
    case C2R_STRUCT_CONTROL: return sizeof(c2r_control);
    case C2R_STRUCT_EVENT: return sizeof(c2r_event);
    case C2R_STRUCT_STATUS: return sizeof(c2r_status);
    case C2R_STRUCT_ACCEPTED: return sizeof(c2r_accepted);
    case C2R_STRUCT_STATS: return sizeof(c2r_stats);
    case C2R_STRUCT_IMAGE: return sizeof(c2r_image);
    case C2R_STRUCT_CAMERA: return sizeof(c2r_camera);
    case C2R_STRUCT_STAGES: return sizeof(c2r_stages);
    case C2R_STRUCT_TLS: return sizeof(c2r_tls);
    default: return 0;
  }
}

const char* c2r_version_text(void) {
  return "c2r_client 0.1.0"
#if defined(C2R_WITH_OPENSSL)
         " openssl"
#endif
#if defined(C2R_WITH_ZSTD)
         " zstd"
#endif
#if defined(C2R_WITH_LZ4)
         " lz4"
#endif
#if defined(C2R_WITH_JPEG)
         " jpeg"
#endif
      ;
}

int32_t c2r_has_codec(int32_t codec) {
  return codec > 0 && has_codec(static_cast<uint32_t>(codec));
}

const char* c2r_code_text(int32_t code) {
  static const char* const names[] = {"ok",      "argument", "state",     "memory",
                                      "full",    "unreachable", "tls",    "auth",
                                      "version", "refused",  "protocol",  "timeout",
                                      "broken",  "unsupported", "too_large", "taken_over"};
  const int32_t place = -code;
  const bool known = place >= 0 && place < static_cast<int32_t>(sizeof names / sizeof names[0]);
  return known ? names[place] : "unknown";
}

const char* c2r_state_text(int32_t state) {
  static const char* const names[] = {"idle",         "connecting", "queued", "streaming",
                                      "reconnecting", "closed",     "failed"};
  return state >= 0 && state <= C2R_STATE_FAILED ? names[state] : "unknown";
}

const char* c2r_last_error(void) { return last_error; }

uint64_t c2r_now_us(void) { return now_us(); }

void c2r_init_options(c2r_options* options) {
  *options = {};
  options->struct_size = sizeof *options;
}

void c2r_init_session(c2r_session* session) {
  *session = {};
  session->struct_size = sizeof *session;
  session->strength = 1;
  session->picture_pixels = C2R_PIXELS_RGB8;
  session->picture_rows = C2R_ROWS_TOP_FIRST;
}

void c2r_init_frame(c2r_frame* frame) {
  *frame = {};
  frame->struct_size = sizeof *frame;
  frame->reset = C2R_RESET_NONE;
  frame->pixels = C2R_PIXELS_RGB8;
  frame->depth_format = C2R_DEPTH_F32;
  frame->meters_per_unit = 1;
  frame->pre_exposure = 1;
}

void c2r_init_control(c2r_control* control) {
  *control = {};
  control->struct_size = sizeof *control;
}

int32_t c2r_create(const c2r_options* options, c2r_client** client) {
  if (client == nullptr) return no_client();
  *client = nullptr;
  c2r_options known;
  c2r_init_options(&known);
  if (options != nullptr && !read_struct(options, known)) return no_size("options");
  Endpoint endpoint;
  Patience patience;
  const std::string problem = read_options(known, endpoint, patience);
  if (!problem.empty()) return fail(C2R_E_ARGUMENT, problem);
  auto* created = new (std::nothrow) c2r_client{{endpoint, patience}};
  if (created == nullptr || !created->client.prepare()) {
    delete created;
    return fail(C2R_E_MEMORY, "the system gives no memory or no handle");
  }
  *client = created;
  return C2R_OK;
}

int32_t c2r_open(c2r_client* client, const c2r_session* session) {
  if (client == nullptr) return no_client();
  c2r_session known;
  c2r_init_session(&known);
  if (!read_struct(session, known)) return no_size("session");
  Opening opening;
  PixelLayout layout;
  const std::string problem = read_session(known, client->client.endpoint(), opening, layout);
  if (!problem.empty()) return fail(C2R_E_ARGUMENT, problem);
  const c2r_code code = client->client.open(opening, layout);
  if (code == C2R_E_STATE) return fail(code, "the client was opened or closed before");
  return code == C2R_OK ? code : fail(code, "the system gives no thread");
}

int32_t c2r_submit(c2r_client* client, const c2r_frame* frame) {
  if (client == nullptr) return no_client();
  c2r_frame known;
  c2r_init_frame(&known);
  if (!read_struct(frame, known)) return no_size("frame");
  Client& self = client->client;
  if (!self.opened() || self.closed())
    return fail(C2R_E_STATE, self.closed() ? "the client is closed; create another to send frames"
                                            : "the client is not open; call c2r_open");
  FramePtr taken(new (std::nothrow) Frame);
  if (taken == nullptr) return fail(C2R_E_MEMORY, "no memory for a frame");
  const std::string problem = read_frame(known, self.wanted(), self.pool(), *taken);
  if (!problem.empty()) return fail(C2R_E_ARGUMENT, problem);
  const c2r_code code = self.submit(std::move(taken));
  switch (code) {
    case C2R_OK: return code;
    case C2R_E_ARGUMENT:
      return fail(code, format("frame id %" PRIu64 " does not go up", known.frame_id));
    case C2R_E_FULL: return fail(code, "65536 outcomes wait to be read; call c2r_poll");
    default: return fail(code, "the client is closed; create another to send frames");
  }
}

int32_t c2r_poll(c2r_client* client, c2r_result* result) {
  if (client == nullptr) return no_client();
  if (result == nullptr || result->struct_size < sizeof(c2r_image)) return no_size("result");
  const Outcome* outcome = client->client.poll();
  if (outcome == nullptr) return 0;
  write_struct(result_of(*outcome, client->client.wanted(), client->client.layout()), result);
  return 1;
}

int32_t c2r_poll_event(c2r_client* client, c2r_event* event) {
  if (client == nullptr) return no_client();
  if (event == nullptr || event->struct_size < sizeof(c2r_image)) return no_size("event");
  Event next;
  if (!client->client.next_event(next)) return 0;
  write_struct(event_of(next), event);
  return 1;
}

int32_t c2r_set_control(c2r_client* client, const c2r_control* control, uint64_t* control_id) {
  if (client == nullptr) return no_client();
  c2r_control known;
  c2r_init_control(&known);
  if (!read_struct(control, known)) return no_size("control");
  Control change;
  const std::string problem = read_control(known, change);
  if (!problem.empty()) return fail(C2R_E_ARGUMENT, problem);
  if (!client->client.opened()) return fail(C2R_E_STATE, "the client is not open; call c2r_open");
  uint64_t id = 0;
  if (client->client.set_control(change, id) != C2R_OK)
    return fail(C2R_E_STATE, "the client is closed; create another to change what is rendered");
  if (control_id != nullptr) *control_id = id;
  return C2R_OK;
}

int32_t c2r_report_shown(c2r_client* client, uint64_t frame_id, uint64_t capture_time_us,
                         double buffer_ms) {
  if (client == nullptr) return no_client();
  if (!std::isfinite(buffer_ms)) return fail(C2R_E_ARGUMENT, "buffer_ms is not finite");
  client->client.meter().shown(frame_id, capture_time_us, buffer_ms);
  return C2R_OK;
}

int32_t c2r_get_status(c2r_client* client, c2r_status* status) {
  if (client == nullptr) return no_client();
  return write_struct(status_of(client->client.notices().status()), status) ? C2R_OK
                                                                         : no_size("status");
}

int32_t c2r_get_accepted(c2r_client* client, c2r_accepted* accepted) {
  if (client == nullptr) return no_client();
  Accepted granted;
  const bool any = client->client.notices().accepted(granted);
  if (!write_struct(accepted_of(granted), accepted)) return no_size("accepted");
  return any ? 1 : 0;
}

int32_t c2r_get_stats(c2r_client* client, c2r_stats* stats) {
  if (client == nullptr) return no_client();
  Client& self = client->client;
  return write_struct(self.meter().statistics(self.account().counts()), stats) ? C2R_OK
                                                                            : no_size("stats");
}

int32_t c2r_has_room(c2r_client* client) {
  if (client == nullptr) return no_client();
  return client->client.account().has_room() ? 1 : 0;
}

int32_t c2r_close(c2r_client* client, int32_t discard, double timeout_s) {
  if (client == nullptr) return no_client();
  if (!(std::isfinite(timeout_s) && timeout_s >= 0))
    return fail(C2R_E_ARGUMENT, format("timeout_s is %g; give seconds", timeout_s));
  client->client.close(discard != 0, timeout_s);
  return C2R_OK;
}

void c2r_destroy(c2r_client* client) { delete client; }
