// uds_races_test.cc: what happens between the system calls that take a path. The source is included with connect() and
// bind() renamed, so that the test can step in there; the core's own copy is not linked then.
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <string>

#include "os/os_support.h"
#include "os/uds_listen.h"

namespace {

std::function<void()> after_connect;
std::function<void()> after_bind;

int played_connect(int fd, const sockaddr* address, socklen_t length) {
  int result = connect(fd, address, length);
  int number = errno;
  if (after_connect) after_connect();
  errno = number;
  return result;
}

int played_bind(int fd, const sockaddr* address, socklen_t length) {
  int result = bind(fd, address, length);
  if (after_bind) after_bind();
  return result;
}

}  // namespace

#define connect played_connect
#define bind played_bind
#include "os/uds_listen.cc"  // NOLINT
#undef connect
#undef bind

namespace tofu {
namespace test {
namespace {

class UdsRaces : public testing::Test {
 protected:
  UdsRaces() : path_(folder_.file("s")) { EXPECT_TRUE(uds_address(path_.data(), path_.size(), &address_)); }
  ~UdsRaces() override {
    after_connect = nullptr;
    after_bind = nullptr;
  }

  OsError listen_here(Fd* fd, uint32_t mode = 0600) {
    FileIdentity identity;
    return listen_on_path(path_.data(), path_.size(), mode, 16, fd->out(), &identity);
  }
  /** A socket file that nobody listens at. */
  Fd bound() {
    Fd fd(socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(address_.bytes), address_.length), 0);
    return fd;
  }

  TempFolder folder_;
  std::string path_;
  SocketAddress address_;
};

TEST_F(UdsRaces, a_path_that_changed_hands_after_the_probe_is_left_alone) {
  bound().close_now();
  Fd winner;
  after_connect = [&] {
    // Another program was faster. The old file stays somewhere, so that its inode number is not given out again.
    ASSERT_EQ(rename(path_.c_str(), folder_.file("old").c_str()), 0);
    winner = bound();
    ASSERT_EQ(listen(winner.get(), 16), 0);
  };
  Fd loser;
  EXPECT_EQ(listen_here(&loser), OsError::in_use);
  after_connect = nullptr;
  Fd client;
  EXPECT_EQ(system_sockets().connect(address_, client.out()), OsError::none) << "the winner is still there";
}

TEST_F(UdsRaces, a_stale_path_that_vanished_after_the_probe_is_free) {
  bound().close_now();
  after_connect = [&] { ASSERT_EQ(unlink(path_.c_str()), 0); };
  Fd listener;
  EXPECT_EQ(listen_here(&listener), OsError::none);
}

TEST_F(UdsRaces, the_file_never_lets_more_in_than_it_should) {
  const mode_t before = umask(0);
  bool looked = false;
  after_bind = [&] {
    struct stat born {};
    ASSERT_EQ(lstat(path_.c_str(), &born), 0);
    Fd client;
#if defined(__linux__)
    EXPECT_EQ(born.st_mode & 0777, 0600u) << "born with it";
#endif
    EXPECT_EQ(system_sockets().connect(address_, client.out()), OsError::refused) << "nobody listens yet";
    looked = true;
  };
  Fd listener;
  EXPECT_EQ(listen_here(&listener, 0600), OsError::none);
  EXPECT_TRUE(looked);
  umask(before);
}

TEST_F(UdsRaces, a_file_that_is_gone_right_after_the_bind_is_no_success) {
  after_bind = [&] {
    // Somebody removes the file at once: there is nothing left to listen at, and nothing to remove.
    ASSERT_EQ(unlink(path_.c_str()), 0);
  };
  Fd listener;
  EXPECT_EQ(listen_here(&listener), OsError::in_use);
  EXPECT_EQ(listener.get(), -1);
  struct stat found {};
  EXPECT_NE(lstat(path_.c_str(), &found), 0);
}

}  // namespace
}  // namespace test
}  // namespace tofu
