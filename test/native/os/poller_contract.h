// poller_contract.h: what every poller must do, as typed tests. A program instantiates them for the pollers it has:
// INSTANTIATE_TYPED_TEST_SUITE_P(Name, PollerContract, testing::Types<...>), each type with a static make(OsError*).
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <vector>

#include "os/os_support.h"
#include "os/poller.h"

namespace tofu {
namespace test {

constexpr Interest kBoth = kReadable | kWritable;

template <typename Maker>
class PollerContract : public testing::Test {
 protected:
  PollerContract() {
    OsError error = OsError::other;
    poller_ = Maker::make(&error);
    EXPECT_EQ(error, OsError::none);
  }

  /** What is ready this instant. */
  std::vector<PollEvent> ready_now(int capacity = 64) {
    std::vector<PollEvent> events(static_cast<size_t>(capacity));
    events.resize(static_cast<size_t>(poller_->wait(events.data(), capacity, 0)));
    return events;
  }
  /** What `token` is ready for this instant; kNoInterest: it is not among the events. */
  Interest ready_for(uint64_t token) {
    for (const PollEvent& event : ready_now()) {
      if (event.token == token) return event.ready;
    }
    return kNoInterest;
  }
  void watch(int fd, uint64_t token, Interest before, Interest interest) {
    ASSERT_EQ(poller_->watch(fd, token, before, interest), OsError::none);
  }

  std::unique_ptr<Poller> poller_;
};

TYPED_TEST_SUITE_P(PollerContract);

TYPED_TEST_P(PollerContract, reports_nothing_when_nothing_is_watched) { EXPECT_TRUE(this->ready_now().empty()); }

TYPED_TEST_P(PollerContract, reports_a_readable_descriptor_with_its_token_until_it_is_read) {
  Pair pair = socket_pair();
  const uint64_t token = 0xfedc'ba98'7654'3210u;
  this->watch(pair.near.get(), token, kNoInterest, kReadable);
  EXPECT_TRUE(this->ready_now().empty());
  ASSERT_EQ(write_from(pair.far.get(), "x").bytes, 1u);
  EXPECT_EQ(this->ready_for(token), kReadable);
  EXPECT_EQ(this->ready_for(token), kReadable) << "level-triggered: unread is reported again";
  char byte;
  ASSERT_EQ(read_into(pair.near.get(), &byte, 1).bytes, 1u);
  EXPECT_TRUE(this->ready_now().empty());
}

TYPED_TEST_P(PollerContract, reports_a_writable_descriptor_only_while_there_is_room) {
  Pair pair = socket_pair();
  this->watch(pair.near.get(), 1, kNoInterest, kWritable);
  EXPECT_EQ(this->ready_for(1), kWritable);
  const std::string block(65536, 'x');
  while (write_from(pair.near.get(), block).error == OsError::none) continue;
  EXPECT_EQ(this->ready_for(1), kNoInterest);
}

TYPED_TEST_P(PollerContract, readable_and_writable_at_once_is_one_event) {
  Pair pair = socket_pair();
  this->watch(pair.near.get(), 1, kNoInterest, kBoth);
  ASSERT_EQ(write_from(pair.far.get(), "x").bytes, 1u);
  std::vector<PollEvent> events = this->ready_now();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, 1u);
  EXPECT_EQ(events[0].ready, kBoth);
}

TYPED_TEST_P(PollerContract, a_new_interest_replaces_the_one_before) {
  Pair pair = socket_pair();
  ASSERT_EQ(write_from(pair.far.get(), "x").bytes, 1u);
  Interest before = kNoInterest;
  for (Interest interest :
       {kReadable, kWritable, kBoth, kReadable, kBoth, kWritable, kNoInterest, kBoth, kNoInterest}) {
    this->watch(pair.near.get(), 1, before, interest);
    EXPECT_EQ(this->ready_for(1), interest);
    before = interest;
  }
}

TYPED_TEST_P(PollerContract, a_new_token_replaces_the_one_before) {
  Pair pair = socket_pair();
  ASSERT_EQ(write_from(pair.far.get(), "x").bytes, 1u);
  this->watch(pair.near.get(), 1, kNoInterest, kReadable);
  this->watch(pair.near.get(), 2, kReadable, kReadable);
  EXPECT_EQ(this->ready_for(2), kReadable);
  this->watch(pair.near.get(), 3, kReadable, kBoth);
  std::vector<PollEvent> events = this->ready_now();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].token, 3u);
  EXPECT_EQ(events[0].ready, kBoth);
}

TYPED_TEST_P(PollerContract, without_interest_even_a_hang_up_is_silent) {
  Pair pair = socket_pair();
  this->watch(pair.near.get(), 1, kNoInterest, kReadable);
  this->watch(pair.near.get(), 1, kReadable, kNoInterest);
  pair.far.close_now();
  EXPECT_TRUE(this->ready_now().empty());
  this->watch(pair.near.get(), 1, kNoInterest, kReadable);
  EXPECT_EQ(this->ready_for(1), kReadable) << "it is still to be seen when somebody asks";
}

