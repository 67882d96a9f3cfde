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

Supervisor::Supervisor(const Endpoint& endpoint, const Patience& patience, Books& books,
                       Notices& notices, Waker& waker)
    : endpoint_(endpoint),
      patience_(patience),
      books_(books),
      notices_(notices),
      waker_(waker),
      backoff_(patience.retry_first, patience.retry_most) {}

void Supervisor::run() {
  alive_s_ = now_s();
  while (!ending()) {
    Break reason;
    const bool again = attempt(reason);
    if (ending()) break;
    if (!again || !back_off(reason)) {
      fail(reason);
      return;
    }
  }
  books_.account.close();
  books_.controls.finish("closed");
  notices_.announce({C2R_STATE_CLOSED, C2R_OK, -1, 0, 0, "closed"});
}

// One connection; false when another makes no sense.
bool Supervisor::attempt(Break& reason) {
  Opening opening = books_.controls.opening();
  opening.resume_token = token_;
  Connection connection(endpoint_, patience_, books_, waker_, *this, opening);
  const Verdict verdict = connection.run();
  notices_.part();
  if (connection.was_accepted()) alive_s_ = now_s();
  if (connection.answered()) backoff_.reset();
  lost_ += books_.account.lose();
  books_.controls.reopen();
  if (verdict.kind == Verdict::Kind::ended) return judge_end(verdict.ended, reason);
  reason = verdict.broken;
  return !reason.final;
}

// Why the session is over, where another may follow; false where not.
bool Supervisor::judge_end(const Ended& ended, Break& reason) {
  static const char* const names[] = {"unspecified", "client", "shutdown",
                                      "idle",        "fault",  "taken_over"};
  if (!ended.resumable) token_.clear();
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
  if (down_s_ == 0) down_s_ = now;
  if (patience_.give_up > 0 && now + wait - alive_s_ > patience_.give_up) {
    reason.text = format("no session with %s for %g s (", endpoint_.address.c_str(),
                         patience_.give_up) +
                  reason.text + "); start the server there (c2r serve), or give another address";
    return false;
  }
  Status status{C2R_STATE_RECONNECTING, reason.error, reason.grpc, 0, wait, ""};
  status.text = "no connection to " + endpoint_.address + " (" + reason.text +
                format("); next try in %.1f s", wait);
  notices_.announce(status);
  pass_time(wait);
  return true;
}

void Supervisor::pass_time(double seconds) {
  const double end = now_s() + seconds;
  while (!ending()) {
    const double left = end - now_s();
    if (left <= 0) return;
    const int ms = static_cast<int>(std::min(left, 60.0) * 1000) + 1;
    if (wait_for(Socket::kNone, false, waker_, ms).woken) waker_.drain();
  }
}

void Supervisor::fail(const Break& reason) {
  books_.account.halt();
  books_.controls.finish(reason.text);
  notices_.announce({C2R_STATE_FAILED, reason.error, reason.grpc, 0, 0, reason.text});
}

void Supervisor::accepted(const Accepted& accepted) {
  const std::string text = greeting(accepted);
  token_ = accepted.resume_token;
  books_.controls.keep_seed(accepted.seed);
  lost_ = 0;
  down_s_ = 0;
  notices_.accept(accepted);
  notices_.announce({C2R_STATE_STREAMING, C2R_OK, -1, 0, 0, text});
}

std::string Supervisor::greeting(const Accepted& accepted) const {
  if (down_s_ == 0)
    return format("streaming %ux%u at %g frames a second to ", accepted.width, accepted.height,
                  accepted.fps) +
           (accepted.server.empty() ? endpoint_.address : accepted.server);
  const std::string news = format("connected again after %.1f s, %" PRIu64 " frames were lost",
                                  now_s() - down_s_, lost_);
  if (accepted.resumed) return news + "; the session goes on";
  return news + "; the renderer began anew and has forgotten what it had drawn";
}

void Supervisor::queued(uint32_t place) {
  notices_.announce({C2R_STATE_QUEUED, C2R_OK, -1, place, 0,
                     format("the server is loading or full; place %u in the queue", place)});
}

void Supervisor::warned(const Warning& warning) { notices_.warn(warning); }

void Supervisor::acknowledged(const Ack& ack) { notices_.acknowledge(ack); }

}  // namespace c2r
