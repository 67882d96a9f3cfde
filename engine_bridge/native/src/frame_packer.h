// Frames of one session into messages, without the side channels that were not granted.
#pragma once
#include "messages.h"

namespace c2r {

class FramePacker {
 public:
  void begin(const Accepted& accepted) { accepted_ = accepted; }
  // False with the fault: this frame fails, the next one may work.
  bool pack(const Frame& frame, Bytes& message, Fault& fault);

 private:
  bool pack_side(const Plane& plane, uint32_t bit, bool& has, Packed& packed, Bytes& scratch,
                 Fault& fault);

  Accepted accepted_;
  Bytes rgb_, colour_, depth_, motion_;
};

}  // namespace c2r
