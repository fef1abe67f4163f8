// env_doorbell.h: the doorbell of a port in a JavaScript environment: a threadsafe function.
// Layer: addon. Thread: the environment's, except ring(), which any thread may call at any time, also when the
// environment has ended.
// Owner: two references: whoever holds the port, until no engine can ring any more, and the threadsafe function, until
// its finalizer. The second one to let go frees it.
// Invariant: behind close() the threadsafe function is never touched by ring(); at most one call of it is under way.
#pragma once

#include <node_api.h>

#include <atomic>

#include "base/guarded.h"
#include "core/port.h"

namespace tofu {

class EnvDoorbell final : public Doorbell {
 public:
  /** Calls `callback` with `port` each time it was rung. Does not keep the process alive. Null: no memory. */
  static EnvDoorbell* make(napi_env env, napi_value callback, uint32_t port);

  void ring() override;

  /** Whether it keeps the environment's event loop alive. */
  void set_referenced(napi_env env, bool referenced);
  /** Waits for a ring() that is under way; later ones do nothing. */
  void close();
  /** The environment goes on: gives the threadsafe function back. After close(), once. */
  void give_back();
  /** Lets go of the port's reference. */
  void release();

 private:
  struct Bell {
    napi_threadsafe_function function = nullptr;
    /** Rung, and the callback has not begun yet: one call says it all. */
    bool pending = false;
    bool closed = false;
  };

  explicit EnvDoorbell(uint32_t port) : port_(port) {}
  ~EnvDoorbell() override = default;
  static void answer(napi_env env, napi_value callback, void* context, void* data);
  static void finalize(napi_env env, void* data, void* hint);

  const uint32_t port_;
  std::atomic<int> references_{2};
  Guarded<Bell> bell_;
};

}  // namespace tofu
