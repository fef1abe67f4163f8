// engine_test.cc: whole engines over the real kernel: dialogs, ends, groups, threads that come and go. The conformance
// suite says all of this again from JavaScript; here it runs without Node, under the sanitizers.
#include "core/engine.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

#include "core/core_support.h"
#include "core/reactor.h"
#include "core/shared.h"
#include "os/clock.h"
#include "os/resolver.h"

namespace tofu {
namespace {

using test::App;
using test::bytes_of;
using test::ChannelId;
using test::Listening;
using test::make_frame;
using test::Taken;

enum class Transport { uds, tcp };

class EngineTest : public testing::TestWithParam<std::tuple<Transport, PollerKind>> {
 protected:
  std::string address() {
    if (std::get<0>(GetParam()) == Transport::tcp) return "tcp|127.0.0.1|0";
    return "uds|" + folder_.file("s" + std::to_string(next_path_++));
  }
  EngineOptions options() const {
    EngineOptions given;
    given.poller = std::get<1>(GetParam());
    return given;
  }
  bool tcp() const { return std::get<0>(GetParam()) == Transport::tcp; }

  test::Balance balance_;
  test::TempFolder folder_;
  int next_path_ = 0;
};

/** A listener and one channel, seen from both ends; both in one engine, in two groups. */
struct Pair {
  explicit Pair(App* app, const std::string& address) {
    server_group = app->open_group();
    client_group = app->open_group();
    listening = test::listen_and_wait(app, server_group, address);
    client = app->connect(client_group, listening.address, 77);
    server = app->next_accepted(server_group);
    EXPECT_EQ(app->view(server).opened_id, 77u);
    Taken hello = app->next(server, "the Hello");
    EXPECT_EQ(hello.op_code(), OpCode::hello_request);
    EXPECT_EQ(hello.header(kConnectTo), listening.address);
    EXPECT_TRUE(app->wait_balanced());
  }
  uint32_t server_group = 0;
  uint32_t client_group = 0;
  Listening listening;
  ChannelId client;
  ChannelId server;
};

/** Waits for the last word and returns what came with the tail or as mail. */
std::vector<Taken> rest_of(App* app, ChannelId channel) {
  EXPECT_TRUE(app->wait_last(channel));
  std::vector<Taken> rest;
  for (Taken& one : app->view(channel).taken) rest.push_back(std::move(one));
  app->view(channel).taken.clear();
  return rest;
}

// ── dialogs ──

TEST_P(EngineTest, HoldsAWholeDialog) {
  App app(options());
  Pair pair(&app, address());
  app.post(pair.server, OpCode::hello_response, 77, "welcome");
  EXPECT_EQ(app.next(pair.client, "the answer").body(), "welcome");
  for (uint64_t id = 1; id <= 100; id++) app.post(pair.client, OpCode::request, id, std::to_string(id));
  for (uint64_t id = 1; id <= 100; id++) {
    Taken request = app.next(pair.server, "a request");
    ASSERT_EQ(request.id(), id);
    ASSERT_EQ(request.body(), std::to_string(id));
    ASSERT_FALSE(request.from_engine());
    app.post(pair.server, OpCode::response, id, request.body() + "!");
  }
  for (uint64_t id = 1; id <= 100; id++)
    ASSERT_EQ(app.next(pair.client, "a response").body(), std::to_string(id) + "!");
  app.post(pair.client, OpCode::bye_request, 500);
  EXPECT_EQ(app.next(pair.server, "the ByeRequest").op_code(), OpCode::bye_request);
  app.post(pair.server, OpCode::bye_response, 500);
  EXPECT_EQ(app.next(pair.client, "the ByeResponse").op_code(), OpCode::bye_response);
  EXPECT_TRUE(rest_of(&app, pair.client).empty());
  EXPECT_TRUE(rest_of(&app, pair.server).empty());
  EXPECT_TRUE(app.wait_balanced());
  EXPECT_EQ(app.returned(), 1u) << "the WelcomeResponse only";
  EXPECT_EQ(app.counters().channels.load(), 0u);
  EXPECT_EQ(app.counters().listeners.load(), 1u);
}

TEST_P(EngineTest, EndsOnBothSidesWhenByesCross) {
  App app(options());
  Pair pair(&app, address());
  app.post(pair.client, OpCode::signal, 1, "before");
  app.post(pair.client, OpCode::bye_request, 2);
  app.post(pair.server, OpCode::bye_request, 3);
  EXPECT_EQ(app.next(pair.server, "what was sent before").body(), "before");
  EXPECT_EQ(app.next(pair.server, "the client's Bye").op_code(), OpCode::bye_request);
  EXPECT_EQ(app.next(pair.client, "the server's Bye").op_code(), OpCode::bye_request);
  EXPECT_TRUE(rest_of(&app, pair.client).empty());
  EXPECT_TRUE(rest_of(&app, pair.server).empty());
  EXPECT_TRUE(app.wait_balanced());
}

TEST_P(EngineTest, SendsWhatWasPostedWhileConnecting) {
  App app(options());
  uint32_t group = app.open_group();
  Listening listening = test::listen_and_wait(&app, group, address());
  uint32_t clients = app.open_group();
  ChannelId client = app.connect(clients, listening.address);
  for (uint64_t id = 1; id <= 20; id++) app.post(client, OpCode::signal, id);
  app.post(client, OpCode::bye_request, 21);
  ChannelId server = app.next_accepted(group);
  EXPECT_EQ(app.next(server, "the Hello").op_code(), OpCode::hello_request);
  for (uint64_t id = 1; id <= 20; id++) ASSERT_EQ(app.next(server, "a signal").id(), id);
  EXPECT_EQ(app.next(server, "the Bye").op_code(), OpCode::bye_request);
  app.post(server, OpCode::bye_response, 21);
  EXPECT_TRUE(app.wait_last(client) && app.wait_last(server));
  EXPECT_TRUE(app.wait_balanced());
}

TEST_P(EngineTest, CarriesFramesOfEverySize) {
  App app(options());
  Pair pair(&app, address());
  uint64_t id = 1;
  std::vector<std::string> sent;
  for (size_t size : {0u, 1u, 4095u, 16'000u, 65'535u}) {
    for (size_t headers : {0u, 30'000u, 65'000u}) {
      HeaderFields fields;
      fields.flags = static_cast<uint8_t>(OpCode::signal);
      fields.id = id++;
      std::string block = headers == 0 ? "" : "name:" + std::string(headers - 7, 'h') + "\r\n";
      sent.push_back(make_frame(fields, block, std::string(size, 'b')));
      app.post(pair.client, sent.back());
    }
  }
  for (const std::string& frame : sent) {
    Taken taken = app.next(pair.server, "a frame");
    // Without the channel number, which is the receiver's.
    ASSERT_TRUE(taken.frame.substr(2) == frame.substr(2)) << taken.id();
  }
  EXPECT_TRUE(app.wait_balanced());
}

// ── inline sends: the gate ──

TEST_P(EngineTest, SendsInlineWhileTheChannelIsIdle) {
  App app(options());
  Pair pair(&app, address());
  // The engine may still be busy with the last record: until then runs are queued. From then on each is sent by this
  // thread.
  uint64_t before = app.counters().inlineSends.load();
  uint64_t id = 1;
  ASSERT_TRUE(app.poll_for("the first inline send", [&] {
    app.post(pair.client, OpCode::signal, id++);
    return app.counters().inlineSends.load() > before;
  }));
  uint64_t queued = app.counters().queuedRuns.load();
  for (int i = 0; i < 200; i++) {
    before = app.counters().inlineSends.load();
    app.post(pair.client, OpCode::signal, id++);
    EXPECT_EQ(app.counters().inlineSends.load(), before + 1);
    uint64_t last = id - 1;
    bool arrived = false;
    app.on_taken = [&](ChannelId, const Taken& taken) { return arrived = arrived || taken.id() == last, false; };
    ASSERT_TRUE(app.wait_for("the signal", [&] { return arrived && app.outstanding() == 0; }));
    // consumed commands go through the queue: once they are done the next post may be inline again.
    ASSERT_TRUE(app.wait_taken());
  }
  EXPECT_EQ(app.counters().queuedRuns.load(), queued);
  for (uint64_t i = 1; i < id; i++) ASSERT_EQ(app.next(pair.server, "a signal").id(), i);
}

TEST_P(EngineTest, NeverSendsControlFramesInline) {
  App app(options());
  Pair pair(&app, address());
  ASSERT_TRUE(app.wait_taken());
  uint64_t before = app.counters().inlineSends.load();
  app.post(pair.client, OpCode::bye_request, 5);
  EXPECT_EQ(app.counters().inlineSends.load(), before);
  EXPECT_EQ(app.next(pair.server, "the Bye").op_code(), OpCode::bye_request);
}

TEST_P(EngineTest, FinishesAFrameThatAnInlineSendCut) {
  App app(options());
  Pair pair(&app, address());
  app.view(pair.server).hold_reading = true;
  std::string frame;
  // 40,000 bytes in one frame: a full socket takes a part of one.
  uint64_t id = 1;
  uint64_t queued = app.counters().queuedRuns.load();
  ASSERT_TRUE(app.poll_for("a full socket behind inline sends", [&] {
    if (!app.port()->queue().all_consumed()) return false;
    for (int i = 0; i < 50 && app.counters().queuedRuns.load() == queued; i++) {
      app.post(pair.client, make_frame(OpCode::signal, id, std::string(40'000, static_cast<char>('a' + id % 26))));
      id++;
    }
    bool full = app.counters().queuedRuns.load() > queued && app.outstanding() > 0;
    queued = app.counters().queuedRuns.load();
    return full;
  }));
  for (int i = 0; i < 10; i++, id++)
    app.post(pair.client, make_frame(OpCode::signal, id, std::string(40'000, static_cast<char>('a' + id % 26))));
  app.view(pair.server).hold_reading = false;
  app.command(Command::consumed, pair.server.number, pair.server.generation,
              static_cast<uint32_t>(app.view(pair.server).unread));
  for (uint64_t i = 1; i < id; i++) {
    Taken taken = app.next(pair.server, "a signal");
    ASSERT_EQ(taken.id(), i);
    ASSERT_TRUE(taken.body() == std::string(40'000, static_cast<char>('a' + i % 26)));
  }
  EXPECT_TRUE(app.wait_balanced());
  EXPECT_GT(app.counters().inlineSends.load(), 0u);
}

/** Several threads post into one channel that is always full: cut frames of one must never mix with another's. */
TEST_P(EngineTest, KeepsFramesWholeWhenThreadsPostIntoAFullChannel) {
  App near(options());
  App far(options());  // reads on a thread of its own
  uint32_t group = far.open_group();
  Listening listening = test::listen_and_wait(&far, group, address());
  uint32_t clients = near.open_group();
  ChannelId client = near.connect(clients, listening.address);
  ChannelId server = far.next_accepted(group);
  EXPECT_EQ(far.next(server, "the Hello").op_code(), OpCode::hello_request);
  constexpr uint64_t kThreads = 3;
  constexpr uint64_t kEach = 400;
  auto body_of = [](uint64_t t, uint64_t i) {
    return std::string((i * 7919 + t * 131) % 60'000, static_cast<char>('A' + t));
  };
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      App other(near.engine().number());
      for (uint64_t i = 1; i <= kEach; i++) {
        other.post(client, make_frame(OpCode::signal, (t + 1) << 32 | i, body_of(t, i)), clients);
        // Its queue is empty again: the next one is tried inline, into a socket the others keep full.
        bool taken = other.wait_taken() && other.wait_for("room", [&] { return other.outstanding() < 20; });
        if (!taken) break;
      }
      EXPECT_TRUE(other.wait_balanced());
    });
  }
  std::vector<uint64_t> next(kThreads, 1);
  bool good = true;
  for (uint64_t n = 0; good && n < kThreads * kEach; n++) {
    Taken taken = far.next(server, "a signal");
    uint64_t t = (taken.id() >> 32) - 1;
    good = t < kThreads && (taken.id() & 0xffffffff) == next[t];
    good = good && taken.body() == body_of(t, next[t]++);
    EXPECT_TRUE(good) << "signal " << n << ", id " << std::hex << taken.id();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(near.counters().inlineSends.load(), 0u);
  EXPECT_GT(near.counters().queuedRuns.load(), 0u);
}

/** A Bye of one thread behind a frame of another that the socket has cut: both go out, the frame first. */
TEST_P(EngineTest, SendsAByeBehindAnotherThreadsCutFrame) {
  for (int round = 0; round < 30; round++) {
    App app(options());
    Pair pair(&app, address());
    App other(app.engine().number());
    ASSERT_TRUE(app.wait_taken());
    app.view(pair.server).hold_reading = true;
    std::string frame = make_frame(OpCode::signal, 9, std::string(50'000, 'x'));
    for (int i = 0; i < 30; i++) other.post(pair.client, frame, pair.client_group);
    app.post(pair.client, OpCode::bye_request, 10);
    app.view(pair.server).hold_reading = false;
    app.pump();
    app.command(Command::consumed, pair.server.number, pair.server.generation,
                static_cast<uint32_t>(app.view(pair.server).unread));
    Taken taken = app.next(pair.server, "a frame or the Bye");
    uint64_t arrived = 0;
    for (; taken.op_code() == OpCode::signal; taken = app.next(pair.server, "a frame or the Bye")) arrived++;
    ASSERT_EQ(taken.op_code(), OpCode::bye_request);
    app.post(pair.server, OpCode::bye_response, 10);
    ASSERT_TRUE(app.wait_last(pair.client) && app.wait_last(pair.server));
    ASSERT_TRUE(other.wait_balanced());
    ASSERT_TRUE(app.wait_balanced());
    // Those of the other thread that crossed the Bye came back, to the owner of the group.
    uint64_t back = 0;
    for (const Taken& one : app.view(pair.client).taken) back += one.from_engine() ? 1 : 0;
    ASSERT_EQ(arrived + back, 30u);
  }
}

// ── ends ──

TEST_P(EngineTest, ReturnsWhatIsUnsentWhenAborted) {
  App app(options());
  Pair pair(&app, address());
  app.view(pair.server).hold_reading = true;
  // More than any socket holds.
  constexpr uint64_t kFrames = 600;
  for (uint64_t id = 1; id <= kFrames; id++)
    app.post(pair.client, make_frame(OpCode::signal, id, std::string(50'000, 'x')));
  app.post(pair.client, OpCode::bye_signal, 999);
  std::vector<Taken> rest = rest_of(&app, pair.client);
  ASSERT_FALSE(rest.empty());
  uint64_t first = rest.front().id();
  for (size_t i = 0; i < rest.size(); i++) {
    EXPECT_EQ(rest[i].kind, EventKind::tail);
    EXPECT_EQ(rest[i].id(), first + i);
    EXPECT_EQ(rest[i].status(), Status::channel_closed);
    EXPECT_EQ(rest[i].body().size(), 50'000u);
    EXPECT_TRUE(rest[i].from_engine());
  }
  EXPECT_EQ(rest.back().id(), kFrames);
  EXPECT_TRUE(app.wait_balanced());
  app.command(Command::consumed, pair.server.number, pair.server.generation,
              static_cast<uint32_t>(app.view(pair.server).unread));
  app.view(pair.server).hold_reading = false;
  for (const Taken& one : rest_of(&app, pair.server)) EXPECT_LT(one.id(), first);
}

TEST_P(EngineTest, ReturnsPostsBetweenTheEndAndItsAcknowledgement) {
  App app(options());
  Pair pair(&app, address());
  app.view(pair.client).hold_ack = true;
  app.post(pair.server, OpCode::bye_signal, 1);
  ASSERT_TRUE(app.wait_for("the end", [&] { return app.view(pair.client).ended; }));
  app.post(pair.client, OpCode::signal, 5);
  app.post(pair.client, OpCode::bye_request, 6);
  app.post(pair.client, OpCode::bye_signal, 7);
  app.acknowledge_end(pair.client);
  std::vector<Taken> rest = rest_of(&app, pair.client);
  ASSERT_EQ(rest.size(), 2u);
  EXPECT_EQ(rest[0].id(), 5u);
  EXPECT_EQ(rest[1].id(), 6u);
  EXPECT_EQ(rest[0].status(), Status::peer_disconnected);
  // Behind the last word, once that was taken: as mail.
  app.post(pair.client, OpCode::signal, 8);
  app.forget(pair.client);
  EXPECT_EQ(app.next(pair.client, "the straggler").kind, EventKind::mail);
  app.post(pair.client, OpCode::signal, 9);
  Taken late = app.next(pair.client, "the late straggler");
  EXPECT_EQ(late.kind, EventKind::mail);
  EXPECT_EQ(late.status(), Status::channel_closed);
  EXPECT_TRUE(app.wait_balanced());
}

TEST_P(EngineTest, ANumberComesBackAtAnyMomentOfBeingLookedFor) {
  constexpr int kRounds = 10000;
  constexpr int kLongestDelayNs = 20'000;
  EngineOptions few = options();
  few.max_channels = 1;
  App app(few);
  uint32_t group = app.open_group();
  std::string place = address();
  for (int i = 0; i < kRounds; i++) {
    ChannelId id = app.listen(group, place);
    ASSERT_NE(id.number, 0u) << "in round " << i;
    app.view(id).hold_ack = true;
    app.post(id, OpCode::bye_signal, 1);
    ASSERT_TRUE(app.wait_for("the end", [&] { return app.view(id).ended; }));
    app.acknowledge_end(id);
    ASSERT_TRUE(app.wait_last(id));
    app.forget(id);
    auto until = test::SteadyClock::now() + std::chrono::nanoseconds(i * 97 % kLongestDelayNs);
    while (test::SteadyClock::now() < until);
  }
}

TEST_P(EngineTest, AcknowledgesTwiceAndForgetsTwiceWithoutHarm) {
  App app(options());
  Pair pair(&app, address());
  app.post(pair.client, OpCode::bye_signal, 1);
  app.acknowledge_end(pair.client);
  app.acknowledge_end(pair.client);
  ASSERT_TRUE(app.wait_last(pair.client));
  app.forget(pair.client);
  app.forget(pair.client);
  app.command(Command::consumed, pair.client.number, pair.client.generation, 1000);
  app.acknowledge_end(pair.client);
  ASSERT_TRUE(app.wait_last(pair.server));
  Pair again(&app, address());
  EXPECT_FALSE(again.client == pair.client);
}

TEST_P(EngineTest, DeliversWhatArrivedBeforeThePeerWasGone) {
  App app(options());
  Pair pair(&app, address());
  for (uint64_t id = 1; id <= 30; id++) app.post(pair.client, OpCode::signal, id);
  ASSERT_TRUE(app.wait_balanced());
  for (uint64_t id = 1; id <= 30; id++) ASSERT_EQ(app.next(pair.server, "a signal").id(), id);
  app.close_group(pair.client_group);
  EXPECT_TRUE(rest_of(&app, pair.server).empty());
  EXPECT_EQ(app.view(pair.server).late, Status::peer_disconnected);
  ASSERT_TRUE(app.wait_for("groupGone", [&] { return app.groups_gone.count(pair.client_group) == 1; }));
}

// ── connecting and listening ──

TEST_P(EngineTest, ReturnsTheHelloWhenRefused) {
  App app(options());
  uint32_t group = app.open_group();
  Listening listening = test::listen_and_wait(&app, group, address());
  app.post(listening.channel, OpCode::bye_signal, 9);
  EXPECT_TRUE(rest_of(&app, listening.channel).empty());
  ChannelId client = app.connect(group, listening.address, 42);
  app.post(client, OpCode::signal, 43);
  std::vector<Taken> rest = rest_of(&app, client);
  ASSERT_EQ(rest.size(), 2u);
  EXPECT_EQ(rest[0].op_code(), OpCode::hello_response);
  EXPECT_EQ(rest[0].id(), 42u);
  EXPECT_EQ(rest[0].header(kConnectTo), listening.address);
  EXPECT_EQ(rest[0].status(), tcp() ? Status::connect_failed : Status::uds_path_not_found);
  EXPECT_EQ(rest[1].op_code(), OpCode::signal);
  EXPECT_EQ(rest[1].status(), rest[0].status());
  EXPECT_TRUE(app.wait_balanced());
  EXPECT_EQ(app.port()->open_sockets(), 0u);
}

TEST_P(EngineTest, RefusesAddressesThatAreNone) {
  App app(options());
  uint32_t group = app.open_group();
  for (const char* bad : {"", "udp|1|2", "tcp|127.0.0.1", "tcp|127.0.0.1|0", "tcp|127.0.0.1|99999", "uds|"}) {
    std::vector<Taken> rest = rest_of(&app, app.connect(group, bad));
    ASSERT_EQ(rest.size(), 1u);
    EXPECT_EQ(rest[0].op_code(), OpCode::hello_response);
    EXPECT_EQ(rest[0].status(), Status::invalid_address) << bad;
    if (std::string(bad) == "tcp|127.0.0.1|0") continue;  // fine for a listener
    rest = rest_of(&app, app.listen(group, bad));
    ASSERT_EQ(rest.size(), 1u);
    EXPECT_EQ(rest[0].op_code(), OpCode::welcome_response);
    EXPECT_EQ(rest[0].status(), Status::invalid_address) << bad;
  }
  EXPECT_TRUE(app.wait_balanced());
}

TEST_P(EngineTest, RefusesAnAddressThatIsTaken) {
  App app(options());
  uint32_t group = app.open_group();
  Listening listening = test::listen_and_wait(&app, group, address());
  std::vector<Taken> rest = rest_of(&app, app.listen(group, listening.address, 7));
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].op_code(), OpCode::welcome_response);
  EXPECT_EQ(rest[0].status(), Status::listen_failed);
  EXPECT_EQ(rest[0].id(), 7u);
  EXPECT_TRUE(app.wait_balanced());
}

TEST_P(EngineTest, LetsAcceptedChannelsLiveWithoutTheListener) {
  App app(options());
  Pair pair(&app, address());
  app.post(pair.listening.channel, OpCode::bye_signal, 9);
  ASSERT_TRUE(app.wait_last(pair.listening.channel));
  app.post(pair.client, OpCode::signal, 5);
  EXPECT_EQ(app.next(pair.server, "the signal").id(), 5u);
}

TEST_P(EngineTest, ListensAtTheBoundOfChannels) {
  EngineOptions given = options();
  given.max_channels = 5;
  App app(given);
  uint32_t group = app.open_group();
  uint32_t clients = app.open_group();
  Listening listening = test::listen_and_wait(&app, group, address());
  // One listener, and two pairs: five.
  ChannelId first = app.connect(clients, listening.address, 1);
  ChannelId first_far = app.next_accepted(group);
  ChannelId second = app.connect(clients, listening.address, 2);
  ChannelId second_far = app.next_accepted(group);
  EXPECT_EQ(app.open(clients, false).number, 0u);
  App other(options());
  uint32_t outside = other.open_group();
  ChannelId waiting = other.connect(outside, listening.address, 3);
  ASSERT_TRUE(other.wait_balanced());
  // It waits in the backlog until a number is free.
  app.post(first, OpCode::bye_signal, 9);
  ASSERT_TRUE(app.wait_last(first) && app.wait_last(first_far));
  ChannelId third = app.next_accepted(group);
  EXPECT_EQ(app.view(third).opened_id, 3u);
  EXPECT_FALSE(other.view(waiting).ended);
  static_cast<void>(second);
  static_cast<void>(second_far);
}

TEST_P(EngineTest, TellsAViolationAndHarmsNoOther) {
  App app(options());
  Pair pair(&app, address());
  Pair good(&app, address());
  // A second Hello, and a message without an id: neither may a peer send. The core takes what it is given.
  app.post(pair.client, make_frame(OpCode::signal, 0, "no id"));
  EXPECT_TRUE(rest_of(&app, pair.server).empty());
  EXPECT_EQ(app.violations, 1);
  EXPECT_EQ(app.counters().protocolViolations.load(), 1u);
  ASSERT_TRUE(app.wait_last(pair.client));
  app.post(good.client, OpCode::signal, 5);
  EXPECT_EQ(app.next(good.server, "the other channel's signal").id(), 5u);
}

/** A socket that is connected to a Unix listener of the engine. */
void connect_raw(const Listening& listening, test::Fd* raw) {
  SocketAddress address;
  std::string path = listening.address.substr(4);
  ASSERT_TRUE(uds_address(path.data(), path.size(), &address));
  ASSERT_EQ(system_sockets().connect(address, raw->out()), OsError::none);
}

TEST_P(EngineTest, ForgetsSilentConnectionsUnseen) {
  EngineOptions given = options();
  given.handshake_timeout_ms = 50;
  App app(given);
  uint32_t group = app.open_group();
  Listening listening = test::listen_and_wait(&app, group, "uds|" + folder_.file("silent"));
  test::Fd silent;
  ASSERT_NO_FATAL_FAILURE(connect_raw(listening, &silent));
  test::await(silent.get(), POLLIN, "the end of a silent connection");
  char byte;
  EXPECT_EQ(test::read_into(silent.get(), &byte, 1).bytes, 0u);
  ASSERT_TRUE(app.poll_for("no channel left", [&] { return app.counters().channels.load() == 0; }));
  EXPECT_EQ(app.views().size(), 1u) << "only the listener is known";
}

TEST_P(EngineTest, ViolationsOfStrangersFillNoMemory) {
  App app(options());
  uint32_t group = app.open_group();
  Listening listening = test::listen_and_wait(&app, group, "uds|" + folder_.file("strangers"));
  constexpr uint64_t kStrangers = 600;
  auto violate = [&] {
    const std::string no_id(kHeaderBytes, '\0');
    test::Fd stranger;
    ASSERT_NO_FATAL_FAILURE(connect_raw(listening, &stranger));
    ASSERT_EQ(write(stranger.get(), no_id.data(), no_id.size()), static_cast<ssize_t>(no_id.size()));
    test::await(stranger.get(), POLLIN, "the end of a stranger's connection");
  };
  for (uint64_t i = 1; i <= kStrangers; i++) ASSERT_NO_FATAL_FAILURE(violate());
  EXPECT_EQ(app.counters().protocolViolations.load(), kStrangers);
  app.pump();
  EXPECT_EQ(app.violations, 256) << "the rest is counted only";
  ASSERT_NO_FATAL_FAILURE(violate());
  ASSERT_TRUE(app.wait_for("a violation that is told again", [&] { return app.violations == 257; }));
}

TEST_P(EngineTest, ANumberThatAnApplicationThreadGivesBackResumesAListener) {
  EngineOptions few = options();
  few.max_channels = 2;
  App app(few);
  uint32_t group = app.open_group();
  uint32_t closed = app.open_group();
  Listening listening = test::listen_and_wait(&app, group, "uds|" + folder_.file("last"));
  app.close_group(closed);
  ASSERT_TRUE(app.wait_for("groupGone", [&] { return app.groups_gone.count(closed) == 1; }));
  App other(app.engine().number());
  Shared& shared = app.engine().shared();
  ASSERT_TRUE(app.poll_for("a sleeping engine", [&] { return shared.parked.load(); }));
  test::Fd raw;
  std::thread taker;
  {
    // It has the last number then, and waits for this lock to find that the group is gone.
    auto groups = shared.groups.access();
    taker = std::thread([&] {
      uint32_t generation = 0;
      EXPECT_EQ(other.port()->open_channel(closed, false, &generation), 0u);
    });
    while (shared.numbers.access()->available()) std::this_thread::yield();
    const uint64_t parks = app.counters().parks.load();
    ASSERT_NO_FATAL_FAILURE(connect_raw(listening, &raw));
    while (app.counters().parks.load() == parks) std::this_thread::yield();
  }
  taker.join();
  const std::string hello = make_frame(OpCode::hello_request, 7);
  ASSERT_EQ(write(raw.get(), hello.data(), hello.size()), static_cast<ssize_t>(hello.size()));
  EXPECT_EQ(app.view(app.next_accepted(group)).opened_id, 7u);
}

/** What is posted to a peer that has gone comes back behind what it had sent, which needs messages that may all be posted. */
TEST_P(EngineTest, PostsThatCannotBeSentAreSettledForAReceiverThatStarves) {
  App app(options());
  Pair pair(&app, address());
  app.view(pair.client).hold_reading = true;
  // More than is read ahead, and all of that has been read: reading would notice the end.
  constexpr size_t kReadAhead = 512 * 1024;
  for (uint64_t id = 1; id <= 40; id++) app.post(pair.server, make_frame(OpCode::request, id, std::string(30'000, 'x')));
  ASSERT_TRUE(app.wait_for("what is read ahead", [&] { return app.view(pair.client).unread >= kReadAhead; }));
  const uint64_t returned = app.returned();
  app.close_group(pair.server_group);
  ASSERT_TRUE(app.wait_for("groupGone", [&] { return app.groups_gone.count(pair.server_group) == 1; }));
  // The first post may be taken by the kernel, and one of the next finds that the peer has gone.
  uint64_t id = 100;
  ASSERT_TRUE(app.poll_for("a post that is not sent", [&] {
    app.post(pair.client, OpCode::response, ++id);
    app.pump();
    return app.outstanding() > 2;
  }));
  EXPECT_FALSE(app.view(pair.client).ended);
  app.command(Command::reclaim);
  ASSERT_TRUE(app.wait_balanced());
  EXPECT_EQ(app.returned(), returned) << "nothing has come back";
  // Once more, for the next one that starves; and posted while it starves already.
  app.post(pair.client, OpCode::response, ++id);
  app.command(Command::reclaim);
  ASSERT_TRUE(app.wait_balanced());
  app.command(Command::reclaim);
  app.post(pair.client, OpCode::response, ++id);
  ASSERT_TRUE(app.wait_balanced());
  app.view(pair.client).hold_reading = false;
  app.command(Command::consumed, pair.client.number, pair.client.generation,
              static_cast<uint32_t>(app.view(pair.client).unread));
  std::vector<Taken> rest = rest_of(&app, pair.client);
  ASSERT_FALSE(rest.empty());
  EXPECT_EQ(rest.back().id(), id) << "they come back all the same";
  EXPECT_EQ(app.outstanding(), 0);
}

/** Posts answers until some are left of those that the other side of the pair, which does not read, makes wait; the last id. */
uint64_t post_unsent_answers(App* app, const Pair& pair, uint32_t group) {
  uint64_t id = 0;
  app->view(pair.client).hold_reading = true;
  app->poll_for("unsent answers", [&] {
    app->post(pair.server, make_frame(OpCode::response, ++id, std::string(60'000, 'x')), 0, 0, 1);
    app->post(pair.server, make_frame(OpCode::response, ++id, "x"), 0, group, 1);
    app->pump();
    return app->outstanding() > 3;
  });
  return id;
}

TEST_P(EngineTest, CountsTheUnsentAnswersOfAChannel) {
  App app(options());
  Pair pair(&app, address());
  app.post(pair.server, OpCode::request, 1'000'000);
  const uint64_t last = post_unsent_answers(&app, pair, pair.server_group);
  Engine& engine = app.engine();
  ASSERT_TRUE(app.wait_taken());
  const uint32_t unsent = engine.unsent_answers(pair.server.number);
  EXPECT_GT(unsent, 0u);
  EXPECT_LE(unsent, last);
  EXPECT_EQ(engine.unsent_answers(pair.client.number), 0u);
  app.post(pair.server, OpCode::request, 1'000'001);
  ASSERT_TRUE(app.wait_taken());
  EXPECT_EQ(engine.unsent_answers(pair.server.number), unsent) << "what is no answer does not count";
  app.view(pair.client).hold_reading = false;
  app.command(Command::consumed, pair.client.number, pair.client.generation,
              static_cast<uint32_t>(app.view(pair.client).unread));
  ASSERT_TRUE(app.wait_balanced());
  EXPECT_EQ(engine.unsent_answers(pair.server.number), 0u);
}

/** Those that will never be sent keep nobody from going on, and the thread hears of it although nothing is settled. */
TEST_P(EngineTest, AnswersThatCannotBeSentCountNoMore) {
  App app(options());
  Pair pair(&app, address());
  post_unsent_answers(&app, pair, 0);
  ASSERT_TRUE(app.wait_taken());
  EXPECT_GT(app.engine().unsent_answers(pair.server.number), 0u);
  EXPECT_EQ(app.credits_told, 0);
  // They do not come back before what had arrived is taken, which this receiver does not do.
  app.view(pair.server).hold_ack = true;
  app.close_group(pair.client_group);
  ASSERT_TRUE(app.wait_for("that they count no more", [&] { return app.credits_told > 0; }));
  ASSERT_TRUE(app.wait_for("the end", [&] { return app.view(pair.server).ended; }));
  EXPECT_EQ(app.engine().unsent_answers(pair.server.number), 0u);
  EXPECT_GT(app.outstanding(), 0) << "they are not back yet";
  const int told = app.credits_told;
  app.post(pair.server, make_frame(OpCode::response, 1'000'000), 0, 0, 1);
  ASSERT_TRUE(app.wait_for("that it does not count", [&] { return app.credits_told > told; }));
  EXPECT_EQ(app.engine().unsent_answers(pair.server.number), 0u);
  app.acknowledge_end(pair.server);
  EXPECT_EQ(rest_of(&app, pair.server).back().id(), 1'000'000u);
  EXPECT_TRUE(app.wait_balanced());
}

/** Another thread posts into a channel whose end its owner has acknowledged and not looked at yet. */
TEST_P(EngineTest, PostsBehindTheEndCountUntilTheLastWordIsTaken) {
  App app(options());
  Pair pair(&app, address());
  app.view(pair.client).hold_ack = true;
  app.post(pair.server, OpCode::bye_signal, 9);
  ASSERT_TRUE(app.wait_for("the end", [&] { return app.view(pair.client).ended; }));
  app.acknowledge_end(pair.client);
  ASSERT_TRUE(app.wait_last(pair.client));
  App other(app.engine().number());
  constexpr int kPosts = 20;
  for (int i = 1; i <= kPosts; i++) {
    other.post(pair.client, make_frame(OpCode::signal, static_cast<uint64_t>(i)), pair.client_group);
  }
  ASSERT_TRUE(other.wait_taken());
  app.pump();
  EXPECT_EQ(other.outstanding(), kPosts);
  EXPECT_TRUE(app.view(pair.client).taken.empty());
  app.forget(pair.client);
  for (uint64_t i = 1; i <= kPosts; i++) EXPECT_EQ(app.next(pair.client, "a post that comes back").id(), i);
  ASSERT_TRUE(other.wait_balanced());
}

// ── groups ──

TEST_P(EngineTest, ClosesAGroupWithTraffic) {
  App app(options());
  Pair pair(&app, address());
  app.view(pair.server).hold_reading = true;
  for (uint64_t id = 1; id <= 100; id++)
    app.post(pair.client, make_frame(OpCode::signal, id, std::string(40'000, 'x')));
  app.close_group(pair.client_group);
  // Posted behind it: settled, and nothing comes back.
  for (uint64_t id = 101; id <= 110; id++) app.post(pair.client, OpCode::signal, id);
  ASSERT_TRUE(app.wait_for("groupGone", [&] { return app.groups_gone.count(pair.client_group) == 1; }));
  ASSERT_TRUE(app.wait_balanced());
  EXPECT_EQ(app.returned(), 1u);
  EXPECT_TRUE(app.view(pair.client).taken.empty());
  EXPECT_FALSE(app.view(pair.client).ended) << "silently for itself";
  app.close_group(pair.client_group);
  app.command(Command::consumed, pair.server.number, pair.server.generation,
              static_cast<uint32_t>(app.view(pair.server).unread));
  app.view(pair.server).hold_reading = false;
  ASSERT_TRUE(app.wait_last(pair.server));
}

TEST_P(EngineTest, FreesAddressesWithTheGroup) {
  App app(options());
  std::string where = address();
  for (int round = 0; round < 5; round++) {
    uint32_t group = app.open_group();
    Listening listening = test::listen_and_wait(&app, group, where);
    where = listening.address;
    app.close_group(group);
    ASSERT_TRUE(app.wait_for("groupGone", [&] { return app.groups_gone.count(group) == 1; }));
  }
  EXPECT_EQ(app.counters().groups.load(), 0u);
  EXPECT_EQ(app.port()->open_sockets(), 0u);
}

TEST_P(EngineTest, ClosesAGroupWhileItConnects) {
  App app(options());
  uint32_t group = app.open_group();
  Listening listening = test::listen_and_wait(&app, group, address());
  for (int round = 0; round < 50; round++) {
    uint32_t clients = app.open_group();
    ChannelId client = app.connect(clients, listening.address);
    app.post(client, OpCode::signal, 1);
    app.close_group(clients);
    ASSERT_TRUE(app.wait_for("groupGone", [&] { return app.groups_gone.count(clients) == 1; }));
  }
  ASSERT_TRUE(app.wait_balanced());
}

// ── engines and threads ──

TEST_P(EngineTest, IsDestroyedWithTraffic) {
  for (int round = 0; round < 10; round++) {
    App app(options());
    Pair pair(&app, address());
    for (uint64_t id = 1; id <= 50; id++) {
      app.post(pair.client, make_frame(OpCode::signal, id, std::string(30'000, 'x')));
      app.post(pair.server, make_frame(OpCode::signal, id, std::string(30'000, 'x')));
    }
    if (round % 2 == 0) app.command(Command::destroy_engine);
    if (round % 4 == 0) {
      ASSERT_TRUE(app.wait_for("engineGone", [&] { return app.engine_gone; }));
      EXPECT_EQ(app.groups_gone.size(), 2u);
    }
  }
}

TEST_P(EngineTest, TellsAttachedThreadsThatItIsGone) {
  auto app = std::make_unique<App>(options());
  Pair pair(app.get(), address());
  App other(app->engine().number());
  uint32_t group = other.open_group();
  ChannelId client = other.connect(group, pair.listening.address);
  other.post(client, OpCode::signal, 1);
  uint64_t number = app->engine().number();
  app.reset();
  ASSERT_TRUE(other.wait_for("engineGone", [&] { return other.engine_gone; }));
  EXPECT_EQ(other.groups_gone.count(group), 1u);
  EXPECT_EQ(App(number).port(), nullptr) << "nobody attaches any more";
  EXPECT_EQ(other.port()->open_group(), 0u);
}

TEST_P(EngineTest, ClosesTheGroupsOfAThreadThatLeaves) {
  App app(options());
  Pair pair(&app, address());
  ChannelId far;
  {
    App other(app.engine().number());
    uint32_t group = other.open_group();
    ChannelId client = other.connect(group, pair.listening.address, 4);
    far = app.next_accepted(pair.server_group);
    // What it posts into another's channel stays its own until it is settled, also when it is gone.
    app.view(pair.server).hold_reading = true;
    for (uint64_t id = 1; id <= 40; id++) {
      other.post(pair.client, make_frame(OpCode::signal, id, std::string(50'000, 'x')), pair.client_group);
    }
    static_cast<void>(client);
  }
  ASSERT_TRUE(app.wait_last(far));
  app.pump();
  app.view(pair.server).hold_reading = false;
  app.command(Command::consumed, pair.server.number, pair.server.generation,
              static_cast<uint32_t>(app.view(pair.server).unread));
  for (uint64_t id = 1; id <= 40; id++) ASSERT_EQ(app.next(pair.server, "a signal of the thread that left").id(), id);
  EXPECT_EQ(app.counters().groups.load(), 2u);
}

TEST_P(EngineTest, LetsThreadsComeAndGoAtAnyTime) {
  App app(options());
  Pair pair(&app, address());
  constexpr int kThreads = 3;
  constexpr int kRounds = 40;
  std::atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < kRounds; round++) {
        App other(app.engine().number());
        ASSERT_NE(other.port(), nullptr);
        uint32_t group = other.open_group();
        ChannelId client = other.connect(group, pair.listening.address, static_cast<uint64_t>(round + 1));
        other.post(pair.client, OpCode::signal, static_cast<uint64_t>(t + 1));
        // Every third leaves at once, the others when the channel is there.
        bool balanced = round % 3 == 0 || other.wait_balanced();
        ASSERT_TRUE(balanced);
        static_cast<void>(client);
      }
      running--;
      std::string frame = make_frame(OpCode::signal, 1000);
      App last(app.engine().number());
      ASSERT_TRUE(last.port()->update(pair.client_group, bytes_of(frame), frame.size()));
    });
  }
  ASSERT_TRUE(app.wait_for("the threads", [&] { return app.mail.size() == kThreads; }));
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(app.wait_for("the end of their channels", [&] {
    for (auto& [id, view] : app.views()) {
      if (view.opened && !(id == pair.server) && !view.last) return false;
    }
    return true;
  }));
  uint64_t signals = app.view(pair.server).taken.size();
  ASSERT_TRUE(app.wait_for("their signals", [&] {
    signals = app.view(pair.server).taken.size();
    return signals == static_cast<uint64_t>(kThreads * kRounds);
  }));
}

TEST_P(EngineTest, CarriesMessagesBetweenEngines) {
  App near(options());
  App far(options());
  uint32_t group = far.open_group();
  Listening listening = test::listen_and_wait(&far, group, address());
  uint32_t clients = near.open_group();
  ChannelId client = near.connect(clients, listening.address, 3);
  ChannelId server = far.next_accepted(group);
  EXPECT_EQ(far.next(server, "the Hello").id(), 3u);
  near.post(client, OpCode::request, 8, "question");
  EXPECT_EQ(far.next(server, "the request").body(), "question");
  far.post(server, OpCode::response, 8, "answer");
  EXPECT_EQ(near.next(client, "the response").body(), "answer");
  near.detach();
  ASSERT_TRUE(far.wait_last(server));
}

TEST_P(EngineTest, PassesAChannelOpenedByAnotherThreadToItsOwner) {
  App app(options());
  Pair pair(&app, address());
  App other(app.engine().number());
  ChannelId channel = other.connect(pair.client_group, pair.listening.address, 1234);
  ChannelId seen = app.next_accepted(pair.client_group);
  EXPECT_TRUE(seen == channel);
  EXPECT_EQ(app.view(seen).opened_id, 1234u);
  ChannelId server = app.next_accepted(pair.server_group);
  EXPECT_EQ(app.next(server, "its Hello").id(), 1234u);
  app.post(server, OpCode::hello_response, 1234, "hi");
  EXPECT_EQ(app.next(channel, "the answer").body(), "hi");
  ASSERT_TRUE(other.wait_balanced());
}

/** Its port may be looked at first: what is posted to a channel whose Hello is still to come waits for it. */
TEST_P(EngineTest, KeepsAnotherThreadsPostUntilTheHelloIsThere) {
  App app(options());
  Pair pair(&app, address());
  App other(app.engine().number());
  ChannelId channel = app.open(pair.client_group, false);
  other.post(channel, make_frame(OpCode::signal, 2), pair.client_group);
  uint64_t turns = app.counters().turns.load();
  ASSERT_TRUE(app.poll_for("the engine's looking at it", [&] { return app.counters().turns.load() > turns + 1; }));
  HeaderFields hello;
  hello.flags = static_cast<uint8_t>(OpCode::hello_request);
  hello.id = 1;
  app.post(channel, make_frame(hello, std::string(kConnectTo) + ":" + pair.listening.address + "\r\n"));
  ChannelId server = app.next_accepted(pair.server_group);
  EXPECT_EQ(app.next(server, "the Hello").id(), 1u);
  EXPECT_EQ(app.next(server, "the other's signal").id(), 2u);
  ASSERT_TRUE(other.wait_balanced());
}

TEST_P(EngineTest, WithdrawsNumbersOfAThreadThatLeavesBeforeItsHello) {
  EngineOptions few = options();
  few.max_channels = 2;
  App app(few);
  uint32_t group = app.open_group();
  App third(app.engine().number());
  ChannelId opened;
  {
    App opener(app.engine().number());
    opened = opener.open(group, false);
    // One for a group that goes with its thread.
    ASSERT_NE(opener.open(opener.open_group(), true).number, 0u);
    EXPECT_EQ(app.open(group, false).number, 0u) << "both numbers are taken";
    third.post(opened, make_frame(OpCode::signal, 7), group);
    EXPECT_FALSE(third.port()->queue().all_consumed()) << "it waits for the Hello";
  }
  Taken returned = app.next(opened, "the post of the third thread");
  EXPECT_TRUE(returned.from_engine());
  EXPECT_EQ(returned.status(), Status::channel_closed);
  ASSERT_TRUE(third.wait_balanced());
  EXPECT_EQ(app.port()->open_sockets(), 0u) << "nothing keeps the owner's process";
  EXPECT_NE(app.open(group, false).number, 0u);
  EXPECT_NE(app.open(group, false).number, 0u);
}

TEST_P(EngineTest, ReturnsPostsBehindAnotherThreadsByeInOrder) {
  App app(options());
  Pair pair(&app, address());
  App other(app.engine().number());
  app.view(pair.server).hold_reading = true;
  constexpr uint64_t kFrames = 600;
  for (uint64_t id = 1; id <= kFrames; id++) {
    other.post(pair.client, make_frame(OpCode::signal, id, std::string(50'000, 'x')), pair.client_group);
  }
  ASSERT_TRUE(other.wait_taken());
  app.post(pair.client, OpCode::bye_request, 1000);
  ASSERT_TRUE(app.wait_taken());
  for (uint64_t id = kFrames + 1; id <= kFrames + 3; id++) {
    other.post(pair.client, make_frame(OpCode::signal, id), pair.client_group);
  }
  ASSERT_TRUE(other.wait_taken());
  app.post(pair.client, OpCode::bye_signal, 1001);
  std::vector<uint64_t> ids;
  for (const Taken& one : rest_of(&app, pair.client)) {
    EXPECT_EQ(one.status(), Status::channel_closed);
    if (one.op_code() == OpCode::signal) ids.push_back(one.id());
    else EXPECT_EQ(one.id(), 1000u);
  }
  ASSERT_GT(ids.size(), 3u);
  for (size_t i = 0; i < ids.size(); i++) ASSERT_EQ(ids[i], kFrames + 3 - (ids.size() - 1) + i);
  ASSERT_TRUE(other.wait_balanced());
  ASSERT_TRUE(app.wait_balanced());
}

/** While the application thread does not look, the engine goes on: accepts, reads up to its bounds, sends what was
 * posted. */
TEST_P(EngineTest, WorksWhileItsThreadIsBusy) {
  App busy(options());
  App near(options());
  uint32_t group = busy.open_group();
  Listening listening = test::listen_and_wait(&busy, group, address());
  uint32_t clients = near.open_group();
  std::vector<ChannelId> channels;
  for (uint64_t i = 1; i <= 20; i++) {
    channels.push_back(near.connect(clients, listening.address, i));
    near.post(channels.back(), OpCode::signal, 100 + i);
  }
  // Nobody takes anything at `busy`: all is accepted and read all the same.
  ASSERT_TRUE(near.wait_balanced());
  ASSERT_TRUE(near.poll_for("20 accepted channels that were read", [&] {
    return busy.counters().channels.load() == 20 && busy.counters().readCalls.load() >= 20;
  }));
  EXPECT_EQ(busy.counters().messagesIn.load(), 0u) << "what is handed over counts";
  for (int i = 0; i < 20; i++) {
    ChannelId accepted = busy.next_accepted(group);
    EXPECT_EQ(busy.next(accepted, "the Hello").op_code(), OpCode::hello_request);
    EXPECT_EQ(busy.next(accepted, "the signal").id(), 100 + busy.view(accepted).opened_id);
  }
}

// ── the application thread runs the reactor ──

/** A thread that looks for messages so long that it finds them. */
EngineOptions patient(EngineOptions options) {
  options.spin_us = 1'000'000;
  return options;
}

/** Tests of threads that drive: only over the system's poller, if that can be shared. */
class DrivingTest : public EngineTest {
 protected:
  void SetUp() override {
    App app(options());
    ASSERT_TRUE(app.engine().shared().has_guests);
  }
};

/** A request and its response, while this thread does nothing but look for them. */
void ping(App* app, const Pair& pair, uint64_t id, const std::string& body = "") {
  app->post(pair.client, OpCode::request, id, body);
  ASSERT_TRUE(app->spin_for("the request", [&] { return !app->view(pair.server).taken.empty(); }));
  Taken request = app->next(pair.server, "the request");
  ASSERT_EQ(request.id(), id);
  app->post(pair.server, OpCode::response, id, request.body());
  ASSERT_TRUE(app->spin_for("the response", [&] { return !app->view(pair.client).taken.empty(); }));
  ASSERT_EQ(app->next(pair.client, "the response").body(), body);
}

/** Pings until the thread drives, and then does nothing more. */
void ping_until_driving(App* app, const Pair& pair, uint64_t* id) {
  auto deadline = test::SteadyClock::now() + test::Milliseconds(test::kDeadlineMs);
  Driver& driver = app->engine().shared().driver;
  do {
    ASSERT_LT(test::SteadyClock::now(), deadline) << "waited in vain for a turn that brings something";
    ++*id;
    ASSERT_NO_FATAL_FAILURE(ping(app, pair, *id));
  } while (!driver.is_driven());
}

TEST_P(DrivingTest, AThreadThatOnlyWaitsRunsTheReactorItself) {
  App app(patient(options()));
  Pair pair(&app, address());
  const Counters& counters = app.counters();
  uint64_t id = 0;
  uint64_t drives = counters.drives.load();
  auto deadline = test::SteadyClock::now() + test::Milliseconds(test::kDeadlineMs);
  while (counters.drives.load() < drives + 100) {
    ASSERT_LT(test::SteadyClock::now(), deadline) << "drives " << counters.drives.load();
    id++;
    ASSERT_NO_FATAL_FAILURE(ping(&app, pair, id, std::string(id % 5 == 0 ? 40'000 : 10, 'p')));
  }
  EXPECT_LE(counters.drives.load(), counters.turns.load());
  // All that a sleeping thread gets comes as before.
  app.post(pair.client, OpCode::bye_request, ++id);
  EXPECT_EQ(app.next(pair.server, "the ByeRequest").op_code(), OpCode::bye_request);
  app.post(pair.server, OpCode::bye_response, id);
  EXPECT_EQ(app.next(pair.client, "the ByeResponse").op_code(), OpCode::bye_response);
  EXPECT_TRUE(rest_of(&app, pair.client).empty());
  EXPECT_TRUE(rest_of(&app, pair.server).empty());
  EXPECT_TRUE(app.wait_balanced());
}

/** What a peer sends comes at any time: also while this thread looks for it before it sleeps. */
TEST_P(DrivingTest, AThreadThatLooksFindsWhatAPeerSends) {
  App app(patient(options()));
  uint32_t group = app.open_group();
  Listening listening = test::listen_and_wait(&app, group, address());
  std::atomic<bool> done{false};
  std::thread peer([&] {
    App far(options());
    ChannelId channel = far.connect(far.open_group(), listening.address);
    uint64_t echoed = 0;
    far.on_taken = [&](ChannelId, const Taken& taken) {
      if (taken.op_code() == OpCode::request) far.post(channel, OpCode::response, ++echoed);
      return true;
    };
    far.poll_for("the end of the test", [&] { return done.load(); });
  });
  ChannelId near = app.next_accepted(group);
  EXPECT_EQ(app.next(near, "the Hello").op_code(), OpCode::hello_request);
  const Counters& counters = app.counters();
  uint64_t id = 0;
  bool in_time = true;
  auto deadline = test::SteadyClock::now() + test::Milliseconds(test::kDeadlineMs) / 2;
  while (in_time && (counters.waitHits.load() == 0 || counters.drives.load() == 0)) {
    in_time = test::SteadyClock::now() < deadline;
    app.post(near, OpCode::request, ++id);
    app.spin_for("the response", [&] { return !app.view(near).taken.empty(); });
    in_time = in_time && app.next(near, "the response").id() == id;
  }
  done = true;
  peer.join();
  EXPECT_TRUE(in_time) << "drives " << counters.drives.load() << ", looks " << counters.waits.load() << ", response " << id;
}

/** Sockets and timers of the application wait in the same event loop. */
TEST_P(DrivingTest, AThreadThatLooksStopsForAMomentAndIsNotParked) {
  App app(patient(options()));
  Pair pair(&app, address());
  uint64_t id = 0;
  LookResult look = LookResult::parked;
  auto deadline = test::SteadyClock::now() + test::Milliseconds(test::kDeadlineMs);
  while (look != LookResult::undecided) {
    ASSERT_LT(test::SteadyClock::now(), deadline) << "it looked to the end every time";
    ASSERT_NO_FATAL_FAILURE(ping_until_driving(&app, pair, &id));
    // Twice: the time is not over after the first look.
    if (app.port()->park() && app.port()->spin() == LookResult::undecided) look = app.port()->spin();
  }
  int rings = app.bell.rings();
  app.post(pair.client, OpCode::request, ++id);
  EXPECT_EQ(app.look(), LookResult::found);
  EXPECT_EQ(app.bell.rings(), rings);
  EXPECT_EQ(app.next(pair.server, "the request").id(), id);
  EXPECT_EQ(app.port()->spin(), LookResult::parked) << "nobody parked it again";
}

TEST_P(DrivingTest, ANumberThatIsOnItsWayBackIsWaitedForThoughTheEngineIsHeldUp) {
  EngineOptions few = options();
  few.max_channels = 1;
  App app(few);
  uint32_t group = app.open_group();
  ChannelId first = app.listen(group, address());
  app.view(first).hold_ack = true;
  app.post(first, OpCode::bye_signal, 1);
  ASSERT_TRUE(app.wait_for("the end", [&] { return app.view(first).ended; }));
  app.acknowledge_end(first);
  ASSERT_TRUE(app.wait_last(first));
  Driver& driver = app.engine().shared().driver;
  std::atomic<bool> held{false};
  // As on a machine where others have every core: it runs again after as long as some of them may take.
  std::thread other([&] {
    while (!driver.try_begin()) std::this_thread::yield();
    held = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    driver.end(false);
  });
  while (!held) std::this_thread::yield();
  app.forget(first);
  EXPECT_NE(app.open(group, true).number, 0u);
  other.join();
}

TEST_P(DrivingTest, TheEndOfTheEngineDoesNotWaitForItsDriver) {
  App app(patient(options()));
  Pair pair(&app, address());
  uint64_t id = 100;
  ASSERT_NO_FATAL_FAILURE(ping_until_driving(&app, pair, &id));
  Shared& shared = app.engine().shared();
  // As its owner does, in another thread, while this one never stops looking.
  shared.stop.store(true);
  shared.wake_engine();
  ASSERT_TRUE(app.spin_for("the end of the engine", [&] { return app.engine_gone; }));
}

TEST_P(DrivingTest, TheNetworkGoesOnWhenItsDriverDoesSomethingElse) {
  App idle(patient(options()));
  Pair pair(&idle, address());
  App far(options());
  uint32_t clients = far.open_group();
  uint64_t id = 0;
  for (uint64_t round = 1; round <= 5; round++) {
    ASSERT_NO_FATAL_FAILURE(ping_until_driving(&idle, pair, &id));
    uint64_t reads = idle.counters().readCalls.load();
    // A peer connects and sends while the driver does something else.
    ChannelId client = far.connect(clients, pair.listening.address, round);
    far.post(client, OpCode::signal, 100 + round);
    ASSERT_TRUE(far.wait_balanced());
    ASSERT_TRUE(far.poll_for("an accepted channel that is read", [&] {
      return idle.counters().channels.load() == 2 + round && idle.counters().readCalls.load() > reads;
    }));
    EXPECT_FALSE(idle.engine().shared().driver.is_driven());
    ChannelId accepted = idle.next_accepted(pair.server_group);
    EXPECT_EQ(idle.next(accepted, "the Hello").op_code(), OpCode::hello_request);
    EXPECT_EQ(idle.next(accepted, "the signal").id(), 100 + round);
  }
}

/** A timer that a turn of the application thread has started is kept by the engine's thread, which slept without one. */
TEST_P(DrivingTest, TimersOfItsTurnsAreKeptWhenTheDriverDoesSomethingElse) {
  EngineOptions short_close = patient(options());
  short_close.close_timeout_ms = 50;
  App app(short_close);
  uint64_t id = 0;
  for (int round = 0; round < 5; round++) {
    Pair pair(&app, address());
    ASSERT_NO_FATAL_FAILURE(ping_until_driving(&app, pair, &id));
    // Nobody answers this: the channel is closed when the time is up.
    uint64_t channels = app.counters().channels.load();
    app.post(pair.client, OpCode::bye_request, ++id);
    auto deadline = test::SteadyClock::now() + test::Milliseconds(test::kDeadlineMs);
    while (app.counters().channels.load() == channels) {
      ASSERT_LT(test::SteadyClock::now(), deadline) << "waited in vain for the end of the time";
      std::this_thread::yield();
    }
    app.close_group(pair.client_group);
    app.close_group(pair.server_group);
    ASSERT_TRUE(app.wait_for("groupGone", [&] {
      return app.groups_gone.count(pair.client_group) == 1 && app.groups_gone.count(pair.server_group) == 1;
    }));
  }
}

TEST_P(DrivingTest, WhatTheDriverPostedBeforeItTurnedToOtherThingsIsTaken) {
  App app(patient(options()));
  Pair pair(&app, address());
  uint64_t id = 0;
  for (int round = 0; round < 50; round++) {
    ASSERT_NO_FATAL_FAILURE(ping_until_driving(&app, pair, &id));
    app.command(Command::consumed, pair.server.number, pair.server.generation, 0);
    auto deadline = test::SteadyClock::now() + test::Milliseconds(test::kDeadlineMs);
    while (!app.port()->queue().all_consumed()) {
      ASSERT_LT(test::SteadyClock::now(), deadline) << "waited in vain for an empty queue";
      std::this_thread::yield();
    }
  }
}

TEST_P(DrivingTest, NobodyDrivesWhileTwoThreadsAreAttached) {
  App app(patient(options()));
  Pair pair(&app, address());
  uint64_t id = 0;
  for (int round = 0; round < 3; round++) {
    ASSERT_NO_FATAL_FAILURE(ping_until_driving(&app, pair, &id));
    App other(app.engine().number());
    ASSERT_NE(other.port(), nullptr);
    uint64_t drives = app.counters().drives.load();
    // Its messages get through although the first one has only just driven.
    uint32_t group = other.open_group();
    ChannelId client = other.connect(group, pair.listening.address, 7);
    other.post(client, OpCode::signal, 8);
    ASSERT_TRUE(other.wait_balanced());
    EXPECT_FALSE(app.engine().shared().driver.is_driven());
    ChannelId accepted = app.next_accepted(pair.server_group);
    EXPECT_EQ(app.next(accepted, "the Hello").id(), 7u);
    EXPECT_EQ(app.next(accepted, "the signal").id(), 8u);
    std::string frame = make_frame(OpCode::signal, 9);
    ASSERT_TRUE(other.port()->update(group, bytes_of(frame), frame.size()));
    ASSERT_TRUE(other.wait_for("its message to itself", [&] { return !other.mail.empty(); }));
    other.mail.clear();
    for (int i = 0; i < 50; i++) {
      id++;
      ASSERT_NO_FATAL_FAILURE(ping(&app, pair, id));
    }
    EXPECT_EQ(app.counters().drives.load(), drives);
  }
}

TEST_P(DrivingTest, EndsWhileAThreadDrives) {
  for (int round = 0; round < 12; round++) {
    App app(patient(options()));
    Pair pair(&app, address());
    uint64_t id = 0;
    ASSERT_NO_FATAL_FAILURE(ping_until_driving(&app, pair, &id));
    for (uint64_t i = 0; i < 20; i++) app.post(pair.client, OpCode::signal, ++id, std::string(30'000, 'x'));
    if (round % 3 == 0) {
      app.command(Command::destroy_engine);
      ASSERT_TRUE(app.wait_for("engineGone", [&] { return app.engine_gone; }));
    } else if (round % 3 == 1) {
      app.command(Command::destroy_engine);
      ASSERT_TRUE(app.spin_for("engineGone", [&] { return app.engine_gone; }));
    }
    app.detach();
  }
}

TEST_P(DrivingTest, AnotherThreadOutlivesTheOwnerThatDrove) {
  for (int round = 0; round < 10; round++) {
    auto app = std::make_unique<App>(patient(options()));
    Pair pair(app.get(), address());
    uint64_t id = 0;
    ASSERT_NO_FATAL_FAILURE(ping_until_driving(app.get(), pair, &id));
    App other(app->engine().number());
    ASSERT_NE(other.port(), nullptr);
    app.reset();
    // Alone, but there is no reactor any more.
    ASSERT_TRUE(other.spin_for("engineGone", [&] { return other.engine_gone; }));
    EXPECT_EQ(other.port()->open_group(), 0u);
    other.pump();
  }
}

TEST_P(DrivingTest, ChangesHandsWhileThreadsComeAndGo) {
  App app(patient(options()));
  Pair pair(&app, address());
  std::atomic<bool> done{false};
  std::thread visitor([&] {
    for (uint64_t round = 1; round <= 30; round++) {
      App other(app.engine().number());
      ASSERT_NE(other.port(), nullptr);
      uint32_t group = other.open_group();
      ChannelId client = other.connect(group, pair.listening.address, round);
      other.post(client, OpCode::signal, round);
      bool balanced = round % 3 == 0 || other.wait_balanced();
      ASSERT_TRUE(balanced);
    }
    done = true;
  });
  uint64_t id = 0;
  while (!done && !HasFatalFailure()) {
    id++;
    ping(&app, pair, id, std::string(id % 7 * 500, 'v'));
  }
  visitor.join();
  // Alone again.
  ASSERT_NO_FATAL_FAILURE(ping_until_driving(&app, pair, &id));
}

TEST_P(EngineTest, OnlyASharedPollerHasGuests) {
  App app(patient(options()));
  Pair pair(&app, address());
  const Shared& shared = app.engine().shared();
  ASSERT_EQ(shared.has_guests, shared.kernel.poller->can_be_shared());
  if (shared.has_guests) return;
  for (uint64_t id = 1; id <= 50; id++) ASSERT_NO_FATAL_FAILURE(ping(&app, pair, id));
  EXPECT_EQ(app.counters().drives.load(), 0u);
}

/** A poller that reports nothing; what happens while the engine's thread sleeps is the test's. */
class SleepPoller final : public Poller {
 public:
  const char* name() const override { return "sleep"; }
  OsError watch(int, uint64_t, Interest, Interest) override { return OsError::none; }
  int wait(PollEvent*, int, int) override { return 0; }
  bool can_be_shared() const override { return true; }
  void sleep(int timeout_ms) override {
    slept_ms.push_back(timeout_ms);
    while_asleep();
  }
  int look(PollEvent*, int) override { return 0; }
  void wake() override { wakes++; }

  std::function<void()> while_asleep;
  std::vector<int> slept_ms;
  int wakes = 0;
};

/** A turn of the application thread starts a timer: who sleeps without knowing of it is woken, once. */
TEST(EngineWithGuests, WakesTheSleeperForWhatIsDueSooner) {
  test::TempFolder folder;
  std::string path = folder.file("s");
  test::Fd listening(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(listening.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listening.get(), 5), 0);
  auto* poller = new SleepPoller();
  Kernel kernel;
  kernel.poller = poller;
  kernel.sockets = &system_sockets();
  kernel.resolver = &system_resolver();
  kernel.clock = &system_clock();
  Engine* engine = Engine::create_for_test({}, kernel);
  Shared& shared = engine->shared();
  shared.has_guests = true;
  Port* port = engine->attach_for_test(nullptr);
  uint32_t group = port->open_group();
  auto turn = [&](const std::function<void()>& while_asleep) {
    poller->while_asleep = while_asleep;
    poller->slept_ms.clear();
    poller->wakes = 0;
    shared.driver.stop();
    shared.driver.acquire();
    engine->reactor().turn(-1);
    shared.driver.release();
  };
  auto look = [&] {
    std::vector<uint8_t> slab(1000);
    Record records[4];
    port->drain(slab.data(), 0, slab.size(), records, 4);
  };
  // What the thread has posted until now is done first; then there is nothing to wake up for.
  turn([&] { look(); });
  turn([&] { look(); });
  ASSERT_EQ(poller->slept_ms, std::vector<int>{-1});
  EXPECT_EQ(poller->wakes, 0);
  EXPECT_GE(engine->counters().drives.load(), 1u);
  uint64_t drives = engine->counters().drives.load();
  turn([&] {
    uint32_t generation = 0;
    uint32_t number = port->open_channel(group, false, &generation);
    HeaderFields fields;
    fields.flags = static_cast<uint8_t>(OpCode::hello_request);
    fields.id = 1;
    std::string hello = make_frame(fields, std::string(kConnectTo) + ":uds|" + path + "\r\n");
    tofu::Run run{number, generation, static_cast<uint32_t>(hello.size()), 1, 0, group, 0};
    EXPECT_TRUE(port->flush(bytes_of(hello), &run, 1, false));
    EXPECT_EQ(poller->wakes, 0) << "a socket of this machine connects at once";
    // Its answer may take only so long.
    std::string bye = make_frame(OpCode::bye_request, 2);
    run.bytes = static_cast<uint32_t>(bye.size());
    EXPECT_TRUE(port->flush(bytes_of(bye), &run, 1, false));
    EXPECT_TRUE(port->queue().all_consumed()) << "taken in this thread";
    EXPECT_EQ(poller->wakes, 1);
    look();
    EXPECT_EQ(poller->wakes, 1) << "it knows";
  });
  EXPECT_GE(engine->counters().drives.load(), drives + 2);
  // From now on it sleeps until the timer at most, and a turn that starts nothing need not wake it.
  turn([&] { look(); });
  ASSERT_EQ(poller->slept_ms.size(), 1u);
  EXPECT_GE(poller->slept_ms[0], 0);
  EXPECT_EQ(poller->wakes, 0);
  shared.driver.stop();
  shared.driver.acquire();
  engine->reactor().shut_down();
  shared.driver.release();
  Engine::detach(port);
  Engine::destroy_for_test(engine);
}

std::string name_of(const testing::TestParamInfo<std::tuple<Transport, PollerKind>>& info) {
  std::string name = std::get<0>(info.param) == Transport::tcp ? "tcp" : "uds";
  return name + (std::get<1>(info.param) == PollerKind::poll ? "OverPoll" : "OverBest");
}
// Elsewhere no poller can be shared.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DrivingTest);
#if defined(__linux__)
INSTANTIATE_TEST_SUITE_P(Each, DrivingTest,
                         testing::Combine(testing::Values(Transport::uds, Transport::tcp), testing::Values(PollerKind::best)),
                         name_of);
#endif
INSTANTIATE_TEST_SUITE_P(Kernel, EngineTest,
                         testing::Combine(testing::Values(Transport::uds, Transport::tcp),
                                          testing::Values(PollerKind::best, PollerKind::poll)),
                         name_of);

/** A socket file nobody listens on any more is replaced; a Hello to it is refused. */
TEST(EngineOnPaths, TakesOverAStaleSocket) {
  test::Balance balance;
  test::TempFolder folder;
  std::string path = folder.file("stale");
  {
    test::Fd dead(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.data(), path.size());
    ASSERT_EQ(bind(dead.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  }
  App app;
  uint32_t group = app.open_group();
  std::vector<Taken> rest = rest_of(&app, app.connect(group, "uds|" + path));
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].status(), Status::connect_failed);
  test::listen_and_wait(&app, group, "uds|" + path);
  ChannelId client = app.connect(group, "uds|" + path);
  EXPECT_NE(app.next_accepted(group).number, 0u);
  static_cast<void>(client);
}

TEST(EngineOnNames, ResolvesOffTheLoopAndIsDestroyedMeanwhile) {
  for (int round = 0; round < 5; round++) {
    App app;
    uint32_t group = app.open_group();
    ChannelId client = app.connect(group, "tcp|localhost|1");
    if (round % 2 == 0) continue;
    std::vector<Taken> rest = rest_of(&app, client);
    ASSERT_EQ(rest.size(), 1u);
    EXPECT_EQ(rest[0].op_code(), OpCode::hello_response);
  }
}

TEST(EngineIds, NeverGivesAMessageIdTwice) {
  std::vector<std::pair<uint64_t, uint32_t>> blocks(40);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 10; i++) blocks[t * 10 + i].second = take_message_ids(&blocks[t * 10 + i].first);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::sort(blocks.begin(), blocks.end());
  EXPECT_GE(blocks[0].first, 1u);
  for (size_t i = 1; i < blocks.size(); i++) EXPECT_LE(blocks[i - 1].first + blocks[i - 1].second, blocks[i].first);
}

}  // namespace
}  // namespace tofu
