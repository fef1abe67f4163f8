// sockets_test.cc: the kernel's sockets behind the interface, over loopback and Unix sockets.
#include "os/sockets.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "os/os_support.h"

namespace tofu {
namespace test {
namespace {

Sockets& sockets() { return system_sockets(); }

SocketAddress loopback(const char* host, uint16_t port) {
  SocketAddress address;
  EXPECT_TRUE(literal_address(host, std::strlen(host), port, &address));
  return address;
}
SocketAddress at_path(const std::string& path) {
  SocketAddress address;
  EXPECT_TRUE(uds_address(path.data(), path.size(), &address));
  return address;
}

/** Connects and waits for the outcome. */
OsError connect_and_wait(const SocketAddress& address, Fd* fd) {
  OsError error = sockets().connect(address, fd->out());
  if (error != OsError::in_progress) return error;
  await(fd->get(), POLLOUT, "a connect");
  return sockets().connect_result(fd->get());
}

void expect_usable(int fd) {
  EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
}

enum class Over { ipv4, ipv6, uds };

/** A listener, and connections to it, over each transport. */
class Connection : public testing::TestWithParam<Over> {
 protected:
  void SetUp() override {
    // A program that has not silenced it would die of what is tested here.
    signal(SIGPIPE, SIG_DFL);
    if (GetParam() == Over::uds) {
      const std::string path = folder_.file("s");
      FileIdentity identity;
      ASSERT_EQ(sockets().listen_uds(path.data(), path.size(), 0600, listener_.out(), &identity), OsError::none);
      address_ = at_path(path);
    } else {
      const char* host = GetParam() == Over::ipv4 ? "127.0.0.1" : "::1";
      uint16_t port = 0;
      ASSERT_EQ(sockets().listen_tcp(loopback(host, 0), listener_.out(), &port), OsError::none);
      ASSERT_NE(port, 0);
      address_ = loopback(host, port);
    }
  }

  bool tcp() const { return GetParam() != Over::uds; }

  Pair connected() {
    Pair pair;
    EXPECT_EQ(connect_and_wait(address_, &pair.near), OsError::none);
    await(listener_.get(), POLLIN, "a connection to accept");
    EXPECT_EQ(sockets().accept(listener_.get(), pair.far.out()), OsError::none);
    return pair;
  }

