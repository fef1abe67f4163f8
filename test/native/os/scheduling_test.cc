// scheduling_test.cc: a thread that asks for short slices gets them where Linux has them, and nothing else about it changes.
#include "os/scheduling.h"

#include <gtest/gtest.h>

#ifdef __linux__
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <thread>

namespace tofu {
namespace {

struct Attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime_ns, deadline_ns, period_ns;
};
Attributes of_this_thread() {
  Attributes attributes{};
  EXPECT_EQ(syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0), 0);
  return attributes;
}
void in_a_thread(void (*body)()) { std::thread(body).join(); }

TEST(PreferShortSlices, shortens_the_slices_of_this_thread_alone) {
  in_a_thread([] {
    Attributes before = of_this_thread();
    prefer_short_slices();
    Attributes after = of_this_thread();
    // Before 6.12 there was no such thing, and what is told is 0.
    EXPECT_EQ(after.runtime_ns, before.runtime_ns == 0 ? 0u : 100'000u);
    EXPECT_EQ(after.policy, before.policy);
    EXPECT_EQ(after.nice, before.nice);
  });
  in_a_thread([] { EXPECT_NE(of_this_thread().runtime_ns, 100'000u); });
}
TEST(PreferShortSlices, keeps_how_nice_a_thread_is) {
  in_a_thread([] {
    ASSERT_EQ(setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 5), 0);
    prefer_short_slices();
    EXPECT_EQ(of_this_thread().nice, 5);
  });
}
TEST(PreferShortSlices, leaves_other_classes_of_threads_alone) {
  in_a_thread([] {
    sched_param none{};
    ASSERT_EQ(sched_setscheduler(0, SCHED_IDLE, &none), 0);
    prefer_short_slices();
    EXPECT_EQ(of_this_thread().policy, static_cast<uint32_t>(SCHED_IDLE));
  });
}

}  // namespace
}  // namespace tofu
#endif
