// processors_test.cc: a thread is told how many processors it may use, not how many there are.
#include "os/processors.h"

#include <gtest/gtest.h>

#include <thread>
#ifdef __linux__
#include <sched.h>
#endif

namespace tofu {
namespace {

TEST(UsableProcessors, is_at_least_one_and_at_most_what_there_is) {
  EXPECT_GE(usable_processors(), 1);
  unsigned all = std::thread::hardware_concurrency();
  if (all > 0) {
    EXPECT_LE(usable_processors(), static_cast<int>(all));
  }
}

#ifdef __linux__
TEST(UsableProcessors, is_one_for_a_thread_that_is_bound_to_one) {
  int found = 0;
  std::thread bound([&] {
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    int first = 0;
    while (!CPU_ISSET(first, &set)) first++;
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    ASSERT_EQ(sched_setaffinity(0, sizeof set, &set), 0);
    found = usable_processors();
  });
  bound.join();
  EXPECT_EQ(found, 1);
}
#endif

}  // namespace
}  // namespace tofu
