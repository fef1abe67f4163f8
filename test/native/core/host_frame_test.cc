// host_frame_test.cc: frames between the wire's form and the one JavaScript sees.
#include "core/host_frame.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/host_frames.h"
#include "protocol/frames.h"

namespace tofu {
namespace {

constexpr uint16_t kChannel = 0x1234;

std::string frame_of(uint64_t id, size_t headers, size_t body) {
  HeaderFields fields;
  fields.channel = kChannel;
  fields.flags = static_cast<uint8_t>(OpCode::signal) | kMoreBit;
  fields.id = id;
  fields.headers_length = static_cast<uint16_t>(headers);
  fields.body_length = static_cast<uint16_t>(body);
  std::string frame(kHeaderBytes, '\0');
  write_header(reinterpret_cast<uint8_t*>(&frame[0]), fields);
  for (size_t i = 0; i < headers + body; i++) frame.push_back(static_cast<char>(id * 7 + i));
  return frame;
}

const uint8_t* bytes(const std::string& text) { return reinterpret_cast<const uint8_t*>(text.data()); }

/** Frames side by side as JavaScript stages them. */
std::vector<uint8_t> staged(const std::vector<std::string>& frames) {
  std::vector<uint8_t> memory;
  for (const std::string& frame : frames) {
    size_t at = memory.size();
    memory.resize(at + place_bytes(frame.size()), 0xee);
    write_host_frame(&memory[at], bytes(frame), frame.size());
  }
  return memory;
}

TEST(HostFrame, IsTheSameFrameBackAndForth) {
  for (size_t headers : {0, 1, 15, 16, 17, 65535}) {
    for (size_t body : {0, 1, 15, 16, 64, 65535}) {
      std::string frame = frame_of(0x0102030405060708, headers, body);
      std::vector<uint8_t> memory = staged({frame});
      EXPECT_EQ(test::wire_of(memory.data()), frame);
      bool data_only = true;
      size_t packed = pack_host_frames(memory.data(), memory.size(), 1, kChannel, memory.data(), &data_only);
      EXPECT_EQ(std::string(reinterpret_cast<char*>(memory.data()), packed), frame);
    }
  }
}

TEST(HostFrame, FramesOfAllSizesCloseUp) {
  std::vector<std::string> frames;
  std::string wire;
  for (size_t size = 0; size < 70; size++) {
    frames.push_back(frame_of(size + 1, size % 5, size));
    wire += frames.back();
  }
  std::vector<uint8_t> memory = staged(frames);
  bool data_only = true;
  size_t packed = pack_host_frames(memory.data(), memory.size(), 70, kChannel, memory.data(), &data_only);
  EXPECT_TRUE(data_only);
  EXPECT_EQ(std::string(reinterpret_cast<char*>(memory.data()), packed), wire);
}

TEST(HostFrame, LengthsThatAreNotThoseOfTheMemoryAreRefused) {
  std::vector<uint8_t> memory = staged({frame_of(1, 0, 20), frame_of(2, 3, 40)});
  auto pack = [&](size_t length, uint32_t frames) {
    std::vector<uint8_t> copy = memory;
    bool data_only = true;
    return pack_host_frames(copy.data(), length, frames, kChannel, copy.data(), &data_only);
  };
  EXPECT_NE(pack(memory.size(), 2), 0u);
  EXPECT_EQ(pack(memory.size(), 1), 0u);
  EXPECT_EQ(pack(memory.size(), 3), 0u);
  EXPECT_EQ(pack(memory.size() - kPlaceBytes, 2), 0u);
  EXPECT_EQ(pack(8, 1), 0u);
  EXPECT_EQ(pack(0, 0), 0u);
}

TEST(HostFrame, OneThatIsNotDataIsTold) {
  for (uint8_t op = 0; op < kOpCodeCount; op++) {
    std::string frame = frame_of(2, 0, 20);
    frame[kAtFlags] = static_cast<char>(op);
    std::vector<uint8_t> memory = staged({frame_of(1, 0, 10), frame, frame_of(3, 0, 10)});
    bool data_only = true;
    EXPECT_NE(pack_host_frames(memory.data(), memory.size(), 3, kChannel, memory.data(), &data_only), 0u);
    EXPECT_EQ(data_only, is_data(op));
    EXPECT_EQ(data_only, are_data(memory.data(), 3));
  }
  bool data_only = false;
  std::vector<uint8_t> memory = staged({frame_of(1, 0, 10)});
  EXPECT_NE(pack_host_frames(memory.data(), memory.size(), 1, kChannel, memory.data(), &data_only), 0u);
  EXPECT_FALSE(data_only);
}

}  // namespace
}  // namespace tofu
