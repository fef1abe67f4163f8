// scheduling.cc: how short a thread's slices are. Layer: os. Thread: the calling one.
#include "os/scheduling.h"

#ifdef __linux__
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#endif

namespace tofu {

#ifdef __linux__
namespace {
/** The first version of the kernel's structure: the C library has none before glibc 2.41. */
struct SchedulingAttributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime_ns;
  uint64_t deadline_ns;
  uint64_t period_ns;
};
/** The least that Linux takes (6.12 and later; earlier ones ignore it). */
constexpr uint64_t kShortestSliceNs = 100'000;
}  // namespace

void prefer_short_slices() {
  SchedulingAttributes attributes{};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0 || attributes.policy != SCHED_OTHER) return;
  attributes.runtime_ns = kShortestSliceNs;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}
#else
void prefer_short_slices() {}
#endif

}  // namespace tofu
