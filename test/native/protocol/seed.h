// seed.h: where random tests get their seed: TOFU_SEED when it is set, otherwise another one in each run.
// A test puts the seed into a SCOPED_TRACE, so that a failure says how to see it again.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>

namespace tofu {
namespace test {

inline uint64_t test_seed() {
  const char* given = std::getenv("TOFU_SEED");
  if (given != nullptr) return std::strtoull(given, nullptr, 10);
  return std::random_device{}();
}

}  // namespace test
}  // namespace tofu
