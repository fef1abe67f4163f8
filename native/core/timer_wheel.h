// timer_wheel.h: deadlines of channels: set and cleared in constant time, without memory of their own.
// Layer: core. Knows milliseconds and nodes. Thread: reactor only.
// Invariant: a linked timer lies in the slot of its due time; those due in a later round stay there until it comes.
#pragma once

#include <cstdint>

#include "base/list.h"

namespace tofu {

class Channel;

struct Timer : ListNode {
  uint64_t due_ms = 0;
  Channel* owner = nullptr;
};

class TimerWheel {
 public:
  void start(Timer* timer, uint64_t due_ms) {
    timer->unlink();
    if (timer->due_ms = due_ms; due_ms < now_ms_) timer->due_ms = now_ms_;
    slots_[slot_of(timer->due_ms)].push(timer);
    occupied_[slot_of(timer->due_ms) / 64] |= 1ULL << (slot_of(timer->due_ms) % 64);
  }
  /** Calls `expire` for each timer that is due; it may start and stop any. */
  template <typename Expire>
  void advance(uint64_t now_ms, Expire expire) {
    uint64_t first = now_ms_ / kSlotMs;
    uint64_t last = now_ms / kSlotMs;
    now_ms_ = now_ms;
    if (last - first >= kSlots) first = last - kSlots + 1;
    List<Timer, ListNode> due;
    for (uint64_t slot = first; slot <= last; slot++) collect(slot % kSlots, now_ms, &due);
    while (Timer* timer = due.take()) expire(timer);
  }
  /** Milliseconds to the next slot that has a timer; -1: there is none. A wait may be shorter than need be, never longer. */
  int until_next(uint64_t now_ms) const {
    uint64_t current = now_ms / kSlotMs;
    for (uint64_t i = 0; i <= kSlots; i++) {
      uint64_t slot = (current + i) % kSlots;
      if ((slot % 64) == 0 && occupied_[slot / 64] == 0 && i + 64 <= kSlots) {
        i += 63;
        continue;
      }
      if ((occupied_[slot / 64] >> (slot % 64) & 1) == 0) continue;
      uint64_t due = (current + i + 1) * kSlotMs;
      return static_cast<int>(due - now_ms);
    }
    return -1;
  }

 private:
  static constexpr uint64_t kSlotMs = 4;
  static constexpr uint64_t kSlots = 512;
  static uint64_t slot_of(uint64_t ms) { return ms / kSlotMs % kSlots; }
  void collect(uint64_t slot, uint64_t now_ms, List<Timer, ListNode>* due) {
    bool left = false;
    slots_[slot].each([&](Timer* timer) {
      if (timer->due_ms <= now_ms) {
        timer->unlink();
        due->push(timer);
      } else {
        left = true;
      }
    });
    if (!left) occupied_[slot / 64] &= ~(1ULL << (slot % 64));
  }
  List<Timer, ListNode> slots_[kSlots];
  uint64_t occupied_[kSlots / 64] = {};
  uint64_t now_ms_ = 0;
};

}  // namespace tofu
