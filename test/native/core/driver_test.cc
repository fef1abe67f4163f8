// driver_test.cc: who holds the reactor in each state, what the engine's thread takes over and what it leaves, and two threads that
// share one plain number by nothing but the driver, for ThreadSanitizer.
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

SteadyClock::time_point deadline() { return SteadyClock::now() + std::chrono::milliseconds(test::kDeadlineMs); }

/** A turn of this thread, which must not be refused. */
void use(Driver* driver, bool useful) {
  ASSERT_TRUE(driver->try_begin());
  driver->end(useful);
}

/** Whether another thread could begin a turn now. It leaves everything as it is, but the driver was used. */
bool others_may_begin(Driver* driver) {
  bool begun = false;
  std::thread([&] {
    begun = driver->try_begin();
    if (begun) driver->end(false);
  }).join();
  return begun;
}

TEST(Driver, IsAnyonesWhileTheEnginesThreadIsNotInATurn) {
  Driver driver;
  EXPECT_FALSE(driver.is_driven());
  EXPECT_TRUE(others_may_begin(&driver));
  driver.acquire();
  EXPECT_FALSE(others_may_begin(&driver));
  driver.release();
  EXPECT_TRUE(others_may_begin(&driver));
  EXPECT_FALSE(driver.is_driven());
}

TEST(Driver, HasOneTurnAtATime) {
  Driver driver;
  ASSERT_TRUE(driver.try_begin());
  EXPECT_FALSE(others_may_begin(&driver));
  driver.end(false);
  EXPECT_TRUE(others_may_begin(&driver));
  ASSERT_TRUE(driver.try_begin());
  driver.end(true);
  EXPECT_TRUE(others_may_begin(&driver)) << "driving is not a turn";
}

TEST(Driver, IsDrivenFromTheFirstUsefulTurnUntilItIsStopped) {
  Driver driver;
  use(&driver, false);
  EXPECT_FALSE(driver.is_driven());
  use(&driver, true);
  EXPECT_TRUE(driver.is_driven());
  use(&driver, false);
  EXPECT_TRUE(driver.is_driven()) << "a turn in vain ends nothing";
  driver.stop();
  EXPECT_FALSE(driver.is_driven());
  driver.stop();
  EXPECT_FALSE(driver.is_driven());
  use(&driver, true);
  EXPECT_TRUE(driver.is_driven());
}

TEST(Driver, StopsAtOnceWhileTheEnginesThreadIsInATurnOfItsOwn) {
  Driver driver;
  driver.acquire();
  // Nobody drives, so this thread has nothing to wait for.
  std::thread([&] { driver.stop(); }).join();
  driver.release();
  EXPECT_FALSE(driver.is_driven());
}

TEST(Driver, IsTakenOverWhenNobodyUsesIt) {
  Driver driver;
  for (int round = 0; round < 3; round++) {
    use(&driver, true);
    driver.acquire();
    EXPECT_FALSE(driver.is_driven());
    EXPECT_FALSE(others_may_begin(&driver));
    driver.release();
  }
}

TEST(Driver, IsAcquiredBehindAStop) {
  Driver driver;
  use(&driver, true);
  driver.stop();
  driver.acquire();
  EXPECT_FALSE(driver.is_driven());
  driver.release();
}

TEST(Driver, IsNotTakenFromWithinATurn) {
  Driver driver;
  bool turning = false;
  use(&driver, true);
  ASSERT_TRUE(driver.try_begin());
  turning = true;
  std::atomic<bool> started{false};
  std::thread engine([&] {
    started = true;
    driver.acquire();
    EXPECT_FALSE(turning);
    driver.release();
  });
  while (!started) std::this_thread::yield();
  for (int i = 0; i < 100; i++) std::this_thread::yield();
  turning = false;
  driver.end(true);
  engine.join();
  EXPECT_FALSE(driver.is_driven());
}

/**
 * Who uses it again and again keeps it. Where others want the core a pause may be too long, then it is rightly taken over: so it is
 * tried until this thread has kept it for many times as long as one that does not use it would.
 */
