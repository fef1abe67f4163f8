// bytes.h: big-endian integers in memory of any alignment.
// Layer: base. Any thread.
// Compilers make one load and one byte swap of each function; nothing here depends on the machine's byte order.
#pragma once

#include <cstdint>

namespace tofu {

inline uint16_t read_u16(const uint8_t* at) {
  return static_cast<uint16_t>((uint32_t{at[0]} << 8) | at[1]);
}

inline uint32_t read_u32(const uint8_t* at) {
  return (uint32_t{at[0]} << 24) | (uint32_t{at[1]} << 16) | (uint32_t{at[2]} << 8) | at[3];
}

inline uint64_t read_u64(const uint8_t* at) {
  return (uint64_t{at[0]} << 56) | (uint64_t{at[1]} << 48) | (uint64_t{at[2]} << 40) | (uint64_t{at[3]} << 32) |
         (uint64_t{at[4]} << 24) | (uint64_t{at[5]} << 16) | (uint64_t{at[6]} << 8) | at[7];
}

inline void write_u16(uint8_t* at, uint16_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

inline void write_u32(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 24);
  at[1] = static_cast<uint8_t>(value >> 16);
  at[2] = static_cast<uint8_t>(value >> 8);
  at[3] = static_cast<uint8_t>(value);
}

inline void write_u64(uint8_t* at, uint64_t value) {
  write_u32(at, static_cast<uint32_t>(value >> 32));
  write_u32(at + 4, static_cast<uint32_t>(value));
}

}  // namespace tofu
