// post_check.h: what a channel number stands for when something is posted to it.
// Layer: protocol. The checks are made in TypeScript, before anything crosses; the engine keeps the state for posts
// from other threads.
// Invariant: the numbers and names of PostChannelState in lib/protocol/post-check.ts; a test compares them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/constants.h"

namespace tofu {

enum class PostState : uint8_t {
  unknown,     // never handed out, or a connection the application has not seen yet
  open,        // takes messages, also while it is connecting
  listener,
  bye_posted,  // a ByeRequest or ByeResponse was posted to it
  closed,      // its channel_closed was delivered, and the number is not in use again
};

inline constexpr NamedNumber kPostStates[] = {
    {"unknown", static_cast<uint32_t>(PostState::unknown)},
    {"open", static_cast<uint32_t>(PostState::open)},
    {"listener", static_cast<uint32_t>(PostState::listener)},
    {"byePosted", static_cast<uint32_t>(PostState::bye_posted)},
    {"closed", static_cast<uint32_t>(PostState::closed)},
};
inline constexpr size_t kPostStateCount = sizeof(kPostStates) / sizeof(kPostStates[0]);

}  // namespace tofu
