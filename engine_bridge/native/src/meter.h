// Statistics of a client: rates, latency, bytes, and what reached the screen. Bounded memory; safe
// to use from any thread.
#pragma once
#include "account.h"

#include <deque>
#include <mutex>

namespace c2r {

class Meter {
 public:
  void submitted();
  // A picture was decoded, from `decode_start_us` to now. Its latency from capture, milliseconds.
  double rendered(uint64_t chunk, const c2r_stages& stages, uint64_t captured_us,
                  uint64_t decode_start_us);
  void sent(size_t size);
  void received(size_t size);
  void connected();
  // A picture is on the screen now; `buffer_ms` of pictures wait behind it.
  void shown(uint64_t frame_id, uint64_t captured_us, double buffer_ms);
  Feedback feedback(uint64_t frames_unsent);
  c2r_stats statistics(const Counts& counts);

 private:
  void count(uint64_t chunk, uint64_t now);
  double steady() const;

  // Latencies and stage times that percentiles are made of, the newest ones.
  static constexpr size_t kKept = 4096;
  std::mutex mutex_;
  std::deque<uint64_t> in_, out_;
  std::deque<double> latency_ms_;
  std::deque<c2r_stages> stages_;
  bool any_frame_ = false, any_picture_ = false, any_shown_ = false;
  uint64_t first_frame_ = 0, first_picture_ = 0, first_chunk_ = 0, first_chunk_end_ = 0;
  uint64_t later_pictures_ = 0, bytes_sent_ = 0, bytes_received_ = 0, shown_id_ = 0;
  uint32_t connections_ = 0;
  double decode_ms_ = 0, shown_latency_ms_ = 0, buffer_ms_ = 0;
};

}  // namespace c2r
