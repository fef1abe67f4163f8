// uds_listen.cc: protocol section 4, "Live listener not stolen".
// Layer: os. Stateless; any thread.
// Invariant: a path is unlinked only when it is a socket file that was just seen to refuse connections, or our own.
// Two gaps no system call closes: a listener that starts at the same instant has bound but does not listen yet, and
// refuses; and BSD kernels refuse (Linux: EAGAIN) when the backlog of a live listener is full.
#include "os/uds_listen.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "os/descriptors.h"
#include "os/errno_map.h"

namespace tofu {
namespace {

constexpr uint32_t kModeBits = 0777;

const sockaddr* kernel_address(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr*>(address.bytes);
}

/** The path as the kernel wants it: with a NUL, straight from the address. */
const char* path_in(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr_un*>(address.bytes)->sun_path;
}

/** Also the time of the last change: file systems hand out the number of a deleted file again at once. */
bool same_file(const struct stat& a, const struct stat& b) {
#if defined(__APPLE__)
  const timespec& x = a.st_ctimespec;
  const timespec& y = b.st_ctimespec;
#else
  const timespec& x = a.st_ctim;
  const timespec& y = b.st_ctim;
#endif
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && x.tv_sec == y.tv_sec && x.tv_nsec == y.tv_nsec;
}

/** Asks who is there: refused is nobody, not_found is nothing any more, anything else is somebody. */
OsError probe(const SocketAddress& address) {
  int fd;
  OsError error = open_stream_socket(AF_UNIX, &fd);
  if (error != OsError::none) return error;
  if (connect(fd, kernel_address(address), static_cast<socklen_t>(address.length)) < 0) {
    error = last_os_error();
    // What has a meaning of its own for the caller must not come from here.
    if (error != OsError::refused && error != OsError::not_found) error = OsError::in_use;
  } else {
    error = OsError::in_use;
  }
  close(fd);
  return error;
}

/** Removes a stale socket file; none when the path is free then. */
OsError clear_path(const SocketAddress& address) {
  struct stat found {};
  if (lstat(path_in(address), &found) < 0) return errno == ENOENT ? OsError::none : last_os_error();
  if (!S_ISSOCK(found.st_mode)) return OsError::in_use;
  OsError answer = probe(address);
  if (answer == OsError::not_found) return OsError::none;
  if (answer != OsError::refused) return answer;
  struct stat again {};
  if (lstat(path_in(address), &again) < 0) return errno == ENOENT ? OsError::none : last_os_error();
  if (!same_file(found, again)) return OsError::in_use;
  if (unlink(path_in(address)) < 0 && errno != ENOENT) return last_os_error();
  return OsError::none;
}

/**
 * Binds so that the file never lets more in than `mode`. Linux makes the file with the mode of the socket, less the
 * umask; what the umask took comes back afterwards. Elsewhere the mode comes afterwards altogether: until listen() is
 * called, every connect is refused.
 */
OsError bind_path(int fd, const SocketAddress& address, uint32_t mode, FileIdentity* identity) {
#if defined(__linux__)
  if (fchmod(fd, static_cast<mode_t>(mode)) < 0) return last_os_error();
#endif
  if (bind(fd, kernel_address(address), static_cast<socklen_t>(address.length)) < 0) return last_os_error();
  struct stat born {};
  if (lstat(path_in(address), &born) < 0 || !S_ISSOCK(born.st_mode)) return OsError::in_use;
  identity->device = static_cast<uint64_t>(born.st_dev);
  identity->inode = static_cast<uint64_t>(born.st_ino);
  identity->known = true;
  if ((born.st_mode & kModeBits) == mode) return OsError::none;
  return chmod(path_in(address), static_cast<mode_t>(mode)) < 0 ? last_os_error() : OsError::none;
}

bool is_abstract(const SocketAddress& address) { return path_in(address)[0] == '\0'; }

OsError bind_to(int fd, const SocketAddress& address, uint32_t mode, FileIdentity* identity) {
  if (!is_abstract(address)) return bind_path(fd, address, mode, identity);
  // An abstract name is no file: nobody's path, no mode, and gone with its socket.
  int bound = bind(fd, kernel_address(address), static_cast<socklen_t>(address.length));
  return bound < 0 ? last_os_error() : OsError::none;
}

}  // namespace

OsError listen_on_path(const char* path, size_t length, uint32_t mode, int backlog, int* fd, FileIdentity* identity) {
  *fd = -1;
  *identity = FileIdentity{};
  SocketAddress address;
  if (!uds_address(path, length, &address)) return OsError::unavailable;
  int opened;
  OsError error = open_stream_socket(AF_UNIX, &opened);
  if (error != OsError::none) return error;
  if (!is_abstract(address)) error = clear_path(address);
  if (error == OsError::none) error = bind_to(opened, address, mode & kModeBits, identity);
  if (error == OsError::none && listen(opened, backlog) < 0) error = last_os_error();
  if (error == OsError::none) {
    *fd = opened;
    return error;
  }
  remove_path_of(path, length, *identity);
  *identity = FileIdentity{};
  close(opened);
  return error;
}

void remove_path_of(const char* path, size_t length, const FileIdentity& identity) {
  SocketAddress address;
  if (!identity.known || !uds_address(path, length, &address) || is_abstract(address)) return;
  struct stat found {};
  if (lstat(path_in(address), &found) < 0 || !S_ISSOCK(found.st_mode)) return;
  if (static_cast<uint64_t>(found.st_dev) != identity.device) return;
  if (static_cast<uint64_t>(found.st_ino) != identity.inode) return;
  unlink(path_in(address));
}

}  // namespace tofu
