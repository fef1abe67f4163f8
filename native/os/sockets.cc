// sockets.cc: the kernel's sockets.
// Layer: os. Stateless; any thread. Invariant: every descriptor handed out is non-blocking and close-on-exec, every
// failure leaves none open, and no call blocks, is interrupted or raises SIGPIPE.
#include "os/sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/sockios.h>
#include <sys/ioctl.h>
#endif

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "os/descriptors.h"
#include "os/errno_map.h"
#include "os/immortal.h"
#include "os/plain_calls.h"
#include "os/uds_listen.h"

namespace tofu {
namespace {

static_assert(sizeof(Slice) == sizeof(iovec));
static_assert(offsetof(Slice, data) == offsetof(iovec, iov_base));
static_assert(offsetof(Slice, length) == offsetof(iovec, iov_len));

/** Asks for more than any system grants; each cuts it to its own limit (Linux: net.core.somaxconn). */
constexpr int kBacklog = 4096;

#if defined(MSG_NOSIGNAL)
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;  // the socket has SO_NOSIGPIPE
#endif

/** The shortest keepalive period: the kernel counts it in whole seconds. */
constexpr uint32_t kShortestPeriodMs = 1000;
/** Twice the longest must fit an int. */
constexpr uint32_t kLongestPeriodMs = INT32_MAX / 2;

/** Keepalive probes without an answer before a silent connection is given up, and so the parts of one period. */
constexpr uint32_t kKeepAliveProbes = 6;

const sockaddr* kernel_address(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr*>(address.bytes);
}

const iovec* kernel_slices(const Slice* slices) { return reinterpret_cast<const iovec*>(slices); }

OsError set_option(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? last_os_error() : OsError::none;
}

/**
 * A connect to a free port of this machine may be given that very port as its own, and TCP then connects the socket to
 * itself. Nobody listens there, so it is a refusal.
 */
bool connected_to_itself(int fd) {
  SocketAddress own;
  SocketAddress peer;
  socklen_t own_length = sizeof(own.bytes);
  socklen_t peer_length = sizeof(peer.bytes);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(own.bytes), &own_length) < 0) return false;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(peer.bytes), &peer_length) < 0) return false;
  if (reinterpret_cast<const sockaddr*>(own.bytes)->sa_family == AF_UNIX) return false;
  return own_length == peer_length && std::memcmp(own.bytes, peer.bytes, own_length) == 0;
}

uint32_t period_of(uint32_t keep_alive_ms) { return std::clamp(keep_alive_ms, kShortestPeriodMs, kLongestPeriodMs); }

#if defined(__linux__)
/** Everything sent is acknowledged and something is unsent: the peer is there, and its window is shut. */
bool waits_for_window(int fd) {
  int outstanding = 0;
  int unsent = 0;
  if (ioctl(fd, SIOCOUTQ, &outstanding) < 0 || ioctl(fd, SIOCOUTQNSD, &unsent) < 0) return false;
  return unsent > 0 && unsent == outstanding;
}
#endif

IoResult io_result(ssize_t moved) {
  if (moved < 0) return {0, last_os_error()};
  return {static_cast<size_t>(moved), OsError::none};
}

class SystemSockets final : public Sockets {
 public:
  OsError connect(const SocketAddress& address, int* fd) override {
    *fd = -1;
    int opened;
    OsError error = open_stream_socket(kernel_address(address)->sa_family, &opened);
    if (error != OsError::none) return error;
    if (::connect(opened, kernel_address(address), static_cast<socklen_t>(address.length)) < 0) {
      // An interrupted connect goes on by itself and must not be called again.
      error = errno == EINTR ? OsError::in_progress : last_os_error();
    } else if (address.tcp && connected_to_itself(opened)) {
      error = OsError::refused;
    }
    if (error == OsError::none || error == OsError::in_progress) {
      *fd = opened;
    } else {
      ::close(opened);
    }
    return error;
  }

