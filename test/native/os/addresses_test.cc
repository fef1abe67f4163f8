// addresses_test.cc: texts of addresses, as the kernel takes them, and what is refused.
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <string>

#include "os/os_support.h"
#include "os/sockets.h"

namespace tofu {
namespace test {
namespace {

constexpr size_t kPathAt = offsetof(sockaddr_un, sun_path);
#if defined(__linux__)
constexpr size_t kLimit = 107;
#else
constexpr size_t kLimit = 103;
#endif

bool literal(const std::string& host, uint16_t port, SocketAddress* address) {
  return literal_address(host.data(), host.size(), port, address);
}
bool uds(const std::string& path, SocketAddress* address) { return uds_address(path.data(), path.size(), address); }

/** The literal as the kernel would print it. */
std::string printed(const std::string& host, uint16_t port) {
  SocketAddress address;
  if (!literal(host, port, &address)) return "none";
  char text[INET6_ADDRSTRLEN] = "";
  const auto* general = reinterpret_cast<const sockaddr*>(address.bytes);
  if (!address.tcp) return "not tcp";
  if (general->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address.bytes);
    EXPECT_EQ(address.length, sizeof(sockaddr_in));
    return std::string(inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text))) + " " +
           std::to_string(ntohs(v4->sin_port));
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address.bytes);
  EXPECT_EQ(address.length, sizeof(sockaddr_in6));
  return std::string(inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text))) + " " +
         std::to_string(ntohs(v6->sin6_port));
}

TEST(LiteralAddress, takes_ipv4_and_ipv6) {
  EXPECT_EQ(printed("127.0.0.1", 7099), "127.0.0.1 7099");
  EXPECT_EQ(printed("0.0.0.0", 0), "0.0.0.0 0");
  EXPECT_EQ(printed("::", 1), ":: 1");
  EXPECT_EQ(printed("::1", 65535), "::1 65535");
  EXPECT_EQ(printed("2001:db8:0:0:0:0:0:1", 80), "2001:db8::1 80");
  EXPECT_EQ(printed("::ffff:10.1.2.3", 80), "::ffff:10.1.2.3 80");
}

TEST(LiteralAddress, leaves_everything_else_to_the_resolver) {
  for (const std::string& host :
       {std::string(), std::string("localhost"), std::string("127.1"), std::string("256.1.1.1"),
        std::string("127.0.0.1 "), std::string("[::1]"), std::string("::1::"), std::string("0x7f.0.0.1"),
        std::string("127.0.0.1\0x", 11), std::string(2000, '1')}) {
    EXPECT_EQ(printed(host, 1), "none") << host;
  }
}

TEST(LiteralAddress, reads_exactly_the_length_it_is_given) {
  SocketAddress address;
  EXPECT_TRUE(literal_address("127.0.0.12", 9, 1, &address));
  EXPECT_EQ(ntohl(reinterpret_cast<const sockaddr_in*>(address.bytes)->sin_addr.s_addr), INADDR_LOOPBACK);
}

TEST(LiteralAddress, a_zone_is_an_interface_by_name_or_number) {
  char name[IF_NAMESIZE];
  ASSERT_NE(if_indextoname(1, name), nullptr);
  for (const std::string& zone : {std::string(name), std::string("1")}) {
    SocketAddress address;
    ASSERT_TRUE(literal("fe80::1%" + zone, 80, &address));
    EXPECT_EQ(reinterpret_cast<const sockaddr_in6*>(address.bytes)->sin6_scope_id, 1u);
  }
  for (const char* host : {"fe80::1%", "fe80::1%no-such-zone", "fe80::1%0", "fe80::1%4294967296", "127.0.0.1%1"}) {
    EXPECT_EQ(printed(host, 80), "none") << host;
  }
  SocketAddress address;
  EXPECT_TRUE(literal("fe80::1%4294967295", 80, &address));
}

TEST(UdsAddress, a_path_has_its_nul_and_at_most_the_bytes_of_the_platform) {
  for (size_t length : {size_t{1}, kLimit}) {
    const std::string path(length, 'p');
    SocketAddress address;
    ASSERT_TRUE(uds(path, &address));
    EXPECT_FALSE(address.tcp);
    EXPECT_EQ(address.length, kPathAt + length + 1);
    EXPECT_EQ(std::string(reinterpret_cast<const sockaddr_un*>(address.bytes)->sun_path), path);
  }
  SocketAddress address;
  EXPECT_FALSE(uds(std::string(kLimit + 1, 'p'), &address));
}

TEST(UdsAddress, refuses_what_the_kernel_would_cut) {
  SocketAddress address;
  EXPECT_FALSE(uds("", &address));
  EXPECT_FALSE(uds(std::string("/tmp/a\0b", 8), &address));
  EXPECT_FALSE(uds(std::string("@a\0b", 4), &address));
}

#if defined(__linux__)
TEST(UdsAddress, an_abstract_name_has_exactly_its_length) {
  for (size_t length : {size_t{1}, size_t{5}, kLimit}) {
    const std::string path = "@" + std::string(length - 1, 'n');
    SocketAddress address;
    ASSERT_TRUE(uds(path, &address));
    EXPECT_EQ(address.length, kPathAt + length);
    const char* name = reinterpret_cast<const sockaddr_un*>(address.bytes)->sun_path;
    EXPECT_EQ(name[0], '\0');
    EXPECT_EQ(std::string(name + 1, length - 1), path.substr(1));
  }
  SocketAddress address;
  EXPECT_FALSE(uds("@" + std::string(kLimit, 'n'), &address));
}
#else
TEST(UdsAddress, abstract_names_exist_only_on_linux) {
  SocketAddress address;
  EXPECT_FALSE(uds("@name", &address));
}
#endif

}  // namespace
}  // namespace test
}  // namespace tofu
