// A listening socket that never answers.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

class Listening {
 public:
  Listening() {
    handle_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in self{};
    self.sin_family = AF_INET;
    self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof self;
    ::bind(handle_, reinterpret_cast<sockaddr*>(&self), size);
    ::listen(handle_, 4096);
    ::getsockname(handle_, reinterpret_cast<sockaddr*>(&self), &size);
    address_ = "127.0.0.1:" + std::to_string(ntohs(self.sin_port));
  }
  ~Listening() { ::close(handle_); }
  const char* address() const { return address_.c_str(); }

 private:
  int handle_;
  std::string address_;
};
