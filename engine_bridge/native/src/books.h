// What a client knows over all its connections, and how patient it is; each part is safe to use from
// any thread.
#pragma once
#include "account.h"
#include "clock.h"
#include "codec.h"
#include "controls.h"
#include "meter.h"

#include <atomic>

namespace c2r {

// Seconds; `give_up` 0: never.
struct Patience {
  double connect = 10, silence = 15, stuck = 30, feedback = 1;
  double retry_first = 0.25, retry_most = 8, give_up = 0;
  double keepalive = 20, keepalive_answer = 10;
};

// How the engine wants its pictures.
struct PictureForm {
  uint32_t pixels = C2R_PIXELS_RGB8, rows = C2R_ROWS_TOP_FIRST;
};

// What other threads ask of the I/O thread.
struct Wishes {
  enum Ending { none, finish, discard };
  std::atomic<bool> stop{false};
  std::atomic<int> ending{none};
  std::atomic<double> deadline_s{0};

  // Asked to end, and no patience left.
  bool expired() const {
    return stop.load() || (ending.load() != none && now_s() > deadline_s.load());
  }
};

struct Books {
  BufferPool pool;
  Account account{pool};
  Controls controls;
  Meter meter;
  Wishes wishes;
  PictureForm form;
};

}  // namespace c2r
