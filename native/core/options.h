// options.h: what an engine is made with, checked by the caller. Layer: core.
#pragma once

#include <cstdint>

#include "os/poller.h"

namespace tofu {

struct EngineOptions {
  uint32_t connect_timeout_ms = 10'000;
  uint32_t handshake_timeout_ms = 10'000;
  uint32_t close_timeout_ms = 5'000;
  uint32_t keep_alive_ms = 60'000;
  uint32_t uds_mode = 0600;
  uint32_t max_channels = 65'534;
  PollerKind poller = PollerKind::best;
  /** How long a thread looks for more work before it sleeps, after work that came quickly; -1: the default, 0: not at all. */
  int32_t spin_us = -1;

  uint64_t spin_ns() const { return static_cast<uint64_t>(spin_us < 0 ? kDefaultSpinUs : spin_us) * 1000; }
  /** Some round trips over loopback: an answer that takes longer is not worth burning a core for. */
  static constexpr int32_t kDefaultSpinUs = 100;
};

}  // namespace tofu
