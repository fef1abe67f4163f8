// address_test.cc: which texts are addresses, the same ones as in test/unit/protocol/address.test.ts.
#include "protocol/address.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "seed.h"

namespace tofu {
namespace test {
namespace {

std::string printed(const Endpoint& endpoint) {
  if (!endpoint.tcp) return "uds|" + std::string(endpoint.path);
  return "tcp|" + std::string(endpoint.host) + "|" + std::to_string(endpoint.port);
}

bool is_address(std::string_view text, const PathRules& rules = kLinuxPaths) {
  Endpoint endpoint;
  return parse_endpoint(text, rules, &endpoint);
}

TEST(ParseEndpoint, ReadsHostAndPort) {
  const struct {
    const char* text;
    const char* host;
    uint16_t port;
  } cases[] = {{"tcp|127.0.0.1|7099", "127.0.0.1", 7099},
               {"tcp||0", "", 0},
               {"tcp|::1|65535", "::1", 65'535},
               {"tcp|fe80::1%eth0|1", "fe80::1%eth0", 1}};
  for (const auto& expected : cases) {
    SCOPED_TRACE(expected.text);
    Endpoint endpoint;
    ASSERT_TRUE(parse_endpoint(expected.text, &endpoint));
    EXPECT_TRUE(endpoint.tcp);
    EXPECT_EQ(endpoint.host, expected.host);
    EXPECT_EQ(endpoint.port, expected.port);
    EXPECT_EQ(endpoint.path, "");
  }
}

TEST(ParseEndpoint, ReadsAPathWithBarsInIt) {
  for (const char* path : {"/a|b", "tcp|a|1", "./a|b c", "@name"}) {
    SCOPED_TRACE(path);
    Endpoint endpoint;
    const std::string text = std::string("uds|") + path;
    ASSERT_TRUE(parse_endpoint(text, kLinuxPaths, &endpoint));
    EXPECT_FALSE(endpoint.tcp);
    EXPECT_EQ(endpoint.path, path);
    EXPECT_EQ(endpoint.path.data(), text.data() + 4);
  }
}

TEST(ParseEndpoint, RefusesEverythingElse) {
  const std::string_view texts[] = {
      "", "tcp", "tcp|", "tcp|a", "tcp|a|", "tcp|a|1|", "tcp|a|b|1", "tcp|a|12ab", "tcp|a|65536", "tcp|a|99999",
      "tcp|a|100000", "tcp|a|4294967297", "tcp|a|-1", "tcp|a|+1", "tcp|a| 1", "tcp|a|1 ", "tcp|a|0x10", "tcp|a|1e3",
      "tcp|a|1.0", "tcp|a|01", "tcp|a|00", "tcp|a|1_0", "tcp|a|\xef\xbc\x91", "tcp|a|1\n", "tcp| a|1", "tcp|a |1",
      "tcp|\ta|1", "tcp|a\r|1", "tcp|a\nb|1", {"tcp|a\0|1", 8}, "tcp|[::1]|1", "tcp|a]|1", "TCP|a|1", " tcp|a|1",
      "udp|a|1", "uds", "uds|", "uds| /a", "uds|/a\t", {"uds|/a\0", 7}, "uds|/a\nb", "uds|/a\rb", "uds|@", "UDS|/a"};
  for (const std::string_view text : texts) {
    SCOPED_TRACE(text);
    Endpoint endpoint;
    endpoint.host = "untouched";
    EXPECT_FALSE(parse_endpoint(text, kLinuxPaths, &endpoint));
    EXPECT_EQ(endpoint.host, "untouched");
  }
}

TEST(ParseEndpoint, TakesAHostOf1024BytesAndNoMore) {
  EXPECT_TRUE(is_address("tcp|" + std::string(1024, 'h') + "|1"));
  EXPECT_FALSE(is_address("tcp|" + std::string(1025, 'h') + "|1"));
}

TEST(ParseEndpoint, TakesAPathThatFitsThePlatformAndNoLonger) {
  EXPECT_TRUE(is_address("uds|" + std::string(107, 'p'), kLinuxPaths));
  EXPECT_FALSE(is_address("uds|" + std::string(108, 'p'), kLinuxPaths));
  EXPECT_TRUE(is_address("uds|@" + std::string(106, 'p'), kLinuxPaths));
  EXPECT_FALSE(is_address("uds|@" + std::string(107, 'p'), kLinuxPaths));
  EXPECT_TRUE(is_address("uds|" + std::string(103, 'p'), kBsdPaths));
  EXPECT_FALSE(is_address("uds|" + std::string(104, 'p'), kBsdPaths));
}

TEST(ParseEndpoint, KnowsTheAbstractNamespaceOnLinuxOnlyAndNoUnixSocketsOnWindows) {
  EXPECT_FALSE(is_address("uds|@name", kBsdPaths));
  EXPECT_TRUE(is_address("uds|a@b", kBsdPaths));
  EXPECT_FALSE(is_address("uds|/a", kNoPaths));
  EXPECT_TRUE(is_address("tcp|a|1", kNoPaths));
  EXPECT_TRUE(is_address("tcp|a|1", kBsdPaths));
}

TEST(ParseEndpoint, GivesAnAddressThatPrintsTheSameOrNone) {
  const uint64_t seed = test_seed();
  SCOPED_TRACE("TOFU_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const char* parts[] = {"tcp", "uds", "127.0.0.1", "", "0", "1", "80", "65535", "65536", "@", " ", "|", "a", "\n"};
  int taken = 0;
  for (int round = 0; round < 5000; round++) {
    std::string text = random() % 3 == 0 ? "" : random() % 2 == 0 ? "tcp|" : "uds|";
    for (uint64_t count = random() % 4; count > 0; count--) {
      text += parts[random() % (sizeof(parts) / sizeof(parts[0]))];
      if (count > 1) text += "|";
    }
    Endpoint endpoint;
    if (!parse_endpoint(text, kLinuxPaths, &endpoint)) continue;
    taken++;
    ASSERT_EQ(printed(endpoint), text);
  }
  EXPECT_GT(taken, 200);
}

}  // namespace
}  // namespace test
}  // namespace tofu