  TempFolder folder_;
  Fd listener_;
  SocketAddress address_;
};

INSTANTIATE_TEST_SUITE_P(Over, Connection, testing::Values(Over::ipv4, Over::ipv6, Over::uds),
                         [](const testing::TestParamInfo<Over>& over) {
                           return over.param == Over::ipv4 ? "ipv4" : over.param == Over::ipv6 ? "ipv6" : "uds";
                         });

TEST_P(Connection, carries_bytes_both_ways_and_tells_its_end) {
  Pair pair = connected();
  expect_usable(listener_.get());
  expect_usable(pair.near.get());
  expect_usable(pair.far.get());
  char bytes[16];
  EXPECT_EQ(read_into(pair.far.get(), bytes, sizeof(bytes)).error, OsError::again);
  EXPECT_EQ(write_from(pair.near.get(), "there").bytes, 5u);
  await(pair.far.get(), POLLIN, "bytes");
  EXPECT_EQ(read_into(pair.far.get(), bytes, sizeof(bytes)).bytes, 5u);
  EXPECT_EQ(std::string(bytes, 5), "there");
  sockets().shutdown_write(pair.near.get());
  await(pair.far.get(), POLLIN, "the end");
  IoResult end = read_into(pair.far.get(), bytes, sizeof(bytes));
  EXPECT_EQ(end.bytes, 0u);
  EXPECT_EQ(end.error, OsError::none);
  EXPECT_EQ(write_from(pair.far.get(), "and back").bytes, 8u) << "half-closed: the other direction still works";
  await(pair.near.get(), POLLIN, "bytes back");
  EXPECT_EQ(read_into(pair.near.get(), bytes, sizeof(bytes)).bytes, 8u);
}

TEST_P(Connection, gathers_and_scatters_slices_in_order) {
  Pair pair = connected();
  std::vector<std::string> texts;
  std::vector<Slice> out;
  std::string whole;
  for (int i = 0; i < kMaxSlices; i++) {
    texts.emplace_back(static_cast<size_t>(i % 5), static_cast<char>('A' + i % 26));
  }
  for (std::string& text : texts) {
    out.push_back({text.data(), text.size()});
    whole += text;
  }
  IoResult written = sockets().write(pair.near.get(), out.data(), kMaxSlices);
  EXPECT_EQ(written.error, OsError::none);
  EXPECT_EQ(written.bytes, whole.size());
  await(pair.far.get(), POLLIN, "bytes");
  char first[10];
  char second[500];
  const Slice in[] = {{first, sizeof(first)}, {second, sizeof(second)}};
  IoResult got = sockets().read(pair.far.get(), in, 2);
  ASSERT_EQ(got.bytes, whole.size());
  EXPECT_EQ(std::string(first, 10) + std::string(second, whole.size() - 10), whole);
}

TEST_P(Connection, a_write_takes_what_fits_and_then_says_again) {
  Pair pair = connected();
  const std::string block(1 << 20, 'x');
  size_t total = 0;
  bool partial = false;
  IoResult result = write_from(pair.near.get(), block);
  while (result.error == OsError::none) {
    partial = partial || result.bytes < block.size();
    total += result.bytes;
    result = write_from(pair.near.get(), block);
  }
  EXPECT_EQ(result.error, OsError::again);
  EXPECT_EQ(result.bytes, 0u);
  EXPECT_TRUE(partial);
  std::vector<char> into(1 << 20);
  size_t received = 0;
  while (received < total) {
    await(pair.far.get(), POLLIN, "the bytes that were taken");
    received += read_into(pair.far.get(), into.data(), into.size()).bytes;
  }
  EXPECT_EQ(received, total);
}

TEST_P(Connection, a_write_to_a_closed_peer_is_peer_gone_and_no_signal) {
  for (int slices : {1, 2}) {
    Pair pair = connected();
    pair.far.close_now();
    await(pair.near.get(), POLLIN, "the end");
    char text[] = "x";
    const Slice two[] = {{text, 1}, {text, 1}};
    IoResult result;
    // On TCP the first write provokes the reset, and a later one sees it.
    while (result.error == OsError::none) result = sockets().write(pair.near.get(), two, slices);
    EXPECT_EQ(result.error, OsError::peer_gone);
  }
}

TEST_P(Connection, accept_says_again_when_nobody_waits) {
  Fd fd;
  EXPECT_EQ(sockets().accept(listener_.get(), fd.out()), OsError::again);
  EXPECT_EQ(fd.get(), -1);
}

TEST_P(Connection, a_reset_is_a_reset_on_tcp_and_an_end_on_a_unix_socket) {
  Pair pair = connected();
  sockets().reset(pair.far.release(), tcp());
  await(pair.near.get(), POLLIN, "the reset");
  char byte;
  IoResult result = read_into(pair.near.get(), &byte, 1);
  EXPECT_EQ(result.bytes, 0u);
  EXPECT_EQ(result.error, tcp() ? OsError::peer_gone : OsError::none);
}

TEST_P(Connection, a_plain_close_is_an_end) {
  Pair pair = connected();
  sockets().close(pair.far.release());
  await(pair.near.get(), POLLIN, "the end");
  char byte;
  IoResult result = read_into(pair.near.get(), &byte, 1);
  EXPECT_EQ(result.bytes, 0u);
  EXPECT_EQ(result.error, OsError::none);
}

TEST_P(Connection, a_connect_to_nobody_is_refused) {
  listener_.close_now();
  Fd fd;
  EXPECT_EQ(connect_and_wait(address_, &fd), OsError::refused);
}

TEST_P(Connection, says_when_no_descriptor_is_free_and_works_again_afterwards) {
  Fd waiting;
  ASSERT_EQ(connect_and_wait(address_, &waiting), OsError::none);
  await(listener_.get(), POLLIN, "a connection to accept");
  std::vector<Fd> all;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  for (int fd = dup(0); fd >= 0; fd = dup(0)) all.emplace_back(fd);
  Fd fd;
  EXPECT_EQ(sockets().accept(listener_.get(), fd.out()), OsError::no_descriptors);
  EXPECT_EQ(sockets().connect(address_, fd.out()), OsError::no_descriptors);
  uint16_t port;
  EXPECT_EQ(sockets().listen_tcp(loopback("127.0.0.1", 0), fd.out(), &port), OsError::no_descriptors);
  const std::string path = folder_.file("other");
  FileIdentity identity;
  EXPECT_EQ(sockets().listen_uds(path.data(), path.size(), 0600, fd.out(), &identity), OsError::no_descriptors);
  all.clear();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(sockets().accept(listener_.get(), fd.out()), OsError::none);
}

TEST(Tcp, a_port_that_is_listened_on_is_in_use) {
  Fd first;
  uint16_t port = 0;
  ASSERT_EQ(sockets().listen_tcp(loopback("127.0.0.1", 0), first.out(), &port), OsError::none);
  Fd second;
  uint16_t none = 1;
  EXPECT_EQ(sockets().listen_tcp(loopback("127.0.0.1", port), second.out(), &none), OsError::in_use);
  EXPECT_EQ(second.get(), -1);
  EXPECT_EQ(none, 0);
}

TEST(Tcp, a_port_is_free_again_at_once_although_connections_linger) {
  Fd listener;
  uint16_t port = 0;
  ASSERT_EQ(sockets().listen_tcp(loopback("127.0.0.1", 0), listener.out(), &port), OsError::none);
  Fd client;
  ASSERT_EQ(connect_and_wait(loopback("127.0.0.1", port), &client), OsError::none);
  Fd server;
  await(listener.get(), POLLIN, "a connection to accept");
  ASSERT_EQ(sockets().accept(listener.get(), server.out()), OsError::none);
  // The side that closes first keeps the port in TIME_WAIT.
  server.close_now();
  client.close_now();
  listener.close_now();
  EXPECT_EQ(sockets().listen_tcp(loopback("127.0.0.1", port), listener.out(), &port), OsError::none);
}

TEST(Tcp, an_address_of_another_machine_is_unavailable) {
  Fd fd;
  uint16_t port;
  // From the block that is kept for documentation.
  EXPECT_EQ(sockets().listen_tcp(loopback("192.0.2.1", 0), fd.out(), &port), OsError::unavailable);
}

TEST(Tcp, the_ipv6_wildcard_takes_ipv4_as_well) {
  Fd listener;
  uint16_t port = 0;
  ASSERT_EQ(sockets().listen_tcp(loopback("::", 0), listener.out(), &port), OsError::none);
  for (const char* host : {"127.0.0.1", "::1"}) {
    Fd client;
    EXPECT_EQ(connect_and_wait(loopback(host, port), &client), OsError::none) << host;
  }
}

TEST(Tcp, a_connection_of_a_socket_with_itself_is_refused) {
  // Made by hand: left to chance it takes thousands of connects to a free port.
  Fd fd(socket(AF_INET, SOCK_STREAM, 0));
  SocketAddress any = loopback("127.0.0.1", 0);
  auto* name = reinterpret_cast<sockaddr*>(any.bytes);
  socklen_t length = any.length;
  ASSERT_EQ(bind(fd.get(), name, length), 0);
  ASSERT_EQ(getsockname(fd.get(), name, &length), 0);
  ASSERT_EQ(connect(fd.get(), name, length), 0);
  EXPECT_EQ(sockets().connect_result(fd.get()), OsError::refused);
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof(value);
  EXPECT_EQ(getsockopt(fd, level, name, &value, &length), 0);
  return value;
}

#if defined(__linux__)
struct TcpPair {
  Fd listener;
  Pair pair;
  TcpPair() {
    uint16_t port = 0;
    EXPECT_EQ(sockets().listen_tcp(loopback("127.0.0.1", 0), listener.out(), &port), OsError::none);
    EXPECT_EQ(connect_and_wait(loopback("127.0.0.1", port), &pair.near), OsError::none);
    await(listener.get(), POLLIN, "a connection to accept");
    EXPECT_EQ(sockets().accept(listener.get(), pair.far.out()), OsError::none);
  }
};

TEST(TuneTcp, gives_a_silent_peer_two_periods) {
  const struct {
    uint32_t keep_alive_ms;
    int idle, interval, user_timeout;
  } rows[] = {{60'000, 60, 10, 120'000}, {1, 1, 1, 2000},      {1000, 1, 1, 2000},
              {1001, 2, 1, 2002},        {6500, 7, 1, 13'000}, {UINT32_MAX, 32'767, 32'767, INT32_MAX - 1}};
  TcpPair tcp;
  const int fd = tcp.pair.near.get();
  for (const auto& row : rows) {
    ASSERT_EQ(sockets().tune_tcp(fd, row.keep_alive_ms), OsError::none);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), row.idle) << row.keep_alive_ms;
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), row.interval) << row.keep_alive_ms;
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 6);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), row.user_timeout) << row.keep_alive_ms;
  }
}