TYPED_TEST_P(PollerContract, a_hang_up_is_what_was_asked_for) {
  for (Interest interest : {kReadable, kWritable, kBoth}) {
    Pair pair = socket_pair();
    this->watch(pair.near.get(), interest, kNoInterest, interest);
    pair.far.close_now();
    EXPECT_EQ(this->ready_for(interest), interest);
    this->watch(pair.near.get(), interest, interest, kNoInterest);
  }
}

TYPED_TEST_P(PollerContract, a_hang_up_or_an_error_without_anything_else_is_what_was_asked_for) {
  // A pipe whose other end is gone is neither readable nor writable to the kernel, only hung up or in error.
  for (Interest interest : {kReadable, kWritable}) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    Fd reader(ends[0]);
    Fd writer(ends[1]);
    const bool reading = interest == kReadable;
    const int watched = reading ? reader.get() : writer.get();
    const std::string block(65536, 'x');
    if (!reading) {
      ASSERT_EQ(fcntl(watched, F_SETFL, O_NONBLOCK), 0);
      while (::write(watched, block.data(), block.size()) > 0) continue;
    }
    this->watch(watched, interest, kNoInterest, interest);
    EXPECT_EQ(this->ready_for(interest), kNoInterest);
    (reading ? writer : reader).close_now();
    EXPECT_EQ(this->ready_for(interest), interest);
    this->watch(watched, interest, interest, kNoInterest);
    EXPECT_TRUE(this->ready_now().empty());
  }
}

TYPED_TEST_P(PollerContract, a_closed_number_that_comes_back_is_a_new_descriptor) {
  Pair old = socket_pair();
  const int number = old.near.get();
  this->watch(number, 1, kNoInterest, kReadable);
  this->watch(number, 1, kReadable, kNoInterest);
  old.near.close_now();
  Pair fresh = socket_pair();
  ASSERT_EQ(dup2(fresh.near.get(), number), number);
  Fd again(number);
  this->watch(number, 2, kNoInterest, kReadable);
  ASSERT_EQ(write_from(fresh.far.get(), "x").bytes, 1u);
  EXPECT_EQ(this->ready_for(2), kReadable);
  EXPECT_EQ(this->ready_for(1), kNoInterest);
  this->watch(number, 2, kReadable, kNoInterest);
}

TYPED_TEST_P(PollerContract, with_more_ready_than_room_everybody_has_a_turn) {
  constexpr int kMany = 200;
  constexpr int kRoom = 7;
  std::vector<Pair> pairs;
  for (int i = 0; i < kMany; i++) {
    pairs.push_back(socket_pair());
    this->watch(pairs.back().near.get(), static_cast<uint64_t>(i), kNoInterest, kReadable);
    ASSERT_EQ(write_from(pairs.back().far.get(), "x").bytes, 1u);
  }
  std::set<uint64_t> seen;
  // A poller need not use all of the room, so a few times the waits that are needed at least.
  for (int i = 0; i < 4 * (kMany / kRoom + 1); i++) {
    std::vector<PollEvent> events = this->ready_now(kRoom);
    EXPECT_GE(events.size(), 1u);
    for (const PollEvent& event : events) seen.insert(event.token);
  }
  EXPECT_EQ(seen.size(), static_cast<size_t>(kMany));
}

TYPED_TEST_P(PollerContract, out_of_many_watched_ones_only_the_ready_ones_are_reported) {
  constexpr int kMany = 200;
  std::vector<Pair> pairs;
  for (int i = 0; i < kMany; i++) {
    pairs.push_back(socket_pair());
    this->watch(pairs.back().near.get(), static_cast<uint64_t>(i), kNoInterest, kReadable);
  }
  // Every third leaves, from the middle of whatever the poller keeps them in; of the others every second is ready.
  std::set<uint64_t> expected;
  for (int i = 0; i < kMany; i++) {
    const Pair& pair = pairs[static_cast<size_t>(i)];
    if (i % 3 == 0) this->watch(pair.near.get(), static_cast<uint64_t>(i), kReadable, kNoInterest);
    if (i % 2 != 0) continue;
    ASSERT_EQ(write_from(pair.far.get(), "x").bytes, 1u);
    if (i % 3 != 0) expected.insert(static_cast<uint64_t>(i));
  }
  std::set<uint64_t> seen;
  for (const PollEvent& event : this->ready_now(2 * kMany)) {
    EXPECT_EQ(event.ready, kReadable);
    EXPECT_TRUE(seen.insert(event.token).second) << "reported twice";
  }
  EXPECT_EQ(seen, expected);
}

TYPED_TEST_P(PollerContract, waits_as_long_as_it_was_told) {
  PollEvent event;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(this->poller_->wait(&event, 1, 30), 0);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(29));
}

