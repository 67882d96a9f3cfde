#include "connection.h"

#include "text.h"
#include "wire.h"

#include <algorithm>

namespace c2r {

static constexpr size_t kPiece = 64 * 1024;
// Pieces moved one way before the other way has its turn.
static constexpr int kTurn = 64;
static constexpr size_t kMessageSpare = 1 << 20;
// For the server to close the stream after its last message.
static constexpr double kLeave = 1.0;

static Http2Call::Target target(const Endpoint& endpoint, const Opening& opening) {
  Http2Call::Target out;
  out.authority = endpoint.authority();
  out.path = "/c2r.wire.v1.RenderService/RenderStream";
  out.token = endpoint.token;
  out.agent = c2r_version_text();
  out.secure = endpoint.tls;
  out.largest_message = size_t{2} * opening.width * opening.height * 3 + kMessageSpare;
  return out;
}

Connection::Connection(const Endpoint& endpoint, const Patience& patience, Books& books,
                       Waker& waker, Listener& listener, const Opening& opening)
    : patience_(patience),
      books_(books),
      waker_(waker),
      listener_(listener),
      opening_(opening),
      link_(endpoint),
      call_(target(endpoint, opening)) {
  begun_s_ = heard_s_ = answered_s_ = reported_s_ = bytes_s_ = now_s();
  report_every_ = patience.feedback;
}

bool Connection::lose(c2r_code code, const std::string& text, bool final) {
  verdict_.kind = Verdict::Kind::broken;
  verdict_.broken = {code, -1, final, text};
  return false;
}

// The server broke the contract: for good in its greeting, else another attempt may do better.
bool Connection::breach(const Fault& fault) {
  if (accepted_)
    return lose(C2R_E_PROTOCOL,
                "the server sent what the contract does not allow: " + fault.text());
  const bool version = fault.field == "accepted.protocol_major";
  return lose(version ? C2R_E_VERSION : C2R_E_PROTOCOL,
              "the server answers what this client cannot take: " + fault.text(), true);
}

Verdict Connection::run() {
  Bytes first;
  if (!call_.begin() || !pack_open(opening_, first)) {
    lose(C2R_E_MEMORY, "no memory for a connection");
    return verdict_;
  }
  call_.send(std::move(first));
  while (work()) {
    const bool writing = link_.wants_write() || out_sent_ < out_.size() ||
                         (link_.ready() && call_.wants_write());
    const Readiness ready = wait_for(link_.handle(), writing && !output_over_, waker_, wait_ms());
    if (ready.woken) waker_.drain();
  }
  farewell();
  return verdict_;
}

// Everything that can be done now; false when the connection is over.
bool Connection::work() {
  const int ending = books_.wishes.ending.load();
  if (books_.wishes.expired() || (ending != Wishes::none && !accepted_)) return false;
  if (!advance()) return false;
  return watch();
}

bool Connection::advance() {
  const auto state = link_.step();
  if (state == Link::State::failed) {
    const bool final = link_.error() == C2R_E_TLS || link_.error() == C2R_E_UNSUPPORTED;
    const std::string text =
        link_.error() == C2R_E_TLS
            ? "TLS fails: " + link_.why() +
                  " (look at the CA, the certificate's dates and its name, and that the server "
                  "uses TLS)"
            : link_.why();
    return lose(link_.error(), text, final);
  }
  if (state == Link::State::connecting) return true;
  // A server that refuses may close before it has read: what it said is read first.
  if (!output_over_ && !move_out()) output_over_ = true;
  if (call_.dead()) return lose(C2R_E_PROTOCOL, call_.why());
  if (!move_in() || !handle_messages()) return false;
  return settle_end();
}

bool Connection::settle_end() {
  if (ended_ && (call_.over() || input_over_ || now_s() > ended_s_ + kLeave)) return false;
  if (call_.over()) {
    const GrpcStatus status = call_.status();
    if (status.code == grpc_code::ok)
      return lose(C2R_E_BROKEN, "the server closed the stream without a word");
    verdict_.kind = Verdict::Kind::broken;
    verdict_.broken = judge(status, accepted_);
    return false;
  }
  if (input_over_ && call_.foreign()) return lose(C2R_E_PROTOCOL, call_.why());
  if (input_over_ || (output_over_ && !more_)) return lose(C2R_E_BROKEN, broken_why_);
  return true;
}

bool Connection::move_out() {
  for (int turn = 0; turn < kTurn; ++turn) {
    if (out_sent_ == out_.size()) {
      out_.clear();
      out_sent_ = 0;
      if (!queue_next()) continue;
      if (!call_.produce(out_, kPiece)) {
        broken_why_ = call_.why();
        return false;
      }
    }
    const bool any = !out_.empty();
    const long count = any ? link_.write(out_.data() + out_sent_, out_.size() - out_sent_)
                           : (link_.flush() ? 0 : -1);
    if (count < 0) {
      broken_why_ = link_.why();
      return false;
    }
    if (count == 0) return true;
    out_sent_ += static_cast<size_t>(count);
  }
  return true;
}

bool Connection::move_in() {
  uint8_t piece[kPiece];
  more_ = false;
  for (int turn = 0; turn < kTurn && !input_over_; ++turn) {
    const long count = link_.read(piece, sizeof piece);
    if (count == 0) return true;
    bytes_s_ = now_s();
    if (count < 0) {
      broken_why_ = link_.why();
      input_over_ = true;
    } else if (!call_.feed(piece, static_cast<size_t>(count))) {
      return lose(C2R_E_PROTOCOL, call_.why());
    }
  }
  more_ = !input_over_;
  return true;
}

// Hands the next message over, if there is one; false when a frame could not be sent and another may
// follow.
bool Connection::queue_next() {
  if (!call_.idle() || !accepted_ || end_said_ || call_.over()) return true;
  const double now = now_s();
  const int ending = books_.wishes.ending.load();
  Bytes message = call_.spent();
  Control change;
  if (now - reported_s_ >= report_every_) {
    reported_s_ = now;
    if (!pack_feedback(books_.meter.feedback(books_.account.unsent()), message)) return true;
  } else if (books_.controls.take(change)) {
    if (!pack_control(change, message)) return true;
  } else if (ending != Wishes::discard && books_.account.can_take()) {
    return send_frame();
  } else if (ending == Wishes::discard ||
             (ending == Wishes::finish && !books_.account.any_waiting())) {
    end_said_ = true;
    if (!pack_end(ending == Wishes::discard, message)) return true;
  } else {
    return true;
  }
  books_.meter.sent(message.size());
  call_.send(std::move(message));
  if (end_said_) call_.finish();
  return true;
}

bool Connection::send_frame() {
  FramePtr frame = books_.account.take();
  if (frame == nullptr) return true;
  Bytes message = call_.spent();
  Fault fault;
  const bool good = packer_.pack(*frame, message, fault);
  if (good) {
    books_.meter.sent(message.size());
    call_.send(std::move(message));
  } else {
    books_.account.refuse(frame->id, fault);
  }
  books_.pool.give(std::move(frame->colour.data));
  books_.pool.give(std::move(frame->depth.data));
  books_.pool.give(std::move(frame->motion.data));
  return good;
}

// Tells the server that nobody listens any more, as far as it can be told at once.
void Connection::farewell() {
  if (link_.step() != Link::State::ready || output_over_ || input_over_) return;
  call_.cancel();
  if (out_sent_ < out_.size()) link_.write(out_.data() + out_sent_, out_.size() - out_sent_);
  Bytes last;
  if (call_.produce(last, kPiece) && !last.empty()) link_.write(last.data(), last.size());
  link_.flush();
}

bool Connection::handle_messages() {
  Bytes message;
  while (!ended_ && call_.next(message)) {
    heard_s_ = now_s();
    books_.meter.received(message.size());
    if (!handle(message)) return false;
    call_.recycle(std::move(message));
  }
  return true;
}

bool Connection::handle(const Bytes& message) {
  Response response;
  Fault fault;
  if (!parse_response(message.view(), response, fault)) return breach(fault);
  switch (response.kind) {
    case Response::Kind::accepted: return accept(response.accepted);
    case Response::Kind::warning: listener_.warned(response.warning); return true;
    case Response::Kind::keepalive: return true;
    case Response::Kind::flow:
      if (accepted_)
        books_.account.set_window(response.flow.window_frames);
      else
        listener_.queued(response.flow.queue_position);
      return true;
    case Response::Kind::ended:
      ended_ = true;
      ended_s_ = now_s();
      verdict_.kind = Verdict::Kind::ended;
      verdict_.ended = response.ended;
      return true;
    case Response::Kind::reply:
    case Response::Kind::ack:
    case Response::Kind::none: break;
  }
  if (!accepted_) return breach({fault_code::out_of_order, "a reply came before accepted", ""});
  if (response.kind == Response::Kind::reply)
    settle(response.reply);
  else if (books_.controls.acknowledge(response.ack))
    listener_.acknowledged(response.ack);
  return true;
}

bool Connection::accept(const Accepted& accepted) {
  if (accepted_) return breach({fault_code::out_of_order, "came twice", "accepted"});
  if (accepted.width != opening_.width || accepted.height != opening_.height)
    return breach({fault_code::invalid,
                   format("is %ux%u, asked was %ux%u; open with %ux%u", accepted.width,
                          accepted.height, opening_.width, opening_.height, accepted.width,
                          accepted.height),
                   "accepted"});
  for (uint32_t codec : {accepted.coarse_codec, accepted.plane_codec, accepted.picture_codec})
    if (!has_codec(codec))
      return breach({fault_code::unsupported,
                     format("codec %s is not part of this build", codec_name(codec)),
                     "accepted.codecs"});
  accepted_ = true;
  packer_.begin(accepted);
  terms_ = {accepted.picture_codec, accepted.width, accepted.height, books_.form.pixels,
            books_.form.rows};
  answered_s_ = heard_s_;
  // Well inside the time after which the server ends a silent client.
  report_every_ = std::min(patience_.feedback, accepted.idle_timeout_s / 3);
  books_.meter.connected();
  if (!accepted.resumed) books_.account.begin_session();
  const uint64_t window = uint64_t{accepted.max_in_flight_chunks} * accepted.chunk_frames;
  books_.account.set_window(static_cast<uint32_t>(std::min<uint64_t>(window, UINT32_MAX)));
  listener_.accepted(accepted);
  return true;
}

void Connection::settle(const Reply& reply) {
  answered_s_ = heard_s_;
  ++answers_;
  Outcome outcome;
  outcome.id = reply.id;
  outcome.outcome = reply.outcome;
  outcome.drop = reply.drop;
  outcome.fault = reply.fault;
  outcome.chunk_index = reply.chunk_index;
  outcome.stages = reply.stages;
  uint64_t captured_us = 0;
  if (reply.outcome == C2R_OUTCOME_RENDERED && books_.account.captured(reply.id, captured_us)) {
    const uint64_t began_us = now_us();
    outcome.picture =
        books_.pool.take(size_t{terms_.width} * terms_.height * pixel_bytes(terms_.pixels));
    if (unpack_picture(reply.picture, terms_, scratch_, outcome.picture, outcome.fault)) {
      outcome.latency_ms =
          books_.meter.rendered(reply.chunk_index, reply.stages, captured_us, began_us);
    } else {
      outcome.outcome = C2R_OUTCOME_FAILED;
      outcome.fault.inside("picture");
      outcome.fault.inside("rendered");
      books_.pool.give(std::move(outcome.picture));
    }
  }
  books_.account.settle(std::move(outcome));
}

// Breaks the connection when the server is silent or stuck.
bool Connection::watch() {
  const double now = now_s();
  if (!call_.greeted()) {
    heard_s_ = now;
    if (now - begun_s_ <= patience_.connect) return true;
    return lose(C2R_E_TIMEOUT, format("no answer for %g s", patience_.connect));
  }
  if (now - heard_s_ > patience_.silence)
    return lose(C2R_E_TIMEOUT, format("nothing came from the server for %g s", patience_.silence));
  if (!books_.account.blocked())
    answered_s_ = now;
  else if (now - answered_s_ > patience_.stuck)
    return lose(C2R_E_TIMEOUT, format("the server answered no frame for %g s", patience_.stuck));
  return keep_alive(now);
}

bool Connection::keep_alive(double now) {
  if (ping_s_ > 0 && (call_.pongs() != pongs_ || bytes_s_ > ping_s_)) ping_s_ = 0;
  if (ping_s_ > 0)
    return now - ping_s_ <= patience_.keepalive_answer ||
           lose(C2R_E_TIMEOUT,
                format("no answer to a ping for %g s", patience_.keepalive_answer));
  if (now - bytes_s_ < patience_.keepalive) return true;
  pongs_ = call_.pongs();
  ping_s_ = now;
  call_.ping();
  more_ = true;
  return true;
}

int Connection::wait_ms() const {
  if (more_ && !input_over_) return 0;
  if (link_.resolving()) return 10;
  double tick = std::min({0.25, patience_.silence / 4, patience_.feedback / 2,
                          patience_.keepalive / 4, patience_.connect / 4});
  if (accepted_ && !end_said_ && call_.idle())
    tick = std::min(tick, std::max(0.0, reported_s_ + report_every_ - now_s()));
  return static_cast<int>(tick * 1000) + 1;
}

}  // namespace c2r