TEST(TuneTcp, a_peer_that_is_there_but_does_not_read_is_not_given_up) {
  TcpPair tcp;
  const int fd = tcp.pair.near.get();
  constexpr uint32_t kPeriodMs = 60'000;
  ASSERT_EQ(sockets().tune_tcp(fd, kPeriodMs), OsError::none);
  sockets().review_tcp(fd, kPeriodMs);
  EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 120'000) << "nothing is unsent";
  const std::string block(1 << 20, 'x');
  size_t total = 0;
  const auto fill = [&] {
    IoResult result;
    while ((result = write_from(fd, block)).error == OsError::none) total += result.bytes;
    ASSERT_EQ(result.error, OsError::again);
  };
  // The last acknowledgements are on their way when the socket is full; then the window is shut for good.
  for (int tries = 0; option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) != 0; tries++) {
    ASSERT_LT(tries, kDeadlineMs) << "waited for: the peer's window to shut";
    fill();
    ::poll(nullptr, 0, 1);
    sockets().review_tcp(fd, kPeriodMs);
  }
  std::vector<char> into(1 << 20);
  for (size_t received = 0; received < total;) {
    await(tcp.pair.far.get(), POLLIN, "the bytes that were taken");
    received += read_into(tcp.pair.far.get(), into.data(), into.size()).bytes;
  }
  sockets().review_tcp(fd, kPeriodMs);
  EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 120'000) << "it reads again";
}
#endif

}  // namespace
}  // namespace test
}  // namespace tofu
