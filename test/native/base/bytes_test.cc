// bytes_test.cc: big-endian integers, at any alignment, without touching a neighbour.
#include "base/bytes.h"

#include <gtest/gtest.h>

#include <cstring>

namespace tofu {
namespace {

const uint8_t kAscending[] = {0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8};

TEST(Bytes, AreReadMostSignificantFirst) {
  EXPECT_EQ(read_u16(kAscending), 0x8192u);
  EXPECT_EQ(read_u32(kAscending), 0x8192a3b4u);
  EXPECT_EQ(read_u64(kAscending), 0x8192a3b4c5d6e7f8u);
}

TEST(Bytes, AreWrittenMostSignificantFirst) {
  uint8_t memory[8];
  write_u64(memory, 0x8192a3b4c5d6e7f8u);
  EXPECT_EQ(std::memcmp(memory, kAscending, 8), 0);
  std::memset(memory, 0, sizeof memory);
  write_u32(memory, 0x8192a3b4u);
  EXPECT_EQ(std::memcmp(memory, kAscending, 4), 0);
  std::memset(memory, 0, sizeof memory);
  write_u16(memory, 0x8192u);
  EXPECT_EQ(std::memcmp(memory, kAscending, 2), 0);
}

TEST(Bytes, MayLieAnywhereAndHaveNeighbours) {
  for (size_t at = 1; at <= 8; at++) {
    uint8_t memory[20];
    std::memset(memory, 0x5a, sizeof memory);
    write_u64(memory + at, 0xfedcba9876543210u);
    EXPECT_EQ(read_u64(memory + at), 0xfedcba9876543210u);
    write_u32(memory + at, 0xdeadbeefu);
    EXPECT_EQ(read_u32(memory + at), 0xdeadbeefu);
    write_u16(memory + at, 0xcafeu);
    EXPECT_EQ(read_u16(memory + at), 0xcafeu);
    EXPECT_EQ(read_u64(memory + at), 0xcafebeef76543210u);
    EXPECT_EQ(memory[at - 1], 0x5a);
    EXPECT_EQ(memory[at + 8], 0x5a);
  }
}

TEST(Bytes, HoldTheLeastAndTheGreatest) {
  uint8_t memory[8];
  for (uint64_t value : {uint64_t{0}, uint64_t{1}, UINT64_MAX}) {
    write_u64(memory, value);
    EXPECT_EQ(read_u64(memory), value);
    write_u32(memory, static_cast<uint32_t>(value));
    EXPECT_EQ(read_u32(memory), static_cast<uint32_t>(value));
    write_u16(memory, static_cast<uint16_t>(value));
    EXPECT_EQ(read_u16(memory), static_cast<uint16_t>(value));
  }
}

}  // namespace
}  // namespace tofu
