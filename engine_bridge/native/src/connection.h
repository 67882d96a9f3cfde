// One stream to the server, from `open` to `ended` or to its break. It keeps no books of its own and
// knows nothing of attempts before or after.
#pragma once
#include "books.h"
#include "frame_packer.h"
#include "http2_call.h"
#include "link.h"

namespace c2r {

// Who is told what happens, on the I/O thread.
class Listener {
 public:
  virtual void accepted(const Accepted& accepted) = 0;
  virtual void queued(uint32_t place) = 0;
  virtual void warned(const Warning& warning) = 0;
  virtual void acknowledged(const Ack& ack) = 0;

 protected:
  ~Listener() = default;
};

// How a connection came to its end.
struct Verdict {
  enum class Kind { ended, broken, stopped };
  Kind kind = Kind::stopped;
  Ended ended;
  Break broken;
};

class Connection {
 public:
  Connection(const Endpoint& endpoint, const Patience& patience, Books& books, Waker& waker,
             Listener& listener, const Opening& opening);

  Verdict run();
  bool was_accepted() const { return accepted_; }
  // A frame was answered.
  bool answered() const { return answers_ > 0; }

 private:
  bool work();
  bool advance();
  bool settle_end();
  bool move_out();
  bool move_in();
  bool queue_next();
  bool send_frame();
  void farewell();
  bool handle_messages();
  bool handle(const Bytes& message);
  bool accept(const Accepted& accepted);
  void settle(const Reply& reply);
  bool watch();
  bool keep_alive(double now);
  int wait_ms() const;
  bool lose(c2r_code code, const std::string& text, bool final = false);
  bool breach(const Fault& fault);

  Patience patience_;
  Books& books_;
  Waker& waker_;
  Listener& listener_;
  Opening opening_;
  Link link_;
  Http2Call call_;
  FramePacker packer_;
  PictureTerms terms_;
  Bytes out_, scratch_;
  size_t out_sent_ = 0;
  Verdict verdict_;
  bool accepted_ = false, end_said_ = false, ended_ = false;
  bool input_over_ = false, output_over_ = false, more_ = false;
  uint64_t answers_ = 0, pongs_ = 0;
  double begun_s_, heard_s_, answered_s_, reported_s_, bytes_s_, ended_s_ = 0, ping_s_ = 0;
  double report_every_;
  std::string broken_why_;
};

}  // namespace c2r
