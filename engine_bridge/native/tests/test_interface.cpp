// The C interface: sizes, checks of arguments, and clients that reach no server.
#include "expect.h"
#include "listener.h"

#include "c2r_client.h"

#include <dirent.h>

#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

static c2r_client* create(const char* address) {
  c2r_options options;
  c2r_init_options(&options);
  options.address = address;
  c2r_client* client = nullptr;
  EXPECT(c2r_create(&options, &client) == C2R_OK);
  return client;
}

static c2r_session small_session() {
  c2r_session session;
  c2r_init_session(&session);
  session.width = 32;
  session.height = 16;
  session.fps = 30;
  return session;
}

static c2r_frame small_frame(const std::vector<uint8_t>& image, uint64_t id) {
  c2r_frame frame;
  c2r_init_frame(&frame);
  frame.frame_id = id;
  frame.colour = {image.data(), 32, 16, 0, C2R_ROWS_TOP_FIRST};
  return frame;
}

static int entries(const char* folder) {
  int count = 0;
  DIR* open = opendir(folder);
  while (open != nullptr && readdir(open) != nullptr) ++count;
  if (open != nullptr) closedir(open);
  return count;
}

TEST(structures_have_the_sizes_that_are_exported) {
  EXPECT(c2r_abi_version() == C2R_ABI_VERSION);
  EXPECT(c2r_struct_size(C2R_STRUCT_FRAME) == sizeof(c2r_frame));
  EXPECT(c2r_struct_size(C2R_STRUCT_RESULT) == sizeof(c2r_result));
  EXPECT(c2r_struct_size(0) == 0 && c2r_struct_size(99) == 0);
  for (int32_t which = C2R_STRUCT_OPTIONS; which <= C2R_STRUCT_TLS; ++which)
    EXPECT(c2r_struct_size(which) % 8 == 0);
}

TEST(arguments_are_judged_and_the_text_says_why) {
  c2r_client* client = nullptr;
  c2r_options options;
  c2r_init_options(&options);
  options.address = "nowhere";
  EXPECT(c2r_create(&options, &client) == C2R_E_ARGUMENT && client == nullptr);
  EXPECT(std::strstr(c2r_last_error(), "port") != nullptr);
  options.address = "example.com:1";
  options.token = "secret";
  EXPECT(c2r_create(&options, &client) == C2R_E_ARGUMENT);
  EXPECT(std::strstr(c2r_last_error(), "in the clear") != nullptr);
  options = {};
  EXPECT(c2r_create(&options, &client) == C2R_E_ARGUMENT);
  EXPECT(std::strstr(c2r_last_error(), "struct_size") != nullptr);
  c2r_result result{};
  EXPECT(c2r_poll(nullptr, &result) == C2R_E_ARGUMENT);
  c2r_destroy(nullptr);
}

TEST(an_older_and_a_newer_caller_are_understood) {
  struct Newer {
    c2r_session session;
    uint64_t unknown[4];
  } newer{};
  newer.session = small_session();
  newer.session.struct_size = sizeof newer;
  c2r_client* client = create("127.0.0.1:1");
  EXPECT(c2r_open(client, &newer.session) == C2R_OK);
  // Of a caller that knows only the first fields, nothing else is touched.
  struct {
    uint32_t struct_size;
    int32_t state;
    int32_t error;
    uint32_t guard;
  } older{12, 0, 0, 77};
  EXPECT(c2r_get_status(client, reinterpret_cast<c2r_status*>(&older)) == C2R_OK);
  EXPECT(older.state != C2R_STATE_IDLE && older.guard == 77 && older.struct_size == 12);
  c2r_destroy(client);
}

TEST(a_client_lives_once) {
  c2r_client* client = create("127.0.0.1:1");
  const c2r_session session = small_session();
  const std::vector<uint8_t> image(32 * 16 * 3);
  c2r_frame frame = small_frame(image, 1);
  EXPECT(c2r_submit(client, &frame) == C2R_E_STATE);
  EXPECT(c2r_open(client, &session) == C2R_OK);
  EXPECT(c2r_open(client, &session) == C2R_E_STATE);
  EXPECT(c2r_submit(client, &frame) == C2R_OK);
  EXPECT(c2r_submit(client, &frame) == C2R_E_ARGUMENT);
  EXPECT(c2r_close(client, 0, 1.0) == C2R_OK);
  EXPECT(c2r_close(client, 1, 1.0) == C2R_OK);
  frame.frame_id = 2;
  EXPECT(c2r_submit(client, &frame) == C2R_E_STATE);
  c2r_status status{};
  status.struct_size = sizeof status;
  EXPECT(eventually([&] {
    c2r_get_status(client, &status);
    return status.state == C2R_STATE_CLOSED;
  }));
  c2r_result result{};
  result.struct_size = sizeof result;
  EXPECT(c2r_poll(client, &result) == 1);
  EXPECT(result.outcome == C2R_OUTCOME_DROPPED && result.drop == C2R_DROP_UNSENT);
  EXPECT(c2r_poll(client, &result) == 0);
  c2r_destroy(client);
}

