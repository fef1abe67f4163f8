// poller_test.cc: the contract of the pollers this system has, and what make_poller() promises.
#include "os/poller.h"

#include <sys/resource.h>

#include <mutex>

#include "os/poller_contract.h"

namespace tofu {
namespace test {
namespace {

template <PollerKind kKind>
struct Make {
  static std::unique_ptr<Poller> make(OsError* error) { return make_poller(kKind, error); }
};

#if defined(__linux__)
constexpr PollerKind kNative = PollerKind::epoll;
constexpr PollerKind kForeign = PollerKind::kqueue;
constexpr const char* kNativeName = "epoll";
#else
constexpr PollerKind kNative = PollerKind::kqueue;
constexpr PollerKind kForeign = PollerKind::epoll;
constexpr const char* kNativeName = "kqueue";
#endif

struct Names {
  template <typename T>
  static std::string GetName(int index) {
    return index == 0 ? kNativeName : "poll";
  }
};

using Pollers = testing::Types<Make<kNative>, Make<PollerKind::poll>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Of, PollerContract, Pollers, Names);

TEST(MakePoller, best_is_the_one_of_the_system) {
  OsError error;
  EXPECT_STREQ(make_poller(PollerKind::best, &error)->name(), kNativeName);
  EXPECT_STREQ(make_poller(kNative, &error)->name(), kNativeName);
  EXPECT_STREQ(make_poller(PollerKind::poll, &error)->name(), "poll");
}

TEST(MakePoller, one_that_this_system_has_not_is_unavailable) {
  OsError error = OsError::none;
  EXPECT_EQ(make_poller(kForeign, &error), nullptr);
  EXPECT_EQ(error, OsError::unavailable);
}

TEST(MakePoller, says_when_no_descriptor_is_free) {
  std::vector<Fd> all;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  for (int fd = dup(0); fd >= 0; fd = dup(0)) all.emplace_back(fd);
  // With 0, 1, … free descriptors, so that each step of the making fails once.
  for (PollerKind kind : {kNative, PollerKind::poll}) {
    const size_t taken = all.size();
    OsError error = OsError::none;
    EXPECT_EQ(make_poller(kind, &error), nullptr);
    EXPECT_EQ(error, OsError::no_descriptors);
    int needed = 0;
    std::unique_ptr<Poller> poller;
    while (poller == nullptr && !all.empty()) {
      all.pop_back();
      needed++;
      poller = make_poller(kind, &error);
      EXPECT_EQ(error, poller == nullptr ? OsError::no_descriptors : OsError::none);
    }
    EXPECT_LE(needed, 3);
    poller.reset();
    while (all.size() < taken) all.emplace_back(dup(0));
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

#if defined(__linux__)
TEST(EpollPoller, a_descriptor_that_is_not_open_changes_nothing) {
  OsError error;
  std::unique_ptr<Poller> poller = make_poller(PollerKind::epoll, &error);
  Pair pair = socket_pair();
  const int number = pair.near.get();
  pair.near.close_now();
  EXPECT_EQ(poller->watch(number, 1, kNoInterest, kReadable), OsError::other);
  PollEvent event;
  EXPECT_EQ(poller->wait(&event, 1, 0), 0);
}

// ── shared with a sleeper ──

/** A poller over which one thread may sleep while another one looks. */
class SharedPoller : public testing::Test {
 protected:
  SharedPoller() {
    OsError error = OsError::other;
    poller_ = make_poller(PollerKind::epoll, &error);
    EXPECT_EQ(error, OsError::none);
  }
  /** What is ready this instant, without the wake. */
  std::vector<PollEvent> look(int capacity = 64) {
    std::vector<PollEvent> events(static_cast<size_t>(capacity));
    events.resize(static_cast<size_t>(poller_->look(events.data(), capacity)));
    return events;
  }
  /** Takes everything, the wake too. */
  void take_all() {
    PollEvent events[64];
    poller_->wait(events, 64, 0);
  }
  /** Whether a sleep goes on until the time is up: there is nothing to wake up for. */
  bool sleeps() {
    const auto start = std::chrono::steady_clock::now();
    poller_->sleep(30);
    return std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(29);
  }
  /** Sleeps, if need be as long as a test may take; false: for nothing. */
  bool is_woken() {
    const auto start = std::chrono::steady_clock::now();
    poller_->sleep(kDeadlineMs);
    return std::chrono::steady_clock::now() - start < std::chrono::milliseconds(kDeadlineMs);
  }

  std::unique_ptr<Poller> poller_;
};

TEST(Pollers, only_that_of_the_system_can_be_shared) {
  OsError error;
  EXPECT_TRUE(make_poller(PollerKind::epoll, &error)->can_be_shared());
  EXPECT_FALSE(make_poller(PollerKind::poll, &error)->can_be_shared());
}

TEST_F(SharedPoller, a_look_takes_what_is_ready_as_a_wait_does) {
  EXPECT_TRUE(look().empty());
  Pair pair = socket_pair();
  ASSERT_EQ(poller_->watch(pair.near.get(), 7, kNoInterest, kBoth), OsError::none);
  std::vector<PollEvent> events = look();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, 7u);
  EXPECT_EQ(events[0].ready, kWritable);
  ASSERT_EQ(write_from(pair.far.get(), "x").bytes, 1u);
  events = look();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].ready, kBoth);
  ASSERT_EQ(poller_->watch(pair.near.get(), 7, kBoth, kReadable), OsError::none);
  char byte;
  ASSERT_EQ(read_into(pair.near.get(), &byte, 1).bytes, 1u);
  EXPECT_TRUE(look().empty());
  pair.far.close_now();
  events = look();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].ready, kReadable) << "a hang-up is what was asked for";
}

