// SPDX-License-Identifier: GPL-2.0
// Bounds checks under speculation: what is clamped, that it stays so, and that the verifier notices if it does not.
#include <gtest/gtest.h>

#include <map>

#include "selftests/core/ir/interpreter.h"
#include "selftests/core/ir/module_writer.h"
#include "selftests/core/runtime/wat.h"

namespace wring::test {
namespace {

using ir::Op;
using ir::Value;
using O = Opcode;

const char kAccesses[] = R"((module
  (import "wring" "pkt_load8" (func $load8 (param i32) (result i32)))
  (import "wring" "pkt_load32" (func $load32 (param i32) (result i32)))
  (import "wring" "pkt_store16" (func $store16 (param i32 i32)))
  (import "wring" "arg" (func $arg (param i32) (result i64)))
  (import "wring" "map_add" (func $map_add (param i32 i32 i32 i64) (result i32)))
  (import "wring" "map_load64" (func $map_load64 (param i32 i32 i32) (result i64)))
  (type $i (func (result i32)))
  (table $functions 4 9 funcref)
  (table $things 4 9 externref)
  (memory $wide i64 1)
  (elem (table $functions) (i32.const 1) func $seven)
  (func $seven (result i32) (i32.const 7))
  (func (export "packet") (param i32) (result i32) (call $load8 (local.get 0)))
  (func (export "packet_word") (param i32) (result i32) (call $load32 (local.get 0)))
  (func (export "packet_store") (param i32) (call $store16 (local.get 0) (i32.const 1)))
  (func (export "near") (result i32)
    (i32.add (call $load32 (i32.const 255)) (call $load8 (i32.const 0))))
  (func (export "far") (result i32) (call $load32 (i32.const 256)))
  (func (export "checked") (param i32) (result i32)
    (if (i32.ge_u (local.get 0) (i32.const 40)) (then (return (i32.const 0))))
    (drop (call $load8 (i32.const 40)))
    (call $load8 (local.get 0)))
  (func (export "walk") (param i32) (result i32) (local i32 i32)
    (loop $next
      (local.set 1 (i32.add (local.get 1) (call $load8 (local.get 2))))
      (br_if $next (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (local.get 0))))
    (local.get 1))
  (func (export "argument") (param i32) (result i64) (call $arg (local.get 0)))
  (func (export "third") (result i64) (call $arg (i32.const 2)))
  (func (export "counter") (param i32) (result i32)
    (call $map_add (i32.const 0) (local.get 0) (i32.const 8) (i64.const 1)))
  (func (export "counted") (param i32) (result i64)
    (call $map_load64 (i32.const 0) (local.get 0) (i32.const 8)))
  (func (export "fifth") (result i64) (call $map_load64 (i32.const 0) (i32.const 4) (i32.const 0)))
  (func (export "per_cpu") (param i32) (result i64)
    (call $map_load64 (i32.const 1) (local.get 0) (i32.const 0)))
  (func (export "indirect") (param i32) (result i32)
    (call_indirect $functions (type $i) (local.get 0)))
  (func (export "tail") (param i32) (result i32)
    (return_call_indirect $functions (type $i) (local.get 0)))
  (func (export "thing") (param i32) (result externref) (table.get $things (local.get 0)))
  (func (export "wide") (param i64) (result i32) (i32.load $wide offset=8 (local.get 0)))))";

