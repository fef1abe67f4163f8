// address.h: the text of an address header: where to connect to, or where to listen.
// Layer: protocol. Looks at the form only: whether a name resolves or a path exists is found out elsewhere.
// Text is taken as bytes, which is what the system calls get. Nothing is allocated: an endpoint is views of the text.
// Invariant: takes and refuses the same texts as parseEndpoint in lib/protocol/address.ts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tofu {

/** What a platform can do with the path of a Unix socket. */
struct PathRules {
  bool unix_sockets;
  /** "@NAME": the abstract namespace, which only Linux has. */
  bool abstract_names;
  /** sun_path less its NUL. */
  size_t most_bytes;
};

inline constexpr PathRules kLinuxPaths{true, true, 107};
inline constexpr PathRules kBsdPaths{true, false, 103};
inline constexpr PathRules kNoPaths{false, false, 0};

#if defined(_WIN32)
inline constexpr PathRules kOwnPaths = kNoPaths;
#elif defined(__linux__) && !defined(__ANDROID__)
inline constexpr PathRules kOwnPaths = kLinuxPaths;
#else
inline constexpr PathRules kOwnPaths = kBsdPaths;
#endif

/** A parsed address: host and port, or the path. What an empty host or port 0 means is left to the caller. */
struct Endpoint {
  bool tcp = false;
  std::string_view host;
  uint16_t port = 0;
  std::string_view path;
};

/** False, and `endpoint` left alone, for what is no address or one of a transport that `rules` rule out. */
bool parse_endpoint(std::string_view text, const PathRules& rules, Endpoint* endpoint);

/** For the platform this was compiled for. */
inline bool parse_endpoint(std::string_view text, Endpoint* endpoint) {
  return parse_endpoint(text, kOwnPaths, endpoint);
}

}  // namespace tofu
