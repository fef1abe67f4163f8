// shared.h: what the engine's thread and application threads share beside the ports: numbers, gates, groups, flags.
// Layer: core. Owner: the Engine. Thread: any; each member says how it is guarded.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/fifo.h"
#include "base/guarded.h"
#include "base/list.h"
#include "core/counters.h"
#include "core/driver.h"
#include "core/engine.h"
#include "core/options.h"
#include "protocol/constants.h"

namespace tofu {

class Channel;
class Connection;

inline constexpr uint32_t kChannelTableSize = 65'536;

/** Hands out channel numbers, each as late after its last use as can be: never used ones first, then the longest free. */
class ChannelNumbers {
 public:
  ChannelNumbers() = default;
  ~ChannelNumbers();
  ChannelNumbers(const ChannelNumbers&) = delete;
  ChannelNumbers& operator=(const ChannelNumbers&) = delete;
  bool prepare(uint32_t most);
  /** 0: none left. */
  uint32_t take();
  void release(uint32_t number);
  bool available() const { return used_ < most_; }

 private:
  uint16_t* released_ = nullptr;  // a ring of all numbers there are
  uint32_t first_released_ = 0;
  uint32_t released_count_ = 0;
  uint32_t fresh_ = 1;
  uint32_t used_ = 0;
  uint32_t most_ = 0;
};

/** Who may write to a channel's socket. Whoever leaves `open` by compare-and-swap has the socket to itself. */
enum class GateState : uint32_t {
  closed,   // only the engine's thread
  open,     // any thread may: the channel is connected and nothing is queued
  busy,     // a posting thread is writing
  partial,  // the rest of a frame that was cut is on its way in some port's queue: nobody may write before it
};
struct Gate {
  std::atomic<GateState> state;
  int fd;               // written while closed
  uint32_t generation;  // written while closed
};

/** What post() of a thread that does not own the group may know of a channel. */
struct PostEntry {
  std::atomic<uint32_t> group;
  std::atomic<uint32_t> generation;
  std::atomic<uint8_t> state;
  /**
   * Posted answers that are not sent and may still be; of frames that are queued together those that are no answers leave first.
   * Posting threads count up, the engine's down, and before it settles them.
   */
  std::atomic<uint32_t> unsent_answers;
  /** Whom the number was handed out to, until its Hello or Welcome has reached the engine's thread; then null. */
  std::atomic<Port*> announcer;
};

struct PausedNode : ListNode {};
struct BrokenNode : ListNode {};

/** A channel group as the engine knows it. Made by its application thread, from then on the engine's. */
struct Group : ListNode {
  uint32_t id = 0;
  Port* port = nullptr;
  Event* gone_event = nullptr;
  List<Channel, ListNode> channels;
  /** Connections that are not read because the group has too much unread. */
  List<Connection, PausedNode> paused;
  /** Bytes that were handed to the application and are not acknowledged. */
  uint64_t outstanding = 0;
  /** Settled messages with this group as tag, not yet told. */
  uint32_t tagged_settled = 0;
  /** A channel of it has fewer unsent answers and nothing was settled for that; not yet told. */
  bool answers_ended = false;
  /** Nobody may post to it any more. Any thread, under the lock of the table. */
  std::atomic<bool> closing{false};
  /** Numbers that were handed out and whose Hello or Welcome has not come. Grows under the lock of the table. */
  std::atomic<uint32_t> unstarted{0};
};

/** Groups by id; small, since groups are few and looked up rarely. */
struct GroupTable {
  static constexpr uint32_t kBuckets = 64;
  List<Group, ListNode> buckets[kBuckets];
  bool closing = false;
  Group* find(uint32_t id);
};

struct PortTable {
  List<Port, ListNode> arrivals;
  /** The engine's thread has ended: ports belong to their application threads. */
  bool finished = false;
};

/** Name resolutions that came back. Lives as long as a lookup may still answer. */
class ResolvedQueue;

struct Shared {
  Kernel kernel;
  EngineOptions options;
  Counters counters;
  Guarded<ChannelNumbers> numbers;
  Gate* gates = nullptr;
  PostEntry* posts = nullptr;
  Guarded<GroupTable> groups;
  std::atomic<uint32_t> next_group{1};
  Guarded<PortTable> ports;
  std::atomic<bool> has_arrivals{false};
  /** A number came back from an application thread: a listener may wait for it. */
  std::atomic<bool> number_returned{false};
  /** Attached threads. Only one that is alone may run the reactor: others would have to wait for what it does besides. */
  std::atomic<uint32_t> port_count{0};
  Driver driver;
  /** Whether application threads may run the reactor. Set before there are any. */
  bool has_guests = false;
  std::atomic<bool> finished{false};
  std::atomic<bool> stop{false};
  /** The engine's thread sleeps or is about to: whoever gives it work must wake it. */
  std::atomic<bool> parked{false};
  ResolvedQueue* resolved = nullptr;

  ~Shared();
  bool prepare(const EngineOptions& given, const Kernel& kernel_given);
  /** After work was published: wakes the engine's thread when it sleeps. */
  void wake_engine();
};

}  // namespace tofu
