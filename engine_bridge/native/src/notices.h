// The status of a client, and the events that led there. At most 256 events wait; beyond that the
// oldest is dropped. Safe to use from any thread.
#pragma once
#include "messages.h"

#include <deque>
#include <mutex>

namespace c2r {

struct Status {
  c2r_state state = C2R_STATE_IDLE;
  c2r_code error = C2R_OK;
  int grpc = -1;
  uint32_t queue_position = 0;
  double retry_in_s = 0;
  std::string text = "not opened";
};

struct Event {
  c2r_event_kind kind = C2R_EVENT_STATUS;
  int32_t number = 0;
  Ack ack;
  std::string text;
};

class Notices {
 public:
  void announce(const Status& status);
  void warn(const Warning& warning);
  void acknowledge(const Ack& ack);
  bool next(Event& event);
  Status status();
  // What the current session was granted; `accepted` is false while there is none.
  void set_accepted(const Accepted& accepted);
  void clear_accepted();
  bool accepted(Accepted& accepted);

 private:
  void add(Event event);

  std::mutex mutex_;
  Status status_;
  Accepted accepted_;
  bool has_accepted_ = false;
  std::deque<Event> events_;
};

}  // namespace c2r
