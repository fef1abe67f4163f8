// port.h: one application thread's connection to an engine: what it posts goes in, what is meant for it comes out.
// Layer: core. Knows frames as bytes; knows neither Node nor sockets beyond the one write that may spare a thread switch.
// Thread: "application" methods belong to the thread that attached; "engine" methods to the engine's.
// Owner: the application thread until detach(); after it the engine's thread, which ends it when nothing refers to it.
// Invariant: a posted frame is settled exactly once: as sent, as dropped, or when its thread takes it back.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/byte_queue.h"
#include "base/fifo.h"
#include "base/guarded.h"
#include "base/list.h"
#include "core/event.h"
#include "core/event_shelf.h"
#include "core/spinner.h"

namespace tofu {

class Engine;
struct Shared;

/** Wakes an application thread that sleeps in its own event loop. */
class Doorbell {
 public:
  virtual ~Doorbell() = default;
  /** Any thread. Must not wait, and must be harmless when the thread is gone. */
  virtual void ring() = 0;
};

/** Consecutive frames of one channel in one piece of memory. The layout is part of the contract with JavaScript. */
struct Run {
  uint32_t channel;
  uint32_t generation;
  uint32_t bytes;
  uint32_t frames;
  /** The group whose reserve gets the credits back, or 0. */
  uint32_t tag;
  /** The group that posts. */
  uint32_t group;
  /** How many of the frames are answers: were received from this channel. */
  uint32_t answers;
};

enum class Command : uint32_t { close_group = 1, end_ack = 2, forget = 3, consumed = 4, destroy_engine = 5, reclaim = 6 };

/** What a drain writes, in words. The layout is part of the contract with JavaScript. */
struct Record {
  uint32_t kind;
  uint32_t group;
  uint32_t channel;
  uint32_t generation;
  uint32_t at;
  uint32_t length;
  uint32_t a;
  uint32_t b;
};

struct DrainResult {
  uint32_t records = 0;
  size_t used = 0;     // slab offset behind what was written
  bool more = false;   // events are left
  size_t needed = 0;   // bytes of the next event, when the slab had no room for it
};

/** What a thread knows that has looked for a moment. */
enum class LookResult : uint8_t { parked, found, undecided };

enum class WaitResult : uint8_t { ready, timed_out, gone };

class Port : public ListNode {
 public:
  // ── application thread ──
  /** A new group of this port; 0: the engine is closing, or no memory. */
  uint32_t open_group();
  /** A number for a Hello or Welcome of `group`; 0: none left, or the group is gone. */
  uint32_t open_channel(uint32_t group, bool listener, uint32_t* generation);
  /** Whether flush() of runs with at most these bytes will have memory. */
  bool has_room(const Run* runs, size_t count);
  /**
   * Posts the runs, which lie one behind the other in `bytes`. false: no memory, nothing was taken.
   * `data_only`: is_data() of every frame; with another one among them all go by way of the engine's thread.
   */
  bool flush(const uint8_t* bytes, const Run* runs, size_t count, bool data_only);
  /** A frame for another thread's group. false: no memory. */
  bool update(uint32_t group, const uint8_t* frame, size_t length);
  bool command(Command kind, uint32_t a, uint32_t b, uint32_t c);
  /** Total of settled messages that had no tag; wraps. */
  uint32_t settled() const { return settled_told_ = settled_.load(std::memory_order_acquire); }
  /** Copies frames into slab[at, capacity) as JavaScript sees them, a good batch at most, and describes them. */
  DrainResult drain(uint8_t* slab, size_t at, size_t capacity, Record* records, size_t max_records);
  /** The application has taken that many received messages since the last call. */
  void note_delivered(uint32_t frames, uint32_t bytes);
  /** true: the doorbell will ring once; false: there is something to drain already. */
  bool park();
  void unpark();
  /** Whether parked threads were woken so soon lately that looking for a moment longer would have spared the sleep. */
  bool wants_spin() const { return spinner_.worth_it(); }
  /**
   * A parked thread looks for a moment longer. Found: there is something to drain, and it is not parked any more. Undecided: not parked,
   * and to be called again when the thread's event loop has had a turn, for others wait there too.
   */
  LookResult spin();
  /** The doorbell rings once when more is settled than what this returns. */
  uint32_t want_credits();
  /** Blocks; negative: without limit. */
  WaitResult wait(int64_t timeout_ms);
  /** Channels and listeners of this port's groups that have a socket or are about to. */
  uint32_t open_sockets() const { return open_sockets_.load(std::memory_order_acquire); }
  Engine& engine() const { return engine_; }

