// SPDX-License-Identifier: GPL-2.0
// Random functions: every allocation must pass the checker and compute what the virtual registers compute.
#include <gtest/gtest.h>

#include "core/regalloc/verify.h"
#include "lir_interpreter.h"
#include "random_lir.h"

namespace wring::ra::testing {
namespace {

RandomShape shape_for(u32 seed) {
  std::mt19937 rng(seed);
  RandomShape s;
  s.statements = 5 + rng() % 80;
  s.max_depth = rng() % 5;
  s.live = 2 + rng() % 40;
  s.call_percent = rng() % 15;
  s.fixed_percent = rng() % 30;
  s.any_percent = rng() % 60;
  s.other_percent = rng() % 12;
  s.vec_percent = rng() % 50;
  s.control_percent = 10 + rng() % 30;
  s.cold_last = rng() % 2;
  return s;
}

class RandomFunctions : public ::testing::TestWithParam<u32> {};

TEST_P(RandomFunctions, AreAllocatedCorrectly) {
  for (u32 seed = GetParam() * 250; seed < (GetParam() + 1) * 250; seed++) {
    RandomLir random(seed, shape_for(seed));
    LirFunction& f = random.make();
    RegEnv env = x64_env(seed % 2);
    AllocationResult result;
    Diag diag;
    ASSERT_EQ(verify(f, &diag), Err::kOk) << "seed " << seed << ": " << diag.message;
    ASSERT_EQ(allocate(f, env, &result, &diag), Err::kOk)
        << "seed " << seed << ": " << diag.message;
    ASSERT_EQ(check_allocation(f, env, result, &diag), Err::kOk)
        << "seed " << seed << ": " << diag.message << "\n"
        << dump(f, result);
    for (u64 input = 0; input < 2; input++) {
      auto difference = Lockstep(f, result, seed + input).run(1000);
      ASSERT_FALSE(difference.has_value()) << "seed " << seed << ": " << *difference << "\n"
                                           << dump(f, result);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomFunctions, ::testing::Range(0u, 16u));

// One large function: nothing in the allocator may take time or memory that grows faster than the function.
TEST(RandomFunctions, Large) {
  RandomShape shape;
  shape.statements = 60'000;
  shape.max_depth = 6;
  RandomLir random(7, shape);
  LirFunction& f = random.make();
  AllocationResult result;
  Diag diag;
  ASSERT_EQ(allocate(f, x64_env(), &result, &diag), Err::kOk) << diag.message;
  EXPECT_EQ(check_allocation(f, x64_env(), result, &diag), Err::kOk) << diag.message;
}

}  // namespace
}  // namespace wring::ra::testing
