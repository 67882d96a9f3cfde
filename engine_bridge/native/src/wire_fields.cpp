#include "wire_fields.h"

#include "text.h"

#include <cstring>

namespace c2r {

static bool read_source(pb_istream_t* stream, pb_byte_t* out, size_t count) {
  auto* source = static_cast<Source*>(stream->state);
  if (out != nullptr) std::memcpy(out, source->at, count);
  source->at += count;
  return true;
}

pb_istream_t source_stream(Source& source, size_t size) {
  pb_istream_t stream{};
  stream.callback = &read_source;
  stream.state = &source;
  stream.bytes_left = size;
  return stream;
}

static bool put(pb_ostream_t* stream, const pb_field_t* field, const void* data, size_t size) {
  return pb_encode_tag_for_field(stream, field) &&
         pb_encode_string(stream, static_cast<const pb_byte_t*>(data), size);
}

static bool put_text(pb_ostream_t* stream, const pb_field_t* field, void* const* argument) {
  const auto* text = static_cast<const std::string*>(*argument);
  return text->empty() || put(stream, field, text->data(), text->size());
}

static bool put_text_always(pb_ostream_t* stream, const pb_field_t* field, void* const* argument) {
  const auto* text = static_cast<const std::string*>(*argument);
  return put(stream, field, text->data(), text->size());
}

static bool put_bytes(pb_ostream_t* stream, const pb_field_t* field, void* const* argument) {
  const auto* bytes = static_cast<const View*>(*argument);
  return bytes->size == 0 || put(stream, field, bytes->data, bytes->size);
}

// The remaining bytes of a field, in place. False when the wire type is not length-delimited:
// nanopb then passes the value in another stream, whose state is not a Source.
static bool take_rest(pb_istream_t* stream, View& view) {
  if (stream->callback != &read_source) return false;
  auto* source = static_cast<Source*>(stream->state);
  view = {source->at, stream->bytes_left};
  source->at += stream->bytes_left;
  stream->bytes_left = 0;
  return true;
}

static bool get_text(pb_istream_t* stream, const pb_field_t*, void** argument) {
  View view;
  if (!take_rest(stream, view)) return false;
  const auto* text = reinterpret_cast<const char*>(view.data);
  if (!is_utf8(text, view.size)) return false;
  *static_cast<std::string*>(*argument) = cut(std::string(text, view.size), kKeptText);
  return true;
}

static bool get_token(pb_istream_t* stream, const pb_field_t*, void** argument) {
  View view;
  if (!take_rest(stream, view)) return false;
  const size_t size = view.size < kKeptText ? view.size : kKeptText;
  static_cast<std::string*>(*argument)->assign(reinterpret_cast<const char*>(view.data), size);
  return true;
}

static bool get_view(pb_istream_t* stream, const pb_field_t*, void** argument) {
  return take_rest(stream, *static_cast<View*>(*argument));
}

template <class Put>
static pb_callback_t writer(Put put, const void* from) {
  pb_callback_t callback{};
  callback.funcs.encode = put;
  callback.arg = const_cast<void*>(from);
  return callback;
}

template <class Get>
static pb_callback_t reader(Get get, void* to) {
  pb_callback_t callback{};
  callback.funcs.decode = get;
  callback.arg = to;
  return callback;
}

pb_callback_t out_text(const std::string& text) { return writer(&put_text, &text); }
pb_callback_t out_text_always(const std::string& text) { return writer(&put_text_always, &text); }
pb_callback_t out_bytes(const View& bytes) { return writer(&put_bytes, &bytes); }
pb_callback_t in_text(std::string& text) { return reader(&get_text, &text); }
pb_callback_t in_token(std::string& token) { return reader(&get_token, &token); }
pb_callback_t in_view(View& view) { return reader(&get_view, &view); }

}  // namespace c2r
