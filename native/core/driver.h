// driver.h: which thread runs the reactor. It is the engine's, whenever nobody else does; but an application thread that would only wait
// for it may run a turn itself while the engine's thread sleeps, which spares both the switch between them. A thread that does so again
// and again drives: then the engine's thread does not even wake for sockets, but only looks now and then whether it is still so, since an
// application that is busy with other things must not stop the network.
// Layer: core. Thread: each method says whose. Invariant: the reactor is touched with the lock held, and by nobody else.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace tofu {

class Driver {
 public:
  // ── an application thread ──
  /** Begins a turn; false: the engine's thread is in one. */
  bool try_begin() { return mutex_.try_lock(); }
  /** Ends it. `useful`: from now on this thread drives. */
  void end(bool useful) {
    used_.store(used_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (useful) driven_.store(true, std::memory_order_relaxed);
    mutex_.unlock();
  }
  /** Whether an application thread drives. */
  bool is_driven() const { return driven_.load(std::memory_order_relaxed); }
  /** It is going to sleep: the engine's thread looks after the sockets again. */
  void stop() {
    // The engine's thread may have seen it do something else and taken over: then there is nothing to stop, and its turns are not
    // waited for.
    while (driven_.load(std::memory_order_relaxed)) {
      if (!mutex_.try_lock()) {
        std::this_thread::yield();
        continue;
      }
      driven_.store(false, std::memory_order_relaxed);
      bool watched = watched_;
      mutex_.unlock();
      if (watched) stopped_.notify_one();
      return;
    }
  }

  // ── the engine's thread ──
  /** Takes the reactor, as soon as nobody drives. */
  void acquire() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (driven_.load(std::memory_order_relaxed)) {
      uint64_t used = used_.load(std::memory_order_relaxed);
      watched_ = true;
      stopped_.wait_for(lock, std::chrono::milliseconds(kWatchMs), [this] { return !driven_.load(std::memory_order_relaxed); });
      watched_ = false;
      if (used == used_.load(std::memory_order_relaxed)) driven_.store(false, std::memory_order_relaxed);
    }
    lock.release();
  }
  void release() { mutex_.unlock(); }

 private:
  /** How long the network may stand still because its driver does something else. */
  static constexpr int kWatchMs = 1;

  std::mutex mutex_;
  std::condition_variable stopped_;
  /** Changed with the lock held. */
  std::atomic<bool> driven_{false};
  std::atomic<uint64_t> used_{0};
  bool watched_ = false;
};

}  // namespace tofu
