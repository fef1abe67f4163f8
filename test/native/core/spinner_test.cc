// spinner_test.cc: when a thread looks for work instead of sleeping, and when it is left alone. Time is a script: each look at the clock
// is one step further.
#include "core/spinner.h"

#include <gtest/gtest.h>

namespace tofu {
namespace {

constexpr uint64_t kLimitNs = 50'000;
constexpr uint64_t kMs = 1'000'000;

class SteppingClock : public Clock {
 public:
  uint64_t now_ns() override { return now += step; }
  uint64_t now = 1'000 * kMs;
  uint64_t step = 1'000;
};

bool nothing() { return false; }
bool something() { return true; }

class SpinnerTest : public testing::Test {
 protected:
  bool look(bool (*found)()) {
    bool is_found = spinner_.look(clock_, kLimitNs, found);
    if (!is_found) spinner_.note_vain();
    return is_found;
  }
  /** Giving way takes long, again and again: others want the core. */
  void make_busy() {
    clock_.step = kMs / 5;
    for (int i = 0; i < 4; i++) EXPECT_FALSE(look(nothing));
    clock_.step = 1'000;
  }
  SteppingClock clock_;
  Spinner spinner_;
};

TEST_F(SpinnerTest, LooksOnlyAfterShortSleeps) {
  EXPECT_FALSE(spinner_.worth_it());
  spinner_.note_short_sleep();
  EXPECT_TRUE(spinner_.worth_it());
}
TEST_F(SpinnerTest, FindsWhatComesInTime) {
  spinner_.note_short_sleep();
  EXPECT_TRUE(look(something));
  EXPECT_TRUE(spinner_.worth_it());
}
TEST_F(SpinnerTest, GivesUpWhenItLooksInVain) {
  for (int i = 0; i < 100; i++) spinner_.note_short_sleep();
  int looks = 0;
  for (; spinner_.worth_it(); looks++) EXPECT_FALSE(look(nothing));
  EXPECT_EQ(looks, 8);
}
TEST_F(SpinnerTest, NeverLooksWhereThereIsNoLimit) {
  spinner_.note_short_sleep();
  EXPECT_FALSE(spinner_.look(clock_, 0, something));
  EXPECT_FALSE(spinner_.worth_it());
}
TEST_F(SpinnerTest, OneSlowLookIsSomebodysTick) {
  spinner_.note_short_sleep();
  clock_.step = kMs / 5;
  EXPECT_FALSE(look(nothing));
  clock_.step = 1'000;
  EXPECT_TRUE(look(something));
}
TEST_F(SpinnerTest, RestsWhereTheMachineIsBusy) {
  spinner_.note_short_sleep();
  make_busy();
  EXPECT_FALSE(spinner_.worth_it());
  spinner_.note_short_sleep();
  EXPECT_FALSE(look(something));
  EXPECT_FALSE(spinner_.worth_it());
  clock_.now += 51 * kMs;
  spinner_.note_short_sleep();
  EXPECT_TRUE(spinner_.worth_it());
  EXPECT_TRUE(look(something));
}

}  // namespace
}  // namespace tofu
