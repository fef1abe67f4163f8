// uds_listen_test.cc: who may take the path of a Unix socket, and with what mode.
#include "os/uds_listen.h"

#include <sys/stat.h>
#include <sys/un.h>

#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

#include "os/os_support.h"

namespace tofu {
namespace test {
namespace {

OsError listen_at(const std::string& path, Fd* fd, FileIdentity* identity, uint32_t mode = 0600) {
  return system_sockets().listen_uds(path.data(), path.size(), mode, fd->out(), identity);
}
void remove_at(const std::string& path, const FileIdentity& identity) {
  system_sockets().remove_path(path.data(), path.size(), identity);
}
OsError connect_to(const std::string& path, Fd* fd) {
  SocketAddress address;
  EXPECT_TRUE(uds_address(path.data(), path.size(), &address));
  return system_sockets().connect(address, fd->out());
}
bool exists(const std::string& path) {
  struct stat found {};
  return lstat(path.c_str(), &found) == 0;
}
uint32_t mode_of(const std::string& path) {
  struct stat found {};
  EXPECT_EQ(lstat(path.c_str(), &found), 0);
  return found.st_mode & 07777;
}

class UmaskOf {
 public:
  explicit UmaskOf(mode_t mask) : before_(umask(mask)) {}
  ~UmaskOf() { umask(before_); }

