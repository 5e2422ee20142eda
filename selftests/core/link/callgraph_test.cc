// SPDX-License-Identifier: GPL-2.0
// The call graph: recursion, order, and stack depths.
#include "core/link/callgraph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "selftests/core/runtime/wat.h"
#include "selftests/core/wasm/module_builder.h"

namespace wring::test {
namespace {

class CallGraphTest : public ::testing::Test {
 protected:
  ~CallGraphTest() override {
    if (module) module_free(module);
  }
  void build(const std::string& text, BindingKind imports = BindingKind::kHost) {
    build_binary(wat(text), imports);
  }
  void build_binary(const std::string& bytes, BindingKind imports = BindingKind::kHost) {
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

TEST_F(CallGraphTest, TailCallsRecurseAndNameTheirStackNeeds) {
  build(R"((module
    (type $many (func (param i64 i64 i64 i64 i64 i64 i64 i64 i64)))
    (table 1 funcref)
    (func $loop (return_call $loop))
    (func $once (return_call $leaf (i32.const 1)))
    (func $leaf (param i32))
    (func $indirect (param i64)
      (return_call_indirect (type $many)
        (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0)
        (local.get 0) (local.get 0) (local.get 0) (i32.const 0)))))");
  EXPECT_TRUE(graph.is_recursive(0));
  EXPECT_FALSE(graph.is_recursive(1));
  EXPECT_LT(position(2), position(1));
  for (u32 func : {0, 2}) EXPECT_TRUE(graph.tail_called_types().test(module->functions[func].type));
  EXPECT_TRUE(graph.tail_called_types().test(0)) << "$many";
  EXPECT_FALSE(graph.tail_called_types().test(module->functions[3].type));
}

TEST_F(CallGraphTest, WithoutTailCallsNoAreaIsReserved) {
  build("(module (func (param i64 i64 i64 i64 i64 i64 i64 i64)) (func))");
  graph.tail_called_types().for_each([](u32 type) { ADD_FAILURE() << type; });
  EXPECT_FALSE(graph.has_throw());
  EXPECT_FALSE(graph.indirect_may_throw());
  EXPECT_FALSE(graph.calls_outside());
  for (u8 throws : graph.may_throw()) EXPECT_FALSE(throws);
}

// A tag of type 0, [] -> []; function i has body i.
std::string throwing_module(const std::vector<testing::Bin>& bodies,
                            const testing::Bin& more = {}) {
  using namespace testing;  // NOLINT(google-build-using-namespace)
  Bin types_of_functions = uleb(bodies.size()), codes = uleb(bodies.size());
  for (const Bin& code : bodies) {
    types_of_functions = types_of_functions + Bin{0};
    codes = codes + body(code);
  }
  Bin bytes = header() + types({func_type({}, {})}) + section(3, types_of_functions) +
              section(4, vec({{kFuncRef, 0, 1}})) + section(13, vec({{0, 0}})) + more +
              section(10, codes);
  return std::string(bytes.begin(), bytes.end());
}
const testing::Bin kThrow = {0x08, 0, 0x0b}, kNothing = {0x0b},
                   kCallIndirect = {0x41, 0, 0x11, 0, 0, 0x0b};
testing::Bin call_of(uint8_t func) { return {0x10, func, 0x0b}; }

TEST_F(CallGraphTest, WhoCallsWhoThrowsMayThrow) {
  build_binary(throwing_module({call_of(1),
                                call_of(2),
                                kThrow,
                                kNothing,
                                call_of(3),
                                call_of(6),
                                call_of(7),
                                {0x10, 5, 0x10, 2, 0x0b}}));
  EXPECT_TRUE(graph.has_throw());
  const bool expected[] = {true, true, true, false, false, true, true, true};
  for (u32 i = 0; i < 8; i++) EXPECT_EQ(graph.may_throw()[i] != 0, expected[i]) << i;
  EXPECT_FALSE(graph.indirect_may_throw());
}

TEST_F(CallGraphTest, IndirectCallsThrowIfAnyTargetDoes) {
  using testing::Bin, testing::section, testing::vec;
  auto elements = [](uint8_t func) { return section(9, vec({{0, 0x41, 0, 0x0b, 1, func}})); };
  build_binary(throwing_module({kCallIndirect, kThrow, kNothing}, elements(1)));
  EXPECT_TRUE(graph.indirect_may_throw());
  EXPECT_TRUE(graph.may_throw()[0]);
}

TEST_F(CallGraphTest, IndirectCallsOfOthersDoNotThrow) {
  using testing::section, testing::vec;
  build_binary(throwing_module({kCallIndirect, kThrow, kNothing},
                               section(9, vec({{0, 0x41, 0, 0x0b, 1, 2}}))));
  EXPECT_FALSE(graph.indirect_may_throw());
  EXPECT_FALSE(graph.may_throw()[0]);
}

TEST_F(CallGraphTest, OtherInstancesMayThrowAndHostFunctionsNot) {
  build("(module (import \"m\" \"f\" (func)) (func (call 0)))", BindingKind::kWasm);
  EXPECT_TRUE(graph.may_throw()[0]);
  EXPECT_TRUE(graph.may_throw()[1]);
  EXPECT_TRUE(graph.calls_outside());
}

TEST_F(CallGraphTest, HostFunctionsDoNotThrow) {
  build("(module (import \"m\" \"f\" (func)) (func (call 0)))");
  EXPECT_FALSE(graph.may_throw()[1]);
  EXPECT_FALSE(graph.calls_outside());
}

TEST_F(CallGraphTest, ReferencesFromElsewhereMayGetIntoPrivateTables) {
  const char* text = R"((module
    (table $shared (import "m" "t") 1 funcref) (table $own 1 funcref)
    (func $entry (export "entry") (call_indirect $own (i32.const 0)))
    (func $move %)))";
  auto with = [&](const char* body) {
    std::string out = text;
    return out.replace(out.find('%'), 1, body);
  };
  build(with("(table.copy $own $shared (i32.const 0) (i32.const 0) (i32.const 1))"));
  EXPECT_TRUE(graph.is_recursive(0));
  EXPECT_GE(graph.callee_depth(0), link::CallGraph::kUnknownDepth);
}

TEST_F(CallGraphTest, ReferencesThatNobodyMovesStayWhereTheyAre) {
  build(R"((module
    (table $shared (import "m" "t") 1 funcref) (table $own 1 funcref)
    (func $entry (export "entry") (call_indirect $own (i32.const 0)))))");
  EXPECT_FALSE(graph.is_recursive(0));
}

