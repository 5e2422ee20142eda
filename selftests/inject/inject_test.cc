// SPDX-License-Identifier: GPL-2.0
// Every assertion of the engine made to fail, one after the other, or a dense sample of them where there are many: each
// time the call in which it fails ends in an internal error or trap, has given everything back, and the next one works.
#include <algorithm>
#include <set>

#include "core/base/inject.h"
#include "selftests/core/runtime/engine_fixture.h"
#include "selftests/fuzz/generate.h"

namespace wring::test {
namespace {

// Of stages with more assertions than this only so many are tried: at both ends one after the other, and spread.
constexpr unsigned long long kMostTries = 500;

unsigned of(Stage stage) { return static_cast<unsigned>(stage); }

// The numbers to try of `count` assertions. Where they are spread, by a different step each time.
std::vector<unsigned long long> choose(unsigned long long count) {
  std::vector<unsigned long long> chosen;
  for (unsigned long long n = 1; n <= count;) {
    chosen.push_back(n);
    bool is_end = count <= kMostTries || n <= kMostTries / 10 || n + kMostTries / 10 > count;
    unsigned long long step = count / kMostTries + 1;
    n += is_end ? 1 : std::min(step + n % step, count - kMostTries / 10 - n + 1);
  }
  return chosen;
}

// A bit of everything: imports from an instance of kExporter.
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
  (data (i32.const 100) "abcd") (data $more "efgh")
  (func $one (result i32) (i32.const 1))
  (func $loop (param i32) (result i32) (local i32)
    (loop $l
      (local.set 1 (i32.add (local.get 1) (i32.load8_u offset=99 (local.get 0))))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func $floats (param f64) (result f64) (f64.mul (local.get 0) (f64.sqrt (local.get 0))))
  (func $throws (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (throw $e (i32.const 7)))) (local.get 0))
  (func $fac (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 1))
      (else (i64.mul (local.get 0) (call $fac (i64.sub (local.get 0) (i64.const 1)))))))
  (func (export "run") (result i32)
    (i32.add (i32.add (call $loop (i32.const 4)) (i32.trunc_f64_s (call $floats (f64.const 4))))
      (i32.add (i32.add (call $throws (i32.const 7)) (i32.wrap_i64 (call $fac (i64.const 5))))
        (i32.add (call $f (global.get $h)) (call_indirect (result i32) (i32.const 2))))))))";
constexpr unsigned long long kImporterResult = 'a' + 'b' + 'c' + 'd' + 8 + 7 + 120 + 7 + 1;

// All library calls that have assertions.
const char kLibrary[] = R"((module
  (memory 1 2 shared) (data $d "xyz") (table $t 4 20 funcref) (table $x 4 20 externref)
  (elem $p func $one)
  (tag $e (param i32)) (func $one (result i32) (i32.const 1))
  (func (export "one") (result i32) (i32.const 1))
  (func $thrower (throw $e (i32.const 3)))
  (func (export "throws") (call $thrower))
  (func (export "traps") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "run") (result i32) (local i32)
    (memory.init $d (i32.const 0) (i32.const 0) (i32.const 3)) (data.drop $d)
    (table.init $t $p (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $p)
    (table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 2))
    (table.fill $x (i32.const 0) (table.get $x (i32.const 1)) (i32.const 2))
    (table.set $t (i32.const 3) (table.get $t (i32.const 1)))
    (local.set 0 (table.grow $t (table.get $t (i32.const 1)) (i32.const 3)))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))
    (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0)))
    (drop (memory.atomic.wait64 (i32.const 0) (i64.const 0) (i64.const 0)))
    (i32.add (i32.const 3) (local.get 0))
    (i32.add (call_indirect $t (result i32) (i32.const 6))))))";
constexpr unsigned long long kLibraryResult = 3 + 4 + 1;

class InjectTest : public EngineTest {
 protected:
  void TearDown() override {
    wring_posix_inject(0, 0);
    EngineTest::TearDown();
  }

  // How many assertions attempt() evaluates in a stage; outside of all stages it must not evaluate any.
  template <class F>
  unsigned long long count(Stage stage, F&& attempt) {
    wring_posix_inject(0, 0);
    attempt();
    EXPECT_EQ(wring_posix_assertions(of(Stage::kNone)), 0u) << "assertions nobody recovers from";
    return wring_posix_assertions(of(stage));
  }

