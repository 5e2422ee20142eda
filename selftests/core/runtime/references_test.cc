// SPDX-License-Identifier: GPL-2.0
// References: in tables that grow, in globals, across instances that were linked late, and from the host.
#include "core/abi/libcalls.h"
#include "core/base/limits.h"
#include "selftests/core/runtime/engine_fixture.h"
#include "selftests/core/wasm/module_builder.h"

namespace wring::test {
namespace {

using namespace wring::testing;  // NOLINT(google-build-using-namespace)

using ReferencesTest = EngineTest;

const char kTables[] = R"((module
  (table $x (export "x") 2 40 externref) (table $f 3 funcref) (table $small 1 2 externref)
  (elem declare func $one)
  (func $one (result i32) (i32.const 1))
  (func (export "get") (param i32) (result externref) (table.get $x (local.get 0)))
  (func (export "set") (param i32 externref) (table.set $x (local.get 0) (local.get 1)))
  (func (export "grow") (param externref i32) (result i32)
    (table.grow $x (local.get 0) (local.get 1)))
  (func (export "grow_small") (result i32) (table.grow $small (ref.null extern) (i32.const 1)))
  (func (export "fill") (param i32 externref i32)
    (table.fill $x (local.get 0) (local.get 1) (local.get 2)))
  (func (export "size") (result i32) (table.size $x))
  (func (export "grow_f") (param i32) (result i32) (table.grow $f (ref.func $one) (local.get 0)))
  (func (export "call_f") (param i32) (result i32) (call_indirect $f (result i32) (local.get 0)))
  (func (export "is_null_f") (param i32) (result i32)
    (ref.is_null (table.get $f (local.get 0))))
  (func (export "copy_f") (param i32 i32)
    (table.set $f (local.get 0) (table.get $f (local.get 1))))))";

TEST_F(ReferencesTest, TablesOfHostReferences) {
  wring_instance* i = load(kTables);
  EXPECT_VALUE(call(i, "get", {1}), 0u);
  EXPECT_TRAP(call(i, "set", {1, 0x1234567890}), 0);
  EXPECT_VALUE(call(i, "get", {1}), 0x1234567890u);
  EXPECT_TRAP(call(i, "get", {2}), WRING_TRAP_TableOutOfBounds);
  EXPECT_TRAP(call(i, "set", {2, 1}), WRING_TRAP_TableOutOfBounds);
  EXPECT_TRAP(call(i, "fill", {1, 7, 2}), WRING_TRAP_TableOutOfBounds);
  EXPECT_TRAP(call(i, "fill", {0, 7, 2}), 0);
  EXPECT_VALUE(call(i, "get", {0}), 7u);
  EXPECT_TRAP(call(i, "fill", {2, 7, 0}), 0);
}

TEST_F(ReferencesTest, TablesGrowToTheirMaximumAndStayWhereTheyAre) {
  wring_instance* i = load(kTables);
  const void* entries = wring_instance_vmctx(i)->tables[0]->entries;
  EXPECT_VALUE(call(i, "grow", {9, 0}), 2u);
  EXPECT_VALUE(call(i, "grow", {9, 39}), 0xffffffffu);
  EXPECT_VALUE(call(i, "grow", {9, 0xffffffff}), 0xffffffffu);
  EXPECT_VALUE(call(i, "grow", {9, 38}), 2u);
  EXPECT_VALUE(call(i, "size"), 40u);
  EXPECT_VALUE(call(i, "get", {39}), 9u);
  EXPECT_VALUE(call(i, "grow", {9, 1}), 0xffffffffu);
  EXPECT_EQ(wring_instance_vmctx(i)->tables[0]->entries, entries);
}

