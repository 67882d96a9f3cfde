// Names into addresses without making the I/O thread wait: numbers and "localhost" at once, other
// names in a short-lived thread of their own, which is left behind when it takes too long.
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
  const std::vector<SocketAddress>& found() const { return found_; }
  const std::string& why() const { return why_; }

 private:
  struct Job;
  static void perform(void* argument);

  State state_ = State::busy;
  std::vector<SocketAddress> found_;
  std::string why_;
  std::shared_ptr<Job> job_;
};

}  // namespace c2r
