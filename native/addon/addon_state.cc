// addon_state.cc: ports by number, and the clean-up hooks that detach them. Layer: addon. Thread: the environment's.
// Invariant: a doorbell is closed before its port is detached, and both before the environment takes down its
// functions.
#include "addon/addon_state.h"

#include <cstdlib>
#include <new>

#include "core/engine.h"

namespace tofu {

AddonState* AddonState::make(napi_env env) {
  auto* state = new (std::nothrow) AddonState();
  if (state == nullptr) return nullptr;
  // Hooks run in the opposite order of their making: this one is behind those of all ports.
  if (napi_add_env_cleanup_hook(env, on_env_end, state) != napi_ok) {
    delete state;
    return nullptr;
  }
  return state;
}

AddonState::~AddonState() { std::free(entries_); }

void AddonState::on_env_end(void* data) { delete static_cast<AddonState*>(data); }

AddonState::Entry* AddonState::prepare(napi_env env, napi_value callback) {
  uint32_t index = 0;
  while (index < capacity_ && entries_[index] != nullptr) index++;
  if (index == capacity_ && !grow()) return nullptr;
  auto* entry = new (std::nothrow) Entry();
  if (entry == nullptr) return nullptr;
  entry->state = this;
  entry->env = env;
  entry->number = index + 1;
  entry->doorbell = EnvDoorbell::make(env, callback, entry->number);
  if (entry->doorbell == nullptr) {
    delete entry;
    return nullptr;
  }
  entries_[index] = entry;
  return entry;
}

AddonState::Entry* AddonState::settle(Entry* entry) {
  if (entry->port == nullptr) {
    entry->doorbell->close();
    entry->doorbell->give_back();
    forget(entry);
    return nullptr;
  }
  // The threadsafe function has such a hook too. This one was made later, so it runs before that one: the engine is
  // done with the environment before anything of it is taken down.
  if (napi_add_env_cleanup_hook(entry->env, on_env_end_of_port, entry) != napi_ok) {
    remove(entry);
    return nullptr;
  }
  return entry;
}

void AddonState::remove(Entry* entry) {
  napi_remove_env_cleanup_hook(entry->env, on_env_end_of_port, entry);
  entry->doorbell->close();
  Engine::detach(entry->port);
  entry->doorbell->give_back();
  forget(entry);
}

void AddonState::on_env_end_of_port(void* data) {
  auto* entry = static_cast<Entry*>(data);
  // Closing comes first: an engine thread that rings meanwhile finds a closed doorbell, whatever detaching waits for.
  entry->doorbell->close();
  Engine::detach(entry->port);
  // The environment gives the threadsafe function back itself.
  entry->state->forget(entry);
}

void AddonState::forget(Entry* entry) {
  entries_[entry->number - 1] = nullptr;
  entry->doorbell->release();
  delete entry;
}

bool AddonState::grow() {
  const uint32_t capacity = capacity_ == 0 ? 8 : capacity_ * 2;
  auto** entries = static_cast<Entry**>(std::realloc(entries_, capacity * sizeof(Entry*)));
  if (entries == nullptr) return false;
  for (uint32_t index = capacity_; index < capacity; index++) entries[index] = nullptr;
  entries_ = entries;
  capacity_ = capacity;
  return true;
}

}  // namespace tofu
