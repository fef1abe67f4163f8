// port_functions.cc: arguments of the seldom called functions, through node-addon-api. Layer: addon. Thread: the
// environment's.
#include "addon/port_functions.h"

#include "addon/arguments.h"
#include "addon/engine_options.h"
#include "core/counters.h"
#include "core/engine.h"

namespace tofu {
namespace {

AddonState& state_of(const Napi::CallbackInfo& info) { return *static_cast<AddonState*>(info.Data()); }

/** Throws and returns null when the first argument is no port. */
AddonState::Entry* entry_of(const Napi::CallbackInfo& info) {
  AddonState::Entry* entry = nullptr;
  if (info[0].IsNumber()) entry = state_of(info).find(info[0].As<Napi::Number>().Uint32Value());
  if (entry == nullptr) Napi::TypeError::New(info.Env(), "there is no such port").ThrowAsJavaScriptException();
  return entry;
}

Napi::Value refuse(Napi::Env env, const char* signature) {
  Napi::TypeError::New(env, signature).ThrowAsJavaScriptException();
  return Napi::Value();
}

Napi::Value to_value(Napi::Env env, double number) { return Napi::Number::New(env, number); }

/** create(options, onDoorbell): a port, or minus an OsError. */
Napi::Value create(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  EngineOptions options;
  if (!read_options(info[0], &options)) return Napi::Value();
  if (!info[1].IsFunction()) return refuse(env, "create(options, function)");
  // Stays when there is no memory for the port itself.
  OsError error = OsError::no_memory;
  const AddonState::Entry* entry = state_of(info).add(
      env, info[1], [&](EnvDoorbell* doorbell) { return Engine::create(options, doorbell, &error); });
  return to_value(env, entry != nullptr ? entry->number : -static_cast<double>(error));
}

/** attach(engine, onDoorbell): a port, or 0: there is no such engine. */
Napi::Value attach(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsNumber() || !info[1].IsFunction()) return refuse(env, "attach(number, function)");
  // Numbers of engines count up from 1, so none of them is beyond what a double can tell apart.
  constexpr double kMost = 9'007'199'254'740'991;
  const double number = info[0].As<Napi::Number>().DoubleValue();
  if (!(number >= 1 && number <= kMost)) return to_value(env, 0);
  const AddonState::Entry* entry = state_of(info).add(env, info[1], [number](EnvDoorbell* doorbell) {
    return Engine::attach(static_cast<uint64_t>(number), doorbell);
  });
  return to_value(env, entry != nullptr ? entry->number : 0);
}

void detach(const Napi::CallbackInfo& info) {
  AddonState::Entry* entry = entry_of(info);
  if (entry != nullptr) state_of(info).remove(entry);
}

Napi::Value engine_of(const Napi::CallbackInfo& info) {
  const AddonState::Entry* entry = entry_of(info);
  if (entry == nullptr) return Napi::Value();
  return to_value(info.Env(), static_cast<double>(entry->port->engine().number()));
}

Napi::Value poller_of(const Napi::CallbackInfo& info) {
  const AddonState::Entry* entry = entry_of(info);
  if (entry == nullptr) return Napi::Value();
  return Napi::String::New(info.Env(), entry->port->engine().poller_name());
}

Napi::Value open_group(const Napi::CallbackInfo& info) {
  const AddonState::Entry* entry = entry_of(info);
  if (entry == nullptr) return Napi::Value();
  return to_value(info.Env(), entry->port->open_group());
}

Napi::Value group_is_open(const Napi::CallbackInfo& info) {
  const AddonState::Entry* entry = entry_of(info);
  if (entry == nullptr) return Napi::Value();
  if (!info[1].IsNumber()) return refuse(info.Env(), "groupIsOpen(port, number)");
  return Napi::Boolean::New(info.Env(), entry->port->engine().group_is_open(info[1].As<Napi::Number>().Uint32Value()));
}

void set_referenced(const Napi::CallbackInfo& info) {
  const AddonState::Entry* entry = entry_of(info);
  if (entry == nullptr) return;
  if (!info[1].IsBoolean()) {
    refuse(info.Env(), "setReferenced(port, boolean)");
    return;
  }
  entry->doorbell->set_referenced(info.Env(), info[1].As<Napi::Boolean>().Value());
}

Napi::Value open_sockets(const Napi::CallbackInfo& info) {
  const AddonState::Entry* entry = entry_of(info);
  if (entry == nullptr) return Napi::Value();
  return to_value(info.Env(), entry->port->open_sockets());
}

/** counters(port, into): in the order of tables.counterNames. */
void counters(const Napi::CallbackInfo& info) {
  const AddonState::Entry* entry = entry_of(info);
  if (entry == nullptr) return;
  const Counters& counters = entry->port->engine().counters();
  const uint64_t totals[] = {
#define X(name) counters.name.load(std::memory_order_relaxed),
      TOFU_COUNTERS(X)
#undef X
  };
  constexpr size_t kCount = sizeof(totals) / sizeof(totals[0]);
  View<double> into;
  if (!read_array(info.Env(), info[1], &into) || into.length < kCount) {
    refuse(info.Env(), "counters(port, Float64Array as long as tables.counterNames)");
    return;
  }
  for (size_t index = 0; index < kCount; index++) into.data[index] = static_cast<double>(totals[index]);
}

/** takeIds(port, words): high, low of the first id, how many. */
void take_ids(const Napi::CallbackInfo& info) {
  if (entry_of(info) == nullptr) return;
  View<uint32_t> words;
  if (!read_array(info.Env(), info[1], &words) || words.length < 3) {
    refuse(info.Env(), "takeIds(port, Uint32Array[3])");
    return;
  }
  uint64_t first = 0;
  words.data[2] = take_message_ids(&first);
  words.data[0] = static_cast<uint32_t>(first >> 32);
  words.data[1] = static_cast<uint32_t>(first);
}

}  // namespace

void export_port_functions(Napi::Env env, Napi::Object exports, AddonState* state) {
  exports.Set("create", Napi::Function::New<create>(env, "create", state));
  exports.Set("attach", Napi::Function::New<attach>(env, "attach", state));
  exports.Set("detach", Napi::Function::New<detach>(env, "detach", state));
  exports.Set("engineOf", Napi::Function::New<engine_of>(env, "engineOf", state));
  exports.Set("pollerOf", Napi::Function::New<poller_of>(env, "pollerOf", state));
  exports.Set("openGroup", Napi::Function::New<open_group>(env, "openGroup", state));
  exports.Set("groupIsOpen", Napi::Function::New<group_is_open>(env, "groupIsOpen", state));
  exports.Set("setReferenced", Napi::Function::New<set_referenced>(env, "setReferenced", state));
  exports.Set("openSockets", Napi::Function::New<open_sockets>(env, "openSockets", state));
  exports.Set("counters", Napi::Function::New<counters>(env, "counters", state));
  exports.Set("takeIds", Napi::Function::New<take_ids>(env, "takeIds", state));
}

}  // namespace tofu
