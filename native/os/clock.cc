// clock.cc: the monotonic clock of the system.
// Layer: os. Thread: any.
#include "os/clock.h"

#include <time.h>

#include "os/immortal.h"

namespace tofu {
namespace {

class SystemClock final : public Clock {
 public:
  uint64_t now_ns() override {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
  }
};

}  // namespace

Clock& system_clock() { return immortal<SystemClock>(); }

}  // namespace tofu
