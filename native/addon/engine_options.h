// engine_options.h: turns the options object of create() into the core's. Layer: addon. Thread: the environment's.
// lib/ has checked what users gave; these checks are against mistakes in lib/, and keep nonsense out of the core.
#pragma once

#include <napi.h>

#include "core/options.h"

namespace tofu {

/** False: a TypeError is pending. */
bool read_options(Napi::Value value, EngineOptions* options);

}  // namespace tofu
