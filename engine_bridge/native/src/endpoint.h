// Where a server is and how to reach it: address, TLS, token.
#pragma once
#include "prelude.h"

#include <cstdint>
#include <string>

namespace c2r {

struct Endpoint {
  std::string address;  // host:port, [IPv6]:port or unix:path
  bool tls = false;
  std::string root_ca, client_cert, client_key, server_name, token;
  bool own_tls = false;
  c2r_tls tls_functions{};

  bool local_path() const { return address.compare(0, 5, "unix:") == 0; }
  // The address without its port.
  std::string host() const;
  std::string port() const;
  // The server runs on this machine: neither TLS nor compression is needed.
  bool loopback() const;
  // The name in the server's certificate.
  std::string expected_name() const { return server_name.empty() ? host() : server_name; }
  // What HTTP calls :authority.
  std::string authority() const;
  // Empty when the endpoint is valid, else what to change.
  std::string problem() const;
};

// Whether the host is this machine. Names other than localhost are taken for remote.
bool is_loopback(const std::string& host);
// Whether the host is an IP address, not a name.
bool is_numeric(const std::string& host);

}  // namespace c2r
