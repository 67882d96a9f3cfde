// Keeps a session alive over successive connections: connects, resumes, backs off. It returns when
// it is told to end, is refused, or gives up. Runs on the I/O thread.
#pragma once
#include "connection.h"
#include "notices.h"

#include <random>

namespace c2r {

// Seconds between attempts: `first` doubled up to `most`, each times a random share in [1/2, 1]:
// otherwise all clients of a server that restarts would come back at the same moments.
class Backoff {
 public:
  Backoff(double first, double most);
  double next();
  void reset() { wait_ = first_; }

 private:
  double first_, most_, wait_;
  std::minstd_rand random_;
};

class Supervisor : private Listener {
 public:
  Supervisor(const Endpoint& endpoint, const Patience& patience, ClientRecord& record,
             Notices& notices, Waker& waker);

  // Returns when every frame has its outcome.
  void run();

 private:
  void accepted(const Accepted& accepted) override;
  void queued(uint32_t place) override;
  void warned(const Warning& warning) override;
  void acknowledged(const Ack& ack) override;
  bool attempt(Break& reason);
  bool handle_end(const Ended& ended, Break& reason);
  bool back_off(Break& reason);
  void wait_out(double seconds);
  void fail(const Break& reason);
  std::string greeting(const Accepted& accepted) const;
  bool ending() const {
    return record_.shutdown.ending.load() != Shutdown::none || record_.shutdown.stop.load();
  }

  const Endpoint& endpoint_;
  Patience patience_;
  ClientRecord& record_;
  Notices& notices_;
  Waker& waker_;
  Backoff backoff_;
  std::string resume_token_;
  uint64_t lost_ = 0;
  double last_session_s_ = 0, down_since_s_ = 0;
};

}  // namespace c2r
