// Bytes to and from the server over a non-blocking socket, with TLS on top where it is asked for.
#pragma once
#include "bytes.h"
#include "socket.h"

namespace c2r {

class Transport {
 public:
  enum class State { connecting, ready, failed };

  explicit Transport(const Endpoint& endpoint);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Connects as far as it can without waiting.
  State step();
  // Plain bytes moved; 0: none now; -1: closed or broken.
  long read(uint8_t* data, size_t size);
  long write(const uint8_t* data, size_t size);
  // Sends what the TLS layer produced; false when the connection is broken.
  bool flush();

  bool ready() const { return state_ == State::ready; }
  bool wants_write() const { return connecting_ || !out_.empty(); }
  // A name is being looked up in another thread: no handle to wait for.
  bool resolving() const { return resolving_; }
  Socket::Handle handle() const { return socket_.handle(); }
  const std::string& why() const { return why_; }
  // C2R_E_TLS when another attempt would fail the same way.
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
  bool resolving_ = true, connecting_ = false, eof_ = false;
  State state_ = State::connecting;
  c2r_code error_ = C2R_OK;
  std::string why_, eof_why_;
  Bytes out_;  // encrypted bytes that wait to be sent
  size_t sent_ = 0;
};

// The built-in TLS layer, OpenSSL between memory buffers (tls_openssl.cpp), in the form of an
// engine's own. `user` is the endpoint, which must outlive the functions; false without OpenSSL.
bool openssl_functions(const Endpoint& endpoint, c2r_tls& functions);

}  // namespace c2r
