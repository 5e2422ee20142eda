// SPDX-License-Identifier: GPL-2.0
// Every allocation can fail: for each of them in turn, loading and linking a module ends in one clean error.
#include "selftests/core/runtime/engine_fixture.h"

namespace wring::test {
namespace {

const char kExporter[] = R"((module
  (memory (export "m") 1) (table (export "t") 3 funcref)
  (global (export "g") (mut i32) (i32.const 4))
  (global (export "r") funcref (ref.func $f)) (tag (export "e") (param i32))
  (elem (i32.const 0) $f)
  (func $f (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))))";

const char kImporter[] = R"((module
  (import "a" "f" (func $f (param i32) (result i32))) (import "a" "t" (table 3 funcref))
  (import "a" "m" (memory 1)) (import "a" "g" (global (mut i32)))
  (import "a" "r" (global $r funcref)) (import "a" "e" (tag $e (param i32)))
  (memory $second 1) (table $refs 1 externref) (table $large 1000 funcref)
  (func (export "throw") (throw $e (i32.const 1)))
  (func (export "grow") (result i32) (table.grow $refs (ref.null extern) (i32.const 10)))
  (type $t (func (param i32) (result i32)))
  (elem (i32.const 1) $loop $f) (data (i32.const 0) "some data")
  (func $loop (export "run") (param i32) (result i32) (local i32)
    (loop
      (local.set 1 (i32.add (call $f (local.get 1))
                            (call_indirect (type $t) (local.get 0) (i32.const 2))))
      (br_if 0 (i32.lt_s (local.get 1) (i32.div_s (i32.const 100) (local.get 0)))))
    (local.get 1))))";

class MemoryTest : public EngineTest {
 protected:
  // Loads both modules with allocation n failing; true once everything went well.
  bool load_with_failure(unsigned long long n, const std::string& exporter,
                         const std::string& importer) {
    Loaded a, b;
    wring_limits limits = {};
    wring_store_put(store);
    store = nullptr;
    wring_posix_fail_allocation(n);
    int result = wring_store_new(&limits, &store);
    if (result == 0) result = load_one(exporter, {}, &a);
    if (result == 0)
      result = load_one(importer,
                        {from(a.instance, "f"), from(a.instance, "t"), from(a.instance, "m"),
                         from(a.instance, "g"), from(a.instance, "r"), from(a.instance, "e")},
                        &b);
    wring_posix_fail_allocation(0);
    if (result == 0) {
      EXPECT_VALUE(call(b.instance, "run", {7}), 18u);
      EXPECT_TRAP(call(b.instance, "throw"), WRING_TRAP_UncaughtException);
      EXPECT_VALUE(call(b.instance, "grow"), 1u);
    } else {
      EXPECT_EQ(result, -WRING_ERR_NOMEM) << n << ": " << error.message;
    }
    release();
    EXPECT_EQ(wring_posix_live_allocations(), 0) << n;
    return result == 0;
  }

 private:
  int load_one(const std::string& bytes, const std::vector<wring_import_value>& imports,
               Loaded* out) {
    int result = compile(bytes, {}, out);
    if (result == 0)
      result = wring_instance_new(out->code, imports.data(), static_cast<unsigned>(imports.size()),
                                  &out->instance, &error);
    loaded.push_back(*out);
    return result;
  }
};

TEST_F(MemoryTest, EveryAllocationMayFail) {
  std::string exporter = wat(kExporter), importer = wat(kImporter);
  release();
  unsigned long long n = 1;
  while (!load_with_failure(n, exporter, importer)) ASSERT_LT(++n, 100'000u);
  EXPECT_GT(n, 20u) << "the walk found nothing to fail";
}

TEST_F(MemoryTest, TheCompileBudgetIsKept) {
  release();
  wring_limits limits = {};
  limits.compile_bytes = 64 * 1024;
  new_store(limits);
  std::string text = "(module ";
  for (int i = 0; i < 2000; i++)
    text += "(func (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))";
  EXPECT_EQ(try_load(text + ")"), -WRING_ERR_LIMIT);
  EXPECT_STREQ(error.message, "compilation needs more memory than the limit of 65536 bytes");
}

}  // namespace
}  // namespace wring::test
