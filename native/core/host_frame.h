// host_frame.h: how frames lie in memory that the addon and JavaScript share: each at a multiple of 16 bytes, with a header of four
// words in this machine's byte order, which JavaScript reads and writes with plain loads and stores. They become frames of the wire,
// and these become such, in the same step that copies them. The same layout is in lib/native-engine/host-frame.ts.
// Layer: core. Thread: any. Invariant: lengths are believed only after they were compared with the memory that there is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "protocol/header.h"

namespace tofu {

constexpr size_t kPlaceBytes = 16;

/** Bytes that a frame of `length` takes there. */
inline size_t place_bytes(size_t length) { return (length + kPlaceBytes - 1) & ~(kPlaceBytes - 1); }

/** A frame of the wire to where JavaScript sees it. `length` is that of the frame. */
inline void write_host_frame(uint8_t* place, const uint8_t* frame, size_t length) {
  const uint32_t words[] = {
      static_cast<uint32_t>(frame[kAtFlags] | (frame[kAtStatus] << 8) | (channel_of(frame) << 16)),
      read_u32(frame + kAtIdHigh),
      read_u32(frame + kAtIdLow),
      static_cast<uint32_t>(headers_length(frame) | (body_length(frame) << 16)),
  };
  static_assert(sizeof(words) == kHeaderBytes);
  std::memcpy(place, words, kHeaderBytes);
  std::memcpy(place + kHeaderBytes, frame + kHeaderBytes, length - kHeaderBytes);
}

/**
 * Turns staged frames, exactly `frames` in exactly `length` bytes, into frames of the wire at `to`, which is not behind them.
 * @param data_only becomes false when one of them is not data
 * @returns their bytes; 0: they are not whole
 */
inline size_t pack_host_frames(const uint8_t* from, size_t length, uint32_t frames, uint16_t channel, uint8_t* to,
                               bool* data_only) {
  uint8_t* const begin = to;
  bool all_data = true;
  size_t at = 0;
  for (uint32_t i = 0; i < frames; i++) {
    if (length - at < kHeaderBytes) return 0;
    uint32_t words[4];
    std::memcpy(words, from + at, sizeof(words));
    const size_t content = (words[3] & 0xffff) + (words[3] >> 16);
    const size_t place = place_bytes(kHeaderBytes + content);
    if (length - at < place) return 0;
    HeaderFields fields;
    fields.channel = channel;
    fields.flags = static_cast<uint8_t>(words[0]);
    all_data &= is_data(fields.flags);
    fields.id = (static_cast<uint64_t>(words[1]) << 32) | words[2];
    fields.headers_length = static_cast<uint16_t>(words[3]);
    fields.body_length = static_cast<uint16_t>(words[3] >> 16);
    write_header(to, fields);
    // Without gaps in between nothing moves.
    if (to != from + at) std::memmove(to + kHeaderBytes, from + at + kHeaderBytes, content);
    to += kHeaderBytes + content;
    at += place;
  }
  *data_only &= all_data;
  return at == length ? static_cast<size_t>(to - begin) : 0;
}

}  // namespace tofu
