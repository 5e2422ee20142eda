// SPDX-License-Identifier: GPL-2.0
// Shared memories: memory.atomic.wait and notify, and who may import them.
#include <atomic>
#include <thread>

#include "core/abi/libcalls.h"
#include "core/platform.h"
#include "selftests/core/runtime/engine_fixture.h"

namespace wring::test {
namespace {

using WaitTest = EngineTest;

const char kShared[] = R"((module (memory (export "m") 1 2 shared)
  (func (export "wait32") (param i32 i32 i64) (result i32)
    (memory.atomic.wait32 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "wait64") (param i32 i64 i64) (result i32)
    (memory.atomic.wait64 offset=8 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "notify") (param i32 i32) (result i32)
    (memory.atomic.notify (local.get 0) (local.get 1)))
  (func (export "store") (param i32 i32) (i32.atomic.store (local.get 0) (local.get 1)))))";
constexpr unsigned long long kForever = ~0ull;
constexpr unsigned kWoken = 0, kNotEqual = 1, kTimedOut = 2;

TEST_F(WaitTest, ComparesFirst) {
  wring_instance* i = load(kShared);
  EXPECT_VALUE(call(i, "wait32", {0, 1, kForever}), kNotEqual);
  EXPECT_VALUE(call(i, "wait64", {0, 1ull << 32, kForever}), kNotEqual);
  EXPECT_VALUE(call(i, "wait32", {0, 0, 1'000'000}), kTimedOut);
  EXPECT_VALUE(call(i, "wait64", {0, 0, 0}), kTimedOut);
  EXPECT_VALUE(call(i, "notify", {0, 10}), 0u);
}

TEST_F(WaitTest, ChecksTheAddress) {
  wring_instance* i = load(kShared);
  EXPECT_TRAP(call(i, "wait32", {2, 0, 0}), WRING_TRAP_UnalignedAtomic);
  EXPECT_TRAP(call(i, "wait64", {4, 0, 0}), WRING_TRAP_UnalignedAtomic);
  EXPECT_TRAP(call(i, "notify", {1, 0}), WRING_TRAP_UnalignedAtomic);
  EXPECT_TRAP(call(i, "wait32", {0x10000, 0, 0}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "wait64", {0xfff8, 0, 0}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "notify", {0xfffffffc, 0}), WRING_TRAP_MemoryOutOfBounds);
}

TEST_F(WaitTest, NeedsASharedMemory) {
  wring_instance* i = load(R"((module (memory 1)
    (func (export "wait") (result i32)
      (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0)))
    (func (export "notify") (result i32)
      (memory.atomic.notify (i32.const 0) (i32.const 1)))))");
  EXPECT_TRAP(call(i, "wait"), WRING_TRAP_ExpectedSharedMemory);
  EXPECT_VALUE(call(i, "notify"), 0u);
}

TEST_F(WaitTest, AnotherThreadWakes) {
  wring_instance* i = load(kShared);
  const unsigned char* base = wring_instance_vmctx(i)->memory_base;
  std::atomic<unsigned> woken{0};
  std::thread waker([&] {
    while (woken == 0) woken += wring_os_notify(base + 16, 5);
  });
  EXPECT_VALUE(call(i, "wait32", {16, 0, kForever}), kWoken);
  waker.join();
  EXPECT_EQ(woken, 1u);
}

TEST_F(WaitTest, OtherAddressesAndCountsOfNothingDoNotWake) {
  wring_instance* i = load(kShared);
  const unsigned char* base = wring_instance_vmctx(i)->memory_base;
  std::atomic<bool> done{false};
  unsigned woken = 0;
  std::thread waker([&] {
    while (!done) woken += wring_os_notify(base + 20, 5) + wring_os_notify(base + 16, 0);
  });
  EXPECT_VALUE(call(i, "wait32", {16, 0, 20'000'000}), kTimedOut);
  done = true;
  waker.join();
  EXPECT_EQ(woken, 0u);
}

TEST_F(WaitTest, EndsWhenTheCallerIsToStop) {
  wring_instance* i = load(kShared);
  static const volatile int stop = 1;
  wring_posix_stop_flag(&stop);
  EXPECT_TRAP(call(i, "wait32", {0, 0, kForever}), WRING_TRAP_Interrupted);
  wring_posix_stop_flag(nullptr);
}

TEST_F(WaitTest, NothingBlocksWhereNothingMaySleep) {
  wring_vmctx* vmctx = wring_instance_vmctx(load(kShared));
  ASSERT_EQ(vmctx->may_sleep, 0u);
  EXPECT_EQ(wring_lib_atomic_wait32(vmctx, 0, 0, 1, -1), kNotEqual);
  EXPECT_EQ(vmctx->trap_reason, 0u);
  wring_lib_atomic_wait32(vmctx, 0, 0, 0, -1);
  EXPECT_EQ(vmctx->trap_reason, unsigned{WRING_TRAP_WouldBlock});
  vmctx->trap_reason = 0;
}

TEST_F(WaitTest, SharingMustMatch) {
  wring_instance* a = load(kShared);
  wring_instance* plain = load("(module (memory (export \"m\") 1 2))");
  EXPECT_EQ(try_load("(module (import \"a\" \"m\" (memory 1 2)))", {from(a, "m")}),
            -WRING_ERR_LINK);
  EXPECT_EQ(try_load("(module (import \"a\" \"m\" (memory 1 2 shared)))", {from(plain, "m")}),
            -WRING_ERR_LINK);
  wring_instance* b = load(R"((module (import "a" "m" (memory 1 2 shared))
    (func (export "load") (result i32) (i32.atomic.load (i32.const 4)))))",
                           {from(a, "m")});
  EXPECT_TRAP(call(a, "store", {4, 99}), 0);
  EXPECT_VALUE(call(b, "load"), 99u);
}

}  // namespace
}  // namespace wring::test
