// shared.cc: channel numbers, the tables that threads share, and waking the engine's thread. Layer: core. Thread: any.
#include "core/shared.h"

#include <cstdlib>

#include "core/resolved_queue.h"
#include "os/poller.h"

namespace tofu {

ChannelNumbers::~ChannelNumbers() { std::free(released_); }

bool ChannelNumbers::prepare(uint32_t most) {
  most_ = most;
  released_ = static_cast<uint16_t*>(std::malloc(sizeof(uint16_t) * kChannelTableSize));
  return released_ != nullptr;
}

uint32_t ChannelNumbers::take() {
  if (used_ >= most_) return 0;
  if (fresh_ <= kLastChannel) {
    used_++;
    return fresh_++;
  }
  if (released_count_ == 0) return 0;
  uint32_t number = released_[first_released_];
  first_released_ = (first_released_ + 1) % kChannelTableSize;
  released_count_--;
  used_++;
  return number;
}

void ChannelNumbers::release(uint32_t number) {
  released_[(first_released_ + released_count_) % kChannelTableSize] = static_cast<uint16_t>(number);
  released_count_++;
  used_--;
}

Group* GroupTable::find(uint32_t id) {
  Group* found = nullptr;
  buckets[id % kBuckets].each([&](Group* group) {
    if (group->id == id) found = group;
  });
  return found;
}

bool Shared::prepare(const EngineOptions& given, const Kernel& kernel_given) {
  options = given;
  kernel = kernel_given;
  // Zeroed by the kernel page by page, so that numbers nobody uses cost nothing. Zero is: closed, unknown.
  gates = static_cast<Gate*>(std::calloc(kChannelTableSize, sizeof(Gate)));
  posts = static_cast<PostEntry*>(std::calloc(kChannelTableSize, sizeof(PostEntry)));
  resolved = ResolvedQueue::make(this);
  return gates != nullptr && posts != nullptr && resolved != nullptr && numbers.access()->prepare(given.max_channels);
}

Shared::~Shared() {
  if (resolved != nullptr) {
    resolved->close();
    resolved->release();
  }
  std::free(gates);
  std::free(posts);
  delete kernel.poller;
}

void Shared::wake_engine() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (parked.load(std::memory_order_relaxed) && parked.exchange(false, std::memory_order_acq_rel)) {
    count(counters.wakes);
    kernel.poller->wake();
  }
}

}  // namespace tofu
