#include "controls.h"

#include "text.h"

#include <cinttypes>

namespace c2r {

using Lock = std::lock_guard<std::mutex>;

// Acknowledgements that may wait for c2r_poll_event; beyond them the oldest is dropped.
static constexpr size_t kMostNotices = 1024;

void Controls::begin(const Opening& opening) {
  Lock lock(mutex_);
  opening_ = opening;
}

uint64_t Controls::change(Control change) {
  Lock lock(mutex_);
  change.id = next_id_++;
  const uint64_t id = change.id;
  if (over_) {
    refuse(change, why_);
  } else {
    waiting_.push_back(std::move(change));
    fold();
  }
  return id;
}

bool Controls::take(Control& change) {
  Lock lock(mutex_);
  if (waiting_.empty() || sent_.size() >= kMost) return false;
  change = waiting_.front();
  waiting_.pop_front();
  sent_[change.id] = change;
  return true;
}

bool Controls::any() {
  Lock lock(mutex_);
  return !waiting_.empty() && sent_.size() < kMost;
}

bool Controls::acknowledge(const Ack& ack) {
  Lock lock(mutex_);
  const auto sent = sent_.find(ack.control_id);
  if (sent == sent_.end()) return false;
  const Control change = std::move(sent->second);
  sent_.erase(sent);
  if (ack.is_refused) return true;
  if (change.has_prompt) opening_.prompt = change.prompt;
  if (change.has_negative) opening_.negative_prompt = change.negative_prompt;
  if (change.has_strength) opening_.strength = change.strength;
  if (change.has_seed) opening_.has_seed = true, opening_.seed = change.seed;
  return true;
}

void Controls::keep_seed(uint64_t seed) {
  Lock lock(mutex_);
  opening_.has_seed = true;
  opening_.seed = seed;
}

void Controls::reopen() {
  Lock lock(mutex_);
  // Back to front, so that they wait in their old order, ahead of changes that were never sent.
  for (auto one = sent_.rbegin(); one != sent_.rend(); ++one)
    waiting_.push_front(std::move(one->second));
  sent_.clear();
  fold();
}

void Controls::finish(const std::string& why) {
  Lock lock(mutex_);
  over_ = true;
  why_ = why;
  for (const auto& one : sent_) refuse(one.second, why);
  for (const auto& one : waiting_) refuse(one, why);
  sent_.clear();
  waiting_.clear();
}

bool Controls::next_notice(Ack& ack) {
  Lock lock(mutex_);
  if (notices_.empty()) return false;
  ack = std::move(notices_.front());
  notices_.pop_front();
  return true;
}

Opening Controls::opening() {
  Lock lock(mutex_);
  return opening_;
}

// Adds the older change's settings to the newer one where it has none of its own.
static void fold_into(const Control& older, Control& newer) {
  if (!newer.has_prompt && older.has_prompt) newer.has_prompt = true, newer.prompt = older.prompt;
  if (!newer.has_negative && older.has_negative)
    newer.has_negative = true, newer.negative_prompt = older.negative_prompt;
  if (!newer.has_strength && older.has_strength)
    newer.has_strength = true, newer.strength = older.strength;
  if (!newer.has_seed && older.has_seed) newer.has_seed = true, newer.seed = older.seed;
  if (newer.blend_chunks == 0) newer.blend_chunks = older.blend_chunks;
}

void Controls::fold() {
  while (waiting_.size() > kMost) {
    const Control older = std::move(waiting_.front());
    waiting_.pop_front();
    fold_into(older, waiting_.front());
    refuse(older, format("folded into control %" PRIu64 " before it was sent",
                         waiting_.front().id));
  }
}

void Controls::refuse(const Control& change, const std::string& why) {
  Ack ack;
  ack.control_id = change.id;
  ack.is_refused = true;
  ack.refused = {fault_code::unspecified, why, ""};
  notices_.push_back(std::move(ack));
  if (notices_.size() > kMostNotices) notices_.pop_front();
}

}  // namespace c2r
