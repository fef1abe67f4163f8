// descriptors.cc: the two ways to get a non-blocking, close-on-exec descriptor: in one call, or with fcntl behind it.
// Layer: os. macOS has neither accept4 nor SOCK_CLOEXEC nor pipe2; a fork() in between then inherits the descriptor,
// which cannot be helped there. Thread: any.
#include "os/descriptors.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "os/errno_map.h"

namespace tofu {
namespace {

#if defined(__APPLE__)
constexpr bool kOneCall = false;
constexpr int kSocketFlags = 0;
#else
constexpr bool kOneCall = true;
constexpr int kSocketFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;
#endif

/** Gives a fresh descriptor the flags the call that made it could not; closes it when that fails. */
OsError finish(int fd) {
  if (!kOneCall) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
      OsError error = last_os_error();
      close(fd);
      return error;
    }
  }
  return OsError::none;
}

/** Where there is no MSG_NOSIGNAL the socket itself must be told. Fails when the peer has already reset it. */
OsError silence(int fd) {
#if defined(SO_NOSIGPIPE) && !defined(MSG_NOSIGNAL)
  int on = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on)) < 0) {
    OsError error = errno == EINVAL ? OsError::peer_gone : last_os_error();
    close(fd);
    return error;
  }
#else
  static_cast<void>(fd);
#endif
  return OsError::none;
}

/** Linux hands pending network errors of the new connection to accept(); they say nothing about the listener. */
bool concerns_connection_only(int number) {
  switch (number) {
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENOPROTOOPT:
    case EPERM:
#if defined(ENONET)
    case ENONET:
#endif
      return true;
    default:
      return false;
  }
}

}  // namespace

OsError open_stream_socket(int family, int* fd) {
  *fd = -1;
  int opened = socket(family, SOCK_STREAM | kSocketFlags, 0);
  if (opened < 0) return last_os_error();
  OsError error = finish(opened);
  if (error == OsError::none) error = silence(opened);
  if (error == OsError::none) *fd = opened;
  return error;
}

OsError accept_stream_socket(int listener, int* fd) {
  *fd = -1;
  int accepted;
  do {
#if defined(__APPLE__)
    accepted = accept(listener, nullptr, nullptr);
#else
    accepted = accept4(listener, nullptr, nullptr, kSocketFlags);
#endif
  } while (accepted < 0 && errno == EINTR);
  if (accepted < 0) return concerns_connection_only(errno) ? OsError::peer_gone : last_os_error();
  OsError error = finish(accepted);
  if (error == OsError::none) error = silence(accepted);
  if (error == OsError::none) *fd = accepted;
  return error;
}

OsError open_pipe(int* reader, int* writer) {
  *reader = *writer = -1;
  int ends[2];
#if defined(__APPLE__)
  if (pipe(ends) < 0) return last_os_error();
#else
  if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) return last_os_error();
#endif
  OsError error = finish(ends[0]);
  if (error != OsError::none) {
    close(ends[1]);
    return error;
  }
  error = finish(ends[1]);
  if (error != OsError::none) {
    close(ends[0]);
    return error;
  }
  *reader = ends[0];
  *writer = ends[1];
  return OsError::none;
}

}  // namespace tofu
