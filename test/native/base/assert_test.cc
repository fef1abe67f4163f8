// assert_test.cc: a failed assertion names its place and stops the program.
#include "base/assert.h"

#include <gtest/gtest.h>

namespace tofu {
namespace {

TEST(AssertDeathTest, NamesFileAndLineAndNothingElse) {
  EXPECT_DEATH(TOFU_ASSERT(1 + 1 == 3), "^[^ \n]*assert_test\\.cc:[0-9]+\n$");
}

TEST(Assert, LetsPassWhatHoldsAndLooksOnce) {
  int looks = 0;
  TOFU_ASSERT(++looks == 1);
  EXPECT_EQ(looks, 1);
}

TEST(AssertDeathTest, OfDebugBuildsIsNotEvenLookedAtInOthers) {
  int looks = 0;
  TOFU_DCHECK(++looks == 1);
#ifdef NDEBUG
  EXPECT_EQ(looks, 0);
  TOFU_DCHECK(false);
#else
  EXPECT_EQ(looks, 1);
  EXPECT_DEATH(TOFU_DCHECK(false), "assert_test\\.cc:[0-9]+");
#endif
}

}  // namespace
}  // namespace tofu
