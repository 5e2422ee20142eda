// SPDX-License-Identifier: GPL-2.0
// Hostile shapes at the limits: construction, every pass and the verifier stay near-linear, or the work limit says
// no. The bound is CPU time that quadratic behaviour would exceed many times over.
#include <gtest/gtest.h>

#include <ctime>

#include "core/base/limits.h"
#include "selftests/core/ir/interpreter.h"
#include "selftests/core/ir/module_writer.h"

namespace wring::test {
namespace {

constexpr double kMaxSeconds = 20;  // with sanitizers on a busy machine

using O = Opcode;

// Compiles one function () -> i32 with the locals, checking each step; returns the error. Unless tag_params is kNone
// there is a tag with that many parameters, and the function, which may call itself, may throw.
Err compile(const std::string& locals, const Code& code, std::string* message,
            u32 tag_params = kNone) {
  ModuleWriter writer;
  if (tag_params != kNone) {
    std::string types(tag_params, 'i');
    writer.tag(writer.type(types, ""));
    writer.type("", types);  // of a block that takes the values
  }
  writer.function(writer.type("", "i"), locals, code);
  Module* module = decode_module(writer.finish(), message);
  if (!module) return Err::kMalformed;
  Bindings bindings;
  u32 ids[] = {1, 2, 3};
  const u8 may_throw[] = {1};
  ir::BuildContext context = {};
  if (tag_params != kNone) context.may_throw = {may_throw, 1};
  context.module = module;
  context.bindings = &bindings;
  context.type_ids = {ids, 3};
  Arena arena(kMaxCompileBytes);
  ir::Function f(&arena);
  Diag diag;
  VerifyingObserver observer;
  std::clock_t start = std::clock();
  Err err = ir::build(context, 0, &f, &diag);
  if (err == Err::kOk) err = ir::verify(f, "build", &diag);
  if (err == Err::kOk) err = opt::optimize(&f, &observer, &diag);
  double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  EXPECT_LT(seconds, kMaxSeconds);
  *message = diag.message;
  module_free(module);
  return err;
}

void expect_compiles(const std::string& locals, const Code& code, u32 tag_params = kNone) {
  std::string message;
  EXPECT_EQ(compile(locals, code, &message, tag_params), Err::kOk) << message;
}

TEST(Caps, LocalsTimesBlocks) {
  // Each block changes one local of 50,000 and may be left early.
  Code code;
  for (u32 i = 0; i < kMaxLocals; i++) {
    code.block(O::kBlock, -64).op(O::kLocalGet, (i * 7) % kMaxLocals).op(O::kBrIf, 0);
    code.i32(static_cast<i32>(i)).op(O::kLocalSet, i).end();
  }
  code.op(O::kLocalGet, 5);
  expect_compiles(std::string(kMaxLocals, 'i'), code);
}

TEST(Caps, BranchesAfterManyAssignments) {
  Code code;
  code.block(O::kBlock, -64);
  for (u32 i = 0; i < kMaxLocals; i++) code.i32(static_cast<i32>(i)).op(O::kLocalSet, i);
  for (u32 i = 0; i < 200'000; i++) code.op(O::kLocalGet, i % kMaxLocals).op(O::kBrIf, 0);
  code.end().op(O::kLocalGet, 5);
  expect_compiles(std::string(kMaxLocals, 'i'), code);
}

TEST(Caps, PhisWithManyArguments) {
  Code code;
  code.block(O::kBlock, -64);
  for (u32 i = 0; i < 200'000; i++)
    code.i32(static_cast<i32>(i)).op(O::kLocalSet, 1).op(O::kLocalGet, 0).op(O::kBrIf, 0);
  code.end().op(O::kLocalGet, 1);
  expect_compiles("ii", code);
}

TEST(Caps, ManyPhisWithManyArgumentsHitTheWorkLimit) {
  // Every branch carries 50,000 locals that have changed since the first one.
  Code code;
  code.block(O::kBlock, -64).op(O::kLocalGet, 0).op(O::kBrIf, 0);
  for (u32 i = 0; i < kMaxLocals; i++) code.i32(static_cast<i32>(i)).op(O::kLocalSet, i);
  for (u32 i = 0; i < 50'000; i++) code.op(O::kLocalGet, i % kMaxLocals).op(O::kBrIf, 0);
  code.end().op(O::kLocalGet, 5);
  std::string message;
  EXPECT_EQ(compile(std::string(kMaxLocals, 'i'), code, &message), Err::kLimit);
  EXPECT_EQ(message, "control flow carries more values than the limit of 33554432");
}

TEST(Caps, ThousandsOfPhisAtOneMerge) {
  Code code;
  code.op(O::kLocalGet, 0).block(O::kIf, -64);
  for (u32 i = 0; i < 10'000; i++) code.i32(static_cast<i32>(i)).op(O::kLocalSet, i);
  code.op(O::kElse);
  for (u32 i = 0; i < 10'000; i++) code.i32(-1 - static_cast<i32>(i)).op(O::kLocalSet, i);
  code.end().i32(0);
  for (u32 i = 0; i < 10'000; i++) code.op(O::kLocalGet, i).op(O::kI32Add);
  expect_compiles(std::string(10'000, 'i'), code);
}

TEST(Caps, NestedBlocksAndTheirBranchTable) {
  Code code;
  u32 depth = kMaxBlockDepth - 2;
  for (u32 i = 0; i < depth; i++) code.block(O::kBlock, -64);
  std::vector<u32> targets;
  for (u32 i = 0; i < kMaxBrTableTargets; i++) targets.push_back(i);
  code.op(O::kLocalGet, 0).br_table(targets, depth - 1);
  for (u32 i = 0; i < depth; i++) {
    code.end();
    code.op(O::kLocalGet, 1).i32(static_cast<i32>(i)).op(O::kI32Add).op(O::kLocalSet, 1);
  }
  code.op(O::kLocalGet, 1);
  expect_compiles("ii", code);
}

TEST(Caps, SwitchWhoseCasesLeave) {
  // Case i assigns a local of its own and leaves by the outermost block.
  Code code;
  u32 cases = 20'000;
  for (u32 i = 0; i <= cases; i++) code.block(O::kBlock, -64);
  std::vector<u32> targets;
  for (u32 i = 0; i < cases; i++) targets.push_back(i);
  code.op(O::kLocalGet, 0).br_table(targets, cases);
  for (u32 i = 0; i < cases; i++) {
    code.end();
    code.i32(static_cast<i32>(i)).op(O::kLocalSet, 1).op(O::kBr, cases - 1 - i);
  }
  code.end().op(O::kLocalGet, 1);
  expect_compiles("ii", code);
}

TEST(Caps, BranchTableOfOneTarget) {
  Code code;
  for (u32 n = 0; n < 40; n++) {
    code.block(O::kBlock, -64).block(O::kBlock, -64);
    std::vector<u32> targets(kMaxBrTableTargets, 1);
    code.op(O::kLocalGet, 0).br_table(targets, 0).end();
    code.i32(static_cast<i32>(n)).op(O::kLocalSet, 1).end();
  }
  code.op(O::kLocalGet, 1);
  expect_compiles("ii", code);
}

TEST(Caps, NestedLoops) {
  Code code;
  u32 depth = 30'000;
  for (u32 i = 0; i < depth; i++) code.block(O::kLoop, -64);
  code.op(O::kLocalGet, 0).i32(1).op(O::kI32Add).op(O::kLocalSet, 0);
  for (u32 i = 0; i < depth; i++)
    code.op(O::kLocalGet, 0).i32(static_cast<i32>(i)).op(O::kI32LtU).op(O::kBrIf, 0).end();
  code.op(O::kLocalGet, 0);
  expect_compiles("i", code);
}

TEST(Caps, NestedLoopsWithManyLocalsHitTheWorkLimit) {
  Code code;
  u32 depth = 10'000;
  for (u32 i = 0; i < depth; i++) code.block(O::kLoop, -64);
  for (u32 i = 0; i < kMaxLocals; i++) code.i32(static_cast<i32>(i)).op(O::kLocalSet, i);
  for (u32 i = 0; i < depth; i++) code.op(O::kLocalGet, 0).op(O::kBrIf, 0).end();
  code.op(O::kLocalGet, 0);
  std::string message;
  EXPECT_EQ(compile(std::string(kMaxLocals, 'i'), code, &message), Err::kLimit);
}

TEST(Caps, ReturnsAtEveryDepth) {
  Code code;
  u32 depth = kMaxBlockDepth - 2;
  for (u32 i = 0; i < depth; i++) code.block(O::kBlock, -64).op(O::kLocalGet, 0).op(O::kBrIf, 0);
  for (u32 i = 0; i < depth; i++) code.i32(static_cast<i32>(i)).op(O::kReturn).end();
  code.op(O::kLocalGet, 0);
  expect_compiles("i", code);
}

TEST(Caps, FoldedBranches) {
  Code code;
  code.block(O::kBlock, -64);
  for (u32 i = 0; i < 200'000; i++)
    code.i32(0).op(O::kBrIf, 0).i32(static_cast<i32>(i)).op(O::kLocalSet, 0);
  code.end().op(O::kLocalGet, 0);
  expect_compiles("i", code);
}

TEST(Caps, NestedIfs) {
  Code code;
  u32 depth = kMaxBlockDepth - 2;
  for (u32 i = 0; i < depth; i++) code.op(O::kLocalGet, 0).block(O::kIf, -64);
  code.i32(1).op(O::kLocalSet, 1);
  for (u32 i = 0; i < depth; i++)
    code.op(O::kElse).i32(static_cast<i32>(i)).op(O::kLocalSet, 1).end();
  code.op(O::kLocalGet, 1);
  expect_compiles("ii", code);
}

TEST(Caps, LongExpressionsAndAddressChains) {
  Code code;
  code.op(O::kLocalGet, 0);
  for (u32 i = 0; i < 500'000; i++)
    code.op(O::kLocalGet, i % 3).op(i % 5 ? O::kI32Add : O::kI32Xor);
  expect_compiles("iii", code);
}

TEST(Caps, NestedTries) {
  Code code;
  u32 depth = 50'000;
  code.block(O::kBlock, -64);
  for (u32 i = 0; i < depth; i++) {
    code.try_table(-64, {{0, 0, 0}});
    code.i32(static_cast<i32>(i)).op(O::kLocalSet, i % 100);
  }
  code.op(O::kCall, 0).op(O::kDrop);
  for (u32 i = 0; i < depth; i++) code.op(O::kCall, 0).op(O::kDrop).end();
  code.end().op(O::kLocalGet, 5);
  expect_compiles(std::string(100, 'i'), code, 0);
}

TEST(Caps, ManyCallsInOneTry) {
  Code code;
  code.block(O::kBlock, -64).try_table(-64, {{2, 0}});
  for (u32 i = 0; i < 100'000; i++) code.op(O::kCall, 0).op(O::kLocalSet, i % 3);
  code.end().end().op(O::kLocalGet, 1);
  expect_compiles("iii", code, 0);
}

TEST(Caps, ManyUncaughtCalls) {
  Code code;
  for (u32 i = 0; i < 100'000; i++) code.op(O::kCall, 0).op(O::kLocalSet, i % 3);
  code.op(O::kLocalGet, 1);
  expect_compiles("iii", code, 0);
}

TEST(Caps, ManyClausesWithManyValuesHitTheWorkLimit) {
  Code code;
  u32 params = kMaxParams;
  std::vector<std::vector<u32>> clauses(kMaxCatchClauses, {0, 0, 0});
  for (u32 n = 0; n < 10; n++) {
    code.block(O::kBlock, 1).try_table(-64, clauses);
    code.op(O::kCall, 0).op(O::kDrop);
    code.end().op(O::kUnreachable).end();
    for (u32 i = 0; i < params; i++) code.op(O::kDrop);
  }
  code.i32(0);
  std::string message;
  EXPECT_EQ(compile("", code, &message, params), Err::kLimit) << message;
}

TEST(Caps, DeadCodeIsSkipped) {
  Code code;
  code.i32(7).op(O::kReturn);
  for (u32 i = 0; i < 50'000; i++)
    code.block(O::kLoop, -64).i32(1).op(O::kLocalSet, i % 1000).op(O::kBr, 0).end();
  expect_compiles(std::string(1000, 'i'), code);
}

}  // namespace
}  // namespace wring::test
