// address_fuzz.cc: any text is an address that prints the same, or none.
// Input: the text. It is read by the rules of each platform.
// Checked: host and path are views of the text, a refusal changes nothing, platforms differ only in paths.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "protocol/address.h"

namespace tofu {
namespace test {
namespace {

bool lies_in(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

bool is_clean(std::string_view part) {
  return part.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

bool check(std::string_view text, const PathRules& rules) {
  Endpoint endpoint;
  endpoint.port = 4711;
  endpoint.path = "untouched";
  if (!parse_endpoint(text, rules, &endpoint)) {
    TOFU_ASSERT(!endpoint.tcp && endpoint.port == 4711 && endpoint.path == "untouched" && endpoint.host.empty());
    return false;
  }
  std::string printed;
  if (endpoint.tcp) {
    TOFU_ASSERT(lies_in(endpoint.host, text) && endpoint.path.empty());
    TOFU_ASSERT(endpoint.host.size() <= 1024 && is_clean(endpoint.host));
    printed.append("tcp|").append(endpoint.host).append("|").append(std::to_string(endpoint.port));
  } else {
    TOFU_ASSERT(lies_in(endpoint.path, text) && endpoint.host.empty() && endpoint.port == 0);
    TOFU_ASSERT(rules.unix_sockets && !endpoint.path.empty() && endpoint.path.size() <= rules.most_bytes);
    TOFU_ASSERT(is_clean(endpoint.path) && (rules.abstract_names || endpoint.path.front() != '@'));
    printed.append("uds|").append(endpoint.path);
  }
  TOFU_ASSERT(printed == text);
  return true;
}

}  // namespace
}  // namespace test
}  // namespace tofu

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tofu::test::check;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const bool linux_takes = check(text, tofu::kLinuxPaths);
  const bool bsd_takes = check(text, tofu::kBsdPaths);
  const bool windows_takes = check(text, tofu::kNoPaths);
  TOFU_ASSERT(linux_takes || !bsd_takes);
  TOFU_ASSERT(bsd_takes || !windows_takes);
  if (text.substr(0, 3) == "tcp") TOFU_ASSERT(linux_takes == windows_takes);
  return 0;
}
