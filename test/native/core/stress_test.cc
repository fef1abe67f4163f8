// stress_test.cc: threads post into two engines that are opened, used and destroyed at random. Meant for
// ThreadSanitizer and AddressSanitizer; bounded by the number of operations, so it takes some seconds anywhere. The
// oracle: in each stream of messages (one thread, one channel) what arrives is 1..n without a gap and what comes back
// is k..m with n < k; each post is settled, credited or comes back exactly once while its engine lives.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "core/core_support.h"
#include "core/shared.h"
#include "protocol/seed.h"

namespace tofu {
namespace {

using test::App;
using test::bytes_of;
using test::ChannelId;
using test::make_frame;
using test::Taken;

constexpr int kPosters = 3;
constexpr int kEngines = 2;
constexpr int kOperations = 4000;  // of each posting thread
constexpr size_t kMostStreams = 1 << 16;
constexpr int64_t kMostOutstanding = 200;

/** The messages of one thread to one channel; ids are `number << 32 | 1, 2, …`. */
struct Stream {
  std::atomic<uint32_t> posted{0};
  std::atomic<uint32_t> received{0};
  std::atomic<uint32_t> first_returned{0};
  std::atomic<uint32_t> last_returned{0};
  /** The peer answered the Bye behind it: nothing is missing. */
  std::atomic<bool> complete{false};
};

class World {
 public:
  uint64_t new_stream() {
    uint64_t number = next_++;
    EXPECT_LT(number, kMostStreams);
    return number;
  }
  Stream& stream(uint64_t number) { return streams_[number]; }
  uint64_t next_id(uint64_t number) { return number << 32 | ++streams_[number].posted; }
  void receive(uint64_t id) {
    Stream& one = streams_[(id >> 32) % kMostStreams];
    uint32_t sequence = static_cast<uint32_t>(id);
    uint32_t before = one.received.exchange(sequence);
    EXPECT_EQ(sequence, before + 1) << "stream " << (id >> 32);
  }
  void give_back(uint64_t id) {
    Stream& one = streams_[(id >> 32) % kMostStreams];
    uint32_t sequence = static_cast<uint32_t>(id);
    if (one.first_returned == 0) one.first_returned = sequence;
    else EXPECT_EQ(sequence, one.last_returned + 1) << "stream " << (id >> 32);
    one.last_returned = sequence;
  }
  void check() {
    uint64_t received = 0;
    uint64_t returned = 0;
    uint64_t complete = 0;
    for (uint64_t i = 1; i < next_; i++) {
      Stream& one = streams_[i];
      uint32_t back = one.first_returned == 0 ? 0 : one.last_returned - one.first_returned + 1;
      received += one.received;
      returned += back;
      ASSERT_LE(one.received, one.posted) << "stream " << i;
      ASSERT_LE(one.last_returned, one.posted) << "stream " << i;
      if (back > 0) {
        ASSERT_LT(one.received, one.first_returned) << "sent and returned, stream " << i;
      }
      if (!one.complete) continue;
      complete++;
      ASSERT_EQ(one.received + back, one.posted) << "neither sent nor returned, stream " << i;
    }
    std::printf("%llu streams: %llu messages arrived, %llu came back; %llu ended with both Byes\n",
                static_cast<unsigned long long>(next_ - 1), static_cast<unsigned long long>(received),
                static_cast<unsigned long long>(returned), static_cast<unsigned long long>(complete));
    EXPECT_GT(received, 0u);
    EXPECT_GT(returned, 0u);
    EXPECT_GT(complete, 0u);
  }

  /** What the posting threads may use: engines, addresses, channels of other threads. */
  struct Board {
    uint64_t engines[kEngines] = {};
    std::string addresses[kEngines];
    struct Shared {
      uint64_t engine = 0;
      uint32_t group = 0;
      ChannelId channel;
    };
    std::vector<Shared> shared;
  };
  Guarded<Board> board;
  std::atomic<int> posters{kPosters};
  std::atomic<uint64_t> inline_sends{0};
  std::atomic<uint64_t> queued_runs{0};

