// The server's messages.
#include "wire.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  c2r::Response response;
  c2r::Fault fault;
  const bool good = c2r::parse_response({data, size}, response, fault);
  if (good && response.kind == c2r::Response::Kind::none) std::abort();
  if (!good && fault.message.empty()) std::abort();
  return 0;
}
