// Messages to and from their bytes, by nanopb from renderer.proto. Knows nothing of sessions.
#pragma once
#include "messages.h"

namespace c2r {

// Each false only when there is no memory.
bool pack_open(const Opening& opening, Bytes& out);
bool pack_frame(const PackedFrame& frame, Bytes& out);
bool pack_control(const Control& change, Bytes& out);
bool pack_feedback(const Feedback& feedback, Bytes& out);
bool pack_end(bool discard, Bytes& out);

// A response, checked as far as a client relies on it; false with the reason. Views in it point into
// `data`.
bool parse_response(View data, Response& response, Fault& fault);

}  // namespace c2r
