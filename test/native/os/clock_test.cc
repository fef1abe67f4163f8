// clock_test.cc: the system's clock only goes forward, in nanoseconds.
#include "os/clock.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tofu {
namespace {

TEST(SystemClock, goes_forward_with_the_steady_clock) {
  using std::chrono::nanoseconds;
  using std::chrono::steady_clock;
  const auto outer_start = steady_clock::now();
  const uint64_t start = system_clock().now_ns();
  const auto inner_start = steady_clock::now();
  uint64_t last = start;
  while (steady_clock::now() - inner_start < std::chrono::milliseconds(2)) {
    const uint64_t now = system_clock().now_ns();
    ASSERT_GE(now, last);
    last = now;
  }
  const auto inner_end = steady_clock::now();
  const uint64_t end = system_clock().now_ns();
  const auto outer_end = steady_clock::now();
  EXPECT_GE(end - start, static_cast<uint64_t>(nanoseconds(inner_end - inner_start).count()));
  EXPECT_LE(end - start, static_cast<uint64_t>(nanoseconds(outer_end - outer_start).count()));
}

}  // namespace
}  // namespace tofu
