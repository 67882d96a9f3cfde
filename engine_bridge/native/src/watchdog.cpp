#include "watchdog.h"

#include "text.h"

#include <algorithm>

namespace c2r {

Watchdog::Watchdog(const Patience& patience) : patience_(patience) {
  opened_s_ = message_s_ = answer_s_ = bytes_s_ = now_s();
}

std::string Watchdog::check(Http2Call& call, bool window_full) {
  const double now = now_s();
  if (!call.greeted()) {
    message_s_ = now;
    if (now - opened_s_ <= patience_.connect) return "";
    return format("no answer for %g s", patience_.connect);
  }
  if (now - message_s_ > patience_.silence)
    return format("nothing came from the server for %g s", patience_.silence);
  // A server that has room for frames owes no answer: the time counts only while the window is
  // full.
  if (!window_full)
    answer_s_ = now;
  else if (now - answer_s_ > patience_.stuck)
    return format("the server answered no frame for %g s", patience_.stuck);
  return check_ping(call, now);
}

std::string Watchdog::check_ping(Http2Call& call, double now) {
  // Any bytes are as good as the answer: a large picture may be ahead of it on the same connection.
  if (ping_s_ > 0 && (call.pongs() != pongs_ || bytes_s_ > ping_s_)) ping_s_ = 0;
  if (ping_s_ > 0) {
    if (now - ping_s_ <= patience_.keepalive_answer) return "";
    return format("no answer to a ping for %g s", patience_.keepalive_answer);
  }
  if (now - bytes_s_ < patience_.keepalive) return "";
  pongs_ = call.pongs();
  ping_s_ = now;
  call.ping();
  return "";
}

double Watchdog::interval_s() const {
  return std::min({0.25, patience_.silence / 4, patience_.keepalive / 4, patience_.connect / 4});
}

}  // namespace c2r
