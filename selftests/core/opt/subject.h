// SPDX-License-Identifier: GPL-2.0
// A function to optimize, look at and run.
#pragma once

#include <gtest/gtest.h>

#include "core/ir/cfg.h"
#include "selftests/core/ir/interpreter.h"
#include "selftests/core/ir/module_writer.h"

namespace wring::test {

using O = Opcode;
using ir::Op;

// A module with packet imports, memory and globals, around the functions of a test.
struct Subject {
  enum Import : u32 { kPktLen, kPktLoad8, kPktLoad16, kPktLoad32, kPktStore16, kHost };
  Subject() {
    const char* names[] = {"pkt_len",    "pkt_load8",   "pkt_load16",
                           "pkt_load32", "pkt_store16", "host"};
    const char* params[] = {"", "i", "i", "i", "ii", ""};
    const char* results[] = {"i", "i", "i", "i", "", "i"};
    for (u32 i = 0; i < 6; i++)
      writer_.import("wring", names[i], writer_.type(params[i], results[i]));
    writer_.memory(2, 4);
    writer_.global(ModuleWriter::kI32, true, 1000);
    writer_.global(ModuleWriter::kI32, true, 2000);
  }
  u32 add(const char* params, const char* results, const std::string& locals, const Code& code) {
    return func_ = writer_.function(writer_.type(params, results), locals, code);
  }
  void optimize() {
    std::string message;
    Module* module = decode_module(writer_.finish(), &message);
    ASSERT_TRUE(module) << message;
    std::vector<FunctionBinding> bindings(6);
    const Intrinsic intrinsics[] = {Intrinsic::kPktLen, Intrinsic::kPktLoad8, Intrinsic::kPktLoad16,
                                    Intrinsic::kPktLoad32, Intrinsic::kPktStore16};
    for (u32 i = 0; i < 5; i++) {
      bindings[i].kind = BindingKind::kIntrinsic;
      bindings[i].intrinsic = intrinsics[i];
    }
    bindings[kHost].kind = BindingKind::kHost;
    bindings[kHost].address = 1;
    program_ = std::make_unique<Program>(module, bindings, std::vector<MapBinding>());
    program_->compile(true);
    ASSERT_EQ(program_->error(), "");
  }
  const ir::Function& f() { return *program_->function(func_); }
  u32 count(Op op) {
    u32 n = 0;
    for (const ir::Block& block : f().blocks)
      for (ir::Value v : block.insts) n += f().insts[v].op == op;
    return n;
  }
  u32 count_all() {
    u32 n = 0;
    for (const ir::Block& block : f().blocks)
      for (ir::Value v : block.insts)
        n += f().insts[v].op != Op::kConst && f().insts[v].op != Op::kParam &&
             f().insts[v].op != Op::kVmCtx;
    return n;
  }
  u64 result(std::vector<u64> args) {
    Instance instance(*program_);
    if (instance.instantiate().kind != Outcome::kReturned) return ~u64{0};
    instance.set_host(kHost, [](wring_vmctx*, const std::vector<u64>&) { return 1; });
    instance.vmctx()->pkt = packet_;
    instance.vmctx()->pkt_len = packet_length_;
    Outcome out = instance.call(func_, args);
    return out.kind == Outcome::kReturned ? out.results[0] : ~u64{0} - static_cast<u64>(out.trap);
  }
  ModuleWriter writer_;
  u32 func_ = 0;
  std::unique_ptr<Program> program_;
  u8 packet_[64] = {};
  u32 packet_length_ = 64;
};

class Optimize : public ::testing::Test, public Subject {};

}  // namespace wring::test
