// SPDX-License-Identifier: GPL-2.0
// Small modules whose shapes no stage of the compiler may take exception to: what one pass makes of them the next has
// to take. Each is compiled with the checks, optimized and not, for CPUs with and without AVX, and run.
#include "core/link/code.h"
#include "selftests/core/runtime/engine_fixture.h"
#include "selftests/core/wasm/module_builder.h"

namespace wring::test {
namespace {

class CompileTest : public EngineTest {
 protected:
  // Calls try_it after each way to compile was chosen.
  template <class F>
  void each_way(F try_it) {
    unsigned cpu = target.cpu;
    for (bool without_optimizer : {false, true})
      for (unsigned features : {cpu, cpu & ~(kCpuAvx | kCpuAvx2), unsigned{kCpuSse41}}) {
        SCOPED_TRACE(without_optimizer ? "unoptimized" : "optimized");
        SCOPED_TRACE(features);
        unoptimized = without_optimizer;
        target.cpu = features;
        try_it();
      }
  }
  // One result, for one list of arguments.
  void expect(const std::string& text, const std::vector<unsigned long long>& args,
              unsigned long long value) {
    each_way([&] { EXPECT_VALUE(call(load(text), "f", args), value); });
  }
};

// Threading jumps past a phi of constants leaves blocks with one predecessor and one phi argument.
TEST_F(CompileTest, ABooleanThatABlockYields) {
  const char* text = R"((module (func (export "f") (param i32) (result i32)
    (if (result i32) (block (result i32)
          (br_if 0 (i32.const 0) (local.get 0))
          (drop) (i32.const 1))
      (then (i32.const 10)) (else (i32.const 20))))))";
  expect(text, {0}, 10);
  expect(text, {1}, 20);
}

TEST_F(CompileTest, ABooleanBeforeAnAssignment) {
  const char* text = R"((module
    (func $h (param i32 i32) (result i32)
      (if (i32.eqz (local.get 1)) (then (return (local.get 0))))
      (call $h (local.get 0) (i32.const 0)))
    (func (export "f") (param i32 i32) (result i32)
      (if (block (result i32) (br_if 0 (i32.const 1) (local.get 0)) (drop) (i32.const 0))
        (then (local.set 1 (i32.const 7))))
      (call $h (local.get 1) (i32.const 1)))))";
  expect(text, {1, 9}, 7);
  expect(text, {0, 9}, 9);
}

TEST_F(CompileTest, BooleansOfBooleans) {
  // (a && b) || (c && !a), as a branch would be made of it, with a value that passes through.
  const char* text =
      R"((module (func (export "f") (param $a i32) (param $b i32) (param $c i32) (result i32)
    (local $x i32)
    (local.set $x (local.get $c))
    (if (block $or (result i32)
          (br_if $or (i32.const 1)
            (block $and (result i32)
              (br_if $and (i32.const 0) (i32.eqz (local.get $a)))
              (drop) (i32.ne (local.get $b) (i32.const 0))))
          (drop)
          (block $and (result i32)
            (br_if $and (i32.const 0) (i32.eqz (local.get $c))) (drop) (i32.eqz (local.get $a))))
      (then (local.set $x (i32.add (local.get $x) (i32.const 100)))))
    (local.get $x))))";
  for (unsigned long long bits = 0; bits < 8; bits++) {
    unsigned long long a = bits & 1, b = bits >> 1 & 1, c = bits >> 2;
    expect(text, {a, b, c}, c + ((a && b) || (c && !a) ? 100 : 0));
  }
}

// The vector is made in the scalar's register: both would like the same slot.
TEST_F(CompileTest, SpilledValuesOfDifferentWidth) {
  const char* text = R"((module
    (table 1 funcref) (elem (i32.const 0) $g)
    (type $t (func)) (func $g)
    (func (export "f") (param $a f32) (param $x f32) (result f32) (local $y v128)
      (call_indirect (type $t) (i32.const 0))
      (local.set $y (f32x4.splat (local.get $x)))
      (call_indirect (type $t) (i32.const 0))
      (f32.add (local.get $a) (f32x4.extract_lane 3 (local.get $y))))))";
  expect(text, {0x3f80'0000, 0x4000'0000}, 0x4040'0000);  // 1 + 2
}

