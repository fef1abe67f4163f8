// poller_test.cc: the contract of the pollers this system has, and what make_poller() promises.
#include "os/poller.h"

#include <sys/resource.h>

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
#endif

}  // namespace
}  // namespace test
}  // namespace tofu
