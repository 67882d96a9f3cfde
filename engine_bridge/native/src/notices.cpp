#include "notices.h"

namespace c2r {

using Hold = std::lock_guard<std::mutex>;

static constexpr size_t kMost = 256;

void Notices::add(Event event) {
  events_.push_back(std::move(event));
  if (events_.size() > kMost) events_.pop_front();
}

void Notices::announce(const Status& status) {
  Hold hold(mutex_);
  if (status.state == status_.state && status.text == status_.text) return;
  status_ = status;
  add({C2R_EVENT_STATUS, status.state, {}, status.text});
}

void Notices::warn(const Warning& warning) {
  Hold hold(mutex_);
  add({C2R_EVENT_WARNING, static_cast<int32_t>(warning.code), {}, warning.message});
}

void Notices::acknowledge(const Ack& ack) {
  Hold hold(mutex_);
  add({C2R_EVENT_ACK, static_cast<int32_t>(ack.refused.code), ack, ack.refused.text()});
}

bool Notices::next(Event& event) {
  Hold hold(mutex_);
  if (events_.empty()) return false;
  event = std::move(events_.front());
  events_.pop_front();
  return true;
}

Status Notices::status() {
  Hold hold(mutex_);
  return status_;
}

void Notices::accept(const Accepted& accepted) {
  Hold hold(mutex_);
  accepted_ = accepted;
  has_accepted_ = true;
}

void Notices::part() {
  Hold hold(mutex_);
  has_accepted_ = false;
}

bool Notices::accepted(Accepted& accepted) {
  Hold hold(mutex_);
  if (has_accepted_) accepted = accepted_;
  return has_accepted_;
}

}  // namespace c2r