using namespace wring::testing;  // NOLINT(google-build-using-namespace)

constexpr uint8_t kUnreachable = 0x00, kBlock = 0x02, kIf = 0x04, kThrow = 0x08, kEnd = 0x0b,
                  kReturn = 0x0f, kCall = 0x10, kCallIndirect = 0x11, kReturnCall = 0x12,
                  kDrop = 0x1a, kTryTable = 0x1f, kGet = 0x20, kGlobalGet = 0x23, kConst = 0x41,
                  kSub = 0x6b, kAnd = 0x71, kFromF64 = 0xaa, kToF64 = 0xb7, kRefFunc = 0xd2,
                  kPrefix = 0xfc, kTableInit = 12;
constexpr uint8_t kVoid = 0x40, kCatchAll = 2;
constexpr uint8_t kFunc = 0, kGlobal = 3;  // kinds of imports and exports

const Bin kTypes = types({func_type({}, {}), func_type({kI32}, {kI32}), func_type({kF64}, {kI32})});

// Exports throws(x), which throws if x is not 0, and a reference to it.
Bin thrower() {
  return header() + kTypes + section(3, vec({{1}})) + section(13, vec({{0, 0}})) +
         section(6, vec({{kFuncRef, 0, kRefFunc, 0, kEnd}})) +
         section(7, vec({str("throws") + Bin{kFunc, 0}, str("ref") + Bin{kGlobal, 0}})) +
         section(10, vec({body({kGet, 0, kIf, kVoid, kThrow, 0, kEnd, kGet, 0, kEnd})}));
}
const Bin kImportThrows = section(2, vec({str("a") + str("throws") + Bin{kFunc, 1}}));

// The code with one result, but `caught` if an exception comes out of it.
Bin catching(const Bin& code, uint8_t caught) {
  return Bin{kBlock, kVoid, kTryTable, kVoid, 1, kCatchAll, 0} + code +
         Bin{kReturn, kEnd, kEnd, kConst, caught, kEnd};
}

// An exception that leaves an inlined body leaves its locals behind: the handler knows nothing of them.
TEST_F(CompileTest, ExceptionsOutOfInlinedBodies) {
  // f(x): whether throws(x & 1), or throws(x) called by a small function with a parameter of another type, throws.
  Bin small = {kGet, 0, kFromF64, kCall, 0, kEnd};
  Bin f = {kBlock, kVoid,  kTryTable, kVoid,   1,    kCatchAll, 0,         //
           kGet,   0,      kConst,    1,       kAnd, kCall,     0, kDrop,  //
           kGet,   0,      kToF64,    kCall,   1,    kDrop,                //
           kEnd,   kConst, 0,         kReturn, kEnd, kConst,    1, kEnd};
  Bin catcher = header() + kTypes + kImportThrows + section(3, vec({{2}, {1}})) +
                section(7, vec({str("f") + Bin{kFunc, 2}})) +
                section(10, vec({body(small), body(f)}));
  each_way([&] {
    wring_instance* a = load_binary(thrower());
    wring_instance* b = load_binary(catcher, {from(a, "throws")});
    for (unsigned long long x : {0, 1, 2, 3}) EXPECT_VALUE(call(b, "f", {x}), x ? 1u : 0u);
  });
}

// What a tail call throws is not for handlers around it, not even where the callee is inlined.
TEST_F(CompileTest, ExceptionsOutOfTailCalls) {
  Bin leaf = {kGet, 0, kCall, 0, kEnd};
  Bin middle = catching({kGet, 0, kReturnCall, 1}, 40);
  Bin f = catching({kGet, 0, kCall, 2}, 5);
  Bin catcher = header() + kTypes + kImportThrows + section(3, vec({{1}, {1}, {1}})) +
                section(7, vec({str("f") + Bin{kFunc, 3}})) +
                section(10, vec({body(leaf), body(middle), body(f)}));
  each_way([&] {
    wring_instance* a = load_binary(thrower());
    wring_instance* b = load_binary(catcher, {from(a, "throws")});
    EXPECT_VALUE(call(b, "f", {0}), 0u);
    EXPECT_VALUE(call(b, "f", {1}), 5u);
  });
}

