#include "account.h"
#include "expect.h"

#include <memory>

using namespace c2r;

namespace {
struct Books {
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
  Books books;
  books.account.set_window(4);
  for (uint64_t id : {3, 5, 9}) EXPECT(books.submit(id) == C2R_OK);
  for (int i = 0; i < 3; ++i) EXPECT(books.account.take() != nullptr);
  EXPECT(books.account.take() == nullptr);
  EXPECT(books.settle(9));
  EXPECT(books.next() == -1);
  EXPECT(books.settle(3));
  EXPECT(books.settle(5));
  EXPECT(!books.settle(5));
  EXPECT(books.next() == 3010 && books.next() == 5010 && books.next() == 9010);
  EXPECT(books.account.counts().stray == 1);
}

TEST(the_newest_frame_wins_and_carries_the_reset) {
  Books books;
  EXPECT(books.submit(1, C2R_RESET_CUT) == C2R_OK);
  EXPECT(books.submit(2) == C2R_OK);
  EXPECT(books.submit(3) == C2R_OK);
  EXPECT(books.next() == 1024 && books.next() == 2024 && books.next() == -1);
  books.account.set_window(1);
  const FramePtr sent = books.account.take();
  EXPECT(sent != nullptr && sent->id == 3 && sent->reset == C2R_RESET_CUT);
}

TEST(ids_go_up_and_the_end_is_the_end) {
  Books books;
  EXPECT(books.submit(0) == C2R_OK);
  EXPECT(books.submit(0) == C2R_E_ARGUMENT);
  books.account.set_window(8);
  EXPECT(books.account.take() != nullptr);
  EXPECT(books.submit(1) == C2R_OK);
  books.account.close();
  EXPECT(books.submit(2) == C2R_E_STATE);
  EXPECT(books.next() == 25 && books.next() == 1024 && books.next() == -1);
}

TEST(a_lost_reset_moves_on) {
  Books books;
  books.account.set_window(4);
  EXPECT(books.submit(1, C2R_RESET_TELEPORT) == C2R_OK);
  EXPECT(books.account.take() != nullptr);
  EXPECT(books.account.lose() == 1);
  EXPECT(books.next() == 1025);
  EXPECT(books.submit(2) == C2R_OK);
  books.account.set_window(4);
  const FramePtr sent = books.account.take();
  EXPECT(sent != nullptr && sent->reset == C2R_RESET_TELEPORT);
}

TEST(unread_pictures_stop_sending_and_reading_goes_on) {
  Books books;
  books.account.set_window(4);
  uint64_t id = 0;
  while (books.account.has_room() && id < 1000) {
    books.submit(id);
    books.account.take();
    books.settle(id++);
  }
  EXPECT(id == Account::kUnreadPictures + 1);
  EXPECT(books.next() == 10);
  EXPECT(books.account.has_room());
}

TEST(unread_outcomes_are_bounded) {
  Books books;
  books.account.halt();
  for (uint64_t id = 0; id < Account::kMostUnread; ++id) books.submit(id);
  EXPECT(books.submit(1 << 20) == C2R_E_FULL);
  EXPECT(books.next() == 24);
  EXPECT(books.submit(1 << 20) == C2R_OK);
}

TEST(a_huge_window_holds_few_frames) {
  Books books;
  books.account.set_window(UINT32_MAX);
  for (uint64_t id = 0; id < 1000; ++id) books.submit(id);
  EXPECT(books.account.counts().dropped[C2R_DROP_UNSENT] == 1000 - 64);
}
