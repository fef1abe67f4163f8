// os_error.h: what can go wrong in the world, as the core knows it. errno and its numbers stay in os/.
// Layer: os. Invariant: every errno maps to exactly one value; `other` is the rest.
#pragma once

#include <cstdint>

namespace tofu {

enum class OsError : uint8_t {
  none,
  again,           // nothing now: EAGAIN; a Unix socket whose backlog is full; EINTR never gets here
  in_progress,     // connect goes on: wait until writable
  peer_gone,       // ECONNRESET, EPIPE, ECONNABORTED
  refused,         // ECONNREFUSED
  not_found,       // ENOENT, ENOTDIR: no such path
  in_use,          // EADDRINUSE, EEXIST
  unavailable,     // EAFNOSUPPORT, EADDRNOTAVAIL, EINVAL: this address cannot be used here, another one may
  no_descriptors,  // EMFILE, ENFILE
  no_memory,       // ENOBUFS, ENOMEM: passes by itself
  timed_out,       // ETIMEDOUT
  denied,          // EACCES, EPERM, EROFS
  unreachable,     // ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN
  unresolved,      // no errno: a name that has no address
  other,
};

const char* os_error_name(OsError error);

}  // namespace tofu
