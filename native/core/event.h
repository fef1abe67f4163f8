// event.h: one thing that travels from the engine thread to an application thread, with its bytes behind it.
// The same block holds received frames, posted frames that could not be sent at once, and statuses: what has to come back to
// the application is relabelled and linked elsewhere, never copied, so that running out of memory cannot lose it.
// Layer: core. Owner: one list at a time: a send queue, a tail, the engine's outgoing list, a port's inbox.
#pragma once

#include <cstddef>
#include <cstdint>

#include "os/os_error.h"

namespace tofu {

class Port;

/** The numbers are part of the contract with the JavaScript half. */
enum class EventKind : uint32_t {
  frames = 1,        // received frames of a channel; count: how many
  opened = 2,        // an accepted channel becomes visible; its HelloRequest follows
  mail = 3,          // frames for the group that need no pool message
  ended = 4,         // no more frames of this channel come
  tail = 5,          // frames of an ended channel that come back
  last = 6,          // the tail is complete; status: of what is posted later
  group_gone = 7,    // closeGroup is done
  engine_gone = 8,   // everything is closed
  credit = 9,        // count messages that were posted with this group as tag are settled
  violation = 10,    // a peer broke the protocol
  sockets_gone = 11, // no channel of this port has a socket any more
};

struct Event {
  Event* next = nullptr;
  EventKind kind = EventKind::mail;
  uint32_t group = 0;
  uint32_t channel = 0;
  uint32_t generation = 0;
  /** Where what is left of the bytes begins and ends. */
  uint32_t at = 0;
  uint32_t end = 0;
  uint32_t capacity = 0;
  uint32_t count = 0;
  /** On mail and tail: whose post it was; null: the engine's own, or settled already. On a queued block: never null. */
  Port* poster = nullptr;
  /** On a queued block: the group whose reserve gets the credit back, or 0. */
  uint32_t tag = 0;
  /** On a queued block: how many of its frames count as unsent answers of the channel. */
  uint32_t answers = 0;
  /** On a queued block: bytes of the frame at `at` that the kernel has taken. */
  uint32_t sent = 0;
  /** On mail, tail and last: what the system said when the channel ended. */
  OsError reason = OsError::none;

  uint8_t* bytes() { return reinterpret_cast<uint8_t*>(this + 1); }
  uint8_t* begin() { return bytes() + at; }
  uint32_t length() const { return end - at; }
  uint32_t room() const { return capacity - end; }
};

/** What one read brings at most: about what a Unix socket holds by default is read in a few. */
constexpr size_t kChunkBytes = 64 * 1024;

/** Null: no memory. */
Event* make_event(size_t capacity);
void free_event(Event* event);

}  // namespace tofu
