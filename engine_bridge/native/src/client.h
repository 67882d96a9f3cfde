// One client behind the C interface: its record, its I/O thread, and the calls that reach both.
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
  c2r_code open(const Opening& opening, const PixelLayout& layout);
  c2r_code submit(FramePtr frame);
  // The next outcome or null. The client owns it, picture included, until the next `poll`.
  const Outcome* poll();
  bool next_event(Event& event);
  c2r_code set_control(const Control& change, uint64_t& id);
  void close(bool discard, double timeout_s);

  bool opened() const { return opened_.load(); }
  bool closed() const { return record_.shutdown.ending.load() != Shutdown::none; }
  const Endpoint& endpoint() const { return endpoint_; }
  const Opening& wanted() const { return wanted_; }
  const PixelLayout& layout() const { return record_.layout; }
  BufferPool& pool() { return record_.pool; }
  Account& account() { return record_.account; }
  Meter& meter() { return record_.meter; }
  Notices& notices() { return notices_; }

 private:
  static void work(void* client);

  Endpoint endpoint_;
  Patience patience_;
  ClientRecord record_;
  Notices notices_;
  Waker waker_;
  Thread thread_;
  Opening wanted_;
  std::atomic<bool> opened_{false};  // set last in `open`
  Outcome current_;  // what the caller of `poll` reads
};

}  // namespace c2r
