// plain_calls.h: the system calls of every turn, without what the C library puts around them for thread cancellation: two
// atomic exchanges for each. Our threads are never cancelled.
// Layer: os. Any thread. Elsewhere than on Linux, and under a sanitizer, which has to see them, these are the library's own.
#pragma once

#include <sys/socket.h>

#include <cstddef>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TOFU_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TOFU_SANITIZED
#endif
#if defined(__linux__) && !defined(TOFU_SANITIZED)
#define TOFU_PLAIN_CALLS
#endif

namespace tofu {

inline ssize_t plain_recv(int fd, void* data, size_t length) {
#if defined(TOFU_PLAIN_CALLS)
  return syscall(SYS_recvfrom, fd, data, length, 0, nullptr, nullptr);
#else
  return recv(fd, data, length, 0);
#endif
}

inline ssize_t plain_send(int fd, const void* data, size_t length, int flags) {
#if defined(TOFU_PLAIN_CALLS)
  return syscall(SYS_sendto, fd, data, length, flags, nullptr, 0);
#else
  return send(fd, data, length, flags);
#endif
}

}  // namespace tofu
