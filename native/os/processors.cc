// processors.cc: how many processors the calling thread may use. Layer: os. Thread: any.
#include "os/processors.h"

#ifdef __linux__
#include <sched.h>
#endif
#include <unistd.h>

namespace tofu {

int usable_processors() {
#ifdef __linux__
  cpu_set_t set;
  CPU_ZERO(&set);
  // It fails where there are more processors than the set has room for.
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online < 1 ? 1 : static_cast<int>(online);
}

}  // namespace tofu
