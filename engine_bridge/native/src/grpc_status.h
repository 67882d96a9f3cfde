// How a gRPC call ended, and whether another attempt may help.
#pragma once
#include "prelude.h"

#include <cstdint>
#include <string>

namespace c2r {

namespace grpc_code {
enum {
  ok,
  cancelled,
  unknown,
  invalid_argument,
  deadline_exceeded,
  not_found,
  already_exists,
  permission_denied,
  resource_exhausted,
  failed_precondition,
  aborted,
  out_of_range,
  unimplemented,
  internal,
  unavailable,
  data_loss,
  unauthenticated
};
}

struct GrpcStatus {
  int code = grpc_code::unknown;
  std::string message;
};

// The code's name in capitals.
const char* grpc_name(int code);
// The code for an HTTP status that came without a grpc-status (gRPC, http-grpc-status-mapping.md).
int grpc_from_http(int status);
// The code for an HTTP/2 error code of RST_STREAM (gRPC, PROTOCOL-HTTP2.md).
int grpc_from_reset(uint32_t error);

// Why a connection is over.
struct Break {
  c2r_code error = C2R_E_BROKEN;
  int grpc = -1;
  bool final = false;  // another attempt would fail the same way
  std::string text;
};

// What a status means for a session that was `accepted` or not.
Break judge(const GrpcStatus& status, bool accepted);

}  // namespace c2r
