// resolver_test.cc: real lookups that need no name server.
#include "os/resolver.h"

#include <netinet/in.h>

#include <algorithm>
#include <set>
#include <string>

#include "os/resolver_support.h"

namespace tofu {
namespace test {
namespace {

bool resolve(const std::string& host, uint16_t port, uint64_t ticket, CollectingSink* sink) {
  return system_resolver().resolve(host.data(), host.size(), port, ticket, kNoDeadline, sink);
}

/** The loopback address of either family, with this port. */
bool is_loopback(const SocketAddress& address, uint16_t port) {
  if (!address.tcp) return false;
  if (address.length == sizeof(sockaddr_in)) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address.bytes);
    return v4->sin_family == AF_INET && ntohs(v4->sin_port) == port && ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address.bytes);
  return v6->sin6_family == AF_INET6 && ntohs(v6->sin6_port) == port && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

TEST(SystemResolver, knows_localhost) {
  CollectingSink sink;
  ASSERT_TRUE(resolve("localhost", 7099, 17, &sink));
  const Resolution result = sink.await(1).at(0);
  EXPECT_EQ(result.ticket, 17u);
  ASSERT_GE(result.count, 1);
  for (int i = 0; i < result.count; i++) EXPECT_TRUE(is_loopback(result.addresses[i], 7099));
}

TEST(SystemResolver, what_it_returns_can_be_connected_to) {
  CollectingSink sink;
  Fd listener;
  uint16_t port = 0;
  SocketAddress any;
  ASSERT_TRUE(literal_address("::", 2, 0, &any));
  ASSERT_EQ(system_sockets().listen_tcp(any, listener.out(), &port), OsError::none);
  ASSERT_TRUE(resolve("localhost", port, 1, &sink));
  const Resolution result = sink.await(1).at(0);
  ASSERT_GE(result.count, 1);
  Fd client;
  const OsError error = system_sockets().connect(result.addresses[0], client.out());
  EXPECT_TRUE(error == OsError::none || error == OsError::in_progress) << os_error_name(error);
  await(client.get(), POLLOUT, "a connect");
  EXPECT_EQ(system_sockets().connect_result(client.get()), OsError::none);
}

TEST(SystemResolver, a_name_that_cannot_be_has_no_address) {
  // Names that no library sends anywhere: a label of more than 63 bytes, nothing at all, one with a NUL inside.
  for (const std::string& host : {std::string(64, 'x'), std::string(), std::string("localhost\0x", 11)}) {
    CollectingSink sink;
    ASSERT_TRUE(resolve(host, 1, 3, &sink));
    const Resolution result = sink.await(1).at(0);
    EXPECT_EQ(result.ticket, 3u);
    EXPECT_EQ(result.count, 0);
  }
}

TEST(SystemResolver, many_at_once_are_each_answered_once) {
  constexpr uint64_t kMany = 200;
  CollectingSink sink;
  for (uint64_t ticket = 0; ticket < kMany; ticket++) {
    std::string host = ticket % 2 == 0 ? "127.0.0.1" : "localhost";
    ASSERT_TRUE(resolve(host, 1, ticket, &sink));
    // The name was copied: what becomes of it here does not matter.
    std::fill(host.begin(), host.end(), '!');
  }
  std::set<uint64_t> tickets;
  for (const Resolution& result : sink.await(kMany)) {
    EXPECT_GE(result.count, 1);
    EXPECT_TRUE(tickets.insert(result.ticket).second);
  }
  EXPECT_EQ(tickets.size(), kMany);
}

}  // namespace
}  // namespace test
}  // namespace tofu
