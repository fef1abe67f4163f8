// engine.h: one engine as its users hold it: the thread with the reactor, and what all threads share.
// Layer: core. Thread: any, unless said otherwise. Owner: counted references: each port, the thread itself.
// Invariant: after engine_gone was handed over the thread touches nothing but its own reference.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "core/options.h"
#include "base/list.h"
#include "core/port.h"
#include "os/os_error.h"

namespace tofu {

class Clock;
class Poller;
class Reactor;
class Resolver;
class Sockets;
struct Counters;

/** The kernel as an engine sees it; a test gives others. The poller becomes the engine's. */
struct Kernel {
  Poller* poller = nullptr;
  Sockets* sockets = nullptr;
  Resolver* resolver = nullptr;
  Clock* clock = nullptr;
};

class Engine : public ListNode {
 public:
  /** Starts an engine with its thread on the system's kernel and attaches the caller, who owns it. Null: see `error`. */
  static Port* create(const EngineOptions& options, Doorbell* doorbell, OsError* error);
  /** Attaches another thread to a running engine; null: there is none of that number. */
  static Port* attach(uint64_t number, Doorbell* doorbell);
  /**
   * The calling thread is done with its port: its doorbell is not rung again, its groups are closed. When it is the owner
   * of the engine, the engine is stopped and its thread joined first.
   */
  static void detach(Port* port);

  Port* owner() const { return owner_; }
  uint64_t number() const { return number_; }
  const char* poller_name() const;
  const Counters& counters() const;
  bool group_is_open(uint32_t group) const;
  /** For posts of threads that do not own the group: see PostState. */
  void set_post_state(uint32_t channel, uint8_t state);
  uint8_t post_state(uint32_t channel, uint32_t* group, uint32_t* generation) const;
  /** Answers of a channel that are posted and may still be sent. */
  uint32_t unsent_answers(uint32_t channel) const;
  Shared& shared() { return *shared_; }

  // Without a thread, for tests that drive the reactor themselves.
  static Engine* create_for_test(const EngineOptions& options, const Kernel& kernel);
  Port* attach_for_test(Doorbell* doorbell);
  Reactor& reactor() { return *reactor_; }
  static void destroy_for_test(Engine* engine);

 private:
  Engine() = default;
  ~Engine();
  static Engine* make(const EngineOptions& options, const Kernel& kernel);
  void retain() { references_.fetch_add(1, std::memory_order_relaxed); }
  void release();
  Port* add_port(Doorbell* doorbell);

  uint64_t number_ = 0;
  Shared* shared_ = nullptr;
  Reactor* reactor_ = nullptr;
  Port* owner_ = nullptr;
  pthread_t thread_{};
  bool running_ = false;  // owner's thread
  std::atomic<uint32_t> references_{1};
};

/** A block of message ids nobody else in this process gets; any thread. @return how many, from `first` on */
uint32_t take_message_ids(uint64_t* first);

}  // namespace tofu
