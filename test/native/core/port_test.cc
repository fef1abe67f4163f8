// port_test.cc: one application thread's side: drains, the doorbell, waiting, credits and tags.
#include "core/port.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <thread>

#include "core/core_support.h"
#include "core/event_shelf.h"
#include "core/reactor.h"
#include "core/shared.h"
#include "os/clock.h"
#include "os/resolver.h"
#include "os/sockets.h"

namespace tofu {

namespace {
/** Events of the size of a read that there are now, and that were ever made. */
std::atomic<int> chunks{0};
std::atomic<int> chunks_made{0};
}  // namespace

// In the place of core/event.cc, to count.
Event* make_event(size_t capacity) {
  void* place = std::malloc(sizeof(Event) + capacity);
  if (place == nullptr) return nullptr;
  auto* event = new (place) Event();
  event->capacity = static_cast<uint32_t>(capacity);
  if (capacity == kChunkBytes) {
    chunks++;
    chunks_made++;
  }
  return event;
}
void free_event(Event* event) {
  if (event->capacity == kChunkBytes) chunks--;
  std::free(event);
}

namespace {

using test::App;
using test::bytes_of;
using test::ChannelId;
using test::make_frame;
using test::Taken;

/** A pair of channels over a Unix socket; both ends in one engine. */
class PortTest : public testing::Test {
 protected:
  void SetUp() override {
    near_group_ = app_.open_group();
    far_group_ = app_.open_group();
    test::Listening listening = test::listen_and_wait(&app_, far_group_, "uds|" + folder_.file("s"));
    address_ = listening.address;
    near_ = app_.connect(near_group_, address_, 77);
    far_ = app_.next_accepted(far_group_);
    ASSERT_TRUE(app_.wait_balanced());
    EXPECT_EQ(app_.next(far_, "the Hello").op_code(), OpCode::hello_request);
  }
  std::string update(uint64_t id, size_t body) { return make_frame(OpCode::signal, id, std::string(body, 'u')); }
  /** Puts updates into the far group's inbox and waits until they are there. */
  void add_updates(int count, size_t body) {
    Port* port = app_.port();
    int rings = app_.bell.rings();
    ASSERT_TRUE(port->park());
    for (int i = 1; i <= count; i++) {
      std::string frame = update(static_cast<uint64_t>(i), body);
      ASSERT_TRUE(port->update(far_group_, bytes_of(frame), frame.size()));
    }
    ASSERT_TRUE(app_.bell.wait_beyond(rings));
  }

