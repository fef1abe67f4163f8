// sim_test.cc: the engine in a simulated world: 2,000 seeds in blocks, each of which must go through the whole state
// table. TOFU_SIM_SEEDS=n runs n seeds instead. TOFU_SIM_SEED=s with --gtest_filter='SimulatedSeed*' runs that one and
// prints what happens in it.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "sim/coverage.h"
#include "sim/simulation.h"

namespace tofu {
namespace sim {
namespace {

constexpr uint64_t kSeeds = 2'000;
constexpr uint64_t kBlocks = 8;

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given == nullptr ? otherwise : std::strtoull(given, nullptr, 10);
}

void run_seeds(uint64_t first, uint64_t count) {
  for (uint64_t seed = first; seed < first + count; seed++) {
    std::string failure = simulate(seed, false).failure;
    ASSERT_EQ(failure, "") << "TOFU_SIM_SEED=" << seed << " with --gtest_filter='SimulatedSeed*' shows how";
  }
}

/** Prints how many rows were hit, and which were not. */
size_t rows_missed() {
  size_t rows = 0;
  size_t missed = 0;
  for (size_t s = 0; s < kChannelStateCount; s++) {
    for (size_t e = 0; e < kChannelEventCount; e++) {
      auto state = static_cast<ChannelState>(s);
      auto event = static_cast<ChannelEvent>(e);
      if (!possible(state, event)) continue;
      rows++;
      if (coverage().hits(state, event) > 0) continue;
      missed++;
      std::printf("never: %s in %s\n", event_name(event), state_name(state));
    }
  }
  std::printf("rows of the state table: %zu of %zu\n", rows - missed, rows);
  return missed;
}

class SimulatedWorld : public testing::TestWithParam<uint64_t> {};

TEST_P(SimulatedWorld, KeepsEveryPromiseAndGoesThroughTheWholeStateTable) {
  uint64_t seeds = (from_environment("TOFU_SIM_SEEDS", kSeeds) + kBlocks - 1) / kBlocks;
  run_seeds(1 + GetParam() * seeds, seeds);
  // Fewer seeds need not have seen everything.
  size_t allowed = seeds * kBlocks >= kSeeds ? 0 : kChannelStateCount * kChannelEventCount;
  EXPECT_LE(rows_missed(), allowed);
  const Coverage& all = coverage();
  std::printf("blocks handed over: %llu; turns in an application thread: %llu; looks that found something: %llu\n",
              static_cast<unsigned long long>(all.blocks), static_cast<unsigned long long>(all.drives),
              static_cast<unsigned long long>(all.found));
  if (seeds * kBlocks < kSeeds) return;
  EXPECT_GT(all.blocks, 1'000u);
  EXPECT_GT(all.drives, 1'000u);
  EXPECT_GT(all.found, 5u);
}

INSTANTIATE_TEST_SUITE_P(Block, SimulatedWorld, testing::Range(uint64_t{0}, kBlocks));

TEST(SimulatedSeed, DoesTheSameAgain) {
  uint64_t seed = from_environment("TOFU_SIM_SEED", 1);
  bool trace = std::getenv("TOFU_SIM_SEED") != nullptr;
  Outcome first = simulate(seed, trace);
  EXPECT_EQ(first.failure, "") << "seed " << seed;
  EXPECT_EQ(simulate(seed, false).digest, first.digest);
}

}  // namespace
}  // namespace sim
}  // namespace tofu
