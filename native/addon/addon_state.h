// addon_state.h: what one initialisation of the addon in one environment has: its ports, by small numbers.
// Layer: addon. Thread: the environment's. Never global: each worker, and each module registry of a test runner, has
// one of its own, which the exported functions carry as their data.
// Owner: the environment: a port is given back by detach() or by its clean-up hook, the state by one behind all these.
// Invariant: a number that find() knows has a port that is attached.
#pragma once

#include <node_api.h>

#include <cstdint>

#include "addon/env_doorbell.h"
#include "core/port.h"

namespace tofu {

class AddonState {
 public:
  /** One port of this environment. */
  struct Entry {
    AddonState* state = nullptr;
    napi_env env = nullptr;
    uint32_t number = 0;
    EnvDoorbell* doorbell = nullptr;
    Port* port = nullptr;
  };

  /** Null: no memory. It is freed when the environment ends. */
  static AddonState* make(napi_env env);

  /** Null: there is no such port (any more). */
  Entry* find(uint32_t number) const { return number - 1 < capacity_ ? entries_[number - 1] : nullptr; }
  /**
   * A port that `attach` makes with the doorbell it is given; null when that returns null, or there is no memory
   * (`attach` was not called then).
   */
  template <typename Attach>
  Entry* add(napi_env env, napi_value callback, Attach attach) {
    Entry* entry = prepare(env, callback);
    if (entry == nullptr) return nullptr;
    entry->port = attach(entry->doorbell);
    return settle(entry);
  }
  /** Detaches a port; its number is free again. */
  void remove(Entry* entry);

 private:
  AddonState() = default;
  ~AddonState();
  Entry* prepare(napi_env env, napi_value callback);
  Entry* settle(Entry* entry);
  bool grow();
  void forget(Entry* entry);
  static void on_env_end(void* data);
  static void on_env_end_of_port(void* data);

  /** Entry n - 1 is port n; null when free. */
  Entry** entries_ = nullptr;
  uint32_t capacity_ = 0;
};

}  // namespace tofu
