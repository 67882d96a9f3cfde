// One stream to the server, from `open` to `ended` or to its break, on the I/O thread. What
// outlives the stream is in the ClientRecord; it knows nothing of attempts before or after.
#pragma once
#include "frame_packer.h"
#include "http2_call.h"
#include "transport.h"
#include "watchdog.h"

namespace c2r {

// Told what the server says, on the I/O thread.
class Listener {
 public:
  virtual void accepted(const Accepted& accepted) = 0;
  virtual void queued(uint32_t place) = 0;
  virtual void warned(const Warning& warning) = 0;
  virtual void acknowledged(const Ack& ack) = 0;

 protected:
  ~Listener() = default;
};

// How a connection ended.
struct StreamEnd {
  enum class Kind { ended, broken, stopped };
  Kind kind = Kind::stopped;
  Ended ended;
  Break broken;
};

class Connection {
 public:
  Connection(const Endpoint& endpoint, const Patience& patience, ClientRecord& record, Waker& waker,
             Listener& listener, const Opening& opening);

  StreamEnd run();
  bool was_accepted() const { return accepted_; }
  // A frame was answered.
  bool answered() const { return answers_ > 0; }

 private:
  bool work();
  bool advance();
  bool check_end();
  bool move_out();
  bool move_in();
  bool queue_next();
  bool send_frame();
  void cancel();
  bool handle_messages();
  bool handle(const Bytes& message);
  bool accept(const Accepted& accepted);
  void settle(const Reply& reply);
  int wait_ms() const;
  bool fail(c2r_code code, const std::string& text, bool final = false);
  bool protocol_error(const Fault& fault);

  Patience patience_;
  ClientRecord& record_;
  Waker& waker_;
  Listener& listener_;
  Opening opening_;
  Transport transport_;
  Http2Call call_;
  Watchdog watchdog_;
  FramePacker packer_;
  PictureSpec spec_;
  Bytes out_, scratch_;
  size_t out_sent_ = 0;
  StreamEnd end_;
  bool accepted_ = false, end_sent_ = false, ended_ = false;
  bool input_over_ = false, output_over_ = false;
  bool more_ = false;  // bytes may be left to read: do not wait
  uint64_t answers_ = 0;
  double reported_s_, report_every_, ended_s_ = 0;
  std::string broken_why_;
};

}  // namespace c2r
