#include "http2_call.h"

#include "text.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstdlib>

namespace c2r {

// Flow-control windows for what the server sends: bytes that may be under way without a
// WINDOW_UPDATE. HTTP/2's default of 64 KiB would limit a link of 30 ms round trip to 2 MB/s, less
// than raw pictures need; 4 MiB allow over 100 MB/s. nghttp2 sends updates as bytes come in, and
// the client reads all it gets: what holds a server back is the window of frames (Account).
static constexpr int32_t kStreamWindow = 4 << 20, kConnectionWindow = 8 << 20;
static constexpr uint32_t kLargestFrame = 256 * 1024, kLargestHeaders = 16 * 1024;
static constexpr size_t kKeptHeader = 4096;

struct Http2Call::Callbacks {
  static Http2Call& call(void* user) { return *static_cast<Http2Call*>(user); }

  static ssize_t read_message(nghttp2_session*, int32_t, uint8_t* out, size_t size,
                              uint32_t* flags, nghttp2_data_source*, void* user) {
    Http2Call& self = call(user);
    if (!self.sending_) {
      // No message now: nghttp2 asks no more until nghttp2_session_resume_data (`send`, `finish`).
      // Returning 0 bytes would not make it wait.
      if (self.finishing_) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        return 0;
      }
      self.waiting_ = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    size_t done = 0;
    constexpr size_t prefix = sizeof self.prefix_;
    while (done < size && self.sent_ < prefix) out[done++] = self.prefix_[self.sent_++];
    const size_t count = std::min(size - done, self.message_.size() + prefix - self.sent_);
    if (count > 0) std::memcpy(out + done, self.message_.data() + self.sent_ - prefix, count);
    self.sent_ += count;
    if (self.sent_ == self.message_.size() + prefix) self.sending_ = false;
    return static_cast<ssize_t>(done + count);
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                       size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                       void* user) {
    if (frame->hd.stream_id == call(user).stream_)
      call(user).note_header({reinterpret_cast<const char*>(name), name_size},
                             {reinterpret_cast<const char*>(value),
                              std::min(value_size, kKeptHeader)});
    return 0;
  }

  static int on_data(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* data, size_t size,
                     void* user) {
    Http2Call& self = call(user);
    if (stream != self.stream_ || self.reader_.fault() != MessageReader::Fault::none) return 0;
    if (self.http_status_ == 200 && self.is_grpc_ && !self.reader_.feed(data, size))
      self.note_faulty_message();
    return 0;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Call& self = call(user);
    if (frame->hd.type == NGHTTP2_SETTINGS) self.greeted_ = true;
    // The server has ended the stream. nghttp2 closes it (on_close) only when our side has ended
    // too, which may never come: the call is over now.
    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 && frame->hd.stream_id == self.stream_)
      self.over_ = true;
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
      ++self.pongs_;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      self.gone_away_ = true;
      self.goaway_ = frame->goaway.error_code;
      const auto* text = reinterpret_cast<const char*>(frame->goaway.opaque_data);
      const size_t size = std::min<size_t>(frame->goaway.opaque_data_len, 256);
      // percent_decoded replaces what is not UTF-8.
      self.goaway_text_ = size == 0 ? "" : percent_decoded(std::string(text, size));
    }
    return 0;
  }

  static int on_invalid(nghttp2_session*, const nghttp2_frame*, int code, void* user) {
    call(user).invalid_ = code;
    return 0;
  }

  static int on_close(nghttp2_session*, int32_t stream, uint32_t error, void* user) {
    Http2Call& self = call(user);
    if (stream != self.stream_) return 0;
    self.over_ = self.closed_ = true;
    self.reset_ = error;
    return 0;
  }
};

Http2Call::Http2Call(const Target& target) : target_(target), reader_(target.largest_message) {}

Http2Call::~Http2Call() { nghttp2_session_del(session_); }

static nghttp2_nv header(const char* name, const std::string& value, uint8_t flags = 0) {
  nghttp2_nv out{};
  out.name = reinterpret_cast<uint8_t*>(const_cast<char*>(name));
  out.namelen = std::strlen(name);
  out.value = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data()));
  out.valuelen = value.size();
  out.flags = flags;
  return out;
}

bool Http2Call::begin() {
  nghttp2_session_callbacks* callbacks = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) return false;
  nghttp2_session_callbacks_set_on_header_callback(callbacks, &Callbacks::on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &Callbacks::on_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &Callbacks::on_frame);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, &Callbacks::on_invalid);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &Callbacks::on_close);
  const int error = nghttp2_session_client_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  if (error != 0) return false;
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, kLargestFrame},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kLargestHeaders}};
  if (nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, 4) != 0) return false;
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  const std::string bearer = "Bearer " + target_.token, post = "POST",
                    scheme = target_.secure ? "https" : "http", grpc = "application/grpc",
                    trailers = "trailers";
  nghttp2_nv headers[8] = {header(":method", post),
                           header(":scheme", scheme),
                           header(":path", target_.path),
                           header(":authority", target_.authority),
                           header("te", trailers),
                           header("content-type", grpc),
                           header("user-agent", target_.agent)};
  size_t count = 7;
  // Not indexed: a secret in the HPACK table could be guessed from the sizes of later headers.
  if (!target_.token.empty())
    headers[count++] = header("authorization", bearer, NGHTTP2_NV_FLAG_NO_INDEX);
  nghttp2_data_provider provider{};
  provider.read_callback = &Callbacks::read_message;
  stream_ = nghttp2_submit_request(session_, nullptr, headers, count, &provider, nullptr);
  return stream_ > 0;
}

