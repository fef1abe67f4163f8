// header_test.cc: the fields of a header, where they lie, and the tables of opcodes, constants and post states.
#include "protocol/header.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>

#include "protocol/post_check.h"

namespace tofu {
namespace {

TEST(Header, LaysOutItsFieldsAsTheWireHasThem) {
  HeaderFields fields;
  fields.channel = 0x0102;
  fields.flags = 0x23;
  fields.status = Status::channel_closed;
  fields.id = 0x05060708090a0b0cu;
  fields.headers_length = 0x0d0e;
  fields.body_length = 0x0f10;
  uint8_t frame[kHeaderBytes + 2];
  std::memset(frame, 0x5a, sizeof frame);
  write_header(frame + 1, fields);
  const uint8_t expected[] = {0x5a, 1, 2, 0x23, 22, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0x5a};
  EXPECT_EQ(std::memcmp(frame, expected, sizeof expected), 0);

  EXPECT_EQ(channel_of(frame + 1), 0x0102);
  EXPECT_EQ(op_code_of(frame + 1), OpCode::hello_request);
  EXPECT_EQ(message_id(frame + 1), 0x05060708090a0b0cu);
  EXPECT_EQ(headers_length(frame + 1), 0x0d0eu);
  EXPECT_EQ(body_length(frame + 1), 0x0f10u);
  EXPECT_EQ(frame_length(frame + 1), 16u + 0x0d0e + 0x0f10);
}

TEST(Header, HasRoomForTheGreatestFrame) {
  HeaderFields fields;
  fields.headers_length = 65'535;
  fields.body_length = 65'535;
  uint8_t frame[kHeaderBytes];
  write_header(frame, fields);
  EXPECT_EQ(frame_length(frame), 131'086u);
  EXPECT_EQ(frame_length(frame), kMaxFrameBytes);
}

TEST(Header, TellsTheTwoByesThatTravelFromTheOneThatDoesNot) {
  for (uint8_t raw = 0; raw < 16; raw++) EXPECT_EQ(is_bye(static_cast<OpCode>(raw)), raw == 5 || raw == 6) << int{raw};
}

template <size_t kCount>
void expect_numbered(const NamedNumber (&table)[kCount]) {
  std::set<std::string> names;
  for (size_t i = 0; i < kCount; i++) {
    EXPECT_EQ(table[i].value, i) << table[i].name;
    EXPECT_TRUE(names.insert(table[i].name).second) << table[i].name;
  }
}

TEST(Tables, OfOpCodesAndPostStatesAreNumberedInOrder) {
  EXPECT_EQ(kOpCodeCount, 10u);
  expect_numbered(kOpCodes);
  EXPECT_STREQ(kOpCodes[static_cast<size_t>(OpCode::bye_signal)].name, "ByeSignal");
  EXPECT_EQ(kPostStateCount, 5u);
  expect_numbered(kPostStates);
  EXPECT_STREQ(kPostStates[static_cast<size_t>(PostState::bye_posted)].name, "byePosted");
}

TEST(Tables, OfConstantsNameEachOnce) {
  std::set<std::string> names;
  for (const NamedNumber& constant : kConstants) EXPECT_TRUE(names.insert(constant.name).second) << constant.name;
  EXPECT_EQ(names.size(), kConstantCount);
  EXPECT_EQ(kWireMask, 0x2f);
  EXPECT_EQ(kMaxFrameBytes, 131'086u);
}

}  // namespace
}  // namespace tofu
