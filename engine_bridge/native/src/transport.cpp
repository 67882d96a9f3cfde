#include "transport.h"

namespace c2r {

// Encrypted bytes that may wait before no more plain ones are taken: the TLS layer buffers without
// limit, so that back-pressure of the socket has to be passed on here.
static constexpr size_t kMostWaiting = 256 * 1024;
static constexpr size_t kRecordBytes = 16 * 1024;  // a TLS record

Transport::Transport(const Endpoint& endpoint) : endpoint_(endpoint), resolver_(endpoint) {}

Transport::~Transport() {
  if (secure_ != nullptr) tls_.end(secure_);
}

Transport::State Transport::fail(c2r_code error, const std::string& why) {
  error_ = error;
  why_ = why;
  state_ = State::failed;
  return state_;
}

Transport::State Transport::try_next() {
  const auto& all = resolver_.addresses();
  while (next_ < all.size()) {
    if (socket_.connect(all[next_++], why_)) {
      connecting_ = true;
      return state_;
    }
  }
  return fail(C2R_E_UNREACHABLE, why_);
}

Transport::State Transport::step() {
  if (state_ != State::connecting) return state_;
  if (resolving_) {
    const auto lookup = resolver_.state();
    if (lookup == Resolver::State::busy) return state_;
    resolving_ = false;
    if (lookup == Resolver::State::failed) return fail(C2R_E_UNREACHABLE, resolver_.why());
    if (try_next() == State::failed) return state_;
  }
  if (connecting_) {
    const int done = socket_.connected(why_);
    if (done < 0) {
      connecting_ = false;
      return try_next();
    }
    if (done == 0) return state_;
    connecting_ = false;
    if (!endpoint_.tls) return state_ = State::ready;
    if (!begin_tls()) return state_;
  }
  return step_tls();
}

bool Transport::begin_tls() {
  if (endpoint_.own_tls)
    tls_ = endpoint_.tls_functions;
  else if (!openssl_functions(endpoint_, tls_)) {
    fail(C2R_E_UNSUPPORTED, "this build has no TLS; give an encryption layer (own_tls)");
    return false;
  }
  char error[C2R_TEXT_BYTES] = "";
  secure_ =
      tls_.begin(tls_.user, endpoint_.expected_name().c_str(), "h2", error, sizeof error);
  if (secure_ == nullptr) fail(C2R_E_TLS, error[0] != 0 ? error : "no memory for TLS");
  return secure_ != nullptr;
}

// One step of the handshake: what came from the network goes into the TLS layer, the layer works,
// and what it produced goes out. The bytes go out even when the handshake failed: they hold the
// alert that tells the server why. Certificate, name and ALPN are verified inside `handshake`; the
// state becomes `ready`, and the first plain byte (the token among them) is sent, only after that.
Transport::State Transport::step_tls() {
  const bool open = pull();
  const int done = tls_.handshake(secure_);
  const std::string why = done < 0 ? tls_.why(secure_) : "";
  const bool flushed = flush();
  if (done < 0) return fail(C2R_E_TLS, why);
  if (done == 1) return state_ = State::ready;
  if (!open || !flushed)
    return fail(C2R_E_BROKEN, "closed during the TLS handshake; does the server use TLS?");
  return state_;
}

// Moves bytes from the network into the TLS layer; false when there will be no more.
bool Transport::pull() {
  uint8_t buffer[kRecordBytes];
  for (int i = 0; i < 16 && !eof_; ++i) {
    const long count = socket_.read(buffer, sizeof buffer, eof_why_);
    if (count == 0) break;
    if (count < 0 || tls_.put(secure_, buffer, static_cast<uint32_t>(count)) < 0) eof_ = true;
  }
  return !eof_;
}

long Transport::read(uint8_t* data, size_t size) {
  if (secure_ == nullptr) return socket_.read(data, size, why_);
  int32_t count = tls_.read(secure_, data, static_cast<uint32_t>(size));
  if (count == 0) {
    // Only when no plain bytes are left, so that the TLS layer's input buffer stays small.
    pull();
    count = tls_.read(secure_, data, static_cast<uint32_t>(size));
  }
  if (count < 0) why_ = tls_.why(secure_);
  if (count != 0) return count < 0 ? -1 : count;
  if (!eof_) return 0;
  why_ = eof_why_;
  return -1;
}

bool Transport::push() {
  while (sent_ < out_.size()) {
    const long count = socket_.write(out_.data() + sent_, out_.size() - sent_, why_);
    if (count < 0) return false;
    if (count == 0) return true;
    sent_ += static_cast<size_t>(count);
  }
  out_.clear();
  sent_ = 0;
  return true;
}

bool Transport::flush() {
  if (secure_ == nullptr) return true;
  if (!push()) return false;
  while (out_.size() - sent_ < kMostWaiting) {
    uint8_t buffer[kRecordBytes];
    const int32_t count = tls_.get(secure_, buffer, sizeof buffer);
    if (count <= 0) break;
    if (!out_.append(buffer, static_cast<size_t>(count))) return false;
  }
  return push();
}

long Transport::write(const uint8_t* data, size_t size) {
  if (secure_ == nullptr) return socket_.write(data, size, why_);
  if (out_.size() - sent_ >= kMostWaiting) return flush() ? 0 : -1;
  const auto part = static_cast<uint32_t>(size < kRecordBytes ? size : kRecordBytes);
  const int32_t count = tls_.write(secure_, data, part);
  if (count < 0) {
    why_ = tls_.why(secure_);
    return -1;
  }
  return flush() ? count : -1;
}

}  // namespace c2r
