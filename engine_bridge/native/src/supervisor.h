// Keeps a session alive over one connection after another: connects, resumes, backs off. Told to
// end, or refused, it comes to an end; else it tries on. Runs on the I/O thread.
#pragma once
#include "connection.h"
#include "notices.h"

#include <random>

namespace c2r {

// Seconds between attempts: `first` doubled up to `most`, each times a share in [1/2, 1], so that
// many clients do not come back in step.
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
  Supervisor(const Endpoint& endpoint, const Patience& patience, Books& books, Notices& notices,
             Waker& waker);

  // Until told to end or refused; every frame has its outcome then.
  void run();

 private:
  void accepted(const Accepted& accepted) override;
  void queued(uint32_t place) override;
  void warned(const Warning& warning) override;
  void acknowledged(const Ack& ack) override;
  bool attempt(Break& reason);
  bool judge_end(const Ended& ended, Break& reason);
  bool back_off(Break& reason);
  void pass_time(double seconds);
  void fail(const Break& reason);
  std::string greeting(const Accepted& accepted) const;
  bool ending() const { return books_.wishes.ending.load() != 0 || books_.wishes.stop.load(); }

  const Endpoint& endpoint_;
  Patience patience_;
  Books& books_;
  Notices& notices_;
  Waker& waker_;
  Backoff backoff_;
  std::string token_;
  uint64_t lost_ = 0;
  double alive_s_ = 0, down_s_ = 0;
};

}  // namespace c2r
