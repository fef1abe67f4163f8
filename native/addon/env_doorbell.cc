// env_doorbell.cc: a threadsafe function that is called at most once at a time. Layer: addon. Thread: see
// env_doorbell.h.
#include "addon/env_doorbell.h"

#include <new>

namespace tofu {

EnvDoorbell* EnvDoorbell::make(napi_env env, napi_value callback, uint32_t port) {
  auto* doorbell = new (std::nothrow) EnvDoorbell(port);
  if (doorbell == nullptr) return nullptr;
  napi_value name = nullptr;
  napi_threadsafe_function function = nullptr;
  if (napi_create_string_utf8(env, "tofu-ampe doorbell", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, callback, nullptr, name, 0, 1, nullptr, finalize, doorbell, answer,
                                      &function) != napi_ok) {
    delete doorbell;
    return nullptr;
  }
  napi_unref_threadsafe_function(env, function);
  doorbell->bell_.access()->function = function;
  return doorbell;
}

void EnvDoorbell::ring() {
  // The call is made under the lock, since close() must not return while the function is in use. It does not wait: the
  // function has a queue without bound, of which this uses one place.
  auto bell = bell_.access();
  if (bell->closed || bell->pending) return;
  bell->pending = napi_call_threadsafe_function(bell->function, nullptr, napi_tsfn_nonblocking) == napi_ok;
}

void EnvDoorbell::set_referenced(napi_env env, bool referenced) {
  // Only this thread closes, so the function stays good without the lock.
  napi_threadsafe_function function = bell_.access()->function;
  if (referenced) {
    napi_ref_threadsafe_function(env, function);
  } else {
    napi_unref_threadsafe_function(env, function);
  }
}

void EnvDoorbell::close() { bell_.access()->closed = true; }

void EnvDoorbell::give_back() {
  napi_release_threadsafe_function(bell_.access()->function, napi_tsfn_abort);
}

void EnvDoorbell::release() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

void EnvDoorbell::answer(napi_env env, napi_value callback, void* context, void*) {
  // Without an environment it is being taken down, and the finalizer may have freed the doorbell.
  if (env == nullptr) return;
  auto* doorbell = static_cast<EnvDoorbell*>(context);
  {
    auto bell = doorbell->bell_.access();
    bell->pending = false;
    if (bell->closed) return;
  }
  napi_value receiver = nullptr;
  napi_value number = nullptr;
  if (napi_get_undefined(env, &receiver) != napi_ok) return;
  if (napi_create_uint32(env, doorbell->port_, &number) != napi_ok) return;
  if (napi_call_function(env, receiver, callback, 1, &number, nullptr) == napi_ok) return;
  // Left alone, an exception here would be turned into a warning. A worker that is being terminated has none.
  bool thrown = false;
  napi_value exception = nullptr;
  if (napi_is_exception_pending(env, &thrown) != napi_ok || !thrown) return;
  if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) napi_fatal_exception(env, exception);
}

void EnvDoorbell::finalize(napi_env, void*, void* hint) { static_cast<EnvDoorbell*>(hint)->release(); }

}  // namespace tofu
