// timer_wheel_test.cc: each timer expires once, never early, and at the first advance that reaches it.
#include "core/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "protocol/seed.h"

namespace tofu {
namespace {

constexpr uint64_t kStart = 1'000'000;

std::vector<Timer*> advance(TimerWheel* wheel, uint64_t now) {
  std::vector<Timer*> expired;
  wheel->advance(now, [&](Timer* timer) { expired.push_back(timer); });
  return expired;
}

TEST(TimerWheel, HasNothingToWaitForWhenEmpty) {
  TimerWheel wheel;
  EXPECT_EQ(wheel.until_next(0), -1);
  EXPECT_TRUE(advance(&wheel, kStart).empty());
  EXPECT_EQ(wheel.until_next(kStart), -1);
}

TEST(TimerWheel, ExpiresAtItsTimeAndNotBefore) {
  for (uint64_t delay : {0u, 1u, 3u, 4u, 5u, 2047u, 2048u, 2049u, 10'000u, 86'400'000u}) {
    for (uint64_t start = kStart; start < kStart + 5; start++) {
      TimerWheel wheel;
      advance(&wheel, start);
      Timer timer;
      wheel.start(&timer, start + delay);
      if (delay > 0) {
        EXPECT_TRUE(advance(&wheel, start + delay - 1).empty()) << delay;
      }
      EXPECT_TRUE(timer.linked());
      EXPECT_EQ(advance(&wheel, start + delay).size(), 1u) << delay;
      EXPECT_FALSE(timer.linked());
      EXPECT_EQ(advance(&wheel, start + delay + 100'000).size(), 0u);
    }
  }
}

TEST(TimerWheel, ExpiresAtOnceWhatIsDueInThePast) {
  TimerWheel wheel;
  advance(&wheel, kStart);
  Timer timer;
  wheel.start(&timer, 5);
  EXPECT_EQ(advance(&wheel, kStart).size(), 1u);
}

TEST(TimerWheel, StartsARunningTimerAnew) {
  TimerWheel wheel;
  advance(&wheel, kStart);
  Timer timer;
  wheel.start(&timer, kStart + 10);
  wheel.start(&timer, kStart + 5000);
  EXPECT_TRUE(advance(&wheel, kStart + 4999).empty());
  EXPECT_EQ(advance(&wheel, kStart + 5000).size(), 1u);
  wheel.start(&timer, kStart + 20'000);
  wheel.start(&timer, kStart + 5010);
  EXPECT_EQ(advance(&wheel, kStart + 5010).size(), 1u);
  EXPECT_TRUE(advance(&wheel, kStart + 30'000).empty());
}

TEST(TimerWheel, ForgetsAStoppedTimer) {
  TimerWheel wheel;
  advance(&wheel, kStart);
  Timer timer;
  wheel.start(&timer, kStart + 10);
  timer.unlink();
  EXPECT_TRUE(advance(&wheel, kStart + 5000).empty());
  EXPECT_EQ(wheel.until_next(kStart + 5000), -1);
}

TEST(TimerWheel, MayBeChangedByWhatExpires) {
  TimerWheel wheel;
  advance(&wheel, kStart);
  Timer first;
  Timer second;
  Timer third;
  wheel.start(&first, kStart + 1);
  wheel.start(&second, kStart + 9);
  wheel.start(&third, kStart + 18);
  std::vector<Timer*> expired;
  wheel.advance(kStart + 20, [&](Timer* timer) {
    expired.push_back(timer);
    if (timer != &first) return;
    second.unlink();
    wheel.start(&first, kStart + 20);   // due at once: not in the same advance for ever
    wheel.start(&third, kStart + 100);  // was due in this advance
  });
  EXPECT_EQ(expired, (std::vector<Timer*>{&first}));
  EXPECT_EQ(advance(&wheel, kStart + 20), (std::vector<Timer*>{&first}));
  EXPECT_TRUE(advance(&wheel, kStart + 99).empty());
  EXPECT_EQ(advance(&wheel, kStart + 100), (std::vector<Timer*>{&third}));
}

TEST(TimerWheel, SurvivesJumpsOfTheClock) {
  TimerWheel wheel;
  advance(&wheel, kStart);
  std::vector<Timer> timers(100);
  for (size_t i = 0; i < timers.size(); i++) wheel.start(&timers[i], kStart + 1 + i * 997);
  EXPECT_TRUE(advance(&wheel, kStart - 500'000).empty());
  EXPECT_EQ(advance(&wheel, kStart + 1).size(), 1u);
  EXPECT_EQ(advance(&wheel, kStart + 50 * 997).size(), 49u);
  EXPECT_EQ(advance(&wheel, kStart + (1ULL << 40)).size(), 50u);
}

/** Random starts, stops and advances against a map that is searched. */
TEST(TimerWheel, AgreesWithAModel) {
  uint64_t seed = test::test_seed();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  TimerWheel wheel;
  std::vector<Timer> timers(200);
  std::map<Timer*, uint64_t> model;
  uint64_t now = kStart + random() % 5000;
  advance(&wheel, now);
  for (int step = 0; step < 50'000; step++) {
    Timer* timer = &timers[random() % timers.size()];
    uint64_t what = random() % 8;
    if (what < 4) {
      uint64_t far = random() % 10 == 0 ? 10'000'000 : random() % 3 == 0 ? 5000 : 40;
      uint64_t due = now + random() % far;
      wheel.start(timer, due);
      model[timer] = due;
    } else if (what == 4) {
      timer->unlink();
      model.erase(timer);
    } else {
      int wait = wheel.until_next(now);
      uint64_t earliest = UINT64_MAX;
      for (auto& [ignored, due] : model) earliest = std::min(earliest, due);
      if (model.empty()) {
        // Stopped timers may leave one early look behind, no more.
        ASSERT_LE(wait, 4096);
      } else {
        ASSERT_GE(wait, 0);
        // At most the width of a slot late.
        ASSERT_LE(now + static_cast<uint64_t>(wait), std::max(earliest, now) + 4);
      }
      now += what == 5            ? static_cast<uint64_t>(wait < 0 ? 1 : wait)
             : random() % 50 == 0 ? random() % 100'000'000
                                  : random() % 9;
      std::vector<Timer*> expired = advance(&wheel, now);
      for (Timer* one : expired) {
        ASSERT_EQ(model.count(one), 1u) << "expired twice, or was stopped";
        ASSERT_LE(model[one], now) << "early";
        model.erase(one);
      }
      for (auto& [one, due] : model) {
        ASSERT_GT(due, now) << "missed";
        ASSERT_TRUE(one->linked());
      }
    }
  }
}

TEST(TimerWheel, IdleWaitsDoNotRepeat) {
  TimerWheel wheel;
  advance(&wheel, kStart);
  Timer timer;
  // A far deadline: waits until it is due are one per round of the wheel, not more.
  uint64_t due = kStart + 60'000;
  wheel.start(&timer, due);
  uint64_t now = kStart;
  int waits = 0;
  while (timer.linked() && waits < 1000) {
    int wait = wheel.until_next(now);
    ASSERT_GT(wait, 0);
    now += static_cast<uint64_t>(wait);
    wheel.advance(now, [](Timer*) {});
    waits++;
  }
  EXPECT_FALSE(timer.linked());
  EXPECT_LE(now, due + 4);
  EXPECT_LE(waits, 60'000 / 2048 + 2);
}

}  // namespace
}  // namespace tofu
