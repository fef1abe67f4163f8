// spinner.h: decides whether a thread looks for more work for a moment before it sleeps, and looks.
// A sleep costs the waker a system call and the sleeper a switch; looking costs a core that others may need. So it is done only as long
// as it has been worth it lately, it gives way to other threads, and it stops for a while where the machine is busy: who gives way there
// comes back after milliseconds, while a thread that sleeps is woken at once.
// Layer: core. Thread: the one whose spinner it is.
#pragma once

#include <sched.h>

#include <cstdint>

#include "os/clock.h"

namespace tofu {

class Spinner {
 public:
  /** A sleep that was so short that looking would have spared it. */
  void note_short_sleep() {
    if (credit_ < kMostCredit) credit_++;
  }
  /** Also while look() rests and finds nothing: a thread that goes on driving for one turn more sleeps less than one that stops. */
  bool worth_it() const { return credit_ > 0; }
  /** It was looked for as long as it may be, in vain. */
  void note_vain() {
    if (credit_ > 0) credit_--;
  }
  /** Looks for at most `limit_ns`; true: `found()` was. */
  template <typename Found>
  bool look(Clock& clock, uint64_t limit_ns, Found found) {
    uint64_t begin = clock.now_ns();
    if (limit_ns == 0 || begin < not_before_ns_) {
      credit_ = 0;
      return false;
    }
    for (uint64_t now = begin; now - begin < limit_ns;) {
      if (found()) {
        note_short_sleep();
        return true;
      }
      // Not what found() took: it may have had something to do.
      uint64_t then = clock.now_ns();
      sched_yield();
      now = clock.now_ns();
      if (now - then < kBusyNs) continue;
      note_slow(now);
      return found();
    }
    return false;
  }

 private:
  /** One is somebody's tick; many in a row are a machine with other things to do. */
  void note_slow(uint64_t now) {
    slow_ = now - last_slow_ns_ < kSlowWithinNs ? slow_ + 1 : 1;
    last_slow_ns_ = now;
    if (slow_ < kMostSlow) return;
    slow_ = 0;
    not_before_ns_ = now + kRestNs;
    credit_ = 0;
  }

  /** Looks in vain before the thread sleeps at once again. */
  static constexpr uint32_t kMostCredit = 8;
  /** Giving way takes longer than this only when others want the core. */
  static constexpr uint64_t kBusyNs = 100'000;
  static constexpr uint64_t kRestNs = 50'000'000;
  static constexpr uint32_t kMostSlow = 4;
  static constexpr uint64_t kSlowWithinNs = 5'000'000;
  uint32_t credit_ = 0;
  uint64_t not_before_ns_ = 0;
  uint64_t last_slow_ns_ = 0;
  uint32_t slow_ = 0;
};

}  // namespace tofu
