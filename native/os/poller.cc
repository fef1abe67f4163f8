// poller.cc: chooses the poller: what was asked for, or the best one this platform has.
// Layer: os. Thread: any.
#include "os/poller.h"

#include "os/pollers.h"

namespace tofu {
namespace {

PollerKind best_kind() {
#if defined(TOFU_HAS_EPOLL)
  return PollerKind::epoll;
#elif defined(TOFU_HAS_KQUEUE)
  return PollerKind::kqueue;
#else
  return PollerKind::poll;
#endif
}

}  // namespace

std::unique_ptr<Poller> make_poller(PollerKind kind, OsError* error) {
  switch (kind == PollerKind::best ? best_kind() : kind) {
#if defined(TOFU_HAS_EPOLL)
    case PollerKind::epoll:
      return make_epoll_poller(error);
#endif
#if defined(TOFU_HAS_KQUEUE)
    case PollerKind::kqueue:
      return make_kqueue_poller(error);
#endif
    case PollerKind::poll:
      return make_poll_poller(error);
    default:
      *error = OsError::unavailable;
      return nullptr;
  }
}

}  // namespace tofu
