#include "endpoint.h"

#if defined(_WIN32)
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <arpa/inet.h>
#endif

#include <cstring>
#include <string>

namespace c2r {

std::string Endpoint::host() const {
  if (local_path()) return "localhost";
  const std::string host = address.substr(0, address.rfind(':'));
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

std::string Endpoint::port() const {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return "";
  const std::string host = address.substr(0, colon);
  // The digits at the end of an IPv6 address without brackets are no port.
  if (host.find(':') != std::string::npos && host.back() != ']') return "";
  const std::string port = address.substr(colon + 1);
  const bool digits = port.find_first_not_of("0123456789") == std::string::npos;
  return digits ? port : "";
}

bool Endpoint::loopback() const { return local_path() || is_loopback(host()); }

std::string Endpoint::authority() const {
  if (!server_name.empty()) return server_name;
  return local_path() ? "localhost" : address;
}

static bool printable(const std::string& text) {
  for (char byte : text)
    if (byte <= ' ' || byte > '~') return false;
  return !text.empty();
}

std::string Endpoint::problem() const {
  if (!local_path() && (port().empty() || !printable(address)))
    return "server address '" + address + "' has no port; write host:port, for example "
           "127.0.0.1:50051";
  // Else a resolver would take it modulo 65536, and somebody else would be called.
  if (!local_path() && (port().size() > 5 || std::stoi(port()) < 1 || std::stoi(port()) > 65535))
    return "server address '" + address + "': ports are 1 to 65535";
  if (client_cert.empty() != client_key.empty())
    return "a client certificate and its key go together; give both or neither";
  if (!tls && !(root_ca.empty() && client_cert.empty() && server_name.empty()))
    return "certificates need TLS; set tls = 1";
  if (!server_name.empty() && !printable(server_name))
    return "server_name holds spaces or non-ASCII characters";
  if (token.empty()) return "";
  if (!printable(token)) return "the token holds spaces or non-ASCII characters";
  if (!tls && !loopback())
    return "the token would travel to " + host() + " in the clear; use TLS (tls = 1)";
  return "";
}

bool is_numeric(const std::string& host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  unsigned char bytes[16];
  if (inet_pton(AF_INET, host.c_str(), bytes) == 1) return bytes[0] == 127;
  static const unsigned char one[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return inet_pton(AF_INET6, host.c_str(), bytes) == 1 && std::memcmp(bytes, one, 16) == 0;
}

}  // namespace c2r
