// Bytes to and from the server: a socket, and encryption on top where it is wanted.
#pragma once
#include "bytes.h"
#include "socket.h"

namespace c2r {

class Link {
 public:
  enum class State { connecting, ready, failed };

  explicit Link(const Endpoint& endpoint);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Goes on with connecting as far as it can now.
  State step();
  // Plain bytes moved; 0: none now; -1: closed or broken.
  long read(uint8_t* data, size_t size);
  long write(const uint8_t* data, size_t size);
  // Sends what encryption made; false when the connection is broken.
  bool flush();

  bool ready() const { return state_ == State::ready; }
  bool wants_write() const { return connecting_ || !out_.empty(); }
  // Names are looked up elsewhere: nothing to wait for but time.
  bool resolving() const { return resolving_; }
  Socket::Handle handle() const { return socket_.handle(); }
  const std::string& why() const { return why_; }
  // C2R_E_TLS when trying again makes no sense.
  c2r_code error() const { return error_; }

 private:
  State fail(c2r_code error, const std::string& why);
  State try_next();
  bool begin_tls();
  State step_tls();
  bool pull();
  bool push();

  const Endpoint& endpoint_;
  Resolver resolver_;
  Socket socket_;
  c2r_tls tls_{};
  void* secure_ = nullptr;
  size_t next_ = 0;
  bool resolving_ = true, connecting_ = false, shaken_ = false, eof_ = false;
  State state_ = State::connecting;
  c2r_code error_ = C2R_OK;
  std::string why_, eof_why_;
  Bytes out_;  // encrypted bytes that wait to be sent
  size_t sent_ = 0;
};

}  // namespace c2r
