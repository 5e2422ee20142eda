// SPDX-License-Identifier: GPL-2.0
// The allocation checker: broken allocations must be rejected.
#include <gtest/gtest.h>

#include <algorithm>

#include "lir_interpreter.h"
#include "random_lir.h"

namespace wring::ra::testing {
namespace {

// A loop with a call: b0 -> b1(p) -> b2 -> b1, b1 -> b3; twelve values across it.
struct Sample {
  Sample() {
    b.block();
    for (u32 i = 0; i < 12; i++) values.push_back(b.value());
    constant = b.constant();
    p = b.vreg();
    q = b.vreg();
    b.jump(1, {values[0]});
    b.block({p});
    b.call({use_fixed(p, kRdi)});
    for (VReg v : values) b.inst({use(v)});
    b.inst({use(constant)});
    reuse = b.inst({def_reuse(q, 1), use(p), use_fixed(values[1], kRcx)});
    b.branch({use(q)}, {2, 3});
    b.block();
    b.jump(1, {q});
    b.block();
    b.ret({use(q)});
    b.loop(1, 3);
    LirFunction& f = b.finish();
    EXPECT_EQ(allocate(f, x64_env(), &result, &diag), Err::kOk);
    EXPECT_EQ(check(), Err::kOk) << diag.message;
  }
  Err check() {
    diag = Diag();
    return check_allocation(b.function(), x64_env(), result, &diag);
  }
  Allocation& operand(u32 inst, u32 k) {
    return result.operands[b.function().insts[inst].operands + k];
  }
  u32 find_edit(Edit::Kind kind, Allocation::Kind from, Allocation::Kind to) {
    for (u32 e = 0; e < result.edits.size(); e++) {
      const Edit& edit = result.edits[e];
      if (edit.kind == kind && edit.to.kind == to &&
          (kind == Edit::kRemat || edit.from.kind == from))
        return e;
    }
    ADD_FAILURE() << "the sample has no such edit";
    return 0;
  }
  void drop_edit(u32 e) {
    for (u32 i = e; i + 1 < result.edits.size(); i++) result.edits[i] = result.edits[i + 1];
    result.edits = result.edits.slice(0, result.edits.size() - 1);
  }

