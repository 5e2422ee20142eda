// SPDX-License-Identifier: GPL-2.0
// What the optimizer must achieve: each test counts operations left in an optimized function.
#include "selftests/core/opt/subject.h"

namespace wring::test {
namespace {

TEST_F(Optimize, ProgramsOwnLengthCheckCoversLoads) {
  Code code;  // if (pkt_len() < 34) return 0; return load16(12) + load8(23) + load32(30)
  code.op(O::kCall, kPktLen).i32(34).op(O::kI32LtU).block(O::kIf, -64).i32(0).op(O::kReturn).end();
  code.i32(12).op(O::kCall, kPktLoad16).i32(23).op(O::kCall, kPktLoad8).op(O::kI32Add);
  code.i32(30).op(O::kCall, kPktLoad32).op(O::kI32Add);
  add("", "i", "", code);
  optimize();
  EXPECT_EQ(count(Op::kTrapIf), 0u);
  EXPECT_EQ(count(Op::kLoadRaw), 2u + 3u);  // length and pointer, once each
  packet_[12] = 1, packet_[23] = 2, packet_[30] = 4;
  EXPECT_EQ(result({}), 7u);
  packet_length_ = 33;
  EXPECT_EQ(result({}), 0u);
}

TEST_F(Optimize, EarlierLoadsCoverLaterOnes) {
  Code code;
  code.i32(30).op(O::kCall, kPktLoad32).i32(12).op(O::kCall, kPktLoad16).op(O::kI32Add);
  code.i32(33)
      .op(O::kCall, kPktLoad8)
      .op(O::kI32Add)
      .i32(34)
      .op(O::kCall, kPktLoad8)
      .op(O::kI32Add);
  add("", "i", "", code);
  optimize();
  EXPECT_EQ(count(Op::kTrapIf), 2u);  // 34 bytes, then 35
  packet_length_ = 34;
  EXPECT_EQ(result({}), ~u64{0} - static_cast<u64>(TrapReason::kPacketOutOfBounds));
}

TEST_F(Optimize, CheckOfAVariableOffsetCoversLoadsNearIt) {
  Code
      code;  // at = (x & 15) * 4 + 14; if (at + 8 > len) return 0; return load16(at + 2) + load32(at + 4)
  code.op(O::kLocalGet, 0)
      .i32(15)
      .op(O::kI32And)
      .i32(2)
      .op(O::kI32Shl)
      .i32(14)
      .op(O::kI32Add)
      .op(O::kLocalSet, 1);
  code.op(O::kLocalGet, 1).i32(8).op(O::kI32Add).op(O::kCall, kPktLen).op(O::kI32GtU);
  code.block(O::kIf, -64).i32(0).op(O::kReturn).end();
  code.op(O::kLocalGet, 1).i32(2).op(O::kI32Add).op(O::kCall, kPktLoad16);
  code.op(O::kLocalGet, 1).i32(4).op(O::kI32Add).op(O::kCall, kPktLoad32).op(O::kI32Add);
  add("i", "i", "i", code);
  optimize();
  EXPECT_EQ(count(Op::kTrapIf), 0u);
  packet_[14 + 40 + 2] = 5;
  EXPECT_EQ(result({10}), 5u);
  EXPECT_EQ(result({15}), 0u);
}

TEST_F(Optimize, ChecksThatNeedTheMiddleOfTheRangeStay) {
  Code code;  // the offset may wrap: nothing may be concluded
  code.op(O::kLocalGet, 0).i32(8).op(O::kI32Add).op(O::kCall, kPktLen).op(O::kI32GtU);
  code.block(O::kIf, -64).i32(0).op(O::kReturn).end();
  code.op(O::kLocalGet, 0).op(O::kCall, kPktLoad16);
  add("i", "i", "", code);
  optimize();
  EXPECT_EQ(count(Op::kTrapIf), 1u);
  EXPECT_EQ(result({0xffff'fffa}), ~u64{0} - static_cast<u64>(TrapReason::kPacketOutOfBounds));
}

// for (i = 14; i + 2 <= len; i += 2) sum += load16(i), tested before the loop and at its end.
TEST_F(Optimize, LoopsOverThePacketNeedNoChecks) {
  Code code;
  auto more = [&] {
    code.op(O::kLocalGet, 0).i32(2).op(O::kI32Add).op(O::kCall, kPktLen).op(O::kI32LeU);
  };
  code.i32(14).op(O::kLocalSet, 0).block(O::kBlock, -64);
  more();
  code.op(O::kI32Eqz).op(O::kBrIf, 0).block(O::kLoop, -64);
  code.op(O::kLocalGet, 1)
      .op(O::kLocalGet, 0)
      .op(O::kCall, kPktLoad16)
      .op(O::kI32Add)
      .op(O::kLocalSet, 1);
  code.op(O::kLocalGet, 0).i32(2).op(O::kI32Add).op(O::kLocalSet, 0);
  more();
  code.op(O::kBrIf, 0).end().end().op(O::kLocalGet, 1);
  add("", "i", "ii", code);
  optimize();
  EXPECT_EQ(count(Op::kTrapIf), 0u);
  for (u32 i = 0; i < 64; i++) packet_[i] = 1;
  EXPECT_EQ(result({}), 25 * 0x101u);
  packet_length_ = 17;
  EXPECT_EQ(result({}), 0x101u);
  packet_length_ = 15;
  EXPECT_EQ(result({}), 0u);
}

TEST_F(Optimize, LoopsThatMayWrapKeepTheirChecks) {
  Code code;  // i starts anywhere
  auto more = [&] {
    code.op(O::kLocalGet, 0).i32(2).op(O::kI32Add).op(O::kCall, kPktLen).op(O::kI32LeU);
  };
  code.block(O::kLoop, -64).op(O::kLocalGet, 0).op(O::kCall, kPktLoad16).op(O::kLocalSet, 1);
  code.op(O::kLocalGet, 0).i32(2).op(O::kI32Add).op(O::kLocalSet, 0);
  more();
  code.op(O::kBrIf, 0).end().op(O::kLocalGet, 1);
  add("i", "i", "i", code);
  optimize();
  EXPECT_EQ(count(Op::kTrapIf), 1u);
  EXPECT_EQ(result({0xffff'fffe}), ~u64{0} - static_cast<u64>(TrapReason::kPacketOutOfBounds));
}

TEST_F(Optimize, CountersOfKnownLoopsFoldIntoAddresses) {
  Code code;  // for (i = 0; i != 64; i++) sum += memory32[0x1000 + 4 * i]
  code.block(O::kLoop, -64)
      .op(O::kLocalGet, 1)
      .op(O::kLocalGet, 0)
      .i32(2)
      .op(O::kI32Shl)
      .i32(0x1000);
  code.op(O::kI32Add).op(O::kI32Load, 2, 0).op(O::kI32Add).op(O::kLocalSet, 1);
  code.op(O::kLocalGet, 0)
      .i32(1)
      .op(O::kI32Add)
      .op(O::kLocalTee, 0)
      .i32(64)
      .op(O::kI32Ne)
      .op(O::kBrIf, 0)
      .end();
  code.op(O::kLocalGet, 1);
  add("", "i", "ii", code);
  optimize();
  EXPECT_EQ(count(Op::kAdd), 2u);  // the counter and the sum
}

TEST_F(Optimize, LoadsAreReusedUntilStoresInterfere) {
  Code code;
  code.op(O::kLocalGet, 0)
      .op(O::kI32Load, 2, 0)
      .op(O::kLocalGet, 0)
      .op(O::kI32Load, 2, 0)
      .op(O::kI32Add);
  code.op(O::kLocalGet, 0).i32(5).op(O::kI32Store, 2, 8);  // beside it
  code.op(O::kLocalGet, 0).op(O::kI32Load, 2, 0).op(O::kI32Add);
  code.op(O::kLocalGet, 0).op(O::kI32Load, 2, 8).op(O::kI32Add);  // 5
  code.op(O::kLocalGet, 1).i32(6).op(O::kI32Store, 2, 0);         // anywhere
  code.op(O::kLocalGet, 0).op(O::kI32Load, 2, 0).op(O::kI32Add);
  add("ii", "i", "", code);
  optimize();
  EXPECT_EQ(count(Op::kLoad), 2u);
  EXPECT_EQ(result({64, 64}), 11u);
  EXPECT_EQ(result({64, 128}), 5u);
}

TEST_F(Optimize, CallsInvalidateMemoryButNotInvariants) {
  Code code;
  code.op(O::kGlobalGet, 0).op(O::kCall, kHost).op(O::kI32Add).op(O::kGlobalGet, 0).op(O::kI32Add);
  code.op(O::kGlobalGet, 0).op(O::kI32Add);
  add("", "i", "", code);
  optimize();
  EXPECT_EQ(count(Op::kLoadRaw), 2u + 2u);  // the cell's address once, the value before and after
  EXPECT_EQ(result({}), 3001u);
}

TEST_F(Optimize, GlobalsDoNotDisturbEachOtherOrMemory) {
  Code code;
  code.op(O::kGlobalGet, 0)
      .op(O::kLocalGet, 0)
      .op(O::kGlobalSet, 1)
      .op(O::kGlobalGet, 0)
      .op(O::kI32Add);
  code.op(O::kLocalGet, 0)
      .op(O::kLocalGet, 0)
      .op(O::kI32Store, 2, 0)
      .op(O::kGlobalGet, 1)
      .op(O::kI32Add);
  add("i", "i", "", code);
  optimize();
  EXPECT_EQ(count(Op::kLoadRaw),
            3u + 1u);  // two cells by way of one table; global 0 once, global 1 not at all
  EXPECT_EQ(result({7}), 2007u);
}

TEST_F(Optimize, LoadsAreReusedThroughLoopsThatDoNotWrite) {
  Code code;
  code.op(O::kLocalGet, 0).op(O::kI32Load, 2, 0).op(O::kLocalSet, 2);
  code.block(O::kLoop, -64)
      .op(O::kLocalGet, 2)
      .op(O::kLocalGet, 0)
      .op(O::kI32Load, 2, 0)
      .op(O::kI32Add);
  code.op(O::kLocalSet, 2)
      .op(O::kLocalGet, 1)
      .i32(-1)
      .op(O::kI32Add)
      .op(O::kLocalTee, 1)
      .op(O::kBrIf, 0)
      .end();
  code.op(O::kLocalGet, 2);
  add("ii", "i", "i", code);
  optimize();
  EXPECT_EQ(count(Op::kLoad), 1u);
}

TEST_F(Optimize, LoadsInLoopsThatWriteStay) {
  Code code;
  code.op(O::kLocalGet, 0).op(O::kI32Load, 2, 0).op(O::kLocalSet, 2);
  code.block(O::kLoop, -64)
      .op(O::kLocalGet, 2)
      .op(O::kLocalGet, 0)
      .op(O::kI32Load, 2, 0)
      .op(O::kI32Add);
  code.op(O::kLocalSet, 2).op(O::kLocalGet, 1).op(O::kLocalGet, 2).op(O::kI32Store, 2, 0);
  code.op(O::kLocalGet, 1).i32(-4).op(O::kI32Add).op(O::kLocalTee, 1).op(O::kBrIf, 0).end();
  code.op(O::kLocalGet, 2);
  add("ii", "i", "i", code);
  optimize();
  EXPECT_EQ(count(Op::kLoad), 2u);
}

TEST_F(Optimize, InvariantsLeaveLoops) {
  Code code;
  code.block(O::kLoop, -64).op(O::kGlobalGet, 0).i32(1).op(O::kI32Add).op(O::kGlobalSet, 0);
  code.op(O::kLocalGet, 0)
      .i32(-1)
      .op(O::kI32Add)
      .op(O::kLocalTee, 0)
      .op(O::kBrIf, 0)
      .end()
      .op(O::kGlobalGet, 0);
  add("i", "i", "", code);
  optimize();
  for (const ir::Block& block : f().blocks) {
    if (!block.loop_depth) continue;
    for (ir::Value v : block.insts) EXPECT_FALSE(f().insts[v].invariant);
  }
  EXPECT_EQ(result({5}), 1005u);
}

TEST_F(Optimize, DivisionByConstants) {
  for (i32 d : {3, 7, 10, 641, 1000, 65535, -5, 1 << 20, -8, 0x7fff'ffff}) {
    for (O op : {O::kI32DivU, O::kI32DivS, O::kI32RemU, O::kI32RemS}) {
      Subject test;
      Code code;
      code.op(O::kLocalGet, 0).i32(d).op(op);
      test.add("i", "i", "", code);
      test.optimize();
      EXPECT_EQ(test.count(Op::kDivU) + test.count(Op::kDivS) + test.count(Op::kRemU) +
                    test.count(Op::kRemS),
                0u);
      for (u32 x : {0u, 1u, 2u, 99u, 641u, 65535u, 0x7fff'ffffu, 0x8000'0000u, 0xffff'fffeu,
                    0xffff'ffffu}) {
        Op ir_op = op == O::kI32DivU   ? Op::kDivU
                   : op == O::kI32DivS ? Op::kDivS
                   : op == O::kI32RemU ? Op::kRemU
                                       : Op::kRemS;
        EXPECT_EQ(test.result({x}), interpret_binary(ir_op, false, x, static_cast<u32>(d)))
            << x << " " << d;
      }
    }
  }
}

TEST_F(Optimize, WideDivisionByConstants) {
  for (i64 d :
       {i64{3}, i64{7}, i64{10}, i64{1000000007}, i64{-9}, i64{1} << 40, i64{0x7fff'ffff'ffff'ffff},
        static_cast<i64>(0x8000'0000'0000'0001), i64{6700417}}) {
    for (O op : {O::kI64DivU, O::kI64DivS, O::kI64RemU, O::kI64RemS}) {
      Subject test;
      Code code;
      code.op(O::kLocalGet, 0).i64(d).op(op);
      test.add("l", "l", "", code);
      test.optimize();
      EXPECT_EQ(test.count(Op::kDivU) + test.count(Op::kDivS) + test.count(Op::kRemU) +
                    test.count(Op::kRemS),
                0u);
      for (u64 x : {u64{0}, u64{1}, u64{6}, u64{1} << 40, (u64{1} << 63) - 1, u64{1} << 63, ~u64{0},
                    ~u64{0} - 6, u64{0x8000'0000'0000'0001}, u64{0x8000'0000'0000'0000} + 77}) {
        Op ir_op = op == O::kI64DivU   ? Op::kDivU
                   : op == O::kI64DivS ? Op::kDivS
                   : op == O::kI64RemU ? Op::kRemU
                                       : Op::kRemS;
        EXPECT_EQ(test.result({x}), interpret_binary(ir_op, true, x, static_cast<u64>(d)))
            << x << " " << d;
      }
    }
  }
}

TEST_F(Optimize, RecognizesByteSwaps) {
  Code code;  // ntohs of a packet field, as C without builtins writes it
  code.i32(12)
      .op(O::kCall, kPktLoad16)
      .op(O::kLocalTee, 0)
      .i32(8)
      .op(O::kI32Shl)
      .op(O::kLocalGet, 0)
      .i32(8);
  code.op(O::kI32ShrU).op(O::kI32Or).i32(0xffff).op(O::kI32And);
  add("", "i", "i", code);
  optimize();
  EXPECT_EQ(count(Op::kBswap16), 1u);
  EXPECT_EQ(count(Op::kShl) + count(Op::kShrU) + count(Op::kOr) + count(Op::kAnd), 0u);
  packet_[12] = 0x12, packet_[13] = 0x34;
  EXPECT_EQ(result({}), 0x1234u);
}

TEST_F(Optimize, RecognizesWideByteSwapsAndComparesUnswapped) {
  Code code;  // ntohl(x) == 0x0a000001
  auto x = [&]() -> Code& { return code.op(O::kLocalGet, 0); };
  x().i32(24).op(O::kI32Shl);
  x().i32(0xff00).op(O::kI32And).i32(8).op(O::kI32Shl).op(O::kI32Or);
  x().i32(8).op(O::kI32ShrU).i32(0xff00).op(O::kI32And).op(O::kI32Or);
  x().i32(24).op(O::kI32ShrU).op(O::kI32Or).i32(0x0a000001).op(O::kI32Eq);
  add("i", "i", "", code);
  optimize();
  EXPECT_EQ(count_all(), 2u);  // eq, return
  EXPECT_EQ(result({0x0100000a}), 1u);
  EXPECT_EQ(result({0x0a000001}), 0u);
}

TEST_F(Optimize, AlmostByteSwapsStay) {
  Code code;
  code.op(O::kLocalGet, 0)
      .i32(8)
      .op(O::kI32Shl)
      .op(O::kLocalGet, 0)
      .i32(8)
      .op(O::kI32ShrU)
      .op(O::kI32Or);
  code.i32(0xfffe).op(O::kI32And);
  add("i", "i", "", code);
  optimize();
  EXPECT_EQ(result({0x11112233}), 0x3322u & 0xfffe);
  EXPECT_EQ(result({0x11112301}), 0x1123u & 0xfffe);
}

TEST_F(Optimize, InlinedPredicatesBecomeBranches) {
  Code predicate, code;  // bool small(x) { if (x == 0) return 1; return x < 10 } used in an if
  predicate.op(O::kLocalGet, 0).op(O::kI32Eqz).block(O::kIf, -64).i32(1).op(O::kReturn).end();
  predicate.op(O::kLocalGet, 0).op(O::kI32Load, 2, 0).i32(10).op(O::kI32LtU);
  u32 callee = add("i", "i", "", predicate);
  code.op(O::kLocalGet, 0)
      .op(O::kCall, callee)
      .block(O::kIf, -1)
      .op(O::kCall, kHost)
      .op(O::kElse)
      .i32(44)
      .end();
  add("i", "i", "", code);
  optimize();
  EXPECT_EQ(count(Op::kCall), 0u);
  EXPECT_EQ(count(Op::kPhi), 0u);
  EXPECT_EQ(result({0}), 1u);
  EXPECT_EQ(result({4}), 1u);
}

TEST_F(Optimize, TinyDiamondsBecomeSelects) {
  Code code;
  code.op(O::kLocalGet, 0).i32(5).op(O::kI32LtU).block(O::kIf, -1).op(O::kLocalGet, 1);
  code.op(O::kElse).op(O::kLocalGet, 0).i32(3).op(O::kI32Sub).end();
  add("ii", "i", "", code);
  optimize();
  EXPECT_EQ(f().blocks.size(), 1u);
  EXPECT_EQ(count(Op::kSelect), 1u);
  EXPECT_EQ(result({1, 70}), 70u);
  EXPECT_EQ(result({9, 70}), 6u);
}

TEST_F(Optimize, DivisionIsNotSpeculated) {
  Code code;
  code.op(O::kLocalGet, 0).block(O::kIf, -1).i32(100).op(O::kLocalGet, 0).op(O::kI32DivU);
  code.op(O::kElse).i32(7).end();
  add("i", "i", "", code);
  optimize();
  EXPECT_EQ(count(Op::kTrapIf), 0u);  // the branch has shown that the divisor is not zero
  EXPECT_EQ(count(Op::kSelect), 0u);
  EXPECT_EQ(result({0}), 7u);
  EXPECT_EQ(result({3}), 33u);
}

TEST_F(Optimize, ConstantBranchesDisappear) {
  Code code;
  code.i32(3)
      .op(O::kLocalSet, 0)
      .block(O::kBlock, -64)
      .op(O::kLocalGet, 0)
      .i32(3)
      .op(O::kI32Ne)
      .op(O::kBrIf, 0);
  code.i32(8).op(O::kLocalSet, 0).end().op(O::kLocalGet, 0);
  add("", "i", "i", code);
  optimize();
  EXPECT_EQ(count_all(), 1u);
  EXPECT_EQ(result({}), 8u);
}

TEST_F(Optimize, OffsetsFoldOnlyWithoutWrapping) {
  Code bounded, unbounded;
  bounded.op(O::kLocalGet, 0)
      .i32(0xffff)
      .op(O::kI32And)
      .i32(16)
      .op(O::kI32Add)
      .op(O::kI32Load, 2, 4);
  unbounded.op(O::kLocalGet, 0).i32(16).op(O::kI32Add).op(O::kI32Load, 2, 4);
  add("i", "i", "", bounded);
  u32 second = writer_.function(writer_.type("i", "i"), "", unbounded);
  optimize();
  EXPECT_EQ(count(Op::kAdd), 0u);
  func_ = second;
  EXPECT_EQ(count(Op::kAdd), 1u);
  EXPECT_EQ(result({0xffff'fff0}), 0u);  // wraps to address 4
}

TEST_F(Optimize, AnAccessInBoundsLetsItsNeighboursFold) {
  Code code;
  code.op(O::kLocalGet, 0).op(O::kI32Load, 2, 0);
  code.op(O::kLocalGet, 0).i32(4).op(O::kI32Add).op(O::kI32Load, 2, 0).op(O::kI32Add);
  add("i", "i", "", code);
  optimize();
  EXPECT_EQ(count(Op::kAdd), 1u);  // of the two values
}

TEST_F(Optimize, PhisOfUnchangedLocalsDisappear) {
  Code code;  // assigned in the loop, but on no path that comes back
  code.block(O::kLoop, -64)
      .op(O::kLocalGet, 0)
      .block(O::kIf, -64)
      .i32(9)
      .op(O::kLocalSet, 1)
      .i32(1)
      .op(O::kReturn);
  code.end().op(O::kLocalGet, 2).i32(-1).op(O::kI32Add).op(O::kLocalTee, 2).op(O::kBrIf, 0).end();
  code.op(O::kLocalGet, 1);
  add("iii", "i", "", code);
  optimize();
  EXPECT_EQ(count(Op::kPhi), 1u);
}

TEST_F(Optimize, ReturnsAreCopied) {
  Code code;
  code.op(O::kLocalGet, 0).i32(1).op(O::kI32Eq).block(O::kIf, -64).op(O::kCall, kHost).op(O::kDrop);
  code.i32(5).op(O::kReturn).end().op(O::kCall, kHost);
  add("i", "i", "", code);
  optimize();
  EXPECT_EQ(count(Op::kReturn), 2u);
  EXPECT_EQ(count(Op::kPhi), 0u);
}

TEST_F(Optimize, TableIndexStaysClampedUnderConditions) {
  Code callee, code;  // switch-like: the branch proves the index, the clamp must not rely on it
  callee.i32(3);
  u32 target = add("", "i", "", callee);
  code.op(O::kLocalGet, 0).i32(2).op(O::kI32GeU).block(O::kIf, -64).i32(0).op(O::kReturn).end();
  code.op(O::kLocalGet, 0).op(O::kCallIndirect, writer_.type("", "i"), 0);
  add("i", "i", "", code);
  writer_.table({target, target}, 2, 2);
  optimize();
  EXPECT_EQ(count(Op::kTrapIf), 1u);  // uninitialized, in the cold block; the bounds check is gone
  EXPECT_EQ(count(Op::kClampIndex), 1u);
  EXPECT_EQ(result({1}), 3u);
  EXPECT_EQ(result({2}), 0u);
}

}  // namespace
}  // namespace wring::test
