// driver.h: which thread runs the reactor. It is the engine's, except while an application thread would only wait for it: then that
// thread may look after the sockets itself, which spares both the switch between them. The engine's thread lends the reactor, watches
// that it is used, and takes it back when it is not: an application that is busy with other things must not stop the network.
// Layer: core. Thread: each method says whose. Invariant: the reactor is touched by the engine's thread in `engine` and `wanted`, by the
// borrower between begin() and end(), and by nobody else; every change of hands is an acquire and release of `state_`.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace tofu {

class Driver {
 public:
  // ── the borrower ──
  /** Asks for the reactor. The engine's thread must be woken behind it. false: somebody has asked for it or has it. */
  bool request() {
    State expected = State::engine;
    return state_.compare_exchange_strong(expected, State::wanted, std::memory_order_seq_cst);
  }
  /** Begins a turn; false: it is not lent, or was taken back. */
  bool begin() {
    State expected = State::lent;
    return state_.compare_exchange_strong(expected, State::busy, std::memory_order_acquire, std::memory_order_relaxed);
  }
  void end() {
    used_.store(used_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    state_.store(State::lent, std::memory_order_release);
  }
  /** Whether the borrower still has it. Asked behind a publication, the answer yes means that whoever takes it back will see that. */
  bool is_lent() const {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return state_.load(std::memory_order_seq_cst) == State::lent;
  }
  /** Whether it is neither lent nor wanted. */
  bool is_engines() const { return state_.load(std::memory_order_relaxed) == State::engine; }
  /** Gives it back, or does not want it any more. Harmless when there is nothing to give. */
  void give_back() {
    State expected = State::wanted;
    if (state_.compare_exchange_strong(expected, State::engine, std::memory_order_release)) return;
    if (expected != State::lent) return;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      expected = State::lent;
      if (!state_.compare_exchange_strong(expected, State::engine, std::memory_order_release)) return;
    }
    returned_.notify_one();
  }

  // ── the engine's thread ──
  bool is_wanted() const { return state_.load(std::memory_order_seq_cst) == State::wanted; }
  /** Lends the reactor if it is wanted. true: from now on it is the borrower's, until take_back() or a watch() that says so. */
  bool lend_if_wanted() {
    // Read before: what the borrower does from now on is use.
    seen_ = used_.load(std::memory_order_relaxed);
    State expected = State::wanted;
    return state_.compare_exchange_strong(expected, State::lent, std::memory_order_release);
  }
  /** Waits until it is given back, or was not used for a while. */
  void take_back() {
    std::unique_lock<std::mutex> lock(mutex_);
    do returned_.wait_for(lock, std::chrono::milliseconds(kWatchMs), [this] { return is_back(); });
    while (!watch());
  }
  /** One look: takes it back if it was not used since the look before, or since it was lent. true: it is the engine's again. */
  bool watch() {
    uint64_t used = used_.load(std::memory_order_relaxed);
    State expected = State::lent;
    if (used == seen_ && state_.compare_exchange_strong(expected, State::engine, std::memory_order_seq_cst)) return true;
    seen_ = used;
    return is_back();
  }

 private:
  enum class State : uint32_t {
    engine,  // the engine's thread runs it
    wanted,  // it still does, and shall lend it
    lent,    // the borrower has it and is not using it
    busy,    // the borrower is in a turn
  };
  /** Whoever gave it back may want it again by now. */
  bool is_back() const {
    State state = state_.load(std::memory_order_acquire);
    return state == State::engine || state == State::wanted;
  }
  /** How long the network may stand still because its borrower does something else: from one look to the next but one. */
  static constexpr int kWatchMs = 1;

  std::atomic<State> state_{State::engine};
  std::atomic<uint64_t> used_{0};
  uint64_t seen_ = 0;  // engine's thread: `used_` at its last look
  std::mutex mutex_;
  std::condition_variable returned_;
};

}  // namespace tofu
