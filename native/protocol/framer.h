// framer.h: finds the frames in a byte stream, in place.
// Layer: protocol. Knows the wire and nothing else: who holds the bytes, and what a frame does to its channel, is the
// caller's matter. Stateless: a frame that is not whole is met again when more bytes lie behind it.
// Invariant: nothing is believed of a header before kind_of() allowed it, and no byte at or behind `length` is touched.
#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/header.h"

namespace tofu {

enum class FrameKind : uint8_t {
  violation,  // no peer may send it
  data,       // Request, Response, Signal, HelloResponse
  control,    // HelloRequest, ByeRequest, ByeResponse: one at a time through the state table
};

/** Whether a header may come from the wire: a known opcode, an id, `more` only on regular messages. */
FrameKind kind_of(const uint8_t* header);

/** Makes a header from the wire a local one: nothing of the peer's origin, status, private bits or channel is left. */
inline void sanitise(uint8_t* frame, uint16_t channel) {
  write_u16(frame + kAtChannel, channel);
  frame[kAtFlags] &= kWireMask;
  frame[kAtStatus] = static_cast<uint8_t>(Status::success);
}

/** Where scan_frames() stopped, and why. */
struct Scan {
  /** Bytes of whole data frames at the front, and how many frames these are. They are sanitised. */
  size_t end;
  uint32_t frames;
  /** What lies at `end`; a control frame that is not whole is `incomplete`, a bad header a violation at once. */
  enum class Next : uint8_t { incomplete, control, violation } next;
  /** The frame at `end`, when it is no violation and its header is here; otherwise 0. It is not sanitised. */
  size_t length;
};

/** Walks whole data frames from bytes[0] on, sanitising each. The channel number is the local one. */
Scan scan_frames(uint8_t* bytes, size_t length, uint16_t channel);

}  // namespace tofu
