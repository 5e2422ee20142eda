// SPDX-License-Identifier: GPL-2.0
// Instantiation and linking: imports, memories, tables, globals, segments, and who stays alive how long.
#include "selftests/core/runtime/engine_fixture.h"

namespace wring::test {
namespace {

using InstanceTest = EngineTest;

TEST_F(InstanceTest, CallsAnExport) {
  wring_instance* i = load(R"((module (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))))");
  EXPECT_VALUE(call(i, "add", {40, 2}), 42u);
  EXPECT_VALUE(call(i, "add", {0xffffffff, 2}), 1u);
}

TEST_F(InstanceTest, GlobalsAndSegmentsAreInitialized) {
  wring_instance* i = load(R"((module
    (memory 1) (table 4 funcref)
    (global $g (export "g") (mut i64) (i64.const -5))
    (global $base i32 (i32.const 16))
    (data (i32.const 16) "\01\02\03\04") (data "passive")
    (elem (i32.const 1) $seven)
    (func $seven (result i32) (i32.const 7))
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "bump") (global.set $g (i64.add (global.get $g) (i64.const 1))))
    (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))))");
  EXPECT_VALUE(call(i, "load", {16}), 0x04030201u);
  EXPECT_VALUE(call(i, "load", {14}), 0x02010000u);
  EXPECT_VALUE(call(i, "call", {1}), 7u);
  EXPECT_TRAP(call(i, "call", {0}), WRING_TRAP_UninitializedElement);
  EXPECT_TRAP(call(i, "call", {4}), WRING_TRAP_UndefinedElement);
  call(i, "bump");
  unsigned long long value[2];
  ASSERT_EQ(wring_instance_global(i, 0, value), 0);
  EXPECT_EQ(value[0], static_cast<unsigned long long>(-4));
  EXPECT_NE(wring_instance_global(i, 2, value), 0);
}

TEST_F(InstanceTest, ActiveSegmentsOutOfBoundsTrapAndKeepEarlierWrites) {
  wring_instance* a = load(R"((module (memory (export "m") 1) (table (export "t") 3 funcref)
    (func (export "load") (result i32) (i32.load8_u (i32.const 5)))
    (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))))");
  std::vector<wring_import_value> imports = {from(a, "m"), from(a, "t")};
  const char* text = R"((module (import "a" "m" (memory 1)) (import "a" "t" (table 3 funcref))
    (func $nine (result i32) (i32.const 9))
    (elem (i32.const 2) $nine)
    (data (i32.const 5) "\2a") (data (i32.const 65535) "no")))";
  EXPECT_EQ(try_load(text, imports), -WRING_ERR_TRAP);
  EXPECT_EQ(std::string(error.message).rfind("out of bounds memory access", 0), 0u)
      << error.message;
  EXPECT_VALUE(call(a, "load"), 42u);
  // The failed instance's function is in the table, and must still run.
  EXPECT_VALUE(call(a, "call", {2}), 9u);
  EXPECT_EQ(
      try_load(R"((module (import "a" "t" (table 3 funcref)) (func $f) (elem (i32.const 3) $f)))",
               {from(a, "t")}),
      -WRING_ERR_TRAP);
  EXPECT_EQ(std::string(error.message).rfind("out of bounds table access", 0), 0u) << error.message;
}

TEST_F(InstanceTest, FunctionsOfOtherInstancesRunOnTheirOwnState) {
  wring_instance* counter = load(R"((module
    (memory 1) (global $n (mut i32) (i32.const 0))
    (func (export "next") (param i32) (result i32)
      (global.set $n (i32.add (global.get $n) (local.get 0)))
      (i32.store (i32.const 0) (global.get $n))
      (i32.load (i32.const 0)))))");
  wring_instance* user = load(R"((module
    (import "c" "next" (func $next (param i32) (result i32)))
    (memory 1) (data (i32.const 0) "\64")
    (func (export "run") (result i32)
      (drop (call $next (i32.const 3)))
      (i32.add (call $next (i32.const 4)) (i32.load (i32.const 0))))))",
                              {from(counter, "next")});
  EXPECT_VALUE(call(user, "run"), 107u);
  EXPECT_VALUE(call(counter, "next", {1}), 8u);
}

