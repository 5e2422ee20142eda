// SPDX-License-Identifier: GPL-2.0
// The IR verifier finds what is wrong: each test breaks one property of a function that is right.
#include <gtest/gtest.h>

#include "core/ir/cfg.h"
#include "core/ir/edit.h"
#include "core/ir/verify.h"
#include "core/wasm/instr.h"

namespace wring::ir {
namespace {

// b0: c; branch -> b1, b2   b1: x; jump b3   b2: jump b3   b3: phi(x, c); loop back to itself; b4: return
class Verify : public ::testing::Test {
 protected:
  Verify() : arena_(1 << 20), f_(&arena_) {
    for (u32 i = 0; i < 5; i++) EXPECT_EQ(add_block(&f_), i);
    Inst c = make_inst(Op::kConst, Type::kI32);
    c.imm = 7;
    c_ = add(0, c);
    add(0, make_inst(Op::kBranch, Type::kVoid, c_));
    x_ = add(1, make_inst(Op::kAdd, Type::kI32, c_, c_));
    add(1, make_inst(Op::kJump, Type::kVoid));
    add(2, make_inst(Op::kJump, Type::kVoid));
    Inst phi = make_inst(Op::kPhi, Type::kI32);
    phi.pool = 0;
    phi.count = 3;
    phi_ = add(3, phi);
    y_ = add(3, make_inst(Op::kSub, Type::kI32, phi_, c_));
    add(3, make_inst(Op::kBranch, Type::kVoid, y_));
    Inst ret = make_inst(Op::kReturn, Type::kVoid);
    ret.pool = 3;
    ret.count = 1;
    add(4, ret);
    for (Value v : {x_, c_, y_, phi_}) EXPECT_TRUE(f_.pool.push(v));
    for (auto [from, to] : {std::pair<u32, u32>{0, 1}, {0, 2}, {1, 3}, {2, 3}, {3, 3}, {3, 4}})
      EXPECT_TRUE(add_edge(&f_, from, to));
    Diag diag;
    EXPECT_EQ(analyze_cfg(&f_, &diag), Err::kOk);
    EXPECT_EQ(f_.blocks.size(), 5u);
  }
  Value add(BlockId block, Inst inst) {
    inst.block = block;
    EXPECT_TRUE(f_.insts.push(inst));
    EXPECT_TRUE(f_.blocks[block].insts.push(f_.insts.size() - 1));
    return f_.insts.size() - 1;
  }
  std::string error() {
    Diag diag;
    if (verify(f_, "test", &diag) == Err::kOk) return "";
    EXPECT_EQ(diag.code, Err::kInvalid);
    std::string prefix = "IR: after test: ", text = diag.message;
    EXPECT_EQ(text.substr(0, prefix.size()), prefix);
    return text;
  }
  void expect_error(const char* what) {
    EXPECT_NE(error().find(what), std::string::npos) << error();
  }

