// channel_numbers_test.cc: the quarantine of channel numbers and the bound at N and N + 1.
#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "core/shared.h"
#include "protocol/seed.h"

namespace tofu {
namespace {

TEST(ChannelNumbers, HandsOutNeverUsedOnesFirst) {
  ChannelNumbers numbers;
  ASSERT_TRUE(numbers.prepare(10));
  for (uint32_t expected = kFirstChannel; expected <= kLastChannel; expected++) {
    ASSERT_EQ(numbers.take(), expected);
    numbers.release(expected);
  }
}

TEST(ChannelNumbers, ThenTheOneThatIsFreeForLongest) {
  ChannelNumbers numbers;
  ASSERT_TRUE(numbers.prepare(kLastChannel));
  for (uint32_t i = kFirstChannel; i <= kLastChannel; i++) ASSERT_EQ(numbers.take(), i);
  for (uint32_t number : {500u, 7u, 65'534u, 1u}) numbers.release(number);
  for (uint32_t number : {500u, 7u, 65'534u, 1u}) EXPECT_EQ(numbers.take(), number);
  EXPECT_EQ(numbers.take(), 0u);
}

TEST(ChannelNumbers, StopsAtTheBound) {
  for (uint32_t most : {1u, 2u, 1000u, kLastChannel}) {
    ChannelNumbers numbers;
    ASSERT_TRUE(numbers.prepare(most));
    for (uint32_t i = 1; i <= most; i++) {
      ASSERT_TRUE(numbers.available());
      ASSERT_EQ(numbers.take(), i);
    }
    EXPECT_FALSE(numbers.available());
    EXPECT_EQ(numbers.take(), 0u);
    numbers.release(most);
    EXPECT_TRUE(numbers.available());
    EXPECT_EQ(numbers.take(), most < kLastChannel ? most + 1 : most);
    EXPECT_EQ(numbers.take(), 0u);
  }
}

TEST(ChannelNumbers, AgreesWithAModelUnderRandomUse) {
  uint64_t seed = test::test_seed();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  const uint32_t most = 3000;
  ChannelNumbers numbers;
  ASSERT_TRUE(numbers.prepare(most));
  std::deque<uint32_t> free;
  for (uint32_t i = kFirstChannel; i <= kLastChannel; i++) free.push_back(i);
  std::vector<uint32_t> used;
  for (int step = 0; step < 500'000; step++) {
    bool grow = (step / 5000) % 2 == 0 ? random() % 3 != 0 : random() % 3 == 0;
    if (grow) {
      uint32_t expected = used.size() < most ? free.front() : 0;
      ASSERT_EQ(numbers.take(), expected);
      if (expected == 0) continue;
      free.pop_front();
      used.push_back(expected);
    } else if (!used.empty()) {
      size_t at = random() % used.size();
      numbers.release(used[at]);
      free.push_back(used[at]);
      used[at] = used.back();
      used.pop_back();
    }
  }
}

}  // namespace
}  // namespace tofu
