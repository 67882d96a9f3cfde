#include "supervisor.h"

#include "text.h"

#include <algorithm>
#include <cinttypes>

namespace c2r {

Backoff::Backoff(double first, double most)
    : first_(first),
      most_(most),
      wait_(first),
      random_(static_cast<uint32_t>(now_us() ^ reinterpret_cast<uintptr_t>(this))) {}

double Backoff::next() {
  const double share =
      static_cast<double>(random_() - random_.min()) / (random_.max() - random_.min());
  const double wait = wait_ * (0.5 + 0.5 * share);
  wait_ = std::min(most_, 2 * wait_);
  return wait;
}

Supervisor::Supervisor(const Endpoint& endpoint, const Patience& patience, ClientRecord& record,
                       Notices& notices, Waker& waker)
    : endpoint_(endpoint),
      patience_(patience),
      record_(record),
      notices_(notices),
      waker_(waker),
      backoff_(patience.retry_first, patience.retry_most) {}

void Supervisor::run() {
  last_session_s_ = now_s();
  while (!ending()) {
    Break reason;
    const bool again = attempt(reason);
    if (ending()) break;
    if (!again || !back_off(reason)) {
      fail(reason);
      return;
    }
  }
  record_.account.close();
  record_.controls.finish("closed");
  notices_.announce({C2R_STATE_CLOSED, C2R_OK, -1, 0, 0, "closed"});
}

// One connection; false when another makes no sense.
//
// Resuming: the token names the session whose state (K/V cache, prompt, seed) the server keeps for
// a while. What was in flight is lost all the same, since no one knows how far the server got;
// changes of control that were not acknowledged are sent again. Both happen before the next attempt
// reads `opening`, or the new session would start with the old values.
bool Supervisor::attempt(Break& reason) {
  Opening opening = record_.controls.opening();
  opening.resume_token = resume_token_;
  Connection connection(endpoint_, patience_, record_, waker_, *this, opening);
  const StreamEnd verdict = connection.run();
  notices_.clear_accepted();
  if (connection.was_accepted()) last_session_s_ = now_s();
  // Only an answered frame ends the back-off: a server that accepts and then breaks would otherwise
  // be asked again at full rate.
  if (connection.answered()) backoff_.reset();
  lost_ += record_.account.connection_lost();
  record_.controls.reopen();
  if (verdict.kind == StreamEnd::Kind::ended) return handle_end(verdict.ended, reason);
  reason = verdict.broken;
  return !reason.final;
}

// Why the session is over; false when no other may follow. After TAKEN_OVER another attempt would
// take the session back, and two clients would go on so without end.
bool Supervisor::handle_end(const Ended& ended, Break& reason) {
  static const char* const names[] = {"unspecified", "client", "shutdown",
                                      "idle",        "fault",  "taken_over"};
  if (!ended.resumable) resume_token_.clear();
  const char* name = ended.reason <= end_reason::taken_over ? names[ended.reason] : "unspecified";
  reason.text = ended.message.empty()
                    ? std::string("the server ended the session (") + name + ")"
                    : ended.message;
  if (ended.reason != end_reason::taken_over) return true;
  reason.error = C2R_E_TAKEN_OVER;
  reason.text = "another client took this session over: " + reason.text;
  return false;
}

// Waits for the next attempt; false when it is time to give up.
bool Supervisor::back_off(Break& reason) {
  const double now = now_s(), wait = backoff_.next();
  if (down_since_s_ == 0) down_since_s_ = now;
  if (patience_.give_up > 0 && now + wait - last_session_s_ > patience_.give_up) {
    reason.text = format("no session with %s for %g s (", endpoint_.address.c_str(),
                         patience_.give_up) +
                  reason.text + "); start the server there (c2r serve), or give another address";
    return false;
  }
  Status status{C2R_STATE_RECONNECTING, reason.error, reason.grpc, 0, wait, ""};
  status.text = "no connection to " + endpoint_.address + " (" + reason.text +
                format("); next try in %.1f s", wait);
  notices_.announce(status);
  wait_out(wait);
  return true;
}

void Supervisor::wait_out(double seconds) {
  const double end = now_s() + seconds;
  while (!ending()) {
    const double left = end - now_s();
    if (left <= 0) return;
    const int ms = static_cast<int>(std::min(left, 60.0) * 1000) + 1;
    if (wait_for(Socket::kNone, false, waker_, ms).woken) waker_.drain();
  }
}

void Supervisor::fail(const Break& reason) {
  record_.account.halt();
  record_.controls.finish(reason.text);
  notices_.announce({C2R_STATE_FAILED, reason.error, reason.grpc, 0, 0, reason.text});
}

void Supervisor::accepted(const Accepted& accepted) {
  const std::string text = greeting(accepted);
  resume_token_ = accepted.resume_token;
  record_.controls.keep_seed(accepted.seed);
  lost_ = 0;
  down_since_s_ = 0;
  notices_.set_accepted(accepted);
  notices_.announce({C2R_STATE_STREAMING, C2R_OK, -1, 0, 0, text});
}

std::string Supervisor::greeting(const Accepted& accepted) const {
  if (down_since_s_ == 0)
    return format("streaming %ux%u at %g frames per second to ", accepted.width, accepted.height,
                  accepted.fps) +
           (accepted.server.empty() ? endpoint_.address : accepted.server);
  const std::string text = format("connected again after %.1f s, %" PRIu64 " frames were lost",
                                  now_s() - down_since_s_, lost_);
  if (accepted.resumed) return text + "; the session was resumed";
  return text + "; the stream was reset: the renderer has lost what it had rendered";
}

void Supervisor::queued(uint32_t place) {
  notices_.announce({C2R_STATE_QUEUED, C2R_OK, -1, place, 0,
                     format("the server is loading or full; place %u in the queue", place)});
}

void Supervisor::warned(const Warning& warning) { notices_.warn(warning); }

void Supervisor::acknowledged(const Ack& ack) { notices_.acknowledge(ack); }

}  // namespace c2r