 private:
  std::vector<Stream> streams_ = std::vector<Stream>(kMostStreams);
  std::atomic<uint64_t> next_{1};
};

/** Notes what arrives and what comes back; Byes are left for the caller. */
bool note(World* world, const Taken& taken) {
  if (taken.op_code() != OpCode::request && taken.op_code() != OpCode::response && taken.op_code() != OpCode::signal)
    return false;
  if (taken.id() >> 32 == 0) return false;
  if (taken.kind == EventKind::frames) world->receive(taken.id());
  else world->give_back(taken.id());
  return true;
}

/** Opens an engine with a listener, answers what comes, and tears down one or both now and then. */
class Owner {
 public:
  Owner(World* world, int index, uint64_t seed, const std::string& path)
      : world_(world), index_(index), random_(seed), path_(path) {}

  void run() {
    while (world_->posters > 0) {
      if (app_ == nullptr) open_engine();
      if (group_ == 0) open_listener();
      app_->pump();
      answer();
      uint64_t what = random_() % 4000;
      if (what == 0) close_engine();
      else if (what < 8) close_group();
      else if (what < 40) end_some_channel();
      else rest();
    }
    close_engine();
  }

 private:
  void open_engine() {
    EngineOptions options;
    options.poller = index_ == 0 ? PollerKind::best : PollerKind::poll;
    options.close_timeout_ms = 200;
    app_ = std::make_unique<App>(options);
    app_->on_taken = [this](ChannelId from, const Taken& taken) {
      if (note(world_, taken)) {
        if (taken.kind == EventKind::frames && taken.op_code() == OpCode::request) asked_.push_back(from);
        return true;
      }
      if (taken.kind == EventKind::frames && taken.op_code() == OpCode::bye_request)
        ended_.push_back({from, taken.id()});
      return true;
    };
    world_->board.access()->engines[index_] = app_->engine().number();
  }
  void close_engine() {
    {
      auto board = world_->board.access();
      board->engines[index_] = 0;
      board->addresses[index_].clear();
    }
    world_->inline_sends += app_->counters().inlineSends.load();
    world_->queued_runs += app_->counters().queuedRuns.load();
    if (random_() % 2 == 0) {
      app_->command(Command::destroy_engine);
      app_->wait_for("engineGone", [&] { return app_->engine_gone; });
    }
    app_.reset();
    forget_all();
    said_bye_.clear();
    group_ = 0;
  }
  void open_listener() {
    group_ = app_->open_group();
    std::string address = random_() % 2 == 0 ? "tcp|127.0.0.1|0" : "uds|" + path_ + std::to_string(next_path_++);
    ChannelId listener = app_->listen(group_, address);
    std::string found;
    auto before = std::move(app_->on_taken);
    app_->on_taken = [&](ChannelId from, const Taken& taken) {
      if (!(from == listener)) return before(from, taken);
      EXPECT_EQ(taken.status(), Status::success);
      found = taken.header(kListenOn);
      return true;
    };
    app_->wait_for("the WelcomeResponse", [&] { return !found.empty(); });
    app_->on_taken = std::move(before);
    world_->board.access()->addresses[index_] = found;
  }
  void close_group() {
    world_->board.access()->addresses[index_].clear();
    uint32_t group = group_;
    app_->close_group(group);
    group_ = 0;
    app_->wait_for("groupGone", [&] { return app_->groups_gone.count(group) == 1; });
    forget_all();
    app_->wait_balanced();
  }
  void forget_all() {
    asked_.clear();
    ended_.clear();
    replies_.clear();
  }
  /** Ends one of the accepted channels, with a Bye or without. */
  void end_some_channel() {
    for (auto& [id, view] : app_->views()) {
      if (!view.opened || view.ended || view.group != group_ || said_bye_.count(id) != 0 || random_() % 3 != 0)
        continue;
      bool abort = random_() % 3 == 0;
      app_->post(id, abort ? OpCode::bye_signal : OpCode::bye_request, 1);
      said_bye_.insert(id);
      return;
    }
  }
  void answer() {
    for (ChannelId to : asked_) {
      if (app_->view(to).last || said_bye_.count(to) != 0) continue;
      uint64_t& stream = replies_[to];
      if (stream == 0) stream = world_->new_stream();
      app_->post(to, OpCode::response, world_->next_id(stream), "answer");
    }
    asked_.clear();
    for (auto& [from, id] : ended_) {
      if (app_->view(from).last || !said_bye_.insert(from).second) continue;
      app_->post(from, OpCode::bye_response, id);
    }
    ended_.clear();
  }
  /** Sleeps until something comes, as JavaScript's thread does: by its bell, or in a wait. */
  void rest() {
    uint64_t how = random_() % 3;
    if (how == 0) {
      if (app_->port()->park() && app_->port()->spin() == LookResult::parked) app_->port()->unpark();
      return;
    }
    if (how == 1) {
      app_->port()->wait(static_cast<int64_t>(random_() % 3));
      return;
    }
    int rings = app_->bell.rings();
    if (!app_->port()->park()) return;
    if (random_() % 2 == 0) {
      // Something must come: a message to itself.
      std::string frame = make_frame(OpCode::signal, 1);
      EXPECT_TRUE(app_->port()->update(group_, bytes_of(frame), frame.size()));
      EXPECT_TRUE(app_->bell.wait_beyond(rings)) << "a lost wake";
    }
    app_->port()->unpark();
  }