TEST_F(ReferencesTest, FunctionsAddedToATableCanBeCalled) {
  wring_instance* i = load(kTables);
  EXPECT_VALUE(call(i, "is_null_f", {2}), 1u);
  EXPECT_VALUE(call(i, "grow_f", {500'000}), 3u);
  EXPECT_VALUE(call(i, "call_f", {3}), 1u);
  EXPECT_VALUE(call(i, "call_f", {500'002}), 1u);
  EXPECT_TRAP(call(i, "call_f", {500'003}), WRING_TRAP_UndefinedElement);
  EXPECT_VALUE(call(i, "is_null_f", {500'002}), 0u);
  EXPECT_TRAP(call(i, "copy_f", {0, 4}), 0);
  EXPECT_VALUE(call(i, "call_f", {0}), 1u);
  EXPECT_TRAP(call(i, "copy_f", {0, 2}), 0);
  EXPECT_TRAP(call(i, "call_f", {0}), WRING_TRAP_UninitializedElement);
  // Without a maximum of its own the engine's holds.
  EXPECT_VALUE(call(i, "grow_f", {kMaxTableEntries}), 0xffffffffu);
}

TEST_F(ReferencesTest, GrowthFailsWhereMemoryRunsOutOrNothingMaySleep) {
  wring_instance* i = load(kTables);
  wring_posix_fail_allocation(1);
  EXPECT_VALUE(call(i, "grow_f", {1000}), 0xffffffffu);
  wring_posix_fail_allocation(0);
  wring_vmctx* vmctx = wring_instance_vmctx(i);
  ASSERT_EQ(vmctx->may_sleep, 0u);
  // Within the page that is there already it works all the same.
  EXPECT_EQ(wring_lib_table_grow(vmctx, 1, 0, 1000), ~0ull);
  EXPECT_EQ(wring_lib_table_grow(vmctx, 1, 0, 1), 3u);
  EXPECT_VALUE(call(i, "grow_f", {1000}), 4u);
}

TEST_F(ReferencesTest, TheHostCanLookIntoTables) {
  wring_instance* i = load(kTables);
  call(i, "set", {1, 55});
  unsigned long long ref = 0;
  unsigned size = 0;
  ASSERT_EQ(wring_instance_table(i, 0, 1, &ref, &size), 0);
  EXPECT_EQ(ref, 55u);
  EXPECT_EQ(size, 2u);
  ASSERT_EQ(wring_instance_table(i, 0, 2, &ref, &size), 0);
  EXPECT_EQ(ref, 0u);
  EXPECT_NE(wring_instance_table(i, 3, 0, &ref, &size), 0);
}

TEST_F(ReferencesTest, SharedTablesGrowForEverybody) {
  wring_instance* a = load(R"((module (table (export "t") 1 10 funcref)
    (func (export "size") (result i32) (table.size 0))
    (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))))");
  wring_instance* b = load(R"((module (import "a" "t" (table 1 10 funcref))
    (memory 1) (data (i32.const 0) "\2a")
    (elem declare func $f) (func $f (result i32) (i32.load8_u (i32.const 0)))
    (func (export "grow") (result i32) (table.grow 0 (ref.func $f) (i32.const 2)))))",
                           {from(a, "t")});
  EXPECT_VALUE(call(b, "grow"), 1u);
  EXPECT_VALUE(call(a, "size"), 3u);
  EXPECT_VALUE(call(a, "call", {2}), 42u);
}

// References made before the instance was linked must lead through bridges afterwards.
TEST_F(ReferencesTest, OutliveLateLinking) {
  wring_instance* a = load(R"((module
    (memory 1) (data (i32.const 0) "\63")
    (global $kept (mut funcref) (ref.null func)) (table $t (export "t") 2 funcref)
    (elem declare func $f)
    (func $f (result i32) (i32.load8_u (i32.const 0)))
    (func (export "keep")
      (global.set $kept (ref.func $f)) (table.set $t (i32.const 0) (ref.func $f)))
    (func (export "publish") (table.set $t (i32.const 1) (global.get $kept)))))");
  EXPECT_TRAP(call(a, "keep"), 0);
  wring_instance* b = load(R"((module (import "a" "t" (table 2 funcref))
    (memory 1) (data (i32.const 0) "\07")
    (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))))",
                           {from(a, "t")});
  EXPECT_VALUE(call(b, "call", {0}), 99u);
  EXPECT_TRAP(call(a, "publish"), 0);
  EXPECT_VALUE(call(b, "call", {1}), 99u);
}

TEST_F(ReferencesTest, GlobalsOfFunctionsAreShared) {
  wring_instance* a = load(R"((module (global (export "g") (mut funcref) (ref.null func))
    (global (export "c") funcref (ref.func $f))
    (table 1 funcref)
    (func $f (export "f") (result i32) (i32.const 5))
    (func (export "call") (result i32)
      (table.set 0 (i32.const 0) (global.get 0)) (call_indirect (result i32) (i32.const 0)))))");
  wring_instance* b = load(R"((module (import "a" "g" (global $g (mut funcref)))
    (import "a" "c" (global $c funcref))
    (memory 1) (data (i32.const 0) "\08") (table 1 funcref)
    (elem declare func $f)
    (func $f (result i32) (i32.load8_u (i32.const 0)))
    (func (export "constant") (result i32)
      (table.set 0 (i32.const 0) (global.get $c)) (call_indirect (result i32) (i32.const 0)))
    (func (export "set") (global.set $g (ref.func $f)))))",
                           {from(a, "g"), from(a, "c")});
  EXPECT_VALUE(call(b, "constant"), 5u);
  EXPECT_TRAP(call(a, "call"), WRING_TRAP_UninitializedElement);
  EXPECT_TRAP(call(b, "set"), 0);
  EXPECT_VALUE(call(a, "call"), 8u);
}

TEST_F(ReferencesTest, FromTheHostAreChecked) {
  const char* text = R"((module (table 1 funcref)
    (func $seven (export "seven") (result i32) (i32.const 7))
    (func (export "give") (result funcref) (ref.func $seven))
    (func (export "call") (param funcref) (result i32)
      (table.set 0 (i32.const 0) (local.get 0)) (call_indirect (result i32) (i32.const 0)))))";
  wring_instance* a = load(text);
  wring_instance* stranger = load(text);
  unsigned long long ref = call(a, "give").value;
  EXPECT_NE(ref, 0u);
  EXPECT_VALUE(call(a, "call", {ref}), 7u);
  EXPECT_TRAP(call(a, "call", {0}), WRING_TRAP_UninitializedElement);
  EXPECT_TRAP(call(a, "call", {ref + 8}), WRING_TRAP_HostError);
  EXPECT_TRAP(call(a, "call", {0xdeadbeef}), WRING_TRAP_HostError);
  EXPECT_TRAP(call(a, "call", {call(stranger, "give").value}), WRING_TRAP_HostError);
}

