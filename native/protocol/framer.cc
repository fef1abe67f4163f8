// framer.cc: the walk over the frames of a chunk.
#include "protocol/framer.h"

namespace tofu {
namespace {

/** One entry for each value of the flags byte under kWireMask; what is not named is a violation. */
struct KindTable {
  FrameKind by_flags[kWireMask + 1] = {};

  constexpr KindTable() {
    for (OpCode regular : {OpCode::request, OpCode::response, OpCode::signal}) {
      allow(regular, FrameKind::data);
      by_flags[static_cast<uint8_t>(regular) | kMoreBit] = FrameKind::data;
    }
    allow(OpCode::hello_response, FrameKind::data);
    for (OpCode control : {OpCode::hello_request, OpCode::bye_request, OpCode::bye_response}) {
      allow(control, FrameKind::control);
    }
  }

  constexpr void allow(OpCode op_code, FrameKind kind) { by_flags[static_cast<uint8_t>(op_code)] = kind; }
};
constexpr KindTable kKinds;

}  // namespace

FrameKind kind_of(const uint8_t* header) {
  return message_id(header) == 0 ? FrameKind::violation : kKinds.by_flags[header[kAtFlags] & kWireMask];
}

Scan scan_frames(uint8_t* bytes, size_t length, uint16_t channel) {
  size_t at = 0;
  uint32_t frames = 0;
  while (length - at >= kHeaderBytes) {
    uint8_t* frame = bytes + at;
    const FrameKind kind = kind_of(frame);
    if (kind == FrameKind::violation) return {at, frames, Scan::Next::violation, 0};
    const size_t needed = frame_length(frame);
    if (needed > length - at) return {at, frames, Scan::Next::incomplete, needed};
    if (kind == FrameKind::control) return {at, frames, Scan::Next::control, needed};
    sanitise(frame, channel);
    at += needed;
    frames++;
  }
  return {at, frames, Scan::Next::incomplete, 0};
}

}  // namespace tofu