  // What is said of the failure of assertion n of the stage.
  void expect_internal(int result, Stage stage, unsigned long long n) {
    EXPECT_EQ(result, -WRING_ERR_INTERNAL) << error.message << ", " << of(stage) << ":" << n;
    const std::string text = error.message, begin = "internal error: kmod/core/";
    EXPECT_EQ(text.substr(0, begin.size()), begin);
    size_t colon = text.find(':', begin.size());
    ASSERT_NE(colon, std::string::npos) << text;
    EXPECT_TRUE(isdigit(text[colon + 1])) << text;
    files.insert(text.substr(begin.size(), colon - begin.size()));
    if (error.func != WRING_NO_INDEX) functions.insert(error.func);
    EXPECT_GE(wring_posix_assertions(of(stage)), n);
  }

  // Loads the module in the store there is, with an assertion failing in each stage in turn.
  void sweep_load(const std::string& bytes) {
    for (Stage stage : {Stage::kDecode, Stage::kCompile, Stage::kPlace, Stage::kInstantiate}) {
      auto attempt = [&] { return try_load_bytes(bytes); };
      auto drop = [&] {
        Loaded l = loaded.back();
        loaded.pop_back();
        wring_instance_put(l.instance);
        wring_code_put(l.code);
        wring_module_put(l.module);
      };
      unsigned long long total = count(stage, [&] {
        EXPECT_EQ(attempt(), 0) << error.message;
        drop();
      });
      EXPECT_GT(total, 0u);
      long long before = wring_posix_live_allocations();
      for (unsigned long long n : choose(total)) {
        wring_posix_inject(of(stage), n);
        int result = attempt();
        expect_internal(result, stage, n);
        drop();
        EXPECT_EQ(wring_posix_live_allocations(), before) << "stage " << of(stage) << ", " << n;
        if (HasFailure()) return;
        if (n % 16 != 0) continue;
        wring_posix_inject(0, 0);
        EXPECT_EQ(attempt(), 0) << error.message << " after " << of(stage) << ":" << n;
        drop();
      }
    }
  }

  std::set<std::string> files;  // that assertions failed in
  std::set<unsigned> functions;
};

bool any_in(const std::set<std::string>& files, const std::string& folder) {
  return std::any_of(files.begin(), files.end(),
                     [&](const std::string& f) { return f.rfind(folder, 0) == 0; });
}

TEST_F(InjectTest, LoadsOfGeneratedModules) {
  for (unsigned seed = 1; seed <= 4; seed++) {
    Choices choices(seed);
    Body bytes = generate_module(&choices);
    sweep_load(std::string(bytes.begin(), bytes.end()));
  }
  // Most assertions are of spans and vectors, wherever these are used.
  for (const char* folder : {"base/", "wasm/", "ir/", "regalloc/", "x64/", "link/"})
    EXPECT_TRUE(any_in(files, folder)) << folder;
  EXPECT_GT(functions.size(), 1u);
}

TEST_F(InjectTest, LoadsOfLibraryCalls) { sweep_load(wat(kLibrary)); }

// What an instance was linked to goes on working, and can be linked to again.
TEST_F(InjectTest, LinkedInstances) {
  const std::string exporter = wat(kExporter), importer = wat(kImporter);
  auto import_from = [&](wring_instance* i) {
    return std::vector<wring_import_value>{from(i, "t"), from(i, "m"), from(i, "g"), from(i, "f"),
                                           from(i, "e")};
  };
  auto exported = [&] {
    EXPECT_EQ(try_load_bytes(exporter), 0) << error.message;
    return loaded.back().instance;
  };
  for (Stage stage : {Stage::kCompile, Stage::kInstantiate}) {
    wring_instance* first = exported();
    unsigned long long total = count(stage, [&] {
      EXPECT_EQ(try_load_bytes(importer, import_from(first)), 0) << error.message;
    });
    EXPECT_VALUE(call(loaded.back().instance, "run"), kImporterResult);
    for (unsigned long long n : choose(total)) {
      count(Stage::kNone, [&] { release(); });
      EXPECT_EQ(wring_posix_live_allocations(), 0) << "stage " << of(stage) << ", " << n;
      new_store({});
      wring_instance* e = exported();
      std::vector<wring_import_value> imports = import_from(e);
      wring_posix_inject(of(stage), n);
      int result = try_load_bytes(importer, imports);
      expect_internal(result, stage, n);
      wring_posix_inject(0, 0);
      EXPECT_VALUE(call(e, "f", {3}), 5u);
      EXPECT_EQ(try_load_bytes(importer, imports), 0) << error.message;
      EXPECT_VALUE(call(loaded.back().instance, "run"), kImporterResult);
      EXPECT_VALUE(call(e, "f", {3}), 5u);
      if (HasFailure()) return;
    }
  }
  EXPECT_TRUE(any_in(files, "runtime/")) << "segments and constant expressions";
}

