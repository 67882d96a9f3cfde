#include "account.h"

#include <algorithm>

namespace c2r {

using Lock = std::lock_guard<std::mutex>;

c2r_code Account::submit(FramePtr frame) {
  Lock lock(mutex_);
  c2r_code code = C2R_OK;
  if (!accepting_)
    code = C2R_E_STATE;
  else if (any_submitted_ && frame->id <= last_id_)
    code = C2R_E_ARGUMENT;
  else if (order_.size() + ready_.size() >= kMostUnread)
    code = C2R_E_FULL;
  if (code != C2R_OK) {
    recycle(*frame);
    return code;
  }
  any_submitted_ = true;
  last_id_ = frame->id;
  ++counts_.submitted;
  order_.push_back({frame->id, frame->captured_us, frame->reset, false, {}});
  if (halted_) {
    drop(order_.back(), C2R_DROP_UNSENT);
    recycle(*frame);
  } else {
    waiting_.push_back({std::move(frame), &order_.back()});
    trim();
  }
  release();
  return C2R_OK;
}

FramePtr Account::take() {
  Lock lock(mutex_);
  if (waiting_.empty() || room() == 0) return nullptr;
  Waiting next = std::move(waiting_.front());
  waiting_.pop_front();
  if (next.frame->reset == C2R_RESET_NONE) next.frame->reset = carried_reset_;
  next.entry->reset = next.frame->reset;
  carried_reset_ = C2R_RESET_NONE;
  in_flight_[next.frame->id] = next.entry;
  ++counts_.sent;
  return std::move(next.frame);
}

bool Account::captured(uint64_t id, uint64_t& captured_us) {
  Lock lock(mutex_);
  const auto entry = in_flight_.find(id);
  if (entry == in_flight_.end()) return false;
  captured_us = entry->second->captured_us;
  return true;
}

bool Account::settle(Outcome outcome) {
  Lock lock(mutex_);
  const auto flying = in_flight_.find(outcome.id);
  if (flying == in_flight_.end()) {
    ++counts_.stray;
    pool_.give(std::move(outcome.picture));
    return false;
  }
  Entry& entry = *flying->second;
  in_flight_.erase(flying);
  outcome.captured_us = entry.captured_us;
  answer(entry, std::move(outcome));
  release();
  return true;
}

void Account::refuse(uint64_t id, const Fault& fault) {
  Lock lock(mutex_);
  const auto flying = in_flight_.find(id);
  if (flying == in_flight_.end()) return;
  Entry& entry = *flying->second;
  in_flight_.erase(flying);
  --counts_.sent;
  carry_reset(entry);
  Outcome outcome;
  outcome.outcome = C2R_OUTCOME_FAILED;
  outcome.fault = fault;
  answer(entry, std::move(outcome));
  release();
}

void Account::begin_session() {
  Lock lock(mutex_);
  unsent_before_ = counts_.dropped[C2R_DROP_UNSENT];
}

void Account::set_window(uint32_t frames) {
  Lock lock(mutex_);
  if (halted_) return;
  window_ = frames;
  trim();
  release();
}

uint64_t Account::connection_lost() {
  Lock lock(mutex_);
  window_ = 0;
  const uint64_t lost = drop_in_flight();
  trim();
  release();
  return lost;
}

void Account::stop() {
  Lock lock(mutex_);
  accepting_ = false;
}

void Account::halt() {
  Lock lock(mutex_);
  stop_all();
}

void Account::close() {
  Lock lock(mutex_);
  accepting_ = false;
  stop_all();
}

bool Account::next_outcome(Outcome& outcome) {
  Lock lock(mutex_);
  if (ready_.empty()) return false;
  outcome = std::move(ready_.front());
  ready_.pop_front();
  if (outcome.outcome == C2R_OUTCOME_RENDERED) --pictures_;
  return true;
}

bool Account::has_room() {
  Lock lock(mutex_);
  return room() > waiting_.size();
}

bool Account::blocked() {
  Lock lock(mutex_);
  return window_ > 0 && window_ <= in_flight_.size();
}

bool Account::any_waiting() {
  Lock lock(mutex_);
  return !waiting_.empty();
}

bool Account::can_take() {
  Lock lock(mutex_);
  return !waiting_.empty() && room() > 0;
}

uint64_t Account::unsent() {
  Lock lock(mutex_);
  return counts_.dropped[C2R_DROP_UNSENT] - unsent_before_;
}

Counts Account::counts() {
  Lock lock(mutex_);
  return counts_;
}

// Frames that may be sent now. None while too many pictures wait for c2r_poll: the server then runs
// out of frames, which is how an engine that stops reading stops the rendering.
uint64_t Account::room() const {
  const uint64_t most = std::max<uint64_t>(window_, kUnreadPictures);
  if (accepting_ && pictures_ > most) return 0;
  return window_ > in_flight_.size() ? window_ - in_flight_.size() : 0;
}

// However large a window a server grants: frames that wait take memory.
static constexpr uint64_t kMostWaiting = 64;

// The drop rule. Room for at least one frame stays even when the window is full or there is no
// connection: that frame is replaced by each newer one, and is the first to be sent.
void Account::trim() {
  const uint64_t most = std::min(kMostWaiting, std::max<uint64_t>(1, room()));
  while (waiting_.size() > most) {
    Waiting oldest = std::move(waiting_.front());
    waiting_.pop_front();
    carry_reset(*oldest.entry);
    drop(*oldest.entry, C2R_DROP_UNSENT);
    recycle(*oldest.frame);
  }
}

uint64_t Account::drop_in_flight() {
  const uint64_t lost = in_flight_.size();
  // The map is in frame order, so that the newest reset is the one that is carried.
  for (auto& one : in_flight_) {
    carry_reset(*one.second);
    drop(*one.second, C2R_DROP_LOST);
  }
  in_flight_.clear();
  return lost;
}

void Account::stop_all() {
  halted_ = true;
  window_ = 0;
  drop_in_flight();
  for (auto& one : waiting_) {
    drop(*one.entry, C2R_DROP_UNSENT);
    recycle(*one.frame);
  }
  waiting_.clear();
  release();
}

void Account::drop(Entry& entry, uint32_t reason) {
  Outcome outcome;
  outcome.outcome = C2R_OUTCOME_DROPPED;
  outcome.drop = reason;
  answer(entry, std::move(outcome));
}

void Account::answer(Entry& entry, Outcome outcome) {
  outcome.id = entry.id;
  outcome.captured_us = entry.captured_us;
  if (outcome.outcome == C2R_OUTCOME_RENDERED) {
    ++counts_.rendered;
    ++pictures_;
  } else if (outcome.outcome == C2R_OUTCOME_DROPPED) {
    ++counts_.dropped[outcome.drop];
  } else {
    ++counts_.failed;
  }
  entry.answered = true;
  entry.outcome = std::move(outcome);
}

// Hands outcomes to the reader up to the first frame without one: answers may come out of order,
// outcomes are given in frame order.
void Account::release() {
  while (!order_.empty() && order_.front().answered) {
    ready_.push_back(std::move(order_.front().outcome));
    order_.pop_front();
  }
}

void Account::carry_reset(const Entry& entry) {
  if (entry.reset != C2R_RESET_NONE) carried_reset_ = entry.reset;
}

void Account::recycle(Frame& frame) {
  pool_.give(std::move(frame.colour.data));
  pool_.give(std::move(frame.depth.data));
  pool_.give(std::move(frame.motion.data));
}

}  // namespace c2r
