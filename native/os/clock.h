// clock.h: the time, as the reactor is given it. Layer: os. A test has a clock of its own.
#pragma once

#include <cstdint>

namespace tofu {

inline constexpr uint64_t kNsPerMs = 1'000'000;

class Clock {
 public:
  virtual ~Clock() = default;
  /** Monotonic nanoseconds; any thread. */
  virtual uint64_t now_ns() = 0;
};

/** CLOCK_MONOTONIC. Lives for ever. */
Clock& system_clock();

}  // namespace tofu
