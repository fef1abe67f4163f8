// byte_queue.h: records of bytes from one thread to one other, in order, without a lock.
// Layer: base. A chain of segments: the producer fills the last one and links a new one when it is full; the consumer hands an
// emptied segment back, so two or three go round for ever. There is no "full": what bounds the queue is its user's business.
// Thread: reserve(), cancel(), publish(), all_consumed(): the producer; peek(), consume(): the consumer.
// Invariant: a record lies in one piece, aligned to 8 bytes; it is visible from publish() on, and valid until consume().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tofu {

class ByteQueue {
 public:
  ByteQueue() = default;
  ~ByteQueue();
  ByteQueue(const ByteQueue&) = delete;
  ByteQueue& operator=(const ByteQueue&) = delete;

  /** Room for a record of `size` bytes behind those not yet published; null: no memory, nothing has changed. */
  uint8_t* reserve(size_t size);
  /** Takes the last reserve() back, which must have had that size. */
  void cancel(size_t size);
  /** Everything reserved so far becomes visible. */
  void publish();
  /** Whether the consumer is done with all that was ever published. */
  bool all_consumed() const { return consumed_.load(std::memory_order_acquire) == produced_; }

  /** The next published bytes that lie in one piece; null when there are none. */
  uint8_t* peek(size_t* length);
  /** Whether there is something; any thread. */
  bool has_more() const { return published_.load(std::memory_order_seq_cst) != consumed_.load(std::memory_order_relaxed); }
  /** Done with the first `size` bytes of what peek() gave: whole records. */
  void consume(size_t size);

 private:
  /** Bytes follow behind it, aligned like it. */
  struct alignas(8) Segment {
    std::atomic<Segment*> next{nullptr};
    std::atomic<size_t> filled{0};  // published bytes
    size_t capacity = 0;
    size_t written = 0;   // producer's
    size_t consumed = 0;  // consumer's
    uint8_t* bytes() { return reinterpret_cast<uint8_t*>(this + 1); }
  };
  Segment* obtain(size_t size);

  // The producer's.
  Segment* tail_ = nullptr;
  Segment* unpublished_ = nullptr;  // first segment with records that are not published
  uint64_t produced_ = 0;           // bytes published
  uint64_t pending_ = 0;            // bytes reserved, not published
  // Shared.
  alignas(64) std::atomic<Segment*> first_{nullptr};
  std::atomic<Segment*> spare_{nullptr};
  std::atomic<uint64_t> published_{0};
  // The consumer's; consumed_ is read by the producer.
  alignas(64) std::atomic<uint64_t> consumed_{0};
  Segment* head_ = nullptr;
};

}  // namespace tofu
