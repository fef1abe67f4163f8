// resolver.h: turns host names into addresses without making anyone wait.
// Layer: os. The real one runs getaddrinfo on threads of its own (at most kResolverThreads, the rest queue) that nobody
// joins: a name server that does not answer must not hold up destroy(). The sink is called on such a thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "os/sockets.h"

namespace tofu {

inline constexpr int kResolverThreads = 4;
/** More addresses of one name than this are left out. */
inline constexpr int kMaxAddresses = 16;
inline constexpr uint64_t kNoDeadline = UINT64_MAX;

struct Resolution {
  /** The number given to resolve(). */
  uint64_t ticket = 0;
  int count = 0;
  SocketAddress addresses[kMaxAddresses];
};

/** Where results go; any thread. Shared by the reactor and every lookup that is under way: the last one frees it. */
class ResolutionSink {
 public:
  virtual void on_resolved(const Resolution& resolution) = 0;
  virtual void retain() = 0;
  virtual void release() = 0;

 protected:
  ~ResolutionSink() = default;
};

class Resolver {
 public:
  virtual ~Resolver() = default;
  /**
   * Looks the name up; on_resolved() follows exactly once (count 0: it does not resolve), possibly before this returns.
   * From `until_ns` of system_clock() on nobody wants to know, and a lookup that has not begun is left out (count 0): names that nobody
   * answers for must not hold up others. false: no memory or no thread; on_resolved() does not follow. The name is copied.
   */
  virtual bool resolve(const char* host, size_t length, uint16_t port, uint64_t ticket, uint64_t until_ns,
                       ResolutionSink* sink) = 0;
};

/** getaddrinfo. Lives for ever. */
Resolver& system_resolver();

}  // namespace tofu