TEST_F(InstanceTest, ManyParametersAndResultsCrossBridges) {
  wring_instance* a = load(R"((module
    (func (export "f") (param i32 i64 i32 i64 i32 i64 i32 i64 i32)
                       (result i64 i32 i64 i32 i64 i32 i64 i32)
      (local.get 7) (local.get 8) (local.get 5) (local.get 6)
      (local.get 3) (local.get 4) (local.get 1) (local.get 0))))");
  wring_instance* b = load(R"((module
    (import "a" "f" (func $f (param i32 i64 i32 i64 i32 i64 i32 i64 i32)
                             (result i64 i32 i64 i32 i64 i32 i64 i32)))
    (func (export "run") (result i64)
      (local $a i64) (local $b i32) (local $c i64) (local $d i32)
      (local $e i64) (local $f i32) (local $g i64)
      (call $f (i32.const 1) (i64.const 2) (i32.const 3) (i64.const 4) (i32.const 5)
               (i64.const 6) (i32.const 7) (i64.const 8) (i32.const 9))
      (i64.extend_i32_u)
      (local.set $a)
      (local.set $a (i64.add (i64.mul (i64.const 10)) (local.get $a)))
      (local.set $b)
      (local.set $c) (local.set $d) (local.set $e) (local.set $f) (local.set $g)
      (i64.add (local.get $a)
        (i64.add (i64.mul (i64.const 100) (i64.extend_i32_u (local.get $b)))
        (i64.add (i64.mul (i64.const 1000) (local.get $c))
        (i64.add (i64.mul (i64.const 10000) (i64.extend_i32_u (local.get $d)))
        (i64.add (i64.mul (i64.const 100000) (local.get $e))
        (i64.add (i64.mul (i64.const 1000000) (i64.extend_i32_u (local.get $f)))
                 (i64.mul (i64.const 10000000) (local.get $g)))))))))))",
                           {from(a, "f")});
  EXPECT_VALUE(call(b, "run"), 89674521ull);
}

TEST_F(InstanceTest, SharedTablesHoldFunctionsOfBothSides) {
  wring_instance* a = load(R"((module
    (global $id i32 (i32.const 1)) (memory 1) (data (i32.const 0) "\01")
    (table (export "t") 4 funcref) (table $private 2 funcref)
    (elem (i32.const 0) $own) (elem (table $private) (i32.const 0) func $own)
    (func $own (export "own") (result i32) (i32.load8_u (i32.const 0)))
    (func (export "copy") (table.copy 0 $private (i32.const 3) (i32.const 0) (i32.const 1)))
    (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))))");
  EXPECT_VALUE(call(a, "call", {0}), 1u);
  wring_instance* b = load(R"((module
    (import "a" "t" (table 4 funcref)) (import "a" "own" (func $imported (result i32)))
    (memory 1) (data (i32.const 0) "\02")
    (elem (i32.const 1) $own) (elem $passive func $own $imported)
    (func $own (result i32) (i32.load8_u (i32.const 0)))
    (func (export "init") (table.init $passive (i32.const 2) (i32.const 1) (i32.const 1)))
    (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))))",
                           {from(a, "t"), from(a, "own")});
  for (wring_instance* i : {a, b}) {
    EXPECT_VALUE(call(i, "call", {0}), 1u);
    EXPECT_VALUE(call(i, "call", {1}), 2u);
    EXPECT_TRAP(call(i, "call", {2}), WRING_TRAP_UninitializedElement);
  }
  call(b, "init");
  call(a, "copy");
  for (wring_instance* i : {a, b}) {
    EXPECT_VALUE(call(i, "call", {2}), 1u);
    EXPECT_VALUE(call(i, "call", {3}), 1u);
  }
}

