// SPDX-License-Identifier: GPL-2.0
// Library calls: bounds at the edges, overlap, dropped segments, and what bulk operations cost.
#include "selftests/core/runtime/engine_fixture.h"

namespace wring::test {
namespace {

using LibcallsTest = EngineTest;

const char kMemory[] = R"((module
  (memory (export "m") 2 4) (data $d "\01\02\03\04\05\06\07\08")
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init") (param i32 i32 i32)
    (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
  (func (export "drop") (data.drop $d))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size))))";

TEST_F(LibcallsTest, FillChecksBeforeWriting) {
  wring_instance* i = load(kMemory);
  EXPECT_TRAP(call(i, "fill", {0, 0x1ff, 0x20000}), 0);
  EXPECT_VALUE(call(i, "load", {0x1ffff}), 0xffu);
  EXPECT_TRAP(call(i, "fill", {0x20000, 1, 0}), 0);
  EXPECT_TRAP(call(i, "fill", {0x20001, 1, 0}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "fill", {1, 7, 0x20000}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "fill", {0xffffffff, 7, 0xffffffff}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_VALUE(call(i, "load", {1}), 0xffu);
}

TEST_F(LibcallsTest, CopyHandlesOverlapBothWays) {
  wring_instance* i = load(kMemory);
  for (unsigned n = 0; n < 8; n++) call(i, "store", {n, n + 1});
  EXPECT_TRAP(call(i, "copy", {2, 0, 6}), 0);
  EXPECT_VALUE(call(i, "load", {7}), 6u);
  EXPECT_VALUE(call(i, "load", {2}), 1u);
  EXPECT_TRAP(call(i, "copy", {0, 2, 6}), 0);
  EXPECT_VALUE(call(i, "load", {0}), 1u);
  EXPECT_VALUE(call(i, "load", {5}), 6u);
  EXPECT_TRAP(call(i, "copy", {0x1fffe, 0, 3}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "copy", {0, 0x1fffe, 3}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "copy", {0x20000, 0x20000, 0}), 0);
  EXPECT_TRAP(call(i, "copy", {0, 0x20001, 0}), WRING_TRAP_MemoryOutOfBounds);
}

TEST_F(LibcallsTest, LargeOverlappingCopiesWorkInPieces) {
  wring_instance* i = load(R"((module (memory 400)
    (func (export "run") (param $dst i32) (param $src i32) (param $n i32) (result i64)
      (local $i i32) (local $sum i64)
      (loop (i32.store (local.get $i) (i32.mul (local.get $i) (i32.const 0x9e3779b1)))
        (local.set $i (i32.add (local.get $i) (i32.const 4)))
        (br_if 0 (i32.lt_u (local.get $i) (i32.const 26000000))))
      (memory.copy (local.get $dst) (local.get $src) (local.get $n))
      (local.set $i (i32.const 0))
      (loop (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 31))
                                     (i64.extend_i32_u (i32.load (local.get $i)))))
        (local.set $i (i32.add (local.get $i) (i32.const 4)))
        (br_if 0 (i32.lt_u (local.get $i) (i32.const 26000000))))
      (local.get $sum))))");
  auto expected = [](unsigned dst, unsigned src, unsigned n) {
    std::vector<unsigned char> bytes(26000004);
    for (unsigned at = 0; at < 26000000; at += 4) {
      unsigned v = at * 0x9e3779b1u;
      memcpy(&bytes[at], &v, 4);
    }
    memmove(&bytes[dst], &bytes[src], n);
    unsigned long long sum = 0;
    for (unsigned at = 0; at < 26000000; at += 4) {
      unsigned v;
      memcpy(&v, &bytes[at], 4);
      sum = sum * 31 + v;
    }
    return sum;
  };
  EXPECT_VALUE(call(i, "run", {3, 1000001, 20000003}), expected(3, 1000001, 20000003));
  EXPECT_VALUE(call(i, "run", {1000001, 3, 20000003}), expected(1000001, 3, 20000003));
}

