// SPDX-License-Identifier: GPL-2.0
// SSA construction of exceptions and tail calls.
#include "selftests/core/ir/program_fixture.h"

namespace wring::test {
namespace {

using ir::Op;
constexpr u32 kCatch = 0, kCatchRef = 1, kCatchAll = 2, kCatchAllRef = 3;

class BuildException : public ProgramTest {
 protected:
  // A function that throws `tag` with its i32 argument (if the tag has a parameter) unless that is zero.
  u32 thrower(u32 tag, bool has_value) {
    Code code;
    code.op(O::kLocalGet, 0).block(O::kIf, -64);
    if (has_value) code.op(O::kLocalGet, 0);
    code.op(O::kThrow, tag).end().op(O::kLocalGet, 0);
    return func("i", "i", code);
  }
};

TEST_F(BuildException, UncaughtOnesLeaveTheFunction) {
  u32 tag = writer_.tag(writer_.type("i", ""));
  u32 inner = thrower(tag, true);
  Code outer;
  outer.op(O::kLocalGet, 0).op(O::kCall, inner).i32(1).op(O::kI32Add);
  u32 f = func("i", "i", outer);
  load();
  expect(f, {0}, {1});
  expect_trap(f, {5}, TrapReason::kUncaughtException);
}

TEST_F(BuildException, CatchGetsValuesAndLocals) {
  u32 tag = writer_.tag(writer_.type("i", ""));
  u32 inner = thrower(tag, true);
  // The local is 1 before the first call, 2 before the second.
  Code code;
  code.block(O::kBlock, -1);
  code.try_table(-64, {{kCatch, tag, 0}});
  code.i32(1).op(O::kLocalSet, 2).op(O::kLocalGet, 0).op(O::kCall, inner).op(O::kDrop);
  code.i32(2).op(O::kLocalSet, 2).op(O::kLocalGet, 1).op(O::kCall, inner).op(O::kDrop);
  code.i32(3).op(O::kLocalSet, 2);
  code.end().i32(100).end();
  code.i32(1000).op(O::kLocalGet, 2).op(O::kI32Mul).op(O::kI32Add);
  u32 f = func("ii", "i", code, "i");
  load();
  expect(f, {0, 0}, {3100});
  expect(f, {7, 8}, {1007});
  expect(f, {0, 8}, {2008});
}

TEST_F(BuildException, ThrowInTheSameFunctionGoesToItsHandler) {
  u32 tag = writer_.tag(writer_.type("lv", ""));
  Code code;
  code.block(O::kBlock, writer_.type("", "lv"));
  code.try_table(-64, {{kCatch, tag, 0}});
  code.i64(42).v128(1, 2).op(O::kThrow, tag);
  code.end().op(O::kUnreachable).end();
  u32 f = func("", "lv", code);
  load();
  expect(f, {}, {42, 1, 2});
}

TEST_F(BuildException, ClausesAreTriedInOrderAndNestOutwards) {
  u32 a = writer_.tag(writer_.type("i", "")), b = writer_.tag(writer_.type("", "")),
      c = writer_.tag(writer_.type("", ""));
  Code choose;
  choose.block(O::kBlock, -64).block(O::kBlock, -64).block(O::kBlock, -64);
  choose.op(O::kLocalGet, 0).br_table({0, 1, 2}, 3);
  choose.end().i32(77).op(O::kThrow, a).end().op(O::kThrow, b).end().op(O::kThrow, c);
  u32 inner = func("i", "", choose);
  // Inside catches a; around it b, then anything.
  Code code;
  code.block(O::kBlock, -64).block(O::kBlock, -64).block(O::kBlock, -1);
  code.try_table(-64, {{kCatch, b, 1}, {kCatchAll, 2}});
  code.try_table(-64, {{kCatch, a, 1}});
  code.op(O::kLocalGet, 0).op(O::kCall, inner);
  code.end().end().i32(1).op(O::kReturn);
  code.end().op(O::kReturn);         // a: its value
  code.end().i32(2).op(O::kReturn);  // b
  code.end().i32(3);                 // c
  u32 f = func("i", "i", code);
  load();
  expect(f, {0}, {77});
  expect(f, {1}, {2});
  expect(f, {2}, {3});
  expect(f, {3}, {1});
}

TEST_F(BuildException, ReferencesAreRethrown) {
  u32 tag = writer_.tag(writer_.type("i", ""));
  u32 inner = thrower(tag, true);
  // Catches with a reference, throws that, and catches again around.
  Code code;
  code.block(O::kBlock, -1);
  code.try_table(-64, {{kCatch, tag, 0}});
  code.block(O::kBlock, writer_.type("", "ix"));
  code.try_table(-64, {{kCatchRef, tag, 0}});
  code.op(O::kLocalGet, 0).op(O::kCall, inner).op(O::kDrop);
  code.end().i32(-1).op(O::kReturn).end();
  code.op(O::kThrowRef).end();
  code.op(O::kUnreachable).end();
  u32 f = func("i", "i", code);
  Code null;
  null.op(O::kRefNull, ModuleWriter::kExnRef).op(O::kThrowRef);
  u32 g = func("", "", null);
  Code all;
  all.block(O::kBlock, ModuleWriter::kExnRef - 0x80);
  all.try_table(-64, {{kCatchAllRef, 0}});
  all.op(O::kLocalGet, 0).op(O::kCall, inner).op(O::kDrop);
  all.end().i32(4).op(O::kReturn).end();
  all.op(O::kRefIsNull);
  u32 h = func("i", "i", all);
  load();
  expect(f, {9}, {9});
  expect(f, {0}, {0xffff'ffff});
  expect_trap(g, {}, TrapReason::kNullReference);
  expect(h, {0}, {4});
  expect(h, {1}, {0});
}

TEST_F(BuildException, HandlersInLoopsCarryWhatTheLoopAssigns) {
  u32 tag = writer_.tag(writer_.type("i", ""));
  u32 inner = thrower(tag, true);
  // for (; n; n--) try { f(n & 1) ; sum += 1 } catch { sum += 100 }
  Code code;
  code.block(O::kLoop, -64);
  code.block(O::kBlock, -64).block(O::kBlock, -1);
  code.try_table(-64, {{kCatch, tag, 0}});
  code.op(O::kLocalGet, 0).i32(1).op(O::kI32And).op(O::kCall, inner).op(O::kDrop);
  code.op(O::kLocalGet, 1).i32(1).op(O::kI32Add).op(O::kLocalSet, 1);
  code.end().op(O::kBr, 1).end();
  code.i32(100).op(O::kI32Mul).op(O::kLocalGet, 1).op(O::kI32Add).op(O::kLocalSet, 1).end();
  code.op(O::kLocalGet, 0).i32(-1).op(O::kI32Add).op(O::kLocalTee, 0).op(O::kBrIf, 0).end();
  code.op(O::kLocalGet, 1);
  u32 f = func("i", "i", code, "i");
  // A clause may go back to the loop itself.
  Code back;
  back.i32(3).op(O::kLocalSet, 1);
  back.block(O::kLoop, -64);
  back.op(O::kLocalGet, 1).i32(-1).op(O::kI32Add).op(O::kLocalSet, 1);
  back.try_table(-64, {{kCatchAll, 0}});
  back.op(O::kLocalGet, 1).op(O::kCall, inner).op(O::kDrop).end().end();
  back.op(O::kLocalGet, 1);
  u32 g = func("i", "i", back, "i");
  load();
  expect(f, {5}, {302});
  expect(g, {0}, {0});
}

TEST_F(BuildException, ATryThatCannotThrowIsABlock) {
  u32 tag = writer_.tag(writer_.type("", ""));
  Code code;
  code.try_table(-1, {{kCatch, tag, 0}});
  code.op(O::kLocalGet, 0).i32(5).op(O::kI32Mul).end();
  Code bad;  // after unreachable code
  bad.op(O::kUnreachable).try_table(-64, {{kCatchAll, 0}}).op(O::kThrow, tag).end();
  u32 f = func("i", "", Code());
  Code uses;
  uses.block(O::kBlock, -64).try_table(-64, {{kCatchAll, 0}}).end().end();
  u32 g = func("", "", uses), h = func("", "", bad);
  load();
  EXPECT_EQ(built(g, Op::kLoadRaw), 0u);
  expect(f, {1}, {});
  expect(g, {}, {});
  expect_trap(h, {}, TrapReason::kUnreachable);
}

TEST_F(BuildException, UnwindingIsCold) {
  u32 tag = writer_.tag(writer_.type("i", ""));
  u32 inner = thrower(tag, true);
  Code code;
  for (u32 i = 0; i < 3; i++) code.op(O::kLocalGet, 0).op(O::kCall, inner).op(O::kLocalSet, 0);
  code.op(O::kLocalGet, 0);
  u32 f = func("i", "i", code);
  load();
  const ir::Function& ir = *built_->function(f);
  u32 cold = 0;
  for (const ir::Block& block : ir.blocks)
    if (ir.insts[block.insts.back()].op == Op::kReturn) cold += block.is_cold;
  EXPECT_EQ(cold, 1u);  // shared by the calls
}

TEST_F(BuildException, TailCallsEndTheFunction) {
  Code countdown;  // n == 0 ? acc : f(n - 1, acc + n)
  countdown.op(O::kLocalGet, 0).op(O::kI32Eqz).block(O::kIf, -64);
  countdown.op(O::kLocalGet, 1).op(O::kReturn).end();
  countdown.op(O::kLocalGet, 0).i32(-1).op(O::kI32Add);
  countdown.op(O::kLocalGet, 1).op(O::kLocalGet, 0).op(O::kI32Add).op(O::kReturnCall, 0);
  u32 f = func("ii", "i", countdown);
  Code indirect;
  indirect.op(O::kLocalGet, 0).i32(0).op(O::kLocalGet, 1);
  indirect.op(O::kReturnCallIndirect, writer_.type("ii", "i"), 0);
  u32 g = func("ii", "i", indirect);
  Code ref;
  ref.op(O::kLocalGet, 0).i32(0).op(O::kRefFunc, f).op(O::kReturnCallRef, writer_.type("ii", "i"));
  u32 h = func("i", "i", ref);
  writer_.table({f}, 2, 2);
  load();
  EXPECT_EQ(built(f, Op::kTailCall), 1u);
  EXPECT_EQ(built(g, Op::kTailCallPtr), 1u);
  EXPECT_EQ(built(h, Op::kTailCallPtr), 1u);
  expect(f, {10, 0}, {55});
  expect(g, {10, 0}, {55});
  expect_trap(g, {10, 1}, TrapReason::kUninitializedElement);
  expect_trap(g, {10, 2}, TrapReason::kUndefinedElement);
  expect(h, {4}, {10});
}

TEST_F(BuildException, TailCallsOfTheHostAndOfSmallLeaves) {
  u32 host = writer_.import("m", "host", writer_.type("i", "i"));
  Code leaf, to_leaf, to_host;
  leaf.op(O::kLocalGet, 0).i32(3).op(O::kI32Mul);
  u32 l = func("i", "i", leaf);
  to_leaf.op(O::kLocalGet, 0).i32(1).op(O::kI32Add).op(O::kReturnCall, l);
  to_host.op(O::kLocalGet, 0).op(O::kReturnCall, host);
  u32 f = func("i", "i", to_leaf), g = func("i", "i", to_host);
  FunctionBinding binding;
  binding.kind = BindingKind::kHost;
  binding.address = 1;
  prepare_ = [&](Instance* instance) {
    instance->set_host(host, [](wring_vmctx*, const std::vector<u64>& a) { return a[0] * 7; });
  };
  load({binding});
  EXPECT_EQ(built(f, Op::kTailCall) + built(f, Op::kCall), 0u);
  expect(f, {4}, {15});
  expect(g, {6}, {42});
}

// What a tail call throws is not this function's to catch.
TEST_F(BuildException, TailCallsLeaveTheTry) {
  u32 tag = writer_.tag(writer_.type("i", ""));
  u32 inner = thrower(tag, true);
  Code code;
  code.block(O::kBlock, -1).try_table(-64, {{kCatch, tag, 0}});
  code.op(O::kLocalGet, 0).op(O::kReturnCall, inner).end().op(O::kUnreachable).end();
  u32 f = func("i", "i", code);
  load();
  expect_trap(f, {3}, TrapReason::kUncaughtException);
}

}  // namespace
}  // namespace wring::test
