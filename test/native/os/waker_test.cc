// waker_test.cc: many wakes for the price of one, and none of them lost. The source is included with read() renamed, so
// that the test can wake in the middle of drain(); the core's own copy is not linked then.
#include <unistd.h>

#include "os/os_support.h"
#include "os/waker.h"

namespace {

tofu::Waker* wake_around_read = nullptr;

ssize_t played_read(int fd, void* into, size_t length) {
  if (wake_around_read != nullptr) wake_around_read->wake();
  ssize_t got = read(fd, into, length);
  if (wake_around_read != nullptr) wake_around_read->wake();
  return got;
}

}  // namespace

#define read played_read
#include "os/waker.cc"  // NOLINT
#undef read

namespace tofu {
namespace test {
namespace {

bool is_readable(const Waker& waker) {
  pollfd one{waker.fd(), POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}

TEST(Waker, is_readable_from_a_wake_until_it_is_drained) {
  Waker waker;
  ASSERT_EQ(waker.open(), OsError::none);
  for (int i = 0; i < 3; i++) {
    EXPECT_FALSE(is_readable(waker));
    waker.wake();
    waker.wake();
    EXPECT_TRUE(is_readable(waker));
    waker.drain();
  }
  EXPECT_FALSE(is_readable(waker));
}

TEST(Waker, a_wake_in_the_middle_of_draining_does_not_swallow_the_next_one) {
  Waker waker;
  ASSERT_EQ(waker.open(), OsError::none);
  waker.wake();
  wake_around_read = &waker;
  waker.drain();
  wake_around_read = nullptr;
  waker.wake();
  EXPECT_TRUE(is_readable(waker));
}

#if defined(__linux__)
TEST(Waker, only_the_first_of_many_wakes_costs_a_system_call) {
  Waker waker;
  ASSERT_EQ(waker.open(), OsError::none);
  for (int i = 0; i < 1000; i++) waker.wake();
  uint64_t written = 0;
  ASSERT_EQ(::read(waker.fd(), &written, sizeof(written)), static_cast<ssize_t>(sizeof(written)));
  EXPECT_EQ(written, 1u);
}
#endif

}  // namespace
}  // namespace test
}  // namespace tofu
