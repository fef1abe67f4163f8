// coverage.h: which rows of the channel state table the simulated engines have been through, and how often they took ways that only
// some worlds take.
// The table's own lookups are listened to (state_probe.cc). Two things the engine does without a lookup are added by
// the simulated kernel: bytes that a deaf channel discards unseen, and the end of a stream.
// Invariant: a row counts only when an engine was in that state when that event came.
#pragma once

#include "protocol/channel_state.h"

namespace tofu {
namespace sim {

class Coverage {
 public:
  void note(ChannelState state, ChannelEvent event) {
    hits_[static_cast<size_t>(state)][static_cast<size_t>(event)]++;
  }
  uint64_t hits(ChannelState state, ChannelEvent event) const {
    return hits_[static_cast<size_t>(state)][static_cast<size_t>(event)];
  }
  /** Large runs that were handed over as they shall be queued. */
  uint64_t blocks = 0;
  /** Turns in an application thread, and looks of such a thread that found something. */
  uint64_t drives = 0;
  uint64_t found = 0;

 private:
  uint64_t hits_[kChannelStateCount][kChannelEventCount] = {};
};

/** Of all simulations of this program. */
Coverage& coverage();

/** The state of the connection that reads: it asks whether it is deaf right before each read. */
ChannelState reading_state();

}  // namespace sim
}  // namespace tofu
