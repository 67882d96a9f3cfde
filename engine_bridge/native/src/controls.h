// Control changes that wait, are sent or are acknowledged; exactly one acknowledgement for each.
//
// At most `kMost` wait: beyond that the oldest is folded into the one after it, and acknowledged as
// refused with that reason. Changes that had no answer when a connection broke are sent again.
// Safe to use from any thread.
#pragma once
#include "messages.h"

#include <deque>
#include <map>
#include <mutex>

namespace c2r {

class Controls {
 public:
  static constexpr size_t kMost = 64;

  // The settings that the session opens with; before any other call.
  void begin(const Opening& opening);
  // The id that the acknowledgement will carry.
  uint64_t change(Control change);
  // The next change to send; false when there is none, or too many have no answer.
  bool take(Control& change);
  bool any();
  // Notes the server's answer; false when it answers nothing that was sent.
  bool acknowledge(const Ack& ack);
  // The seed that the server chose, so that a server that restarts draws the same noise again.
  void keep_seed(uint64_t seed);
  // The connection broke: changes without an answer wait again.
  void reopen();
  // No further session: refuses changes without an answer, and all later ones.
  void finish(const std::string& why);
  // The next acknowledgement that the client itself makes.
  bool next_notice(Ack& ack);
  // The current settings.
  Opening opening();

 private:
  void fold();
  void refuse(const Control& change, const std::string& why);

  std::mutex mutex_;
  Opening opening_;
  uint64_t next_id_ = 1;
  std::deque<Control> waiting_;
  std::map<uint64_t, Control> sent_;
  std::deque<Ack> notices_;
  bool over_ = false;
  std::string why_;
};

}  // namespace c2r
