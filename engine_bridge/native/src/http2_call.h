// One gRPC call on its own HTTP/2 connection, over nghttp2: bytes in, bytes out. Knows nothing of
// sockets and of what messages mean.
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
  // The connection ended before the call did; `why` says how.
  bool connection_over();
  // Bytes came, but no HTTP/2; `why` says so.
  bool not_http2();
  // The previous message was handed to nghttp2 whole, so that another may follow.
  bool idle() const { return !sending_; }
  // One message; only when idle.
  void send(Bytes message);
  // No more messages follow.
  void finish();
  void ping();
  void cancel();

  // The buffer of the last message sent, to be used again; only when idle.
  Bytes take_buffer() { return std::move(message_); }

  bool next(Bytes& message) { return reader_.next(message); }
  void recycle(Bytes spent) { reader_.recycle(std::move(spent)); }
  // The server sent SETTINGS: it speaks HTTP/2.
  bool greeted() const { return greeted_; }
  bool over() const { return over_; }
  // Bytes can be produced now: a WINDOW_UPDATE may have come since the last time.
  bool wants_write() const;
  // How the call ended; once `over`.
  GrpcStatus status() const;
  uint64_t pongs() const { return pongs_; }
  const std::string& why() const { return why_; }

 private:
  struct Callbacks;
  friend struct Callbacks;
  void note_header(const std::string& name, const std::string& value);
  void note_faulty_message();
  void note_connection_end();
  std::string goaway_note() const;

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
