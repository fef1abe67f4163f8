// send_queue.h: posted frames of one connection that the kernel has not taken yet, as blocks of bytes.
// Layer: core. Owner: the Connection. Thread: reactor only.
// Invariant: every block begins with a frame that is not sent, of which `sent` bytes may be.
#pragma once

#include <cstddef>

#include "base/fifo.h"
#include "core/channel.h"
#include "core/event.h"
#include "os/sockets.h"
#include "protocol/header.h"

namespace tofu {

/** A block with a copy of the piece; null: no memory. It counts among the blocks of its port. */
Event* make_block(const Piece& piece);
/** The block leaves the engine without being told: its port counts one less. */
void drop_block(Event* block);

/** One of `frames` frames that lie together is sent, of which so many are answers; how many of these count no more: the last ones stay. */
inline uint32_t take_answers(uint32_t* answers, uint32_t frames) {
  const uint32_t ended = *answers >= frames ? *answers - frames + 1 : 0;
  *answers -= ended;
  return ended;
}

class SendQueue {
 public:
  bool empty() const { return blocks_.empty(); }
  /** false: no memory, nothing has changed. */
  bool append(const Piece& piece);
  void push(Event* block) { blocks_.push(block); }
  /** Before everything else: the rest of a frame that was cut. */
  void push_front(Event* block) { blocks_.push_front(block); }
  /** What to write next; at most `max` slices. */
  int slices(Slice* out, int max, size_t* total) const;
  /**
   * The kernel has taken `bytes`. Calls `sent(block, frame, answers)` for each frame that is out as a whole, before its block goes;
   * `answers`: how many of the block's count no more.
   */
  template <typename Sent>
  void consume(size_t bytes, Sent sent) {
    while (bytes > 0) {
      Event* block = blocks_.front();
      size_t left = block->length() - block->sent;
      size_t taken = bytes < left ? bytes : left;
      bytes -= taken;
      block->sent += static_cast<uint32_t>(taken);
      while (block->count > 0 && block->sent >= frame_length(block->begin())) {
        const uint8_t* frame = block->begin();
        uint32_t length = static_cast<uint32_t>(frame_length(frame));
        sent(*block, frame, take_answers(&block->answers, block->count));
        block->at += length;
        block->sent -= length;
        block->count--;
      }
      if (block->count > 0) return;
      drop_block(blocks_.take());
    }
  }
  Event* take() { return blocks_.take(); }
  template <typename Visit>
  void each_block(Visit visit) {
    blocks_.each(visit);
  }
  template <typename Visit>
  void each_frame(Visit visit) {
    each_block([&](Event* block) {
      const uint8_t* frame = block->begin();
      for (uint32_t i = 0; i < block->count; i++, frame += frame_length(frame)) visit(frame);
    });
  }

 private:
  Fifo<Event> blocks_;
};

}  // namespace tofu
