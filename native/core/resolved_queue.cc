// resolved_queue.cc: answers of lookups, on their way to the engine's thread. Layer: core. Thread: see
// resolved_queue.h.
#include "core/resolved_queue.h"

#include <new>

#include "core/shared.h"

namespace tofu {

ResolvedQueue* ResolvedQueue::make(Shared* shared) {
  auto* queue = new (std::nothrow) ResolvedQueue();
  if (queue != nullptr) queue->state_.access()->shared = shared;
  return queue;
}

ResolvedQueue::~ResolvedQueue() {
  while (ResolvedItem* item = state_.access()->items.take()) delete item;
}

void ResolvedQueue::on_resolved(const Resolution& resolution) {
  // Without memory the answer is lost; the connect ends by its deadline then.
  auto* item = new (std::nothrow) ResolvedItem();
  if (item == nullptr) return;
  item->resolution = resolution;
  auto state = state_.access();
  if (state->shared == nullptr) {
    delete item;
    return;
  }
  state->items.push(item);
  some_.store(true, std::memory_order_seq_cst);
  // Under the lock, so that close() cannot come between: waking is a flag and at most one system call.
  state->shared->wake_engine();
}

void ResolvedQueue::retain() { references_.fetch_add(1, std::memory_order_relaxed); }

void ResolvedQueue::release() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

void ResolvedQueue::close() { state_.access()->shared = nullptr; }

ResolvedItem* ResolvedQueue::take() {
  if (!some_.load(std::memory_order_acquire)) return nullptr;
  auto state = state_.access();
  ResolvedItem* item = state->items.take();
  if (state->items.empty()) some_.store(false, std::memory_order_relaxed);
  return item;
}

}  // namespace tofu
