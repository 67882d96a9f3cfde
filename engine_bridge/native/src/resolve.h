// Names into addresses without blocking the I/O thread: numbers and "localhost" at once, other
// names in a detached thread, since getaddrinfo cannot be cancelled and may take many seconds.
#pragma once
#include "endpoint.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace c2r {

// A socket address of any kind; `bytes` holds `size` of them.
struct SocketAddress {
  alignas(8) uint8_t bytes[128] = {};
  uint32_t size = 0;
  int family = 0;
};

class Resolver {
 public:
  enum class State { busy, done, failed };

  explicit Resolver(const Endpoint& endpoint);
  ~Resolver();
  State state();
  const std::vector<SocketAddress>& addresses() const { return addresses_; }
  const std::string& why() const { return why_; }

 private:
  struct Job;
  static void perform(void* argument);

  State state_ = State::busy;
  std::vector<SocketAddress> addresses_;
  std::string why_;
  std::shared_ptr<Job> job_;
};

}  // namespace c2r
