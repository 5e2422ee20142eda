// SPDX-License-Identifier: GPL-2.0
// The register allocator on hand-made LIR: one behaviour per test; every allocation is checked and executed.
#include "core/regalloc/allocate.h"

#include <gtest/gtest.h>

#include "core/regalloc/liveness.h"
#include "lir_interpreter.h"
#include "selftests/host/platform_posix.h"

namespace wring::ra::testing {
namespace {

struct Counts {
  u32 moves = 0, loads = 0, stores = 0, slot_moves = 0, swaps = 0, remats = 0;
  u32 total() const { return moves + loads + stores + slot_moves + swaps + remats; }
};

class Allocated {
 public:
  explicit Allocated(LirBuilder& builder) : f_(builder.finish()) {
    Diag diag;
    err_ = allocate(f_, x64_env(), &result_, &diag);
    EXPECT_EQ(err_, Err::kOk) << diag.message;
    if (err_ != Err::kOk) return;
    Err checked = check_allocation(f_, x64_env(), result_, &diag);
    EXPECT_EQ(checked, Err::kOk) << diag.message << "\n" << text();
    for (u64 seed = 0; seed < 8; seed++) {
      auto difference = Lockstep(f_, result_, seed).run(2000);
      EXPECT_FALSE(difference.has_value()) << *difference << "\n" << text();
    }
  }
  std::string text() const { return dump(f_, result_); }
  const AllocationResult& result() const { return result_; }
  Allocation operand(u32 inst, u32 k) const {
    return result_.operands[f_.insts[inst].operands + k];
  }
  Counts count(BlockIndex from = 0, BlockIndex to = kNone) const {
    Counts c;
    for (const Edit& e : result_.edits) {
      if (e.inst < f_.blocks[from].begin) continue;
      if (to != kNone && e.inst >= f_.blocks[to].begin) continue;
      bool from_slot = e.from.kind == Allocation::kSlot, to_slot = e.to.kind == Allocation::kSlot;
      if (e.kind == Edit::kSwap)
        c.swaps++;
      else if (e.kind == Edit::kRemat)
        c.remats++;
      else
        (from_slot ? to_slot ? c.slot_moves : c.loads : to_slot ? c.stores : c.moves)++;
    }
    return c;
  }
  Counts count_in(BlockIndex b) const { return count(b, b + 1 < f_.blocks.size() ? b + 1 : kNone); }

