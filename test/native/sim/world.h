// world.h: what everything in a simulation shares: the seed's random numbers, the time, how much goes wrong, and the
// verdict. Thread: one; a simulation has no threads at all, so that a seed replays exactly.
// Invariant: nothing that decides what happens comes from anywhere else: no time, no address, no hash of the machine.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>

#include "os/clock.h"

namespace tofu {
namespace sim {

/** splitmix64: small, and good enough to choose with. */
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  /** 0 to n - 1; 0 when n is 0. */
  size_t below(size_t n) { return n == 0 ? 0 : static_cast<size_t>(next() % n); }
  size_t between(size_t least, size_t most) { return least + below(most - least + 1); }
  bool chance(unsigned per_mille) { return below(1000) < per_mille; }

 private:
  uint64_t state_;
};

/** How often things go wrong, in chances out of 1000. All 0: an ideal world. */
struct Faults {
  unsigned short_io = 0;      // a read or write moves less than it could, at any byte
  unsigned again = 0;         // EAGAIN although there would have been something
  unsigned no_buffers = 0;    // ENOBUFS, ENOMEM of a socket call
  unsigned reset = 0;         // the connection breaks
  unsigned accept = 0;        // EMFILE and the like on accept
  unsigned connect = 0;       // refused, no descriptor, never answered
  unsigned listen = 0;        // the address cannot be had
  unsigned watch = 0;         // the poller does not take a descriptor
  unsigned late = 0;          // a ready descriptor is not reported this time
  unsigned spurious = 0;      // one that is not ready is
  unsigned jump = 0;          // the clock leaps, up to longer than any deadline
  unsigned no_memory = 0;     // an event cannot be allocated
  unsigned resolver = 0;      // a name does not resolve
};

class World final : public Clock {
 public:
  World(uint64_t seed, bool trace) : random(seed), trace_(trace) {}

  uint64_t now_ns() override {
    if (looking >= 0) while_looking(looking);
    return now_ns_ += 1000;
  }
  void advance_ms(uint64_t ms) { now_ns_ += ms * 1'000'000; }
  bool failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }
  bool traces() const { return trace_; }
  /** The first failure of a seed is the one that counts. */
  void fail(const char* format, ...) __attribute__((format(printf, 2, 3))) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (failure_.empty()) failure_ = text;
    if (trace_) std::printf("FAILURE %s\n", text);
  }
  void log(const char* format, ...) __attribute__((format(printf, 2, 3))) {
    if (!trace_) return;
    std::printf("%10.3f ", static_cast<double>(now_ns_) / 1e6);
    va_list arguments;
    va_start(arguments, format);
    std::vprintf(format, arguments);
    va_end(arguments);
    std::printf("\n");
  }

  Random random;
  Faults faults;
  /** Nothing was ever made to go wrong, and no deadline passed: whatever is sent must arrive. */
  bool ideal = true;
  /** Threads mostly meet at the same channel. */
  bool focused = false;
  /** Things that happened; when it stands still, only time can change anything. */
  uint64_t activity = 0;
  /** The engine whose thread goes on beside an application thread that looks for messages; -1: none does. */
  int looking = -1;
  std::function<void(int)> while_looking;

 private:
  bool trace_;
  uint64_t now_ns_ = 1'000'000'000;
  std::string failure_;
};

}  // namespace sim
}  // namespace tofu