TEST(frames_out_of_range_are_refused) {
  c2r_client* client = create("127.0.0.1:1");
  const c2r_session session = small_session();
  EXPECT(c2r_open(client, &session) == C2R_OK);
  const std::vector<uint8_t> image(32 * 16 * 3);
  const auto refused = [&](void (*spoil)(c2r_frame&)) {
    c2r_frame frame = small_frame(image, 1);
    spoil(frame);
    return c2r_submit(client, &frame) == C2R_E_ARGUMENT;
  };
  EXPECT(refused([](c2r_frame& f) { f.colour.width = 31; }));
  EXPECT(refused([](c2r_frame& f) { f.colour.data = nullptr; }));
  EXPECT(refused([](c2r_frame& f) { f.colour.row_bytes = 95; }));
  EXPECT(refused([](c2r_frame& f) { f.jitter_x = 0.6; }));
  EXPECT(refused([](c2r_frame& f) { f.pre_exposure = 0; }));
  EXPECT(refused([](c2r_frame& f) { f.pixels = 9; }));
  EXPECT(refused([](c2r_frame& f) { f.reset = 7; }));
  EXPECT(refused([](c2r_frame& f) { f.frame_delta_ms = -1; }));
  EXPECT(refused([](c2r_frame& f) {
    f.depth = f.colour;
    f.device_depth = 1;
  }));
  c2r_destroy(client);
}

TEST(a_thousand_lives_leave_no_thread_and_no_handle) {
  const Listening listening;
  const c2r_session session = small_session();
  const std::vector<uint8_t> image(32 * 16 * 3);
  const c2r_frame frame = small_frame(image, 1);
  int threads = 0, handles = 0;
  double worst = 0;
  for (int life = 0; life < 1000; ++life) {
    // No server, a server that says nothing, and a client that is never opened.
    c2r_client* client = create(life % 2 == 0 ? listening.address() : "127.0.0.1:1");
    if (life % 5 != 4) EXPECT(c2r_open(client, &session) == C2R_OK);
    if (life % 5 < 3) EXPECT(c2r_submit(client, &frame) == C2R_OK);
    if (life % 7 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    if (life % 3 == 0) c2r_close(client, 0, 10.0);
    const auto start = std::chrono::steady_clock::now();
    c2r_destroy(client);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    worst = took.count() > worst ? took.count() : worst;
    if (life == 100) threads = entries("/proc/self/task"), handles = entries("/proc/self/fd");
  }
  // A joined thread may be listed for a moment longer.
  EXPECT(eventually([&] { return entries("/proc/self/task") <= threads; }));
  EXPECT(entries("/proc/self/fd") <= handles);
  // Far below the timeouts of connecting and closing (10 s), which must not hold it up.
  EXPECT(worst < 5.0);
  std::printf("slowest destroy %.1f ms\n", worst * 1000);
}

TEST(every_call_from_every_thread) {
  const Listening listening;
  c2r_client* client = create(listening.address());
  const c2r_session session = small_session();
  EXPECT(c2r_open(client, &session) == C2R_OK);
  std::thread game([&] {
    const std::vector<uint8_t> image(32 * 16 * 3);
    for (uint64_t id = 1; id <= 300; ++id) {
      const c2r_frame frame = small_frame(image, id);
      c2r_submit(client, &frame);
    }
  });
  std::thread render([&] {
    c2r_result result{};
    result.struct_size = sizeof result;
    for (int i = 0; i < 2000; ++i) c2r_poll(client, &result);
  });
  std::thread interface([&] {
    for (int i = 0; i < 200; ++i) {
      c2r_control control;
      c2r_init_control(&control);
      control.prompt = "rain";
      c2r_set_control(client, &control, nullptr);
      c2r_event event{};
      event.struct_size = sizeof event;
      c2r_poll_event(client, &event);
      c2r_stats stats{};
      stats.struct_size = sizeof stats;
      c2r_get_stats(client, &stats);
      c2r_report_shown(client, 1, 1, 0);
      c2r_has_room(client);
    }
  });
  game.join();
  render.join();
  interface.join();
  c2r_stats stats{};
  stats.struct_size = sizeof stats;
  c2r_close(client, 0, 0.0);
  c2r_get_stats(client, &stats);
  EXPECT(stats.submitted == 300);
  c2r_destroy(client);
}