  World* world_;
  int index_;
  std::mt19937_64 random_;
  std::string path_;
  int next_path_ = 0;
  std::unique_ptr<App> app_;
  uint32_t group_ = 0;
  std::vector<ChannelId> asked_;
  std::vector<std::pair<ChannelId, uint64_t>> ended_;
  std::map<ChannelId, uint64_t> replies_;
  std::set<ChannelId> said_bye_;
};

/** One posting thread's attachment to one engine. */
class Link {
 public:
  Link(World* world, uint64_t engine, uint64_t seed) : world_(world), random_(seed), engine_(engine), app_(engine) {
    if (app_.port() == nullptr) return;
    group_ = app_.port()->open_group();
    app_.on_taken = [this](ChannelId from, const Taken& taken) {
      if (note(world_, taken)) return true;
      if (taken.kind != EventKind::frames) return true;
      if (taken.op_code() == OpCode::bye_request) heard_.push_back({from, taken.id()});
      if (taken.op_code() == OpCode::bye_response) answered_.push_back(from);
      return true;
    };
  }
  ~Link() {
    auto board = world_->board.access();
    auto& shared = board->shared;
    shared.erase(std::remove_if(shared.begin(), shared.end(),
                                [&](auto& one) { return one.engine == engine_ && one.group == group_; }),
                 shared.end());
  }

  bool alive() const { return group_ != 0 && !gone_; }
  void step() {
    app_.pump();
    react();
    gone_ = app_.engine_gone;
    if (gone_) return;
    // The engines have their turn now and then.
    if (random_() % 4 == 0) app_.port()->wait(1);
    uint64_t what = random_() % 100;
    if (what < 10) connect();
    else if (what < 70) post_to_own();
    else if (what < 85) post_to_shared();
    else if (what < 90) end_one();
    else if (what < 91) reopen_group();
    else update_own();
    if (app_.outstanding() > kMostOutstanding) {
      app_.wait_for("room for posting", [&] { return app_.engine_gone || app_.outstanding() < kMostOutstanding / 2; });
    }
  }
  /** Leaves with everything settled, unless the engine goes before. */
  void leave() {
    app_.close_group(group_);
    app_.wait_for("the outcome of every post", [&] { return app_.engine_gone || app_.outstanding() == 0; });
    app_.wait_for("groupGone", [&] { return app_.engine_gone || app_.groups_gone.count(group_) == 1; });
  }

