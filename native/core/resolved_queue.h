// resolved_queue.h: where lookups of host names put their answers. Layer: core.
// Owner: counted references, one per lookup under way and one of the engine's: a lookup that ends after the engine finds it
// closed. Thread: any.
#pragma once

#include <atomic>

#include "base/fifo.h"
#include "base/guarded.h"
#include "os/resolver.h"

namespace tofu {

struct Shared;

struct ResolvedItem {
  ResolvedItem* next = nullptr;
  Resolution resolution;
};

class ResolvedQueue final : public ResolutionSink {
 public:
  static ResolvedQueue* make(Shared* shared);
  void on_resolved(const Resolution& resolution) override;
  void retain() override;
  void release() override;
  /** Nothing is taken any more and the engine is not woken again. */
  void close();
  /** Engine thread: what has come; the caller deletes it. */
  ResolvedItem* take();
  bool has_some() const { return some_.load(std::memory_order_seq_cst); }

 private:
  struct State {
    Fifo<ResolvedItem> items;
    Shared* shared = nullptr;
  };
  ~ResolvedQueue();
  Guarded<State> state_;
  std::atomic<bool> some_{false};
  std::atomic<uint32_t> references_{1};
};

}  // namespace tofu