class Clamps : public ::testing::TestWithParam<bool> {
 protected:
  void load(bool clamps) {
    std::string message;
    Module* module = decode_module(bytes_, &message);
    ASSERT_TRUE(module) << message;
    const std::map<std::string, Intrinsic> intrinsics = {
        {"pkt_load8", Intrinsic::kPktLoad8},     {"pkt_load32", Intrinsic::kPktLoad32},
        {"pkt_store16", Intrinsic::kPktStore16}, {"arg", Intrinsic::kArg},
        {"map_add", Intrinsic::kMapAdd},         {"map_load64", Intrinsic::kMapLoad64}};
    std::vector<FunctionBinding> bindings(module->imported_functions);
    for (const Import& import : module->imports) {
      bindings[import.index].kind = BindingKind::kIntrinsic;
      bindings[import.index].intrinsic = intrinsics.at(text(import.name));
    }
    MapBinding array = {MapKind::kArray, 8, 16, 16, reinterpret_cast<u64>(array_)};
    MapBinding per_cpu = array;
    per_cpu.kind = MapKind::kPerCpuArray;
    program_ = std::make_unique<Program>(module, bindings, std::vector<MapBinding>{array, per_cpu});
    program_->bindings().gs_this_cpu_off = 8;
    program_->clamp_speculation = clamps;
    program_->compile(GetParam());
    ASSERT_EQ(program_->error(), "");
  }
  static Body body(const std::string& bytes) { return {bytes.begin(), bytes.end()}; }
  static std::string text(Bytes name) {
    return {reinterpret_cast<const char*>(name.data()), name.size()};
  }
  // By its export.
  u32 func(const std::string& name) {
    for (const Export& e : program_->module().exports)
      if (text(e.name) == name) return e.index;
    ADD_FAILURE() << name;
    return 0;
  }
  u32 count(u32 func, Op op) {
    const ir::Function& f = *program_->function(func);
    u32 n = 0;
    for (const ir::Block& block : f.blocks)
      for (Value v : block.insts) n += f.insts[v].op == op;
    return n;
  }
  Outcome call(const std::string& name, std::vector<u64> args) {
    Instance instance(*program_);
    EXPECT_EQ(instance.instantiate().kind, Outcome::kReturned);
    instance.vmctx()->pkt = packet_;
    instance.vmctx()->pkt_len = 300;
    instance.vmctx()->hook_args = arguments_;
    instance.vmctx()->hook_arg_count = 3;
    return instance.call(func(name), args);
  }

  Body bytes_ = body(wat(kAccesses));
  std::unique_ptr<Program> program_;
  u64 array_[16] = {};
  u8 packet_[300] = {};
  unsigned long long arguments_[3] = {10, 11, 12};
};
INSTANTIATE_TEST_SUITE_P(Optimized, Clamps, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "yes" : "no"; });

TEST_P(Clamps, AreWhereAnIndexIsChecked) {
  // Without and with the flag.
  const std::map<std::string, std::pair<u32, u32>> indices = {
      {"packet", {0, 1}},  {"packet_word", {0, 1}}, {"packet_store", {0, 1}}, {"near", {0, 0}},
      {"far", {0, 1}},     {"checked", {0, 1}},     {"walk", {0, 1}},         {"argument", {0, 1}},
      {"third", {0, 1}},   {"counter", {0, 1}},     {"counted", {0, 1}},      {"fifth", {0, 0}},
      {"per_cpu", {0, 1}}, {"indirect", {1, 1}},    {"tail", {1, 1}},         {"thing", {1, 1}},
      {"wide", {0, 0}}};
  for (bool clamps : {false, true}) {
    load(clamps);
    for (const auto& [name, wanted] : indices) {
      SCOPED_TRACE(name);
      EXPECT_EQ(count(func(name), Op::kClampIndex), clamps ? wanted.second : wanted.first);
      bool is_call = name == "indirect" || name == "tail";
      EXPECT_EQ(count(func(name), Op::kMatchOrNull), clamps && is_call ? 1u : 0u);
    }
  }
}

