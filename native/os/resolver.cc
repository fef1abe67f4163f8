// resolver.cc: getaddrinfo on a few threads of its own.
// Layer: os. Thread: resolve() any; the lookups run on detached threads that come with work and go without.
// Invariant: nobody ever joins or waits for a lookup, and nothing it uses is destroyed: the process may end under it.
// `threads_` counts the threads that will still look at the queue, so a queued lookup always has one that comes for it.
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <cstdlib>
#include <cstring>

#include "base/guarded.h"
#include "os/clock.h"
#include "os/immortal.h"
#include "os/resolver.h"

namespace tofu {
namespace {

struct Lookup {
  Lookup* next;
  ResolutionSink* sink;
  uint64_t ticket;
  uint64_t until_ns;
  uint16_t port;
  /** Unusual names have a NUL inside: they do not resolve, and must not be cut there. */
  bool whole;
  char host[1];
};

/** With signals blocked, so that the handlers of the program run on threads the program knows. */
bool start_detached(void* (*run)(void*), void* argument) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  int failed = pthread_create(&thread, &attributes, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return failed == 0;
}

void set_port(SocketAddress* address, uint16_t port) {
  if (reinterpret_cast<const sockaddr*>(address->bytes)->sa_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(address->bytes)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(address->bytes)->sin_port = htons(port);
  }
}

bool contains(const Resolution& resolution, const SocketAddress& address) {
  for (int i = 0; i < resolution.count; i++) {
    const SocketAddress& one = resolution.addresses[i];
    if (one.length == address.length && std::memcmp(one.bytes, address.bytes, one.length) == 0) return true;
  }
  return false;
}

void add_address(const addrinfo& info, uint16_t port, Resolution* resolution) {
  if (info.ai_family != AF_INET && info.ai_family != AF_INET6) return;
  SocketAddress address;
  if (info.ai_addrlen > sizeof(address.bytes)) return;
  std::memset(address.bytes, 0, sizeof(address.bytes));
  std::memcpy(address.bytes, info.ai_addr, info.ai_addrlen);
  address.length = static_cast<uint32_t>(info.ai_addrlen);
  address.tcp = true;
  set_port(&address, port);
  if (!contains(*resolution, address)) resolution->addresses[resolution->count++] = address;
}

/** Fills in what the name stands for, in the order given; nothing when it does not resolve. */
void look_up(const Lookup& lookup, Resolution* resolution) {
  resolution->ticket = lookup.ticket;
  if (!lookup.whole || system_clock().now_ns() >= lookup.until_ns) return;
  addrinfo hints{};
  // No AI_ADDRCONFIG: it hides `::1` and 127.0.0.1 on a machine that is only connected by the other family.
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_protocol = IPPROTO_TCP;
  addrinfo* found = nullptr;
  if (getaddrinfo(lookup.host, nullptr, &hints, &found) != 0) return;
  for (const addrinfo* info = found; info != nullptr && resolution->count < kMaxAddresses; info = info->ai_next) {
    add_address(*info, lookup.port, resolution);
  }
  freeaddrinfo(found);
}

class SystemResolver final : public Resolver {
 public:
  bool resolve(const char* host, size_t length, uint16_t port, uint64_t ticket, uint64_t until_ns,
               ResolutionSink* sink) override {
    auto* lookup = static_cast<Lookup*>(std::malloc(sizeof(Lookup) + length));
    if (lookup == nullptr) return false;
    lookup->next = nullptr;
    lookup->sink = sink;
    lookup->ticket = ticket;
    lookup->until_ns = until_ns;
    lookup->port = port;
    lookup->whole = length != 0 && std::memchr(host, '\0', length) == nullptr;
    std::memcpy(lookup->host, host, length);
    lookup->host[length] = '\0';
    sink->retain();
    if (enqueue(lookup)) return true;
    sink->release();
    std::free(lookup);
    return false;
  }

 private:
  struct Queue {
    Lookup* first = nullptr;
    Lookup* last = nullptr;
    int threads = 0;
  };

  /** False: not queued, since no thread could be started and none is running that would come for it. */
  bool enqueue(Lookup* lookup) {
    auto queue = queue_.access();
    if (queue->threads < kResolverThreads) {
      // The new thread waits for this lock before it looks.
      if (start_detached(&SystemResolver::run, this)) {
        queue->threads++;
      } else if (queue->threads == 0) {
        return false;
      }
    }
    if (queue->last == nullptr) {
      queue->first = lookup;
    } else {
      queue->last->next = lookup;
    }
    queue->last = lookup;
    return true;
  }

  /** Null: nothing waits, and the calling thread no longer counts. */
  Lookup* take() {
    auto queue = queue_.access();
    Lookup* lookup = queue->first;
    if (lookup == nullptr) {
      queue->threads--;
      return nullptr;
    }
    queue->first = lookup->next;
    if (queue->first == nullptr) queue->last = nullptr;
    return lookup;
  }

  static void* run(void* self) {
    auto* resolver = static_cast<SystemResolver*>(self);
    for (Lookup* lookup = resolver->take(); lookup != nullptr; lookup = resolver->take()) {
      Resolution resolution;
      look_up(*lookup, &resolution);
      lookup->sink->on_resolved(resolution);
      lookup->sink->release();
      std::free(lookup);
    }
    return nullptr;
  }

  Guarded<Queue> queue_;
};

}  // namespace

Resolver& system_resolver() { return immortal<SystemResolver>(); }

}  // namespace tofu
