// simulation.h: one seed: engines, application threads and raw peers over one simulated kernel, stepped in an order
// that the seed decides, and brought to a regular end at which everything must add up.
// Drives the shipped reactor turn by turn on the caller's thread. Invariant: the same seed does the same.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/application.h"
#include "sim/kernel.h"
#include "sim/ledger.h"
#include "sim/raw_peer.h"
#include "sim/world.h"

namespace tofu {
namespace sim {

struct Outcome {
  /** What went wrong; empty: nothing. */
  std::string failure;
  /** Of all that has happened: the same seed has the same. */
  uint64_t digest = 0;
};

/** Runs a seed; `trace` prints what happens. */
Outcome simulate(uint64_t seed, bool trace);

}  // namespace sim
}  // namespace tofu