 private:
  struct Own {
    ChannelId channel;
    uint64_t stream;
    bool bye = false;
  };
  void react() {
    for (auto& [from, id] : heard_) {
      for (Own& own : own_) {
        if (!(own.channel == from) || own.bye || app_.view(from).last) continue;
        app_.post(from, OpCode::bye_response, id);
        own.bye = true;
      }
    }
    heard_.clear();
    for (ChannelId from : answered_) {
      for (Own& own : own_) {
        if (own.channel == from && own.bye) world_->stream(own.stream).complete = true;
      }
    }
    answered_.clear();
    own_.erase(std::remove_if(own_.begin(), own_.end(), [&](Own& own) { return app_.view(own.channel).last; }),
               own_.end());
  }
  void connect() {
    if (own_.size() >= 4) return;
    std::string address = world_->board.access()->addresses[random_() % kEngines];
    if (address.empty()) address = "tcp|127.0.0.1|1";
    ChannelId channel = app_.open(group_, false);
    if (channel.number == 0) return;
    own_.push_back({channel, world_->new_stream()});
    HeaderFields hello;
    hello.flags = static_cast<uint8_t>(OpCode::hello_request);
    hello.id = 1;
    app_.post(channel, make_frame(hello, std::string(kConnectTo) + ":" + address + "\r\n"), group_);
    if (random_() % 2 == 0) world_->board.access()->shared.push_back({engine_, group_, channel});
  }
  std::string burst(uint64_t stream) {
    std::string frames;
    size_t most = random_() % 10 == 0 ? 60'000 : 300;
    for (uint64_t n = 1 + random_() % 10; n > 0 && frames.size() < 150'000; n--) {
      OpCode op_code = random_() % 8 == 0 ? OpCode::request : OpCode::signal;
      frames += make_frame(op_code, world_->next_id(stream), std::string(random_() % most, 'm'));
    }
    return frames;
  }
  void post_to_own() {
    if (own_.empty()) return;
    Own& own = own_[random_() % own_.size()];
    if (own.bye) return;
    app_.post(own.channel, burst(own.stream), group_, random_() % 4 == 0 ? group_ : 0);
  }
  void post_to_shared() {
    World::Board::Shared one;
    {
      auto board = world_->board.access();
      if (board->shared.empty()) return;
      one = board->shared[random_() % board->shared.size()];
    }
    if (one.engine != engine_ || one.group == group_) return;
    uint64_t& stream = others_[one.channel];
    if (stream == 0) stream = world_->new_stream();
    if (random_() % 30 == 0) {
      app_.post(one.channel, make_frame(OpCode::bye_signal, 1), one.group);
      return;
    }
    app_.post(one.channel, burst(stream), one.group);
  }
  void end_one() {
    if (own_.empty()) return;
    Own& own = own_[random_() % own_.size()];
    if (own.bye) return;
    own.bye = true;
    bool abort = random_() % 4 == 0;
    app_.post(own.channel, make_frame(abort ? OpCode::bye_signal : OpCode::bye_request, 1), group_);
  }
  void reopen_group() {
    app_.close_group(group_);
    {
      auto board = world_->board.access();
      auto& shared = board->shared;
      shared.erase(std::remove_if(shared.begin(), shared.end(),
                                  [&](auto& one) { return one.engine == engine_ && one.group == group_; }),
                   shared.end());
    }
    own_.clear();
    group_ = app_.port()->open_group();
    if (group_ == 0) gone_ = true;
  }
  void update_own() {
    std::string frame = make_frame(OpCode::signal, 1);
    EXPECT_TRUE(app_.port()->update(group_, bytes_of(frame), frame.size()));
  }

