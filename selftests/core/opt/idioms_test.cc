// SPDX-License-Identifier: GPL-2.0
// Idioms of compilers' output: wide products, frames in memory, loops with unusual bounds, tests of characters.
#include "selftests/core/opt/subject.h"

namespace wring::test {
namespace {

class Idioms : public ::testing::Test, public Subject {};

constexpr u64 kSamples[] = {
    0, 1, 19, 0xffff'ffff, 0x1'0000'0000, 0x8000'0000'0000'0000, 0x0123'4567'89ab'cdef, ~u64{0}};

// The product of locals 0 and 1 (i64) in 32-bit halves, as compiler-rt has it: a, b, then t1 and t2 in locals 2 and 3.
void partial_products(Code* code) {
  auto low = [&](u64 local) { code->op(O::kLocalGet, local).i64(0xffff'ffff).op(O::kI64And); };
  auto high = [&](u64 local) { code->op(O::kLocalGet, local).i64(32).op(O::kI64ShrU); };
  low(0), low(1);
  code->op(O::kI64Mul).op(O::kLocalSet, 4);
  high(4), high(0), low(1);
  code->op(O::kI64Mul).op(O::kI64Add).op(O::kLocalSet, 2);
  low(2), low(0), high(1);
  code->op(O::kI64Mul).op(O::kI64Add).op(O::kLocalSet, 3);
}

void add_high_product(Code* code) {
  partial_products(code);
  code->op(O::kLocalGet, 0).i64(32).op(O::kI64ShrU);
  code->op(O::kLocalGet, 1).i64(32).op(O::kI64ShrU).op(O::kI64Mul);
  code->op(O::kLocalGet, 2).i64(32).op(O::kI64ShrU).op(O::kI64Add);
  code->op(O::kLocalGet, 3).i64(32).op(O::kI64ShrU).op(O::kI64Add);
}

TEST_F(Idioms, UpperHalvesOfProducts) {
  Code code;
  add_high_product(&code);
  add("ll", "l", "lll", code);
  optimize();
  EXPECT_EQ(count_all(), 2u);  // and the return
  EXPECT_EQ(count(Op::kMulHiU), 1u);
  for (u64 a : kSamples)
    for (u64 b : kSamples)
      EXPECT_EQ(result({a, b}), static_cast<u64>(static_cast<unsigned __int128>(a) * b >> 64));
}

TEST_F(Idioms, UpperHalvesAmongOtherTerms) {
  Code code;
  code.op(O::kLocalGet, 0);
  add_high_product(&code);
  code.op(O::kI64Add).op(O::kLocalGet, 1).op(O::kI64Add);
  add("ll", "l", "lll", code);
  optimize();
  EXPECT_EQ(count(Op::kMulHiU), 1u);
  EXPECT_EQ(count(Op::kMul), 0u);
  for (u64 a : kSamples)
    for (u64 b : kSamples)
      EXPECT_EQ(result({a, b}),
                static_cast<u64>(static_cast<unsigned __int128>(a) * b >> 64) + a + b);
}

TEST_F(Idioms, LowerHalvesOfProducts) {
  Code code;
  partial_products(&code);
  code.op(O::kLocalGet, 3).i64(32).op(O::kI64Shl);
  code.op(O::kLocalGet, 4).i64(0xffff'ffff).op(O::kI64And).op(O::kI64Or);
  add("ll", "l", "lll", code);
  optimize();
  EXPECT_EQ(count_all(), 2u);
  EXPECT_EQ(count(Op::kMul), 1u);
  for (u64 a : kSamples)
    for (u64 b : kSamples) EXPECT_EQ(result({a, b}), a * b);
}

TEST_F(Idioms, ProductsWithAHalfMissingStay) {
  Code code;  // without t1's carry
  partial_products(&code);
  code.op(O::kLocalGet, 0).i64(32).op(O::kI64ShrU);
  code.op(O::kLocalGet, 1).i64(32).op(O::kI64ShrU).op(O::kI64Mul);
  code.op(O::kLocalGet, 3).i64(32).op(O::kI64ShrU).op(O::kI64Add);
  add("ll", "l", "lll", code);
  optimize();
  EXPECT_EQ(count(Op::kMulHiU), 0u);
}

// Stores a value at stack pointer - 64 + offset, the pointer being parameter 0.
void store_in_frame(Code* code, i32 offset, i32 value) {
  code->op(O::kLocalGet, 0).i32(-64).op(O::kI32Add).i32(offset).op(O::kI32Add);
  code->i32(value).op(O::kI32Store, 2, 0);
}

TEST_F(Idioms, FramesHaveOneBase) {
  Code code;
  for (i32 i = 0; i < 8; i++) store_in_frame(&code, 4 * i, i);
  add("i", "", "", code);
  optimize();
  EXPECT_EQ(count(Op::kAdd), 1u);
}

TEST_F(Idioms, BasesAboveWhatIsProvenAreKeptApart) {
  Code code;  // 8 lies below the first access: adding to it may wrap
  store_in_frame(&code, 16, 1);
  store_in_frame(&code, 8, 2);
  code.i32(0).op(O::kI32Load, 2, 0);
  add("i", "i", "", code);
  optimize();
  EXPECT_EQ(count(Op::kAdd), 2u);
  EXPECT_EQ(result({56}), 2u);  // 0: the first store is at 8
  EXPECT_EQ(result({48 + 65536 * 4}), ~u64{0} - static_cast<u64>(TrapReason::kMemoryOutOfBounds));
}

TEST_F(Idioms, ManyStoresToAFrameKeepWhatWasStored) {
  Code code;
  for (i32 i = 0; i < 20; i++) store_in_frame(&code, 4 * i, i);
  for (i32 i = 0; i < 20; i++) {
    code.op(O::kLocalGet, 0).i32(4 * i - 64).op(O::kI32Add).op(O::kI32Load, 2, 0);
    if (i) code.op(O::kI32Add);
  }
  add("i", "i", "", code);
  optimize();
  EXPECT_EQ(count(Op::kLoad), 0u);
  EXPECT_EQ(result({1024}), 190u);
}

// for (i = start; (i += step) < limit;) sum += memory8[0x1000 + i], i unsigned
u32 loop_of(Subject* subject, i32 start, i32 step, i32 limit) {
  Code code;
  code.i32(start).op(O::kLocalSet, 0).block(O::kLoop, -64);
  code.op(O::kLocalGet, 0).i32(0x1000).op(O::kI32Add).op(O::kI32Load8U, 0, 0);
  code.op(O::kLocalGet, 1).op(O::kI32Add).op(O::kLocalSet, 1);
  code.op(O::kLocalGet, 0).i32(step).op(O::kI32Add).op(O::kLocalTee, 0);
  code.i32(limit).op(O::kI32LtU).op(O::kBrIf, 0).end().op(O::kLocalGet, 1);
  return subject->add("", "i", "ii", code);
}

TEST_F(Idioms, ALoopThatWrapsAtFirstBoundsItsOtherCounters) {
  Code code;  // i = -4; p = 0; do { sum += memory8[p + 0x1000]; p += 16; } while ((i += 4) < 64);
  code.i32(-4).op(O::kLocalSet, 0).block(O::kLoop, -64);
  code.op(O::kLocalGet, 2).i32(0x1000).op(O::kI32Add).op(O::kI32Load8U, 0, 0);
  code.op(O::kLocalGet, 1).op(O::kI32Add).op(O::kLocalSet, 1);
  code.op(O::kLocalGet, 2).i32(16).op(O::kI32Add).op(O::kLocalSet, 2);
  code.op(O::kLocalGet, 0).i32(4).op(O::kI32Add).op(O::kLocalTee, 0);
  code.i32(64).op(O::kI32LtU).op(O::kBrIf, 0).end().op(O::kLocalGet, 1);
  add("", "i", "iii", code);
  optimize();
  EXPECT_EQ(count(Op::kAdd), 3u);  // two counters and the sum: 0x1000 is the load's offset
  EXPECT_EQ(result({}), 0u);
}

TEST_F(Idioms, ALoopThatCountsUpToZeroBoundsItsOtherCounters) {
  Code code;  // i = -64; p = 0; do { sum += memory8[p + 0x1000]; p += 16; } while ((i += 4) != 0);
  code.i32(-64).op(O::kLocalSet, 0).block(O::kLoop, -64);
  code.op(O::kLocalGet, 2).i32(0x1000).op(O::kI32Add).op(O::kI32Load8U, 0, 0);
  code.op(O::kLocalGet, 1).op(O::kI32Add).op(O::kLocalSet, 1);
  code.op(O::kLocalGet, 2).i32(16).op(O::kI32Add).op(O::kLocalSet, 2);
  code.op(O::kLocalGet, 0).i32(4).op(O::kI32Add).op(O::kLocalTee, 0);
  code.op(O::kBrIf, 0).end().op(O::kLocalGet, 2);
  add("", "i", "iii", code);
  optimize();
  EXPECT_EQ(count(Op::kAdd), 2u);  // the counters: 0x1000 is the load's offset
  EXPECT_EQ(result({}), 256u);
}

TEST_F(Idioms, ALoopThatMissesZeroBoundsNothing) {
  Code code;  // as above, but from -62: i runs past zero and around
  code.i32(-62).op(O::kLocalSet, 0).block(O::kLoop, -64);
  code.op(O::kLocalGet, 2).i32(0x1000).op(O::kI32Add).op(O::kI32Load8U, 0, 0);
  code.op(O::kLocalGet, 1).op(O::kI32Add).op(O::kLocalSet, 1);
  code.op(O::kLocalGet, 2).i32(16).op(O::kI32Add).op(O::kLocalSet, 2);
  code.op(O::kLocalGet, 0).i32(4).op(O::kI32Add).op(O::kLocalTee, 0);
  code.op(O::kBrIf, 0).end().op(O::kLocalGet, 2);
  add("", "i", "iii", code);
  optimize();
  EXPECT_EQ(count(Op::kAdd), 3u);
}

TEST_F(Idioms, ACounterThatWrapsItselfKeepsItsAddition) {
  loop_of(this, -4, 4, 64);
  optimize();
  EXPECT_EQ(count(Op::kAdd), 3u);
  EXPECT_EQ(result({}), 0u);
}

TEST_F(Idioms, TheTestOfTheNextValueBoundsACounterOfAnyStep) {
  Code code;  // do sum += memory8[0x1000 + i]; while ((i += parameter) < 4096);
  code.block(O::kLoop, -64);
  code.op(O::kLocalGet, 1).i32(0x1000).op(O::kI32Add).op(O::kI32Load8U, 0, 0);
  code.op(O::kLocalGet, 2).op(O::kI32Add).op(O::kLocalSet, 2);
  code.op(O::kLocalGet, 1).op(O::kLocalGet, 0).op(O::kI32Add).op(O::kLocalTee, 1);
  code.i32(4096).op(O::kI32LtU).op(O::kBrIf, 0).end().op(O::kLocalGet, 2);
  add("i", "i", "ii", code);
  optimize();
  EXPECT_EQ(count(Op::kAdd), 2u);
  EXPECT_EQ(result({1000}), 0u);
}

TEST_F(Idioms, CharactersAreTestedWithoutMasks) {
  Code code;  // (u8)(c - '0') < 10 for a byte in memory
  code.op(O::kLocalGet, 0).op(O::kI32Load8U, 0, 0).i32('0').op(O::kI32Sub);
  code.i32(0xff).op(O::kI32And).i32(10).op(O::kI32LtU);
  add("i", "i", "", code);
  optimize();
  EXPECT_EQ(count(Op::kAnd), 0u);
}

TEST_F(Idioms, MasksStayWhereTheWrappedHalfMatters) {
  Code code;  // (u8)(x - 48) < 240: also true for small x
  code.op(O::kLocalGet, 0).i32(0xff).op(O::kI32And).i32(48).op(O::kI32Sub);
  code.i32(0xff).op(O::kI32And).i32(240).op(O::kI32LtU);
  add("i", "i", "", code);
  optimize();
  for (u32 x = 0; x < 256; x++) EXPECT_EQ(result({x}), static_cast<u8>(x - 48) < 240) << x;
}

TEST_F(Idioms, BytesCarriedRoundALoopStayBytes) {
  Code code;  // c = memory8[p++] until it is zero; what is masked is a byte already
  code.op(O::kLocalGet, 0).op(O::kI32Load8U, 0, 0).op(O::kLocalSet, 1);
  code.block(O::kLoop, -64);
  code.op(O::kLocalGet, 1).i32(0xff).op(O::kI32And);
  code.op(O::kLocalGet, 2).op(O::kI32Add).op(O::kLocalSet, 2);
  code.op(O::kLocalGet, 0).i32(1).op(O::kI32Add).op(O::kLocalTee, 0).op(O::kI32Load8U, 0, 0);
  code.op(O::kLocalTee, 1).op(O::kBrIf, 0).end().op(O::kLocalGet, 2);
  add("i", "i", "ii", code);
  optimize();
  EXPECT_EQ(count(Op::kAnd), 0u);
}

}  // namespace
}  // namespace wring::test
