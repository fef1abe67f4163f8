// arguments.h: the arguments of an exported function, read with plain Node-API.
// Layer: addon. Thread: the environment's. Knows types and bounds of arguments, not what they mean.
// Invariant: memory of JavaScript is looked up in every call and used only within it, since any array may be detached
// between two calls; a wrong type makes good() false, an array that is too short is the caller's to notice.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>

#include "addon/addon_state.h"

namespace tofu {

/** A typed array of JavaScript, for the time of one call. A detached one is empty. */
template <typename T>
struct View {
  T* data = nullptr;
  size_t length = 0;
  /** Whether [at, at + count) lies in it. */
  bool holds(size_t at, size_t count) const { return at <= length && count <= length - at; }
};

template <typename T>
struct ArrayKind;
template <>
struct ArrayKind<uint8_t> {
  static constexpr napi_typedarray_type kType = napi_uint8_array;
};
template <>
struct ArrayKind<uint32_t> {
  static constexpr napi_typedarray_type kType = napi_uint32_array;
};
template <>
struct ArrayKind<double> {
  static constexpr napi_typedarray_type kType = napi_float64_array;
};

/** False: it is no such array. */
template <typename T>
bool read_array(napi_env env, napi_value value, View<T>* view) {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok) return false;
  if (type != ArrayKind<T>::kType || reinterpret_cast<uintptr_t>(data) % alignof(T) != 0) return false;
  view->data = static_cast<T*>(data);
  view->length = data == nullptr ? 0 : length;
  return true;
}

/** The first argument is always the number of a port. */
template <size_t kCount>
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kCount;
    void* data = nullptr;
    if (napi_get_cb_info(env, info, &count, values_, nullptr, &data) != napi_ok) {
      good_ = false;
      return;
    }
    entry_ = static_cast<const AddonState*>(data)->find(number(0));
    if (entry_ == nullptr) good_ = false;
  }

  uint32_t number(size_t index) {
    uint32_t value = 0;
    if (napi_get_value_uint32(env_, values_[index], &value) != napi_ok) good_ = false;
    return value;
  }
  double real(size_t index) {
    double value = 0;
    if (napi_get_value_double(env_, values_[index], &value) != napi_ok) good_ = false;
    return value;
  }
  bool boolean(size_t index) {
    bool value = false;
    if (napi_get_value_bool(env_, values_[index], &value) != napi_ok) good_ = false;
    return value;
  }
  template <typename T>
  View<T> array(size_t index) {
    View<T> view;
    if (!read_array(env_, values_[index], &view)) good_ = false;
    return view;
  }

  /** Whether all arguments that were read so far have their type, and the port exists. */
  bool good() const { return good_; }
  Port& port() const { return *entry_->port; }
  /** Throws: the arguments were not these. Only a mistake in lib/ leads here. */
  napi_value refuse(const char* signature) {
    napi_throw_type_error(env_, "ERR_INVALID_ARG_TYPE", signature);
    return nullptr;
  }

 private:
  napi_env env_;
  napi_value values_[kCount] = {};
  AddonState::Entry* entry_ = nullptr;
  bool good_ = true;
};

inline napi_value as_number(napi_env env, int32_t value) {
  napi_value result = nullptr;
  napi_create_int32(env, value, &result);
  return result;
}
inline napi_value as_number(napi_env env, uint32_t value) {
  napi_value result = nullptr;
  napi_create_uint32(env, value, &result);
  return result;
}
inline napi_value as_boolean(napi_env env, bool value) {
  napi_value result = nullptr;
  napi_get_boolean(env, value, &result);
  return result;
}

}  // namespace tofu
