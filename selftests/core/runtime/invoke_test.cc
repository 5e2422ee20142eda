// SPDX-License-Identifier: GPL-2.0
// Invocations: fuel, stacks, interruption, and what is refused.
#include "core/base/limits.h"
#include "selftests/core/runtime/engine_fixture.h"

namespace wring::test {
namespace {

using InvokeTest = EngineTest;

const char kLoop[] = R"((module (func (export "count") (param i32) (result i32) (local i32)
  (loop (br_if 0 (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0))))
  (local.get 1))))";

TEST_F(InvokeTest, FuelIsUsedInProportionAndTheSameEveryTime) {
  wring_instance* i = load(kLoop);
  unsigned long long fuel = 1'000'000;
  EXPECT_VALUE(call(i, "count", {1000}, &fuel), 1000u);
  unsigned long long thousand = 1'000'000 - fuel;
  EXPECT_GE(thousand, 999u);
  fuel = 1'000'000;
  EXPECT_VALUE(call(i, "count", {1000}, &fuel), 1000u);
  EXPECT_EQ(1'000'000 - fuel, thousand);
  fuel = 1'000'000;
  EXPECT_VALUE(call(i, "count", {2000}, &fuel), 2000u);
  EXPECT_GT(1'000'000 - fuel, thousand + 999);
  fuel = thousand - 1;
  EXPECT_TRAP(call(i, "count", {1000}, &fuel), WRING_TRAP_FuelExhausted);
  fuel = thousand;
  EXPECT_VALUE(call(i, "count", {1000}, &fuel), 1000u);
  EXPECT_EQ(fuel, 0u);
}

TEST_F(InvokeTest, FuelBeyondOneSliceIsRefilledExactly) {
  wring_instance* i = load(kLoop);
  constexpr unsigned long long kPlenty = 1ull << 32;
  unsigned long long small = kPlenty, large = kPlenty;
  EXPECT_VALUE(call(i, "count", {1'000'000}, &small), 1'000'000u);
  EXPECT_VALUE(call(i, "count", {10'000'000}, &large), 10'000'000u);
  unsigned long long per_million = kPlenty - small, ten = kPlenty - large;
  EXPECT_EQ(ten % 10'000'000, per_million % 1'000'000);
  EXPECT_EQ(ten / 10'000'000, per_million / 1'000'000);
  unsigned long long exact = ten;
  EXPECT_VALUE(call(i, "count", {10'000'000}, &exact), 10'000'000u);
  EXPECT_EQ(exact, 0u);
  exact = ten - 1;
  EXPECT_TRAP(call(i, "count", {10'000'000}, &exact), WRING_TRAP_FuelExhausted);
}

TEST_F(InvokeTest, EndlessLoopsCanBeInterrupted) {
  wring_instance* i = load("(module (func (export \"forever\") (loop (br 0))))");
  volatile int stop = 1;
  wring_posix_stop_flag(const_cast<const int*>(&stop));
  unsigned long long fuel = 1ull << 62;
  EXPECT_TRAP(call(i, "forever", {}, &fuel), WRING_TRAP_Interrupted);
  wring_posix_stop_flag(nullptr);
}

TEST_F(InvokeTest, CompilationCanBeInterrupted) {
  volatile int stop = 1;
  wring_posix_stop_flag(const_cast<const int*>(&stop));
  EXPECT_EQ(try_load(kLoop), -WRING_ERR_INTERRUPTED);
  wring_posix_stop_flag(nullptr);
}

TEST_F(InvokeTest, StackNeedsAreKnown) {
  load("(module (func (export \"f\") (call 1)) (func))");
  EXPECT_FALSE(wring_code_needs_stack(loaded[0].code));
  EXPECT_GT(wring_code_stack_bytes(loaded[0].code), 0u);
  EXPECT_LE(wring_code_stack_bytes(loaded[0].code), kInlineStackBytes - kHookEntryStackBytes);
  load(
      "(module (func $f (export \"f\") (param i32) (result i32) (i32.add (call $f (local.get 0)) "
      "(i32.const 1))))");
  EXPECT_TRUE(wring_code_needs_stack(loaded[1].code));
  EXPECT_EQ(wring_invoke(loaded[1].instance, 0, nullptr, nullptr, 0, nullptr),
            static_cast<unsigned>(WRING_TRAP_HostError));
}

