// SPDX-License-Identifier: GPL-2.0
// SSA construction: what it makes of bindings, tables, checks and metering.
#include <gtest/gtest.h>

#include "core/ir/cfg.h"
#include "core/ir/dump.h"
#include "selftests/core/ir/interpreter.h"
#include "selftests/core/ir/module_writer.h"

namespace wring::test {
namespace {

using O = Opcode;
using ir::Op;

struct StringSink final : TextSink {
  std::string text;
  bool write(const char* bytes, usize size) override {
    text.append(bytes, size);
    return true;
  }
};

// A module with its functions built.
class Build : public ::testing::Test {
 protected:
  void load(std::vector<FunctionBinding> bindings = {}, std::vector<MapBinding> maps = {}) {
    std::string message;
    Module* module = decode_module(writer_.finish(), &message);
    ASSERT_TRUE(module) << message;
    program_ = std::make_unique<Program>(module, bindings, maps);
    program_->bindings().gs_this_cpu_off = 8;
    program_->compile(false);
    ASSERT_EQ(program_->error(), "");
  }
  const ir::Function& f(u32 index) { return *program_->function(index); }
  u32 count(u32 func, Op op) {
    u32 n = 0;
    for (const ir::Block& block : f(func).blocks)
      for (ir::Value v : block.insts) n += f(func).insts[v].op == op;
    return n;
  }
  Outcome call(u32 func, std::vector<u64> args) {
    Instance instance(*program_);
    Outcome out = instance.instantiate();
    return out.kind == Outcome::kReturned ? instance.call(func, args) : out;
  }
  ModuleWriter writer_;
  std::unique_ptr<Program> program_;
};

TEST_F(Build, OnlyLoopsThatLoopAreMetered) {
  Code never, once;
  never.block(O::kLoop, -64).end().i32(1);
  once.block(O::kLoop, -64)
      .op(O::kLocalGet, 0)
      .i32(-1)
      .op(O::kI32Add)
      .op(O::kLocalTee, 0)
      .op(O::kBrIf, 0)
      .end();
  once.op(O::kLocalGet, 0);
  u32 a = writer_.function(writer_.type("", "i"), "", never);
  u32 b = writer_.function(writer_.type("i", "i"), "", once);
  load();
  EXPECT_EQ(count(a, Op::kFuel), 0u);
  EXPECT_EQ(count(b, Op::kFuel), 1u);
  Instance instance(*program_);
  ASSERT_EQ(instance.instantiate().kind, Outcome::kReturned);
  EXPECT_EQ(instance.call(b, {10}).kind, Outcome::kReturned);
  EXPECT_EQ(instance.fuel_used(), 10u);
}

TEST_F(Build, MergesMakePhisOnlyWhereValuesDiffer) {
  Code code;
  code.op(O::kLocalGet, 0).block(O::kIf, -64).i32(1).op(O::kLocalSet, 1).i32(9).op(O::kLocalSet, 2);
  code.op(O::kElse).i32(2).op(O::kLocalSet, 1).i32(9).op(O::kLocalSet, 2).end();
  code.op(O::kLocalGet, 1).op(O::kLocalGet, 2).op(O::kI32Add);
  u32 func = writer_.function(writer_.type("i", "i"), "iiii", code);
  load();
  EXPECT_EQ(count(func, Op::kPhi), 1u);
  EXPECT_EQ(call(func, {1}).results[0], 10u);
  EXPECT_EQ(call(func, {0}).results[0], 11u);
}

TEST_F(Build, LoopPhisOnlyForAssignedLocals) {
  Code code;
  code.block(O::kLoop, -64)
      .op(O::kLocalGet, 0)
      .i32(-1)
      .op(O::kI32Add)
      .op(O::kLocalTee, 0)
      .op(O::kBrIf, 0)
      .end();
  code.op(O::kLocalGet, 1).op(O::kLocalGet, 0).op(O::kI32Sub);
  u32 func = writer_.function(writer_.type("ii", "i"), "iii", code);
  load();
  EXPECT_EQ(count(func, Op::kPhi), 1u);
  EXPECT_EQ(call(func, {3, 42}).results[0], 42u);
}

TEST_F(Build, BranchTableEdgesToOneLabelShareABlock) {
  Code code;
  code.block(O::kBlock, -64)
      .block(O::kBlock, -64)
      .op(O::kLocalGet, 0)
      .br_table({0, 1, 0, 1, 0}, 0)
      .end();
  code.i32(5).op(O::kLocalSet, 1).end().op(O::kLocalGet, 1);
  u32 func = writer_.function(writer_.type("i", "i"), "i", code);
  load();
  for (const ir::Block& block : f(func).blocks) {
    if (f(func).insts[block.insts.back()].op != Op::kSwitch) continue;
    ASSERT_EQ(block.succs.size(), 6u);
    EXPECT_EQ(block.succs[0], block.succs[2]);
    EXPECT_EQ(block.succs[0], block.succs[5]);
    EXPECT_NE(block.succs[0], block.succs[1]);
    EXPECT_NE(ir::single_pred(f(func).blocks[block.succs[0]]), kNone);
  }
  EXPECT_EQ(call(func, {0}).results[0], 5u);
  EXPECT_EQ(call(func, {1}).results[0], 0u);
  EXPECT_EQ(call(func, {77}).results[0], 5u);
}

TEST_F(Build, DivisionChecksOnlyWhatCanHappen) {
  Code any, by7, by_minus1, by0;
  any.op(O::kLocalGet, 0).op(O::kLocalGet, 1).op(O::kI32DivS);
  by7.op(O::kLocalGet, 0).i32(7).op(O::kI32DivS);
  by_minus1.op(O::kLocalGet, 0).i32(-1).op(O::kI32DivS);
  by0.op(O::kLocalGet, 0).i32(0).op(O::kI32RemU);
  u32 a = writer_.function(writer_.type("ii", "i"), "", any);
  u32 b = writer_.function(writer_.type("i", "i"), "", by7);
  u32 c = writer_.function(writer_.type("i", "i"), "", by_minus1);
  u32 d = writer_.function(writer_.type("i", "i"), "", by0);
  load();
  EXPECT_EQ(count(a, Op::kTrapIf), 2u);
  EXPECT_EQ(count(b, Op::kTrapIf), 0u);
  EXPECT_EQ(count(c, Op::kTrapIf), 1u);
  EXPECT_EQ(count(d, Op::kTrapIf), 1u);
  EXPECT_EQ(call(a, {5, 0}).trap, TrapReason::kIntegerDivideByZero);
  EXPECT_EQ(call(a, {0x8000'0000, 0xffff'ffff}).trap, TrapReason::kIntegerOverflow);
  EXPECT_EQ(call(c, {0x8000'0000}).trap, TrapReason::kIntegerOverflow);
  EXPECT_EQ(call(c, {5}).results[0], 0xffff'fffbu);
  EXPECT_EQ(call(d, {5}).trap, TrapReason::kIntegerDivideByZero);
}

TEST_F(Build, IndirectCallsTrapForTheRightReason) {
  Code answer, other, code;
  answer.i32(42).op(O::kLocalGet, 0).op(O::kI32Add);
  other.i64(1);
  code.op(O::kLocalGet, 0).op(O::kLocalGet, 1).op(O::kCallIndirect, writer_.type("i", "i"), 0);
  u32 a = writer_.function(writer_.type("i", "i"), "", answer);
  u32 b = writer_.function(writer_.type("", "l"), "", other);
  u32 func = writer_.function(writer_.type("ii", "i"), "", code);
  writer_.table({a, b}, 4, 9);
  load();
  EXPECT_EQ(call(func, {8, 0}).results[0], 50u);
  EXPECT_EQ(call(func, {8, 1}).trap, TrapReason::kIndirectCallType);
  EXPECT_EQ(call(func, {8, 2}).trap, TrapReason::kUninitializedElement);
  EXPECT_EQ(call(func, {8, 4}).trap, TrapReason::kUndefinedElement);
  EXPECT_EQ(call(func, {8, 0xffff'ffff}).trap, TrapReason::kUndefinedElement);
  EXPECT_EQ(count(func, Op::kClampIndex), 1u);
}

TEST_F(Build, TablesOfFixedSizeHaveAConstantSize) {
  Code code;
  code.op(O::kTableSize, 0);
  u32 func = writer_.function(writer_.type("", "i"), "", code);
  writer_.table({func}, 6, 6);
  load();
  EXPECT_EQ(count(func, Op::kLoadRaw), 0u);
  EXPECT_EQ(call(func, {}).results[0], 6u);
}

TEST_F(Build, HostFunctionsThatMayTrapAreChecked) {
  u32 host = writer_.import("m", "host", writer_.type("i", "i"));
  Code code;
  code.op(O::kLocalGet, 0).op(O::kCall, host);
  u32 func = writer_.function(writer_.type("i", "i"), "", code);
  FunctionBinding binding;
  binding.kind = BindingKind::kHost;
  binding.address = 1;
  binding.may_trap = true;
  load({binding});
  EXPECT_EQ(count(func, Op::kCallHost), 1u);
  Instance instance(*program_);
  ASSERT_EQ(instance.instantiate().kind, Outcome::kReturned);
  instance.set_host(host, [](wring_vmctx* ctx, const std::vector<u64>& args) -> u64 {
    if (args[0] == 3) ctx->trap_reason = WRING_TRAP_Interrupted;
    return args[0] + 1;
  });
  EXPECT_EQ(instance.call(func, {4}).results[0], 5u);
  EXPECT_EQ(instance.call(func, {3}).trap, TrapReason::kInterrupted);
}

TEST_F(Build, WasmImportsAreCalledThroughTheirSlot) {
  u32 import = writer_.import("m", "f", writer_.type("i", "i"));
  Code code;
  code.op(O::kLocalGet, 0).op(O::kCall, import);
  u32 func = writer_.function(writer_.type("i", "i"), "", code);
  load();
  EXPECT_EQ(count(func, Op::kCallPtr), 1u);
  Instance instance(*program_);
  ASSERT_EQ(instance.instantiate().kind, Outcome::kReturned);
  instance.set_host(import, [](wring_vmctx*, const std::vector<u64>& args) { return args[0] * 2; });
  EXPECT_EQ(instance.call(func, {21}).results[0], 42u);
}

TEST_F(Build, ConstantImportsAreConstants) {
  u32 import = writer_.import("map", "counters", writer_.type("", "i"));
  Code code;
  code.op(O::kCall, import);
  u32 func = writer_.function(writer_.type("", "i"), "", code);
  FunctionBinding binding;
  binding.kind = BindingKind::kConstant;
  binding.value = 17;
  load({binding});
  EXPECT_EQ(call(func, {}).results[0], 17u);
  EXPECT_EQ(count(func, Op::kCallHost) + count(func, Op::kCallPtr), 0u);
}

TEST_F(Build, MapHandlesUnknownOrOpaqueGoToTheHost) {
  u32 add = writer_.import("wring", "map_add", writer_.type("iiil", "i"));
  Code variable, opaque, missing, inlined, odd;
  variable.op(O::kLocalGet, 0).i32(0).i32(0).i64(1).op(O::kCall, add);
  opaque.i32(0).i32(0).i32(0).i64(1).op(O::kCall, add);
  inlined.i32(1).i32(0).i32(8).i64(1).op(O::kCall, add);
  missing.i32(2).i32(0).i32(0).i64(1).op(O::kCall, add);
  odd.i32(1).i32(0).i32(12).i64(1).op(O::kCall, add);  // beyond the value
  u32 type = writer_.type("i", "i");
  u32 a = writer_.function(type, "", variable), b = writer_.function(type, "", opaque),
      c = writer_.function(type, "", inlined), d = writer_.function(type, "", missing),
      e = writer_.function(type, "", odd);
  FunctionBinding binding;
  binding.kind = BindingKind::kIntrinsic;
  binding.intrinsic = Intrinsic::kMapAdd;
  binding.address = 1;
  u64 values[4] = {1, 2, 3, 4};
  MapBinding array;
  array.kind = MapKind::kArray;
  array.max_entries = 2;
  array.elem_bytes = array.value_bytes = 16;
  array.address = reinterpret_cast<u64>(values);
  load({binding}, {MapBinding(), array});
  for (u32 func : {a, b, d, e}) EXPECT_EQ(count(func, Op::kCallHost), 1u) << func;
  EXPECT_EQ(count(c, Op::kCallHost), 0u);
  EXPECT_EQ(call(c, {0}).results[0], 0u);
  EXPECT_EQ(values[1], 3u);
}

TEST_F(Build, SmallLeavesAreInlined) {
  Code leaf, big, caller;
  leaf.op(O::kLocalGet, 0).op(O::kI32Eqz).block(O::kIf, -64).i32(7).op(O::kReturn).end();
  leaf.op(O::kLocalGet, 0).op(O::kLocalGet, 1).op(O::kI32Add).op(O::kLocalTee, 2);
  big.op(O::kLocalGet, 0);
  for (u32 i = 0; i < 60; i++) big.i32(3).op(O::kI32Mul);
  u32 a = writer_.function(writer_.type("ii", "i"), "i", leaf);
  u32 b = writer_.function(writer_.type("i", "i"), "", big);
  // Twice, and the caller's own locals survive.
  caller.i32(100).op(O::kLocalSet, 1);
  caller.op(O::kLocalGet, 0)
      .i32(1)
      .op(O::kCall, a)
      .op(O::kLocalGet, 0)
      .i32(2)
      .op(O::kCall, a)
      .op(O::kI32Add);
  caller.op(O::kLocalGet, 1).op(O::kI32Add);
  u32 c = writer_.function(writer_.type("i", "i"), "i", caller);
  Code calls_big;
  calls_big.i32(1).op(O::kCall, b);
  u32 d = writer_.function(writer_.type("", "i"), "", calls_big);
  load();
  EXPECT_EQ(count(c, Op::kCall), 0u);
  EXPECT_EQ(count(d, Op::kCall), 1u);
  EXPECT_EQ(call(c, {0}).results[0], 114u);
  EXPECT_EQ(call(c, {5}).results[0], 113u);
}

TEST_F(Build, ImmutableGlobalsAreConstants) {
  writer_.global(ModuleWriter::kI64, false, -5);
  writer_.global(ModuleWriter::kI32, true, 6);
  Code fixed, variable;
  fixed.op(O::kGlobalGet, 0);
  variable.op(O::kGlobalGet, 1);
  u32 a = writer_.function(writer_.type("", "l"), "", fixed);
  u32 b = writer_.function(writer_.type("", "i"), "", variable);
  load();
  EXPECT_EQ(count(a, Op::kLoadRaw), 0u);
  EXPECT_EQ(count(b, Op::kLoadRaw), 3u);
  EXPECT_EQ(call(a, {}).results[0], static_cast<u64>(-5));
  EXPECT_EQ(call(b, {}).results[0], 6u);
}

TEST_F(Build, SmallCopiesAndFillsAreSingleAccesses) {
  writer_.memory(1, 1);
  std::vector<u32> fills, copies;
  std::vector<i32> sizes = {1, 2, 3, 7, 8, 15, 16, 31, 32};
  u32 type = writer_.type("ii", "");
  for (i32 n : sizes) {
    Code fill, copy;
    fill.op(O::kLocalGet, 0).op(O::kLocalGet, 1).i32(n).op(O::kMemoryFill, 0);
    copy.op(O::kLocalGet, 0).op(O::kLocalGet, 1).i32(n).op(O::kMemoryCopy, 0, 0);
    fills.push_back(writer_.function(type, "", fill));
    copies.push_back(writer_.function(type, "", copy));
  }
  Code none, many;
  none.op(O::kLocalGet, 0).op(O::kLocalGet, 1).i32(0).op(O::kMemoryCopy, 0, 0);
  many.op(O::kLocalGet, 0).op(O::kLocalGet, 1).i32(100).op(O::kMemoryFill, 0);
  u32 zero = writer_.function(type, "", none), large = writer_.function(type, "", many);
  load();
  EXPECT_EQ(count(zero, Op::kCallLib), 1u);  // it must trap beyond the end
  EXPECT_EQ(count(large, Op::kCallLib), 1u);
  for (u32 i = 0; i < sizes.size(); i++) {
    u32 n = static_cast<u32>(sizes[i]);
    EXPECT_EQ(count(fills[i], Op::kCallLib) + count(copies[i], Op::kCallLib), 0u);
    Instance instance(*program_);
    ASSERT_EQ(instance.instantiate().kind, Outcome::kReturned);
    std::vector<u8>& memory = instance.memory();
    for (u32 k = 0; k < 200; k++) memory[k] = static_cast<u8>(k * 7);
    std::vector<u8> expected = memory;
    std::memset(&expected[50], 0x5a, n);
    EXPECT_EQ(instance.call(fills[i], {50, 0x1235a}).kind, Outcome::kReturned);
    EXPECT_EQ(memory, expected) << n;
    // Overlapping, both ways.
    for (u32 to : {98u, 103u}) {
      std::memmove(&expected[to], &expected[100], n);
      EXPECT_EQ(instance.call(copies[i], {to, 100}).kind, Outcome::kReturned);
      EXPECT_EQ(memory, expected) << n;
    }
    // Nothing is written if the last byte is out of bounds.
    for (u32 back = 0; back < n; back++) {
      u64 end = 65536 - back;
      EXPECT_EQ(instance.call(fills[i], {end, 1}).trap, TrapReason::kMemoryOutOfBounds);
      EXPECT_EQ(instance.call(copies[i], {end, 0}).trap, TrapReason::kMemoryOutOfBounds);
      EXPECT_EQ(instance.call(copies[i], {0, end}).trap, TrapReason::kMemoryOutOfBounds);
    }
    EXPECT_EQ(memory, expected) << n;
  }
}

TEST_F(Build, RunsOutOfMemoryCleanly) {
  Code code;
  for (u32 i = 0; i < 2000; i++)
    code.op(O::kLocalGet, 0).block(O::kIf, -64).i32(static_cast<i32>(i)).op(O::kLocalSet, 1).end();
  code.op(O::kLocalGet, 1);
  writer_.function(writer_.type("i", "i"), "i", code);
  Module* module = decode_module(writer_.finish());
  ASSERT_TRUE(module);
  Bindings bindings;
  u32 id = 1;
  ir::BuildContext context = {};
  context.module = module;
  context.bindings = &bindings;
  context.type_ids = {&id, 1};
  u32 failed = 0, succeeded = 0;
  for (usize bytes = 1000; bytes < (8u << 20); bytes = bytes * 5 / 4) {
    Arena arena(bytes);
    ir::Function f(&arena);
    Diag diag;
    Err err = ir::build(context, 0, &f, &diag);
    if (err == Err::kOk) err = opt::optimize(&f, nullptr, &diag);
    EXPECT_TRUE(err == Err::kOk || err == Err::kNoMemory) << diag.message;
    (err == Err::kOk ? succeeded : failed)++;
  }
  EXPECT_GT(failed, 5u);
  EXPECT_GT(succeeded, 0u);
  module_free(module);
}

TEST_F(Build, DumpShowsWhatMatters) {
  Code code;
  code.op(O::kLocalGet, 0).op(O::kI32Load8S, 0, 12);
  writer_.memory(1, 1);
  u32 func = writer_.function(writer_.type("i", "i"), "", code);
  load();
  StringSink sink;
  ir::dump(f(func), &sink);
  EXPECT_NE(sink.text.find("b0:"), std::string::npos);
  EXPECT_NE(sink.text.find("= load.8s +12 v"), std::string::npos);
  EXPECT_NE(sink.text.find("v1:i32 = param 0"), std::string::npos);
}

}  // namespace
}  // namespace wring::test
