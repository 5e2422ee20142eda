// SPDX-License-Identifier: GPL-2.0
// Trap records: reason, place, and the frames up to the entry.
#include "selftests/core/runtime/engine_fixture.h"

namespace wring::test {
namespace {

class TrapTest : public EngineTest {
 protected:
  const wring_vmctx& vmctx(wring_instance* i) { return *wring_instance_vmctx(i); }
  std::vector<unsigned> functions(wring_instance* i) {
    std::vector<unsigned> out;
    for (unsigned n = 0; n < vmctx(i).trap_frame_count; n++)
      out.push_back(vmctx(i).trap_frames[n].func);
    return out;
  }
};

// Loops keep the functions from being inlined into each other.
const char kNested[] = R"((module
  (memory 1)
  (func $trap (param i32) (result i32) (loop (br_if 0 (i32.const 0)))
    (i32.load (local.get 0)))
  (func $middle (param i32) (result i32) (local i64 i64) (loop (br_if 0 (i32.const 0)))
    (i32.add (call $trap (local.get 0)) (i32.const 1)))
  (func $many (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (loop (br_if 0 (i32.const 0)))
    (i32.add (call $middle (local.get 8)) (local.get 7)))
  (func (export "outer") (param i32) (result i32) (loop (br_if 0 (i32.const 0)))
    (i32.mul (call $many (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                         (i32.const 0) (i32.const 0) (i32.const 5) (local.get 0))
             (i32.const 2)))))";

TEST_F(TrapTest, BacktraceNamesEveryFrame) {
  wring_instance* i = load(kNested);
  EXPECT_VALUE(call(i, "outer", {0}), 12u);
  EXPECT_TRAP(call(i, "outer", {0x10000}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_EQ(vmctx(i).trap_reason, static_cast<unsigned>(WRING_TRAP_MemoryOutOfBounds));
  EXPECT_EQ(functions(i), (std::vector<unsigned>{0, 1, 2, 3}));
}

TEST_F(TrapTest, OffsetsPointAtTheInstructions) {
  std::string bytes = wat(kNested);
  wring_instance* i = load(kNested);
  EXPECT_TRAP(call(i, "outer", {0x10000}), WRING_TRAP_MemoryOutOfBounds);
  constexpr unsigned char kI32Load = 0x28, kCall = 0x10;
  ASSERT_EQ(vmctx(i).trap_frame_count, 4u);
  EXPECT_EQ(static_cast<unsigned char>(bytes[vmctx(i).trap_frames[0].offset]), kI32Load);
  for (unsigned n = 1; n < 4; n++) {
    unsigned offset = vmctx(i).trap_frames[n].offset;
    EXPECT_EQ(static_cast<unsigned char>(bytes[offset]), kCall);
    EXPECT_EQ(static_cast<unsigned char>(bytes[offset + 1]), n - 1) << "the callee";
  }
}

TEST_F(TrapTest, TheInstanceWorksAfterATrap) {
  wring_instance* i = load(kNested);
  for (int n = 0; n < 3; n++) {
    EXPECT_TRAP(call(i, "outer", {0xffffffff}), WRING_TRAP_MemoryOutOfBounds);
    EXPECT_VALUE(call(i, "outer", {4}), 12u);
    EXPECT_EQ(vmctx(i).trap_reason, 0u);
    EXPECT_EQ(vmctx(i).turns % 2, 0u);
  }
}

TEST_F(TrapTest, EveryReasonIsReported) {
  wring_instance* i = load(R"((module
    (table 2 funcref) (elem (i32.const 0) $f)
    (func $f (param i32) (result i32) (local.get 0))
    (func (export "unreachable") unreachable)
    (func (export "div_u") (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1)))
    (func (export "div_s") (param i64 i64) (result i64) (i64.div_s (local.get 0) (local.get 1)))
    (func (export "rem_s") (param i64 i64) (result i64) (i64.rem_s (local.get 0) (local.get 1)))
    (func (export "type") (call_indirect (i32.const 0)))
    (func (export "null") (call_indirect (i32.const 1)))
    (func (export "undefined") (param i32) (call_indirect (local.get 0)))
    (func (export "forever") (loop (br 0)))
    (func $deep (export "deep") (param i64) (result i64)
      (i64.add (i64.const 1) (call $deep (local.get 0))))))");
  EXPECT_TRAP(call(i, "unreachable"), WRING_TRAP_Unreachable);
  EXPECT_TRAP(call(i, "div_u", {1, 0}), WRING_TRAP_IntegerDivideByZero);
  EXPECT_TRAP(call(i, "div_s", {1ull << 63, ~0ull}), WRING_TRAP_IntegerOverflow);
  EXPECT_TRAP(call(i, "div_s", {1, 0}), WRING_TRAP_IntegerDivideByZero);
  EXPECT_VALUE(call(i, "rem_s", {1ull << 63, ~0ull}), 0u);
  EXPECT_TRAP(call(i, "rem_s", {1, 0}), WRING_TRAP_IntegerDivideByZero);
  EXPECT_TRAP(call(i, "type"), WRING_TRAP_IndirectCallType);
  EXPECT_TRAP(call(i, "null"), WRING_TRAP_UninitializedElement);
  EXPECT_TRAP(call(i, "undefined", {2}), WRING_TRAP_UndefinedElement);
  EXPECT_TRAP(call(i, "undefined", {0xffffffff}), WRING_TRAP_UndefinedElement);
  unsigned long long fuel = 1000;
  EXPECT_TRAP(call(i, "forever", {}, &fuel), WRING_TRAP_FuelExhausted);
  EXPECT_EQ(fuel, 0u);
  EXPECT_TRAP(call(i, "deep", {1}), WRING_TRAP_StackExhausted);
}

TEST_F(TrapTest, DeepBacktracesAreCut) {
  wring_instance* i = load(R"((module (func $deep (export "deep") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
      (else unreachable)))))");
  EXPECT_TRAP(call(i, "deep", {3}), WRING_TRAP_Unreachable);
  EXPECT_EQ(vmctx(i).trap_frame_count, 4u);
  EXPECT_TRAP(call(i, "deep", {100}), WRING_TRAP_Unreachable);
  EXPECT_EQ(vmctx(i).trap_frame_count, static_cast<unsigned>(WRING_MAX_TRAP_FRAMES));
  EXPECT_EQ(functions(i), std::vector<unsigned>(WRING_MAX_TRAP_FRAMES, 0));
}

