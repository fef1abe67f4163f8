// engine.cc: how engines begin and end, and how threads find, join and leave them. Layer: core. Thread: any.
// Invariant: the registry is leaked, and the engine's thread is joined by its owner or by nobody: process exit finds
// nothing to destroy.
#include "core/engine.h"

#include <signal.h>

#include <new>

#include "core/reactor.h"
#include "core/shared.h"
#include "os/clock.h"
#include "os/processors.h"
#include "os/resolver.h"
#include "os/scheduling.h"
#include "os/sockets.h"

namespace tofu {

namespace {
/** All running engines of the process, for threads that attach by number. Leaked: threads may outlive main(). */
struct Registry {
  Guarded<List<Engine, ListNode>> engines;
  std::atomic<uint64_t> next_number{1};
};
Registry& registry() {
  static Registry* leaked = new Registry();
  return *leaked;
}

/** Starts the engine's thread; signals are none of its business. */
bool start_thread(Reactor* reactor, pthread_t* thread) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  auto run = [](void* argument) -> void* {
    // With one processor it would only interrupt whoever it works for.
    if (usable_processors() > 1) prefer_short_slices();
    static_cast<Reactor*>(argument)->run();
    return nullptr;
  };
  bool started = pthread_create(thread, nullptr, run, reactor) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

std::atomic<uint64_t> next_message_id{1};
constexpr uint32_t kIdBlock = 1 << 16;
}  // namespace

uint32_t take_message_ids(uint64_t* first) {
  uint64_t begin = next_message_id.fetch_add(kIdBlock, std::memory_order_relaxed);
  *first = begin;
  // Blocks begin at 1 behind a multiple of their size: only the one that wraps holds 0, as its last.
  return begin + (kIdBlock - 1) == 0 ? kIdBlock - 1 : kIdBlock;
}

Engine* Engine::make(const EngineOptions& options, const Kernel& kernel) {
  auto* engine = new (std::nothrow) Engine();
  if (engine == nullptr) return nullptr;
  engine->shared_ = new (std::nothrow) Shared();
  if (engine->shared_ == nullptr) {
    delete engine;
    return nullptr;
  }
  engine->shared_->kernel = kernel;
  if (engine->shared_->prepare(options, kernel)) {
    engine->reactor_ = new (std::nothrow) Reactor(*engine->shared_);
    if (engine->reactor_ != nullptr && engine->reactor_->prepare()) {
      engine->number_ = registry().next_number.fetch_add(1, std::memory_order_relaxed);
      return engine;
    }
  }
  delete engine;
  return nullptr;
}

Engine::~Engine() {
  delete reactor_;
  delete shared_;
}

void Engine::release() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

Port* Engine::add_port(Doorbell* doorbell) {
  auto* port = new (std::nothrow) Port(*this, doorbell);
  if (port == nullptr) return nullptr;
  if (!port->prepare()) {
    delete port;
    return nullptr;
  }
  auto table = shared_->ports.access();
  if (table->finished) {
    delete port;
    return nullptr;
  }
  retain();
  shared_->port_count.fetch_add(1, std::memory_order_relaxed);
  table->arrivals.push(port);
  shared_->has_arrivals.store(true, std::memory_order_seq_cst);
  return port;
}

Port* Engine::create(const EngineOptions& options, Doorbell* doorbell, OsError* error) {
  Kernel kernel;
  std::unique_ptr<Poller> poller = make_poller(options.poller, error);
  if (poller == nullptr) return nullptr;
  *error = OsError::no_memory;
  kernel.poller = poller.release();
  kernel.sockets = &system_sockets();
  kernel.resolver = &system_resolver();
  kernel.clock = &system_clock();
  Engine* engine = make(options, kernel);
  if (engine == nullptr) return nullptr;
  Port* port = engine->add_port(doorbell);
  if (port == nullptr) {
    engine->release();
    return nullptr;
  }
  engine->owner_ = port;
  engine->shared_->has_guests = kernel.poller->can_be_shared();
  // The first reference is the thread's.
  if (!start_thread(engine->reactor_, &engine->thread_)) {
    delete port;
    engine->release();
    engine->release();
    return nullptr;
  }
  engine->running_ = true;
  registry().engines.access()->push(engine);
  *error = OsError::none;
  return port;
}

Port* Engine::attach(uint64_t number, Doorbell* doorbell) {
  Engine* found = nullptr;
  auto engines = registry().engines.access();
  engines->each([&](Engine* engine) {
    if (engine->number_ == number) found = engine;
  });
  if (found == nullptr || found->shared_->stop.load(std::memory_order_acquire)) return nullptr;
  Port* port = found->add_port(doorbell);
  if (port != nullptr) found->shared_->wake_engine();
  return port;
}

void Engine::detach(Port* port) {
  Engine& engine = port->engine_;
  engine.shared_->driver.stop();
  engine.shared_->port_count.fetch_sub(1, std::memory_order_relaxed);
  port->close_inbox();
  if (port == engine.owner_ && engine.running_) {
    {
      auto engines = registry().engines.access();
      engine.unlink();
    }
    engine.shared_->stop.store(true, std::memory_order_seq_cst);
    engine.shared_->wake_engine();
    pthread_join(engine.thread_, nullptr);
    engine.running_ = false;
    engine.release();
  }
  bool mine = false;
  {
    auto table = engine.shared_->ports.access();
    mine = table->finished;
    if (!mine) port->detach_requested_.store(true, std::memory_order_seq_cst);
  }
  if (mine) delete port;
  else engine.shared_->wake_engine();
  engine.release();
}

const char* Engine::poller_name() const { return shared_->kernel.poller->name(); }
const Counters& Engine::counters() const { return shared_->counters; }

bool Engine::group_is_open(uint32_t id) const {
  auto groups = shared_->groups.access();
  Group* group = groups->closing ? nullptr : groups->find(id);
  return group != nullptr && !group->closing.load(std::memory_order_relaxed);
}

void Engine::set_post_state(uint32_t channel, uint8_t state) {
  if (channel < kChannelTableSize) shared_->posts[channel].state.store(state, std::memory_order_release);
}

uint32_t Engine::unsent_answers(uint32_t channel) const {
  return shared_->posts[channel].unsent_answers.load(std::memory_order_relaxed);
}

uint8_t Engine::post_state(uint32_t channel, uint32_t* group, uint32_t* generation) const {
  if (channel >= kChannelTableSize) return 0;
  const PostEntry& post = shared_->posts[channel];
  uint8_t state = post.state.load(std::memory_order_acquire);
  *group = post.group.load(std::memory_order_relaxed);
  *generation = post.generation.load(std::memory_order_acquire);
  return state;
}

Engine* Engine::create_for_test(const EngineOptions& options, const Kernel& kernel) { return make(options, kernel); }

Port* Engine::attach_for_test(Doorbell* doorbell) {
  Port* port = add_port(doorbell);
  if (owner_ == nullptr) owner_ = port;
  return port;
}

void Engine::destroy_for_test(Engine* engine) { engine->release(); }

}  // namespace tofu
