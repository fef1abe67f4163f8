// driver_test.cc: who runs the reactor: each change of hands, what the engine's thread takes back and what it leaves, and two
// threads that share one plain number by nothing but the driver, for ThreadSanitizer.
#include "core/driver.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "os/os_support.h"

namespace tofu {
namespace {

using SteadyClock = std::chrono::steady_clock;

/** Wanted and lent. */
void lend(Driver* driver) {
  ASSERT_TRUE(driver->request());
  ASSERT_TRUE(driver->lend_if_wanted());
}
void use(Driver* driver) {
  ASSERT_TRUE(driver->begin());
  driver->end();
}

TEST(Driver, IsTheEnginesUntilItIsWantedAndLent) {
  Driver driver;
  EXPECT_TRUE(driver.is_engines());
  EXPECT_FALSE(driver.lend_if_wanted());
  EXPECT_FALSE(driver.begin());
  ASSERT_TRUE(driver.request());
  EXPECT_TRUE(driver.is_wanted());
  EXPECT_FALSE(driver.is_engines());
  EXPECT_FALSE(driver.is_lent());
  EXPECT_FALSE(driver.request()) << "somebody has asked already";
  EXPECT_FALSE(driver.begin()) << "asked for is not lent";
  ASSERT_TRUE(driver.lend_if_wanted());
  EXPECT_FALSE(driver.is_wanted());
  EXPECT_TRUE(driver.is_lent());
  EXPECT_FALSE(driver.lend_if_wanted()) << "lent once";
  EXPECT_FALSE(driver.request());
  ASSERT_TRUE(driver.begin());
  EXPECT_FALSE(driver.is_lent()) << "in a turn";
  EXPECT_FALSE(driver.begin());
  driver.end();
  EXPECT_TRUE(driver.is_lent());
}

TEST(Driver, IsGivenBackInAnyState) {
  Driver driver;
  driver.give_back();
  EXPECT_TRUE(driver.is_engines());
  ASSERT_TRUE(driver.request());
  driver.give_back();
  EXPECT_TRUE(driver.is_engines());
  EXPECT_FALSE(driver.lend_if_wanted()) << "not wanted any more";
  lend(&driver);
  use(&driver);
  driver.give_back();
  EXPECT_TRUE(driver.is_engines());
  EXPECT_FALSE(driver.begin());
  EXPECT_TRUE(driver.watch());
  lend(&driver);
  ASSERT_TRUE(driver.watch()) << "taken back";
  driver.give_back();
  EXPECT_TRUE(driver.is_engines());
}

TEST(Driver, IsTakenBackWhenItIsNotUsed) {
  Driver driver;
  lend(&driver);
  EXPECT_TRUE(driver.watch());
  EXPECT_TRUE(driver.is_engines());
  EXPECT_FALSE(driver.begin());
  lend(&driver);
  driver.take_back();
  EXPECT_TRUE(driver.is_engines());
}

TEST(Driver, IsLeftToWhoUsesIt) {
  Driver driver;
  lend(&driver);
  for (int i = 0; i < 10; i++) {
    use(&driver);
    ASSERT_FALSE(driver.watch());
    ASSERT_TRUE(driver.is_lent());
  }
  EXPECT_TRUE(driver.watch()) << "not used since the look before";
  lend(&driver);
  EXPECT_TRUE(driver.watch()) << "what it was used for before it was lent does not count";
}

TEST(Driver, IsNeverTakenFromWithinATurn) {
  Driver driver;
  lend(&driver);
  ASSERT_TRUE(driver.begin());
  for (int i = 0; i < 10; i++) ASSERT_FALSE(driver.watch());
  driver.end();
  EXPECT_FALSE(driver.watch()) << "it has just been used";
  EXPECT_TRUE(driver.watch());
}

/** Who looks for `engine` alone never sees that it was given back, and nobody runs the reactor. */
TEST(Driver, IsBackAlsoWhenItIsWantedAgain) {
  Driver driver;
  lend(&driver);
  use(&driver);
  driver.give_back();
  ASSERT_TRUE(driver.request());
  EXPECT_TRUE(driver.watch());
  EXPECT_TRUE(driver.is_wanted());
  EXPECT_TRUE(driver.lend_if_wanted());
  driver.give_back();
  ASSERT_TRUE(driver.request());
  driver.take_back();
  EXPECT_TRUE(driver.is_wanted());
}

TEST(Driver, WakesTheEnginesThreadWhenItIsGivenBack) {
  Driver driver;
  lend(&driver);
  std::thread borrower([&] {
    for (int i = 0; i < 1000; i++) {
      if (!driver.begin()) return;  // taken back: this thread was too slow
      driver.end();
    }
    driver.give_back();
  });
  driver.take_back();
  EXPECT_TRUE(driver.is_engines());
  borrower.join();
}

/** A plain number, which the engine's thread and the borrower count up in turns: no step may be lost. */
TEST(Driver, KeepsTwoThreadsApart) {
  constexpr uint64_t kTurns = 20'000;
  Driver driver;
  uint64_t guarded = 0;
  uint64_t engine_turns = 0;
  std::atomic<bool> done{false};
  std::thread engine([&] {
    while (!done.load(std::memory_order_acquire)) {
      if (driver.lend_if_wanted()) driver.take_back();
      guarded++;
      engine_turns++;
      std::this_thread::yield();
    }
  });
  uint64_t turns = 0;
  auto deadline = SteadyClock::now() + std::chrono::milliseconds(test::kDeadlineMs);
  for (uint64_t tries = 0; turns < kTurns && SteadyClock::now() < deadline; tries++) {
    if (driver.is_engines()) driver.request();
    if (driver.begin()) {
      guarded++;
      turns++;
      driver.end();
      if (turns % 97 == 0) driver.give_back();
      // Not used: it is taken back.
      while (turns % 1009 == 0 && driver.is_lent()) std::this_thread::yield();
    } else if (tries % 13 == 0) {
      driver.give_back();
    } else {
      std::this_thread::yield();
    }
  }
  driver.give_back();
  done.store(true, std::memory_order_release);
  engine.join();
  EXPECT_GE(turns, kTurns) << "the reactor was not lent often enough";
  EXPECT_EQ(guarded, turns + engine_turns);
}

/** What is published before the borrower sees that it still has it is seen by whoever takes it back: nobody is woken for it. */
TEST(Driver, LeavesNothingUnseenThatWasPublishedWhileItWasLent) {
  constexpr uint32_t kRounds = 100;
  Driver driver;
  std::atomic<uint32_t> published{0};
  std::atomic<uint32_t> seen{0};
  std::atomic<bool> done{false};
  std::thread engine([&] {
    while (!done.load(std::memory_order_acquire)) {
      if (!driver.lend_if_wanted()) {
        std::this_thread::yield();
        continue;
      }
      driver.take_back();
      // As the poller does before it sleeps.
      std::atomic_thread_fence(std::memory_order_seq_cst);
      seen.store(published.load(std::memory_order_acquire), std::memory_order_release);
    }
  });
  auto deadline = SteadyClock::now() + std::chrono::milliseconds(test::kDeadlineMs);
  bool in_time = true;
  uint32_t promised = 0;
  for (uint32_t round = 1; in_time && promised < kRounds; round++) {
    // It may be taken back before this thread has seen that it was lent.
    while (in_time && !driver.is_lent()) {
      driver.request();
      in_time = SteadyClock::now() < deadline;
    }
    published.store(round, std::memory_order_release);
    if (!driver.is_lent()) continue;
    promised++;
    while (in_time && seen.load(std::memory_order_acquire) != round) in_time = SteadyClock::now() < deadline;
  }
  done.store(true, std::memory_order_release);
  engine.join();
  EXPECT_TRUE(in_time) << "waited in vain for what was published in round " << promised;
}

}  // namespace
}  // namespace tofu
