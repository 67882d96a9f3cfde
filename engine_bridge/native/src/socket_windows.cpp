#include "socket.h"

#if defined(_WIN32)

#include <winsock2.h>
#include <ws2tcpip.h>

#include <climits>
#include <cstring>
#include <mutex>

namespace c2r {

static SOCKET native(Socket::Handle handle) { return static_cast<SOCKET>(handle); }

static std::string error_text(int error) { return "Windows error " + std::to_string(error); }

bool start_sockets() {
  static std::mutex mutex;
  static bool started = false;
  std::lock_guard<std::mutex> lock(mutex);
  WSADATA data;
  if (!started) started = WSAStartup(MAKEWORD(2, 2), &data) == 0;
  return started;
}

static void unblock(SOCKET handle) {
  u_long on = 1;
  ioctlsocket(handle, FIONBIO, &on);
}

bool Socket::connect(const SocketAddress& address, std::string& why) {
  close();
  const SOCKET handle = ::socket(address.family, SOCK_STREAM, IPPROTO_TCP);
  if (handle == INVALID_SOCKET) {
    why = error_text(WSAGetLastError());
    return false;
  }
  handle_ = static_cast<Handle>(handle);
  unblock(handle);
  const char on = 1;
  setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const auto* to = reinterpret_cast<const sockaddr*>(address.bytes);
  if (::connect(handle, to, static_cast<int>(address.size)) == 0 ||
      WSAGetLastError() == WSAEWOULDBLOCK)
    return true;
  why = error_text(WSAGetLastError());
  close();
  return false;
}

// WSAPoll misses failed connections on older systems; select tells them apart.
int Socket::connected(std::string& why) {
  fd_set good, bad;
  FD_ZERO(&good);
  FD_ZERO(&bad);
  FD_SET(native(handle_), &good);
  FD_SET(native(handle_), &bad);
  timeval none{0, 0};
  if (select(0, nullptr, &good, &bad, &none) <= 0) return 0;
  if (FD_ISSET(native(handle_), &good)) return 1;
  int error = 0, size = sizeof error;
  getsockopt(native(handle_), SOL_SOCKET, SO_ERROR, reinterpret_cast<char*>(&error), &size);
  why = error == WSAECONNREFUSED ? "Connection refused" : error_text(error);
  return -1;
}

static int limited(size_t size) { return size > INT_MAX ? INT_MAX : static_cast<int>(size); }

long Socket::read(void* data, size_t size, std::string& why) {
  const int count = ::recv(native(handle_), static_cast<char*>(data), limited(size), 0);
  if (count > 0) return count;
  if (count < 0 && WSAGetLastError() == WSAEWOULDBLOCK) return 0;
  why = count == 0 ? "the server closed the connection" : error_text(WSAGetLastError());
  return -1;
}

long Socket::write(const void* data, size_t size, std::string& why) {
  const int count = ::send(native(handle_), static_cast<const char*>(data), limited(size), 0);
  if (count >= 0) return count;
  if (WSAGetLastError() == WSAEWOULDBLOCK) return 0;
  why = error_text(WSAGetLastError());
  return -1;
}

void Socket::close() {
  if (handle_ != kNone) closesocket(native(handle_));
  handle_ = kNone;
}

// A datagram socket connected to itself: select cannot wait for pipes on Windows.
bool Waker::open() {
  const SOCKET handle = ::socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
  if (handle == INVALID_SOCKET) return false;
  in_ = static_cast<Socket::Handle>(handle);
  sockaddr_in self{};
  self.sin_family = AF_INET;
  self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int size = sizeof self;
  auto* address = reinterpret_cast<sockaddr*>(&self);
  unblock(handle);
  return ::bind(handle, address, size) == 0 && getsockname(handle, address, &size) == 0 &&
         ::connect(handle, address, size) == 0;
}

Waker::~Waker() {
  if (in_ != Socket::kNone) closesocket(native(in_));
}

void Waker::wake() {
  const char byte = 1;
  ::send(native(in_), &byte, 1, 0);
}

void Waker::drain() {
  char bytes[64];
  while (::recv(native(in_), bytes, sizeof bytes, 0) > 0) {
  }
}

Readiness wait_for(Socket::Handle socket, bool for_writing, Waker& waker, int timeout_ms) {
  fd_set in, out, bad;
  FD_ZERO(&in);
  FD_ZERO(&out);
  FD_ZERO(&bad);
  FD_SET(native(waker.handle()), &in);
  const bool both = socket != Socket::kNone;
  if (both) {
    FD_SET(native(socket), &in);
    FD_SET(native(socket), &bad);
    if (for_writing) FD_SET(native(socket), &out);
  }
  timeval limit{timeout_ms / 1000, timeout_ms % 1000 * 1000};
  Readiness ready;
  if (select(0, &in, &out, &bad, &limit) <= 0) return ready;
  ready.woken = FD_ISSET(native(waker.handle()), &in) != 0;
  ready.readable = both && (FD_ISSET(native(socket), &in) || FD_ISSET(native(socket), &bad));
  ready.writable = both && for_writing && FD_ISSET(native(socket), &out);
  return ready;
}

}  // namespace c2r

#endif
