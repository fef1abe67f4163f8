// immortal.h: an object that is made at its first use and never destroyed.
// Layer: os. For what threads use that nobody joins: at process exit they may still be running, and a destructor run by
// the C++ library would take the object away from under them.
#pragma once

#include <new>

namespace tofu {

/** The one T of this process. Needs no heap, so it cannot fail. Any thread. */
template <typename T>
T& immortal() {
  alignas(T) static unsigned char storage[sizeof(T)];
  static T* const instance = new (storage) T;
  return *instance;
}

}  // namespace tofu
