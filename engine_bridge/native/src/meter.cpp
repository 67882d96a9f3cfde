#include "meter.h"

#include "clock.h"

#include <algorithm>
#include <vector>

namespace c2r {

using Lock = std::lock_guard<std::mutex>;

// Rates are those of the last three seconds.
static constexpr uint64_t kRateUs = 3000000;
static constexpr double kSmoothing = 0.1;

static double between_ms(uint64_t from, uint64_t to) {
  return (static_cast<double>(to) - static_cast<double>(from)) / 1000;
}

template <class T>
static void keep(std::deque<T>& values, const T& value, size_t most) {
  values.push_back(value);
  if (values.size() > most) values.pop_front();
}

void Meter::submitted() {
  const uint64_t now = now_us();
  Lock lock(mutex_);
  keep(in_, now, kKept);
  if (!any_frame_) any_frame_ = true, first_frame_ = now;
}

double Meter::rendered(uint64_t chunk, const c2r_stages& stages, uint64_t captured_us,
                       uint64_t decode_start_us) {
  const uint64_t now = now_us();
  const double latency = between_ms(captured_us, now), took = between_ms(decode_start_us, now);
  Lock lock(mutex_);
  count(chunk, now);
  keep(out_, now, kKept);
  keep(latency_ms_, latency, kKept);
  keep(stages_, stages, kKept);
  decode_ms_ = decode_ms_ > 0 ? decode_ms_ + kSmoothing * (took - decode_ms_) : took;
  return latency;
}

// Notes when the first chunk ended, and how many pictures came after it.
void Meter::count(uint64_t chunk, uint64_t now) {
  if (!any_picture_) any_picture_ = true, first_picture_ = now, first_chunk_ = chunk;
  if (chunk == first_chunk_ && later_pictures_ == 0)
    first_chunk_end_ = now;
  else
    ++later_pictures_;
}

void Meter::sent(size_t size) {
  Lock lock(mutex_);
  bytes_sent_ += size;
}

void Meter::received(size_t size) {
  Lock lock(mutex_);
  bytes_received_ += size;
}

void Meter::connected() {
  Lock lock(mutex_);
  ++connections_;
}

void Meter::shown(uint64_t frame_id, uint64_t captured_us, double buffer_ms) {
  const double latency = std::max(0.0, between_ms(captured_us, now_us()));
  Lock lock(mutex_);
  const double weight = any_shown_ ? kSmoothing : 1.0;
  any_shown_ = true;
  shown_id_ = frame_id;
  shown_latency_ms_ += weight * (latency - shown_latency_ms_);
  buffer_ms_ += weight * (std::max(0.0, buffer_ms) - buffer_ms_);
}

Feedback Meter::feedback(uint64_t frames_unsent) {
  Lock lock(mutex_);
  return {any_shown_, shown_id_, frames_unsent, decode_ms_, buffer_ms_, shown_latency_ms_};
}

// Ticks per second over the last kRateUs; the span begins with the oldest of them.
static double rate(const std::deque<uint64_t>& ticks, uint64_t now) {
  const auto first = std::find_if(ticks.begin(), ticks.end(),
                                  [&](uint64_t tick) { return now - tick <= kRateUs; });
  const auto count = ticks.end() - first;
  if (count < 2) return 0;
  const double span = static_cast<double>(std::max<uint64_t>(1, now - *first));
  return static_cast<double>(count - 1) * 1e6 / span;
}

// By nearest rank; `values` are reordered.
static double rank(std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  const auto size = values.size();
  const auto place = std::min(size - 1, static_cast<size_t>(share * static_cast<double>(size)));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(place),
                   values.end());
  return values[place];
}

double Meter::steady() const {
  if (later_pictures_ == 0) return 0;
  const double span = static_cast<double>(std::max<uint64_t>(1, out_.back() - first_chunk_end_));
  return static_cast<double>(later_pictures_) * 1e6 / span;
}

static c2r_stages medians(const std::deque<c2r_stages>& stages) {
  double c2r_stages::* const members[] = {
      &c2r_stages::decode_ms,  &c2r_stages::queue_ms, &c2r_stages::dino_ms,
      &c2r_stages::adapter_ms, &c2r_stages::denoise_ms, &c2r_stages::vae_ms,
      &c2r_stages::encode_ms,  &c2r_stages::kv_write_ms, &c2r_stages::total_ms};
  c2r_stages out{};
  std::vector<double> values;
  for (auto member : members) {
    values.clear();
    for (const auto& one : stages) values.push_back(one.*member);
    out.*member = rank(values, 0.5);
  }
  return out;
}

c2r_stats Meter::statistics(const Counts& counts) {
  c2r_stats out{};
  out.submitted = counts.submitted;
  out.sent = counts.sent;
  out.rendered = counts.rendered;
  out.failed = counts.failed;
  out.stray = counts.stray;
  std::copy(std::begin(counts.dropped), std::end(counts.dropped), out.dropped);
  std::vector<double> latency;
  std::deque<c2r_stages> stages;
  {
    Lock lock(mutex_);
    const uint64_t now = now_us();
    out.connections = connections_;
    out.bytes_sent = bytes_sent_;
    out.bytes_received = bytes_received_;
    out.fps_in = rate(in_, now);
    out.fps_out = rate(out_, now);
    out.fps_steady = steady();
    out.decode_ms = decode_ms_;
    out.first_picture_ms =
        any_frame_ && any_picture_ ? between_ms(first_frame_, first_picture_) : -1;
    latency.assign(latency_ms_.begin(), latency_ms_.end());
    stages = stages_;
  }
  out.latency_p50_ms = rank(latency, 0.5);
  out.latency_p90_ms = rank(latency, 0.9);
  out.latency_p99_ms = rank(latency, 0.99);
  out.stages = medians(stages);
  return out;
}

}  // namespace c2r
