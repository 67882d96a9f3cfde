// Messages to and from bytes, by nanopb from renderer.proto. Knows nothing of sessions.
#pragma once
#include "messages.h"

namespace c2r {

// Each false only when there is no memory.
bool pack_open(const Opening& opening, Bytes& out);
bool pack_frame(const PackedFrame& frame, Bytes& out);
bool pack_control(const Control& change, Bytes& out);
bool pack_feedback(const Feedback& feedback, Bytes& out);
bool pack_end(bool discard, Bytes& out);

// A response, checked as far as the client relies on it; false with the reason. Its views point
// into `data`, which must outlive them: pictures are decoded from the receive buffer without a
// copy.
bool parse_response(View data, Response& response, Fault& fault);

}  // namespace c2r