  // ── engine thread ──
  /** Adds to what publish() will hand over. */
  void tell(Event* event) { outgoing_.push(event); }
  /** Hands everything over and wakes the thread if it sleeps. */
  void publish();
  void settle(uint32_t messages);
  /** An event with room for that many received bytes, one that was used before if there is one; null: no memory. */
  Event* take_event(size_t bytes);
  ByteQueue& queue() { return queue_; }
  void socket_opened() { open_sockets_.fetch_add(1, std::memory_order_acq_rel); }
  /** When it was the last one the thread is told: it may be all that keeps its process alive. */
  void note_socket_closed();
  /** The next publish() rings although nobody waits. */
  void must_ring() { must_ring_ = true; }
  /** Whether one more violation is told, or only counted: peers cause them, and the thread may not look for long. */
  bool may_tell_violation() const { return untold_violations_.load(std::memory_order_relaxed) < kMostUntoldViolations; }
  void note_violation() { untold_violations_.fetch_add(1, std::memory_order_relaxed); }
  void tell_engine_gone();
  /** Its thread is done with it. */
  bool wants_detach() const { return detach_requested_.load(std::memory_order_acquire); }
  bool is_owner() const;
  /** Numbers that were handed out to its thread and whose Hello or Welcome has not come. */
  std::atomic<uint32_t> announced{0};

  Port(Engine& engine, Doorbell* doorbell) : engine_(engine), doorbell_(doorbell) {}
  ~Port();

  /**
   * A receiver of its thread has no message for what has come: what was posted and cannot be sent any more shall not count, or it could
   * wait for ever, since such posts come back behind what has come. The engine's thread.
   */
  bool starves = false;
  /** Blocks of this port that wait somewhere; the engine's thread counts them. */
  uint32_t blocks = 0;
  /** One of them waits no longer. */
  void block_gone() {
    TOFU_ASSERT(blocks > 0);
    blocks--;
  }

 private:
  friend class Engine;
  struct Inbox {
    Fifo<Event> events;
    /** Events that were copied, on their way back. */
    EventShelf spent;
    bool parked = false;
    uint64_t parked_at_ns = 0;
    bool woken_soon = false;
    bool waiting = false;
    bool closed = false;
    bool gone = false;  // engine_gone was among what was handed over
  };
  /** What an inline send has done with a run. */
  struct Sent {
    uint32_t offset = 0;  // whole frames that are out, in bytes
    uint32_t frames = 0;
    uint32_t of_next = 0;  // bytes of the next frame that are out
  };
  bool prepare();
  /** One turn of the reactor in this thread; false: not now. */
  bool drive();
  void wake_engine();
  uint32_t take_number();
  bool announce(uint32_t number, uint32_t group, bool listener, uint32_t* generation);
  bool may_send_inline(const Run* runs, size_t count) const;
  Sent send_inline(const uint8_t* bytes, const Run& run);
  void write_run(const uint8_t* bytes, const Run& run, const Sent& sent);
  bool write_block(const uint8_t* bytes, const Run& run, const Sent& sent);
  void drop_queued_blocks();
  /** No doorbell any more, and events are dropped. */
  void close_inbox();

  static constexpr uint32_t kMostUntoldViolations = 256;
  Engine& engine_;
  Doorbell* const doorbell_;
  ByteQueue queue_;
  std::atomic<uint32_t> settled_{0};
  std::atomic<bool> credits_wanted_{false};
  std::atomic<uint32_t> open_sockets_{0};
  std::atomic<uint32_t> untold_violations_{0};
  Guarded<Inbox> inbox_;
  /** The inbox has events: for who only looks. */
  std::atomic<bool> arrived_some_{false};
  std::condition_variable arrived_;
  Fifo<Event> draining_;  // application thread: taken from the inbox, not yet copied
  EventShelf spent_;      // application thread: copied events, for the inbox
  Spinner spinner_;
  uint64_t looks_until_ns_ = 0;  // application thread; 0: spin() was not undecided
  mutable uint32_t settled_told_ = 0;
  std::atomic<bool> ringing_{false};
  std::atomic<bool> detach_requested_{false};
  Fifo<Event> outgoing_;  // engine thread
  EventShelf spare_;  // engine thread
  uint32_t shelved_[EventShelf::kSizes] = {};  // engine thread: events there are of each size
  Event* gone_event_ = nullptr;
  bool settled_now_ = false;
  bool must_ring_ = false;
};

}  // namespace tofu