  World* world_;
  std::mt19937_64 random_;
  uint64_t engine_;
  App app_;
  uint32_t group_ = 0;
  bool gone_ = false;
  std::vector<Own> own_;
  std::map<ChannelId, uint64_t> others_;
  std::vector<std::pair<ChannelId, uint64_t>> heard_;
  std::vector<ChannelId> answered_;
};

void run_poster(World* world, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::unique_ptr<Link> links[kEngines];
  for (int done = 0; done < kOperations;) {
    size_t at = random() % kEngines;
    std::unique_ptr<Link>& link = links[at];
    if (link == nullptr) {
      uint64_t engine = world->board.access()->engines[at];
      if (engine != 0) link = std::make_unique<Link>(world, engine, random());
      if (link != nullptr && !link->alive()) link.reset();
      if (link == nullptr) std::this_thread::yield();
      continue;
    }
    link->step();
    done++;
    bool leave = random() % 300 == 0;
    if (link->alive() && leave && random() % 2 == 0) link->leave();
    if (leave || !link->alive()) link.reset();
  }
  for (auto& link : links) {
    if (link != nullptr && link->alive()) link->leave();
  }
  world->posters--;
}

TEST(Stress, EveryPostHasOneOutcomeAndItsPlace) {
  uint64_t seed = test::test_seed();
  SCOPED_TRACE(seed);
  std::printf("TOFU_SEED=%llu\n", static_cast<unsigned long long>(seed));
  test::Balance balance;
  test::TempFolder folder;
  World world;
  std::vector<std::thread> threads;
  for (int i = 0; i < kEngines; i++) {
    threads.emplace_back([&, i] {
      Owner(&world, i, seed + static_cast<uint64_t>(i), folder.file("s" + std::to_string(i) + "-")).run();
    });
  }
  for (int i = 0; i < kPosters; i++) {
    threads.emplace_back([&, i] { run_poster(&world, seed + 100 + static_cast<uint64_t>(i)); });
  }
  for (std::thread& thread : threads) thread.join();
  world.check();
  EXPECT_GT(world.inline_sends, 0u);
  EXPECT_GT(world.queued_runs, 0u);
}

/** Signals and requests of an engine of its own, numbered, until there are enough. Returns how many. */
uint32_t run_peer(const std::string& address, uint64_t seed, const std::atomic<bool>& enough) {
  std::mt19937_64 random(seed);
  App peer;
  uint32_t group = peer.open_group();
  ChannelId channel = peer.connect(group, address, seed);
  uint32_t answers = 0;
  peer.on_taken = [&](ChannelId, const Taken& taken) { return taken.op_code() == OpCode::response && ++answers; };
  uint32_t requests = 0;
  uint32_t posted = 0;
  while (!enough) {
    bool request = random() % 4 == 0;
    requests += request ? 1 : 0;
    peer.post(channel, request ? OpCode::request : OpCode::signal, ++posted, std::string(random() % 3000, 'd'));
    // Mostly the other side has nothing to do: that is what this is about.
    if (request) peer.wait_for("all answers", [&] { return answers == requests; });
    if (peer.outstanding() > kMostOutstanding) {
      peer.wait_for("room for posting", [&] { return peer.outstanding() < kMostOutstanding / 2; });
    }
  }
  EXPECT_TRUE(peer.wait_for("the last answers", [&] { return answers == requests && peer.outstanding() == 0; }));
  return posted;
}

/**
 * One thread receives from a peer and waits in all the ways there are, while a second one comes and goes. Goes on until it has driven
 * the reactor often enough, and lost it: where the machine is busy threads seldom look for more before they sleep.
 */
TEST(Stress, TheReactorChangesHandsAndNothingIsLost) {
  constexpr uint64_t kTakenOver = 10;
  constexpr uint64_t kDrives = 3000;
  constexpr uint32_t kMessages = 3000;
  uint64_t seed = test::test_seed();
  SCOPED_TRACE(seed);
  std::printf("TOFU_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  test::Balance balance;
  test::TempFolder folder;
  EngineOptions options;
  options.spin_us = 2'000;
  App app(options);
  const Counters& counters = app.counters();
  uint32_t group = app.open_group();
  std::string address = test::listen_and_wait(&app, group, "uds|" + folder.file("s")).address;
  std::vector<std::pair<ChannelId, uint64_t>> asked;
  uint32_t received = 0;
  bool joined = false;
  app.on_taken = [&](ChannelId from, const Taken& taken) {
    if (taken.kind == EventKind::mail) joined = true;
    if (taken.kind != EventKind::frames || taken.op_code() == OpCode::hello_request) return true;
    EXPECT_EQ(taken.id(), ++received);
    if (taken.op_code() == OpCode::request) asked.push_back({from, taken.id()});
    return true;
  };
  auto answer = [&] {
    for (auto& [to, id] : asked) app.post(to, OpCode::response, id);
    asked.clear();
  };
  std::atomic<bool> enough{false};
  test::Bell visits;
  uint32_t posted = 0;
  std::thread peer([&] { posted = run_peer(address, seed + 1, enough); });
  std::thread visitor([&] {
    for (int done = 0; !enough; done++) {
      EXPECT_TRUE(visits.wait_beyond(done));
      App other(app.engine().number());
      if (other.port() == nullptr) return;
      uint32_t visited = other.open_group();
      std::string frame = make_frame(OpCode::signal, 1);
      EXPECT_TRUE(other.port()->update(visited, bytes_of(frame), frame.size()));
      if (done % 2 == 0) other.wait_for("its message to itself", [&] { return !other.mail.empty(); });
    }
  });
  auto deadline = test::SteadyClock::now() + test::Milliseconds(test::kDeadlineMs) * 5;
  const Driver& driver = app.engine().shared().driver;
  uint64_t taken_over = 0;
  while ((received < kMessages || taken_over < kTakenOver || counters.drives.load() < kDrives) &&
         test::SteadyClock::now() < deadline) {
    app.pump();
    answer();
    uint64_t what = random() % 100;
    if (what < 94) {
      if (app.port()->park() && app.port()->spin() == LookResult::parked) app.port()->unpark();
    } else if (what < 96) {
      app.port()->wait(1);
    } else if (what < 99) {
      // Busy with other things, until the engine's thread has it again.
      bool driven = driver.is_driven();
      while (driver.is_driven() && test::SteadyClock::now() < deadline) {
        // Only the peer makes the engine's thread look: where it sleeps nobody needs the reactor.
        if (random() % 10'000 == 0) break;
        std::this_thread::yield();
      }
      if (driven && !driver.is_driven()) taken_over++;
    } else {
      visits.ring();
    }
  }
  std::printf("taken over %llu times, %llu drives, %llu looks, %llu of them found something; %u messages\n",
              static_cast<unsigned long long>(taken_over),
              static_cast<unsigned long long>(counters.drives.load()),
              static_cast<unsigned long long>(counters.waits.load()),
              static_cast<unsigned long long>(counters.waitHits.load()), received);
  EXPECT_GE(taken_over, kTakenOver);
  EXPECT_GE(counters.drives.load(), kDrives);
  EXPECT_GE(received, kMessages);
  enough = true;
  visits.ring();
  // The peer waits for its last answers.
  std::thread joiner([&] {
    peer.join();
    visitor.join();
    App last(app.engine().number());
    std::string frame = make_frame(OpCode::signal, 2);
    EXPECT_TRUE(last.port()->update(group, bytes_of(frame), frame.size()));
  });
  EXPECT_TRUE(app.wait_for("the end of the peer", [&] { return answer(), joined; }));
  joiner.join();
  EXPECT_EQ(received, posted);
}

}  // namespace
}  // namespace tofu
