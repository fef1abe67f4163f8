// tables.h: the core's constants and tables as JavaScript objects, for a test that compares them with TypeScript's, and
// for lib/ to read numbers it need not know. Layer: addon; node-addon-api. Thread: the environment's.
#pragma once

#include <napi.h>

namespace tofu {

Napi::Object make_tables(Napi::Env env);

}  // namespace tofu
