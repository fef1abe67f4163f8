// assert.h: stops the program at a bug of ours, before it becomes somebody's wrong data.
// Layer: base. Any thread.
// Only for what no input can cause: neither bytes of a peer, nor an order of the caller, nor a full system get here.
// Invariant: the one thing the engine ever prints is the place of a failed assertion.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace tofu {

[[noreturn]] inline void assertion_failed(const char* file, int line) {
  std::fprintf(stderr, "%s:%d\n", file, line);
  std::abort();
}

}  // namespace tofu

/** Always on. */
#define TOFU_ASSERT(cond) ((cond) ? static_cast<void>(0) : ::tofu::assertion_failed(__FILE__, __LINE__))

/** Only in builds without NDEBUG: for checks that cost too much, or stand in too hot a place, to ship. */
#ifdef NDEBUG
#define TOFU_DCHECK(cond) static_cast<void>(sizeof((cond) ? 1 : 0))
#else
#define TOFU_DCHECK(cond) TOFU_ASSERT(cond)
#endif