TEST_F(InvokeTest, AdaptersCountAsFrames) {
  // The import is called through the table only, with more arguments than registers take.
  wring_binding host = {WRING_BIND_HOST, 0, 0x1000, 0, 0, 0};
  std::string params(8 * 60, ' '), args;
  for (int i = 0; i < 60; i++) {
    params.replace(static_cast<size_t>(i) * 8, 3, "i64");
    args += "(i64.const 0)";
  }
  load("(module (import \"m\" \"f\" (func $f (param " + params +
           "))) (table 1 funcref) (elem (i32.const 0) $f) (func (export \"run\") (call_indirect "
           "(param " +
           params + ") " + args + "(i32.const 0))))",
       {{nullptr, 0}}, {host});
  // 54 words for the call of the adapter, and 55 for the adapter's own call.
  EXPECT_GE(wring_code_stack_bytes(loaded[0].code), 8u * (54 + 55));
}

TEST_F(InvokeTest, DeepAcyclicChainsAreCheckedAndDeepOnesRun) {
  // Each function keeps many values across its call, so that frames add up.
  auto chain = [](int depth) {
    std::string text = "(module ";
    for (int n = 0; n < depth; n++) {
      text +=
          "(func " + std::string(n ? "" : "(export \"f\") ") + "(param i64) (result i64) (local";
      for (int l = 0; l < 40; l++) text += " i64";
      text += ")";
      for (int l = 1; l <= 40; l++)
        text += "(local.set " + std::to_string(l) + " (i64.mul (local.get 0) (i64.const " +
                std::to_string(l) + ")))";
      text += "(loop (br_if 0 (i32.const 0)))";
      text +=
          n + 1 < depth ? "(local.set 0 (call " + std::to_string(n + 1) + " (local.get 0)))" : "";
      for (int l = 1; l <= 40; l++)
        text += "(local.set 0 (i64.add (local.get 0) (local.get " + std::to_string(l) + ")))";
      text += "(local.get 0))";
    }
    return text + ")";
  };
  wring_instance* shallow = load(chain(1));
  EXPECT_FALSE(wring_code_needs_stack(loaded[0].code)) << wring_code_stack_bytes(loaded[0].code);
  EXPECT_VALUE(call(shallow, "f", {1}), 821u);
  wring_instance* deep = load(chain(100));
  EXPECT_TRUE(wring_code_needs_stack(loaded[1].code));
  EXPECT_VALUE(call(deep, "f", {1}), 1u + 820 * 100);
  wring_instance* too_deep = load(chain(4000));
  EXPECT_TRAP(call(too_deep, "f", {1}), WRING_TRAP_StackExhausted);
}

TEST_F(InvokeTest, SmallStacksAreRefused) {
  wring_instance* i = load(kLoop);
  alignas(16) static char stack[WRING_MIN_STACK_BYTES];
  unsigned long long argv[1] = {5}, fuel = 1000;
  EXPECT_EQ(wring_invoke(i, 0, argv, stack, sizeof(stack) - 1, &fuel),
            static_cast<unsigned>(WRING_TRAP_HostError));
  EXPECT_EQ(wring_invoke(i, 0, argv, stack, sizeof(stack), &fuel), 0u);
  EXPECT_NE(wring_instance_set_stack(i, stack, 100), 0);
  EXPECT_EQ(wring_instance_set_stack(i, stack, sizeof(stack)), 0);
}

