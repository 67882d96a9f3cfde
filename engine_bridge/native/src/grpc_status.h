// How a gRPC call ended, and what that means: breaks that another attempt may mend, and refusals
// that it will not.
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
// What an HTTP status without a grpc-status stands for.
int grpc_from_http(int status);
// What an HTTP/2 error code stands for.
int grpc_from_reset(uint32_t error);

// Why a connection is over.
struct Break {
  c2r_code error = C2R_E_BROKEN;
  int grpc = -1;
  bool final = false;  // trying again makes no sense
  std::string text;
};

// What a status means for a session that was, or was not yet, accepted.
Break judge(const GrpcStatus& status, bool accepted);

}  // namespace c2r
