// The account of frames: every submitted frame has exactly one outcome, given out in frame order.
//
// A frame waits, is in flight, or is answered. Drop rule: as many frames may wait as the window has
// room for, and one when it has none; beyond that the oldest is UNSENT, so that the newest wins. A
// reset on a dropped frame moves to the next frame sent: without it the renderer would blend across
// the cut. Safe to use from any thread; no call takes more than microseconds. Knows nothing of
// networks.
#pragma once
#include "buffer_pool.h"
#include "messages.h"

#include <deque>
#include <map>
#include <mutex>

namespace c2r {

// The outcome of one frame.
struct Outcome {
  uint64_t id = 0, captured_us = 0, chunk_index = 0;
  int32_t outcome = 0;  // c2r_outcome
  uint32_t drop = 0;
  Fault fault;
  Bytes picture;
  c2r_stages stages{};
  double latency_ms = 0;
};

struct Counts {
  uint64_t submitted = 0, sent = 0, rendered = 0, failed = 0, stray = 0;
  uint64_t dropped[C2R_DROP_REASONS] = {};
};

class Account {
 public:
  // Outcomes that may wait for their reader before more frames are refused.
  static constexpr size_t kMostUnread = 1 << 16;
  // Pictures, or a window of them if that is more, that may wait before no more frames are sent.
  static constexpr size_t kUnreadPictures = 32;

  explicit Account(BufferPool& pool) : pool_(pool) {}

  // C2R_E_ARGUMENT when the id does not go up, C2R_E_STATE after `stop`, C2R_E_FULL.
  c2r_code submit(FramePtr frame);
  // The next frame to send, now in flight; null when none waits or none may go.
  FramePtr take();
  // Takes an answer; false for a frame that is not in flight. The capture time is the client's own,
  // not what the server echoes.
  bool settle(Outcome outcome);
  // The capture time of a frame in flight; false for another.
  bool captured(uint64_t id, uint64_t& captured_us);
  // A frame that was taken cannot be packed: it has failed and was never in flight.
  void refuse(uint64_t id, const Fault& fault);
  // A new session: `unsent` counts from 0, as the server expects.
  void begin_session();
  // At most this many frames in flight; 0 stops sending.
  void set_window(uint32_t frames);
  // The connection broke: frames in flight are LOST. How many.
  uint64_t connection_lost();
  // Refuses further frames; those that wait are still sent.
  void stop();
  // Nothing can be sent any more: waiting and coming frames are UNSENT at once.
  void halt();
  // `stop` and `halt`: every open frame gets its outcome.
  void close();
  bool next_outcome(Outcome& outcome);

  bool has_room();
  // The whole window is in flight: nothing goes until the server answers.
  bool blocked();
  bool any_waiting();
  // A frame waits and may go.
  bool can_take();
  // Frames that this session's client dropped itself.
  uint64_t unsent();
  Counts counts();

 private:
  struct Entry {
    uint64_t id, captured_us;
    int32_t reset;
    bool answered = false;
    Outcome outcome;
  };
  struct Waiting {
    FramePtr frame;
    Entry* entry;
  };

  uint64_t room() const;
  void trim();
  uint64_t drop_in_flight();
  void stop_all();
  void drop(Entry& entry, uint32_t reason);
  void answer(Entry& entry, Outcome outcome);
  void release();
  void recycle(Frame& frame);
  void carry_reset(const Entry& entry);

  std::mutex mutex_;
  BufferPool& pool_;
  // `waiting_` and `in_flight_` point into `order_`: references into a deque stay valid while
  // elements are added and removed at its ends only.
  std::deque<Entry> order_;
  std::deque<Waiting> waiting_;
  std::map<uint64_t, Entry*> in_flight_;
  std::deque<Outcome> ready_;
  uint64_t window_ = 0, pictures_ = 0, last_id_ = 0, unsent_before_ = 0;
  bool any_submitted_ = false, accepting_ = true, halted_ = false;
  int32_t carried_reset_ = C2R_RESET_NONE;
  Counts counts_;
};

}  // namespace c2r
