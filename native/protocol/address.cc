// address.cc: the parser of address texts.
#include "protocol/address.h"

namespace tofu {
namespace {

constexpr std::string_view kTcp = "tcp|";
constexpr std::string_view kUds = "uds|";
/** NI_MAXHOST without its NUL: no resolver takes a longer name. */
constexpr size_t kMaxHostBytes = 1024;
constexpr uint32_t kMaxPort = 65'535;
constexpr size_t kMaxPortDigits = 5;
constexpr std::string_view kNotInPath{"\r\n\0", 3};
/** An IPv6 literal is written without brackets. */
constexpr std::string_view kNotInHost{"\r\n\0[]", 5};

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

bool has_outer_blanks(std::string_view text) {
  return !text.empty() && (is_blank(text.front()) || is_blank(text.back()));
}

bool has_any(std::string_view text, std::string_view of) {
  return text.find_first_of(of) != std::string_view::npos;
}

bool is_host(std::string_view host) {
  return host.size() <= kMaxHostBytes && !has_any(host, kNotInHost) && !has_outer_blanks(host);
}

bool is_path(std::string_view path, const PathRules& rules) {
  if (!rules.unix_sockets || path.empty() || path == "@") return false;
  if (path.front() == '@' && !rules.abstract_names) return false;
  // The '@' of an abstract name stands for the NUL in front, so it is counted.
  return path.size() <= rules.most_bytes && !has_any(path, kNotInPath) && !has_outer_blanks(path);
}

/** One spelling per port, so that an address prints as it was written. */
bool parse_port(std::string_view digits, uint16_t* port) {
  if (digits.empty() || digits.size() > kMaxPortDigits) return false;
  if (digits.size() > 1 && digits.front() == '0') return false;
  uint32_t value = 0;
  for (char digit : digits) {
    if (digit < '0' || digit > '9') return false;
    value = value * 10 + static_cast<uint32_t>(digit - '0');
  }
  if (value > kMaxPort) return false;
  *port = static_cast<uint16_t>(value);
  return true;
}

}  // namespace

bool parse_endpoint(std::string_view text, const PathRules& rules, Endpoint* endpoint) {
  Endpoint parsed;
  if (starts_with(text, kUds)) {
    parsed.path = text.substr(kUds.size());
    if (!is_path(parsed.path, rules)) return false;
  } else {
    if (!starts_with(text, kTcp)) return false;
    const std::string_view rest = text.substr(kTcp.size());
    const size_t bar = rest.find('|');
    if (bar == std::string_view::npos) return false;
    parsed.tcp = true;
    parsed.host = rest.substr(0, bar);
    if (!is_host(parsed.host) || !parse_port(rest.substr(bar + 1), &parsed.port)) return false;
  }
  *endpoint = parsed;
  return true;
}

}  // namespace tofu
