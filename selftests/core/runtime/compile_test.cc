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

// An exception that leaves an inlined body leaves its locals behind: the handler knows nothing of them.
TEST_F(CompileTest, ExceptionsOutOfInlinedBodies) {
  constexpr uint8_t kThrow = 0x08, kTryTable = 0x1f, kBlock = 0x02, kEnd = 0x0b, kGet = 0x20,
                    kCall = 0x10, kDrop = 0x1a, kIf = 0x04, kConst = 0x41, kVoid = 0x40,
                    kReturn = 0x0f, kAnd = 0x71, kToF64 = 0xb7, kFromF64 = 0xaa, kCatchAll = 2,
                    kFunc = 0;
  Bin all_types = types({func_type({}, {}), func_type({kI32}, {kI32}), func_type({kF64}, {kI32})});
  // throws(x): if x is not 0.
  Bin thrower = header() + all_types + section(3, vec({{1}})) + section(13, vec({{0, 0}})) +
                section(7, vec({str("throws") + Bin{kFunc, 0}})) +
                section(10, vec({body({kGet, 0, kIf, kVoid, kThrow, 0, kEnd, kGet, 0, kEnd})}));
  // f(x): whether throws(x & 1), or throws(x) called by a small function with a parameter of another type, throws.
  Bin small = {kGet, 0, kFromF64, kCall, 0, kEnd};
  Bin f = {kBlock, kVoid,  kTryTable, kVoid,   1,    kCatchAll, 0,         //
           kGet,   0,      kConst,    1,       kAnd, kCall,     0, kDrop,  //
           kGet,   0,      kToF64,    kCall,   1,    kDrop,                //
           kEnd,   kConst, 0,         kReturn, kEnd, kConst,    1, kEnd};
  Bin catcher = header() + all_types + section(2, vec({str("a") + str("throws") + Bin{kFunc, 1}})) +
                section(3, vec({{2}, {1}})) + section(7, vec({str("f") + Bin{kFunc, 2}})) +
                section(10, vec({body(small), body(f)}));
  each_way([&] {
    wring_instance* a = load_binary(thrower);
    wring_instance* b = load_binary(catcher, {from(a, "throws")});
    for (unsigned long long x : {0, 1, 2, 3}) EXPECT_VALUE(call(b, "f", {x}), x ? 1u : 0u);
  });
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