  test::TempFolder folder_;
  App app_;
  uint32_t near_group_ = 0;
  uint32_t far_group_ = 0;
  std::string address_;
  ChannelId near_;
  ChannelId far_;
};

TEST_F(PortTest, DrainsThroughASmallSlab) {
  add_updates(50, 100);
  std::vector<uint8_t> slab(300);
  uint64_t expected = 1;
  while (expected <= 50) {
    Record records[64];
    DrainResult result = app_.port()->drain(slab.data(), 0, slab.size(), records, 64);
    ASSERT_LE(result.used, slab.size());
    if (result.records == 0) {
      ASSERT_EQ(app_.port()->wait(test::kDeadlineMs), WaitResult::ready) << "update " << expected;
      continue;
    }
    ASSERT_LE(result.records, 2u);
    for (uint32_t i = 0; i < result.records; i++) {
      EXPECT_EQ(records[i].at % kPlaceBytes, 0u);
      EXPECT_EQ(records[i].length, place_bytes(kHeaderBytes + 100));
      EXPECT_EQ(message_id(test::bytes_of(test::wire_of(&slab[records[i].at]))), expected++);
    }
    EXPECT_EQ(result.needed, result.more ? place_bytes(kHeaderBytes + 100) : 0);
  }
}

TEST_F(PortTest, SaysHowMuchRoomTheNextEventNeeds) {
  add_updates(1, 500);
  const size_t place = place_bytes(kHeaderBytes + 500);
  std::vector<uint8_t> slab(1008);
  Record records[4];
  DrainResult result = app_.port()->drain(slab.data(), 608, slab.size(), records, 4);
  EXPECT_EQ(result.records, 0u);
  EXPECT_TRUE(result.more);
  EXPECT_EQ(result.used, 608u);
  EXPECT_EQ(result.needed, place);
  EXPECT_FALSE(app_.port()->park()) << "something is left to drain";
  EXPECT_EQ(app_.port()->wait(0), WaitResult::ready);
  result = app_.port()->drain(slab.data(), slab.size() - place, slab.size(), records, 4);
  EXPECT_EQ(result.records, 1u);
  EXPECT_EQ(result.used, slab.size());
  EXPECT_FALSE(result.more);
}

TEST_F(PortTest, WritesNoMoreRecordsThanThereIsRoomFor) {
  add_updates(5, 0);
  std::vector<uint8_t> slab(1000);
  uint32_t taken = 0;
  while (taken < 5) {
    Record record[1];
    DrainResult result = app_.port()->drain(slab.data(), 0, slab.size(), record, 1);
    ASSERT_LE(result.records, 1u);
    EXPECT_EQ(result.needed, 0u);
    taken += result.records;
    if (result.records == 0) {
      ASSERT_EQ(app_.port()->wait(test::kDeadlineMs), WaitResult::ready);
    }
  }
}

TEST_F(PortTest, RingsOnceForEachPark) {
  Port* port = app_.port();
  app_.pump();
  int before = app_.bell.rings();
  add_updates(100, 10);
  // More arrives while nobody is parked.
  for (uint64_t i = 0; i < 100; i++) {
    std::string frame = update(1000 + i, 10);
    ASSERT_TRUE(port->update(far_group_, bytes_of(frame), frame.size()));
  }
  ASSERT_TRUE(app_.wait_for("all updates", [&] { return app_.mail.size() == 200; }));
  EXPECT_EQ(app_.bell.rings(), before + 1);
}

TEST_F(PortTest, DoesNotRingBehindUnpark) {
  Port* port = app_.port();
  ASSERT_TRUE(port->park());
  port->unpark();
  int before = app_.bell.rings();
  std::string frame = update(1, 10);
  ASSERT_TRUE(port->update(far_group_, bytes_of(frame), frame.size()));
  ASSERT_TRUE(app_.wait_for("the update", [&] { return app_.mail.size() == 1; }));
  EXPECT_EQ(app_.bell.rings(), before);
}

TEST_F(PortTest, RefusesToParkOverSomethingUndrained) {
  add_updates(1, 10);
  EXPECT_FALSE(app_.port()->park());
  app_.pump();
  EXPECT_TRUE(app_.port()->park());
  app_.port()->unpark();
}

/** The consumer parks at every pause and sleeps on its doorbell alone: one lost wake would be for ever. */
TEST_F(PortTest, NeverLosesAWakeOfAParkedThread) {
  constexpr uint64_t kUpdates = 20'000;
  std::atomic<uint64_t> taken{0};
  std::thread poster([&] {
    App other(app_.engine().number());
    for (uint64_t i = 1; i <= kUpdates; i++) {
      std::string frame = update(i, 8);
      ASSERT_TRUE(other.port()->update(far_group_, bytes_of(frame), frame.size()));
      // At most a few ahead: the consumer is about to park most of the time.
      while (taken.load(std::memory_order_acquire) + 3 < i) std::this_thread::yield();
    }
  });
  bool in_time = true;
  while (in_time && taken.load(std::memory_order_relaxed) < kUpdates) {
    app_.pump();
    taken.store(app_.mail.size(), std::memory_order_release);
    int rings = app_.bell.rings();
    if (app_.mail.size() < kUpdates && app_.port()->park()) in_time = app_.bell.wait_beyond(rings);
  }
  EXPECT_TRUE(in_time) << "no doorbell behind update " << app_.mail.size();
  taken.store(UINT64_MAX / 2, std::memory_order_release);
  poster.join();
  for (uint64_t i = 0; i < app_.mail.size(); i++) ASSERT_EQ(app_.mail[i].id(), i + 1);
}

TEST_F(PortTest, WaitsUntilTheTimeIsUp) {
  app_.pump();
  ASSERT_TRUE(app_.wait_balanced());
  EXPECT_EQ(app_.port()->wait(0), WaitResult::timed_out);
  auto before = test::SteadyClock::now();
  EXPECT_EQ(app_.port()->wait(20), WaitResult::timed_out);
  EXPECT_GE(test::SteadyClock::now() - before, test::Milliseconds(20));
}

TEST_F(PortTest, WaitsWithoutLimitUntilSomethingComes) {
  std::thread poster([&] {
    App other(app_.engine().number());
    std::string frame = update(5, 8);
    ASSERT_TRUE(other.port()->update(far_group_, bytes_of(frame), frame.size()));
  });
  while (app_.mail.empty()) {
    ASSERT_EQ(app_.port()->wait(-1), WaitResult::ready);
    app_.pump();
  }
  EXPECT_EQ(app_.mail[0].id(), 5u);
  poster.join();
}

TEST_F(PortTest, WaitReturnsForCreditsAlone) {
  // The other port posts into this one's channel: nothing but credits ever comes to it.
  App other(app_.engine().number());
  std::string frame = make_frame(OpCode::signal, 9, std::string(60'000, 'x'));
  for (int i = 0; i < 40; i++) other.post(near_, frame, near_group_);
  while (other.outstanding() > 0) {
    app_.pump();
    ASSERT_EQ(other.port()->wait(test::kDeadlineMs), WaitResult::ready) << other.outstanding();
    other.pump();
  }
  EXPECT_TRUE(other.views().empty() && other.mail.empty());
}

TEST_F(PortTest, RingsForCreditsThatWereAskedFor) {
  Port* port = app_.port();
  app_.view(far_).hold_reading = true;
  std::string frame = make_frame(OpCode::signal, 9, std::string(60'000, 'x'));
  for (int i = 0; i < 40; i++) app_.post(near_, frame);
  while (app_.outstanding() > 0) {
    app_.pump();
    uint32_t settled = port->want_credits();
    int rings = app_.bell.rings();
    app_.pump();
    app_.command(Command::consumed, far_.number, far_.generation, static_cast<uint32_t>(app_.view(far_).unread));
    app_.view(far_).unread = 0;
    if (app_.outstanding() == 0 || port->settled() != settled) continue;
    ASSERT_TRUE(app_.bell.wait_beyond(rings)) << "credits came without a ring, or never";
  }
}

TEST_F(PortTest, CreditsOfTaggedMessagesComeAsRecords) {
  app_.view(far_).hold_reading = true;
  std::string frame = make_frame(OpCode::signal, 9, std::string(1000, 'x'));
  for (int i = 0; i < 10; i++) app_.post(near_, frame, 0, far_group_);
  for (int i = 0; i < 5; i++) app_.post(near_, frame);
  ASSERT_TRUE(app_.wait_balanced());
  EXPECT_EQ(app_.credits(), 10u);
  // The group of the tag goes: its credits come with the total.
  app_.close_group(far_group_);
  ASSERT_TRUE(app_.wait_for("groupGone", [&] { return app_.groups_gone.count(far_group_) == 1; }));
  for (int i = 0; i < 10; i++) app_.post(near_, frame, 0, far_group_);
  ASSERT_TRUE(app_.wait_balanced());
  EXPECT_EQ(app_.credits(), 10u);
}

/** Events that were copied go back to be read into again, but a burst of many must not be held for ever. */
TEST_F(PortTest, KeepsOnlyAFewCopiedEvents) {
  constexpr uint64_t kChannels = 30;
  std::vector<ChannelId> channels;
  for (uint64_t i = 0; i < kChannels; i++) {
    channels.push_back(app_.connect(near_group_, address_, 100 + i));
    app_.next(app_.next_accepted(far_group_), "the Hello");
  }
  ASSERT_TRUE(app_.wait_balanced());
  // All is read before the first of it is taken: that many are in use at once.
  uint64_t reads = app_.counters().readCalls.load();
  std::string frame = make_frame(OpCode::signal, 9, std::string(60'000, 'x'));
  for (ChannelId channel : channels) app_.post(channel, frame);
  auto deadline = test::SteadyClock::now() + test::Milliseconds(test::kDeadlineMs);
  while (app_.counters().readCalls.load() < reads + kChannels) {
    ASSERT_LT(test::SteadyClock::now(), deadline) << "waited in vain for " << kChannels << " reads";
    std::this_thread::yield();
  }
  uint64_t taken = 0;
  app_.on_taken = [&](ChannelId, const Taken&) { return taken++, true; };
  ASSERT_TRUE(app_.wait_for("all signals", [&] { return taken == kChannels; }));
  app_.pump();
  // Three shelves, and what the sockets are read into.
  EXPECT_LE(chunks.load(), static_cast<int>(3 * EventShelf::kMost[EventShelf::kSizes - 1] + 1));
  EXPECT_GT(chunks.load(), 0);
}

TEST_F(PortTest, ASteadyFlowGoesRound) {
  std::string frame = make_frame(OpCode::signal, 9, std::string(60'000, 'x'));
  auto send_one = [&] {
    app_.post(near_, frame);
    return app_.next(far_, "the signal").id() == 9u;
  };
  // Until as many go round as it takes.
  for (int i = 0; i < 20; i++) ASSERT_TRUE(send_one());
  int made = chunks_made;
  for (int i = 0; i < 100; i++) ASSERT_TRUE(send_one());
  EXPECT_EQ(chunks_made, made);
}

TEST_F(PortTest, TakesAnEmptyFlush) { EXPECT_TRUE(app_.port()->flush(nullptr, nullptr, 0, true)); }

TEST_F(PortTest, CountsItsSocketsAndTellsTheLast) {
  Port* port = app_.port();
  EXPECT_EQ(port->open_sockets(), 3u);
  ChannelId dialing = app_.open(near_group_, false);
  EXPECT_EQ(port->open_sockets(), 4u) << "at once, before the Hello is posted";
  static_cast<void>(dialing);
  int rings = app_.bell.rings();
  app_.close_group(near_group_);
  app_.close_group(far_group_);
  // Nobody is parked, and the bell rings all the same.
  ASSERT_TRUE(app_.bell.wait_beyond(rings));
  ASSERT_TRUE(app_.wait_for("socketsGone", [&] { return app_.sockets_gone == 1; }));
  EXPECT_EQ(port->open_sockets(), 0u);
}

TEST_F(PortTest, OpensNothingInAClosedGroup) {
  app_.close_group(near_group_);
  uint32_t generation = 0;
  EXPECT_EQ(app_.port()->open_channel(near_group_, false, &generation), 0u);
  EXPECT_FALSE(app_.engine().group_is_open(near_group_));
  EXPECT_TRUE(app_.engine().group_is_open(far_group_));
  EXPECT_EQ(app_.port()->open_channel(4711, false, &generation), 0u);
}

TEST_F(PortTest, GoneIsTheLastThingAWaitSays) {
  app_.command(Command::destroy_engine);
  ASSERT_TRUE(app_.wait_for("engineGone", [&] { return app_.engine_gone; }));
  EXPECT_EQ(app_.port()->wait(-1), WaitResult::gone);
  EXPECT_EQ(app_.port()->open_group(), 0u);
  // Posts to what is gone are settled at once.
  uint32_t settled = app_.port()->settled();
  std::string frame = make_frame(OpCode::signal, 9);
  while (app_.port()->settled() == settled) app_.post(near_, frame);
}

/** The engine's side of a port is this thread's, so that it does what it does at the worst moment. */
TEST(PortWait, AsksForCreditsAnewWhenItWasWokenForNothing) {
  OsError error = OsError::none;
  std::unique_ptr<Poller> poller = make_poller(PollerKind::best, &error);
  ASSERT_NE(poller, nullptr);
  Kernel kernel{poller.release(), &system_sockets(), &system_resolver(), &system_clock()};
  Engine* engine = Engine::create_for_test({}, kernel);
  test::Bell bell;
  Port* port = engine->attach_for_test(&bell);
  std::thread waiter([&] { EXPECT_EQ(port->wait(-1), WaitResult::ready); });
  // A publication may take the wish for credits along that was made behind what it publishes.
  auto deadline = test::SteadyClock::now() + test::Milliseconds(test::kDeadlineMs);
  while (bell.rings() < 3 && test::SteadyClock::now() < deadline) {
    port->settle(0);
    port->publish();
    std::this_thread::yield();
  }
  EXPECT_GE(bell.rings(), 3) << "waited in vain for another wish";
  port->settle(1);
  port->must_ring();
  port->publish();
  waiter.join();
  engine->reactor().shut_down();
  Engine::detach(port);
  Engine::destroy_for_test(engine);
}

}  // namespace
}  // namespace tofu
