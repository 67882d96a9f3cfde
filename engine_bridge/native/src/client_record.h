// The state of a client that outlives its connections, and its timeouts. The I/O thread and the
// engine's threads share it: each member locks for itself or is atomic.
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

// Pixel format and row order of the pictures that the engine reads.
struct PixelLayout {
  uint32_t pixels = C2R_PIXELS_RGB8, rows = C2R_ROWS_TOP_FIRST;
};

// How other threads end the I/O thread: `stop` at once (c2r_destroy), `ending` politely (c2r_close)
// with a deadline. Store the deadline before `ending`: the I/O thread reads them in the other
// order, and a deadline that is still 0 would cut a polite end off.
struct Shutdown {
  enum Ending { none, finish, discard };
  std::atomic<bool> stop{false};
  std::atomic<int> ending{none};
  std::atomic<double> deadline_s{0};

  bool expired() const {
    return stop.load() || (ending.load() != none && now_s() > deadline_s.load());
  }
};

struct ClientRecord {
  BufferPool pool;
  Account account{pool};
  Controls controls;
  Meter meter;
  Shutdown shutdown;
  PixelLayout layout;  // set before the I/O thread starts, constant after
};

}  // namespace c2r
