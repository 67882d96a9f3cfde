#include "connection.h"

#include "text.h"
#include "wire.h"

#include <algorithm>

namespace c2r {

static constexpr size_t kReadBytes = 64 * 1024;
// Reads or writes in one direction before the other has its turn: a fast server must not keep the
// client from sending, nor the other way round.
static constexpr int kTurn = 64;
// Room in a message beside a picture's bytes.
static constexpr size_t kMessageSpare = 1 << 20;
// Seconds for the server to close the stream after `ended`.
static constexpr double kCloseWait = 1.0;

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

Connection::Connection(const Endpoint& endpoint, const Patience& patience, ClientRecord& record,
                       Waker& waker, Listener& listener, const Opening& opening)
    : patience_(patience),
      record_(record),
      waker_(waker),
      listener_(listener),
      opening_(opening),
      transport_(endpoint),
      call_(target(endpoint, opening)),
      watchdog_(patience),
      reported_s_(now_s()),
      report_every_(patience.feedback) {}

bool Connection::fail(c2r_code code, const std::string& text, bool final) {
  end_.kind = StreamEnd::Kind::broken;
  end_.broken = {code, -1, final, text};
  return false;
}

// The server broke the contract: for good in its answer to `open`; later another attempt may do
// better, since a damaged message says nothing about the next session.
bool Connection::protocol_error(const Fault& fault) {
  if (accepted_)
    return fail(C2R_E_PROTOCOL,
                "the server sent what the contract does not allow: " + fault.text());
  const bool version = fault.field == "accepted.protocol_major";
  return fail(version ? C2R_E_VERSION : C2R_E_PROTOCOL,
              "the server answers what this client cannot take: " + fault.text(), true);
}

StreamEnd Connection::run() {
  Bytes first;
  if (!call_.begin() || !pack_open(opening_, first)) {
    fail(C2R_E_MEMORY, "no memory for a connection");
    return end_;
  }
  call_.send(std::move(first));
  while (work()) {
    const bool writing = transport_.wants_write() || out_sent_ < out_.size() ||
                         (transport_.ready() && call_.wants_write());
    const Readiness ready =
        wait_for(transport_.handle(), writing && !output_over_, waker_, wait_ms());
    if (ready.woken) waker_.drain();
  }
  cancel();
  return end_;
}

// Everything that can be done now without waiting; false when the connection is over.
bool Connection::work() {
  const int ending = record_.shutdown.ending.load();
  if (record_.shutdown.expired() || (ending != Shutdown::none && !accepted_)) return false;
  if (!advance()) return false;
  const std::string late = watchdog_.check(call_, record_.account.blocked());
  return late.empty() || fail(C2R_E_TIMEOUT, late);
}

bool Connection::advance() {
  const auto state = transport_.step();
  if (state == Transport::State::failed) {
    const bool final = transport_.error() == C2R_E_TLS || transport_.error() == C2R_E_UNSUPPORTED;
    const std::string text =
        transport_.error() == C2R_E_TLS
            ? "TLS fails: " + transport_.why() +
                  " (check the CA, the certificate's dates and its name, and that the server "
                  "uses TLS)"
            : transport_.why();
    return fail(transport_.error(), text, final);
  }
  if (state == Transport::State::connecting) return true;
  // A server that refuses may close its side before it has read ours, so that a write fails while
  // the status still waits to be read. Reading goes on; otherwise the reason would be lost.
  if (!output_over_ && !move_out()) output_over_ = true;
  if (call_.connection_over()) return fail(C2R_E_PROTOCOL, call_.why());
  if (!move_in() || !handle_messages()) return false;
  return check_end();
}

// Whether the stream goes on; else why it ended.
bool Connection::check_end() {
  if (ended_ && (call_.over() || input_over_ || now_s() > ended_s_ + kCloseWait)) return false;
  if (call_.over()) {
    const GrpcStatus status = call_.status();
    if (status.code == grpc_code::ok)
      return fail(C2R_E_BROKEN, "the server closed the stream without a status");
    end_.kind = StreamEnd::Kind::broken;
    end_.broken = judge(status, accepted_);
    return false;
  }
  if (input_over_ && call_.not_http2()) return fail(C2R_E_PROTOCOL, call_.why());
  if (input_over_ || (output_over_ && !more_)) return fail(C2R_E_BROKEN, broken_why_);
  return true;
}

bool Connection::move_out() {
  for (int turn = 0; turn < kTurn; ++turn) {
    if (out_sent_ == out_.size()) {
      out_.clear();
      out_sent_ = 0;
      if (!queue_next()) continue;
      if (!call_.produce(out_, kReadBytes)) {
        broken_why_ = call_.why();
        return false;
      }
    }
    const bool any = !out_.empty();
    const long count = any ? transport_.write(out_.data() + out_sent_, out_.size() - out_sent_)
                           : (transport_.flush() ? 0 : -1);
    if (count < 0) {
      broken_why_ = transport_.why();
      return false;
    }
    if (count == 0) return true;
    out_sent_ += static_cast<size_t>(count);
  }
  return true;
}

bool Connection::move_in() {
  uint8_t buffer[kReadBytes];
  more_ = false;
  for (int turn = 0; turn < kTurn && !input_over_; ++turn) {
    const long count = transport_.read(buffer, sizeof buffer);
    if (count == 0) return true;
    watchdog_.note_bytes();
    if (count < 0) {
      broken_why_ = transport_.why();
      input_over_ = true;
    } else if (!call_.feed(buffer, static_cast<size_t>(count))) {
      return fail(C2R_E_PROTOCOL, call_.why());
    }
  }
  more_ = !input_over_;
  return true;
}

// Hands the next message to the call, if there is one and the one before is on its way. Frames are
// taken from the account only here, one at a time: what waits there can still be replaced by a
// newer frame, what was handed over cannot. False when a frame could not be packed and another may
// follow.
bool Connection::queue_next() {
  if (!call_.idle() || !accepted_ || end_sent_ || call_.over()) return true;
  const double now = now_s();
  const int ending = record_.shutdown.ending.load();
  Bytes message = call_.take_buffer();
  Control change;
  if (now - reported_s_ >= report_every_) {
    reported_s_ = now;
    if (!pack_feedback(record_.meter.feedback(record_.account.unsent()), message)) return true;
  } else if (record_.controls.take(change)) {
    if (!pack_control(change, message)) return true;
  } else if (ending != Shutdown::discard && record_.account.can_take()) {
    return send_frame();
  } else if (ending == Shutdown::discard ||
             (ending == Shutdown::finish && !record_.account.any_waiting())) {
    end_sent_ = true;
    if (!pack_end(ending == Shutdown::discard, message)) return true;
  } else {
    return true;
  }
  record_.meter.sent(message.size());
  call_.send(std::move(message));
  if (end_sent_) call_.finish();
  return true;
}

bool Connection::send_frame() {
  FramePtr frame = record_.account.take();
  if (frame == nullptr) return true;
  Bytes message = call_.take_buffer();
  Fault fault;
  const bool packed = packer_.pack(*frame, message, fault);
  if (packed) {
    record_.meter.sent(message.size());
    call_.send(std::move(message));
  } else {
    record_.account.refuse(frame->id, fault);
  }
  record_.pool.give(std::move(frame->colour.data));
  record_.pool.give(std::move(frame->depth.data));
  record_.pool.give(std::move(frame->motion.data));
  return packed;
}

// Tells the server that the stream is cancelled, as far as the socket takes it without waiting:
// else the server would render on until its own timeout.
void Connection::cancel() {
  if (transport_.step() != Transport::State::ready || output_over_ || input_over_) return;
  call_.cancel();
  if (out_sent_ < out_.size()) transport_.write(out_.data() + out_sent_, out_.size() - out_sent_);
  Bytes last;
  if (call_.produce(last, kReadBytes) && !last.empty()) transport_.write(last.data(), last.size());
  transport_.flush();
}

bool Connection::handle_messages() {
  Bytes message;
  while (!ended_ && call_.next(message)) {
    watchdog_.note_message();
    record_.meter.received(message.size());
    if (!handle(message)) return false;
    call_.recycle(std::move(message));
  }
  return true;
}

bool Connection::handle(const Bytes& message) {
  Response response;
  Fault fault;
  if (!parse_response(message.view(), response, fault)) return protocol_error(fault);
  switch (response.kind) {
    case Response::Kind::accepted: return accept(response.accepted);
    case Response::Kind::warning: listener_.warned(response.warning); return true;
    case Response::Kind::keepalive: return true;
    case Response::Kind::flow:
      if (accepted_)
        record_.account.set_window(response.flow.window_frames);
      else
        listener_.queued(response.flow.queue_position);
      return true;
    case Response::Kind::ended:
      ended_ = true;
      ended_s_ = now_s();
      end_.kind = StreamEnd::Kind::ended;
      end_.ended = response.ended;
      return true;
    case Response::Kind::reply:
    case Response::Kind::ack:
    case Response::Kind::none: break;
  }
  if (!accepted_)
    return protocol_error({fault_code::out_of_order, "a reply came before accepted", ""});
  if (response.kind == Response::Kind::reply)
    settle(response.reply);
  else if (record_.controls.acknowledge(response.ack))
    listener_.acknowledged(response.ack);
  return true;
}

bool Connection::accept(const Accepted& accepted) {
  if (accepted_) return protocol_error({fault_code::out_of_order, "came twice", "accepted"});
  if (accepted.width != opening_.width || accepted.height != opening_.height)
    return protocol_error({fault_code::invalid,
                           format("is %ux%u, asked was %ux%u; open with %ux%u", accepted.width,
                                  accepted.height, opening_.width, opening_.height,
                                  accepted.width, accepted.height),
                           "accepted"});
  for (uint32_t codec : {accepted.coarse_codec, accepted.plane_codec, accepted.picture_codec})
    if (!has_codec(codec))
      return protocol_error({fault_code::unsupported,
                             format("codec %s is not part of this build", codec_name(codec)),
                             "accepted.codecs"});
  accepted_ = true;
  packer_.begin(accepted);
  spec_ = {accepted.picture_codec, accepted.width, accepted.height, record_.layout.pixels,
           record_.layout.rows};
  watchdog_.note_answer();
  // Well inside the time after which the server ends a silent client.
  report_every_ = std::min(patience_.feedback, accepted.idle_timeout_s / 3);
  record_.meter.connected();
  if (!accepted.resumed) record_.account.begin_session();
  // The server grants chunks, the account counts frames.
  const uint64_t window = uint64_t{accepted.max_in_flight_chunks} * accepted.chunk_frames;
  record_.account.set_window(static_cast<uint32_t>(std::min<uint64_t>(window, UINT32_MAX)));
  listener_.accepted(accepted);
  return true;
}

void Connection::settle(const Reply& reply) {
  watchdog_.note_answer();
  ++answers_;
  Outcome outcome;
  outcome.id = reply.id;
  outcome.outcome = reply.outcome;
  outcome.drop = reply.drop;
  outcome.fault = reply.fault;
  outcome.chunk_index = reply.chunk_index;
  outcome.stages = reply.stages;
  // A reply for a frame that is not in flight is not decoded: a server could fill memory with them.
  uint64_t captured_us = 0;
  if (reply.outcome == C2R_OUTCOME_RENDERED && record_.account.captured(reply.id, captured_us)) {
    const uint64_t decode_start_us = now_us();
    outcome.picture =
        record_.pool.take(size_t{spec_.width} * spec_.height * pixel_bytes(spec_.pixels));
    if (unpack_picture(reply.picture, spec_, scratch_, outcome.picture, outcome.fault)) {
      outcome.latency_ms =
          record_.meter.rendered(reply.chunk_index, reply.stages, captured_us, decode_start_us);
    } else {
      outcome.outcome = C2R_OUTCOME_FAILED;
      outcome.fault.inside("picture");
      outcome.fault.inside("rendered");
      record_.pool.give(std::move(outcome.picture));
    }
  }
  record_.account.settle(std::move(outcome));
}

int Connection::wait_ms() const {
  if (more_ && !input_over_) return 0;
  if (transport_.resolving()) return 10;  // the resolver has no handle to wait for
  double wait_s = std::min(watchdog_.interval_s(), patience_.feedback / 2);
  if (accepted_ && !end_sent_ && call_.idle())
    wait_s = std::min(wait_s, std::max(0.0, reported_s_ + report_every_ - now_s()));
  return static_cast<int>(wait_s * 1000) + 1;
}

}  // namespace c2r
