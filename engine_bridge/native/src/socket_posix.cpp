#include "socket.h"

#if !defined(_WIN32)

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace c2r {

#if defined(MSG_NOSIGNAL)
static constexpr int kSendFlags = MSG_NOSIGNAL;
#else
static constexpr int kSendFlags = 0;
#endif

static std::string error_text(int error) {
  char text[128] = "";
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
  return strerror_r(error, text, sizeof text);
#else
  strerror_r(error, text, sizeof text);
  return text;
#endif
}

static void prepare(int handle, int family) {
  fcntl(handle, F_SETFL, fcntl(handle, F_GETFL, 0) | O_NONBLOCK);
  fcntl(handle, F_SETFD, FD_CLOEXEC);
  const int on = 1;
  if (family != AF_UNIX) setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#if defined(SO_NOSIGPIPE)
  setsockopt(handle, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

bool start_sockets() { return true; }

bool Socket::connect(const SocketAddress& address, std::string& why) {
  close();
  const int handle = ::socket(address.family, SOCK_STREAM, 0);
  if (handle < 0) {
    why = error_text(errno);
    return false;
  }
  handle_ = handle;
  prepare(handle, address.family);
  const auto* to = reinterpret_cast<const sockaddr*>(address.bytes);
  if (::connect(handle, to, address.size) == 0 || errno == EINPROGRESS || errno == EAGAIN)
    return true;
  why = error_text(errno);
  close();
  return false;
}

int Socket::connected(std::string& why) {
  pollfd one{static_cast<int>(handle_), POLLOUT, 0};
  if (::poll(&one, 1, 0) <= 0) return 0;
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(static_cast<int>(handle_), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error == 0 && (one.revents & (POLLERR | POLLHUP)) == 0) return 1;
  why = error_text(error == 0 ? ECONNREFUSED : error);
  return -1;
}

static bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

long Socket::read(void* data, size_t size, std::string& why) {
  const ssize_t count = ::recv(static_cast<int>(handle_), data, size, 0);
  if (count > 0) return static_cast<long>(count);
  if (count < 0 && would_block(errno)) return 0;
  why = count == 0 ? "the server closed the connection" : error_text(errno);
  return -1;
}

long Socket::write(const void* data, size_t size, std::string& why) {
  const ssize_t count = ::send(static_cast<int>(handle_), data, size, kSendFlags);
  if (count >= 0) return static_cast<long>(count);
  if (would_block(errno)) return 0;
  why = error_text(errno);
  return -1;
}

void Socket::close() {
  if (handle_ != kNone) ::close(static_cast<int>(handle_));
  handle_ = kNone;
}

bool Waker::open() {
  int ends[2];
  if (::pipe(ends) != 0) return false;
  in_ = ends[0];
  out_ = ends[1];
  for (int end : ends) {
    fcntl(end, F_SETFL, fcntl(end, F_GETFL, 0) | O_NONBLOCK);
    fcntl(end, F_SETFD, FD_CLOEXEC);
  }
  return true;
}

Waker::~Waker() {
  for (Socket::Handle end : {in_, out_})
    if (end != Socket::kNone) ::close(static_cast<int>(end));
}

void Waker::wake() {
  const char byte = 1;
  // EAGAIN means that the pipe is full, which wakes the reader as well.
  const ssize_t count = ::write(static_cast<int>(out_), &byte, 1);
  (void)count;
}

void Waker::drain() {
  char bytes[64];
  while (::read(static_cast<int>(in_), bytes, sizeof bytes) == sizeof bytes) {
  }
}

Readiness wait_for(Socket::Handle socket, bool for_writing, Waker& waker, int timeout_ms) {
  const short wanted = static_cast<short>(POLLIN | (for_writing ? POLLOUT : 0));
  pollfd both[2] = {{static_cast<int>(waker.handle()), POLLIN, 0},
                    {static_cast<int>(socket), wanted, 0}};
  ::poll(both, socket == Socket::kNone ? 1 : 2, timeout_ms);
  Readiness ready;
  ready.woken = both[0].revents != 0;
  ready.readable = (both[1].revents & ~POLLOUT) != 0;
  ready.writable = (both[1].revents & POLLOUT) != 0;
  return ready;
}

}  // namespace c2r

#endif