TEST_F(TrapTest, StackExhaustionHasABacktraceToo) {
  wring_instance* i = load(R"((module (func $deep (export "deep") (result i32)
    (i32.add (i32.const 1) (call $deep)))))");
  EXPECT_TRAP(call(i, "deep"), WRING_TRAP_StackExhausted);
  EXPECT_EQ(functions(i), std::vector<unsigned>(WRING_MAX_TRAP_FRAMES, 0));
}

TEST_F(TrapTest, TrapsInOtherInstancesUnwindToTheOutermostEntry) {
  wring_instance* a =
      load(R"((module (memory 1) (func $load (param i32) (result i32) (loop (br_if 0 (i32.const 0)))
      (i32.load (local.get 0)))
    (func (export "f") (param i32) (result i32)
      (i32.add (call $load (local.get 0)) (i32.const 0)))))");
  wring_instance* b = load(R"((module
    (import "a" "f" (func $f (param i32) (result i32)))
    (func $inner (param i32) (result i32) (loop (br_if 0 (i32.const 0)))
      (i32.add (call $f (local.get 0)) (i32.const 1)))
    (func (export "run") (param i32) (result i32) (loop (br_if 0 (i32.const 0)))
      (i32.add (call $inner (local.get 0)) (i32.const 1)))))",
                           {from(a, "f")});
  EXPECT_VALUE(call(b, "run", {0}), 2u);
  EXPECT_TRAP(call(b, "run", {0x20000}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_EQ(functions(b), (std::vector<unsigned>{WRING_NO_INDEX, WRING_NO_INDEX, 1, 2}));
  EXPECT_EQ(vmctx(a).trap_reason, 0u);
  EXPECT_VALUE(call(a, "f", {0}), 0u);
  EXPECT_TRAP(call(a, "f", {0x20000}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_EQ(functions(a), (std::vector<unsigned>{0, 1}));
  EXPECT_VALUE(call(b, "run", {0}), 2u);
}

TEST_F(TrapTest, LookupNamesSites) {
  wring_instance* i = load(kNested);
  EXPECT_TRAP(call(i, "outer", {0x10000}), WRING_TRAP_MemoryOutOfBounds);
  unsigned func = 77, offset = 0;
  auto pc = reinterpret_cast<unsigned long long>(vmctx(i).trap_pc);
  ASSERT_EQ(wring_code_lookup(loaded[0].code, pc, &func, &offset), 0);
  EXPECT_EQ(func, 0u);
  EXPECT_EQ(offset, vmctx(i).trap_frames[0].offset);
  EXPECT_EQ(wring_code_lookup(loaded[0].code, pc + 1, &func, &offset), -1);
  EXPECT_EQ(wring_code_lookup(loaded[0].code, 0, &func, &offset), -1);
}

TEST(TrapText, UnknownReasonsHaveOneToo) {
  EXPECT_STREQ(wring_trap_text(WRING_TRAP_Unreachable), "unreachable");
  EXPECT_STREQ(wring_trap_text(WRING_TRAP_COUNT), "unknown trap");
}

}  // namespace
}  // namespace wring::test
