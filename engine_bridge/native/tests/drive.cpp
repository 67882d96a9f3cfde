// Streams frames to a server through the C interface and prints the outcomes. The tests in Python run
// it with every sanitizer; it also measures what submitting costs the game thread.
//
//   c2r_drive ADDRESS WIDTH HEIGHT FRAMES FPS [TOKEN [PICTURE_CODEC]]     FPS 0: as fast as possible
#include "c2r_client.h"

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sys/resource.h>
#include <thread>
#include <vector>

using Clock = std::chrono::steady_clock;

static double ms_since(Clock::time_point begun) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
}

// CPU time of this thread, so that a busy machine does not change the result.
static double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

// Page faults of this thread: the cost of memory that is not used again.
static long page_faults() {
#if defined(RUSAGE_THREAD)
  rusage used{};
  getrusage(RUSAGE_THREAD, &used);
  return used.ru_minflt;
#else
  return 0;
#endif
}

static double share(std::vector<double> values, double of) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(of * values.size()))];
}

struct Run {
  c2r_client* client = nullptr;
  uint32_t width, height;
  uint64_t next = 0, rendered = 0, others = 0, wrong = 0;
  bool in_order = true;
  long faults = 0;
  std::vector<double> submit_ms, submit_cpu_ms, poll_ms;

  // The servers of the tests answer with the negative of a frame; what differs is counted.
  void judge(const c2r_result& result) {
    in_order = in_order && result.frame_id == next;
    ++next;
    if (result.outcome != C2R_OUTCOME_RENDERED) {
      ++others;
      return;
    }
    ++rendered;
    const auto wanted = static_cast<uint8_t>(255 - result.frame_id % 251);
    wrong += result.picture[0] != wanted || result.picture[width * height * 3 - 1] != wanted;
  }

  void poll() {
    const auto begun = Clock::now();
    c2r_result result{};
    result.struct_size = sizeof result;
    while (c2r_poll(client, &result) == 1) judge(result);
    poll_ms.push_back(ms_since(begun));
  }

  void submit(std::vector<uint8_t>& image, uint64_t id) {
    std::fill(image.begin(), image.end(), static_cast<uint8_t>(id % 251));
    c2r_frame frame;
    c2r_init_frame(&frame);
    frame.frame_id = id;
    frame.colour = {image.data(), width, height, 0, C2R_ROWS_TOP_FIRST};
    const double cpu = cpu_ms();
    const auto begun = Clock::now();
    if (c2r_submit(client, &frame) != C2R_OK) std::printf("submit: %s\n", c2r_last_error());
    submit_ms.push_back(ms_since(begun));
    submit_cpu_ms.push_back(cpu_ms() - cpu);
  }

  c2r_status status() const {
    c2r_status status{};
    status.struct_size = sizeof status;
    c2r_get_status(client, &status);
    return status;
  }

  bool until_streaming(double limit_s) {
    const auto begun = Clock::now();
    while (status().state != C2R_STATE_STREAMING) {
      if (ms_since(begun) > limit_s * 1000 || status().state == C2R_STATE_FAILED) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
};

static void stream(Run& run, uint64_t frames, double fps) {
  std::vector<uint8_t> image(size_t{run.width} * run.height * 3);
  const auto begun = Clock::now();
  for (uint64_t id = 0; id < frames; ++id) {
    if (id == frames / 2) run.faults = -page_faults();
    run.poll();
    if (fps > 0)
      std::this_thread::sleep_until(begun + std::chrono::microseconds(static_cast<int64_t>(
                                                1e6 * static_cast<double>(id) / fps)));
    while (fps <= 0 && c2r_has_room(run.client) == 0 && ms_since(begun) < 120000) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      run.poll();
    }
    run.submit(image, id);
  }
  run.faults += page_faults();
  c2r_close(run.client, 0, 60.0);
  while (run.status().state < C2R_STATE_CLOSED) {
    run.poll();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  run.poll();
}

static void report(const Run& run, uint64_t frames, double seconds) {
  c2r_stats stats{};
  stats.struct_size = sizeof stats;
  c2r_get_stats(run.client, &stats);
  std::printf("accounted=%d rendered=%" PRIu64 " others=%" PRIu64 " wrong=%" PRIu64 "\n",
              run.in_order && run.next == frames, run.rendered, run.others, run.wrong);
  std::printf("connections=%u fps=%.1f fps_steady=%.1f latency_p50=%.2f latency_p99=%.2f\n",
              stats.connections, static_cast<double>(run.rendered) / seconds, stats.fps_steady,
              stats.latency_p50_ms, stats.latency_p99_ms);
  std::printf("submit_p50=%.3f submit_p99=%.3f submit_max=%.3f poll_p50=%.3f poll_p99=%.3f "
              "submit_cpu_p50=%.3f submit_cpu_p99=%.3f late_faults=%ld\n",
              share(run.submit_ms, 0.5), share(run.submit_ms, 0.99), share(run.submit_ms, 1.0),
              share(run.poll_ms, 0.5), share(run.poll_ms, 0.99), share(run.submit_cpu_ms, 0.5),
              share(run.submit_cpu_ms, 0.99), run.faults);
}

int main(int count, char** arguments) {
  if (count < 6) {
    std::printf("c2r_drive ADDRESS WIDTH HEIGHT FRAMES FPS [TOKEN [PICTURE_CODEC]]\n");
    return 2;
  }
  c2r_options options;
  c2r_init_options(&options);
  options.address = arguments[1];
  options.retry_first_s = 0.05;
  options.retry_most_s = 0.2;
  if (count > 6 && arguments[6][0] != 0) options.token = arguments[6];
  c2r_session session;
  c2r_init_session(&session);
  session.width = static_cast<uint32_t>(std::atoi(arguments[2]));
  session.height = static_cast<uint32_t>(std::atoi(arguments[3]));
  session.fps = 30;
  if (count > 7) session.picture_codecs[0] = static_cast<uint32_t>(std::atoi(arguments[7]));
  Run run;
  run.width = session.width;
  run.height = session.height;
  if (c2r_create(&options, &run.client) != C2R_OK || c2r_open(run.client, &session) != C2R_OK) {
    std::printf("%s\n", c2r_last_error());
    return 2;
  }
  const auto frames = static_cast<uint64_t>(std::atoll(arguments[4]));
  const bool good = run.until_streaming(30);
  const auto begun = Clock::now();
  if (good) stream(run, frames, std::atof(arguments[5]));
  const c2r_status status = run.status();
  std::printf("state=%s text=%s\n", c2r_state_text(status.state), status.text);
  if (good) report(run, frames, ms_since(begun) / 1000);
  c2r_destroy(run.client);
  return good && run.wrong == 0 && run.next == frames ? 0 : 1;
}