// Library calls trap, with a record, and the instance can be entered again.
TEST_F(InjectTest, Invocations) {
  const std::string bytes = wat(kLibrary);
  for (Stage stage : {Stage::kLibcall, Stage::kInvoke}) {
    for (const char* name : {"run", "throws", "traps"}) {
      EXPECT_EQ(try_load_bytes(bytes), 0);
      unsigned expected = 0;
      unsigned long long total =
          count(stage, [&] { expected = call(loaded.back().instance, name, {0xffff'ffff}).trap; });
      EXPECT_GT(total, 0u) << name << " " << of(stage);
      for (unsigned long long n : choose(total)) {
        release();
        new_store({});
        EXPECT_EQ(try_load_bytes(bytes), 0);
        wring_instance* i = loaded.back().instance;
        wring_posix_inject(of(stage), n);
        EXPECT_TRAP(call(i, name, {0xffff'ffff}), WRING_TRAP_InternalError);
        if (std::string(name) == "run" && stage == Stage::kLibcall) {
          EXPECT_GE(wring_instance_vmctx(i)->trap_frame_count, 1u) << n;
        }
        wring_posix_inject(0, 0);
        EXPECT_VALUE(call(i, "one"), 1u);
        call(i, "run");  // in whatever state the first one left the instance
        EXPECT_EQ(try_load_bytes(bytes), 0);
        if (expected)
          EXPECT_TRAP(call(loaded.back().instance, name, {0xffff'ffff}), expected);
        else
          EXPECT_VALUE(call(loaded.back().instance, name), kLibraryResult);
        if (HasFailure()) return;
      }
    }
  }
}

TEST_F(InjectTest, Queries) {
  wring_instance* i = load(kExporter);
  wring_module* module = loaded.back().module;
  wring_extern_desc desc;
  auto attempt = [&] { return wring_module_export(module, 0, &desc); };
  unsigned long long total = count(Stage::kQuery, attempt);
  EXPECT_GT(total, 0u);
  for (unsigned long long n : choose(total)) {
    wring_posix_inject(of(Stage::kQuery), n);
    EXPECT_EQ(attempt(), -WRING_ERR_INTERNAL);
    EXPECT_EQ(std::string(desc.name.data, desc.name.len).substr(0, 10), "kmod/core/");
  }
  wring_posix_inject(0, 0);
  EXPECT_EQ(attempt(), 0);
  EXPECT_VALUE(call(i, "f", {1}), 3u);
}

// What makes something else fail in the middle of an error, or of recording a trap, does not get further than that.
TEST_F(InjectTest, NamesOfFunctionsInErrors) {
  const std::string bytes = wat("(module (func $f) (memory 1))");
  unsigned long long before = wring_posix_broken_invariants();
  std::string broken = bytes;
  size_t body = broken.find(std::string("\x0a\x04\x01\x02\x00\x0b", 6));
  ASSERT_NE(body, std::string::npos);
  broken[body + 5] = 0x6a;  // no end
  unsigned long long total = count(Stage::kQuery, [&] { EXPECT_LT(try_load_bytes(broken), 0); });
  EXPECT_GT(total, 0u);
  std::string plain = error.message;
  for (unsigned long long n : choose(total)) {
    wring_posix_inject(of(Stage::kQuery), n);
    EXPECT_LT(try_load_bytes(broken), 0);
    EXPECT_EQ(error.message, plain);
    EXPECT_STREQ(error.function, "");
  }
  EXPECT_EQ(wring_posix_broken_invariants() - before, choose(total).size());
}

}  // namespace
}  // namespace wring::test