  OsError connect_result(int fd) override {
    int number = 0;
    socklen_t length = sizeof(number);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &length) < 0) return last_os_error();
    if (number != 0) return os_error_from_errno(number);
    return connected_to_itself(fd) ? OsError::refused : OsError::none;
  }

  OsError listen_tcp(const SocketAddress& address, int* fd, uint16_t* port) override {
    *fd = -1;
    *port = 0;
    int opened;
    OsError error = open_stream_socket(kernel_address(address)->sa_family, &opened);
    if (error != OsError::none) return error;
    error = bind_tcp(opened, address);
    if (error == OsError::none && listen(opened, kBacklog) < 0) error = last_os_error();
    if (error == OsError::none) error = real_port(opened, port);
    if (error == OsError::none) {
      *fd = opened;
    } else {
      ::close(opened);
    }
    return error;
  }

  OsError listen_uds(const char* path, size_t length, uint32_t mode, int* fd, FileIdentity* identity) override {
    return listen_on_path(path, length, mode, kBacklog, fd, identity);
  }

  void remove_path(const char* path, size_t length, const FileIdentity& identity) override {
    remove_path_of(path, length, identity);
  }

  OsError accept(int listener, int* fd) override { return accept_stream_socket(listener, fd); }

  /**
   * One rule for all: a peer that has been silent for two periods is given up. An idle connection is probed after the
   * first period and then six times in the second. TCP_USER_TIMEOUT says the same for data that is not acknowledged,
   * which would otherwise be repeated for a quarter of an hour.
   */
  OsError tune_tcp(int fd, uint32_t keep_alive_ms) override {
    const uint32_t period_ms = period_of(keep_alive_ms);
    const int idle = static_cast<int>((period_ms + 999) / 1000);
    const int interval = static_cast<int>((period_ms / 1000 + kKeepAliveProbes - 1) / kKeepAliveProbes);
    const struct {
      int level;
      int option;
      int value;
    } options[] = {
      {IPPROTO_TCP, TCP_NODELAY, 1},
      {SOL_SOCKET, SO_KEEPALIVE, 1},
#if defined(TCP_KEEPIDLE)
      // Linux takes at most 32,767 seconds; probes further apart than a few hours make no difference.
      {IPPROTO_TCP, TCP_KEEPIDLE, std::min(idle, 32'767)},
#elif defined(TCP_KEEPALIVE)
      {IPPROTO_TCP, TCP_KEEPALIVE, idle},
#endif
#if defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
      {IPPROTO_TCP, TCP_KEEPINTVL, std::min(interval, 32'767)},
      {IPPROTO_TCP, TCP_KEEPCNT, static_cast<int>(kKeepAliveProbes)},
#endif
#if defined(TCP_USER_TIMEOUT)
      {IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(2 * period_ms)},
#endif
    };
    for (const auto& each : options) {
      OsError error = set_option(fd, each.level, each.option, each.value);
      if (error != OsError::none) return error;
    }
    return OsError::none;
  }

#if defined(__linux__)
  void review_tcp(int fd, uint32_t keep_alive_ms) override {
    // A peer that dies with its window shut is given up after the kernel's own number of probes (tcp_retries2).
    const int timeout = waits_for_window(fd) ? 0 : static_cast<int>(2 * period_of(keep_alive_ms));
    // A connection that is gone by now tells so when it is read.
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, timeout);
  }
#endif

  IoResult read(int fd, const Slice* slices, int count) override {
    ssize_t moved;
    do {
      moved = count == 1 ? plain_recv(fd, slices->data, slices->length) : readv(fd, kernel_slices(slices), count);
    } while (moved < 0 && errno == EINTR);
    return io_result(moved);
  }

  IoResult write(int fd, const Slice* slices, int count) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(kernel_slices(slices));
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
    ssize_t moved;
    do {
      moved = count == 1 ? plain_send(fd, slices->data, slices->length, kNoSignal) : sendmsg(fd, &message, kNoSignal);
    } while (moved < 0 && errno == EINTR);
    return io_result(moved);
  }

  void shutdown_write(int fd) override { shutdown(fd, SHUT_WR); }

  // Not again after EINTR: on Linux the descriptor is gone by then, and its number may be somebody else's.
  void close(int fd) override { ::close(fd); }

  void reset(int fd, bool tcp) override {
    if (tcp) {
      const linger now{1, 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    ::close(fd);
  }

 private:
  static OsError bind_tcp(int fd, const SocketAddress& address) {
    OsError error = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (error == OsError::none && kernel_address(address)->sa_family == AF_INET6) {
      // Some systems are set up to keep `::` to IPv6; here it means every interface, as in Node.
      error = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    }
    if (error != OsError::none) return error;
    int bound = bind(fd, kernel_address(address), static_cast<socklen_t>(address.length));
    return bound < 0 ? last_os_error() : OsError::none;
  }

  static OsError real_port(int fd, uint16_t* port) {
    SocketAddress address;
    socklen_t length = sizeof(address.bytes);
    if (getsockname(fd, reinterpret_cast<sockaddr*>(address.bytes), &length) < 0) return last_os_error();
    *port = kernel_address(address)->sa_family == AF_INET6
                ? ntohs(reinterpret_cast<const sockaddr_in6*>(address.bytes)->sin6_port)
                : ntohs(reinterpret_cast<const sockaddr_in*>(address.bytes)->sin_port);
    return OsError::none;
  }
};

}  // namespace

Sockets& system_sockets() { return immortal<SystemSockets>(); }

}  // namespace tofu
