// errno_map.cc: the one table from errno to OsError, and the names of the latter.
// Layer: os. Thread: any.
#include "os/errno_map.h"

#include <cerrno>

namespace tofu {

OsError os_error_from_errno(int number) {
  switch (number) {
    case 0:
      return OsError::none;
    case EAGAIN:
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
      return OsError::again;
    case EINPROGRESS:
    case EALREADY:
      return OsError::in_progress;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
      return OsError::peer_gone;
    case ECONNREFUSED:
      return OsError::refused;
    case ENOENT:
    case ENOTDIR:
      return OsError::not_found;
    case EADDRINUSE:
    case EEXIST:
      return OsError::in_use;
    case EAFNOSUPPORT:
    case EADDRNOTAVAIL:
    case EINVAL:
      return OsError::unavailable;
    case EMFILE:
    case ENFILE:
      return OsError::no_descriptors;
    case ENOBUFS:
    case ENOMEM:
      return OsError::no_memory;
    case ETIMEDOUT:
      return OsError::timed_out;
    case EACCES:
    case EPERM:
    case EROFS:
      return OsError::denied;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
      return OsError::unreachable;
    default:
      return OsError::other;
  }
}

OsError last_os_error() { return os_error_from_errno(errno); }

const char* os_error_name(OsError error) {
  switch (error) {
    case OsError::none:
      return "none";
    case OsError::again:
      return "again";
    case OsError::in_progress:
      return "in_progress";
    case OsError::peer_gone:
      return "peer_gone";
    case OsError::refused:
      return "refused";
    case OsError::not_found:
      return "not_found";
    case OsError::in_use:
      return "in_use";
    case OsError::unavailable:
      return "unavailable";
    case OsError::no_descriptors:
      return "no_descriptors";
    case OsError::no_memory:
      return "no_memory";
    case OsError::timed_out:
      return "timed_out";
    case OsError::denied:
      return "denied";
    case OsError::unreachable:
      return "unreachable";
    case OsError::unresolved:
      return "unresolved";
    case OsError::other:
      return "other";
  }
  return "other";
}

}  // namespace tofu