TEST_F(CallGraphTest, CallsOfReferencesReachWhatIsTakenOrComesIn) {
  using namespace testing;  // NOLINT(google-build-using-namespace)
  // 0: call_ref of a reference to 1; 1: nothing; 2: exported, takes a reference and calls it.
  auto module_of = [](bool is_exported) {
    Bin bytes = header() + section(1, vec({func_type({}, {}), Bin{0x60, 1, kRef, 0, 0}})) +
                section(3, vec({{0}, {0}, {1}})) +
                (is_exported ? section(7, vec({str("f") + Bin{0, 2}})) : Bin{}) +
                section(9, vec({{3, 0, 1, 1}})) +
                section(10, vec({body({0xd2, 1, 0x14, 0, 0x0b}), body({0x0b}),
                                 body({0x20, 0, 0x14, 0, 0x0b})}));
    return std::string(bytes.begin(), bytes.end());
  };
  build_binary(module_of(false));
  EXPECT_FALSE(graph.is_recursive(0));
  EXPECT_LT(position(1), position(0));
  EXPECT_FALSE(graph.calls_outside());
  module_free(module);
  module = nullptr;
  type_ids.clear();
  link::CallGraph other;
  std::string bytes = module_of(true);
  Diag diag;
  ASSERT_EQ(decode({reinterpret_cast<const u8*>(bytes.data()), bytes.size()}, {}, kMaxCompileBytes,
                   &module, &diag),
            Err::kOk);
  type_ids = {1, 2};
  ASSERT_EQ(other.build(*module, bindings, {type_ids.data(), 2}, &arena, &diag), Err::kOk);
  EXPECT_TRUE(other.calls_outside());
  EXPECT_TRUE(other.is_recursive(2)) << "may be called back by what it calls";
}