TEST_P(Clamps, ChangeNoResults) {
  for (u32 i = 0; i < 300; i++) packet_[i] = static_cast<u8>(i);
  array_[2 * 7 + 1] = 77;
  for (bool clamps : {false, true}) {
    load(clamps);
    for (u32 at : {0u, 39u, 296u, 299u, 300u, 0xffff'fffeu}) {
      Outcome out = call("packet", {at});
      EXPECT_EQ(out.kind, at < 300 ? Outcome::kReturned : Outcome::kTrapped);
      if (at < 300) {
        EXPECT_EQ(out.results[0], at & 0xff);
      }
      EXPECT_EQ(call("packet_word", {at}).kind, at <= 296 ? Outcome::kReturned : Outcome::kTrapped);
      EXPECT_EQ(call("checked", {at}).results[0], at < 40 ? at : 0);
    }
    EXPECT_EQ(call("far", {}).results[0], 0x03020100u);
    EXPECT_EQ(call("walk", {10}).results[0], 45u);
    EXPECT_EQ(call("argument", {1}).results[0], 11u);
    EXPECT_EQ(call("argument", {3}).results[0], 0u);
    EXPECT_EQ(call("third", {}).results[0], 12u);
    EXPECT_EQ(call("counted", {7}).results[0], 77u);
    EXPECT_EQ(call("counted", {8}).results[0], 0u);
    EXPECT_EQ(call("indirect", {1}).results[0], 7u);
    EXPECT_EQ(call("indirect", {4}).trap, TrapReason::kUndefinedElement);
    EXPECT_EQ(call("tail", {1}).results[0], 7u);
  }
}

// What a pass would do that takes a clamp for superfluous.
void expect_each_clamp_is_missed(const ir::Function& built) {
  auto& f = const_cast<ir::Function&>(built);
  Diag diag;
  ASSERT_EQ(ir::verify(f, "test", &diag), Err::kOk) << diag.message;
  for (Value clamp = 0; clamp < f.insts.size(); clamp++) {
    if (f.insts[clamp].op != Op::kClampIndex && f.insts[clamp].op != Op::kMatchOrNull) continue;
    std::vector<Value*> uses;
    for (const ir::Block& block : f.blocks)
      for (Value v : block.insts)
        for (Value& arg : f.args(v))
          if (arg == clamp) uses.push_back(&arg);
    if (uses.empty()) continue;
    for (Value* use : uses) *use = f.insts[clamp].arg[0];
    Diag missing;
    EXPECT_EQ(ir::verify(f, "test", &missing), Err::kInvalid) << "function " << f.index;
    EXPECT_NE(std::string(missing.message).find("clamp"), std::string::npos) << missing.message;
    for (Value* use : uses) *use = clamp;
  }
}

TEST_P(Clamps, AreMissedByTheVerifier) {
  load(true);
  for (const Export& e : program_->module().exports)
    expect_each_clamp_is_missed(*program_->function(e.index));
}

TEST_P(Clamps, ExceptionsAreThoseOfTheirTag) {
  ModuleWriter writer;
  u32 tag = writer.tag(writer.type("ii", ""));
  Code thrower, code;
  thrower.op(O::kLocalGet, 0).op(O::kLocalGet, 0).op(O::kThrow, tag);
  u32 inner = writer.function(writer.type("i", ""), "", thrower);
  code.block(O::kBlock, writer.type("", "ii")).try_table(-64, {{0, tag, 0}});
  code.op(O::kLocalGet, 0).op(O::kCall, inner).end().i32(1).i32(2).end().op(O::kI32Add);
  u32 catcher = writer.function(writer.type("i", "i"), "", code);
  for (bool clamps : {false, true}) {
    std::string message;
    Module* module = decode_module(writer.finish(), &message);
    ASSERT_TRUE(module) << message;
    program_ = std::make_unique<Program>(module, std::vector<FunctionBinding>(),
                                         std::vector<MapBinding>());
    program_->clamp_speculation = clamps;
    program_->compile(GetParam());
    ASSERT_EQ(program_->error(), "");
    EXPECT_EQ(count(catcher, Op::kMatchOrNull), clamps ? 1u : 0u);
    EXPECT_EQ(call("f" + std::to_string(catcher), {21}).results[0], 42u);
    if (clamps) expect_each_clamp_is_missed(*program_->function(catcher));
  }
}

}  // namespace
}  // namespace wring::test
