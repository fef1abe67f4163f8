// event_probe.cc: the shipped allocation of events, which fails when the simulation says so. Takes the place of the
// library's copy, as state_probe.cc does.
#define make_event shipped_make_event
#include "core/event.cc"
#undef make_event

#include "sim/event_probe.h"

namespace tofu {

namespace {
sim::World* world = nullptr;
}  // namespace

Event* make_event(size_t capacity);

Event* make_event(size_t capacity) {
  if (world != nullptr && world->random.chance(world->faults.no_memory)) return nullptr;
  return shipped_make_event(capacity);
}

void sim::fail_events(World* of) { world = of; }

}  // namespace tofu
