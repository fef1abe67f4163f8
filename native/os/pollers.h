// pollers.h: one maker per kind of poller; make_poller() chooses.
// Layer: os, internal. A maker exists where its system call exists. Null: `error` says why.
#pragma once

#include <memory>
#include <new>

#include "os/poller.h"

#if defined(__linux__)
#define TOFU_HAS_EPOLL 1
#endif
// A test on Linux puts a sys/event.h of its own on the include path, to run the logic of the kqueue poller.
#if __has_include(<sys/event.h>)
#define TOFU_HAS_KQUEUE 1
#endif

namespace tofu {

#if defined(TOFU_HAS_EPOLL)
std::unique_ptr<Poller> make_epoll_poller(OsError* error);
#endif
#if defined(TOFU_HAS_KQUEUE)
std::unique_ptr<Poller> make_kqueue_poller(OsError* error);
#endif
std::unique_ptr<Poller> make_poll_poller(OsError* error);

/** Makes a P and opens it. */
template <typename P>
std::unique_ptr<Poller> open_poller(OsError* error) {
  std::unique_ptr<P> poller(new (std::nothrow) P);
  *error = poller == nullptr ? OsError::no_memory : poller->open();
  if (*error != OsError::none) return nullptr;
  return poller;
}

/** watch() promises only these two. */
inline OsError watch_error(OsError error) { return error == OsError::no_memory ? error : OsError::other; }

}  // namespace tofu
