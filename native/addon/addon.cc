// addon.cc: what require() of the .node file gives: the functions of the binding, the tables, and what it was built from.
// Layer: addon. Called once per environment and module registry; nothing here or below is global, since several of
// these live side by side.
#include <napi.h>

#include "addon/addon_state.h"
#include "addon/batch_functions.h"
#include "addon/build_identity.h"
#include "addon/port_functions.h"
#include "addon/tables.h"

namespace tofu {
namespace {

Napi::Object make_build(Napi::Env env) {
  Napi::Object build = Napi::Object::New(env);
  build.Set("version", Napi::String::New(env, kBuildIdentity + kVersionAt, kVersionLength));
  build.Set("sourcesHash", Napi::String::New(env, kBuildIdentity + kSourcesHashAt));
  return build;
}

Napi::Object init_addon(Napi::Env env, Napi::Object exports) {
  AddonState* state = AddonState::make(env);
  if (state == nullptr) {
    Napi::Error::New(env, "no memory for the addon").ThrowAsJavaScriptException();
    return exports;
  }
  exports.Set("build", make_build(env));
  exports.Set("tables", make_tables(env));
  export_port_functions(env, exports, state);
  export_batch_functions(env, exports, state);
  return exports;
}

}  // namespace
}  // namespace tofu

using tofu::init_addon;
NODE_API_MODULE(tofu_ampe, init_addon)
