// sockets.h: every socket call of the engine behind one interface, so that a test can stand in for the kernel.
// Layer: os. Stateless: may be called on any thread; descriptors are the caller's and are closed by the caller, here.
// All descriptors are non-blocking and close-on-exec. No call blocks. EINTR is retried inside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "os/os_error.h"

namespace tofu {

/** An address that can be connected or bound: big enough for IPv4, IPv6 and Unix sockets. */
struct SocketAddress {
  alignas(8) unsigned char bytes[128];
  uint32_t length = 0;
  bool tcp = false;
};

/** Bytes to write from or read into. The same layout as iovec; checked in sockets.cc. */
struct Slice {
  void* data;
  size_t length;
};
inline constexpr int kMaxSlices = 64;

struct IoResult {
  /** Bytes moved. A read of 0 with error none is the end of the stream. */
  size_t bytes = 0;
  OsError error = OsError::none;
};

/** Which file a path led to, to recognise it later. */
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  bool known = false;
};

class Sockets {
 public:
  virtual ~Sockets() = default;

  /**
   * Opens a stream socket and starts to connect: none (connected), in_progress, or why not; `fd` is -1 then. `again`:
   * the backlog of a Unix socket is full, try later. A TCP socket that connected to itself counts as refused.
   */
  virtual OsError connect(const SocketAddress& address, int* fd) = 0;
  /** How a connect in progress has ended, once writable: none or why not. The socket stays the caller's. */
  virtual OsError connect_result(int fd) = 0;
  /** Binds and listens on TCP; SO_REUSEADDR; `::` is dual-stack. `port` is the real one. */
  virtual OsError listen_tcp(const SocketAddress& address, int* fd, uint16_t* port) = 0;
  /**
   * Binds and listens on a Unix path (`@NAME`: abstract). Never takes it from a live listener: only a socket file that
   * refuses connections is replaced. `identity` is what remove_path() needs.
   */
  virtual OsError listen_uds(const char* path, size_t length, uint32_t mode, int* fd, FileIdentity* identity) = 0;
  /** Removes the path if it still is that file. */
  virtual void remove_path(const char* path, size_t length, const FileIdentity& identity) = 0;
  /** again: nobody waits. peer_gone: who waited is gone, ask again. */
  virtual OsError accept(int listener, int* fd) = 0;
  /** TCP_NODELAY, SO_KEEPALIVE after `keep_alive_ms` of silence, TCP_USER_TIMEOUT on Linux. Only for TCP. */
  virtual OsError tune_tcp(int fd, uint32_t keep_alive_ms) = 0;
  /**
   * To be called about every `keep_alive_ms` (at least a second) on each tuned connection: Linux would give up a peer
   * that answers but does not read for the time of TCP_USER_TIMEOUT, so that is off while the connection waits for its
   * window.
   */
  virtual void review_tcp(int fd, uint32_t keep_alive_ms) {
    static_cast<void>(fd);
    static_cast<void>(keep_alive_ms);
  }
  virtual IoResult read(int fd, const Slice* slices, int count) = 0;
  /** Never raises SIGPIPE. */
  virtual IoResult write(int fd, const Slice* slices, int count) = 0;
  virtual void shutdown_write(int fd) = 0;
  virtual void close(int fd) = 0;
  /** Closes with a reset on TCP (linger 0); plainly on a Unix socket. */
  virtual void reset(int fd, bool tcp) = 0;
};

/** The kernel's. Lives for ever. */
Sockets& system_sockets();

/** An IP literal and port as an address; false when `host` (`length` bytes) is none. */
bool literal_address(const char* host, size_t length, uint16_t port, SocketAddress* address);
/** A Unix path or `@NAME` as an address; false when this platform cannot have it or it is too long. */
bool uds_address(const char* path, size_t length, SocketAddress* address);

}  // namespace tofu