  Arena arena_;
  Function f_;
  Value c_, x_, phi_, y_;
};

TEST_F(Verify, AcceptsTheOriginal) { EXPECT_EQ(error(), ""); }

TEST_F(Verify, ArgumentTypes) {
  f_.insts[y_].type = Type::kI64;
  expect_error("type");
}
TEST_F(Verify, ConstantsAreZeroExtended) {
  f_.insts[c_].imm = -1;
  expect_error("wrong type");
}
TEST_F(Verify, UsesAreDominated) {
  f_.insts[y_].arg[1] = x_;
  expect_error("does not dominate");
}
TEST_F(Verify, UsesComeAfterDefinitionsInABlock) {
  f_.insts[y_].arg[1] = y_;
  expect_error("does not dominate");
}
TEST_F(Verify, PhiArgumentsDominateTheirEdge) {
  f_.pool[1] = x_;  // for the edge from b2
  expect_error("does not dominate");
}
TEST_F(Verify, PhisMatchPredecessors) {
  f_.insts[phi_].count = 2;
  expect_error("differ in number");
}
TEST_F(Verify, PhisComeFirst) {
  Vec<Value>& list = f_.blocks[3].insts;
  swap(list[0], list[1]);
  expect_error("phi after another instruction");
}
TEST_F(Verify, OneTerminatorLast) {
  f_.blocks[1].insts.pop();
  expect_error("terminator not last");
}
TEST_F(Verify, SuccessorsFitTheTerminator) {
  f_.insts[f_.blocks[0].insts.back()] = make_inst(Op::kJump, Type::kVoid);
  f_.insts[f_.blocks[0].insts.back()].block = 0;
  expect_error("wrong number of successors");
}
TEST_F(Verify, EdgesAreSymmetric) {
  f_.blocks[4].preds[0] = 2;
  expect_error("disagree");
}
TEST_F(Verify, InstructionsAreListedOnce) {
  Vec<Value>& list = f_.blocks[3].insts;
  list[1] = list[0];
  expect_error("listed twice");
}
TEST_F(Verify, UnlistedValuesAreNotUsed) {
  Vec<Value>& list = f_.blocks[1].insts;
  list[0] = list[1];
  EXPECT_TRUE(list.resize(1));
  expect_error("not listed");
}
TEST_F(Verify, PhisAreWhereSomethingMeets) {
  // b1's only predecessor is b0.
  Inst phi = make_inst(Op::kPhi, Type::kI32);
  phi.pool = f_.pool.size();
  phi.count = 1;
  EXPECT_TRUE(f_.pool.push(c_));
  add(1, phi);
  Vec<Value>& list = f_.blocks[1].insts;
  swap(list[0], list[2]);
  swap(list[1], list[2]);
  expect_error("phi where nothing meets");
}
TEST_F(Verify, PhisWhereNothingMeetsAreForwarded) {
  // The edge from b2 goes, the loop's too: what is left of the phi is x.
  f_.blocks[0].succs[1] = 4;
  f_.blocks[2].succs.clear();
  EXPECT_TRUE(f_.blocks[4].preds.push(0));
  f_.insts[f_.blocks[3].insts.back()] = make_inst(Op::kJump, Type::kVoid);
  f_.blocks[3].succs.clear();
  EXPECT_TRUE(f_.blocks[3].succs.push(4));
  f_.blocks[3].preds.clear();
  EXPECT_TRUE(f_.blocks[3].preds.push(1));
  f_.insts[phi_].count = 1;
  f_.pool[3] = c_;  // the return's: phi and y do not dominate it any more
  Diag diag;
  ASSERT_EQ(analyze_cfg(&f_, &diag), Err::kOk);
  EXPECT_EQ(error(), "");
  EXPECT_EQ(f_.insts[y_].arg[0], x_);
  EXPECT_EQ(f_.blocks[f_.insts[y_].block].insts[0], y_);
}
TEST_F(Verify, SwitchesHaveACase) {
  Inst one_way = make_inst(Op::kSwitch, Type::kVoid, c_);
  one_way.block = 1;
  f_.insts[f_.blocks[1].insts.back()] = one_way;
  expect_error("wrong number of successors");
}
TEST_F(Verify, LoweringNeedsCriticalEdgesSplit) {
  Diag diag;
  EXPECT_EQ(verify_lowerable(f_, &diag), Err::kInvalid);  // the loop of b3
  EXPECT_NE(std::string(diag.message).find("critical edge"), std::string::npos) << diag.message;
  Diag split;
  ASSERT_EQ(split_critical_edges(&f_, &split), Err::kOk);
  EXPECT_EQ(verify_lowerable(f_, &split), Err::kOk) << split.message;
}
TEST_F(Verify, ImmediateDominators) {
  f_.blocks[3].idom = 1;
  expect_error("wrong immediate dominator");
}
TEST_F(Verify, LoopInfo) {
  f_.blocks[3].is_loop_header = false;
  expect_error("is_loop_header");
}
TEST_F(Verify, LoopDepth) {
  f_.blocks[4].loop_depth = 1;
  expect_error("wrong loop depth");
}
TEST_F(Verify, OperandsOfNewKindsOfOperations) {
  // Each in a place of its own, with I32s as operands.
  Value z = add(1, make_inst(Op::kAdd, Type::kI32, c_, c_));
  Vec<Value>& list = f_.blocks[1].insts;
  swap(list[1], list[2]);
  EXPECT_EQ(error(), "");
  auto broken = [&](Op op, Type type, Type operand_type, u32 aux) {
    Inst inst = make_inst(op, type, c_, c_, c_);
    inst.count = arg_count_of(op);
    inst.operand_type = operand_type;
    inst.aux = static_cast<u16>(aux);
    inst.block = 1;
    f_.insts[z] = inst;
    expect_error("wrong type");
  };
  broken(Op::kFAdd, Type::kF32, Type::kVoid, 0);
  broken(Op::kFAdd, Type::kI32, Type::kVoid, 0);
  broken(Op::kFLt, Type::kI32, Type::kF64, 0);
  broken(Op::kTruncS, Type::kI32, Type::kF64, 0);
  broken(Op::kConvertS, Type::kF32, Type::kI64, 0);
  broken(Op::kBitcast, Type::kF64, Type::kVoid, 0);
  broken(Op::kV2, Type::kV128, Type::kVoid, static_cast<u32>(Opcode::kI32x4Add));
  broken(Op::kVSplat, Type::kV128, Type::kVoid, static_cast<u32>(Opcode::kI64x2Splat));
  broken(Op::kVSplat, Type::kV128, Type::kVoid, static_cast<u32>(Opcode::kI32Add));
  broken(Op::kVSplat, Type::kV128, Type::kVoid, static_cast<u32>(Opcode::kCount));
  broken(Op::kLoad, Type::kI32, Type::kVoid, static_cast<u32>(MemKind::k64));
  broken(Op::kLoad, Type::kF32, Type::kVoid, static_cast<u32>(MemKind::k16U));
  broken(Op::kLoad, Type::kV128, Type::kVoid, static_cast<u32>(MemKind::k32U));
  broken(Op::kStore, Type::kVoid, Type::kV128, static_cast<u32>(MemKind::k128));
  broken(Op::kLoadMem, Type::kI32, Type::kVoid, static_cast<u32>(MemKind::k32U));  // I32 base
  broken(Op::kAtomicLoad, Type::kI32, Type::kVoid, static_cast<u32>(MemKind::k32U));
  broken(Op::kMemBase, Type::kI32, Type::kVoid, 0);
}
TEST_F(Verify, OutOfRangeValues) {
  f_.insts[y_].arg[0] = 1000;
  expect_error("not listed");
}

}  // namespace
}  // namespace wring::ir