TEST_F(SharedPoller, a_look_leaves_a_wake_to_the_sleeper) {
  Pair pair = socket_pair();
  ASSERT_EQ(poller_->watch(pair.near.get(), 7, kNoInterest, kReadable), OsError::none);
  for (bool ready : {false, true}) {
    if (ready) {
      ASSERT_EQ(write_from(pair.far.get(), "x").bytes, 1u);
    }
    poller_->wake();
    for (int i = 0; i < 3; i++) {
      EXPECT_EQ(look().size(), ready ? 1u : 0u) << "a wake is no event";
      EXPECT_TRUE(is_woken());
    }
    take_all();
  }
  char byte;
  ASSERT_EQ(read_into(pair.near.get(), &byte, 1).bytes, 1u);
  EXPECT_TRUE(sleeps()) << "taken by the wait";
  poller_->wake();
  EXPECT_TRUE(is_woken()) << "and it wakes again";
}

TEST_F(SharedPoller, a_look_sees_events_behind_a_wake) {
  Pair pair = socket_pair();
  ASSERT_EQ(poller_->watch(pair.near.get(), 7, kNoInterest, kReadable), OsError::none);
  poller_->wake();
  ASSERT_EQ(write_from(pair.far.get(), "x").bytes, 1u);
  // With room for one the wake, which stays, must not be in the way each time.
  int seen = 0;
  for (int i = 0; i < 4; i++) seen += static_cast<int>(look(1).size());
  EXPECT_GE(seen, 1);
}

TEST_F(SharedPoller, a_sleep_ends_with_what_is_ready_and_takes_nothing) {
  EXPECT_TRUE(sleeps());
  Pair pair = socket_pair();
  ASSERT_EQ(poller_->watch(pair.near.get(), 7, kNoInterest, kReadable), OsError::none);
  EXPECT_TRUE(sleeps());
  ASSERT_EQ(write_from(pair.far.get(), "x").bytes, 1u);
  for (int i = 0; i < 3; i++) EXPECT_TRUE(is_woken());
  EXPECT_EQ(look().size(), 1u);
  poller_->wake();
  char byte;
  ASSERT_EQ(read_into(pair.near.get(), &byte, 1).bytes, 1u);
  for (int i = 0; i < 3; i++) EXPECT_TRUE(is_woken()) << "the wake is left too";
  take_all();
  EXPECT_TRUE(sleeps());
}

TEST_F(SharedPoller, a_sleeper_sees_what_another_thread_watches_meanwhile) {
  for (int round = 0; round < 50; round++) {
    Pair pair = socket_pair();
    ASSERT_EQ(write_from(pair.far.get(), "x").bytes, 1u);
    std::thread sleeper([&] { EXPECT_TRUE(is_woken()); });
    ASSERT_EQ(poller_->watch(pair.near.get(), 7, kNoInterest, kReadable), OsError::none);
    EXPECT_EQ(look().size(), 1u);
    sleeper.join();
    ASSERT_EQ(poller_->watch(pair.near.get(), 7, kReadable, kNoInterest), OsError::none);
  }
}

/** One thread sleeps and takes, another one looks without pause, a third one wakes: the sleeper sees all of it. */
TEST_F(SharedPoller, no_wake_is_lost_to_one_that_looks) {
  constexpr int kRounds = 2000;
  std::mutex held;  // as the reactor is, except in a sleep
  std::atomic<int> published{0};
  std::atomic<int> taken{0};
  std::atomic<bool> done{false};
  std::thread waker([&] {
    for (int i = 1; i <= kRounds; i++) {
      published = i;
      poller_->wake();
      if (i % 3 != 0) continue;
      while (taken < i) std::this_thread::yield();
    }
  });
  std::thread looker([&] {
    while (!done) {
      {
        std::lock_guard<std::mutex> lock(held);
        EXPECT_TRUE(look().empty());
      }
      std::this_thread::yield();
    }
  });
  while (taken < kRounds) {
    const bool in_time = is_woken();
    EXPECT_TRUE(in_time) << "waited for: the wake behind " << taken;
    std::lock_guard<std::mutex> lock(held);
    take_all();
    taken = in_time ? published.load() : kRounds;
  }
  done = true;
  waker.join();
  looker.join();
}
#endif

}  // namespace
}  // namespace test
}  // namespace tofu
