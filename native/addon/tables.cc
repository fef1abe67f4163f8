// tables.cc: constants, names and the state table, as objects. Layer: addon. Thread: the environment's.
#include "addon/tables.h"

#include "core/counters.h"
#include "core/event.h"
#include "core/port.h"
#include "os/os_error.h"
#include "protocol/channel_state.h"
#include "protocol/constants.h"
#include "protocol/op_code.h"
#include "protocol/post_check.h"
#include "protocol/status.h"

namespace tofu {
namespace {

constexpr NamedNumber kRecordKinds[] = {
    {"frames", static_cast<uint32_t>(EventKind::frames)},
    {"opened", static_cast<uint32_t>(EventKind::opened)},
    {"mail", static_cast<uint32_t>(EventKind::mail)},
    {"ended", static_cast<uint32_t>(EventKind::ended)},
    {"tail", static_cast<uint32_t>(EventKind::tail)},
    {"last", static_cast<uint32_t>(EventKind::last)},
    {"groupGone", static_cast<uint32_t>(EventKind::group_gone)},
    {"engineGone", static_cast<uint32_t>(EventKind::engine_gone)},
    {"credit", static_cast<uint32_t>(EventKind::credit)},
    {"violation", static_cast<uint32_t>(EventKind::violation)},
    {"socketsGone", static_cast<uint32_t>(EventKind::sockets_gone)},
};

constexpr NamedNumber kCommands[] = {
    {"closeGroup", static_cast<uint32_t>(Command::close_group)},
    {"endAck", static_cast<uint32_t>(Command::end_ack)},
    {"forget", static_cast<uint32_t>(Command::forget)},
    {"consumed", static_cast<uint32_t>(Command::consumed)},
    {"destroyEngine", static_cast<uint32_t>(Command::destroy_engine)},
    {"reclaim", static_cast<uint32_t>(Command::reclaim)},
};

constexpr const char* kCounterNames[] = {
#define X(name) #name,
    TOFU_COUNTERS(X)
#undef X
};

template <size_t kCount>
Napi::Object by_name(Napi::Env env, const NamedNumber (&numbers)[kCount]) {
  Napi::Object object = Napi::Object::New(env);
  for (const NamedNumber& each : numbers) object.Set(each.name, Napi::Number::New(env, each.value));
  return object;
}

Napi::Array status_names(Napi::Env env) {
  Napi::Array names = Napi::Array::New(env, kStatusCount);
  for (uint32_t status = 0; status < kStatusCount; status++) {
    names.Set(status, Napi::String::New(env, status_name(static_cast<Status>(status))));
  }
  return names;
}

Napi::Array counter_names(Napi::Env env) {
  Napi::Array names = Napi::Array::New(env);
  uint32_t index = 0;
  for (const char* name : kCounterNames) names.Set(index++, Napi::String::New(env, name));
  return names;
}

Napi::Object os_errors(Napi::Env env) {
  Napi::Object errors = Napi::Object::New(env);
  for (uint8_t error = 0; error <= static_cast<uint8_t>(OsError::other); error++) {
    errors.Set(os_error_name(static_cast<OsError>(error)), Napi::Number::New(env, error));
  }
  return errors;
}

/** { event: [next state, action] }, without events that cannot happen in that state. */
Napi::Object row_of(Napi::Env env, ChannelState state) {
  Napi::Object row = Napi::Object::New(env);
  for (size_t index = 0; index < kChannelEventCount; index++) {
    const auto event = static_cast<ChannelEvent>(index);
    if (!possible(state, event)) continue;
    const Transition transition = next(state, event);
    Napi::Array cell = Napi::Array::New(env, 2);
    cell.Set(0U, Napi::String::New(env, state_name(transition.state)));
    cell.Set(1U, Napi::String::New(env, action_name(transition.action)));
    row.Set(event_name(event), cell);
  }
  return row;
}

Napi::Object channel_table(Napi::Env env) {
  Napi::Object table = Napi::Object::New(env);
  for (size_t index = 0; index < kChannelStateCount; index++) {
    const auto state = static_cast<ChannelState>(index);
    table.Set(state_name(state), row_of(env, state));
  }
  return table;
}

}  // namespace

Napi::Object make_tables(Napi::Env env) {
  Napi::Object tables = Napi::Object::New(env);
  tables.Set("constants", by_name(env, kConstants));
  tables.Set("statusNames", status_names(env));
  tables.Set("opCodes", by_name(env, kOpCodes));
  tables.Set("channelTable", channel_table(env));
  tables.Set("recordKinds", by_name(env, kRecordKinds));
  tables.Set("commands", by_name(env, kCommands));
  tables.Set("counterNames", counter_names(env));
  tables.Set("postChannelStates", by_name(env, kPostStates));
  tables.Set("osErrors", os_errors(env));
  return tables;
}

}  // namespace tofu
