// framer_test.cc: what a scan finds in whole, cut and forbidden streams, and that it touches only what it may.
#include "protocol/framer.h"

#include <gtest/gtest.h>

#include <random>

#include "frames.h"
#include "seed.h"

namespace tofu {
namespace test {
namespace {

constexpr uint16_t kChannel = 0x0a0b;
using Next = Scan::Next;

Scan scan(std::string& bytes) {
  return scan_frames(bytes_of(bytes), bytes.size(), kChannel);
}

void expect_scan(const Scan& found, size_t end, uint32_t frames, Next next, size_t length) {
  EXPECT_EQ(found.end, end);
  EXPECT_EQ(found.frames, frames);
  EXPECT_EQ(found.next, next);
  EXPECT_EQ(found.length, length);
}

FrameKind kind_by_rule(uint8_t flags, bool has_id) {
  const int op_code = flags & 0x0f;
  if (!has_id || op_code > 6 || ((flags & 0x20) != 0 && op_code > 2)) return FrameKind::violation;
  return op_code == 3 || op_code >= 5 ? FrameKind::control : FrameKind::data;
}

TEST(KindOf, IsRightForEveryFlagsByteWithAndWithoutAnId) {
  for (int flags = 0; flags < 256; flags++) {
    for (int byte = -1; byte < 8; byte++) {
      HeaderFields fields;
      fields.flags = static_cast<uint8_t>(flags);
      fields.id = byte < 0 ? 0 : uint64_t{1} << (8 * byte);
      const std::string frame = make_frame(fields);
      EXPECT_EQ(kind_of(bytes_of(frame)), kind_by_rule(fields.flags, byte >= 0)) << flags << " " << byte;
    }
  }
}

TEST(Sanitise, LeavesNothingOfThePeersOriginStatusPrivateBitsAndChannel) {
  HeaderFields fields;
  fields.channel = 0xffff;
  fields.flags = 0xff;
  fields.status = Status::unknown_error;
  fields.id = 7;
  std::string frame = make_frame(fields, "a:b\r\n", "body");
  sanitise(bytes_of(frame), kChannel);
  fields.channel = kChannel;
  fields.flags = 0x2f;
  fields.status = Status::success;
  EXPECT_EQ(frame, make_frame(fields, "a:b\r\n", "body"));
}

TEST(ScanFrames, OfNothingWantsMore) {
  expect_scan(scan_frames(nullptr, 0, kChannel), 0, 0, Next::incomplete, 0);
}

TEST(ScanFrames, TakesAllDataFramesThatLieWhole) {
  const std::string first = make_frame(OpCode::request, 1, "one");
  const std::string second = make_frame(OpCode::hello_response, 2);
  std::string bytes = first + second;
  expect_scan(scan(bytes), bytes.size(), 2, Next::incomplete, 0);
  EXPECT_EQ(channel_of(bytes_of(bytes)), kChannel);
  EXPECT_EQ(channel_of(bytes_of(bytes) + first.size()), kChannel);
}

TEST(ScanFrames, TellsTheLengthOfACutFrameAsSoonAsItsHeaderIsThere) {
  const std::string whole = make_frame(OpCode::signal, 1, "first");
  for (OpCode op_code : {OpCode::signal, OpCode::bye_request}) {
    const std::string cut = make_frame(op_code, 2, "second");
    for (size_t have = 0; have < cut.size(); have++) {
      SCOPED_TRACE(have);
      std::string bytes = whole + cut.substr(0, have);
      expect_scan(scan(bytes), whole.size(), 1, Next::incomplete, have < kHeaderBytes ? 0 : cut.size());
      EXPECT_EQ(bytes.substr(whole.size()), cut.substr(0, have));
    }
  }
}

TEST(ScanFrames, StopsInFrontOfAControlFrameAndLeavesIt) {
  const std::string data = make_frame(OpCode::response, 1, "data");
  for (OpCode op_code : {OpCode::hello_request, OpCode::bye_request, OpCode::bye_response}) {
    HeaderFields fields;
    fields.channel = 0x7777;
    fields.flags = static_cast<uint8_t>(static_cast<uint8_t>(op_code) | 0xd0);
    fields.status = Status::peer_disconnected;
    fields.id = 2;
    const std::string control = make_frame(fields, "a:b\r\n", "x");
    std::string bytes = data + control + data;
    expect_scan(scan(bytes), data.size(), 1, Next::control, control.size());
    EXPECT_EQ(bytes.substr(data.size()), control + data);
  }
}

TEST(ScanFrames, RefusesABadHeaderAtItsSixteenthByte) {
  const std::string data = make_frame(OpCode::request, 1);
  const std::string bad = make_frame(OpCode::bye_signal, 2, "body");
  std::string bytes = data + bad.substr(0, kHeaderBytes - 1);
  expect_scan(scan(bytes), data.size(), 1, Next::incomplete, 0);
  bytes = data + bad.substr(0, kHeaderBytes);
  expect_scan(scan(bytes), data.size(), 1, Next::violation, 0);
  EXPECT_EQ(bytes.substr(data.size()), bad.substr(0, kHeaderBytes));
}

TEST(ScanFrames, TakesTheGreatestFrameAndMissesItsLastByte) {
  HeaderFields fields;
  fields.id = 1;
  const std::string part(65'535, 'p');
  std::string bytes = make_frame(fields, part, part);
  ASSERT_EQ(bytes.size(), kMaxFrameBytes);
  expect_scan(scan_frames(bytes_of(bytes), bytes.size() - 1, kChannel), 0, 0, Next::incomplete, kMaxFrameBytes);
  expect_scan(scan(bytes), kMaxFrameBytes, 1, Next::incomplete, 0);
}

TEST(ScanFrames, DoesNotLookBehindTheLengthItIsGiven) {
  const std::string data = make_frame(OpCode::request, 1);
  std::string bytes = data + make_frame(OpCode::bye_signal, 1);
  const size_t length = data.size() + kHeaderBytes - 1;
  expect_scan(scan_frames(bytes_of(bytes), length, kChannel), data.size(), 1, Next::incomplete, 0);
}

std::string random_stream(std::mt19937_64& random, std::vector<std::pair<bool, std::string>>* expected) {
  std::string stream;
  for (uint64_t count = random() % 12; count > 0; count--) {
    HeaderFields fields;
    const uint8_t op_code = static_cast<uint8_t>(random() % 7);
    const uint8_t more = op_code < 3 && random() % 4 == 0 ? kMoreBit : 0;
    fields.channel = static_cast<uint16_t>(random());
    fields.status = static_cast<Status>(random() % 256);
    fields.flags = static_cast<uint8_t>(op_code | more | (random() % 2 == 0 ? 0xd0 : 0));
    fields.id = random() | 1;
    const std::string headers(random() % 8, 'h');
    const std::string body(random() % 5 == 0 ? random() % 3000 : random() % 20, 'b');
    stream += make_frame(fields, headers, body);
    fields.channel = kChannel;
    fields.flags = op_code | more;
    fields.status = Status::success;
    expected->emplace_back(op_code == 3 || op_code > 4, make_frame(fields, headers, body));
  }
  return stream;
}

TEST(ScanFrames, FindsTheSameFramesHoweverTheStreamIsCut) {
  const uint64_t seed = test_seed();
  SCOPED_TRACE("TOFU_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; round++) {
    std::vector<std::pair<bool, std::string>> expected;
    std::string stream = random_stream(random, &expected);
    const bool breaks = random() % 3 == 0;
    if (breaks) stream += make_frame(OpCode::welcome_request, 1) + "anything";
    StreamReader reader(kChannel);
    const size_t most = 1 + random() % (random() % 2 == 0 ? 20 : 2000);
    bool going = true;
    for (size_t at = 0; at < stream.size();) {
      const size_t size = 1 + random() % most;
      going = reader.feed(std::string_view(stream).substr(at, size));
      at += size;
    }
    ASSERT_EQ(reader.frames(), expected);
    ASSERT_EQ(going, !breaks);
    ASSERT_EQ(reader.violated(), breaks);
    ASSERT_FALSE(reader.contradicted());
    ASSERT_EQ(reader.pending().empty(), !breaks);
  }
}

}  // namespace
}  // namespace test
}  // namespace tofu
