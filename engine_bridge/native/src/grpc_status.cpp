#include "grpc_status.h"

namespace c2r {

const char* grpc_name(int code) {
  static const char* const names[] = {
      "OK",           "CANCELLED",         "UNKNOWN",
      "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
      "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
      "FAILED_PRECONDITION", "ABORTED",     "OUT_OF_RANGE",
      "UNIMPLEMENTED", "INTERNAL",          "UNAVAILABLE",
      "DATA_LOSS",    "UNAUTHENTICATED"};
  const int count = sizeof names / sizeof names[0];
  return code >= 0 && code < count ? names[code] : "UNKNOWN";
}

int grpc_from_http(int status) {
  switch (status) {
    case 400: return grpc_code::internal;
    case 401: return grpc_code::unauthenticated;
    case 403: return grpc_code::permission_denied;
    case 404: return grpc_code::unimplemented;
    case 429:
    case 502:
    case 503:
    case 504: return grpc_code::unavailable;
    default: return grpc_code::unknown;
  }
}

int grpc_from_reset(uint32_t error) {
  switch (error) {
    case 0x7: return grpc_code::unavailable;         // REFUSED_STREAM
    case 0x8: return grpc_code::cancelled;           // CANCEL
    case 0xb: return grpc_code::resource_exhausted;  // ENHANCE_YOUR_CALM
    case 0xc: return grpc_code::permission_denied;   // INADEQUATE_SECURITY
    default: return grpc_code::internal;
  }
}

// Statuses that another attempt would meet again, and what to do about them.
static const char* advice(int code) {
  switch (code) {
    case grpc_code::unauthenticated:
    case grpc_code::permission_denied: return "give the token that the server was started with";
    case grpc_code::unimplemented:
      return "check the address; the server there offers no c2r.wire.v1.RenderService";
    default: return nullptr;
  }
}

// Statuses that refuse the session when they answer `open`. Later in a stream the same codes mean a
// failure that another attempt may not meet.
static bool refuses_opening(int code) {
  return code == grpc_code::invalid_argument || code == grpc_code::failed_precondition ||
         code == grpc_code::out_of_range || code == grpc_code::resource_exhausted;
}

Break judge(const GrpcStatus& status, bool accepted) {
  std::string text = grpc_name(status.code);
  if (!status.message.empty()) text += ": " + status.message;
  const bool about_version = status.message.find("protocol_major") != std::string::npos;
  if (const char* what = advice(status.code)) {
    const c2r_code code = about_version ? C2R_E_VERSION
                          : status.code == grpc_code::unimplemented ? C2R_E_PROTOCOL
                                                                    : C2R_E_AUTH;
    return {code, status.code, true, "the server refuses: " + text + " (" + what + ")"};
  }
  // gRPC's own refusal, before any handler: as many calls as it takes at once. It passes.
  const bool crowded = status.code == grpc_code::resource_exhausted &&
                       status.message.find("Concurrent RPC limit exceeded") != std::string::npos;
  if (refuses_opening(status.code) && !accepted && !crowded)
    return {about_version ? C2R_E_VERSION : C2R_E_REFUSED, status.code, true,
            "the server refuses the session: " + text};
  return {C2R_E_BROKEN, status.code, false, text};
}

}  // namespace c2r
