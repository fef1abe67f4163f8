// simulation.cc: builds a world from a seed, lets it run, and ends it.
#include "sim/simulation.h"

#include <algorithm>

#include "core/reactor.h"
#include "core/shared.h"
#include "sim/coverage.h"
#include "sim/event_probe.h"

namespace tofu {
namespace sim {

namespace {

/** Until an engine tries again what lacked memory. */
constexpr int kRetryMs = 10;
constexpr int kEngines = 2;
/** Most bodies are small; the greatest ones fill every buffer there is. */
constexpr size_t kMostBody[] = {100, 300, 300, 6'000, 6'000, 65'536};
constexpr size_t kMostThreads = 6;
/** Engines with so few numbers run out of them, and must have them all back in the end. */
constexpr uint32_t kFewChannels = 12;
/** Rounds in which something still moves until it counts as hanging. Small sockets and great messages need many. */
constexpr int kMostRounds = 200'000;
/** Turns without any movement but time, longer than all deadlines together. */
constexpr int kMostIdleRounds = 400;

/** In an ideal world nothing ends by a deadline: those of Byes are longer than this. */
constexpr int kMostIdealWaitMs = 30'000;

struct Machine {
  Engine* engine = nullptr;
  SimPoller* poller = nullptr;
  std::unique_ptr<SimSockets> sockets;
  uint32_t max_channels = 0;
  bool running = true;
};

class Simulation {
 public:
  Simulation(uint64_t seed, bool trace)
      : world_(seed, trace),
        kernel_(world_),
        resolver_(world_),
        ledger_(world_, kernel_),
        raw_(world_, ledger_, kernel_) {
    kernel_.wire = &ledger_;
  }
  Outcome run();

 private:
  void choose_faults();
  void build();
  void start_engine(int number);
  void attach_thread(int engine);
  void live();
  void disturb();
  void turn(int number, int wait_ms);
  void sleep(int number);
  void come_to_rest();
  void check_books();
  void finish_engine(int number);
  std::string hanging() const;

  World world_;
  SimKernel kernel_;
  SimResolver resolver_;
  Ledger ledger_;
  RawPeer raw_;
  Machine machines_[kEngines];
  std::vector<std::unique_ptr<Application>> applications_;
  bool balanced_[kEngines] = {true, true};
};

/** Each kind of fault is absent, rare or frequent; every fourth world is ideal but for what any kernel does. */
void Simulation::choose_faults() {
  Random& random = world_.random;
  auto some = [&random](unsigned often) { return random.chance(400) ? 0 : static_cast<unsigned>(random.below(often)); };
  Faults& faults = world_.faults;
  faults.short_io = some(900);
  faults.again = some(300);
  faults.no_buffers = some(100);
  faults.late = some(600);
  faults.spurious = some(100);
  world_.focused = random.chance(300);
  world_.ideal = random.chance(250);
  if (world_.ideal) return;
  faults.reset = some(30);
  faults.accept = some(200);
  faults.connect = some(200);
  faults.listen = some(200);
  faults.watch = random.chance(700) ? 0 : static_cast<unsigned>(random.below(30));
  faults.jump = some(10);
  faults.no_memory = random.chance(700) ? 0 : static_cast<unsigned>(random.below(60));
  faults.resolver = some(300);
}

void Simulation::build() {
  for (int i = 0; i < kEngines; i++) {
    start_engine(i);
    for (size_t threads = world_.random.between(1, 2); threads > 0; threads--) attach_thread(i);
  }
  if (!world_.random.chance(200)) raw_.listen();
}

void Simulation::attach_thread(int engine) {
  int number = static_cast<int>(applications_.size());
  applications_.push_back(std::make_unique<Application>(world_, ledger_, kernel_, engine, number));
  applications_.back()->attach(machines_[engine].engine);
  applications_.back()->max_body = kMostBody[world_.random.below(std::size(kMostBody))];
}

void Simulation::start_engine(int number) {
  Machine& machine = machines_[number];
  machine.poller = new SimPoller(world_, kernel_, number);
  machine.sockets = std::make_unique<SimSockets>(kernel_, number);
  EngineOptions options;
  options.connect_timeout_ms = static_cast<uint32_t>(world_.random.between(50, 10'000));
  options.handshake_timeout_ms = static_cast<uint32_t>(world_.random.between(50, 10'000));
  // In an ideal world no deadline passes while somebody still does something.
  options.close_timeout_ms = world_.ideal ? 60'000 : static_cast<uint32_t>(world_.random.between(50, 5'000));
  options.spin_us = world_.random.chance(500) ? 0 : -1;
  bool few = world_.random.chance(300);
  machine.max_channels = few ? static_cast<uint32_t>(world_.random.between(3, kFewChannels)) : 1'000;
  options.max_channels = machine.max_channels;
  Kernel kernel;
  kernel.poller = machine.poller;
  kernel.sockets = machine.sockets.get();
  kernel.resolver = &resolver_;
  kernel.clock = &world_;
  machine.engine = Engine::create_for_test(options, kernel);
  machine.engine->shared().has_guests = world_.random.chance(500);
  machine.poller->while_asleep = [this, number] { sleep(number); };
}

// ── life ──

void Simulation::turn(int number, int wait_ms) {
  Machine& machine = machines_[number];
  if (!machine.running) return;
  Driver& driver = machine.engine->shared().driver;
  // The engine's thread does not wait here until it is unused: that would take real time.
  driver.stop();
  driver.acquire();
  machine.engine->reactor().turn(wait_ms);
  driver.release();
  if (machine.engine->shared().stop.load()) finish_engine(number);
}

/** What happens while an engine's thread sleeps; if it concerns that engine, it must be woken. */
void Simulation::sleep(int number) {
  auto has_posted = [this, number] {
    return std::any_of(applications_.begin(), applications_.end(), [number](const auto& application) {
      return application->engine_number() == number && application->has_posted();
    });
  };
  machines_[number].poller->take_woken();
  bool before = has_posted();
  const uint64_t began_ns = world_.now_ns();
  for (size_t left = world_.random.below(4); left > 0; left--) disturb();
  SimPoller& poller = *machines_[number].poller;
  // What lacked memory in a turn of an application thread is tried again soon: also when the engine's thread wakes by then anyway.
  bool soon = machines_[number].engine->shared().has_guests && poller.asked_ms() >= 0 &&
              poller.asked_ms() <= kRetryMs + 1 + static_cast<int64_t>((world_.now_ns() - began_ns) / kNsPerMs);
  if (!before && has_posted() && !poller.take_woken() && !soon) {
    world_.fail("engine %d sleeps for %d ms and is not woken for what is posted", number, poller.asked_ms());
  }
  machines_[number].engine->shared().driver.stop();
}

/** Anything but an engine's turn. */
void Simulation::disturb() {
  size_t choice = world_.random.below(100);
  if (choice < 55) applications_[world_.random.below(applications_.size())]->act(applications_);
  else if (choice < 75) kernel_.step();
  else if (choice < 78) resolver_.step();
  else if (choice < 95) raw_.act();
  else world_.advance_ms(world_.random.below(4));
  if (world_.random.chance(world_.faults.jump)) world_.advance_ms(world_.random.below(20'000));
}

void Simulation::live() {
  size_t steps = world_.random.between(200, 2'500);
  bool destroys = !world_.ideal && world_.random.chance(100);
  for (size_t step = 0; step < steps && !world_.failed(); step++) {
    if (world_.random.chance(350)) {
      turn(static_cast<int>(world_.random.below(kEngines)), world_.random.chance(500) ? 0 : -1);
    } else {
      disturb();
    }
    int late = static_cast<int>(world_.random.below(kEngines));
    if (world_.random.chance(1) && applications_.size() < kMostThreads && machines_[late].running) attach_thread(late);
    if (destroys && step == steps / 2) {
      Application* application = applications_[world_.random.below(applications_.size())].get();
      int number = application->engine_number();
      // A thread that is not the engine's owner leaves alone, an owner takes everything with it.
      if (!application->attached()) continue;
      application->expect_end();
      if (!application->is_owner()) {
        application->detach();
        continue;
      }
      for (auto& each : applications_) {
        if (each->engine_number() == number) each->expect_end();
      }
      balanced_[number] = false;
      application->destroy_engine();
    }
  }
}

// ── the end ──

/** Everything is taken, answered and closed. When only time can help, it passes as the engines ask for. */
void Simulation::come_to_rest() {
  world_.faults = Faults();
  for (Machine& machine : machines_) machine.poller->while_asleep = nullptr;
  int idle = 0;
  int waited_ms = 0;
  for (int round = 0; round < kMostRounds && idle < kMostIdleRounds && !world_.failed(); round++) {
    uint64_t before = world_.activity;
    for (int i = 0; i < kEngines; i++) turn(i, -1);
    for (auto& application : applications_) application->settle_down();
    kernel_.step();
    resolver_.step();
    bool raw_rests = raw_.settle_down();
    bool at_rest = raw_rests && !kernel_.has_work() && !resolver_.has_work();
    for (auto& application : applications_) at_rest = at_rest && application->is_settled();
    for (int i = 0; i < kEngines; i++) at_rest = at_rest && kernel_.open_descriptors(i) == 0;
    bool others_move = kernel_.has_work() || resolver_.has_work() || (world_.ideal && !raw_rests);
    if (world_.activity != before || others_move) {
      idle = 0;
      continue;
    }
    if (at_rest) return;
    idle++;
    int wait_ms = -1;
    for (int i = 0; i < kEngines; i++) {
      int asked = machines_[i].running ? machines_[i].poller->asked_ms() : -1;
      if (asked >= 0 && (wait_ms < 0 || asked < wait_ms)) wait_ms = asked;
    }
    if (wait_ms < 0) break;
    waited_ms += wait_ms;
    if (world_.ideal && waited_ms > kMostIdealWaitMs) break;
    world_.advance_ms(static_cast<uint64_t>(wait_ms) + 1);
  }
  if (!world_.failed()) world_.fail("does not come to rest:%s", hanging().c_str());
}

std::string Simulation::hanging() const {
  std::string text;
  for (int i = 0; i < kEngines; i++) {
    int open = kernel_.open_descriptors(i);
    if (open > 0) text += " engine " + std::to_string(i) + " has " + std::to_string(open) + " descriptors;";
  }
  for (auto& application : applications_) {
    std::string some = application->unsettled();
    if (!some.empty()) text += " engine " + std::to_string(application->engine_number()) + some + ";";
  }
  return text;
}

/** What the engine's thread does when it is told to stop. */
void Simulation::finish_engine(int number) {
  Machine& machine = machines_[number];
  machine.running = false;
  machine.poller->while_asleep = nullptr;
  for (auto& application : applications_) {
    if (application->engine_number() == number && application->attached()) application->expect_end();
  }
  machine.engine->reactor().shut_down();
  for (auto& application : applications_) {
    if (application->engine_number() == number && application->attached()) application->drain_all();
  }
}

/** Everything is at rest: every post has its outcome, every credit is back, every number is free. */
void Simulation::check_books() {
  ledger_.check_outcomes();
  for (int i = 0; i < kEngines; i++) {
    Machine& machine = machines_[i];
    const Counters& counters = machine.engine->counters();
    int channels = static_cast<int>(counters.channels);
    int listeners = static_cast<int>(counters.listeners);
    if (channels != 0 || listeners != 0) {
      world_.fail("engine %d counts %d channels and %d listeners at the end", i, channels, listeners);
    }
    if (!machine.running) continue;
    for (uint32_t number = kFirstChannel; number <= kLastChannel; number++) {
      uint32_t unsent = machine.engine->unsent_answers(number);
      if (unsent != 0) world_.fail("channel %u of engine %d has %u unsent answers at the end", number, i, unsent);
    }
    bool counted = machine.max_channels > kFewChannels;
    for (auto& application : applications_) {
      if (application->engine_number() != i || !application->attached()) continue;
      application->check_end(balanced_[i]);
      if (counted) continue;
      counted = true;
      uint32_t free = application->exhaust_numbers();
      if (free != machine.max_channels) {
        world_.fail("engine %d has %u of %u numbers left", i, free, machine.max_channels);
      }
    }
  }
}

Outcome Simulation::run() {
  choose_faults();
  build();
  fail_events(&world_);
  live();
  come_to_rest();
  if (!world_.failed()) check_books();
  for (auto& application : applications_) {
    if (application->attached() && world_.random.chance(500)) application->close_groups();
  }
  for (int i = 0; i < kEngines; i++) {
    if (machines_[i].running) finish_engine(i);
  }
  for (auto& application : applications_) {
    if (application->attached() && !application->gone()) world_.fail("a thread did not hear of its engine's end");
    if (application->attached()) application->detach();
  }
  fail_events(nullptr);
  for (int i = 0; i < kEngines; i++) {
    const Counters& counters = machines_[i].engine->counters();
    coverage().blocks += counters.queuedBlocks;
    coverage().drives += counters.drives;
    coverage().found += counters.waitHits;
    if (counters.groups != 0) world_.fail("engine %d counts groups at the end", i);
    if (kernel_.open_descriptors(i) != 0) world_.fail("engine %d leaves descriptors open", i);
  }
  bool late = world_.random.chance(500);
  if (!late) resolver_.finish();
  for (Machine& machine : machines_) Engine::destroy_for_test(machine.engine);
  if (late) resolver_.finish();
  return {world_.failure(), world_.random.next() ^ world_.activity << 40 ^ world_.now_ns()};
}

}  // namespace

Outcome simulate(uint64_t seed, bool trace) { return Simulation(seed, trace).run(); }

}  // namespace sim
}  // namespace tofu
