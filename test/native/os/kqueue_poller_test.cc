// kqueue_poller_test.cc: the logic of kqueue_poller.cc, simulated: over the shim of kqueue_shim/, never run on macOS.
// Linux only, and needs kqueue_shim/ on its include path; on macOS poller_test.cc has the real one.
#if defined(__linux__)

#include "os/kqueue_poller.cc"  // NOLINT: it is no part of the core here
#include "os/kqueue_shim/kqueue_shim.cc"
#include "os/poller_contract.h"

namespace tofu {
namespace test {
namespace {

struct Simulated {
  static std::unique_ptr<Poller> make(OsError* error) { return make_kqueue_poller(error); }
};

struct Names {
  template <typename T>
  static std::string GetName(int) {
    return "kqueue_logic_simulated_never_run_on_macos";
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Of, PollerContract, testing::Types<Simulated>, Names);

TEST(SimulatedKqueue, when_the_second_direction_fails_the_first_is_as_it_was) {
  OsError error;
  std::unique_ptr<Poller> poller = make_kqueue_poller(&error);
  Pair pair = socket_pair();
  ASSERT_EQ(write_from(pair.far.get(), "x").bytes, 1u);
  shim_refused_filter = EVFILT_WRITE;
  EXPECT_EQ(poller->watch(pair.near.get(), 1, kNoInterest, kBoth), OsError::no_memory);
  PollEvent event;
  EXPECT_EQ(poller->wait(&event, 1, 0), 0) << "nothing has changed: not watched at all";
  ASSERT_EQ(poller->watch(pair.near.get(), 1, kNoInterest, kReadable), OsError::none);
  EXPECT_EQ(poller->watch(pair.near.get(), 2, kReadable, kBoth), OsError::no_memory);
  ASSERT_EQ(poller->wait(&event, 1, 0), 1);
  EXPECT_EQ(event.token, 1u) << "nothing has changed: the token neither";
  shim_refused_filter = 0;
}

}  // namespace
}  // namespace test
}  // namespace tofu

#endif
