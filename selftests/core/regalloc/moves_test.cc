// SPDX-License-Identifier: GPL-2.0
// Parallel move resolution: the sequence has the effect of the parallel moves, on random ones too.
#include "core/regalloc/moves.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "core/base/limits.h"

namespace wring::ra {
namespace {

class MovesTest : public ::testing::Test {
 protected:
  static Allocation reg(u32 i) { return {Allocation::kReg, i}; }
  static Allocation slot(u32 i) { return {Allocation::kSlot, i}; }
  static u32 key(Allocation a) { return a.kind == Allocation::kReg ? a.index : 100 + a.index; }

  // Resolves and executes; every end must have its source's old value.
  void expect_parallel(std::vector<Transfer> moves, u32 slots, PReg scratch = kNoPReg) {
    Arena arena(kMaxCompileBytes);
    MoveResolver resolver;
    ASSERT_EQ(resolver.init({{}, {}, 0, {scratch, kNoPReg}}, &arena, slots), Err::kOk);
    edits = Vec<Edit>(&storage);
    u32 count = slots;
    ASSERT_EQ(resolver.resolve(9, Span<Transfer>(moves.data(), moves.size()), &count, &edits),
              Err::kOk);
    std::map<u32, u32> state;
    for (u32 i = 0; i < 200; i++) state[i] = i;
    for (const Edit& e : edits) {
      EXPECT_EQ(e.inst, 9u);
      if (e.kind == Edit::kSwap)
        std::swap(state[key(e.from)], state[key(e.to)]);
      else
        state[key(e.to)] = state[key(e.from)];
    }
    std::map<u32, u32> want;
    for (u32 i = 0; i < 100 + slots; i++) want[i] = i;
    for (const Transfer& m : moves) want[key(m.to)] = key(m.from);
    if (scratch != kNoPReg) want.erase(scratch);
    for (auto [place, value] : want) EXPECT_EQ(state[place], value) << "place " << place;
    EXPECT_LE(count, slots + 4);
  }
  u32 swaps() const {
    u32 n = 0;
    for (const Edit& e : edits) n += e.kind == Edit::kSwap;
    return n;
  }
  static Transfer move(Allocation from, Allocation to) { return {from, to, 8, RegClass::kInt}; }

  Arena storage{kMaxCompileBytes};
  Vec<Edit> edits;
};

TEST_F(MovesTest, ChainGoesBackToFront) {
  expect_parallel({move(reg(0), reg(1)), move(reg(1), reg(2)), move(reg(2), slot(0))}, 1);
  EXPECT_EQ(edits.size(), 3u);
}

TEST_F(MovesTest, MovesToThemselvesVanish) {
  expect_parallel({move(reg(0), reg(0)), move(slot(0), slot(0))}, 1);
  EXPECT_EQ(edits.size(), 0u);
}

TEST_F(MovesTest, CycleOfRegistersIsSwapped) {
  expect_parallel({move(reg(0), reg(1)), move(reg(1), reg(2)), move(reg(2), reg(0))}, 0);
  EXPECT_EQ(swaps(), 2u);
  EXPECT_EQ(edits.size(), 2u);
}

TEST_F(MovesTest, CycleOfRegistersGoesThroughTheScratchRegister) {
  expect_parallel({move(reg(0), reg(1)), move(reg(1), reg(2)), move(reg(2), reg(0))}, 0, 11);
  EXPECT_EQ(swaps(), 0u);
  EXPECT_EQ(edits.size(), 4u);
}

TEST_F(MovesTest, CycleWithACopyElsewhereNeedsNoSwap) {
  expect_parallel({move(reg(0), reg(1)), move(reg(1), reg(0)), move(reg(0), reg(2))}, 0);
  EXPECT_EQ(swaps(), 0u);
  EXPECT_EQ(edits.size(), 3u);
}

TEST_F(MovesTest, CyclesThroughMemoryUseASpareSlot) {
  expect_parallel({move(reg(0), slot(0)), move(slot(0), reg(0))}, 1);
  EXPECT_EQ(edits.size(), 3u);
  expect_parallel({move(slot(0), slot(1)), move(slot(1), slot(0))}, 2);
  EXPECT_EQ(edits.size(), 3u);
}

TEST_F(MovesTest, SwapsOfVectorsMoveAllOfThem) {
  expect_parallel({{reg(16), reg(17), 8, RegClass::kVec}, {reg(17), reg(16), 16, RegClass::kVec}},
                  0);
  ASSERT_EQ(edits.size(), 1u);
  EXPECT_EQ(edits[0].bytes, 16);
}

TEST_F(MovesTest, RandomMoves) {
  std::mt19937 rng(1);
  for (u32 round = 0; round < 3000; round++) {
    u32 regs = 2 + rng() % 8, slots = rng() % 6;
    std::vector<Transfer> moves;
    for (u32 end = 0; end < regs + slots; end++) {
      if (rng() % 4 == 0) continue;
      u32 start = rng() % (regs + slots);
      auto place = [&](u32 i) { return i < regs ? reg(i) : slot(i - regs); };
      moves.push_back(move(place(start), place(end)));
    }
    expect_parallel(moves, slots, round % 2 ? 15 : kNoPReg);
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace wring::ra
