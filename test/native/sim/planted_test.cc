// planted_test.cc: linked with a core that has an ordering fault on purpose (plant.cmake): the simulation must notice.
#include <gtest/gtest.h>

#include <cstdio>

#include "sim/simulation.h"

namespace tofu {
namespace sim {
namespace {

constexpr uint64_t kSeeds = 2'000;

TEST(PlantedFault, IsFoundAsOneOfOrderWithin2000Seeds) {
  for (uint64_t seed = 1; seed <= kSeeds; seed++) {
    std::string failure = simulate(seed, false).failure;
    if (failure.rfind("order: ", 0) != 0) continue;
    std::printf("found by seed %llu: %s\n", static_cast<unsigned long long>(seed), failure.c_str());
    return;
  }
  FAIL() << "not found in " << kSeeds << " seeds";
}

}  // namespace
}  // namespace sim
}  // namespace tofu