  LirBuilder b;
  std::vector<VReg> values;
  VReg constant, p, q;
  u32 reuse;
  AllocationResult result;
  Diag diag;
};

TEST(Check, LostStore) {
  Sample s;
  s.drop_edit(s.find_edit(Edit::kMove, Allocation::kReg, Allocation::kSlot));
  EXPECT_EQ(s.check(), Err::kInvalid);
}

TEST(Check, LostReload) {
  Sample s;
  s.drop_edit(s.find_edit(Edit::kMove, Allocation::kSlot, Allocation::kReg));
  EXPECT_EQ(s.check(), Err::kInvalid);
}

TEST(Check, LostRecomputation) {
  Sample s;
  s.drop_edit(s.find_edit(Edit::kRemat, Allocation::kNone, Allocation::kReg));
  EXPECT_EQ(s.check(), Err::kInvalid);
}

TEST(Check, WrongRecomputation) {
  Sample s;
  s.result.edits[s.find_edit(Edit::kRemat, Allocation::kNone, Allocation::kReg)].remat = 0;
  EXPECT_EQ(s.check(), Err::kInvalid);
}

TEST(Check, ReloadFromAnotherSlot) {
  Sample s;
  Edit& edit = s.result.edits[s.find_edit(Edit::kMove, Allocation::kSlot, Allocation::kReg)];
  edit.from.index = (edit.from.index + 1) % s.result.slots;
  EXPECT_EQ(s.check(), Err::kInvalid);
}

TEST(Check, NarrowMove) {
  LirBuilder b;
  b.block();
  std::vector<VReg> values;
  for (u32 i = 0; i < 3; i++) {
    values.push_back(b.vec());
    b.inst({def(values[i])});
  }
  b.call({});
  for (VReg v : values) b.inst({use(v)});
  b.ret({});
  LirFunction& f = b.finish();
  AllocationResult result;
  Diag diag;
  ASSERT_EQ(allocate(f, x64_env(), &result, &diag), Err::kOk);
  ASSERT_EQ(check_allocation(f, x64_env(), result, &diag), Err::kOk) << diag.message;
  result.edits[0].bytes = 8;
  EXPECT_EQ(check_allocation(f, x64_env(), result, &diag), Err::kInvalid);
}

TEST(Check, ValueAcrossACallInAClobberedRegister) {
  LirBuilder b;
  b.block();
  VReg x = b.value();
  b.call({});
  u32 i = b.inst({use(x)});
  b.ret({});
  LirFunction& f = b.finish();
  Allocation rcx = {Allocation::kReg, kRcx};
  AllocationResult result;
  Span<Allocation> operands(&rcx, 1);
  Allocation both[2] = {rcx, rcx};
  result.operands = Span<Allocation>(both);
  result.used = ~RegMask{0};
  Diag diag;
  EXPECT_EQ(check_allocation(f, x64_env(), result, &diag), Err::kInvalid);
  EXPECT_STREQ(diag.message,
               "register allocation: a clobbered register is read later at instruction 1");
  both[0] = both[1] = {Allocation::kReg, kRbx};
  diag = Diag();
  EXPECT_EQ(check_allocation(f, x64_env(), result, &diag), Err::kOk) << diag.message << i;
}

TEST(Check, BrokenConstraints) {
  {
    Sample s;
    s.operand(s.reuse, 2) = {Allocation::kReg, kRdx};
    EXPECT_EQ(s.check(), Err::kInvalid);
  }
  {
    Sample s;
    s.operand(s.reuse, 0).index ^= 1;
    EXPECT_EQ(s.check(), Err::kInvalid);
  }
  {
    Sample s;
    s.operand(0, 0) = {Allocation::kReg, 16};
    EXPECT_EQ(s.check(), Err::kInvalid);
  }
  {
    Sample s;
    s.operand(0, 0) = {Allocation::kReg, kR11};
    EXPECT_EQ(s.check(), Err::kInvalid);
  }
  {
    Sample s;
    s.operand(0, 0) = {Allocation::kSlot, 0};
    EXPECT_EQ(s.check(), Err::kInvalid);
  }
  {
    Sample s;
    s.operand(0, 0) = {};
    EXPECT_EQ(s.check(), Err::kInvalid);
  }
}

TEST(Check, UnreportedRegisters) {
  Sample s;
  s.result.used &= ~kCalleeSaved;
  EXPECT_EQ(s.check(), Err::kInvalid);
}

TEST(Check, SlotsOutOfBounds) {
  Sample s;
  s.result.slots--;
  EXPECT_EQ(s.check(), Err::kInvalid);
}

// Code whose values are in slots only. Slots are written where they are said to be, by nothing else.
class InSlots {
 public:
  VReg define(u32 slot, u8 bytes = 8) {
    VReg v = bytes == 8 ? b.vreg() : b.vec(bytes);
    b.inst({def_any(v)});
    operands_.push_back({Allocation::kSlot, slot});
    return v;
  }
  void read(VReg v, u32 slot) {
    b.inst({use_any(v)});
    operands_.push_back({Allocation::kSlot, slot});
  }
  void copy(u32 from, u32 to) {  // before the next instruction
    edits_.push_back({Edit::kMove, 8, RegClass::kInt, b.function().insts.size(),
                      Allocation{Allocation::kSlot, from}, Allocation{Allocation::kSlot, to}, 0});
  }
  // Makes the block that was begun last the header of a loop without code, and begins the block behind it.
  void empty_loop(u32 header) {
    b.branch({}, {header + 1, header + 2});
    b.block();
    b.jump(header);
    b.block();
  }
  bool accepted() {
    AllocationResult result;
    result.operands = Span<Allocation>(operands_.data(), operands_.size());
    result.edits = Span<Edit>(edits_.data(), edits_.size());
    result.slots = 4;
    result.used = ~RegMask{0};
    Diag diag;
    return check_allocation(b.finish(), x64_env(), result, &diag) == Err::kOk;
  }