TYPED_TEST_P(PollerContract, a_wake_before_the_wait_ends_it) {
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 1000; i++) this->poller_->wake();
    PollEvent event;
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(this->poller_->wait(&event, 1, kDeadlineMs), 0);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(kDeadlineMs)) << "waited for: a wake";
  }
}

TYPED_TEST_P(PollerContract, a_thousand_wakes_end_one_wait) {
  for (int i = 0; i < 1000; i++) this->poller_->wake();
  PollEvent event;
  EXPECT_EQ(this->poller_->wait(&event, 1, kDeadlineMs), 0);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(this->poller_->wait(&event, 1, 30), 0);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(29)) << "the second wait ended early";
}

TYPED_TEST_P(PollerContract, a_wake_comes_with_the_events) {
  Pair pair = socket_pair();
  this->watch(pair.near.get(), 1, kNoInterest, kReadable);
  ASSERT_EQ(write_from(pair.far.get(), "x").bytes, 1u);
  this->poller_->wake();
  int seen = 0;
  // With room for one, the wake may take a wait of its own.
  for (int i = 0; i < 2; i++) {
    for (const PollEvent& event : this->ready_now(1)) seen += event.token == 1 ? 1 : 0;
  }
  EXPECT_GE(seen, 1);
}

TYPED_TEST_P(PollerContract, no_wake_of_another_thread_is_lost) {
  constexpr int kRounds = 5000;
  std::atomic<int> published{0};
  std::atomic<int> taken{0};
  int seen = 0;
  std::thread other([&] {
    for (int i = 1; i <= kRounds; i++) {
      published = i;
      this->poller_->wake();
      // Sometimes it waits until it was seen, sometimes it hurries on: the other side begins to wait at all moments.
      if (i % 3 != 0) continue;
      while (taken < i) std::this_thread::yield();
    }
  });
  while (seen < kRounds) {
    PollEvent event;
    const auto start = std::chrono::steady_clock::now();
    this->poller_->wait(&event, 1, kDeadlineMs);
    const bool in_time = std::chrono::steady_clock::now() - start < std::chrono::milliseconds(kDeadlineMs);
    EXPECT_TRUE(in_time) << "waited for: the wake behind " << seen;
    seen = published;
    taken = in_time ? seen : kRounds;
    if (!in_time) break;
  }
  other.join();
}

TYPED_TEST_P(PollerContract, a_signal_ends_the_wait_with_no_events) {
  struct sigaction quiet {};
  struct sigaction before {};
  quiet.sa_handler = [](int) {};
  ASSERT_EQ(sigaction(SIGUSR1, &quiet, &before), 0);
  const pthread_t waiting = pthread_self();
  std::atomic<bool> returned{false};
  std::thread other([&] {
    // Until it has worked: nobody can see from outside whether the wait has begun.
    while (!returned) {
      pthread_kill(waiting, SIGUSR1);
      std::this_thread::yield();
    }
  });
  PollEvent event;
  EXPECT_EQ(this->poller_->wait(&event, 1, -1), 0);
  returned = true;
  other.join();
  sigaction(SIGUSR1, &before, nullptr);
}

TYPED_TEST_P(PollerContract, leaves_no_descriptor_behind) {
  auto open_descriptors = [] {
    int count = 0;
    for (int fd = 0; fd < 4096; fd++) count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return count;
  };
  OsError error;
  // The first one replaces what a shim may still hold.
  TypeParam::make(&error).reset();
  const int before = open_descriptors();
  for (int i = 0; i < 10; i++) {
    ASSERT_NE(TypeParam::make(&error), nullptr);
  }
  EXPECT_EQ(open_descriptors(), before);
}

REGISTER_TYPED_TEST_SUITE_P(PollerContract, reports_nothing_when_nothing_is_watched,
                            reports_a_readable_descriptor_with_its_token_until_it_is_read,
                            reports_a_writable_descriptor_only_while_there_is_room,
                            readable_and_writable_at_once_is_one_event, a_new_interest_replaces_the_one_before,
                            a_new_token_replaces_the_one_before, without_interest_even_a_hang_up_is_silent,
                            a_hang_up_is_what_was_asked_for,
                            a_hang_up_or_an_error_without_anything_else_is_what_was_asked_for,
                            a_closed_number_that_comes_back_is_a_new_descriptor,
                            with_more_ready_than_room_everybody_has_a_turn,
                            out_of_many_watched_ones_only_the_ready_ones_are_reported, waits_as_long_as_it_was_told,
                            a_wake_before_the_wait_ends_it, a_thousand_wakes_end_one_wait, a_wake_comes_with_the_events,
                            no_wake_of_another_thread_is_lost, a_signal_ends_the_wait_with_no_events,
                            leaves_no_descriptor_behind);

}  // namespace test
}  // namespace tofu
