// addresses.cc: from the text of an address to what the kernel takes, without asking anybody.
// Layer: os. Stateless; any thread. Invariant: what does not fit exactly is refused, never cut.
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "os/sockets.h"

namespace tofu {
namespace {

static_assert(sizeof(sockaddr_in) <= sizeof(SocketAddress::bytes));
static_assert(sizeof(sockaddr_in6) <= sizeof(SocketAddress::bytes));
static_assert(sizeof(sockaddr_un) <= sizeof(SocketAddress::bytes));

/** sun_path less its NUL: 107 on Linux, 103 on macOS and the BSDs. An abstract name is held to the same. */
constexpr size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;

template <typename T>
void store(T value, size_t length, bool tcp, SocketAddress* address) {
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__) || defined(__DragonFly__)
  // The first byte of every BSD address is its length.
  reinterpret_cast<sockaddr*>(&value)->sa_len = static_cast<decltype(sockaddr::sa_len)>(length);
#endif
  std::memset(address->bytes, 0, sizeof(address->bytes));
  std::memcpy(address->bytes, &value, length);
  address->length = static_cast<uint32_t>(length);
  address->tcp = tcp;
}

bool ipv4(const char* host, uint16_t port, SocketAddress* address) {
  sockaddr_in value{};
  if (inet_pton(AF_INET, host, &value.sin_addr) != 1) return false;
  value.sin_family = AF_INET;
  value.sin_port = htons(port);
  store(value, sizeof(value), true, address);
  return true;
}

/** The number of the interface behind the `%`: its name, or decimal digits; 0: there is none. */
uint32_t scope_of(const char* zone) {
  uint32_t index = if_nametoindex(zone);
  if (index != 0) return index;
  uint64_t number = 0;
  for (const char* at = zone; *at != '\0'; at++) {
    if (*at < '0' || *at > '9') return 0;
    number = number * 10 + static_cast<uint64_t>(*at - '0');
    if (number > UINT32_MAX) return 0;
  }
  return static_cast<uint32_t>(number);
}

bool ipv6(char* host, uint16_t port, SocketAddress* address) {
  sockaddr_in6 value{};
  if (char* zone = std::strchr(host, '%'); zone != nullptr) {
    *zone = '\0';
    value.sin6_scope_id = scope_of(zone + 1);
    if (value.sin6_scope_id == 0) return false;
  }
  if (inet_pton(AF_INET6, host, &value.sin6_addr) != 1) return false;
  value.sin6_family = AF_INET6;
  value.sin6_port = htons(port);
  store(value, sizeof(value), true, address);
  return true;
}

}  // namespace

bool literal_address(const char* host, size_t length, uint16_t port, SocketAddress* address) {
  char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
  if (length == 0 || length >= sizeof(text) || std::memchr(host, '\0', length) != nullptr) return false;
  std::memcpy(text, host, length);
  text[length] = '\0';
  return ipv4(text, port, address) || ipv6(text, port, address);
}

bool uds_address(const char* path, size_t length, SocketAddress* address) {
  if (length == 0 || length > kMaxPath || std::memchr(path, '\0', length) != nullptr) return false;
  sockaddr_un value{};
  value.sun_family = AF_UNIX;
  std::memcpy(value.sun_path, path, length);
  size_t used = offsetof(sockaddr_un, sun_path) + length;
  if (path[0] == '@') {
#if defined(__linux__)
    // The length of the address is the end of the name: no NUL behind it, which would be one more byte of it.
    value.sun_path[0] = '\0';
#else
    return false;
#endif
  } else {
    used += 1;
  }
  store(value, used, false, address);
  return true;
}

}  // namespace tofu
