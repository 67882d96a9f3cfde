// A non-blocking stream socket, and the wait of the I/O thread for a socket and a waker.
#pragma once
#include "resolve.h"

namespace c2r {

class Socket {
 public:
  using Handle = intptr_t;
  static constexpr Handle kNone = -1;

  Socket() = default;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { close(); }

  // Begins to connect; false with the reason.
  bool connect(const SocketAddress& address, std::string& why);
  // 1 connected, 0 not yet, -1 failed with the reason.
  int connected(std::string& why);
  // Bytes moved; 0: none now; -1: closed or broken, with the reason.
  long read(void* data, size_t size, std::string& why);
  long write(const void* data, size_t size, std::string& why);
  void close();
  Handle handle() const { return handle_; }

 private:
  Handle handle_ = kNone;
};

// Lets other threads end `wait_for`. `wake` may be called from any thread and never blocks; a wake
// before the wait ends it at once, so that none is lost.
class Waker {
 public:
  Waker() = default;
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;
  ~Waker();
  bool open();
  void wake();
  void drain();
  Socket::Handle handle() const { return in_; }

 private:
  Socket::Handle in_ = Socket::kNone, out_ = Socket::kNone;
};

struct Readiness {
  bool readable = false, writable = false, woken = false;
};

// Waits for the socket (kNone: only for the waker) at most so long.
Readiness wait_for(Socket::Handle socket, bool for_writing, Waker& waker, int timeout_ms);

// Before anything else here; only Windows needs it.
bool start_sockets();

}  // namespace c2r
