// SPDX-License-Identifier: GPL-2.0
// A test fixture: one written module, built as it is and optimized, whose functions must do the same in both forms.
#pragma once

#include <gtest/gtest.h>

#include "selftests/core/ir/interpreter.h"
#include "selftests/core/ir/module_writer.h"

namespace wring::test {

class ProgramTest : public ::testing::Test {
 protected:
  using O = Opcode;
  void load(std::vector<FunctionBinding> bindings = {}) {
    for (auto* program : {&built_, &optimized_}) {
      std::string message;
      Module* module = decode_module(writer_.finish(), &message);
      ASSERT_TRUE(module) << message;
      *program = std::make_unique<Program>(module, bindings, std::vector<MapBinding>());
      (*program)->compile(program == &optimized_);
      ASSERT_EQ((*program)->error(), "");
    }
  }
  u32 func(const std::string& params, const std::string& results, const Code& code,
           const std::string& locals = "") {
    return writer_.function(writer_.type(params, results), locals, code);
  }
  // In fresh instances; the two forms agree.
  Outcome call(u32 func, const std::vector<u64>& args) {
    Outcome outcomes[2];
    for (u32 i = 0; i < 2; i++) {
      Instance instance(i ? *optimized_ : *built_);
      if (prepare_) prepare_(&instance);
      outcomes[i] = instance.instantiate();
      if (outcomes[i].kind == Outcome::kReturned) outcomes[i] = instance.call(func, args);
    }
    EXPECT_TRUE(outcomes[0] == outcomes[1]) << "function " << func;
    return outcomes[0];
  }
  void expect(u32 func, const std::vector<u64>& args, const std::vector<u64>& results) {
    Outcome out = call(func, args);
    EXPECT_EQ(out.kind, Outcome::kReturned) << "function " << func << " trap " << int(out.trap);
    EXPECT_EQ(out.results, results) << "function " << func;
  }
  void expect_trap(u32 func, const std::vector<u64>& args, TrapReason reason) {
    Outcome out = call(func, args);
    EXPECT_EQ(out.kind, Outcome::kTrapped) << "function " << func;
    EXPECT_EQ(int(out.trap), int(reason)) << "function " << func;
  }
  u32 count(const Program& program, u32 func, ir::Op op) {
    u32 n = 0;
    const ir::Function& f = *program.function(func);
    for (const ir::Block& block : f.blocks)
      for (ir::Value v : block.insts) n += f.insts[v].op == op;
    return n;
  }
  u32 built(u32 func, ir::Op op) { return count(*built_, func, op); }
  u32 optimized(u32 func, ir::Op op) { return count(*optimized_, func, op); }

  ModuleWriter writer_;
  std::unique_ptr<Program> built_, optimized_;
  std::function<void(Instance*)> prepare_;
};

}  // namespace wring::test
