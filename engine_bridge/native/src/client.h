// One client: its books, its thread, and what the C interface asks of them.
#pragma once
#include "supervisor.h"
#include "thread.h"

namespace c2r {

class Client {
 public:
  Client(const Endpoint& endpoint, const Patience& patience);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool prepare() { return start_sockets() && waker_.open(); }
  c2r_code open(const Opening& opening, const PictureForm& form);
  c2r_code submit(FramePtr frame);
  // The next outcome, which stays until the next call.
  const Outcome* poll();
  bool next_event(Event& event);
  c2r_code set_control(const Control& change, uint64_t& id);
  void close(bool discard, double timeout_s);

  bool opened() const { return opened_.load(); }
  bool closed() const { return books_.wishes.ending.load() != Wishes::none; }
  const Endpoint& endpoint() const { return endpoint_; }
  const Opening& wanted() const { return wanted_; }
  const PictureForm& form() const { return books_.form; }
  BufferPool& pool() { return books_.pool; }
  Account& account() { return books_.account; }
  Meter& meter() { return books_.meter; }
  Notices& notices() { return notices_; }

 private:
  static void work(void* client);

  Endpoint endpoint_;
  Patience patience_;
  Books books_;
  Notices notices_;
  Waker waker_;
  Thread thread_;
  Opening wanted_;
  std::atomic<bool> opened_{false};
  Outcome current_;
};

}  // namespace c2r
