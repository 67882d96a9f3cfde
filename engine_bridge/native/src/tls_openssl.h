// The built-in encryption layer: OpenSSL between memory buffers, in the same form as an engine's own.
#pragma once
#include "endpoint.h"

namespace c2r {

// Functions whose `user` is the endpoint, which must outlive them; false when this build has no
// OpenSSL.
bool openssl_functions(const Endpoint& endpoint, c2r_tls& functions);

}  // namespace c2r
