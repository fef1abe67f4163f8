// counters.h: totals since the engine was made. Layer: core. Any thread writes and reads; each is a number of its own.
#pragma once

#include <atomic>
#include <cstdint>

namespace tofu {

// Name in stats(), and what it counts.
#define TOFU_COUNTERS(X)                                              \
  X(channels)           /* live, unseen ones included */              \
  X(listeners)                                                        \
  X(groups)                                                           \
  X(messagesIn)                                                       \
  X(messagesOut)                                                      \
  X(bytesIn)                                                          \
  X(bytesOut)                                                         \
  X(protocolViolations)                                               \
  X(acceptFailures)                                                   \
  X(doorbells)          /* an application thread was woken */         \
  X(wakes)              /* the engine thread was woken */             \
  X(inlineSends)        /* system calls by the posting thread */      \
  X(sendCalls)          /* system calls that wrote, inline included */ \
  X(readCalls)                                                        \
  X(queuedRuns)         /* runs that went to the engine thread */     \
  X(queuedBlocks)       /* of these, as blocks of their own */        \
  X(turns)              /* of the engine thread's loop */             \
  X(spins)              /* looks for work instead of sleeping */      \
  X(spinHits)           /* such looks that found some */              \
  X(parks)              /* times the engine thread slept */           \
  X(drives)             /* turns of the loop in an application thread */ \
  X(waits)              /* looks of an application thread for more before it sleeps */ \
  X(waitHits)           /* such looks that found some */              \
  X(batches)            /* drains that brought an application thread something */ \
  X(batchedEvents)      /* what these brought in all */

struct Counters {
#define X(name) std::atomic<uint64_t> name{0};
  TOFU_COUNTERS(X)
#undef X
};

inline void count(std::atomic<uint64_t>& counter, uint64_t by = 1) { counter.fetch_add(by, std::memory_order_relaxed); }

}  // namespace tofu