// Typed references: (func (param (ref null? 0)) (result i32) (call_ref 0 (local.get 0))).
Bin typed(bool nullable) {
  const Bin ref = {nullable ? kRefNull : kRef, 0};
  return header() +
         section(1, vec({func_type({}, {kI32}), func_type({}, {}),
                         Bin{0x60, 1} + ref + Bin{1, kI32}})) +
         section(3, vec({{0}, {1}, {2}})) +
         section(7, vec({str("f") + Bin{0, 0}, str("g") + Bin{0, 1}, str("call") + Bin{0, 2}})) +
         section(10, vec({body({0x41, 11, 0x0b}), body({0x0b}), body({0x20, 0, 0x14, 0, 0x0b})}));
}

TEST_F(ReferencesTest, FromTheHostMustHaveTheirType) {
  wring_instance* i = load_binary(typed(true));
  const wring_func_ref* functions = wring_instance_vmctx(i)->functions;
  auto word = [](const wring_func_ref* ref) { return reinterpret_cast<unsigned long long>(ref); };
  EXPECT_VALUE(call(i, "call", {word(&functions[0])}), 11u);
  EXPECT_TRAP(call(i, "call", {word(&functions[1])}), WRING_TRAP_HostError);
  EXPECT_TRAP(call(i, "call", {0}), WRING_TRAP_NullFunction);
  wring_instance* strict = load_binary(typed(false));
  EXPECT_TRAP(call(strict, "call", {0}), WRING_TRAP_HostError);
}