 private:
  LirFunction& f_;
  AllocationResult result_;
  Err err_;
};

Allocation in(PReg reg) { return {Allocation::kReg, reg}; }

TEST(Allocate, LowPressureNeedsNoEdits) {
  LirBuilder b;
  b.block();
  VReg x = b.value(), y = b.value(), z = b.vreg();
  b.inst({def(z), use(x), use(y)});
  b.ret({use(z)});
  Allocated a(b);
  EXPECT_EQ(a.count().total(), 0u) << a.text();
  EXPECT_EQ(a.result().slots, 0u);
  EXPECT_EQ(a.result().used & kCalleeSaved, 0u);
}

TEST(Allocate, FixedUsesAreHintsForDefinitions) {
  LirBuilder b;
  b.block();
  VReg x = b.value(), y = b.value(), r = b.vreg();
  b.call({def_fixed(r, kRax), use_fixed(x, kRdi), use_fixed(y, kRsi)});
  b.ret({use_fixed(r, kRax)});
  Allocated a(b);
  EXPECT_EQ(a.count().total(), 0u) << a.text();
}

TEST(Allocate, HintsPassThroughTwoAddressChains) {
  LirBuilder b;
  b.block();
  VReg x = b.value(), y = b.vreg(), z = b.vreg();
  b.inst({def_reuse(y, 1), use(x)});
  b.inst({def_reuse(z, 1), use(y)});
  b.call({use_fixed(z, kR8)});
  b.ret({});
  Allocated a(b);
  EXPECT_EQ(a.count().total(), 0u) << a.text();
  EXPECT_EQ(a.operand(0, 0), in(kR8));
}

TEST(Allocate, TwoAddressInputThatLivesOnIsCopied) {
  LirBuilder b;
  b.block();
  VReg x = b.value(), y = b.vreg();
  b.inst({def_reuse(y, 1), use(x)});
  b.ret({use(x), use(y)});
  Allocated a(b);
  EXPECT_EQ(a.count().moves, 1u) << a.text();
  EXPECT_EQ(a.count().total(), 1u);
}

TEST(Allocate, ValueInAClaimedRegisterMovesAway) {
  LirBuilder b;
  b.block();
  VReg x = b.vreg(), count = b.value(), y = b.vreg();
  b.inst({def_fixed(x, kRcx)});
  b.inst({def_reuse(y, 1), use(x), use_fixed(count, kRcx)});
  b.ret({use(y), use(x)});
  Allocated a(b);
  EXPECT_EQ(a.count().loads + a.count().stores, 0u) << a.text();
}

TEST(Allocate, ValuesUsedBetweenCallsStayInPreservedRegisters) {
  LirBuilder b;
  b.block();
  VReg x = b.value();
  for (u32 i = 0; i < 4; i++) {
    b.call({});
    b.inst({use(x)});
  }
  b.ret({});
  Allocated a(b);
  EXPECT_EQ(a.count().total(), 0u) << a.text();
  EXPECT_NE(a.result().used & kCalleeSaved, 0u);
}

TEST(Allocate, WhatDoesNotFitPreservedRegistersIsSplitAroundTheCall) {
  LirBuilder b;
  b.block();
  std::vector<VReg> values;
  for (u32 i = 0; i < 8; i++) values.push_back(b.value());
  b.call({});
  for (VReg v : values) b.inst({use(v)});
  b.ret({});
  Allocated a(b);
  EXPECT_LE(a.count().stores, 8u) << a.text();
  EXPECT_EQ(a.count().stores, a.count().loads);
  EXPECT_EQ(a.count().slot_moves + a.count().swaps, 0u);
}

TEST(Allocate, ColdCallsCostTheHotPathNothing) {
  LirBuilder b;
  std::vector<VReg> values;
  b.block();  // 0
  for (u32 i = 0; i < 9; i++) values.push_back(b.value());
  b.jump(1);
  b.block();  // 1: header
  for (VReg v : values) b.inst({use(v)});
  b.branch({use(values[0])}, {2, 4});
  b.block();  // 2: hot
  b.jump(3);
  b.block();  // 3: latch
  b.branch({use(values[1])}, {5, 6});
  b.block();  // 4: cold
  b.call({});
  b.jump(3);
  b.block();  // 5: back edge
  b.jump(1);
  b.block();  // 6
  b.ret({});
  b.loop(1, 6);
  b.cold(4);
  Allocated a(b);
  for (BlockIndex hot : {0u, 1u, 2u, 3u, 5u}) EXPECT_EQ(a.count_in(hot).total(), 0u) << a.text();
  EXPECT_GE(a.count_in(4).loads, 6u);
}

TEST(Allocate, FurthestNextUseIsSpilled) {
  LirBuilder b;
  b.block();
  std::vector<VReg> values;
  VReg furthest = b.value();
  for (u32 i = 0; i < 11; i++) values.push_back(b.value());
  for (u32 round = 0; round < 3; round++)
    for (u32 i = 0; i < 11; i++) b.inst({use(values[i])});
  u32 last = b.inst({use(furthest)});
  b.ret({});
  Allocated a(b);
  EXPECT_EQ(a.count().stores, 1u) << a.text();
  EXPECT_EQ(a.count().loads, 1u) << a.text();
  EXPECT_EQ(a.result().edits[a.result().edits.size() - 1].inst, last) << a.text();
}

TEST(Allocate, SpilledValuesAreMemoryOperands) {
  LirBuilder b;
  b.block();
  std::vector<VReg> values;
  VReg furthest = b.value();
  for (u32 i = 0; i < 11; i++) values.push_back(b.value());
  for (u32 i = 0; i < 11; i++) b.inst({use(values[i])});
  u32 last = b.inst({use_any(furthest)});
  b.ret({});
  Allocated a(b);
  EXPECT_EQ(a.count().loads, 0u) << a.text();
  EXPECT_EQ(a.operand(last, 0).kind, Allocation::kSlot) << a.text();
}

// values -> loop in which ten others are busy -> use of values
TEST(Allocate, ValuesALoopDoesNotUseAreSpilledOutsideIt) {
  LirBuilder b;
  std::vector<VReg> through, used;
  b.block();  // 0
  for (u32 i = 0; i < 4; i++) through.push_back(b.value());
  for (u32 i = 0; i < 10; i++) used.push_back(b.value());
  b.jump(1);
  b.block();  // 1: loop
  for (VReg v : used) b.inst({use(v)});
  b.branch({use(used[0])}, {2, 3});
  b.block();  // 2
  b.jump(1);
  b.block();  // 3
  for (VReg v : through) b.inst({use(v)});
  b.ret({});
  b.loop(1, 3);
  Allocated a(b);
  EXPECT_EQ(a.count_in(1).total() + a.count_in(2).total(), 0u) << a.text();
  EXPECT_EQ(a.count_in(3).loads, 3u) << a.text();
}

TEST(Allocate, SpilledValuesReturnBeforeTheLoopThatUsesThem) {
  LirBuilder b;
  std::vector<VReg> values;
  b.block();  // 0
  for (u32 i = 0; i < 6; i++) values.push_back(b.value());
  b.call({});
  b.jump(1);
  b.block();  // 1: loop
  for (VReg v : values) b.inst({use_any(v)});
  b.branch({use(values[0])}, {2, 3});
  b.block();  // 2
  b.jump(1);
  b.block();  // 3
  b.ret({});
  b.loop(1, 3);
  Allocated a(b);
  EXPECT_EQ(a.count_in(1).total() + a.count_in(2).total(), 0u) << a.text();
  for (u32 i = 0; i < 6; i++) {
    u32 inst = b.function().blocks[1].begin + i;
    EXPECT_EQ(a.operand(inst, 0).kind, Allocation::kReg) << a.text();
  }
}

TEST(Allocate, ConstantsAreRecomputedNotStored) {
  LirBuilder b;
  b.block();
  VReg c = b.constant();
  std::vector<VReg> values;
  for (u32 i = 0; i < 11; i++) values.push_back(b.value());
  for (VReg v : values) b.inst({use(v)});
  b.inst({use(c)});
  b.ret({});
  Allocated a(b);
  EXPECT_EQ(a.count().remats, 1u) << a.text();
  EXPECT_EQ(a.count().total(), 1u);
  EXPECT_EQ(a.result().slots, 0u);
}

TEST(Allocate, SlotsAreReused) {
  LirBuilder b;
  b.block();
  for (u32 round = 0; round < 5; round++) {
    std::vector<VReg> values;
    for (u32 i = 0; i < 14; i++) values.push_back(b.value());
    for (VReg v : values) b.inst({use(v)});
  }
  b.ret({});
  Allocated a(b);
  EXPECT_EQ(a.result().slots, 3u) << a.text();
}

TEST(Allocate, WideSlotsAreAligned) {
  LirBuilder b;
  b.block();
  std::vector<VReg> values;
  for (u32 i = 0; i < 20; i++) {
    values.push_back(b.vec(i % 2 ? 16 : 8));
    b.inst({def(values.back())});
  }
  b.call({});
  for (VReg v : values) b.inst({use_any(v)});
  b.ret({});
  Allocated a(b);
  EXPECT_EQ(a.result().slots, 30u) << a.text();
}

// Six values are used in each iteration of a loop with a call.
TEST(Allocate, ValuesThatACallDrivesOutAreReloadedWhereTheyAreUsed) {
  LirBuilder b;
  std::vector<VReg> values;
  b.block();  // 0
  for (u32 i = 0; i < 6; i++) values.push_back(b.value());
  b.jump(1);
  b.block();  // 1
  b.call({});
  for (VReg v : values) b.inst({use(v)});
  b.branch({}, {2, 3});
  b.block();  // 2
  b.jump(1);
  b.block();  // 3
  b.ret({});
  b.loop(1, 3);
  Allocated a(b);
  EXPECT_EQ(a.count_in(2).total(), 0u) << a.text();
  EXPECT_EQ(a.count_in(1).loads, 3u) << a.text();
  EXPECT_EQ(a.count_in(1).total(), 3u) << a.text();
  EXPECT_EQ(a.count_in(0).stores, 3u) << a.text();
}

// Calls on one of two ways around a loop: the other way must not pay for them.
TEST(Allocate, ValuesStayInRegistersOnTheWayWithoutCalls) {
  LirBuilder b;
  std::vector<VReg> values;
  b.block();  // 0
  for (u32 i = 0; i < 6; i++) values.push_back(b.value());
  b.jump(1);
  b.block();  // 1
  for (VReg v : values) b.inst({use(v)});
  b.branch({}, {2, 3});
  b.block();  // 2
  b.call({});
  b.jump(4);
  b.block();  // 3
  b.jump(4);
  b.block();  // 4
  b.branch({}, {5, 6});
  b.block();  // 5
  b.jump(1);
  b.block();  // 6
  b.ret({});
  b.loop(1, 6);
  Allocated a(b);
  for (BlockIndex free : {1u, 3u, 4u, 5u}) EXPECT_EQ(a.count_in(free).total(), 0u) << a.text();
}

TEST(Allocate, ValuesMakeRoomForArgumentsEarly) {
  LirBuilder b;
  b.block();
  VReg x = b.vreg(), y = b.vreg();
  b.inst({def_fixed(x, kRdi)});
  u32 i = b.inst({def(y), use(x)});
  b.call({use_fixed(y, kRdi)});
  for (u32 k = 0; k < 3; k++) {
    b.inst({use(x)});
    b.call({});
  }
  b.inst({use(x)});
  b.ret({});
  Allocated a(b);
  EXPECT_EQ(a.operand(i, 0), in(kRdi)) << a.text();
  EXPECT_EQ(a.count().total(), 1u) << a.text();
}

TEST(Allocate, ValuesSuitTheBlockParameterTheyBecome) {
  LirBuilder b;
  b.block();  // 0
  VReg x = b.value(), p = b.vreg();
  b.jump(1, {x});
  b.block({p});  // 1: p lives across a call
  b.call({});
  VReg q = b.vreg();
  b.inst({def_reuse(q, 1), use(p)});
  b.branch({}, {2, 3});
  b.block();  // 2
  b.jump(1, {q});
  b.block();  // 3
  b.ret({});
  b.loop(1, 3);
  Allocated a(b);
  EXPECT_EQ(a.count().total(), 0u) << a.text();
}

TEST(Allocate, CountingLoopNeedsNoMoves) {
  LirBuilder b;
  b.block();  // 0
  VReg n = b.value(), zero = b.value(), i = b.vreg(), sum = b.vreg(), zero2 = b.value();
  b.jump(1, {zero, zero2});
  b.block({i, sum});  // 1
  VReg sum2 = b.vreg(), i2 = b.vreg();
  b.inst({def_reuse(sum2, 1), use(sum), use_any(i)});
  b.inst({def_reuse(i2, 1), use(i)});
  b.branch({use(i2), use_any(n)}, {2, 3});
  b.block();  // 2
  b.jump(1, {i2, sum2});
  b.block();  // 3
  b.ret({use_fixed(sum2, kRax)});
  b.loop(1, 3);
  Allocated a(b);
  EXPECT_EQ(a.count(1, 3).total(), 0u) << a.text();
  EXPECT_LE(a.count().moves, 1u) << a.text();
}

TEST(Allocate, ParametersThatSwapTakeOneSwap) {
  LirBuilder b;
  b.block();  // 0
  VReg x = b.value(), y = b.value(), p = b.vreg(), q = b.vreg();
  b.jump(1, {x, y});
  b.block({p, q});  // 1
  b.inst({use(p), use(q)});
  b.branch({use(p)}, {2, 3});
  b.block();  // 2
  b.jump(1, {q, p});
  b.block();  // 3
  b.ret({use(p)});
  b.loop(1, 3);
  Allocated a(b);
  EXPECT_EQ(a.count().swaps, 1u) << a.text();
  EXPECT_EQ(a.count().total(), 1u) << a.text();
}

TEST(Allocate, RegistersThatALoopClaimsAreLeftBeforeIt) {
  LirBuilder b;
  b.block();  // 0
  VReg x = b.vreg(), count = b.value(), p = b.vreg(), start = b.value();
  b.inst({def_fixed(x, kRcx)});
  b.jump(1, {start});
  b.block({p});  // 1: shifts by cl while x stays live
  VReg q = b.vreg();
  b.inst({def_reuse(q, 1), use(p), use_fixed(count, kRcx)});
  b.inst({use(x), use(q)});
  b.branch({use(q)}, {2, 3});
  b.block();  // 2
  b.jump(1, {q});
  b.block();  // 3
  b.ret({});
  b.loop(1, 3);
  Allocated a(b);
  EXPECT_LE(a.count(1, 3).total(), 1u) << a.text();  // at most the count's move to rcx
}

TEST(Allocate, OneValueInSeveralFixedRegisters) {
  LirBuilder b;
  b.block();
  VReg x = b.value();
  u32 call = b.call({use_fixed(x, kRdi), use_fixed(x, kRsi), use_any(x)});
  b.ret({use(x)});
  Allocated a(b);
  EXPECT_EQ(a.operand(call, 0), in(kRdi));
  EXPECT_EQ(a.operand(call, 1), in(kRsi));
}

TEST(Allocate, DivisionShape) {
  LirBuilder b;
  b.block();
  VReg x = b.vreg(), y = b.vreg(), q = b.vreg(), r = b.vreg(), q2 = b.vreg(), r2 = b.vreg();
  b.inst({def_fixed(y, kRdx), def_fixed(x, kRax)});
  b.inst({def_fixed(q, kRax), other(def_fixed(r, kRdx)), use_fixed(x, kRax), use_any(y)});
  b.inst({def_fixed(q2, kRax), other(def_fixed(r2, kRdx)), use_fixed(q, kRax), use_any(y)});
  b.ret({use(r), use(q2)});
  Allocated a(b);
  EXPECT_EQ(a.count().stores + a.count().loads, 0u) << a.text();
}

TEST(Allocate, LateUsesAndEarlyDefinitionsKeepTheirDistance) {
  LirBuilder b;
  b.block();
  VReg x = b.value(), y = b.value(), t = b.vreg(), z = b.vreg();
  u32 i = b.inst({def(z), other(def(t)), use(x), other(use(y))});
  b.ret({use(z)});
  Allocated a(b);
  EXPECT_FALSE(a.operand(i, 0) == a.operand(i, 3));
  EXPECT_FALSE(a.operand(i, 1) == a.operand(i, 2));
  EXPECT_FALSE(a.operand(i, 1) == a.operand(i, 3));
  EXPECT_FALSE(a.operand(i, 0) == a.operand(i, 1));
}

TEST(Allocate, AllRegistersAtOnce) {
  LirBuilder b;
  b.block();
  std::vector<VReg> live;
  std::vector<Operand> operands;
  for (u32 i = 0; i < 11; i++) live.push_back(b.value());
  for (u32 i = 0; i < 11; i++) operands.push_back(use(b.value()));
  std::vector<VReg> results;
  for (u32 i = 0; i < 11; i++) {
    results.push_back(b.vreg());
    operands.push_back(def(results.back()));
  }
  b.inst(operands);
  for (u32 i = 0; i < 11; i++) b.inst({use(results[i]), use(live[i])});
  b.ret({});
  Allocated a(b);
}

TEST(Allocate, TwoAddressPairTakesARegisterFromAnInput) {
  // rcx..: ten inputs die in an instruction whose pair needs the only register that is free throughout.
  LirBuilder b;
  b.block();
  std::vector<Operand> operands;
  std::vector<VReg> inputs;
  for (u32 i = 0; i < 10; i++) inputs.push_back(b.value());
  VReg x = b.value(), y = b.vreg();
  operands.push_back(def_reuse(y, 1));
  operands.push_back(use(x));
  for (VReg v : inputs) operands.push_back(use(v));
  RegMask clobbers = 0;
  for (PReg r : kIntRegs)
    if (r != kRdi && r != kRbx) clobbers |= bit(r);
  b.inst(operands, clobbers);
  b.ret({use(y), use(x)});
  Allocated a(b);
}

TEST(Allocate, MoreOptionalOperandsThanRegisters) {
  LirBuilder b;
  b.block();
  std::vector<Operand> operands;
  for (u32 i = 0; i < 30; i++) operands.push_back(use_any(i % 3 ? b.value() : b.constant()));
  b.inst(operands);
  b.ret({});
  Allocated a(b);
}

TEST(Allocate, MoreParametersThanRegisters) {
  LirBuilder b;
  b.block();  // 0
  std::vector<VReg> args, params, back;
  for (u32 i = 0; i < 40; i++) args.push_back(i % 5 ? b.value() : b.constant());
  for (u32 i = 0; i < 40; i++) params.push_back(b.vreg());
  b.jump(1, args);
  b.block(params);  // 1
  for (u32 i = 0; i < 40; i++) b.inst({use_any(params[i])});
  b.branch({use(params[0])}, {2, 3});
  b.block();  // 2: rotates the parameters
  for (u32 i = 0; i < 40; i++) back.push_back(params[(i + 1) % 40]);
  b.jump(1, back);
  b.block();  // 3
  b.ret({});
  b.loop(1, 3);
  Allocated a(b);
}

TEST(Allocate, ParallelEdgesOfASwitch) {
  LirBuilder b;
  b.block();  // 0
  std::vector<VReg> values;
  for (u32 i = 0; i < 14; i++) values.push_back(b.value());
  b.branch({use(values[0])}, {1, 2, 1, 2, 1});
  b.block();  // 1
  b.call({});
  b.jump(3);
  b.block();  // 2
  b.inst({use(values[13])});
  b.jump(3);
  b.block();  // 3
  for (VReg v : values) b.inst({use(v)});
  b.ret({});
  Allocated a(b);
}

TEST(Allocate, ContradictoryOperandsAreRefused) {
  LirBuilder b;
  b.block();
  VReg x = b.value(), y = b.value();
  b.inst({use_fixed(x, kRax), use_fixed(y, kRax)});
  b.ret({});
  AllocationResult result;
  Diag diag;
  EXPECT_EQ(allocate(b.finish(), x64_env(), &result, &diag), Err::kInvalid);
  EXPECT_STREQ(diag.message,
               "register allocation: the operands of instruction 2 contradict each other");
}

TEST(Allocate, MoreOperandsThanRegistersAreRefused) {
  LirBuilder b;
  b.block();
  std::vector<Operand> operands;
  for (u32 i = 0; i < 12; i++) operands.push_back(use(b.value()));
  b.inst(operands);
  b.ret({});
  AllocationResult result;
  Diag diag;
  EXPECT_EQ(allocate(b.finish(), x64_env(), &result, &diag), Err::kInvalid);
}

// A chain of blocks with so many values live through them that liveness lists would be too large.
TEST(Allocate, HugeFunctionsAreAllocatedBlockByBlock) {
  constexpr u32 kCount = 3000;
  static_assert(u64{kCount} * kCount > kMaxLiveEntries);
  LirBuilder b;
  std::vector<VReg> values;
  b.block();
  for (u32 i = 0; i < kCount; i++) values.push_back(b.value());
  VReg p = b.vreg();
  b.jump(1, {values[0]});
  b.block({p});
  b.jump(2);
  for (u32 i = 2; i < kCount; i++) {
    b.block();
    VReg t = b.vreg();
    b.inst({def(t), use(p)});
    b.inst({use(t), use_any(p)});
    b.jump(i + 1);
  }
  b.block();
  for (VReg v : values) b.inst({use_any(v)});
  b.ret({});
  LirFunction& f = b.finish();
  AllocationResult result;
  Diag diag;
  ASSERT_EQ(allocate(f, x64_env(), &result, &diag), Err::kOk) << diag.message;
  auto difference = Lockstep(f, result, 1).run(100'000);
  EXPECT_FALSE(difference.has_value()) << *difference;
}

TEST(Allocate, EveryFailedAllocationIsReported) {
  LirBuilder b;
  b.block();  // 0
  std::vector<VReg> values, params;
  for (u32 i = 0; i < 20; i++) values.push_back(b.value());
  for (u32 i = 0; i < 20; i++) params.push_back(b.vreg());
  b.jump(1, values);
  b.block(params);  // 1
  b.call({});
  for (u32 i = 0; i < 20; i++) b.inst({use(params[i])});
  b.branch({use(params[0])}, {2, 3});
  b.block();  // 2
  b.jump(1, params);
  b.block();  // 3
  b.ret({});
  b.loop(1, 3);
  LirFunction& f = b.finish();
  long long before = wring_posix_live_allocations();
  u32 failures = 0;
  for (u64 n = 1;; n++) {
    AllocationResult result;
    Diag diag;
    wring_posix_fail_allocation(n);
    Err err = allocate(f, x64_env(), &result, &diag);
    wring_posix_fail_allocation(0);
    if (err == Err::kOk) break;
    EXPECT_EQ(err, Err::kNoMemory);
    EXPECT_STREQ(diag.message, "out of memory");
    failures++;
    ASSERT_LT(n, 1000u);
  }
  EXPECT_GT(failures, 0u);
  EXPECT_LE(wring_posix_live_allocations() - before, 8);  // what the function's own arena took
}

}  // namespace
}  // namespace wring::ra::testing