// What a call may do without paying is bounded, however deep the tree of calls below it is.
TEST_F(CallGraphTest, BigTreesOfCallsPay) {
  std::string text = "(module";
  for (u32 i = 0; i < 20; i++) {
    text += "(func";
    for (u32 k = 0; k < 10 && i < 19; k++) text += "(call " + std::to_string(i + 1) + ")";
    text += ")";
  }
  build(text + ")");
  u32 paying = 0;
  for (u32 i = 20; i-- > 0;) {
    u64 cost = i == 19 ? 4 : 10 * (4 + graph.unpaid(i + 1));
    EXPECT_LE(cost, 10 * (4 + link::CallGraph::kMaxUnpaid));
    bool pays = graph.note_cost(i, cost);
    EXPECT_EQ(graph.unpaid(i), pays ? 0 : cost);
    EXPECT_EQ(pays, cost > link::CallGraph::kMaxUnpaid);
    paying += pays;
  }
  EXPECT_GE(paying, 6u);
  EXPECT_LE(paying, 10u);
}

TEST_F(CallGraphTest, SmallFunctionsAreFree) {
  build(R"((module (func $a (call $b) (call $b) (call $c)) (func $b (call $c)) (func $c)
    (func $loop (call $loop))))");
  for (u32 i = 0; i < 3; i++) EXPECT_FALSE(graph.note_cost(i, 10));
  EXPECT_TRUE(graph.note_cost(3, 10));
  EXPECT_EQ(graph.unpaid(3), 0u);
}

TEST_F(CallGraphTest, IndirectCallsCostAsTheDearest) {
  build(R"((module (type $t (func)) (table funcref (elem $a $b))
    (func $a) (func $b) (func (call_indirect (type $t) (i32.const 0)))))");
  EXPECT_FALSE(graph.note_cost(0, 10));
  EXPECT_FALSE(graph.note_cost(1, 300));
  EXPECT_EQ(graph.unpaid_indirect(0), 300u);
}

TEST_F(CallGraphTest, OtherInstancesCostWhatTheyMayLeaveUnpaid) {
  build(R"((module (type $t (func)) (import "m" "f" (func)) (func (call 0))))", BindingKind::kWasm);
  EXPECT_EQ(graph.unpaid_indirect(0), link::CallGraph::kMaxUnpaidOutside);
  EXPECT_TRUE(graph.note_cost(1, 100, link::CallGraph::kMaxUnpaidOutside));
  EXPECT_FALSE(graph.note_cost(1, 100));
}

TEST_F(CallGraphTest, KnowsWhichTablesGrow) {
  build(R"((module (table 1 funcref) (table $x 1 externref)
    (func (drop (table.grow $x (ref.null extern) (i32.const 1))))))");
  EXPECT_FALSE(graph.growing_tables().test(0));
  EXPECT_TRUE(graph.growing_tables().test(1));
}

TEST_F(CallGraphTest, FindsWhatNeedsAHookByDirectCallsOnly) {
  build(R"((module
    (type $v (func))
    (import "m" "free" (func (type $v))) (import "m" "hook" (func (type $v)))
    (table funcref (elem 1 3))
    (func $leaf (call 0))
    (func $calls (call 1))
    (func $chain (call 2) (if (i32.const 0) (then (call 3))) (call 4))
    (func $indirect (call_indirect (type $v) (i32.const 0)) (call 2) (call 5))
    (func $tail (return_call 4))))");
  functions[1].needs_hook = true;
  Diag diag;
  for (u32 func : {1, 3, 4, 6}) {
    u32 found = 0;
    ASSERT_EQ(graph.find_hook_import(func, &found, &diag), Err::kOk);
    EXPECT_EQ(found, 1u) << func;
  }
  for (u32 func : {0, 2, 5}) {
    u32 found = 0;
    ASSERT_EQ(graph.find_hook_import(func, &found, &diag), Err::kOk);
    EXPECT_EQ(found, kNone) << func;
  }
}

}  // namespace
}  // namespace wring::test
