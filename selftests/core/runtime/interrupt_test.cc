// SPDX-License-Identifier: GPL-2.0
// The caller is killed at every place where the engine lets others run, or a dense sample of them: each time what it
// was doing ends at once, has given everything back, and works the next time.
#include <algorithm>

#include "core/base/limits.h"
#include "core/base/pace.h"
#include "selftests/core/runtime/engine_fixture.h"

namespace wring::test {
namespace {

// A bit of everything, linked to an instance of kExporter.
const char kExporter[] = R"((module
  (table (export "t") 4 20 funcref) (memory (export "m") 1 4)
  (global (export "g") i32 (i32.const 5)) (tag (export "e") (param i32))
  (elem (i32.const 0) $two)
  (func $two (result i32) (i32.const 2))
  (func (export "f") (param i32) (result i32)
    (i32.add (local.get 0) (call_indirect (result i32) (i32.const 0))))))";
const char kImporter[] = R"((module
  (import "x" "t" (table 1 20 funcref)) (import "x" "m" (memory 1)) (import "x" "g" (global $g i32))
  (import "x" "f" (func $f (param i32) (result i32))) (import "x" "e" (tag $e (param i32)))
  (table $own 2 30 externref) (table $big 400 400 funcref) (global $h (mut i32) (global.get $g))
  (global $r funcref (ref.func $one)) (elem (i32.const 2) $one) (elem $passive func $one $f)
  (elem (table $big) (i32.const 0) func $one $f $one $one)
  (data (i32.const 100) "abcd") (data $more "efgh")
  (func $one (result i32) (i32.const 1))
  (func $loop (param i32) (result i32) (local i32 i32 i32)
    (loop $l
      (block $b (block $a (br_table $a $b $l (i32.and (local.get 0) (i32.const 1))))
        (local.set 2 (i32.mul (local.get 2) (i32.load offset=4 (local.get 1)))))
      (if (i32.gt_u (local.get 2) (local.get 3))
        (then (local.set 3 (i32.sub (local.get 2) (i32.load16_s (local.get 3))))))
      (local.set 1 (i32.add (local.get 1) (i32.load8_u offset=99 (local.get 0))))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.store (i32.const 8) (i32.div_s (local.get 3) (i32.const 7)))
    (local.get 1))
  (func $floats (param f64) (result f64) (f64.mul (local.get 0) (f64.sqrt (local.get 0))))
  (func $throws (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (throw $e (i32.const 7)))) (local.get 0))
  (func $fac (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 1))
      (else (i64.mul (local.get 0) (call $fac (i64.sub (local.get 0) (i64.const 1)))))))
  (func (export "run") (result i32)
    (i32.add (i32.add (call $one) (i32.trunc_f64_s (call $floats (f64.const 4))))
      (i32.add (i32.add (call $throws (i32.const 7)) (i32.wrap_i64 (call $fac (i64.const 5))))
        (i32.add (call $f (global.get $h)) (call_indirect (result i32) (i32.const 2))))))))";
constexpr unsigned long long kImporterResult = 1 + 8 + 7 + 120 + 7 + 1;

// Of more places than this only so many are tried: at both ends one after the other, and spread.
constexpr unsigned kMostTries = 400;

std::vector<unsigned> choose(unsigned count) {
  std::vector<unsigned> chosen;
  for (unsigned n = 1; n <= count;) {
    chosen.push_back(n);
    bool is_end = count <= kMostTries || n <= kMostTries / 8 || n + kMostTries / 8 > count;
    unsigned step = count / kMostTries + 1;
    n += is_end ? 1 : std::min(step + n % step, count - kMostTries / 8 - n + 1);
  }
  return chosen;
}

class InterruptTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    wring_posix_on_yield([](void* self) { return static_cast<InterruptTest*>(self)->on_yield(); },
                         this);
  }
  void TearDown() override {
    wring_posix_on_yield(nullptr, nullptr);
    EngineTest::TearDown();
  }

  // From now on each step ends a turn, and the caller is killed at the end of the n-th (0: not at all).
  void kill_at(unsigned n) {
    killed_at = n;
    yields = 0;
    steps_per_turn = wring_os_pace = 0;
  }
  int on_yield() {
    yields++;
    wring_os_pace = steps_per_turn;
    return killed_at != 0 && yields >= killed_at;
  }

  void drop() {
    Loaded l = loaded.back();
    loaded.pop_back();
    wring_instance_put(l.instance);
    wring_code_put(l.code);
    wring_module_put(l.module);
  }

  // Calls attempt() once to see how often it yields, then has it killed at each of those.
  template <class F, class G>
  void sweep(F&& attempt, G&& check) {
    unsigned total = 0;
    for (int i = 0; i < 2; i++) {  // once to intern signatures, which is less work the next time
      kill_at(0);
      ASSERT_EQ(attempt(), 0) << error.message;
      total = yields;
      drop();
    }
    EXPECT_GT(total, 1000u);
    unsigned long long broken = wring_posix_broken_invariants();
    unsigned finished = 0;
    for (unsigned n : choose(total)) {
      long long before = wring_posix_live_allocations();
      kill_at(n);
      int result = attempt();
      kill_at(0);
      drop();
      // The last turns may end while what is not needed any more is freed.
      if (result == 0) {
        finished++;
        continue;
      }
      ASSERT_EQ(result, -WRING_ERR_INTERRUPTED) << error.message << " at " << n;
      EXPECT_STREQ(error.message, "interrupted");
      EXPECT_EQ(finished, 0u) << n;
      check(before, n);
      if (HasFailure()) return;
    }
    EXPECT_LT(finished, 16u);
    EXPECT_EQ(wring_posix_broken_invariants(), broken) << "counted as an error of the engine";
    EXPECT_EQ(attempt(), 0) << error.message;
  }

  unsigned killed_at = 0, yields = 0;
  int steps_per_turn = 0;
};

TEST_F(InterruptTest, LoadsAreAbandonedWhereverTheyAre) {
  const std::string bytes = wat(kExporter);
  sweep([&] { return try_load_bytes(bytes); },
        [&](long long before, unsigned n) {
          EXPECT_EQ(wring_posix_live_allocations(), before) << n;
        });
  EXPECT_VALUE(call(loaded.back().instance, "f", {3}), 5u);
}

// What an instance was linked to goes on working, and can be linked to again.
TEST_F(InterruptTest, LinkedInstancesSurvive) {
  const std::string exporter = wat(kExporter), importer = wat(kImporter);
  auto import_from = [&](wring_instance* i) {
    return std::vector<wring_import_value>{from(i, "t"), from(i, "m"), from(i, "g"), from(i, "f"),
                                           from(i, "e")};
  };
  ASSERT_EQ(try_load_bytes(exporter), 0) << error.message;
  wring_instance* first = loaded.back().instance;
  std::vector<wring_import_value> imports = import_from(first);
  sweep([&] { return try_load_bytes(importer, imports); },
        [&](long long, unsigned) { EXPECT_VALUE(call(first, "f", {3}), 5u); });
  EXPECT_VALUE(call(loaded.back().instance, "run"), kImporterResult);
}

// That this holds whatever the module is like is for selftests/bench/compile/shapes to show.
TEST_F(InterruptTest, LargeFunctionsYieldAndEndSoon) {
  std::string body;
  for (int i = 0; i < 2000; i++)
    body += "(local.set 0 (i32.add (local.get 0) (i32.load offset=" + std::to_string(4 * i) +
            " (local.get 1))))";
  const std::string bytes = wat("(module (memory 1) (func (param i32 i32) " + body + "))");
  kill_at(0);
  steps_per_turn = wring_os_pace = kTurnSteps;
  ASSERT_EQ(try_load_bytes(bytes), 0) << error.message;
  unsigned total = yields;
  EXPECT_GT(total, 20u);
  kill_at(total / 2);
  steps_per_turn = wring_os_pace = kTurnSteps;
  EXPECT_EQ(try_load_bytes(bytes), -WRING_ERR_INTERRUPTED);
  EXPECT_LT(yields, total / 2 + 4) << "work went on";
}

TEST_F(InterruptTest, TablesGrowWithTurnsForOthers) {
  wring_instance* i = load(R"((module (table $t 0 1000000 funcref) (elem declare func $f) (func $f)
    (func (export "grow") (result i32) (table.grow $t (ref.func $f) (i32.const 1000000)))))");
  kill_at(0);
  EXPECT_VALUE(call(i, "grow"), 0u);
  EXPECT_GT(yields, 100u);
}

}  // namespace
}  // namespace wring::test
