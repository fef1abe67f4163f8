// guarded.h: data that several threads share, and the lock without which nobody reaches it.
// Layer: base. Rule: nothing that may wait or call back is called while a lock is held.
#pragma once

#include <mutex>

namespace tofu {

template <typename T>
class Guarded {
 public:
  class Access {
   public:
    explicit Access(Guarded& guarded) : lock_(guarded.mutex_), value_(guarded.value_) {}
    T* operator->() { return &value_; }
    T& operator*() { return value_; }
    /** For condition variables. */
    std::unique_lock<std::mutex>& lock() { return lock_; }

   private:
    std::unique_lock<std::mutex> lock_;
    T& value_;
  };

  /** Holds the lock until the result goes out of scope. */
  Access access() { return Access(*this); }

 private:
  std::mutex mutex_;
  T value_;
};

}  // namespace tofu