 private:
  mode_t before_;
};

TEST(ListenUds, takes_a_free_path_and_leaves_it_free) {
  TempFolder folder;
  const std::string path = folder.file("s");
  Fd listener;
  FileIdentity identity;
  ASSERT_EQ(listen_at(path, &listener, &identity), OsError::none);
  EXPECT_TRUE(identity.known);
  Fd client;
  EXPECT_EQ(connect_to(path, &client), OsError::none);
  remove_at(path, identity);
  EXPECT_FALSE(exists(path));
}

TEST(ListenUds, the_file_has_the_mode_that_was_asked_for_whatever_the_umask) {
  TempFolder folder;
  int number = 0;
  for (mode_t mask : {0022, 0077, 0777, 0}) {
    for (uint32_t mode : {0600u, 0660u, 0666u, 0777u, 0u}) {
      UmaskOf umask_of(mask);
      const std::string path = folder.file("m" + std::to_string(number++));
      Fd listener;
      FileIdentity identity;
      ASSERT_EQ(listen_at(path, &listener, &identity, mode), OsError::none);
      EXPECT_EQ(mode_of(path), mode) << "umask " << mask;
    }
  }
}

TEST(ListenUds, bits_beyond_the_permissions_are_ignored) {
  TempFolder folder;
  Fd listener;
  FileIdentity identity;
  ASSERT_EQ(listen_at(folder.file("s"), &listener, &identity, 07600), OsError::none);
  EXPECT_EQ(mode_of(folder.file("s")), 0600u);
}

TEST(ListenUds, replaces_a_stale_socket_file) {
  TempFolder folder;
  const std::string path = folder.file("s");
  Fd listener;
  FileIdentity first;
  ASSERT_EQ(listen_at(path, &listener, &first), OsError::none);
  listener.close_now();
  Fd client;
  EXPECT_EQ(connect_to(path, &client), OsError::refused);
  FileIdentity second;
  EXPECT_EQ(listen_at(path, &listener, &second), OsError::none);
  EXPECT_EQ(connect_to(path, &client), OsError::none);
}

TEST(ListenUds, does_not_take_the_path_of_a_live_listener) {
  TempFolder folder;
  const std::string path = folder.file("s");
  Fd owner;
  FileIdentity identity;
  ASSERT_EQ(listen_at(path, &owner, &identity), OsError::none);
  Fd thief;
  FileIdentity none;
  EXPECT_EQ(listen_at(path, &thief, &none), OsError::in_use);
  EXPECT_EQ(thief.get(), -1);
  EXPECT_FALSE(none.known);
  Fd client;
  EXPECT_EQ(connect_to(path, &client), OsError::none);
}

#if defined(__linux__)
TEST(ListenUds, a_full_backlog_is_a_sign_of_life) {
  TempFolder folder;
  const std::string path = folder.file("s");
  SocketAddress address;
  ASSERT_TRUE(uds_address(path.data(), path.size(), &address));
  Fd owner(socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(bind(owner.get(), reinterpret_cast<const sockaddr*>(address.bytes), address.length), 0);
  ASSERT_EQ(listen(owner.get(), 1), 0);
  std::vector<Fd> clients;
  OsError error = OsError::none;
  while (error == OsError::none && clients.size() < 100) {
    clients.emplace_back();
    error = connect_to(path, &clients.back());
  }
  EXPECT_EQ(error, OsError::again);
  EXPECT_EQ(clients.back().get(), -1);
  Fd thief;
  FileIdentity none;
  EXPECT_EQ(listen_at(path, &thief, &none), OsError::in_use);
  EXPECT_TRUE(exists(path));
}
#endif

TEST(ListenUds, a_socket_of_another_kind_is_somebody) {
  TempFolder folder;
  const std::string path = folder.file("s");
  SocketAddress address;
  ASSERT_TRUE(uds_address(path.data(), path.size(), &address));
  Fd datagrams(socket(AF_UNIX, SOCK_DGRAM, 0));
  ASSERT_EQ(bind(datagrams.get(), reinterpret_cast<const sockaddr*>(address.bytes), address.length), 0);
  Fd thief;
  FileIdentity none;
  EXPECT_EQ(listen_at(path, &thief, &none), OsError::in_use);
  EXPECT_TRUE(exists(path));
}

TEST(ListenUds, what_is_not_a_socket_stays_as_it_is) {
  TempFolder folder;
  const std::string file = folder.file("f");
  std::ofstream(file) << "precious";
  const std::string link = folder.file("l");
  Fd live;
  FileIdentity identity;
  ASSERT_EQ(listen_at(folder.file("s"), &live, &identity), OsError::none);
  live.close_now();
  ASSERT_EQ(symlink(folder.file("s").c_str(), link.c_str()), 0);
  const std::string dangling = folder.file("d");
  ASSERT_EQ(symlink(folder.file("nothing").c_str(), dangling.c_str()), 0);
  for (const std::string& path : {file, link, dangling, std::string("/tmp")}) {
    Fd thief;
    FileIdentity none;
    EXPECT_EQ(listen_at(path, &thief, &none), OsError::in_use) << path;
    EXPECT_TRUE(exists(path));
  }
  std::string text;
  std::ifstream(file) >> text;
  EXPECT_EQ(text, "precious");
}

TEST(ListenUds, a_folder_that_is_not_there_is_not_found) {
  TempFolder folder;
  Fd fd;
  FileIdentity none;
  EXPECT_EQ(listen_at(folder.file("no/s"), &fd, &none), OsError::not_found);
  EXPECT_EQ(connect_to(folder.file("no/s"), &fd), OsError::not_found);
  EXPECT_EQ(connect_to(folder.file("s"), &fd), OsError::not_found);
  std::ofstream(folder.file("f")) << "x";
  EXPECT_EQ(connect_to(folder.file("f/s"), &fd), OsError::not_found);
  EXPECT_EQ(connect_to(folder.file("f"), &fd), OsError::refused) << "a file that nobody listens at";
}

TEST(ListenUds, a_path_that_is_too_long_is_unavailable) {
  Fd fd;
  FileIdentity none;
  EXPECT_EQ(listen_at("/tmp/" + std::string(200, 'x'), &fd, &none), OsError::unavailable);
}

TEST(RemovePath, leaves_the_file_of_somebody_else) {
  TempFolder folder;
  const std::string path = folder.file("s");
  Fd first;
  FileIdentity mine;
  ASSERT_EQ(listen_at(path, &first, &mine), OsError::none);
  FileIdentity other = mine;
  other.inode++;
  remove_at(path, other);
  EXPECT_TRUE(exists(path)) << "another inode";
  other = mine;
  other.device++;
  remove_at(path, other);
  EXPECT_TRUE(exists(path)) << "another device";
  other = mine;
  other.known = false;
  remove_at(path, other);
  EXPECT_TRUE(exists(path)) << "an unknown one";
  // Renamed away and replaced by a second listener while the first is open, so that the inode cannot be the same.
  ASSERT_EQ(rename(path.c_str(), folder.file("old").c_str()), 0);
  Fd second;
  FileIdentity theirs;
  ASSERT_EQ(listen_at(path, &second, &theirs), OsError::none);
  remove_at(path, mine);
  EXPECT_TRUE(exists(path)) << "replaced by another listener";
  remove_at(path, theirs);
  EXPECT_FALSE(exists(path));
  remove_at(path, theirs);
}

#if defined(__linux__)
TEST(ListenUds, an_abstract_name_is_taken_with_exactly_its_length) {
  const std::string name = "tofu-os-test-" + std::to_string(getpid());
  const std::string path = "@" + name;
  Fd listener;
  FileIdentity identity;
  ASSERT_EQ(listen_at(path, &listener, &identity), OsError::none);
  EXPECT_FALSE(identity.known);
  SocketAddress own;
  socklen_t length = sizeof(own.bytes);
  ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(own.bytes), &length), 0);
  EXPECT_EQ(length, offsetof(sockaddr_un, sun_path) + 1 + name.size());
  Fd client;
  EXPECT_EQ(connect_to(path, &client), OsError::none);
  EXPECT_EQ(connect_to(path + "x", &client), OsError::refused);
  EXPECT_EQ(connect_to(path.substr(0, path.size() - 1), &client), OsError::refused);
  Fd second;
  EXPECT_EQ(listen_at(path, &second, &identity), OsError::in_use);
  remove_at(path, identity);
  EXPECT_EQ(connect_to(path, &client), OsError::none) << "there is nothing to remove";
  listener.close_now();
  EXPECT_EQ(listen_at(path, &second, &identity), OsError::none) << "gone with its socket";
}

TEST(ListenUds, an_abstract_name_may_be_as_long_as_a_path) {
  const std::string path = "@" + std::to_string(getpid()) + std::string(107, 'n');
  Fd listener;
  FileIdentity identity;
  EXPECT_EQ(listen_at(path.substr(0, 107), &listener, &identity), OsError::none);
  EXPECT_EQ(listen_at(path.substr(0, 108), &listener, &identity), OsError::unavailable);
}
#endif

}  // namespace
}  // namespace test
}  // namespace tofu