TEST_F(InstanceTest, SharedMemoriesAndGlobalsAreOne) {
  wring_instance* a =
      load(R"((module (memory (export "m") 1 3) (global (export "g") (mut i32) (i32.const 1))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "set") (global.set 0 (i32.const 77)))))");
  wring_instance* b =
      load(R"((module (import "a" "m" (memory 1 5)) (import "a" "g" (global (mut i32)))
    (func (export "size") (result i32) (memory.size))
    (func (export "get") (result i32) (global.get 0))))",
           {from(a, "m"), from(a, "g")});
  EXPECT_VALUE(call(b, "size"), 1u);
  EXPECT_VALUE(call(a, "grow"), 1u);
  call(a, "set");
  EXPECT_VALUE(call(b, "size"), 2u);
  EXPECT_VALUE(call(b, "get"), 77u);
}

TEST_F(InstanceTest, ReexportedImportsCanBeCalledAndImported) {
  wring_instance* a = load("(module (func (export \"f\") (result i32) (i32.const 5)))");
  wring_instance* b =
      load(R"((module (import "a" "f" (func $f (result i32))) (export "again" (func $f))))",
           {from(a, "f")});
  wring_instance* c = load(R"((module (import "b" "again" (func $f (result i32)))
    (func (export "run") (result i32) (call $f))))",
                           {from(b, "again")});
  EXPECT_VALUE(call(b, "again"), 5u);
  EXPECT_VALUE(call(c, "run"), 5u);
}

TEST_F(InstanceTest, ImportsMustMatch) {
  wring_instance* a = load(R"((module
    (func (export "f") (param i32)) (memory (export "m") 2 4) (table (export "t") 2 4 funcref)
    (table (export "open") 2 funcref)
    (global (export "g") i32 (i32.const 0)) (global (export "v") (mut i32) (i32.const 0))))");
  auto expect = [&](const std::string& import, const std::string& name, int expected,
                    const std::string& message = "") {
    EXPECT_EQ(try_load("(module (import \"a\" \"x\" " + import + "))", {from(a, name)}), expected)
        << import;
    if (expected) {
      EXPECT_EQ(std::string(error.message).rfind(message, 0), 0u) << error.message;
    }
  };
  const char* incompatible = "incompatible import type";
  expect("(func (param i32))", "f", 0);
  expect("(func (param i64))", "f", -WRING_ERR_LINK, incompatible);
  expect("(func (param i32) (result i32))", "f", -WRING_ERR_LINK, incompatible);
  expect("(func (param i32))", "m", -WRING_ERR_LINK, incompatible);
  expect("(memory 2 4)", "m", 0);
  expect("(memory 0)", "m", 0);
  expect("(memory 1 5)", "m", 0);
  expect("(memory 3 4)", "m", -WRING_ERR_LINK, incompatible);
  expect("(memory 2 3)", "m", -WRING_ERR_LINK, incompatible);
  expect("(table 1 4 funcref)", "t", 0);
  expect("(table 3 funcref)", "t", -WRING_ERR_LINK, incompatible);
  expect("(table 2 3 funcref)", "t", -WRING_ERR_LINK, incompatible);
  expect("(table 2 10 funcref)", "open", -WRING_ERR_LINK, incompatible);
  expect("(global i32)", "g", 0);
  expect("(global i64)", "g", -WRING_ERR_LINK, incompatible);
  expect("(global (mut i32))", "g", -WRING_ERR_LINK, incompatible);
  expect("(global i32)", "v", -WRING_ERR_LINK, incompatible);
  EXPECT_EQ(try_load("(module (import \"a\" \"x\" (func)))", {{nullptr, 0}}), -WRING_ERR_LINK);
  EXPECT_STREQ(error.message, "unknown import \"a\" \"x\"");
  EXPECT_NE(error.offset, WRING_NO_INDEX);
  EXPECT_EQ(try_load("(module (import \"a\" \"x\" (func)))", {{a, 99}}), -WRING_ERR_LINK);
  EXPECT_EQ(try_load("(module (import \"a\" \"x\" (func)))", {}), -WRING_ERR_LINK);
}

