// One gRPC call on an HTTP/2 connection of its own, over nghttp2: bytes in, bytes out. Knows nothing
// of sockets and of what messages mean.
#pragma once
#include "grpc_status.h"
#include "message_reader.h"

#include <string>

struct nghttp2_session;

namespace c2r {

class Http2Call {
 public:
  struct Target {
    std::string authority, path, token, agent;
    bool secure = false;
    size_t largest_message = 0;
  };

  explicit Http2Call(const Target& target);
  ~Http2Call();
  Http2Call(const Http2Call&) = delete;
  Http2Call& operator=(const Http2Call&) = delete;

  // Opens the call; false without memory.
  bool begin();
  // Bytes from the server; false when it breaks the protocol, `why` says how.
  bool feed(const uint8_t* data, size_t size);
  // Adds bytes for the server until `out` holds about `enough`; false as above.
  bool produce(Bytes& out, size_t enough);
  // The connection came to its end in another way than the call; `why` says how.
  bool dead();
  // Bytes came, and no HTTP/2 among them; `why` says so.
  bool foreign();
  // Whether the message before is on its way, so that another may follow.
  bool idle() const { return !sending_; }
  // One message; only when idle.
  void send(Bytes message);
  // No more messages follow.
  void finish();
  void ping();
  void cancel();

  // Memory of the last message sent; only when idle.
  Bytes spent() { return std::move(message_); }

  bool next(Bytes& message) { return reader_.next(message); }
  void recycle(Bytes spent) { reader_.recycle(std::move(spent)); }
  // The server speaks HTTP/2.
  bool greeted() const { return greeted_; }
  bool over() const { return over_; }
  // Bytes can be produced now: what came in may have opened a window since the last time.
  bool wants_write() const;
  // How the call ended; once `over`.
  GrpcStatus status() const;
  uint64_t pongs() const { return pongs_; }
  const std::string& why() const { return why_; }

 private:
  struct Hooks;
  friend struct Hooks;
  void note_header(const std::string& name, const std::string& value);
  void note_faulty_message();
  void note_death();
  std::string farewell() const;

  Target target_;
  nghttp2_session* session_ = nullptr;
  int32_t stream_ = -1;
  MessageReader reader_;
  Bytes message_;
  uint8_t prefix_[5] = {};
  size_t sent_ = 0;
  bool sending_ = false, finishing_ = false, greeted_ = false, over_ = false, closed_ = false,
       waiting_ = false, fed_ = false;
  int http_status_ = 0, grpc_status_ = -1, invalid_ = 0;
  uint32_t reset_ = 0, goaway_ = 0;
  bool gone_away_ = false, is_grpc_ = false;
  std::string grpc_message_, goaway_text_, why_;
  uint64_t pongs_ = 0;
};

}  // namespace c2r