  LirBuilder b;

 private:
  std::vector<Allocation> operands_;
  std::vector<Edit> edits_;
};

// Where another value takes the slot of one that is read after a loop.
TEST(Check, SlotAcrossLoop) {
  enum Where { kNowhere, kHeader, kLatch, kUpperHalf, kAfter };
  auto accepted = [](Where where) {
    InSlots s;
    s.b.block();
    VReg x = s.define(0, 16);
    s.b.jump(1);
    s.b.block();  // 1: the header
    if (where == kHeader) s.define(0);
    s.b.branch({}, {2, 3});
    s.b.block();  // 2
    if (where == kLatch) s.define(0);
    if (where == kUpperHalf) s.define(1);
    s.b.jump(1);
    s.b.block();  // 3
    s.read(x, 0);
    if (where == kAfter) s.define(0);
    s.b.ret({});
    return s.accepted();
  };
  EXPECT_TRUE(accepted(kNowhere));
  EXPECT_FALSE(accepted(kHeader));
  EXPECT_FALSE(accepted(kLatch));
  EXPECT_FALSE(accepted(kUpperHalf));
  EXPECT_TRUE(accepted(kAfter));
}

// The arms are laid out last, as cold ones are, and a loop follows them.
TEST(Check, SlotAcrossIf) {
  enum Where { kNowhere, kThen, kElse, kRestored, kLeft };
  auto accepted = [](Where where, bool loop) {
    InSlots s;
    s.b.block();
    VReg x = s.define(0);
    s.copy(0, 1);
    s.b.branch({}, {4, 5});
    s.b.block();  // 1: where the arms meet
    s.b.branch({}, {2, 3});
    s.b.block();  // 2
    s.b.jump(loop ? 1 : 3);
    s.b.block();  // 3
    s.read(x, 0);
    s.b.ret({});
    s.b.block();  // 4
    if (where == kThen || where == kLeft || where == kRestored) s.define(0);
    if (where == kRestored) s.copy(1, 0);
    if (where == kLeft)
      s.b.ret({});
    else
      s.b.jump(1);
    s.b.block();  // 5
    if (where == kElse) s.define(0);
    s.b.jump(1);
    return s.accepted();
  };
  for (bool loop : {false, true}) {
    EXPECT_TRUE(accepted(kNowhere, loop));
    EXPECT_FALSE(accepted(kThen, loop));
    EXPECT_FALSE(accepted(kElse, loop));
    EXPECT_TRUE(accepted(kRestored, loop));
    EXPECT_TRUE(accepted(kLeft, loop));
  }
}

// A loop in a loop: what is read after the inner one and overwritten then.
TEST(Check, SlotReusedLaterInLoop) {
  auto accepted = [](bool defined_inside, bool overwritten) {
    InSlots s;
    VReg x = kNone;
    s.b.block();
    if (!defined_inside) x = s.define(0);
    s.b.jump(1);
    s.b.block();  // 1: the outer header
    if (defined_inside) x = s.define(0);
    s.b.jump(2);
    s.b.block();  // 2: the inner one
    s.empty_loop(2);
    s.read(x, 0);
    if (overwritten) s.define(0);
    s.b.branch({}, {5, 6});
    s.b.block();  // 5
    s.b.jump(1);
    s.b.block();  // 6
    s.b.ret({});
    return s.accepted();
  };
  EXPECT_TRUE(accepted(false, false));
  EXPECT_FALSE(accepted(false, true));
  EXPECT_TRUE(accepted(true, false));
  EXPECT_TRUE(accepted(true, true));
}

TEST(Check, SlotStoredOnSomeWays) {
  auto accepted = [](bool on_first, bool on_second, bool in_loop) {
    InSlots s;
    s.b.block();
    VReg x = s.define(1);
    s.b.branch({}, {1, 2});
    s.b.block();  // 1
    if (on_first) s.copy(1, 0);
    s.b.jump(3);
    s.b.block();  // 2
    if (on_second) s.copy(1, 0);
    s.b.jump(3);
    s.b.block();  // 3: the header of a loop
    s.b.branch({}, {4, 5});
    s.b.block();  // 4
    if (in_loop) s.copy(1, 0);
    s.b.jump(3);
    s.b.block();  // 5
    s.read(x, 0);
    s.b.ret({});
    return s.accepted();
  };
  EXPECT_TRUE(accepted(true, true, false));
  EXPECT_TRUE(accepted(true, true, true));
  EXPECT_FALSE(accepted(true, false, true));
  EXPECT_FALSE(accepted(false, true, false));
  EXPECT_FALSE(accepted(false, false, true));
}

// A loop's parameter in slot 0, of which there is a copy in slot 1, and what is passed on the way back.
TEST(Check, ParameterInSlotAcrossLoops) {
  enum Copied { kBefore, kInHeader, kAtEnd };
  auto accepted = [](Copied copied, u32 next_slot, u32 read_slot) {
    InSlots s;
    VReg p = s.b.vreg();
    s.b.block();
    VReg x = s.define(0);
    if (copied == kBefore) s.copy(0, 1);
    s.b.jump(1, {x});
    s.b.block({p});  // 1
    if (copied == kInHeader) s.copy(0, 1);
    s.b.jump(2);
    s.b.block();  // 2: an inner loop
    s.empty_loop(2);
    s.read(p, read_slot);
    s.b.branch({}, {5, 6});
    s.b.block();  // 5
    VReg next = s.define(next_slot);
    if (copied == kAtEnd) s.copy(next_slot, 1);
    s.b.jump(1, {next});
    s.b.block();  // 6: another loop
    s.empty_loop(6);
    s.read(p, read_slot);
    s.b.ret({});
    return s.accepted();
  };
  EXPECT_TRUE(accepted(kInHeader, 0, 0));
  EXPECT_TRUE(accepted(kInHeader, 0, 1));
  EXPECT_FALSE(accepted(kInHeader, 2, 0));
  EXPECT_FALSE(accepted(kBefore, 0, 1));
  EXPECT_FALSE(accepted(kAtEnd, 0, 1));
  EXPECT_TRUE(accepted(kBefore, 0, 0));
}

TEST(Check, UnchangedParameterInSlot) {
  auto accepted = [](bool read_argument) {
    InSlots s;
    VReg p = s.b.vreg();
    s.b.block();
    VReg x = s.define(0);
    s.b.jump(1, {x});
    s.b.block({p});  // 1
    s.b.branch({}, {2, 3});
    s.b.block();  // 2
    s.b.jump(1, {p});
    s.b.block();  // 3: another loop
    s.empty_loop(3);
    s.read(read_argument ? x : p, 0);
    s.b.ret({});
    return s.accepted();
  };
  EXPECT_TRUE(accepted(false));
  EXPECT_TRUE(accepted(true));
}

// A loop with two ways in, of which neither block dominates the other.
TEST(Check, SlotInIrreducibleLoop) {
  auto accepted = [](bool first, bool second) {
    InSlots s;
    s.b.block();
    VReg x = s.define(0);
    s.b.branch({}, {1, 2});
    s.b.block();  // 1
    s.b.branch({}, {2, 3});
    s.b.block();  // 2
    if (second) s.define(0);
    s.b.jump(1);
    s.b.block();  // 3
    s.read(x, 0);
    if (first) s.define(0);
    s.b.branch({}, {4, 5});
    s.b.block();  // 4
    s.b.jump(1);
    s.b.block();  // 5
    s.b.ret({});
    return s.accepted();
  };
  EXPECT_TRUE(accepted(false, false));
  EXPECT_FALSE(accepted(true, false));
  EXPECT_FALSE(accepted(false, true));
}

// Stores over what is in slots: where that is accepted, nothing may read it any more.
TEST(Check, StoresAtRandomPlaces) {
  u32 rejected = 0, accepted = 0;
  for (u32 seed = 0; seed < 300; seed++) {
    RandomShape shape;
    shape.statements = 80;
    shape.live = 30;
    shape.max_depth = 5;
    shape.cold_last = seed % 2;
    RandomLir random(seed, shape);
    LirFunction& f = random.make();
    AllocationResult result;
    Diag diag;
    ASSERT_EQ(allocate(f, x64_env(), &result, &diag), Err::kOk);
    std::mt19937 rng(seed);
    for (u32 attempt = 0; attempt < 10 && result.slots > 0; attempt++) {
      std::vector<Edit> edits(result.edits.begin(), result.edits.end());
      Edit store = {Edit::kMove,
                    8,
                    RegClass::kInt,
                    static_cast<u32>(rng() % f.insts.size()),
                    {Allocation::kReg, kIntRegs[rng() % 11]},
                    {Allocation::kSlot, static_cast<u32>(rng() % result.slots)},
                    0};
      auto place = std::find_if(edits.begin(), edits.end(),
                                [&](const Edit& edit) { return edit.inst >= store.inst; });
      edits.insert(place, store);
      AllocationResult broken = result;
      broken.edits = Span<Edit>(edits.data(), edits.size());
      Diag verdict;
      if (check_allocation(f, x64_env(), broken, &verdict) != Err::kOk) {
        rejected++;
        continue;
      }
      accepted++;
      for (u64 input = 0; input < 4; input++) {
        auto difference = Lockstep(f, broken, input).run(1000);
        ASSERT_FALSE(difference.has_value()) << "seed " << seed << ": " << *difference;
      }
    }
  }
  EXPECT_GT(rejected, 500u);
  EXPECT_GT(accepted, 500u);
}

// Breaks random allocations at random places. What the checker accepts must still compute the right values, and
// hardly any damage may be accepted at all (some is harmless: a store that no path needs, a hash of nothing).
TEST(Check, Mutations) {
  u32 rejected = 0, accepted = 0;
  for (u32 seed = 0; seed < 400; seed++) {
    RandomShape shape;
    shape.statements = 30;
    shape.cold_last = seed % 2;
    RandomLir random(seed, shape);
    LirFunction& f = random.make();
    AllocationResult result;
    Diag diag;
    ASSERT_EQ(allocate(f, x64_env(), &result, &diag), Err::kOk);
    std::mt19937 rng(seed);
    for (u32 attempt = 0; attempt < 10; attempt++) {
      std::vector<Allocation> operands(result.operands.begin(), result.operands.end());
      std::vector<Edit> edits(result.edits.begin(), result.edits.end());
      auto damage = [&](Allocation* a) {
        if (a->kind == Allocation::kSlot)
          a->index = (a->index + 1 + rng() % result.slots) % result.slots;
        else
          a->index = a->index < 16 ? kIntRegs[rng() % 11] : kVecRegs[rng() % 15];
      };
      switch (rng() % 4) {
        case 0:
          if (operands.empty()) continue;
          damage(&operands[rng() % operands.size()]);
          break;
        case 1:
          if (edits.empty()) continue;
          edits.erase(edits.begin() + rng() % edits.size());
          break;
        case 2: {
          if (edits.empty()) continue;
          Edit& edit = edits[rng() % edits.size()];
          damage(edit.kind != Edit::kRemat && rng() % 2 ? &edit.from : &edit.to);
          break;
        }
        case 3: {
          if (edits.size() < 2) continue;
          u32 e = rng() % (edits.size() - 1);
          if (edits[e].inst != edits[e + 1].inst) continue;
          std::swap(edits[e], edits[e + 1]);
          break;
        }
      }
      AllocationResult broken = result;
      broken.operands = Span<Allocation>(operands.data(), operands.size());
      broken.edits = Span<Edit>(edits.data(), edits.size());
      broken.used = ~RegMask{0};
      Diag verdict;
      if (check_allocation(f, x64_env(), broken, &verdict) != Err::kOk) {
        rejected++;
        continue;
      }
      accepted++;
      for (u64 input = 0; input < 4; input++) {
        auto difference = Lockstep(f, broken, input).run(500);
        ASSERT_FALSE(difference.has_value()) << "seed " << seed << ": " << *difference;
      }
    }
  }
  EXPECT_GT(rejected, 1500u);
  EXPECT_LT(accepted, rejected / 2);
}

}  // namespace
}  // namespace wring::ra::testing