TEST_F(InstanceTest, ImportNamesInMessagesArePrintable) {
  EXPECT_EQ(try_load("(module (import \"a\\0ab\" \"\\1b[31m\" (func)))", {{nullptr, 0}}),
            -WRING_ERR_LINK);
  EXPECT_STREQ(error.message, "unknown import \"a?b\" \"?[31m\"");
}

TEST_F(InstanceTest, LimitsOfTheStoreHold) {
  release();
  wring_limits limits = {};
  limits.memory_pages = 4;
  limits.table_entries = 10;
  new_store(limits);
  EXPECT_EQ(try_load("(module (memory 5))"), -WRING_ERR_LIMIT);
  EXPECT_EQ(try_load("(module (table 11 funcref))"), -WRING_ERR_LIMIT);
  wring_instance* i = load(R"((module (memory 1) (func (export "grow") (param i32) (result i32)
    (memory.grow (local.get 0)))))");
  EXPECT_VALUE(call(i, "grow", {4}), 0xffffffffu);
  EXPECT_VALUE(call(i, "grow", {3}), 1u);
  EXPECT_VALUE(call(i, "grow", {1}), 0xffffffffu);
}

TEST_F(InstanceTest, CodeLimitsHold) {
  release();
  wring_limits limits = {};
  limits.code_bytes = 64;
  new_store(limits);
  EXPECT_EQ(try_load("(module (func (export \"f\")) (func (export \"g\")))"), -WRING_ERR_LIMIT);
  EXPECT_NE(std::string(error.message).find("code"), std::string::npos) << error.message;
}

TEST_F(InstanceTest, LinkedInstancesOutliveTheirHandles) {
  wring_instance* a = load(R"((module (memory 1) (data (i32.const 3) "\09")
    (func (export "f") (result i32) (i32.load8_u (i32.const 3)))))");
  wring_instance* b = load(R"((module (import "a" "f" (func $f (result i32)))
    (func (export "run") (result i32) (call $f))))",
                           {from(a, "f")});
  Loaded first = loaded[0];
  loaded[0] = {};
  wring_instance_put(first.instance);
  wring_code_put(first.code);
  wring_module_put(first.module);
  EXPECT_VALUE(call(b, "run"), 9u);
}

TEST_F(InstanceTest, FailedImportersLeaveNothingBehind) {
  release();
  wring_limits limits = {};
  limits.memory_pages = 4;
  new_store(limits);
  wring_instance* a = load("(module (table (export \"t\") 1 funcref) (func (export \"f\")))");
  const char* text = R"((module (import "a" "t" (table 1 funcref)) (import "a" "f" (func))
    (memory 5) (func (export "g"))))";
  // The first one makes the exporter's bridges.
  EXPECT_EQ(try_load(text, {from(a, "t"), from(a, "f")}), -WRING_ERR_LIMIT);
  wring_code_put(loaded.back().code);
  wring_module_put(loaded.back().module);
  loaded.pop_back();
  long long before = wring_posix_live_allocations();
  EXPECT_EQ(try_load(text, {from(a, "t"), from(a, "f")}), -WRING_ERR_LIMIT);
  wring_code_put(loaded.back().code);
  wring_module_put(loaded.back().module);
  loaded.pop_back();
  EXPECT_EQ(wring_posix_live_allocations(), before);
}