TEST_F(InvokeTest, RecursionFitsTheSmallestStack) {
  wring_instance* i = load(R"((module (func $f (export "f") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 0))))))");
  alignas(16) static char stack[WRING_MIN_STACK_BYTES];
  unsigned long long argv[1] = {50}, fuel = 1000;
  EXPECT_EQ(wring_invoke(i, 0, argv, stack, sizeof(stack), &fuel), 0u);
  EXPECT_EQ(argv[0], 50u);
  argv[0] = 1'000'000;
  fuel = 10'000'000;
  EXPECT_EQ(wring_invoke(i, 0, argv, stack, sizeof(stack), &fuel),
            static_cast<unsigned>(WRING_TRAP_StackExhausted));
}

TEST_F(InvokeTest, BusyInstancesAndUnknownFunctionsAreRefused) {
  wring_instance* i = load("(module (func (export \"f\")) (func $private))");
  unsigned long long fuel = 10, argv[1] = {};
  EXPECT_EQ(wring_posix_invoke(i, 1, argv, &fuel), static_cast<unsigned>(WRING_TRAP_HostError));
  EXPECT_EQ(wring_posix_invoke(i, 2, argv, &fuel), static_cast<unsigned>(WRING_TRAP_HostError));
  EXPECT_EQ(wring_posix_invoke(i, ~0u, argv, &fuel), static_cast<unsigned>(WRING_TRAP_HostError));
  wring_instance_vmctx(i)->turns += 1;
  EXPECT_EQ(wring_posix_invoke(i, 0, argv, &fuel), static_cast<unsigned>(WRING_TRAP_HostError));
  wring_instance_vmctx(i)->turns -= 1;
  EXPECT_EQ(wring_posix_invoke(i, 0, argv, &fuel), 0u);
}

TEST_F(InvokeTest, RecursionConsumesFuel) {
  wring_instance* i = load(R"((module (func $f (export "f") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $f (i32.sub (local.get 0) (i32.const 1)))
                     (call $f (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 1))))))");
  unsigned long long fuel = 100'000;
  EXPECT_VALUE(call(i, "f", {5}, &fuel), 32u);
  fuel = 1000;
  EXPECT_TRAP(call(i, "f", {30}, &fuel), WRING_TRAP_FuelExhausted);
}

