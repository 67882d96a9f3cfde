// What comes over the connection, from HTTP/2 frames to the messages inside; the first byte is the size
// of the reads.
#include "http2_call.h"
#include "wire.h"

#include <algorithm>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  c2r::Http2Call::Target target;
  target.authority = "localhost:1";
  target.path = "/c2r.wire.v1.RenderService/RenderStream";
  target.agent = "fuzz";
  target.largest_message = 1 << 16;
  c2r::Http2Call call(target);
  c2r::Bytes out, message;
  if (!call.begin()) return 0;
  c2r::Bytes first;
  if (first.append("hello", 5)) call.send(std::move(first));
  const size_t step = data[0] == 0 ? size : data[0];
  bool good = call.produce(out, 1 << 16);
  for (size_t at = 1; good && at < size; at += step) {
    good = call.feed(data + at, std::min(step, size - at));
    out.clear();
    good = call.produce(out, 1 << 16) && good;
    while (call.next(message)) {
      c2r::Response response;
      c2r::Fault fault;
      c2r::parse_response(message.view(), response, fault);
      call.recycle(std::move(message));
    }
  }
  c2r::judge(call.status(), data[0] & 1);
  call.not_http2();
  call.cancel();
  call.produce(out, 1 << 20);
  return 0;
}
