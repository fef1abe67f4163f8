// byte_queue.cc: segments, and what is published of them. Layer: base. Thread: see byte_queue.h.
// Invariant: consumed_ never passes published_, and a segment is given back only when a later one holds something.
#include "base/byte_queue.h"

#include <cstdlib>
#include <new>

#include "base/assert.h"

namespace tofu {

namespace {
/** Two or three of these stay in the cache of a core; greater records get a segment of their own size. */
constexpr size_t kSegmentBytes = 128 * 1024;
constexpr size_t kAlign = 8;
}  // namespace

ByteQueue::~ByteQueue() {
  Segment* segment = head_ != nullptr ? head_ : first_.load(std::memory_order_acquire);
  while (segment != nullptr) {
    Segment* next = segment->next.load(std::memory_order_acquire);
    std::free(segment);
    segment = next;
  }
  std::free(spare_.load(std::memory_order_acquire));
}

ByteQueue::Segment* ByteQueue::obtain(size_t size) {
  Segment* segment = spare_.exchange(nullptr, std::memory_order_acquire);
  if (segment != nullptr && segment->capacity < size) {
    std::free(segment);
    segment = nullptr;
  }
  size_t capacity = size > kSegmentBytes ? size : kSegmentBytes;
  if (segment != nullptr) capacity = segment->capacity;
  else segment = static_cast<Segment*>(std::malloc(sizeof(Segment) + capacity));
  if (segment == nullptr) return nullptr;
  new (segment) Segment();
  segment->capacity = capacity;
  return segment;
}

uint8_t* ByteQueue::reserve(size_t size) {
  size = (size + kAlign - 1) & ~(kAlign - 1);
  if (tail_ == nullptr || tail_->capacity - tail_->written < size) {
    Segment* segment = obtain(size);
    if (segment == nullptr) return nullptr;
    if (tail_ == nullptr) {
      unpublished_ = segment;
      first_.store(segment, std::memory_order_release);
    } else {
      tail_->next.store(segment, std::memory_order_release);
    }
    tail_ = segment;
  }
  uint8_t* record = tail_->bytes() + tail_->written;
  tail_->written += size;
  pending_ += size;
  return record;
}

void ByteQueue::publish() {
  if (pending_ == 0) return;
  while (unpublished_ != tail_) {
    // Another store to the one before last may free it: the link is read first.
    Segment* next = unpublished_->next.load(std::memory_order_relaxed);
    unpublished_->filled.store(unpublished_->written, std::memory_order_release);
    unpublished_ = next;
  }
  tail_->filled.store(tail_->written, std::memory_order_release);
  produced_ += pending_;
  pending_ = 0;
  published_.store(produced_, std::memory_order_seq_cst);
}

void ByteQueue::cancel(size_t size) {
  size = (size + kAlign - 1) & ~(kAlign - 1);
  TOFU_DCHECK(size <= pending_ && size <= tail_->written);
  tail_->written -= size;
  pending_ -= size;
}

uint8_t* ByteQueue::peek(size_t* length) {
  // `filled` of a segment may run ahead of this for a moment; what it says too much is left for the next time.
  uint64_t left = published_.load(std::memory_order_acquire) - consumed_.load(std::memory_order_relaxed);
  if (left == 0) return nullptr;
  if (head_ == nullptr) head_ = first_.load(std::memory_order_acquire);
  for (;;) {
    size_t filled = head_->filled.load(std::memory_order_acquire);
    if (filled > head_->consumed) {
      *length = filled - head_->consumed;
      if (*length > left) *length = static_cast<size_t>(left);
      return head_->bytes() + head_->consumed;
    }
    // Something is published and it is not here: records are published in order, so nothing more will be.
    Segment* empty = head_;
    head_ = empty->next.load(std::memory_order_acquire);
    TOFU_ASSERT(head_ != nullptr);
    std::free(spare_.exchange(empty, std::memory_order_acq_rel));
  }
}

void ByteQueue::consume(size_t size) {
  TOFU_DCHECK(head_ != nullptr && head_->consumed + size <= head_->filled.load(std::memory_order_relaxed));
  head_->consumed += size;
  consumed_.store(consumed_.load(std::memory_order_relaxed) + size, std::memory_order_release);
}

}  // namespace tofu
