// event_probe.h: lets allocations of events fail as often as a world's faults say.
#pragma once

#include "sim/world.h"

namespace tofu {
namespace sim {

/** Null: they succeed again. */
void fail_events(World* world);

}  // namespace sim
}  // namespace tofu
