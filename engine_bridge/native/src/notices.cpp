#include "notices.h"

namespace c2r {

using Lock = std::lock_guard<std::mutex>;

static constexpr size_t kMost = 256;

void Notices::add(Event event) {
  events_.push_back(std::move(event));
  if (events_.size() > kMost) events_.pop_front();
}

void Notices::announce(const Status& status) {
  Lock lock(mutex_);
  if (status.state == status_.state && status.text == status_.text) return;
  status_ = status;
  add({C2R_EVENT_STATUS, status.state, {}, status.text});
}

void Notices::warn(const Warning& warning) {
  Lock lock(mutex_);
  add({C2R_EVENT_WARNING, static_cast<int32_t>(warning.code), {}, warning.message});
}

void Notices::acknowledge(const Ack& ack) {
  Lock lock(mutex_);
  add({C2R_EVENT_ACK, static_cast<int32_t>(ack.refused.code), ack, ack.refused.text()});
}

bool Notices::next(Event& event) {
  Lock lock(mutex_);
  if (events_.empty()) return false;
  event = std::move(events_.front());
  events_.pop_front();
  return true;
}

Status Notices::status() {
  Lock lock(mutex_);
  return status_;
}

void Notices::set_accepted(const Accepted& accepted) {
  Lock lock(mutex_);
  accepted_ = accepted;
  has_accepted_ = true;
}

void Notices::clear_accepted() {
  Lock lock(mutex_);
  has_accepted_ = false;
}

bool Notices::accepted(Accepted& accepted) {
  Lock lock(mutex_);
  if (has_accepted_) accepted = accepted_;
  return has_accepted_;
}

}  // namespace c2r