// Loops whose ends the compiler can foresee pay without a look at what is left. All kinds of counters: those that
// end, that wrap around first, that never do.
TEST_F(InvokeTest, CountedLoopsPayAsAnyOthers) {
  struct Comparison {
    const char* name;
    bool (*holds)(unsigned, unsigned);
  };
  static constexpr Comparison kComparisons[] = {
      {"ne", [](unsigned a, unsigned b) { return a != b; }},
      {"eq", [](unsigned a, unsigned b) { return a == b; }},
      {"lt_u", [](unsigned a, unsigned b) { return a < b; }},
      {"le_u", [](unsigned a, unsigned b) { return a <= b; }},
      {"gt_u", [](unsigned a, unsigned b) { return a > b; }},
      {"ge_u", [](unsigned a, unsigned b) { return a >= b; }},
      {"lt_s", [](unsigned a, unsigned b) { return static_cast<int>(a) < static_cast<int>(b); }},
      {"le_s", [](unsigned a, unsigned b) { return static_cast<int>(a) <= static_cast<int>(b); }},
      {"gt_s", [](unsigned a, unsigned b) { return static_cast<int>(a) > static_cast<int>(b); }},
      {"ge_s", [](unsigned a, unsigned b) { return static_cast<int>(a) >= static_cast<int>(b); }},
  };
  constexpr unsigned long long kFuel = 50'000, kMostPerRound = 16;
  constexpr unsigned kFirsts[] = {0, 5, 100, ~2u}, kSteps[] = {1, ~0u, 3, ~3u, 0x4000'0000},
                     kBounds[] = {0, 10, ~9u, 0x7fff'ffff, ~0u, 12'000};
  std::string text = "(module";
  std::vector<unsigned long long> want;  // iterations; 0: too many
  for (const Comparison& comparison : kComparisons)
    for (unsigned first : kFirsts)
      for (unsigned step : kSteps)
        for (unsigned bound : kBounds)
          for (bool early : {false, true}) {
            // early: the comparison is with the counter before the step
            std::string counter = early ? "(local.get $old)" : "(local.get $i)";
            text +=
                "(func (export \"" + std::to_string(want.size()) +
                "\") (result i32) (local $i i32) (local $old i32) (local $n i32) (local.set $i "
                "(i32.const " +
                std::to_string(first) +
                ")) (loop (local.set $n (i32.add (local.get $n) (i32.const 1))) (local.set $old "
                "(local.get $i)) (local.set $i (i32.add (local.get $i) (i32.const " +
                std::to_string(step) + "))) (br_if 0 (i32." + comparison.name + counter +
                " (i32.const " + std::to_string(bound) + ")))) (local.get $n))";
            unsigned long long n = 0;
            unsigned i = first, old = 0;
            do {
              n++;
              old = i;
              i += step;
            } while (n < kFuel && comparison.holds(early ? old : i, bound));
            want.push_back(n < kFuel ? n : 0);
          }
  wring_instance* instance = load(text + ")");
  for (size_t i = 0; i < want.size(); i++) {
    unsigned long long fuel = kFuel * kMostPerRound;
    CallResult result = call(instance, std::to_string(i), {}, &fuel);
    if (want[i] == 0) {
      EXPECT_TRAP(result, WRING_TRAP_FuelExhausted);
      continue;
    }
    EXPECT_EQ(result.trap, 0u) << i;
    EXPECT_EQ(result.value, want[i]) << i;
    EXPECT_LE(fuel, kFuel * kMostPerRound - want[i] + 1) << i;
  }
}

// A unit of fuel is about a simple instruction, wherever it is paid.
class FuelTest : public InvokeTest {
 protected:
  // What a call of "f" takes.
  unsigned long long used(const std::string& text, unsigned long long arg) {
    constexpr unsigned long long kMuch = 1ull << 40;
    unsigned long long fuel = kMuch;
    EXPECT_EQ(call(load(text), "f", {arg}, &fuel).trap, 0u);
    return kMuch - fuel;
  }
  // Of one iteration of a loop around `body`, with $n rounds and locals $x, $y of i64.
  unsigned long long per_round(const std::string& body, const std::string& after = "") {
    std::string text =
        "(module (memory 1) (func $leaf (param i64) (result i64) (i64.mul (local.get 0) (i64.const "
        "5)))"
        "(func (export \"f\") (param $n i32) (result i64) (local $x i64) (local $y i64) (local $m "
        "i32)"
        "(local.set $x (i64.load (i32.const 8))) (local.set $y (i64.load (i32.const 16))) (loop "
        "$l " +
        body + "(local.set $n (i32.sub (local.get $n) (i32.const 1))) (br_if $l (local.get $n)))" +
        after + "(i64.add (local.get $x) (local.get $y))))";
    constexpr unsigned long long kRounds = 1000;
    return (used(text, 2 * kRounds) - used(text, kRounds)) / kRounds;
  }
};

std::string repeat(unsigned n, const std::string& text) {
  std::string all;
  while (n--) all += text;
  return all;
}

TEST_F(FuelTest, IterationsCostWhatTheyDo) {
  constexpr char kAdd[] =
      "(local.set $x (i64.add (i64.rotl (local.get $x) (i64.const 3)) (local.get $y)))";
  constexpr char kDivide[] =
      "(local.set $x (i64.div_u (i64.xor (local.get $x) (i64.const -7)) (i64.or (local.get $y) "
      "(i64.const 5))))";
  constexpr char kStore[] = "(i64.store (i32.wrap_i64 (local.get $x)) (local.get $y))";
  unsigned long long empty = per_round("");
  EXPECT_GE(empty, 1u);
  EXPECT_LE(empty, 8u);
  EXPECT_GE(per_round(repeat(100, kAdd)), 200u);
  EXPECT_LE(per_round(repeat(100, kAdd)), 230u);
  EXPECT_GE(per_round(repeat(100, kDivide)), 1500u);
  EXPECT_GE(per_round(repeat(100, kStore)), 400u);
  EXPECT_GE(per_round(repeat(10'000, kAdd)), 20'000u);
}

TEST_F(FuelTest, TheDearestWayThroughAnIterationCounts) {
  const std::string add =
      "(local.set $x (i64.add (i64.rotl (local.get $x) (i64.const 3)) (local.get $y)))";
  auto choice = [&](unsigned then, unsigned otherwise) {
    return per_round("(if (i32.and (local.get $n) (i32.const 3)) (then " + repeat(then, add) +
                     ") (else " + repeat(otherwise, add) + "))");
  };
  unsigned long long same = choice(100, 100);
  EXPECT_GE(same, 200u);
  EXPECT_LE(same, 240u);
  EXPECT_LE(choice(100, 10), same + 4);
  EXPECT_LE(choice(10, 100), same + 4);
}

// What follows a loop is done once, so that nothing of it is charged each time round.
TEST_F(FuelTest, WhatFollowsALoopIsPaidOnce) {
  const std::string add =
      "(local.set $x (i64.add (i64.rotl (local.get $x) (i64.const 3)) (local.get $y)))";
  std::string after = repeat(1000, add);
  EXPECT_LE(per_round("", after), 8u);
  // Out of two loops at once, and in between.
  const std::string inner =
      "(block $out (loop $k (br_if $done (i64.eq (local.get $x) (i64.const 77))) "
      "(br_if $out (i64.eq (local.get $y) (i64.const 0))) (br $k)))";
  std::string nest =
      "(module (memory 1) (func (export \"f\") (param $n i32) (result i64) (local $x i64) (local "
      "$y i64)"
      "(local.set $y (i64.load (i32.const 16))) (block $done (loop $l " +
      inner +
      "(local.set $n (i32.sub (local.get $n) (i32.const 1)))"
      "(br_if $l (local.get $n)))) " +
      after + " (local.get $x)))";
  unsigned long long once = used(nest, 1), often = used(nest, 1001);
  EXPECT_GE(once, 2000u);
  EXPECT_LE(often - once, 30'000u);
}

TEST_F(FuelTest, CallsAreCharged) {
  unsigned long long leaf = per_round("(local.set $x (call $leaf (local.get $x)))");
  EXPECT_LE(leaf, 30u);
  // Bigger functions pay themselves, also when they are called through a table and from where no loop is.
  const std::string add =
      "(local.set $x (i64.add (i64.rotl (local.get $x) (i64.const 3)) (local.get $x)))";
  for (const char* kind :
       {"(call $big (local.get $x))", "(call_indirect (type $t) (local.get $x) (i32.const 0))"}) {
    std::string text =
        "(module (type $t (func (param i64) (result i64))) (table funcref (elem $big))"
        "(func $big (param $x i64) (result i64) " +
        repeat(1000, add) +
        "(local.get $x))"
        "(func (export \"f\") (param $n i64) (result i64) (local $x i64)" +
        repeat(20, std::string("(local.set $x ") + kind + ")") + "(local.get $x)))";
    unsigned long long all = used(text, 0);
    EXPECT_GE(all, 40'000u) << kind;
    EXPECT_LE(all, 70'000u) << kind;
  }
}

// What fits the caches gets fuel in longer slices, as long as it does; and no fuel gets lost when that changes.
TEST_F(FuelTest, SlicesAreLongForSmallPrograms) {
  auto slice = [](wring_instance* i) { return wring_instance_vmctx(i)->fuel_slice; };
  const std::string body =
      "(func (export \"f\") (param $n i32) (result i32) (local $i i32) (loop $l "
      "(local.set $i (i32.add (local.get $i) (i32.const 1))) "
      "(br_if $l (i32.ne (local.get $i) (local.get $n)))) (memory.grow (local.get $n)))";
  wring_instance* alone = load("(module (memory 2 200) " + body + ")");
  EXPECT_EQ(slice(alone), kCachedFuelSlice);
  EXPECT_EQ(slice(load("(module (memory 8) " + body + ")")), kFuelSlice);
  EXPECT_EQ(slice(load("(module (memory 1) (table 100000 funcref) " + body + ")")), kFuelSlice);
  // Of a call that counts to n, and then grows the memory by as many pages.
  auto cost = [&](wring_instance* i, unsigned n, unsigned long long pages_before) {
    constexpr unsigned long long kMuch = 1ull << 40;
    unsigned long long fuel = kMuch;
    EXPECT_VALUE(call(i, "f", {n}, &fuel), pages_before);
    return kMuch - fuel;
  };
  unsigned long long of_one = cost(alone, 1, 2);
  EXPECT_EQ(slice(alone), kCachedFuelSlice);
  EXPECT_EQ(cost(alone, 1, 3), of_one);
  unsigned long long of_hundred = cost(alone, 100, 4);
  EXPECT_EQ(slice(alone), kFuelSlice);
  EXPECT_EQ(cost(load("(module (memory 8 200) " + body + ")"), 100, 8), of_hundred);
}

// Others get a turn, and may end the invocation, in generated code as in long library calls.
TEST_F(FuelTest, LongWorkIsInterrupted) {
  struct Work {
    const char* name;
    std::string body;
  };
  const Work works[] = {
      {"loop", "(loop $l (br $l))"},
      {"fill", "(loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x400000)) (br $l))"},
      {"copy", "(loop $l (memory.copy (i32.const 8) (i32.const 0) (i32.const 0x3fff00)) (br $l))"},
      {"table",
       "(loop $l (table.fill 0 (i32.const 0) (ref.null func) (i32.const 100000)) (br $l))"},
  };
  for (const Work& work : works) {
    wring_instance* i =
        load("(module (memory 64) (table 100000 funcref) (func (export \"f\") " + work.body + "))");
    volatile int stop = 1;
    wring_posix_stop_flag(const_cast<const int*>(&stop));
    unsigned long long fuel = 1ull << 62;
    SCOPED_TRACE(work.name);
    EXPECT_TRAP(call(i, "f", {}, &fuel), WRING_TRAP_Interrupted);
    wring_posix_stop_flag(nullptr);
  }
}

// `levels` functions, each of which calls the next one ten times, directly or through a table.
std::string call_tree(unsigned levels, const std::string& call) {
  std::string text = "(module (memory 1) (type $t (func)) (table funcref (elem";
  for (unsigned i = 0; i < levels; i++) text += " $f" + std::to_string(i);
  text += "))";
  for (unsigned i = 0; i + 1 < levels; i++) {
    text += "(func $f" + std::to_string(i) + (i ? "" : " (export \"f\")");
    for (unsigned k = 0; k < 10; k++) {
      std::string next = std::to_string(i + 1);
      text += call == "call" ? "(call $f" + next + ")"
                             : "(call_indirect (type $t) (i32.const " + next + "))";
    }
    text += ")";
  }
  return text + "(func $f" + std::to_string(levels - 1) +
         " (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))))";
}

TEST_F(InvokeTest, TreesOfCallsConsumeFuel) {
  for (const char* kind : {"call", "call_indirect"}) {
    unsigned long long fuel = 10'000'000;
    EXPECT_TRAP(call(load(call_tree(12, kind)), "f", {}, &fuel), WRING_TRAP_FuelExhausted);
    fuel = 10'000'000;
    EXPECT_EQ(call(load(call_tree(5, kind)), "f", {}, &fuel).trap, 0u) << kind;
  }
}

}  // namespace
}  // namespace wring::test
