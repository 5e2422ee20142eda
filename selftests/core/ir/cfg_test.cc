// SPDX-License-Identifier: GPL-2.0
// Block order, dominators, loops and critical edges, against slow reference computations on random graphs of
// structured programs.
#include <gtest/gtest.h>

#include <set>

#include "core/ir/cfg.h"
#include "core/ir/edit.h"
#include "selftests/core/ir/interpreter.h"
#include "selftests/core/ir/random_program.h"

namespace wring::test {
namespace {

using ir::BlockId;

// Blocks reachable from the entry without passing `without`.
std::set<BlockId> reachable(const ir::Function& f, BlockId without) {
  std::set<BlockId> seen;
  std::vector<BlockId> work;
  if (without != 0) work.push_back(0), seen.insert(0);
  while (!work.empty()) {
    BlockId b = work.back();
    work.pop_back();
    for (BlockId s : f.blocks[b].succs)
      if (s != without && seen.insert(s).second) work.push_back(s);
  }
  return seen;
}

// Blocks of the natural loop of `header`.
std::set<BlockId> natural_loop(const ir::Function& f, BlockId header) {
  std::set<BlockId> loop = {header};
  std::vector<BlockId> work;
  for (BlockId p : f.blocks[header].preds)
    if (p >= header && loop.insert(p).second) work.push_back(p);
  while (!work.empty()) {
    BlockId b = work.back();
    work.pop_back();
    for (BlockId p : f.blocks[b].preds)
      if (loop.insert(p).second) work.push_back(p);
  }
  return loop;
}

void check_function(const ir::Function& f, u64 seed) {
  u32 n = f.blocks.size();
  EXPECT_EQ(reachable(f, kNone).size(), n) << seed;
  // Dominators by definition.
  std::vector<std::set<BlockId>> dominated(n);
  for (BlockId d = 0; d < n; d++) {
    std::set<BlockId> rest = reachable(f, d);
    for (BlockId b = 0; b < n; b++)
      if (!rest.count(b)) dominated[d].insert(b);
  }
  Arena arena(1 << 24);
  ir::Dominators dominators;
  ASSERT_TRUE(dominators.init(f, &arena));
  for (BlockId d = 0; d < n; d++)
    for (BlockId b = 0; b < n; b++)
      ASSERT_EQ(dominators.dominates(d, b), dominated[d].count(b) == 1)
          << seed << " " << d << " " << b;
  // Loops: contiguous, and every block's innermost.
  std::vector<u32> depth(n);
  std::vector<BlockId> header(n, kNone);
  for (BlockId h = 0; h < n; h++) {
    bool is_header = false;
    for (BlockId p : f.blocks[h].preds) is_header |= p >= h;
    ASSERT_EQ(f.blocks[h].is_loop_header, is_header) << seed;
    if (!is_header) continue;
    std::set<BlockId> loop = natural_loop(f, h);
    EXPECT_EQ(*loop.begin(), h) << seed;
    EXPECT_EQ(*loop.rbegin() - h + 1, loop.size()) << seed << ": loop not contiguous";
    for (BlockId b : loop) depth[b]++, header[b] = h;  // headers ascend: the last is the innermost
  }
  for (BlockId b = 0; b < n; b++) {
    EXPECT_EQ(f.blocks[b].loop_depth, depth[b]) << seed;
    EXPECT_EQ(f.blocks[b].loop_header, header[b]) << seed;
  }
}

TEST(Cfg, MatchesDefinitionsOnRandomPrograms) {
  u32 critical = 0;
  for (u64 seed = 1; seed <= 40; seed++) {
    Module* module = decode_module(RandomProgram(seed).generate());
    ASSERT_TRUE(module);
    Program program(module, std::vector<FunctionBinding>(module->imported_functions), {});
    program.compile(false);
    ASSERT_EQ(program.error(), "");
    for (u32 i = module->imported_functions; i < module->functions.size(); i++) {
      const ir::Function& f = *program.function(i);
      if (f.blocks.size() > 120) continue;
      check_function(f, seed);
      ir::Function* changed = const_cast<ir::Function*>(&f);
      u32 before = f.blocks.size();
      Diag diag;
      ASSERT_EQ(ir::split_critical_edges(changed, &diag), Err::kOk);
      critical += f.blocks.size() - before;
      ASSERT_EQ(ir::verify(f, "split", &diag), Err::kOk) << diag.message;
      check_function(f, seed);
      for (const ir::Block& block : f.blocks) {
        if (block.succs.size() < 2) continue;
        for (BlockId s : block.succs) {
          EXPECT_NE(ir::single_pred(f.blocks[s]), kNone) << seed << ": critical edge";
          EXPECT_TRUE(f.insts[f.blocks[s].insts[0]].op != ir::Op::kPhi) << seed;
        }
      }
    }
  }
  EXPECT_GT(critical, 100u);
}

TEST(Cfg, ColdBlocksComeLast) {
  ModuleWriter writer;
  Code code;
  code.op(Opcode::kLocalGet, 0).block(Opcode::kIf, -64).op(Opcode::kUnreachable).end().i32(3);
  writer.function(writer.type("i", "i"), "", code);
  Module* module = decode_module(writer.finish());
  ASSERT_TRUE(module);
  Program program(module, {}, {});
  program.compile(false);
  const ir::Function& f = *program.function(0);
  EXPECT_TRUE(f.blocks[f.blocks.size() - 1].is_cold);
  for (BlockId b = 0; b + 1 < f.blocks.size(); b++) EXPECT_FALSE(f.blocks[b].is_cold);
}

TEST(Cfg, ParallelEdgesShareTheirSplitBlock) {
  Arena arena(1 << 20);
  ir::Function f(&arena);
  // b0: switch -> b1, b1, b2; b1 -> b2; b2: return
  for (u32 i = 0; i < 3; i++) ASSERT_NE(ir::add_block(&f), kNone);
  auto add = [&](BlockId block, ir::Inst inst) {
    inst.block = block;
    ASSERT_TRUE(f.insts.push(inst) && f.blocks[block].insts.push(f.insts.size() - 1));
  };
  add(0, ir::make_inst(ir::Op::kConst, ir::Type::kI32));
  add(0, ir::make_inst(ir::Op::kSwitch, ir::Type::kVoid, 0));
  add(1, ir::make_inst(ir::Op::kJump, ir::Type::kVoid));
  ir::Inst phi = ir::make_inst(ir::Op::kPhi, ir::Type::kI32);
  phi.count = 4;
  for (u32 i = 0; i < 4; i++) ASSERT_TRUE(f.pool.push(0));
  add(2, phi);
  add(2, ir::make_inst(ir::Op::kReturn, ir::Type::kVoid));
  for (BlockId to : {2, 1, 2, 2}) ASSERT_TRUE(ir::add_edge(&f, 0, to));
  ASSERT_TRUE(ir::add_edge(&f, 1, 2));
  Diag diag;
  ASSERT_EQ(ir::analyze_cfg(&f, &diag), Err::kOk);
  ASSERT_EQ(ir::verify(f, "made", &diag), Err::kOk) << diag.message;
  ASSERT_EQ(ir::split_critical_edges(&f, &diag), Err::kOk);
  ASSERT_EQ(ir::verify(f, "split", &diag), Err::kOk) << diag.message;
  EXPECT_EQ(f.blocks.size(), 4u);
  const auto& succs = f.blocks[0].succs;
  EXPECT_EQ(succs[0], succs[2]);
  EXPECT_EQ(succs[0], succs[3]);
  EXPECT_EQ(f.blocks[succs[0]].preds.size(), 3u);
  EXPECT_EQ(ir::single_pred(f.blocks[succs[0]]), 0u);
}

}  // namespace
}  // namespace wring::test
