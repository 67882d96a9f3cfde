// Timeouts of one connection: gives it up when the server cannot be reached, is silent, answers no
// frames, or does not answer a ping. Knows nothing of sockets and messages.
#pragma once
#include "client_record.h"
#include "http2_call.h"

namespace c2r {

class Watchdog {
 public:
  explicit Watchdog(const Patience& patience);

  void note_bytes() { bytes_s_ = now_s(); }
  void note_message() { message_s_ = now_s(); }
  void note_answer() { answer_s_ = now_s(); }

  // Empty while the connection may go on, else why it is given up. Queues a ping when no bytes have
  // come for a while. `window_full`: no frame may be sent before the server answers one.
  std::string check(Http2Call& call, bool window_full);
  // Seconds after which `check` should run again.
  double interval_s() const;

 private:
  std::string check_ping(Http2Call& call, double now);

  const Patience patience_;
  double opened_s_, message_s_, answer_s_, bytes_s_;
  double ping_s_ = 0;  // when the open ping was sent; 0: none is open
  uint64_t pongs_ = 0;
};

}  // namespace c2r
