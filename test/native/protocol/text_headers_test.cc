// text_headers_test.cc: reading and writing single text headers beyond what the vectors say.
#include "protocol/text_headers.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "seed.h"

namespace tofu {
namespace test {
namespace {

TEST(NextField, GivesViewsOfTheBlock) {
  const std::string block = "\r\nab: cd \r\ne:f";
  Field field;
  ASSERT_TRUE(next_field(block, 0, &field));
  EXPECT_EQ(field.name, "ab");
  EXPECT_EQ(field.value, "cd");
  EXPECT_EQ(field.name.data(), block.data() + 2);
  EXPECT_EQ(field.value.data(), block.data() + 6);
  EXPECT_EQ(field.next, 11u);
  ASSERT_TRUE(next_field(block, field.next, &field));
  EXPECT_EQ(field.name, "e");
  EXPECT_EQ(field.value, "f");
  EXPECT_EQ(field.next, block.size());
  EXPECT_FALSE(next_field(block, field.next, &field));
}

TEST(NextField, LeavesTheFieldAloneAtTheEndAndAtAnEmptyName) {
  Field field{"n", "v", 7};
  EXPECT_FALSE(next_field("", 0, &field));
  EXPECT_FALSE(next_field("\r\n\r\n", 0, &field));
  EXPECT_FALSE(next_field("\r\n:v\r\na:b\r\n", 0, &field));
  EXPECT_FALSE(next_field("a:b", 3, &field));
  EXPECT_FALSE(next_field("a:b", 99, &field));
  EXPECT_EQ(field.name, "n");
  EXPECT_EQ(field.value, "v");
  EXPECT_EQ(field.next, 7u);
}

TEST(NextField, TakesBytesOfAnyKind) {
  const std::string block("n\0\xff:\0\x80\r\n", 8);
  Field field;
  ASSERT_TRUE(next_field(block, 0, &field));
  EXPECT_EQ(field.name, std::string("n\0\xff", 3));
  EXPECT_EQ(field.value, std::string("\0\x80", 2));
  ASSERT_TRUE(next_field("\r", 0, &field));
  EXPECT_EQ(field.name, "\r");
}

TEST(FindField, FindsTheFirstOfThatNameAndItsLine) {
  const std::string block = "x:1\r\n\r\na: 2 \r\nb:3\r\na:4\r\n";
  std::string_view value;
  size_t at = 0;
  size_t next = 0;
  ASSERT_TRUE(find_field(block, "a", &value, &at, &next));
  EXPECT_EQ(value, "2");
  EXPECT_EQ(block.substr(at, next - at), "a: 2 \r\n");
  ASSERT_TRUE(find_field(block, "b", &value, nullptr, nullptr));
  EXPECT_EQ(value, "3");
  EXPECT_TRUE(find_field(block, "x", nullptr, nullptr, nullptr));
}

TEST(FindField, FindsNeitherPartsNorOtherCasesNorWhatIsBehindTheEndOfReading) {
  std::string_view value = "untouched";
  size_t at = 5;
  size_t next = 6;
  EXPECT_FALSE(find_field("ab:1\r\n", "a", &value, &at, &next));
  EXPECT_FALSE(find_field("a:1\r\n", "A", &value, &at, &next));
  EXPECT_FALSE(find_field("b:a\r\n", "a", &value, &at, &next));
  EXPECT_FALSE(find_field("b:1\r\n:\r\na:1\r\n", "a", &value, &at, &next));
  EXPECT_FALSE(find_field("", "", &value, &at, &next));
  EXPECT_EQ(value, "untouched");
  EXPECT_EQ(at, 5u);
  EXPECT_EQ(next, 6u);
}

TEST(EncodeField, NeedsRoomForEveryByteAndWritesNoMore) {
  char memory[12];
  size_t written = 0;
  for (size_t room = 0; room < 8; room++) {
    memory[0] = '#';
    EXPECT_EQ(encode_field("na", "val", memory, room, &written), FieldFault::no_room);
    EXPECT_EQ(written, 0u);
    EXPECT_EQ(memory[0], '#');
  }
  memory[8] = '#';
  EXPECT_EQ(encode_field("na", "val", memory, 8, &written), FieldFault::none);
  EXPECT_EQ(std::string(memory, written), "na:val\r\n");
  EXPECT_EQ(memory[8], '#');
}

TEST(EncodeField, RefusesLineEndsInsideAndEmptyParts) {
  char memory[64];
  size_t written = 0;
  const auto fault = [&](std::string_view name, std::string_view value) {
    return encode_field(name, value, memory, sizeof memory, &written);
  };
  EXPECT_EQ(fault("a\nb", "1"), FieldFault::bad_name);
  EXPECT_EQ(fault("a\rb", "1"), FieldFault::bad_name);
  EXPECT_EQ(fault("\r\n", "1"), FieldFault::bad_name);
  EXPECT_EQ(fault("", ""), FieldFault::bad_name);
  EXPECT_EQ(fault("a:", ""), FieldFault::bad_value);
  EXPECT_EQ(fault("a", "\r"), FieldFault::bad_value);
  EXPECT_EQ(fault("a", "1\n"), FieldFault::bad_value);
  EXPECT_EQ(fault("\r\n a\t\r\n", "1"), FieldFault::none);
  EXPECT_EQ(std::string(memory, written), "a:1\r\n");
}

std::string random_text(std::mt19937_64& random, const std::string& alphabet) {
  std::string text;
  for (uint64_t length = random() % 10; length > 0; length--) text += alphabet[random() % alphabet.size()];
  return text;
}

TEST(TextHeaders, ReadBackWhatWasWrittenButForBlanksAroundTheValue) {
  const uint64_t seed = test_seed();
  SCOPED_TRACE("TOFU_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  int taken = 0;
  for (int round = 0; round < 2000; round++) {
    const std::string name = random_text(random, "abc \t~\xc3");
    const std::string value = random_text(random, "ab:= \t\xff");
    char memory[64];
    size_t written = 0;
    if (encode_field(name, value, memory, sizeof memory, &written) != FieldFault::none) continue;
    taken++;
    Field field;
    ASSERT_TRUE(next_field(std::string_view(memory, written), 0, &field));
    ASSERT_EQ(field.next, written);
    ASSERT_NE(name.find(field.name), std::string::npos);
    ASSERT_NE(value.find(field.value), std::string::npos);
    const size_t begin = value.find(field.value);
    const std::string around = value.substr(0, begin) + value.substr(begin + field.value.size());
    ASSERT_EQ(around.find_first_not_of(" \t"), std::string::npos) << value;
  }
  EXPECT_GT(taken, 500);
}

}  // namespace
}  // namespace test
}  // namespace tofu