// A module that imports a global of the type and nothing else.
std::string global_import(const Bin& type, bool is_mutable) {
  Bin bytes = header() + section(1, vec({func_type({}, {}), func_type({kI32}, {})})) +
              section(2, vec({str("m") + str("g") + Bin{3} + type + Bin{is_mutable}}));
  return std::string(bytes.begin(), bytes.end());
}

TEST_F(ReferencesTest, ImportedGlobalsMayBeOfASupertypeUnlessTheyAreMutable) {
  // Type 0 here is type 1 there. Globals: (ref 0), mut (ref null 0), nullfuncref.
  const Bin exporter = header() + section(1, vec({func_type({kI32}, {}), func_type({}, {})})) +
                       section(3, vec({{1}})) +
                       section(6, vec({{kRef, 1, 0, 0xd2, 0, 0x0b},
                                       {kRefNull, 1, 1, 0xd2, 0, 0x0b},
                                       {0x73, 0, 0xd0, 0x73, 0x0b}})) +
                       section(7, vec({str("ref") + Bin{3, 0}, str("mut") + Bin{3, 1},
                                       str("null") + Bin{3, 2}, str("f") + Bin{0, 0}})) +
                       section(10, vec({body({0x0b})}));
  wring_instance* a = load_binary(exporter);
  struct Case {
    const char* name;
    Bin type;
    bool is_mutable, matches;
  };
  const Case cases[] = {
      {"ref", {kRef, 0}, false, true},      {"ref", {kRefNull, 0}, false, true},
      {"ref", {kFuncRef}, false, true},     {"ref", {kRef, 1}, false, false},
      {"ref", {kExternRef}, false, false},  {"ref", {kRef, 0}, true, false},
      {"mut", {kRefNull, 0}, true, true},   {"mut", {kFuncRef}, true, false},
      {"mut", {kRef, 0}, true, false},      {"mut", {kRefNull, 0}, false, false},
      {"null", {kRefNull, 1}, false, true}, {"null", {kFuncRef}, false, true},
      {"null", {kRef, 0}, false, false},    {"null", {kExternRef}, false, false},
  };
  for (const Case& c : cases)
    EXPECT_EQ(try_load_bytes(global_import(c.type, c.is_mutable), {from(a, c.name)}),
              c.matches ? 0 : -WRING_ERR_LINK)
        << c.name << " " << int{c.type[0]} << " " << int{c.type.back()} << c.is_mutable;
}

TEST_F(ReferencesTest, GlobalsExportedAgainKeepTheirType) {
  const Bin exporter = header() + types({func_type({}, {})}) + section(3, vec({{0}})) +
                       section(6, vec({{kRef, 0, 0, 0xd2, 0, 0x0b}})) +
                       section(7, vec({str("g") + Bin{3, 0}, str("f") + Bin{0, 0}})) +
                       section(10, vec({body({0x0b})}));
  const Bin between = header() + section(2, vec({str("m") + str("g") + Bin{3, kFuncRef, 0}})) +
                      section(7, vec({str("again") + Bin{3, 0}}));
  wring_instance* a = load_binary(exporter);
  wring_instance* b = load_binary(between, {from(a, "g")});
  EXPECT_EQ(try_load_bytes(global_import({kRef, 0}, false), {from(b, "again")}), 0);
  EXPECT_EQ(try_load_bytes(global_import({kRef, 1}, false), {from(b, "again")}), -WRING_ERR_LINK);
}

TEST_F(ReferencesTest, TableInitializersFillTables) {
  // (table 3 funcref (ref.func 0))
  const Bin bytes = header() + types({func_type({}, {kI32})}) + section(3, vec({{0}, {0}})) +
                    section(4, vec({{0x40, 0, kFuncRef, 0, 3, 0xd2, 0, 0x0b}})) +
                    section(7, vec({str("run") + Bin{0, 1}})) +
                    section(10, vec({body({0x41, 21, 0x0b}), body({0x41, 2, 0x11, 0, 0, 0x0b})}));
  wring_instance* i = load_binary(bytes);
  EXPECT_VALUE(call(i, "run"), 21u);
}

}  // namespace
}  // namespace wring::test