// However another instance's function gets into a table, calls through it may leave the module.
TEST_F(CompileTest, ForeignReferencesInConstantExpressions) {
  const Bin kRef = {kGlobalGet, 0, kEnd}, kCallIt = {kGet, 0, kConst, 0, kCallIndirect, 1, 0};
  const Bin kInit = {kConst, 0, kConst, 0, kConst, 1, kPrefix, kTableInit, 0, 0};
  const Bin kTable = section(4, vec({{kFuncRef, 0, 1}}));
  struct {
    Bin table, elements, before;
  } ways[] = {
      {kTable, section(9, vec({Bin{4, kConst, 0, kEnd, 1} + kRef})), {}},
      {kTable, section(9, vec({Bin{5, kFuncRef, 1} + kRef})), kInit},
      {section(4, vec({Bin{0x40, 0, kFuncRef, 0, 1} + kRef})), {}, {}},
  };
  for (auto& way : ways) {
    SCOPED_TRACE(&way - ways);
    Bin catcher = header() + kTypes +
                  section(2, vec({str("a") + str("ref") + Bin{kGlobal, kFuncRef, 0}})) +
                  section(3, vec({{1}})) + way.table + section(7, vec({str("f") + Bin{kFunc, 0}})) +
                  way.elements + section(10, vec({body(way.before + catching(kCallIt, 7))}));
    each_way([&] {
      wring_instance* a = load_binary(thrower());
      wring_instance* b = load_binary(catcher, {from(a, "ref")});
      EXPECT_VALUE(call(b, "f", {0}), 0u);
      EXPECT_VALUE(call(b, "f", {1}), 7u);
      EXPECT_EQ(wring_code_needs_stack(loaded.back().code), 1);
    });
  }
}

// A function that nothing but a table's initial value mentions: it may throw and recurse all the same.
TEST_F(CompileTest, FunctionsInInitialValuesOfTables) {
  Bin g = {kGet,          0, kIf, kVoid,   kGet, 0,      kConst, 1,   kSub, kConst, 0,
           kCallIndirect, 1, 0,   kReturn, kEnd, kThrow, 0,      kEnd};
  Bin catcher =
      header() + kTypes + section(3, vec({{1}, {1}})) +
      section(4, vec({{0x40, 0, kFuncRef, 0, 1, kRefFunc, 0, kEnd}})) + section(13, vec({{0, 0}})) +
      section(7, vec({str("f") + Bin{kFunc, 1}})) +
      section(10, vec({body(g), body(catching({kGet, 0, kConst, 0, kCallIndirect, 1, 0}, 7))}));
  each_way([&] {
    wring_instance* a = load_binary(catcher);
    EXPECT_VALUE(call(a, "f", {5}), 7u);
    EXPECT_TRAP(call(a, "f", {10'000'000}), WRING_TRAP_StackExhausted);
  });
}

// Entries make room for the arguments of tail calls, and of exports: neither fits what is left of a kernel's stack.
TEST_F(CompileTest, AreasOfEntriesCountAsStack) {
  Bin many = func_type(repeat(kMaxParams, {kV128}), {});
  Bin simple = {kConst, 2, kEnd}, nothing = {kEnd}, tail = {kUnreachable, kReturnCall, 1, kEnd};
  Bin start = header() + types({func_type({}, {kI32}), many});
  Bin code = section(10, vec({body(simple), body(nothing), body(tail)}));
  auto needs_stack = [&](const Bin& exports) {
    load_binary(start + section(3, vec({{0}, {1}, {1}})) + section(7, exports) + code);
    return wring_code_needs_stack(loaded.back().code);
  };
  Bin f = str("f") + Bin{kFunc, 0};
  EXPECT_EQ(needs_stack(vec({f})), 1);
  code = section(10, vec({body(simple), body(nothing), body(nothing)}));
  EXPECT_EQ(needs_stack(vec({f})), 0);
  EXPECT_EQ(needs_stack(vec({f, str("g") + Bin{kFunc, 1}})), 1);
}