TEST(Driver, IsLeftToWhoUsesItUntilItStops) {
  constexpr auto kLong = std::chrono::milliseconds(50);
  Driver driver;
  auto until = deadline();
  bool kept = false;
  while (!kept && SteadyClock::now() < until) {
    std::atomic<bool> started{false};
    std::atomic<bool> taken{false};
    use(&driver, true);
    std::thread engine([&] {
      started = true;
      driver.acquire();
      taken = true;
      driver.release();
    });
    while (!started) std::this_thread::yield();
    auto begin = SteadyClock::now();
    while (!taken && SteadyClock::now() - begin < kLong) {
      if (driver.try_begin()) driver.end(true);
    }
    kept = !taken;
    // The engine's thread has it, or gets it now.
    driver.stop();
    engine.join();
    EXPECT_TRUE(taken);
    driver.stop();
    EXPECT_FALSE(driver.is_driven());
  }
  EXPECT_TRUE(kept) << "it was taken over each time";
}

/** A plain number, which the engine's thread and the one that drives count up in turns: no step may be lost. */
TEST(Driver, KeepsTwoThreadsApart) {
  constexpr uint64_t kTurns = 20'000;
  constexpr uint64_t kEngineTurns = 200;
  Driver driver;
  uint64_t guarded = 0;
  std::atomic<uint64_t> engine_turns{0};
  std::atomic<bool> done{false};
  std::thread engine([&] {
    while (!done.load(std::memory_order_relaxed)) {
      driver.acquire();
      guarded++;
      engine_turns.fetch_add(1, std::memory_order_relaxed);
      driver.release();
      std::this_thread::yield();
    }
  });
  uint64_t turns = 0;
  auto until = deadline();
  auto enough = [&] { return turns >= kTurns && engine_turns.load(std::memory_order_relaxed) >= kEngineTurns; };
  for (uint64_t tries = 1; !enough() && SteadyClock::now() < until; tries++) {
    if (driver.try_begin()) {
      guarded++;
      turns++;
      driver.end(turns % 3 == 0);
    } else {
      std::this_thread::yield();
    }
    if (tries % 97 == 0) driver.stop();
    // Not used: it is taken over.
    while (tries % 2003 == 0 && driver.is_driven()) std::this_thread::yield();
  }
  driver.stop();
  done.store(true, std::memory_order_relaxed);
  engine.join();
  EXPECT_GE(turns, kTurns);
  EXPECT_GE(engine_turns.load(), kEngineTurns);
  EXPECT_EQ(guarded, turns + engine_turns.load());
}

/**
 * The promise that Reactor and Port make of it: the engine's thread looks for work after it said that it sleeps, a thread that gives it
 * some runs a turn itself or wakes it. Then nothing stays undone, whoever drives.
 */
TEST(Driver, LeavesNothingUndoneThatWasPublishedWhileItWasBusy) {
  constexpr uint64_t kRounds = 3000;
  Driver driver;
  std::atomic<uint64_t> published{0};
  std::atomic<bool> parked{false};
  std::atomic<bool> woken{false};
  uint64_t done = 0;  // with the driver held
  std::atomic<uint64_t> seen{0};
  auto turn = [&] {
    done = published.load(std::memory_order_acquire);
    seen.store(done, std::memory_order_release);
  };
  std::atomic<bool> stop{false};
  std::thread engine([&] {
    driver.acquire();
    while (!stop.load(std::memory_order_acquire)) {
      turn();
      parked.store(true, std::memory_order_seq_cst);
      std::atomic_thread_fence(std::memory_order_seq_cst);
      if (published.load(std::memory_order_acquire) == done) {
        driver.release();
        while (!woken.exchange(false, std::memory_order_acq_rel)) std::this_thread::yield();
        driver.acquire();
      }
      parked.store(false, std::memory_order_relaxed);
    }
    driver.release();
  });
  auto wake = [&] {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (parked.load(std::memory_order_relaxed)) woken.store(true, std::memory_order_release);
  };
  auto until = deadline();
  bool in_time = true;
  for (uint64_t round = 1; in_time && round <= kRounds; round++) {
    published.store(round, std::memory_order_release);
    if (driver.try_begin()) {
      turn();
      driver.end(round % 2 == 0);
    } else {
      wake();
    }
    if (round % 5 == 0) driver.stop();
    while (in_time && seen.load(std::memory_order_acquire) != round) in_time = SteadyClock::now() < until;
  }
  EXPECT_TRUE(in_time) << "waited in vain for a turn behind " << seen.load();
  driver.stop();
  stop.store(true, std::memory_order_release);
  woken.store(true, std::memory_order_release);
  engine.join();
}

}  // namespace
}  // namespace tofu