TEST_F(LibcallsTest, InitRespectsSegmentAndMemoryAndDrops) {
  wring_instance* i = load(kMemory);
  EXPECT_TRAP(call(i, "init", {100, 2, 6}), 0);
  EXPECT_VALUE(call(i, "load", {100}), 3u);
  EXPECT_VALUE(call(i, "load", {105}), 8u);
  EXPECT_VALUE(call(i, "load", {106}), 0u);
  EXPECT_TRAP(call(i, "init", {0, 3, 6}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "init", {0, 0xffffffff, 2}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "init", {0x1fffc, 0, 5}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "drop"), 0);
  EXPECT_TRAP(call(i, "init", {0, 0, 0}), 0);
  EXPECT_TRAP(call(i, "init", {0, 0, 1}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_TRAP(call(i, "drop"), 0);
}

TEST_F(LibcallsTest, GrowStopsAtTheMaximum) {
  wring_instance* i = load(kMemory);
  EXPECT_TRAP(call(i, "load", {0x20000}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_VALUE(call(i, "grow", {0}), 2u);
  EXPECT_VALUE(call(i, "grow", {3}), 0xffffffffu);
  EXPECT_VALUE(call(i, "grow", {0xffffffff}), 0xffffffffu);
  EXPECT_VALUE(call(i, "grow", {2}), 2u);
  EXPECT_VALUE(call(i, "size"), 4u);
  EXPECT_VALUE(call(i, "load", {0x3ffff}), 0u);
  EXPECT_TRAP(call(i, "load", {0x40000}), WRING_TRAP_MemoryOutOfBounds);
}

TEST_F(LibcallsTest, GrowFailsWhereMemoryRunsOut) {
  wring_instance* i = load(kMemory);
  wring_posix_fail_allocation(1);
  EXPECT_VALUE(call(i, "grow", {1}), 0xffffffffu);
  wring_posix_fail_allocation(0);
  EXPECT_VALUE(call(i, "size"), 2u);
  EXPECT_VALUE(call(i, "grow", {1}), 2u);
}

const char kTables[] = R"((module
  (table $a 6 funcref) (table $b 4 funcref)
  (elem (i32.const 1) $one $two) (elem $e func $three $two $one)
  (func $one (result i32) (i32.const 1))
  (func $two (result i32) (i32.const 2))
  (func $three (result i32) (i32.const 3))
  (func (export "init") (param i32 i32 i32)
    (table.init $a $e (local.get 0) (local.get 1) (local.get 2)))
  (func (export "drop") (elem.drop $e))
  (func (export "copy") (param i32 i32 i32)
    (table.copy $a $a (local.get 0) (local.get 1) (local.get 2)))
  (func (export "a_to_b") (param i32 i32 i32)
    (table.copy $b $a (local.get 0) (local.get 1) (local.get 2)))
  (func (export "a") (param i32) (result i32) (call_indirect $a (result i32) (local.get 0)))
  (func (export "b") (param i32) (result i32) (call_indirect $b (result i32) (local.get 0)))))";

TEST_F(LibcallsTest, TableInitRespectsSegmentAndTableAndDrops) {
  wring_instance* i = load(kTables);
  EXPECT_TRAP(call(i, "init", {3, 0, 3}), 0);
  EXPECT_VALUE(call(i, "a", {3}), 3u);
  EXPECT_VALUE(call(i, "a", {5}), 1u);
  EXPECT_TRAP(call(i, "init", {4, 0, 3}), WRING_TRAP_TableOutOfBounds);
  EXPECT_TRAP(call(i, "init", {0, 1, 3}), WRING_TRAP_TableOutOfBounds);
  EXPECT_TRAP(call(i, "init", {0, 0xffffffff, 0xffffffff}), WRING_TRAP_TableOutOfBounds);
  EXPECT_TRAP(call(i, "init", {6, 3, 0}), 0);
  EXPECT_TRAP(call(i, "drop"), 0);
  EXPECT_TRAP(call(i, "init", {0, 0, 1}), WRING_TRAP_TableOutOfBounds);
  EXPECT_TRAP(call(i, "init", {0, 0, 0}), 0);
}

TEST_F(LibcallsTest, TableCopyHandlesOverlapAndTwoTables) {
  wring_instance* i = load(kTables);
  EXPECT_TRAP(call(i, "copy", {2, 1, 2}), 0);
  EXPECT_VALUE(call(i, "a", {2}), 1u);
  EXPECT_VALUE(call(i, "a", {3}), 2u);
  EXPECT_TRAP(call(i, "copy", {5, 4, 2}), WRING_TRAP_TableOutOfBounds);
  EXPECT_TRAP(call(i, "copy", {6, 6, 0}), 0);
  EXPECT_TRAP(call(i, "a_to_b", {1, 2, 3}), 0);
  EXPECT_VALUE(call(i, "b", {2}), 2u);
  EXPECT_TRAP(call(i, "b", {3}), WRING_TRAP_UninitializedElement);
  EXPECT_TRAP(call(i, "a_to_b", {2, 0, 3}), WRING_TRAP_TableOutOfBounds);
  EXPECT_TRAP(call(i, "a_to_b", {0, 5, 2}), WRING_TRAP_TableOutOfBounds);
}

TEST_F(LibcallsTest, BulkOperationsCostFuel) {
  wring_instance* i = load(kMemory);
  unsigned long long fuel = 100;
  EXPECT_TRAP(call(i, "fill", {0, 1, 0x20000}, &fuel), WRING_TRAP_FuelExhausted);
  EXPECT_VALUE(call(i, "load", {0}), 0u);
  fuel = 0x20000;
  EXPECT_TRAP(call(i, "fill", {0, 1, 0x20000}, &fuel), 0);
  EXPECT_LT(fuel, 0x20000u - 0x20000 / 64 + 1);
  EXPECT_VALUE(call(i, "load", {0x1ffff}), 1u);
}

}  // namespace
}  // namespace wring::test
