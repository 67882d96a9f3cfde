#include "expect.h"
#include "message_reader.h"
#include "wire.h"

#include <random>
#include <vector>

using namespace c2r;

TEST(messages_are_read_for_every_read_size) {
  std::vector<uint8_t> stream;
  for (uint8_t size : {0, 3, 200}) {
    stream.insert(stream.end(), {0, 0, 0, 0, size});
    stream.insert(stream.end(), size, size);
  }
  for (size_t step : {1, 2, 5, 7, 1000}) {
    MessageReader reader(200);
    Bytes message;
    std::vector<size_t> sizes;
    for (size_t at = 0; at < stream.size(); at += step) {
      EXPECT(reader.feed(stream.data() + at, std::min(step, stream.size() - at)));
      while (reader.next(message)) sizes.push_back(message.size());
    }
    EXPECT((sizes == std::vector<size_t>{0, 3, 200}));
    EXPECT(!reader.partial());
  }
}

TEST(large_and_compressed_messages_are_refused_at_their_prefix) {
  MessageReader small(10);
  const uint8_t eleven[] = {0, 0, 0, 0, 11};
  EXPECT(!small.feed(eleven, 5) && small.fault() == MessageReader::Fault::too_large);
  MessageReader plain(10);
  const uint8_t packed[] = {1, 0, 0, 0, 1};
  EXPECT(!plain.feed(packed, 5) && plain.fault() == MessageReader::Fault::compressed);
}

TEST(noise_is_no_response_and_harms_nothing) {
  std::mt19937 random(3);
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<uint8_t> data(random() % 64);
    for (auto& byte : data) byte = static_cast<uint8_t>(random());
    Response response;
    Fault fault;
    refused += !parse_response({data.data(), data.size()}, response, fault);
  }
  EXPECT(refused > 1900);
}

TEST(an_empty_response_is_refused) {
  Response response;
  Fault fault;
  EXPECT(!parse_response({nullptr, 0}, response, fault));
  EXPECT(fault.code == fault_code::malformed);
}
