#include "client.h"

namespace c2r {

Client::Client(const Endpoint& endpoint, const Patience& patience)
    : endpoint_(endpoint), patience_(patience) {
  if (!endpoint_.own_tls) endpoint_.tls_functions = {};
}

// The I/O thread uses every other member: it is joined before any of them is destroyed.
Client::~Client() {
  record_.shutdown.stop = true;
  waker_.wake();
  thread_.join();
}

void Client::work(void* client) {
  Client& self = *static_cast<Client*>(client);
  Supervisor(self.endpoint_, self.patience_, self.record_, self.notices_, self.waker_).run();
}

c2r_code Client::open(const Opening& opening, const PixelLayout& layout) {
  if (opened() || closed()) return C2R_E_STATE;
  wanted_ = opening;
  record_.layout = layout;
  record_.controls.begin(opening);
  notices_.announce({C2R_STATE_CONNECTING, C2R_OK, -1, 0, 0,
                     "connecting to " + endpoint_.address});
  if (!thread_.start(&Client::work, this, "c2r-client")) return C2R_E_MEMORY;
  opened_ = true;
  return C2R_OK;
}

c2r_code Client::submit(FramePtr frame) {
  const c2r_code code = record_.account.submit(std::move(frame));
  if (code != C2R_OK) return code;
  record_.meter.submitted();
  if (record_.account.can_take()) waker_.wake();
  return code;
}

const Outcome* Client::poll() {
  record_.pool.give(std::move(current_.picture));
  current_ = Outcome();
  if (!record_.account.next_outcome(current_)) return nullptr;
  // Sending pauses while too many pictures wait to be read; reading one may let a frame go.
  if (current_.outcome == C2R_OUTCOME_RENDERED && record_.account.can_take()) waker_.wake();
  return &current_;
}

bool Client::next_event(Event& event) {
  Ack own;
  while (record_.controls.next_notice(own)) notices_.acknowledge(own);
  return notices_.next(event);
}

c2r_code Client::set_control(const Control& change, uint64_t& id) {
  if (closed()) return C2R_E_STATE;
  id = record_.controls.change(change);
  waker_.wake();
  return C2R_OK;
}

void Client::close(bool discard, double timeout_s) {
  record_.account.stop();
  if (!opened()) {  // no thread that would do it
    record_.account.close();
    record_.controls.finish("closed");
    notices_.announce({C2R_STATE_CLOSED, C2R_OK, -1, 0, 0, "closed"});
  }
  // The deadline first, see Shutdown. Closing again may only turn `finish` into `discard`.
  if (!closed()) record_.shutdown.deadline_s = now_s() + timeout_s;
  record_.shutdown.ending = discard ? Shutdown::discard : Shutdown::finish;
  waker_.wake();
}

}  // namespace c2r
