#include "account.h"
#include "expect.h"

#include <memory>

using namespace c2r;

namespace {
struct Fixture {
  BufferPool pool;
  Account account{pool};
  c2r_code submit(uint64_t id, int32_t reset = C2R_RESET_NONE) {
    auto frame = std::make_unique<Frame>();
    frame->id = id;
    frame->reset = reset;
    frame->captured_us = 100 + id;
    return account.submit(std::move(frame));
  }
  bool settle(uint64_t id) {
    Outcome outcome;
    outcome.id = id;
    outcome.outcome = C2R_OUTCOME_RENDERED;
    return account.settle(std::move(outcome));
  }
  // The next outcome as frame id and kind: 1000 x id + 10 x outcome + drop; -1: none.
  long next() {
    Outcome outcome;
    if (!account.next_outcome(outcome)) return -1;
    return static_cast<long>(outcome.id) * 1000 + outcome.outcome * 10 +
           static_cast<long>(outcome.drop);
  }
};
}  // namespace

TEST(outcomes_come_in_frame_order) {
  Fixture frames;
  frames.account.set_window(4);
  for (uint64_t id : {3, 5, 9}) EXPECT(frames.submit(id) == C2R_OK);
  for (int i = 0; i < 3; ++i) EXPECT(frames.account.take() != nullptr);
  EXPECT(frames.account.take() == nullptr);
  EXPECT(frames.settle(9));
  EXPECT(frames.next() == -1);
  EXPECT(frames.settle(3));
  EXPECT(frames.settle(5));
  EXPECT(!frames.settle(5));
  EXPECT(frames.next() == 3010 && frames.next() == 5010 && frames.next() == 9010);
  EXPECT(frames.account.counts().stray == 1);
}

TEST(the_newest_frame_wins_and_carries_the_reset) {
  Fixture frames;
  EXPECT(frames.submit(1, C2R_RESET_CUT) == C2R_OK);
  EXPECT(frames.submit(2) == C2R_OK);
  EXPECT(frames.submit(3) == C2R_OK);
  EXPECT(frames.next() == 1024 && frames.next() == 2024 && frames.next() == -1);
  frames.account.set_window(1);
  const FramePtr sent = frames.account.take();
  EXPECT(sent != nullptr && sent->id == 3 && sent->reset == C2R_RESET_CUT);
}

TEST(ids_go_up_and_the_end_is_the_end) {
  Fixture frames;
  EXPECT(frames.submit(0) == C2R_OK);
  EXPECT(frames.submit(0) == C2R_E_ARGUMENT);
  frames.account.set_window(8);
  EXPECT(frames.account.take() != nullptr);
  EXPECT(frames.submit(1) == C2R_OK);
  frames.account.close();
  EXPECT(frames.submit(2) == C2R_E_STATE);
  EXPECT(frames.next() == 25 && frames.next() == 1024 && frames.next() == -1);
}

TEST(a_lost_reset_moves_on) {
  Fixture frames;
  frames.account.set_window(4);
  EXPECT(frames.submit(1, C2R_RESET_TELEPORT) == C2R_OK);
  EXPECT(frames.account.take() != nullptr);
  EXPECT(frames.account.connection_lost() == 1);
  EXPECT(frames.next() == 1025);
  EXPECT(frames.submit(2) == C2R_OK);
  frames.account.set_window(4);
  const FramePtr sent = frames.account.take();
  EXPECT(sent != nullptr && sent->reset == C2R_RESET_TELEPORT);
}

TEST(unread_pictures_stop_sending_and_reading_goes_on) {
  Fixture frames;
  frames.account.set_window(4);
  uint64_t id = 0;
  while (frames.account.has_room() && id < 1000) {
    frames.submit(id);
    frames.account.take();
    frames.settle(id++);
  }
  EXPECT(id == Account::kUnreadPictures + 1);
  EXPECT(frames.next() == 10);
  EXPECT(frames.account.has_room());
}

TEST(unread_outcomes_are_bounded) {
  Fixture frames;
  frames.account.halt();
  for (uint64_t id = 0; id < Account::kMostUnread; ++id) frames.submit(id);
  EXPECT(frames.submit(1 << 20) == C2R_E_FULL);
  EXPECT(frames.next() == 24);
  EXPECT(frames.submit(1 << 20) == C2R_OK);
}

TEST(a_huge_window_holds_few_frames) {
  Fixture frames;
  frames.account.set_window(UINT32_MAX);
  for (uint64_t id = 0; id < 1000; ++id) frames.submit(id);
  EXPECT(frames.account.counts().dropped[C2R_DROP_UNSENT] == 1000 - 64);
}
