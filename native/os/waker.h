// waker.h: a descriptor that another thread can make readable: eventfd on Linux, a pipe elsewhere.
// Layer: os, internal. Owner: a poller. Thread: wake() any; everything else the poller's.
// Invariant: while raised_ is set, the descriptor is readable or drain() is under way; so only the first of many wakes
// costs a system call.
#pragma once

#include <atomic>

#include "os/os_error.h"

namespace tofu {

class Waker {
 public:
  Waker() = default;
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  OsError open();
  /** What to watch for reading; -1 before open(). */
  int fd() const { return reader_; }
  void wake();
  /** Makes the descriptor silent again. What a waker published before its wake() is visible afterwards. */
  void drain();

 private:
  int reader_ = -1;
  int writer_ = -1;
  std::atomic<bool> raised_{false};
};

}  // namespace tofu