TEST_F(InstanceTest, UnlinkedInstancesGoAtOnce) {
  load("(module (memory 1) (table 3 funcref) (func (export \"f\")))");
  long long before = wring_posix_live_allocations();
  wring_instance* extra = nullptr;
  ASSERT_EQ(wring_instance_new(loaded[0].code, nullptr, 0, &extra, &error), 0);
  EXPECT_GT(wring_posix_live_allocations(), before);
  wring_instance_put(extra);
  EXPECT_EQ(wring_posix_live_allocations(), before);
}

TEST_F(InstanceTest, InstancesOfOneCodeAreIndependent) {
  wring_instance* first = load(R"((module (memory 1) (global $g (mut i32) (i32.const 0))
    (func (export "bump") (result i32)
      (global.set $g (i32.add (global.get $g) (i32.const 1)))
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 10)))
      (i32.add (global.get $g) (i32.load (i32.const 0))))))");
  wring_instance* second = nullptr;
  ASSERT_EQ(wring_instance_new(loaded[0].code, nullptr, 0, &second, &error), 0);
  EXPECT_VALUE(call(first, "bump"), 11u);
  EXPECT_VALUE(call(first, "bump"), 22u);
  loaded.push_back({loaded[0].module, nullptr, second});
  EXPECT_VALUE(call(second, "bump"), 11u);
  loaded.back().module = nullptr;
}

TEST_F(InstanceTest, CodeMustBePlacedOnce) {
  std::string bytes = wat("(module (func (export \"f\")))");
  Loaded l;
  ASSERT_EQ(compile(bytes, {}, &l), 0);
  char image[256];
  EXPECT_NE(wring_code_place(l.code, image, 0x1000, &error), 0);
  wring_target target = wring_posix_target();
  wring_compile_options options = {};
  options.target = &target;
  wring_code* unplaced = nullptr;
  ASSERT_EQ(wring_compile(l.module, &options, &unplaced, &error), 0);
  wring_instance* instance = nullptr;
  EXPECT_EQ(wring_instance_new(unplaced, nullptr, 0, &instance, &error), -WRING_ERR_LINK);
  wring_code_put(unplaced);
  loaded.push_back(l);
}

TEST_F(InstanceTest, HostFunctionsAreCalledDirectlyAndThroughTables) {
  auto twice = +[](wring_vmctx*, unsigned x) -> unsigned { return 2 * x; };
  auto fails = +[](wring_vmctx* vmctx) { vmctx->trap_reason = WRING_TRAP_HostError; };
  wring_binding host = {WRING_BIND_HOST, 0, reinterpret_cast<unsigned long long>(twice), 0, 0, 0};
  wring_binding failing = {
      WRING_BIND_HOST, 0, reinterpret_cast<unsigned long long>(fails), 1, 0, 0};
  wring_binding constant = {WRING_BIND_CONSTANT, 33, 0, 0, 0, 0};
  wring_instance* i = load(R"((module
    (import "h" "twice" (func $twice (param i32) (result i32)))
    (import "h" "fails" (func $fails)) (import "h" "c" (func $c (result i32)))
    (export "again" (func $twice))
    (table 2 funcref) (elem (i32.const 0) $twice $c)
    (func (export "direct") (param i32) (result i32) (call $twice (local.get 0)))
    (func (export "indirect") (param i32) (result i32)
      (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)))
    (func (export "const") (result i32)
      (i32.add (call $c) (call_indirect (result i32) (i32.const 1))))
    (func (export "fails") (call $fails))))",
                           {{nullptr, 0}, {nullptr, 0}, {nullptr, 0}}, {host, failing, constant});
  EXPECT_VALUE(call(i, "direct", {21}), 42u);
  EXPECT_VALUE(call(i, "indirect", {4}), 8u);
  EXPECT_VALUE(call(i, "again", {5}), 10u);
  EXPECT_VALUE(call(i, "const"), 66u);
  EXPECT_TRAP(call(i, "fails"), WRING_TRAP_HostError);
  EXPECT_VALUE(call(i, "direct", {1}), 2u);
}