bool Http2Call::feed(const uint8_t* data, size_t size) {
  fed_ = fed_ || size > 0;
  const ssize_t count = nghttp2_session_mem_recv(session_, data, size);
  if (count >= 0) return !connection_over();
  invalid_ = static_cast<int>(count);
  note_connection_end();
  return false;
}

// nghttp2 has given the connection up: it wants neither to read nor to write, after it told the
// server.
bool Http2Call::connection_over() {
  if (over_ || nghttp2_session_want_read(session_) != 0 ||
      nghttp2_session_want_write(session_) != 0)
    return false;
  note_connection_end();
  return true;
}

bool Http2Call::not_http2() {
  if (!fed_ || greeted_) return false;
  note_connection_end();
  return true;
}

void Http2Call::note_connection_end() {
  if (!greeted_)
    why_ = "what answers there does not speak HTTP/2 (is TLS set as it should be?)";
  else if (gone_away_)
    why_ = "the server closed the HTTP/2 connection" + goaway_note();
  else
    why_ = std::string("the server breaks HTTP/2 (") +
           nghttp2_strerror(invalid_ == 0 ? NGHTTP2_ERR_PROTO : invalid_) + ")";
}

bool Http2Call::produce(Bytes& out, size_t enough) {
  while (out.size() < enough) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size == 0) return true;
    if (size < 0 || !out.append(data, static_cast<size_t>(size))) {
      why_ = size < 0 ? nghttp2_strerror(static_cast<int>(size)) : "no memory";
      return false;
    }
  }
  return true;
}

bool Http2Call::wants_write() const { return nghttp2_session_want_write(session_) != 0; }

void Http2Call::send(Bytes message) {
  const auto size = static_cast<uint32_t>(message.size());
  message_ = std::move(message);
  prefix_[0] = 0;
  for (int i = 0; i < 4; ++i) prefix_[1 + i] = static_cast<uint8_t>(size >> (24 - 8 * i));
  sent_ = 0;
  sending_ = true;
  if (waiting_ && !over_) nghttp2_session_resume_data(session_, stream_);
  waiting_ = false;
}

void Http2Call::finish() {
  finishing_ = true;
  if (waiting_ && !over_) nghttp2_session_resume_data(session_, stream_);
  waiting_ = false;
}

void Http2Call::ping() { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }

void Http2Call::cancel() {
  if (!closed_) nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream_, NGHTTP2_CANCEL);
  nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
}

static int small_number(const std::string& text) {
  const bool good = !text.empty() && text.size() <= 3 &&
                    text.find_first_not_of("0123456789") == std::string::npos;
  return good ? std::atoi(text.c_str()) : -1;
}

void Http2Call::note_header(const std::string& name, const std::string& value) {
  if (name == ":status") {
    http_status_ = small_number(value);
  } else if (name == "content-type") {
    is_grpc_ = value.compare(0, 16, "application/grpc") == 0;
  } else if (name == "grpc-status") {
    const int code = small_number(value);
    grpc_status_ = code >= 0 && code <= grpc_code::unauthenticated ? code : grpc_code::unknown;
  } else if (name == "grpc-message") {
    grpc_message_ = percent_decoded(value);
  }
}

void Http2Call::note_faulty_message() {
  const bool large = reader_.fault() == MessageReader::Fault::too_large;
  grpc_status_ = large ? grpc_code::resource_exhausted : grpc_code::internal;
  grpc_message_ =
      large ? format("a message of %llu bytes came, larger than the %zu that fit this session",
                     static_cast<unsigned long long>(reader_.announced()),
                     target_.largest_message)
            : "a message came that is compressed, which was not agreed, or there is no memory";
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream_, NGHTTP2_CANCEL);
}

std::string Http2Call::goaway_note() const {
  if (!gone_away_) return "";
  std::string text = std::string(" (GOAWAY ") + nghttp2_http2_strerror(goaway_);
  if (!goaway_text_.empty()) text += ": " + goaway_text_;
  return text + ")";
}

GrpcStatus Http2Call::status() const {
  if (grpc_status_ >= 0) {
    if (reader_.partial() && grpc_status_ == grpc_code::ok)
      return {grpc_code::internal, "the stream ended inside a message"};
    return {grpc_status_, grpc_message_};
  }
  if (http_status_ != 0 && (http_status_ != 200 || !is_grpc_))
    return {http_status_ == 200 ? grpc_code::unimplemented : grpc_from_http(http_status_),
            format("no gRPC server answers there (HTTP status %d)", http_status_)};
  if (reset_ != 0)
    return {grpc_from_reset(reset_),
            std::string("the server reset the stream: ") + nghttp2_http2_strerror(reset_) +
                goaway_note()};
  return {grpc_code::unknown, "the stream ended without a grpc-status" + goaway_note()};
}

}  // namespace c2r
