// SPDX-License-Identifier: GPL-2.0
// MXCSR: programs compute with its default value, whatever the host has set, and the host finds its own again.
#include <xmmintrin.h>

#include "selftests/core/runtime/engine_fixture.h"

namespace wring::test {
namespace {

class FpuTest : public EngineTest {
 protected:
  // Denormals are zero, in operands and results; rounding is toward zero.
  static constexpr unsigned kHostMxcsr = 0x1f80 | 0x8040 | 0x6000;
  void SetUp() override {
    EngineTest::SetUp();
    saved_ = _mm_getcsr();
  }
  void TearDown() override {
    _mm_setcsr(saved_);
    EngineTest::TearDown();
  }
  // Calls with the host's setting, which must be in place afterwards.
  CallResult call_with_host_setting(wring_instance* i, const std::string& name,
                                    const std::vector<unsigned long long>& args) {
    _mm_setcsr(kHostMxcsr);
    CallResult result = call(i, name, args);
    unsigned after = _mm_getcsr();
    _mm_setcsr(saved_);
    EXPECT_EQ(after & ~0x3fu, kHostMxcsr & ~0x3fu) << "but for flags of what happened";
    return result;
  }

 private:
  unsigned saved_ = 0;
};

const char kFloats[] = R"((module (memory 1 100)
  (func (export "mul") (param f32 f32) (result f32) (f32.mul (local.get 0) (local.get 1)))
  (func (export "div") (param f64 f64) (result f64) (f64.div (local.get 0) (local.get 1)))
  (func (export "grow") (param f32 f32) (result f32)
    (drop (memory.grow (i32.const 1)))
    (f32.mul (local.get 0) (local.get 1)))
  (func (export "loop") (param f32 f32) (result f32) (local $n i32)
    (loop (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                             (i32.const 3000000))))
    (f32.mul (local.get 0) (local.get 1)))
  (func (export "trap") (param f32) (result i32) (i32.trunc_f32_s (local.get 0)))))";

constexpr unsigned long long kLeastNormal = 0x00800000, kHalf = 0x3f000000, kDenormal = 0x00400000;

TEST_F(FpuTest, TheHostsSettingDoesNotReachPrograms) {
  wring_instance* i = load(kFloats);
  EXPECT_VALUE(call_with_host_setting(i, "mul", {kLeastNormal, kHalf}), kDenormal);
  // 1 / 11 rounds up to the nearest.
  EXPECT_VALUE(call_with_host_setting(i, "div", {0x3ff0000000000000, 0x4026000000000000}),
               0x3fb745d1745d1746u);
}

TEST_F(FpuTest, NorAfterTheHostHadTheFpuInBetween) {
  wring_instance* i = load(kFloats);
  EXPECT_VALUE(call_with_host_setting(i, "grow", {kLeastNormal, kHalf}), kDenormal);
  EXPECT_VALUE(call_with_host_setting(i, "loop", {kLeastNormal, kHalf}), kDenormal);
}

TEST_F(FpuTest, TrapsGiveItBackToo) {
  wring_instance* i = load(kFloats);
  EXPECT_TRAP(call_with_host_setting(i, "trap", {0x7fc00000}), WRING_TRAP_InvalidConversion);
}

TEST_F(FpuTest, OnlyCodeThatNeedsItHasIt) {
  load(kFloats);
  EXPECT_TRUE(wring_code_uses_fpu(loaded.back().code));
  load("(module (memory 1) (func (export \"f\") (result i32) (i32.load (i32.const 0))))");
  EXPECT_FALSE(wring_code_uses_fpu(loaded.back().code));
  // Another instance may use it.
  wring_instance* a = load("(module (func (export \"f\")))");
  load("(module (import \"a\" \"f\" (func)) (func (export \"g\") (call 0)))", {from(a, "f")});
  EXPECT_TRUE(wring_code_uses_fpu(loaded.back().code));
}

}  // namespace
}  // namespace wring::test
