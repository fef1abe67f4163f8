// records.h: what a port's queue carries to the engine's thread. Layer: core. Each begins with its type and its size in bytes,
// a multiple of 8. Written by port.cc, read by reactor.cc; the reader may note its progress in a run.
#pragma once

#include <cstdint>

#include "core/port.h"

namespace tofu {

enum class RecordType : uint32_t { run = 1, command = 2, update = 3, block = 4 };

struct RecordHeader {
  RecordType type;
  uint32_t size;
};

/** Frames follow behind it. */
struct RunRecord {
  RecordHeader header;
  Run run;
  /** What is done: the frames before it went their way. */
  uint32_t offset;
  /** Bytes of the frame at `offset` that an inline send has put into the kernel. */
  uint32_t sent;
  uint8_t* bytes() { return reinterpret_cast<uint8_t*>(this + 1); }
};

/** Many bytes of data frames of one channel, in a block that can be queued as it is. Whoever takes the record owns it. */
struct alignas(8) BlockRecord {
  RecordHeader header;
  Event* block;
};

struct CommandRecord {
  RecordHeader header;
  Command kind;
  uint32_t a, b, c;
};

/** A frame follows behind it. */
struct UpdateRecord {
  RecordHeader header;
  uint32_t group;
  uint32_t length;
  uint8_t* bytes() { return reinterpret_cast<uint8_t*>(this + 1); }
};

// Also where pointers have 4 bytes: the reader goes from record to record by these sizes, the queue by multiples of 8.
static_assert(sizeof(BlockRecord) % 8 == 0, "a block record is as long as its room in the queue");

}  // namespace tofu
