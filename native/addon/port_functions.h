// port_functions.h: the exported functions that are called a few times in the life of an engine or a group: making and
// leaving engines, and asking about them. Layer: addon; node-addon-api. Thread: the environment's.
#pragma once

#include <napi.h>

#include "addon/addon_state.h"

namespace tofu {

void export_port_functions(Napi::Env env, Napi::Object exports, AddonState* state);

}  // namespace tofu
