// os_support.h: what the tests of native/os share: descriptors that close themselves, folders that remove themselves,
// and waiting for a descriptor under a deadline.
#pragma once

#include <dirent.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "os/sockets.h"

namespace tofu {
namespace test {

constexpr int kDeadlineMs = 20'000;

inline void PrintTo(OsError error, std::ostream* out) { *out << os_error_name(error); }

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      close_now();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { close_now(); }

  int get() const { return fd_; }
  int* out() {
    close_now();
    return &fd_;
  }
  /** The caller closes it by some other way. */
  int release() { return std::exchange(fd_, -1); }
  void close_now() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct Pair {
  Fd near;
  Fd far;
};

inline Pair socket_pair() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

/** A folder of its own for one test, with a path short enough for sockets. */
class TempFolder {
 public:
  TempFolder() {
    char pattern[] = "/tmp/tofu-os-XXXXXX";
    EXPECT_NE(mkdtemp(pattern), nullptr);
    path_ = pattern;
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    if (DIR* folder = opendir(path_.c_str()); folder != nullptr) {
      while (const dirent* entry = readdir(folder)) ::unlink(file(entry->d_name).c_str());
      closedir(folder);
    }
    ::rmdir(path_.c_str());
  }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/** Waits until `fd` is readable (POLLIN) or writable (POLLOUT); `what` names it when it does not happen. */
inline void await(int fd, short events, const char* what) {
  pollfd one{fd, events, 0};
  ASSERT_EQ(::poll(&one, 1, kDeadlineMs), 1) << "waited for: " << what;
}

inline IoResult read_into(int fd, void* data, size_t length) {
  const Slice slice{data, length};
  return system_sockets().read(fd, &slice, 1);
}

inline IoResult write_from(int fd, const std::string& text) {
  const Slice slice{const_cast<char*>(text.data()), text.size()};
  return system_sockets().write(fd, &slice, 1);
}

}  // namespace test

using test::PrintTo;

}  // namespace tofu
