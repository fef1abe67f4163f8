// vectors_test.cc: every line of the vector file against the C++ protocol, as test/unit/protocol does for TypeScript.
#include "vectors.h"

#include <gtest/gtest.h>

#include "frames.h"
#include "protocol/framer.h"
#include "protocol/text_headers.h"

namespace tofu {
namespace test {
namespace {

const Vectors& vectors() {
  static const Vectors all = read_vectors(TOFU_SOURCE_DIR "/test/vectors/vectors.txt");
  return all;
}

TEST(Vectors, AreAllReadAndOfEveryKind) {
  EXPECT_EQ(vectors().unread, std::vector<std::string>{});
  size_t clean = 0;
  for (const FrameVector& vector : vectors().frames) clean += vector.clean ? 1 : 0;
  EXPECT_EQ(clean, 2u);
  EXPECT_EQ(vectors().frames.size() - clean, 16u);
  EXPECT_EQ(vectors().bad.size(), 7u);
  EXPECT_EQ(vectors().headers.size(), 19u);
  EXPECT_EQ(vectors().append.size(), 9u);
}

TEST(Vectors, OfGoodFramesAreWrittenByteForByte) {
  for (const FrameVector& vector : vectors().frames) {
    if (vector.clean) continue;
    SCOPED_TRACE(vector.name);
    HeaderFields fields;
    fields.channel = vector.channel;
    fields.flags = static_cast<uint8_t>(vector.op_code | (vector.more ? kMoreBit : 0));
    fields.id = vector.id;
    std::string expected = vector.frame;
    // Two bits of the flags byte belong to whoever wrote the frame and mean nothing on the wire.
    bytes_of(expected)[kAtFlags] &= kWireMask;
    EXPECT_EQ(make_frame(fields, vector.headers, vector.body), expected);
  }
}

TEST(Vectors, OfGoodAndCleanFramesAreReadWithEveryField) {
  for (const FrameVector& vector : vectors().frames) {
    SCOPED_TRACE(vector.name);
    const uint8_t* frame = bytes_of(vector.frame);
    EXPECT_NE(kind_of(frame), FrameKind::violation);
    EXPECT_EQ(channel_of(frame), vector.channel);
    EXPECT_EQ(op_code_of(frame), static_cast<OpCode>(vector.op_code));
    EXPECT_EQ((frame[kAtFlags] & kMoreBit) != 0, vector.more);
    EXPECT_EQ(message_id(frame), vector.id);
    ASSERT_EQ(frame_length(frame), vector.frame.size());
    EXPECT_EQ(vector.frame.substr(kHeaderBytes, headers_length(frame)), vector.headers);
    EXPECT_EQ(vector.frame.substr(kHeaderBytes + headers_length(frame)), vector.body);
  }
}

TEST(Vectors, OfGoodAndCleanFramesAreSanitised) {
  for (const FrameVector& vector : vectors().frames) {
    SCOPED_TRACE(vector.name);
    StreamReader reader(0x1234);
    EXPECT_TRUE(reader.feed(vector.frame));
    ASSERT_EQ(reader.frames().size(), 1u);
    HeaderFields fields;
    fields.channel = 0x1234;
    fields.flags = static_cast<uint8_t>(vector.op_code | (vector.more ? kMoreBit : 0));
    fields.id = vector.id;
    EXPECT_EQ(reader.frames()[0].second, make_frame(fields, vector.headers, vector.body));
    EXPECT_EQ(reader.pending(), "");
  }
}

TEST(Vectors, OfBadFramesAreViolations) {
  for (const BadVector& vector : vectors().bad) {
    SCOPED_TRACE(vector.name);
    EXPECT_EQ(kind_of(bytes_of(vector.frame)), FrameKind::violation);
    StreamReader reader(1);
    EXPECT_FALSE(reader.feed(vector.frame));
    EXPECT_TRUE(reader.frames().empty());
    EXPECT_EQ(reader.pending(), vector.frame);
  }
}

TEST(Vectors, OfTextHeadersAreReadAsTheirPairs) {
  for (const HeadersVector& vector : vectors().headers) {
    SCOPED_TRACE(vector.raw);
    std::vector<std::pair<std::string, std::string>> pairs;
    Field field;
    for (size_t at = 0; next_field(vector.raw, at, &field); at = field.next) {
      pairs.emplace_back(field.name, field.value);
    }
    EXPECT_EQ(pairs, vector.pairs);
  }
}

TEST(Vectors, OfHeadersToWriteAreWrittenOrRefused) {
  for (const AppendVector& vector : vectors().append) {
    SCOPED_TRACE(vector.name + " = " + vector.value);
    char memory[64];
    size_t written = 99;
    const FieldFault fault = encode_field(vector.name, vector.value, memory, sizeof memory, &written);
    if (vector.refusal.empty()) {
      EXPECT_EQ(fault, FieldFault::none);
    } else {
      EXPECT_EQ(fault, vector.refusal == "BadName" ? FieldFault::bad_name : FieldFault::bad_value);
    }
    EXPECT_EQ(std::string(memory, written), vector.bytes);
  }
}

}  // namespace
}  // namespace test
}  // namespace tofu
