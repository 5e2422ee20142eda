// SPDX-License-Identifier: GPL-2.0
// SSA construction of accesses to several memories, memories with 64-bit indices, atomics.
#include "selftests/core/ir/program_fixture.h"

namespace wring::test {
namespace {

using ir::Op;
constexpr u64 kPage = 65536;

class BuildMemory : public ProgramTest {};

TEST_F(BuildMemory, EachMemoryHasItsOwnBytes) {
  writer_.memory(1, 1);
  writer_.memory(1, 2);
  writer_.memory(0, 3);
  // The same index in both; then what each holds, the second one twice around a store to the first.
  Code code;
  code.op(O::kLocalGet, 0).i32(11).op(O::kI32Store, 2, 4);
  code.op(O::kLocalGet, 0).i32(22).access(O::kI32Store, 2, 1, 4);
  code.op(O::kLocalGet, 0).access(O::kI32Load, 2, 1, 4).i32(100).op(O::kI32Mul);
  code.op(O::kLocalGet, 0).i32(33).op(O::kI32Store, 2, 4);
  code.op(O::kLocalGet, 0).access(O::kI32Load, 2, 1, 4).op(O::kI32Add).i32(100).op(O::kI32Mul);
  code.op(O::kLocalGet, 0).op(O::kI32Load, 2, 4).op(O::kI32Add);
  u32 f = func("i", "i", code);
  Code size;
  size.op(O::kMemorySize, 1).i32(100).op(O::kI32Mul);
  size.i32(2).op(O::kMemoryGrow, 2).op(O::kI32Add).i32(100).op(O::kI32Mul);
  size.op(O::kMemorySize, 2).op(O::kI32Add).i32(100).op(O::kI32Mul);
  size.i32(2).op(O::kMemoryGrow, 2).op(O::kI32Add);
  u32 g = func("", "i", size);
  Code beyond;
  beyond.i32(0).access(O::kI32Load8U, 0, 2, 0);
  u32 h = func("", "i", beyond);
  load();
  EXPECT_EQ(built(f, Op::kLoadMem), 2u);
  EXPECT_EQ(optimized(f, Op::kLoadMem), 1u);  // the first is forwarded from the store
  expect(f, {8}, {222233});
  expect_trap(f, {kPage - 7}, TrapReason::kMemoryOutOfBounds);
  expect(g, {}, {100 * (100 * 100 + 2) - 1});
  expect_trap(h, {}, TrapReason::kMemoryOutOfBounds);
}

TEST_F(BuildMemory, BulkOperationsNameTheirMemories) {
  writer_.memory(1, 1);
  writer_.memory(1, 1);
  std::vector<u32> functions;
  for (i32 n : {16, 100}) {
    Code code;
    code.op(O::kLocalGet, 0).i32(0x5a).i32(n).op(O::kMemoryFill, 1);
    code.i32(200).op(O::kLocalGet, 0).i32(n).op(O::kMemoryCopy, 0, 1);
    code.i32(200 + n - 4).op(O::kI32Load, 0, 0).i32(200 + n).op(O::kI32Load8U, 0, 0).op(O::kI32Add);
    functions.push_back(func("i", "i", code));
  }
  load();
  EXPECT_EQ(built(functions[0], Op::kCallLib), 0u);
  for (u32 f : functions) {
    expect(f, {1000}, {0x5a5a'5a5a});
    expect_trap(f, {kPage - 1}, TrapReason::kMemoryOutOfBounds);
  }
}

TEST_F(BuildMemory, WideIndicesAreChecked) {
  writer_.memory(1, 2, true);
  Code at, far, constant, beyond, grow, fill;
  at.op(O::kLocalGet, 0).i64(7).op(O::kI64Store, 3, 8).op(O::kLocalGet, 0).op(O::kI64Load, 3, 8);
  far.op(O::kLocalGet, 0).op(O::kI64Load, 3, 0x1'0000'0000).op(O::kDrop);
  constant.i64(0x1'0000'0000).op(O::kI64Load, 3, 0);
  beyond.i64(kPage - 4).op(O::kI32Load, 2, 0);
  grow.i64(1).op(O::kMemoryGrow, 0).op(O::kMemorySize, 0).i64(100).op(O::kI64Mul).op(O::kI64Add);
  grow.op(O::kLocalGet, 0).op(O::kMemoryGrow, 0).op(O::kI64Add);
  fill.op(O::kLocalGet, 0).i32(1).i64(8).op(O::kMemoryFill, 0);
  u32 a = func("l", "l", at), b = func("l", "", far), c = func("", "l", constant),
      d = func("", "i", beyond), e = func("l", "l", grow), f = func("l", "", fill);
  load();
  expect(a, {0}, {7});
  expect(a, {kPage - 16}, {7});
  for (u64 index : {kPage - 15, u64{0xffff'ffff}, u64{0x1'0000'0000}, ~u64{0} - 8, ~u64{0} - 15}) {
    expect_trap(a, {index}, TrapReason::kMemoryOutOfBounds);
    expect_trap(f, {index + 8}, TrapReason::kMemoryOutOfBounds);
  }
  expect_trap(b, {0}, TrapReason::kMemoryOutOfBounds);
  EXPECT_EQ(built(b, Op::kLoad), 0u);
  expect_trap(c, {}, TrapReason::kMemoryOutOfBounds);
  expect(d, {}, {0});
  expect(e, {0}, {1 + 200 + 2});
  expect(e, {~u64{0}}, {1 + 200 - 1});
}

TEST_F(BuildMemory, AtomicsReturnWhatWasThere) {
  writer_.memory(1, 1);
  struct Case {
    O op;
    u64 result;
  };
  // Memory holds 0x8877'6655'4433'2211; the operand is 0x0101'0101'0101'0101.
  const Case cases[] = {{O::kI64AtomicRmwAdd, 0x8978'6756'4534'2312},
                        {O::kI64AtomicRmw32SubU, 0x8877'6655'4332'2110},
                        {O::kI64AtomicRmw16XorU, 0x8877'6655'4433'2310},
                        {O::kI64AtomicRmw8OrU, 0x8877'6655'4433'2211},
                        {O::kI64AtomicRmwAnd, 0x0001'0001'0001'0001},
                        {O::kI64AtomicRmw32XchgU, 0x8877'6655'0101'0101}};
  const u64 old[] = {0x8877'6655'4433'2211, 0x4433'2211, 0x2211, 0x11,
                     0x8877'6655'4433'2211, 0x4433'2211};
  std::vector<u32> functions;
  for (const Case& c : cases) {
    Code code;
    code.i32(64).i64(static_cast<i64>(0x8877'6655'4433'2211)).op(O::kI64Store, 3, 0);
    u32 align = 0;
    while (1u << align < info_of(c.op).access) align++;
    code.i32(32).i64(0x0101'0101'0101'0101).op(c.op, align, 32).i32(64).op(O::kI64Load, 3, 0);
    functions.push_back(func("", "ll", code));
  }
  Code cas;
  cas.op(O::kLocalGet, 0).i32(5).op(O::kI32AtomicStore, 2, 0);
  cas.op(O::kLocalGet, 0).op(O::kLocalGet, 1).i32(9).op(O::kI32AtomicRmwCmpxchg, 2, 0);
  cas.op(O::kLocalGet, 0).op(O::kI32AtomicLoad, 2, 0);
  cas.op(O::kAtomicFence).bytes.push_back(0);
  u32 swap = func("ii", "ii", cas);
  load();
  for (u32 i = 0; i < functions.size(); i++) expect(functions[i], {}, {old[i], cases[i].result});
  expect(swap, {8, 5}, {5, 9});
  expect(swap, {8, 6}, {5, 5});
  expect_trap(swap, {9, 5}, TrapReason::kUnalignedAtomic);
  expect_trap(swap, {kPage, 5}, TrapReason::kMemoryOutOfBounds);
}

// Another thread's stores are seen after an atomic access, so plain loads before and after it are two.
TEST_F(BuildMemory, AtomicsOrderPlainLoads) {
  writer_.memory(1, 1);
  Code code, plain;
  for (Code* c : {&code, &plain}) {
    c->i32(0).op(O::kI32Load, 2, 0);
    if (c == &code) c->i32(8).op(O::kI32AtomicLoad, 2, 0).op(O::kDrop);
    c->i32(0).op(O::kI32Load, 2, 0).op(O::kI32Add);
  }
  u32 f = func("", "i", code), g = func("", "i", plain);
  load();
  EXPECT_EQ(optimized(f, Op::kLoad), 2u);
  EXPECT_EQ(optimized(g, Op::kLoad), 1u);
  expect(f, {}, {0});
}

TEST_F(BuildMemory, VectorsAndLanes) {
  writer_.memory(1, 1);
  writer_.memory(1, 1);
  Code code;  // a lane out of one memory into a vector, and one of that into the other
  code.i32(16).v128(0x1122'3344'5566'7788, 0x99aa'bbcc'ddee'ff00).op(O::kV128Store, 4, 0);
  code.i32(17).v128(1, 2);
  code.op(O::kV128Load16Lane, 0, 0).bytes.push_back(5);
  code.op(O::kLocalSet, 0);
  code.i32(40).op(O::kLocalGet, 0).access(O::kV128Store32Lane, 2, 1, 0).bytes.push_back(2);
  code.i32(40).access(O::kI64Load, 3, 1, 0).i32(16).op(O::kV128Load32x2S, 0, 0);
  code.op(O::kLocalGet, 0);
  u32 f = func("", "lvv", code, "v");
  load();
  EXPECT_EQ(built(f, Op::kLoadLane), 1u);
  EXPECT_EQ(built(f, Op::kStoreLaneMem), 1u);
  expect(f, {}, {0x6677'0002, 0x5566'7788, 0x1122'3344, 1, 0x6677'0002});
}

}  // namespace
}  // namespace wring::test