TEST_F(InstanceTest, BindingsAreChecked) {
  Loaded l;
  std::string bytes = wat("(module (import \"m\" \"f\" (func)))");
  EXPECT_EQ(compile(bytes, {{WRING_BIND_INTRINSIC, 0, 0, 0, 0, 0}}, &l), -WRING_ERR_LINK);
  wring_module_put(l.module);
  l = {};
  EXPECT_EQ(compile(bytes, {{17, 0, 0, 0, 0, 0}}, &l), -WRING_ERR_LINK);
  wring_module_put(l.module);
}

TEST_F(InstanceTest, StartFunctionsCallNothingThatNeedsAHook) {
  auto twice = +[](wring_vmctx*, unsigned x) -> unsigned { return 2 * x; };
  wring_binding host = {
      WRING_BIND_HOOK_HOST, 0, reinterpret_cast<unsigned long long>(twice), 0, 0, 0};
  const std::string import = R"((module (import "m" "f" (func (param i32) (result i32)))
    (func (export "f") (param i32) (result i32) (call 0 (local.get 0)))
    (table 1 funcref) (elem (i32.const 0) 1))";
  EXPECT_EQ(try_load(import + "(start $s) (func $s (drop (call 1 (i32.const 1)))))", {{}}, {host}),
            -WRING_ERR_LINK);
  EXPECT_STREQ(error.message, "import 0 \"m\" \"f\" needs a hook, and start function 2 calls it");
  EXPECT_STREQ(error.function, "s");
  wring_instance* i = load(import + R"((start $s) (func $s
    (drop (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 0))))))",
                           {{}}, {host});
  EXPECT_VALUE(call(i, "f", {21}), 42u);
}

TEST_F(InstanceTest, ModulesDescribeThemselves) {
  std::string bytes = wat(
      R"((module $demo
    (import "m" "f" (func $imp (param i32 i64) (result i32)))
    (import "m" "mem" (memory 1))
    (import "wring" "pkt_load8" (func (param i32) (result i32)))
    (import "wring" "pkt_load16" (func))
    (global (export "g") (mut i64) (i64.const 0)) (func $named (export "e"))))");
  wring_module* m = nullptr;
  ASSERT_EQ(wring_module_new(store, bytes.data(), bytes.size(), &m, &error), 0) << error.message;
  wring_extern_desc d;
  ASSERT_EQ(wring_module_import_count(m), 4u);
  ASSERT_EQ(wring_module_import(m, 0, &d), 0);
  EXPECT_EQ(std::string(d.module.data, d.module.len), "m");
  EXPECT_EQ(std::string(d.name.data, d.name.len), "f");
  EXPECT_STREQ(d.params, "il");
  EXPECT_STREQ(d.results, "i");
  EXPECT_EQ(wring_import_is_intrinsic(m, 0), 0);
  EXPECT_EQ(wring_import_is_intrinsic(m, 1), 0);
  EXPECT_EQ(wring_import_is_intrinsic(m, 2), 1);
  EXPECT_EQ(wring_import_is_intrinsic(m, 3), 0) << "the signature differs";
  EXPECT_NE(wring_module_import(m, 4, &d), 0);
  ASSERT_EQ(wring_module_export(m, 0, &d), 0);
  EXPECT_EQ(d.kind, 3u);
  EXPECT_STREQ(d.results, "l");
  EXPECT_STREQ(d.params, "m");
  wring_str name = wring_module_function_name(m, 3);
  EXPECT_EQ(std::string(name.data, name.len), "named");
  wring_str custom;
  EXPECT_EQ(wring_module_custom(m, "name", 0, &custom), 0);
  EXPECT_GT(custom.len, 0u);
  EXPECT_NE(wring_module_custom(m, "name", 1, &custom), 0);
  wring_module_put(m);
}

}  // namespace
}  // namespace wring::test
