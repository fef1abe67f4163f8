// reactor.h: the loop of an engine: takes what application threads post, does every socket operation, hands back what came.
// Layer: core. Knows the kernel only through the interfaces in os/, so that a test can drive it turn by turn.
// Owner: the Engine. Thread: one at a time, who has the driver: the engine's, an application's as its guest, or a test's.
// Invariant: channels_[n] is the channel whose number n is in use; an object that ended is deleted at the end of the turn.
#pragma once

#include <cstdint>

#include "base/list.h"
#include "core/channel.h"
#include "core/shared.h"
#include "core/spinner.h"
#include "core/timer_wheel.h"

namespace tofu {

class Connection;
class Listener;
struct BlockRecord;
struct RunRecord;
struct UpdateRecord;

class Reactor {
 public:
  explicit Reactor(Shared& shared) : shared_(shared) {}
  ~Reactor();
  bool prepare();

  /** Turns until the engine is stopped; then everything is closed and told. */
  void run();
  /**
   * A turn of an application thread, while the engine's thread sleeps and the driver is held. Looks after the sleeper: it is woken when it
   * has to look at something sooner than it knows.
   */
  void guest_turn();
  /** One turn: posted work, timers, then sockets, waiting for these at most `max_wait_ms` (-1: until something comes). */
  void turn(int max_wait_ms);
  /** Closes everything and says engine_gone to all ports. */
  void shut_down();

  // ── for channels ──
  Shared& shared() { return shared_; }
  Sockets& sockets() { return *shared_.kernel.sockets; }
  const EngineOptions& options() const { return shared_.options; }
  Counters& counters() { return shared_.counters; }
  uint64_t now_ms() const { return now_ms_; }
  TimerWheel& timers() { return timers_; }
  /** The chunk that sockets are read into, for that port; null: no memory. keep_chunk() gives back one that is not used up. */
  Event* take_chunk(Port* port);
  void keep_chunk(Event* chunk);
  OsError watch(Channel* channel, int fd, Interest before, Interest interest);
  /** The connection is sent at the end of this step. */
  void mark_dirty(Connection* connection);
  /** Calls on_retry() soon: out of memory or buffers, which passes. */
  void retry_soon(Channel* channel);
  void tell(Group* group, Event* event);
  /** A signal of the engine for the group; without memory it is not told. */
  void tell_signal(Group* group, uint32_t channel, const uint8_t* id, Status status, OsError reason);
  void settle(Port* port, uint32_t tag, uint32_t messages);
  /** So many of the channel's unsent answers are sent, or never will be. To be called before they are settled. */
  void end_answers(uint32_t channel, uint32_t answers);
  /** The same for a block that is not sent. true: there were some. */
  bool end_answers(uint32_t channel, Event* block);
  /** The group's thread looks at its channels again. */
  void tell_answers_ended(Group* group);
  /** A labelled frame block goes to the application; a poster in another thread is settled here. */
  void hand_over(Group* group, Event* block);
  void violation(Group* group, uint32_t channel);
  /** A connection that cannot send any more. */
  void add_broken(Connection* connection);
  /** A socket of the group is closed, or will never be. */
  void socket_gone(Group* group);
  /** Makes a connection for an accepted socket; false: no number or no memory, and the socket is still the caller's. */
  bool accept(Group* group, int fd, bool tcp);
  /** Never visible, and over: its number is free at once. */
  void forget_unseen(Connection* connection);
  void add_stalled(Listener* listener);
  ResolutionSink* resolution_sink();
  Gate& gate(uint32_t number) { return shared_.gates[number]; }

 private:
  void drain_ports();
  void drain(Port* port);
  bool on_run(Port* port, RunRecord* record);
  bool on_piece(const Run& run, OpCode first, Piece* piece);
  bool is_announced(const Run& run);
  bool start_channel(const Run& run, OpCode first, Piece* piece);
  bool on_block(Port* port, BlockRecord* record);
  void bounce(const Run& run, Event* block);
  bool on_update(UpdateRecord* record);
  void on_command(Port* port, Command kind, uint32_t a, uint32_t b, uint32_t c);
  void reclaim(Port* port);
  void close_group(uint32_t id);
  void destroy_group(Group* group);
  void detach(Port* port);
  Channel* find(uint32_t number, uint32_t generation);
  void forget(Channel* channel);
  void release_number(uint32_t number);
  void resume_stalled();
  void end_announcement(uint32_t number);
  void give_up_number(uint32_t number);
  void withdraw_numbers(Port* port);
  void take_arrivals();
  void take_resolutions();
  Group* find_group(uint32_t id);
  void index(Channel* channel);
  void flush_dirty();
  void do_posted_work();
  void tell_credits();
  void publish();
  void bury();
  int wait_ms(int max_wait_ms);
  int poll(int timeout_ms);
  bool has_posted_work();
  bool spin();
  void sleep(int timeout_ms);
  void handle(const PollEvent& event);

  static constexpr int kEventsPerPoll = 256;
  Shared& shared_;
  Channel** channels_ = nullptr;
  List<Port, ListNode> ports_;
  TimerWheel timers_;
  uint64_t now_ms_ = 0;
  Event* chunk_ = nullptr;
  Connection* dirty_ = nullptr;
  List<Channel, ListNode> buried_;
  List<Group, ListNode> buried_groups_;
  List<Port, ListNode> orphans_;  // detached, but some of their blocks are still queued
  List<Listener, PausedNode> stalled_;
  List<Connection, BrokenNode> broken_;
  bool sleeping_ = false;  // the engine's thread does, until:
  uint64_t sleeps_until_ms_ = 0;
  bool credits_due_ = false;
  bool early_ = false;         // a post was met before the Hello of its channel
  bool memory_short_ = false;  // a record could not be taken: it is tried again soon
  Spinner spinner_;
  PollEvent events_[kEventsPerPoll];
};

}  // namespace tofu
