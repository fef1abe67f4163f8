// batch_functions.h: the exported functions that are called per batch of messages, or more often.
// Layer: addon. Plain Node-API: node-addon-api costs as much per call as these do in all.
// Thread: the environment's.
// Invariant: nothing in the arguments can make them read or write outside an array: a wrong type throws, an array that
// is too short (or detached by the application) is kBadMemory.
#pragma once

#include <node_api.h>

#include "addon/addon_state.h"

namespace tofu {

/** Returned instead of a number, by functions that take memory: -1: there is no memory left, nothing was taken. */
inline constexpr int32_t kNoMemory = -1;
/** An array is shorter than was said, or the runs in it are not whole frames of a channel; nothing was taken. */
inline constexpr int32_t kBadMemory = -2;

/** False: an exception is pending. */
bool export_batch_functions(napi_env env, napi_value exports, AddonState* state);

}  // namespace tofu
