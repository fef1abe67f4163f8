// header.h: the fixed header at the front of a frame, read and written in place.
// Layer: protocol. Knows bytes; knows neither messages nor sockets.
// Invariant: all integers are big-endian; nothing outside [frame, frame + kHeaderBytes) is touched.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "protocol/constants.h"
#include "protocol/op_code.h"
#include "protocol/status.h"

namespace tofu {

/** The opcode in the bytes, valid or not: 10 to 15 have no name. */
/** Whether a frame with these flags changes nothing about its channel: only such may pass the engine's thread by. */
inline bool is_data(uint8_t flags) {
  const auto op = static_cast<OpCode>(flags & kOpCodeMask);
  return op <= OpCode::signal || op == OpCode::hello_response;
}

inline OpCode op_code_of(const uint8_t* frame) {
  return static_cast<OpCode>(frame[kAtFlags] & kOpCodeMask);
}

inline uint16_t channel_of(const uint8_t* frame) {
  return read_u16(frame + kAtChannel);
}

inline uint64_t message_id(const uint8_t* frame) {
  return read_u64(frame + kAtIdHigh);
}

inline size_t headers_length(const uint8_t* frame) {
  return read_u16(frame + kAtHeadersLength);
}

inline size_t body_length(const uint8_t* frame) {
  return read_u16(frame + kAtBodyLength);
}

/** The whole frame, header included: kHeaderBytes to kMaxFrameBytes. */
inline size_t frame_length(const uint8_t* frame) {
  return kHeaderBytes + headers_length(frame) + body_length(frame);
}

/** is_data() of `count` frames that lie side by side. */
inline bool are_data(const uint8_t* frames, uint32_t count) {
  for (; count > 0; count--, frames += frame_length(frames)) {
    if (!is_data(frames[kAtFlags])) return false;
  }
  return true;
}

/** Whether it is one of the two Byes that travel. */
inline bool is_bye(OpCode op_code) {
  return op_code == OpCode::bye_request || op_code == OpCode::bye_response;
}

/** The fields of a header as numbers. */
struct HeaderFields {
  uint16_t channel = 0;
  /** Opcode, origin and more, as in the flags byte. */
  uint8_t flags = 0;
  Status status = Status::success;
  uint64_t id = 0;
  uint16_t headers_length = 0;
  uint16_t body_length = 0;
};

/** Writes all 16 bytes. */
inline void write_header(uint8_t* frame, const HeaderFields& fields) {
  write_u16(frame + kAtChannel, fields.channel);
  frame[kAtFlags] = fields.flags;
  frame[kAtStatus] = static_cast<uint8_t>(fields.status);
  write_u64(frame + kAtIdHigh, fields.id);
  write_u16(frame + kAtHeadersLength, fields.headers_length);
  write_u16(frame + kAtBodyLength, fields.body_length);
}

}  // namespace tofu
