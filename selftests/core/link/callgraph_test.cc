// SPDX-License-Identifier: GPL-2.0
// The call graph: recursion, order, and stack depths.
#include "core/link/callgraph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "selftests/core/runtime/wat.h"

namespace wring::test {
namespace {

class CallGraphTest : public ::testing::Test {
 protected:
  ~CallGraphTest() override {
    if (module) module_free(module);
  }
  void build(const std::string& text, BindingKind imports = BindingKind::kHost) {
    std::string bytes = wat(text);
    Diag diag;
    ASSERT_EQ(decode({reinterpret_cast<const u8*>(bytes.data()), bytes.size()}, {},
                     kMaxCompileBytes, &module, &diag),
              Err::kOk)
        << diag.message;
    functions.resize(module->imported_functions);
    for (FunctionBinding& binding : functions) binding.kind = imports;
    bindings.functions = {functions.data(), functions.size()};
    for (u32 i = 0; i < module->types.size(); i++) {
      u32 same = 0;
      while (!equal(module->types[same], module->types[i])) same++;
      type_ids.push_back(same + 1);
    }
    ASSERT_EQ(graph.build(*module, bindings, {type_ids.data(), type_ids.size()}, &arena, &diag),
              Err::kOk)
        << diag.message;
  }
  u32 position(u32 func) {
    for (u32 i = 0; i < graph.bottom_up().size(); i++)
      if (graph.bottom_up()[i] == func) return i;
    ADD_FAILURE() << "function " << func << " is missing";
    return kNone;
  }

  Module* module = nullptr;
  std::vector<FunctionBinding> functions;
  Bindings bindings;
  std::vector<u32> type_ids;
  Arena arena{kMaxCompileBytes};
  link::CallGraph graph;
};

TEST_F(CallGraphTest, OrdersCalleesFirst) {
  build("(module (func (call 2) (call 1)) (func (call 2)) (func (call 3)) (func))");
  EXPECT_EQ(graph.bottom_up().size(), 4u);
  EXPECT_LT(position(1), position(0));
  EXPECT_LT(position(2), position(1));
  EXPECT_LT(position(3), position(2));
  for (u32 f = 0; f < 4; f++) EXPECT_FALSE(graph.is_recursive(f));
}

TEST_F(CallGraphTest, FindsDirectAndMutualRecursion) {
  build(R"((module
    (func (call 0))
    (func (call 2)) (func (call 3)) (func (call 1))
    (func (call 1))
    (func)))");
  for (u32 f : {0, 1, 2, 3}) EXPECT_TRUE(graph.is_recursive(f)) << f;
  for (u32 f : {4, 5}) EXPECT_FALSE(graph.is_recursive(f)) << f;
  EXPECT_LT(std::max({position(1), position(2), position(3)}), position(4));
}

TEST_F(CallGraphTest, IndirectCallsReachTableFunctionsOfTheirTypeOnly) {
  build(R"((module
    (type $v (func)) (type $i (func (result i32)))
    (table 2 funcref) (elem (i32.const 0) $caller $leaf $other)
    (func $caller (type $v) (drop (call_indirect (type $i) (i32.const 1))))
    (func $leaf (type $i) (i32.const 1))
    (func $other (type $v) (call_indirect (type $v) (i32.const 0)))))");
  EXPECT_FALSE(graph.is_recursive(0));
  EXPECT_FALSE(graph.is_recursive(1));
  EXPECT_TRUE(graph.is_recursive(2));  // may call itself through the table
  EXPECT_LT(position(1), position(0));
}

TEST_F(CallGraphTest, ExportsAreNotReachableThroughPrivateTables) {
  build(R"((module
    (table 1 funcref) (elem (i32.const 0) $leaf)
    (func $entry (export "entry") (call_indirect (i32.const 0)))
    (func $leaf)))");
  EXPECT_FALSE(graph.is_recursive(0));
}

TEST_F(CallGraphTest, SharedTablesAndForeignImportsMayCallBack) {
  build(R"((module
    (table (export "t") 1 funcref)
    (func $entry (export "entry") (call_indirect (i32.const 0)))
    (func $private)))");
  EXPECT_TRUE(graph.is_recursive(0));
  EXPECT_FALSE(graph.is_recursive(1));
  EXPECT_GE(graph.callee_depth(0), link::CallGraph::kUnknownDepth);
}

TEST_F(CallGraphTest, ForeignImportsHaveUnknownDepth) {
  build("(module (import \"m\" \"f\" (func)) (func (call 0)) (func (call 1)))", BindingKind::kWasm);
  EXPECT_GE(graph.callee_depth(1), link::CallGraph::kUnknownDepth);
  EXPECT_FALSE(graph.is_recursive(1));  // nothing is exported that could be called back
  graph.note(1, 16, true);
  EXPECT_EQ(graph.callee_depth(2), 8u);
}

TEST_F(CallGraphTest, HostImportsAreLeaves) {
  build("(module (import \"m\" \"f\" (func)) (func (export \"e\") (call 0)))");
  EXPECT_EQ(graph.callee_depth(1), 0u);
  EXPECT_FALSE(graph.is_recursive(1));
}

TEST_F(CallGraphTest, DepthIsThatOfTheDeepestUncheckedChain) {
  build(R"((module
    (table 1 funcref) (elem (i32.const 0) 1)
    (func (call 1) (call 2))
    (func (call 3))
    (func)
    (func)
    (func (call_indirect (i32.const 0)))))");
  graph.note(3, 100, false);
  graph.note(2, 300, false);
  graph.note(1, 50, false);
  EXPECT_EQ(graph.callee_depth(0), 300u);
  EXPECT_EQ(graph.callee_depth(4), 150u);
  graph.note(0, 10, false);
}

TEST_F(CallGraphTest, CheckedFunctionsCostTheirReturnAddress) {
  build("(module (func (call 1)) (func (call 1)))");
  graph.note(1, 4000, true);
  EXPECT_EQ(graph.callee_depth(0), 8u);
}

TEST_F(CallGraphTest, LongChainsNeedNoNativeRecursion) {
  std::string text = "(module ";
  constexpr u32 kFunctions = 100'000;
  for (u32 i = 0; i + 1 < kFunctions; i++) text += "(func (call " + std::to_string(i + 1) + "))";
  build(text + "(func))");
  EXPECT_EQ(position(0), kFunctions - 1);
}

}  // namespace
}  // namespace wring::test
