// SPDX-License-Identifier: GPL-2.0
// Liveness: next-use distances, live-in sets and the per-loop summaries.
#include "core/regalloc/liveness.h"

#include <gtest/gtest.h>

#include <map>

#include "random_lir.h"

namespace wring::ra::testing {
namespace {

u32 distance_in(const Liveness& live, BlockIndex b, VReg v) {
  for (const LiveIn& in : live.blocks[b].in)
    if (in.vreg == v) return in.distance;
  return kDead;
}

TEST(Liveness, StraightLine) {
  LirBuilder b;
  b.block();
  VReg x = b.value(), y = b.value();
  u32 first = b.inst({use(x), use(y)});
  u32 second = b.inst({use(x)});
  b.ret({});
  Arena arena(kMaxCompileBytes);
  Liveness live;
  LirFunction& f = b.finish();
  ASSERT_EQ(compute_liveness(f, &arena, &live), Err::kOk);
  EXPECT_EQ(live.next_use[f.insts[0].operands], first);
  EXPECT_EQ(live.next_use[f.insts[first].operands], second);
  EXPECT_EQ(live.next_use[f.insts[first].operands + 1], kDead);
  EXPECT_EQ(live.next_use[f.insts[second].operands], kDead);
  EXPECT_EQ(live.blocks[0].pressure[0], 2u);
  EXPECT_EQ(live.ranges[x].first, 1u);
  EXPECT_EQ(live.ranges[x].last, 2 * second + 1);
}

// x is used in the inner loop, y behind both, z only around the outer back edge.
TEST(Liveness, NestedLoops) {
  LirBuilder b;
  b.block();  // 0
  VReg x = b.value(), y = b.value(), z = b.value();
  b.jump(1);
  b.block();  // 1: outer header
  b.inst({use(z)});
  b.jump(2);
  b.block();  // 2: inner header
  b.call({use_fixed(x, kRdi)});
  b.branch({}, {3, 4});
  b.block();  // 3: inner back edge
  b.jump(2);
  b.block();  // 4
  b.branch({}, {5, 6});
  b.block();  // 5: outer back edge
  b.jump(1);
  b.block();  // 6
  b.ret({use(y)});
  b.loop(1, 6);
  b.loop(2, 4);
  for (BlockIndex block : {2u, 3u}) b.function().blocks[block].loop_depth = 2;
  Arena arena(kMaxCompileBytes);
  Liveness live;
  ASSERT_EQ(compute_liveness(b.finish(), &arena, &live), Err::kOk);
  EXPECT_EQ(distance_in(live, 2, x), 0u);
  EXPECT_EQ(distance_in(live, 3, x), 1u);
  EXPECT_GE(distance_in(live, 3, z), kLoopExit);
  EXPECT_LT(distance_in(live, 3, z), 2 * kLoopExit);
  EXPECT_GE(distance_in(live, 3, y), 2 * kLoopExit);
  EXPECT_LT(distance_in(live, 5, z), 3u);
  EXPECT_EQ(distance_in(live, 6, z), kDead);
  EXPECT_EQ(live.blocks[1].loop_crossing[0], 3u);
  EXPECT_TRUE(live.blocks[2].loop_calls);
  EXPECT_EQ(live.blocks[2].call_distance, 0u);
}

// Against a textbook fixpoint on sets.
TEST(Liveness, AgreesWithDataFlowOnRandomFunctions) {
  for (u32 seed = 0; seed < 300; seed++) {
    RandomShape shape;
    shape.statements = 60;
    shape.max_depth = 4;
    shape.cold_last = seed % 2;
    RandomLir random(seed, shape);
    LirFunction& f = random.make();
    Arena arena(kMaxCompileBytes);
    Liveness live;
    ASSERT_EQ(compute_liveness(f, &arena, &live), Err::kOk);
    ASSERT_TRUE(live.precise);
    u32 blocks = f.blocks.size();
    std::vector<std::vector<bool>> in(blocks, std::vector<bool>(f.vregs.size()));
    for (bool changed = true; changed;) {
      changed = false;
      for (BlockIndex b = blocks; b-- > 0;) {
        std::vector<bool> now(f.vregs.size());
        for (BlockIndex s : f.blocks[b].succs)
          for (VReg v = 0; v < f.vregs.size(); v++) now[v] = now[v] || in[s][v];
        for (VReg v : f.blocks[b].args) now[v] = true;
        for (u32 i = f.blocks[b].end; i-- > f.blocks[b].begin;) {
          for (const Operand& op : f.operands_of(i))
            if (op.kind == OperandKind::kDef) now[op.vreg] = false;
          for (const Operand& op : f.operands_of(i))
            if (op.kind == OperandKind::kUse) now[op.vreg] = true;
        }
        for (VReg v : f.blocks[b].params) now[v] = false;
        changed = changed || now != in[b];
        in[b] = now;
      }
    }
    for (BlockIndex b = 0; b < blocks; b++) {
      std::vector<bool> got(f.vregs.size());
      for (const LiveIn& l : live.blocks[b].in) got[l.vreg] = true;
      ASSERT_EQ(got, in[b]) << "seed " << seed << " block " << b;
    }
  }
}

}  // namespace
}  // namespace wring::ra::testing