// Instances that call each other by tail calls: one module twice, at 0 and 1 of the table, and a smaller one at 3.
// `sink` takes more parameters than there are registers for, so that the areas of the bridges differ.
constexpr char kTailCaller[] = R"((module
  (type $step (func (param i64) (result i64)))
  (type $sink (func (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "t" "table" (table $t 4 funcref))
  (func $step (export "step") (type $step)
    (if (i64.eqz (local.get 0)) (then (return (i64.const 42))))
    (if (i64.eqz (i64.rem_u (local.get 0) (i64.const 5)))
      (then (return_call_indirect (type $sink)
        (i64.sub (local.get 0) (i64.const 1))
        (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5)
        (i64.const 6) (i64.const 7) (i64.const 8) (i64.const 9) (local.get 0) (i32.const 2))))
    (return_call_indirect (type $step) (i64.sub (local.get 0) (i64.const 1))
      (select (i32.const 3) (i32.const OTHER)
        (i64.eqz (i64.rem_u (local.get 0) (i64.const 7))))))
  (func $sink (export "sink") (type $sink)
    (if (i64.ne (i64.add (local.get 0) (i64.const 1)) (local.get 9)) (then (unreachable)))
    (if (i64.ne (local.get 8) (i64.const 9)) (then (unreachable)))
    (return_call_indirect (type $step) (local.get 0) (i32.const OTHER)))
  (func (export "f") (param i64 i32) (result i64)
    ;; Not a tail call: what follows runs in this instance again.
    (i64.add (call_indirect (type $step) (local.get 0) (local.get 1)) (global.get $own)))
  (global $own i64 (i64.const OWN))
  (elem (i32.const SELF) $step)
  SINK))";

constexpr char kSmallTailCaller[] = R"((module
  (type $step (func (param i64) (result i64)))
  (import "t" "table" (table $t 4 funcref))
  (func $step (type $step)
    (if (i64.eqz (local.get 0)) (then (return (i64.const 42))))
    (return_call_indirect (type $step) (i64.sub (local.get 0) (i64.const 1)) (i32.const 0)))
  (elem (i32.const 3) $step)))";

std::string tail_caller(int self, int own) {
  std::string text = kTailCaller;
  auto put = [&](const std::string& name, const std::string& value) {
    for (size_t at; (at = text.find(name)) != std::string::npos;)
      text.replace(at, name.size(), value);
  };
  put("OTHER", std::to_string(1 - self));
  put("SELF", std::to_string(self));
  put("OWN", std::to_string(own));
  put("SINK", self == 0 ? "(elem (i32.const 2) $sink)" : "");
  return text;
}

TEST_F(CompileTest, TailCallsBetweenInstancesTakeNoStack) {
  each_way([&] {
    wring_instance* tables = load(R"((module (table (export "table") 4 funcref)))");
    wring_instance* a = load(tail_caller(0, 1000), {from(tables, "table")});
    wring_instance* b = load(tail_caller(1, 2000), {from(tables, "table")});
    load(kSmallTailCaller, {from(tables, "table")});
    for (unsigned long long steps : {0, 1, 4, 5, 6, 7, 23, 35, 1'000'000})
      for (unsigned long long first : {0, 1, 3}) {
        EXPECT_VALUE(call(a, "f", {steps, first}), 1042u);
        EXPECT_VALUE(call(b, "f", {steps, first}), 2042u);
        EXPECT_VALUE(call(a, "step", {steps}), 42u);
      }
  });
}

}  // namespace
}  // namespace wring::test
