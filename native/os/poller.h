// poller.h: waits for many sockets at once, level-triggered. One contract over epoll, kqueue and poll; tests have more.
// Layer: os. Knows descriptors and tokens, not what they stand for: the token is a number, never a pointer.
// Thread: that which runs the reactor, except wake(), which any thread may call, and sleep(), which is another one's.
// A descriptor is watched for kNoInterest before it is closed. One event per descriptor and wait; when more are ready
// than there is room for, the others come first in the waits that follow.
// Invariant: a descriptor without interest is not in the kernel's set at all, since hang-ups are reported uninvited.
#pragma once

#include <cstdint>
#include <memory>

#include "os/os_error.h"

namespace tofu {

using Interest = uint8_t;
inline constexpr Interest kNoInterest = 0;
inline constexpr Interest kReadable = 1;
inline constexpr Interest kWritable = 2;

struct PollEvent {
  uint64_t token;
  /** kReadable and kWritable; an error or hang-up sets what was asked for. */
  Interest ready;
};

enum class PollerKind : uint8_t { best, epoll, kqueue, poll };

class Poller {
 public:
  virtual ~Poller() = default;
  virtual const char* name() const = 0;
  /**
   * Watches `fd` for `interest` from now on instead of what it was watched for (`before`, kNoInterest at first).
   * no_memory or other: nothing has changed.
   */
  virtual OsError watch(int fd, uint64_t token, Interest before, Interest interest) = 0;
  /** Waits; -1 for ever. Returns the number of events, 0 when the time is up, woken or interrupted. */
  virtual int wait(PollEvent* events, int capacity, int timeout_ms) = 0;
  /** Whether another thread may look() and watch() while one is in sleep(); only then either is called. */
  virtual bool can_be_shared() const { return false; }
  /** Sleeps until wait() would return at once, but takes nothing. */
  virtual void sleep(int timeout_ms) { static_cast<void>(timeout_ms); }
  /** What is ready now, while another thread may be in sleep(): a wake stays where it is, for that thread. */
  virtual int look(PollEvent* events, int capacity) {
    static_cast<void>(events);
    static_cast<void>(capacity);
    return 0;
  }
  /** Makes a wait() that goes on, or else the next one, return. Any thread. Cheap when repeated. */
  virtual void wake() = 0;
};

/** Null when this platform does not have it, or no descriptor is free; `error` says which. */
std::unique_ptr<Poller> make_poller(PollerKind kind, OsError* error);

}  // namespace tofu
