// SPDX-License-Identifier: GPL-2.0
// Several memories, memories with 64-bit indices, and reservations that are used again.
#include <cstring>

#include "core/base/limits.h"
#include "core/platform.h"
#include "selftests/core/runtime/engine_fixture.h"

namespace wring::test {
namespace {

using MemoriesTest = EngineTest;

const char kTwo[] = R"((module
  (memory $a 1 3) (memory $b (export "b") 2)
  (data (memory $b) (i32.const 65536) "\01\02\03") (data $passive "\04\05\06\07")
  (func (export "load_a") (param i32) (result i32) (i32.load8_u $a (local.get 0)))
  (func (export "load_b") (param i32) (result i32) (i32.load8_u $b (local.get 0)))
  (func (export "grow_a") (param i32) (result i32) (memory.grow $a (local.get 0)))
  (func (export "grow_b") (param i32) (result i32) (memory.grow $b (local.get 0)))
  (func (export "size_a") (result i32) (memory.size $a))
  (func (export "size_b") (result i32) (memory.size $b))
  (func (export "fill_b") (param i32 i32 i32)
    (memory.fill $b (local.get 0) (local.get 1) (local.get 2)))
  (func (export "b_to_a") (param i32 i32 i32)
    (memory.copy $a $b (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init_b") (param i32 i32 i32)
    (memory.init $b $passive (local.get 0) (local.get 1) (local.get 2)))))";

TEST_F(MemoriesTest, AreSeparate) {
  wring_instance* i = load(kTwo);
  EXPECT_VALUE(call(i, "size_a"), 1u);
  EXPECT_VALUE(call(i, "size_b"), 2u);
  EXPECT_VALUE(call(i, "load_b", {65537}), 2u);
  EXPECT_TRAP(call(i, "load_a", {65537}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_VALUE(call(i, "grow_a", {3}), 0xffffffffu);
  EXPECT_VALUE(call(i, "grow_a", {2}), 1u);
  EXPECT_VALUE(call(i, "load_a", {65537}), 0u);
  EXPECT_VALUE(call(i, "grow_b", {1}), 2u);
  EXPECT_VALUE(call(i, "size_a"), 3u);
  EXPECT_VALUE(call(i, "size_b"), 3u);
}

TEST_F(MemoriesTest, BulkOperationsNameTheirMemories) {
  wring_instance* i = load(kTwo);
  EXPECT_TRAP(call(i, "b_to_a", {10, 65536, 3}), 0);
  EXPECT_VALUE(call(i, "load_a", {12}), 3u);
  EXPECT_TRAP(call(i, "b_to_a", {65535, 0, 2}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "b_to_a", {0, 131071, 2}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "fill_b", {65530, 9, 100}), 0);
  EXPECT_VALUE(call(i, "load_b", {65629}), 9u);
  EXPECT_VALUE(call(i, "load_b", {65630}), 0u);
  EXPECT_TRAP(call(i, "init_b", {131069, 1, 3}), 0);
  EXPECT_VALUE(call(i, "load_b", {131071}), 7u);
  EXPECT_TRAP(call(i, "init_b", {131069, 0, 4}), WRING_TRAP_MemoryOutOfBounds);
}

TEST_F(MemoriesTest, AreImportedByIndex) {
  wring_instance* a = load(kTwo);
  wring_instance* b = load(R"((module (import "a" "b" (memory $x 2)) (memory 1)
    (func (export "load") (param i32) (result i32) (i32.load8_u $x (local.get 0)))))",
                           {from(a, "b")});
  EXPECT_VALUE(call(b, "load", {65538}), 3u);
  wring_memory_view view;
  ASSERT_EQ(wring_instance_memory(a, 1, &view), 0);
  EXPECT_EQ(view.bytes, 2u * kWasmPageBytes);
  EXPECT_NE(wring_instance_memory(a, 2, &view), 0);
  EXPECT_EQ(wring_instance_memory_bytes(a), 3u * kWasmPageBytes);
  EXPECT_EQ(wring_instance_memory_bytes(b), 1u * kWasmPageBytes) << "only its own";
}

TEST_F(MemoriesTest, With64BitIndices) {
  wring_instance* i = load(R"((module (memory (export "m") i64 1 0x1000000000)
    (data (i64.const 8) "\2a")
    (func (export "load") (param i64) (result i32) (i32.load8_u (local.get 0)))
    (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
    (func (export "fill") (param i64 i64)
      (memory.fill (local.get 0) (i32.const 3) (local.get 1)))))");
  EXPECT_VALUE(call(i, "load", {8}), 42u);
  EXPECT_TRAP(call(i, "load", {1ull << 32 | 8}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "load", {~0ull}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "fill", {1ull << 32, 1}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "fill", {8, ~0ull}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_VALUE(call(i, "grow", {1ull << 32}), ~0ull);
  EXPECT_VALUE(call(i, "grow", {~0ull}), ~0ull);
  EXPECT_VALUE(call(i, "grow", {2}), 1u);
  EXPECT_EQ(try_load("(module (import \"a\" \"m\" (memory 1)))", {from(i, "m")}), -WRING_ERR_LINK);
  EXPECT_EQ(try_load("(module (import \"a\" \"m\" (memory i64 3 0x1000000000)))", {from(i, "m")}),
            0);
  EXPECT_EQ(try_load("(module (memory i64 0x10001))"), -WRING_ERR_LIMIT) << error.message;
}

TEST_F(MemoriesTest, ReservationsAreCleanWhenTheyAreUsedAgain) {
  for (unsigned long long bytes : {0ull, 65536ull, 5 * 65536ull, 65536ull, 3 * 65536ull}) {
    unsigned char* base = wring_os_memory_reserve(bytes);
    ASSERT_NE(base, nullptr);
    for (unsigned long long at = 0; at < bytes; at += 511) ASSERT_EQ(base[at], 0) << at;
    memset(base, 0xff, bytes);
    ASSERT_EQ(wring_os_memory_commit(base, bytes, bytes + 65536), 0);
    for (unsigned long long at = 0; at < 65536; at += 511) ASSERT_EQ(base[bytes + at], 0) << at;
    memset(base + bytes, 0xff, 65536);
    wring_os_memory_release(base, bytes + 65536);
  }
}

// The pages beyond a memory's end fault, though the reservation's last user had them.
TEST_F(MemoriesTest, ReservationsAreNoLargerThanTheirNewUser) {
  const char* text = R"((module (memory %) (func (export "load") (param i32) (result i32)
    (i32.load8_u (local.get 0)))))";
  auto of_pages = [&](const char* pages) {
    std::string out = text;
    return out.replace(out.find('%'), 1, pages);
  };
  load(of_pages("9"));
  release();
  new_store({});
  wring_instance* i = load(of_pages("2"));
  EXPECT_VALUE(call(i, "load", {0x1ffff}), 0u);
  EXPECT_TRAP(call(i, "load", {0x20000}), WRING_TRAP_MemoryOutOfBounds);
  wring_instance* none = load(of_pages("0"));
  EXPECT_TRAP(call(none, "load", {0}), WRING_TRAP_MemoryOutOfBounds);
}

}  // namespace
}  // namespace wring::test
