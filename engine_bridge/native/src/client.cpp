#include "client.h"

namespace c2r {

Client::Client(const Endpoint& endpoint, const Patience& patience)
    : endpoint_(endpoint), patience_(patience) {
  if (!endpoint_.own_tls) endpoint_.tls_functions = {};
}

Client::~Client() {
  books_.wishes.stop = true;
  waker_.wake();
  thread_.join();
}

void Client::work(void* client) {
  Client& self = *static_cast<Client*>(client);
  Supervisor(self.endpoint_, self.patience_, self.books_, self.notices_, self.waker_).run();
}

c2r_code Client::open(const Opening& opening, const PictureForm& form) {
  if (opened() || closed()) return C2R_E_STATE;
  wanted_ = opening;
  books_.form = form;
  books_.controls.begin(opening);
  notices_.announce({C2R_STATE_CONNECTING, C2R_OK, -1, 0, 0,
                     "connecting to " + endpoint_.address});
  if (!thread_.start(&Client::work, this, "c2r-client")) return C2R_E_MEMORY;
  opened_ = true;
  return C2R_OK;
}

c2r_code Client::submit(FramePtr frame) {
  const c2r_code code = books_.account.submit(std::move(frame));
  if (code != C2R_OK) return code;
  books_.meter.submitted();
  if (books_.account.can_take()) waker_.wake();
  return code;
}

const Outcome* Client::poll() {
  books_.pool.give(std::move(current_.picture));
  current_ = Outcome();
  if (!books_.account.next_outcome(current_)) return nullptr;
  // Frames may have waited for a picture to be read.
  if (current_.outcome == C2R_OUTCOME_RENDERED && books_.account.can_take()) waker_.wake();
  return &current_;
}

bool Client::next_event(Event& event) {
  Ack own;
  while (books_.controls.next_notice(own)) notices_.acknowledge(own);
  return notices_.next(event);
}

c2r_code Client::set_control(const Control& change, uint64_t& id) {
  if (closed()) return C2R_E_STATE;
  id = books_.controls.change(change);
  waker_.wake();
  return C2R_OK;
}

void Client::close(bool discard, double timeout_s) {
  books_.account.stop();
  if (!opened()) {
    books_.account.close();
    books_.controls.finish("closed");
    notices_.announce({C2R_STATE_CLOSED, C2R_OK, -1, 0, 0, "closed"});
  }
  if (!closed()) books_.wishes.deadline_s = now_s() + timeout_s;
  books_.wishes.ending = discard ? Wishes::discard : Wishes::finish;
  waker_.wake();
}

}  // namespace c2r
