#include "resolve.h"

#include "thread.h"

#if defined(_WIN32)
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#endif

#include <cstring>
#include <mutex>

namespace c2r {

// Shared by the resolver and its thread: whichever ends last frees it, so that a Resolver can be
// destroyed while its look-up still runs.
struct Resolver::Job {
  std::string host, port;
  std::mutex mutex;
  bool done = false;
  std::string why;
  std::vector<SocketAddress> addresses;
};

static bool look_up(const std::string& host, const std::string& port, int flags,
                    std::vector<SocketAddress>& addresses, std::string& why) {
  addrinfo hints{}, *list = nullptr;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  const int code = getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
  if (code != 0) {
    why = "the name " + host + " is not known (" + gai_strerror(code) + ")";
    return false;
  }
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    SocketAddress address;
    if (one->ai_addrlen > sizeof address.bytes) continue;
    std::memcpy(address.bytes, one->ai_addr, one->ai_addrlen);
    address.size = static_cast<uint32_t>(one->ai_addrlen);
    address.family = one->ai_family;
    addresses.push_back(address);
  }
  freeaddrinfo(list);
  return !addresses.empty();
}

static bool local_socket(const std::string& path, std::vector<SocketAddress>& addresses,
                         std::string& why) {
#if defined(_WIN32)
  (void)path, (void)addresses;
  why = "unix: addresses are not for Windows; use 127.0.0.1:port";
  return false;
#else
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof local.sun_path) {
    why = "the path of the unix: address is empty or too long";
    return false;
  }
  std::memcpy(local.sun_path, path.c_str(), path.size() + 1);
  SocketAddress address;
  static_assert(sizeof local <= sizeof address.bytes, "a unix address fits");
  std::memcpy(address.bytes, &local, sizeof local);
  address.size = sizeof local;
  address.family = AF_UNIX;
  addresses.push_back(address);
  return true;
#endif
}

void Resolver::perform(void* argument) {
  const std::unique_ptr<std::shared_ptr<Job>> owner(static_cast<std::shared_ptr<Job>*>(argument));
  Job& job = **owner;
  std::vector<SocketAddress> addresses;
  std::string why;
  look_up(job.host, job.port, 0, addresses, why);
  std::lock_guard<std::mutex> lock(job.mutex);
  job.addresses = std::move(addresses);
  job.why = std::move(why);
  job.done = true;
}

Resolver::Resolver(const Endpoint& endpoint) {
  const std::string host = endpoint.host(), port = endpoint.port();
  bool good = true;
  if (endpoint.local_path()) {
    good = local_socket(endpoint.address.substr(5), addresses_, why_);
  } else if (host == "localhost") {
    std::string ignored;
    good = look_up("127.0.0.1", port, AI_NUMERICHOST, addresses_, why_);
    look_up("::1", port, AI_NUMERICHOST, addresses_, ignored);
  } else if (is_numeric(host)) {
    good = look_up(host, port, AI_NUMERICHOST, addresses_, why_);
  } else {
    job_ = std::make_shared<Job>();
    job_->host = host;
    job_->port = port;
    auto* owner = new std::shared_ptr<Job>(job_);
    if (Thread::start_detached(&Resolver::perform, owner, "c2r-resolve")) return;
    delete owner;
    job_.reset();
    why_ = "the system gives no thread";
    good = false;
  }
  state_ = good ? State::done : State::failed;
}

Resolver::~Resolver() = default;

Resolver::State Resolver::state() {
  if (state_ != State::busy) return state_;
  std::lock_guard<std::mutex> lock(job_->mutex);
  if (!job_->done) return state_;
  addresses_ = std::move(job_->addresses);
  why_ = std::move(job_->why);
  state_ = addresses_.empty() ? State::failed : State::done;
  return state_;
}

}  // namespace c2r
