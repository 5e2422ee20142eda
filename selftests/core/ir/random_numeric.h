// SPDX-License-Identifier: GPL-2.0
// The floats and vectors of random programs; included by random_program.h.
#pragma once

#include "selftests/core/ir/random_program.h"

namespace wring::test {

// Replaces a NaN on top of the stack (in a lane) by zero: its bits may depend on the machine and the code.
inline void RandomProgram::canonical(char type, Opcode equal) {
  using O = Opcode;
  u32 scratch = counters_ + 5 + (type == 'f' ? 0 : type == 'd' ? 1 : 2);
  code_.op(O::kLocalTee, scratch);
  if (type == 'f') code_.f32(0);
  if (type == 'd') code_.f64(0);
  code_.op(O::kLocalGet, scratch).op(O::kLocalGet, scratch).op(equal);
  code_.op(type == 'v' ? O::kV128And : O::kSelect);
}

inline void RandomProgram::float_expression(char type, u32 depth) {
  using O = Opcode;
  bool is32 = type == 'f';
  static const O kBinary32[] = {O::kF32Add, O::kF32Sub, O::kF32Mul,
                                O::kF32Div, O::kF32Min, O::kF32Max};
  static const O kBinary64[] = {O::kF64Add, O::kF64Sub, O::kF64Mul,
                                O::kF64Div, O::kF64Min, O::kF64Max};
  static const O kUnary32[] = {O::kF32Sqrt, O::kF32Ceil, O::kF32Floor, O::kF32Trunc,
                               O::kF32Nearest};
  static const O kUnary64[] = {O::kF64Sqrt, O::kF64Ceil, O::kF64Floor, O::kF64Trunc,
                               O::kF64Nearest};
  static const O kBits32[] = {O::kF32Abs, O::kF32Neg};
  static const O kBits64[] = {O::kF64Abs, O::kF64Neg};
  static const O kFromI32[] = {O::kF32ConvertI32S, O::kF32ConvertI32U, O::kF64ConvertI32S,
                               O::kF64ConvertI32U};
  static const O kFromI64[] = {O::kF32ConvertI64S, O::kF32ConvertI64U, O::kF64ConvertI64S,
                               O::kF64ConvertI64U};
  // Zeros, ones, limits of integers, denormals, infinities and a NaN.
  static const u32 kInteresting32[] = {0,           0x8000'0000, 0x3f80'0000, 0xbf80'0000,
                                       0x3f00'0000, 0x4f00'0000, 0xcf00'0000, 0x4f80'0000,
                                       0x5f00'0000, 0x5f80'0000, 1,           0x0080'0000,
                                       0x7f80'0000, 0xff80'0000, 0x7fc0'0000, 0x7f7f'ffff};
  static const u64 kInteresting64[] = {0,
                                       u64{1} << 63,
                                       0x3ff0'0000'0000'0000,
                                       0xbff8'0000'0000'0000,
                                       0x3fe0'0000'0000'0000,
                                       0x41df'ffff'ffc0'0000,
                                       0x41e0'0000'0000'0000,
                                       0xc1e0'0000'0020'0000,
                                       0x43e0'0000'0000'0000,
                                       0x43f0'0000'0000'0000,
                                       1,
                                       0x4330'0000'0000'0001,
                                       0x7ff0'0000'0000'0000,
                                       0xfff0'0000'0000'0000,
                                       0x7ff8'0000'0000'0000,
                                       0x36a0'0000'0000'0000};
  O equal = is32 ? O::kF32Eq : O::kF64Eq;
  if (depth == 0 || chance(10)) {
    if (chance(50))
      code_.op(O::kLocalGet, local_of(type));
    else if (is32)
      code_.f32(chance(70) ? kInteresting32[below(16)] : static_cast<u32>(random_()));
    else
      code_.f64(chance(70) ? kInteresting64[below(16)] : random_());
    return;
  }
  switch (below(10)) {
    case 0:
    case 1:
    case 2:
      expression(type, depth - 1);
      expression(type, depth - 1);
      code_.op(is32 ? pick(kBinary32) : pick(kBinary64));
      return canonical(type, equal);
    case 3:
      expression(type, depth - 1);
      code_.op(is32 ? pick(kUnary32) : pick(kUnary64));
      return canonical(type, equal);
    case 4:
      expression(type, depth - 1);
      if (chance(60)) {
        code_.op(is32 ? pick(kBits32) : pick(kBits64));
      } else {
        expression(type, depth - 1);
        code_.op(is32 ? O::kF32Copysign : O::kF64Copysign);
      }
      return;
    case 5: {
      bool wide = chance(50);
      expression(wide ? 'l' : 'i', depth - 1);
      code_.op((wide ? kFromI64 : kFromI32)[(is32 ? 0 : 2) + below(2)]);
      return;
    }
    case 6:
      if (chance(50)) {
        expression(is32 ? 'd' : 'f', depth - 1);
        code_.op(is32 ? O::kF32DemoteF64 : O::kF64PromoteF32);
        return canonical(type, equal);
      }
      expression(is32 ? 'i' : 'l', depth - 1);
      code_.op(is32 ? O::kF32ReinterpretI32 : O::kF64ReinterpretI64);
      return;
    case 7:
      address(depth - 1);
      code_.op(is32 ? O::kF32Load : O::kF64Load, 0, offset());
      return;
    case 8:
      expression(type, depth - 1);
      expression(type, depth - 1);
      condition(depth - 1);
      code_.op(O::kSelect);
      return;
    default:
      if ((mix_ & kVectors) && chance(50)) {
        expression('v', depth - 1);
        code_.op(is32 ? O::kF32x4ExtractLane : O::kF64x2ExtractLane);
        code_.bytes.push_back(static_cast<u8>(below(2)));
      } else {
        call(type, depth - 1);
      }
      return;
  }
}

inline void RandomProgram::vector_expression(u32 depth) {
  using O = Opcode;
  static const O kUnary[] = {O::kV128Not,
                             O::kI8x16Abs,
                             O::kI8x16Neg,
                             O::kI8x16Popcnt,
                             O::kI16x8Abs,
                             O::kI16x8Neg,
                             O::kI32x4Abs,
                             O::kI32x4Neg,
                             O::kI64x2Abs,
                             O::kI64x2Neg,
                             O::kF32x4Abs,
                             O::kF32x4Neg,
                             O::kF64x2Abs,
                             O::kF64x2Neg,
                             O::kI16x8ExtendLowI8x16S,
                             O::kI16x8ExtendHighI8x16U,
                             O::kI32x4ExtendLowI16x8U,
                             O::kI32x4ExtendHighI16x8S,
                             O::kI64x2ExtendLowI32x4S,
                             O::kI64x2ExtendHighI32x4U,
                             O::kI16x8ExtaddPairwiseI8x16S,
                             O::kI16x8ExtaddPairwiseI8x16U,
                             O::kI32x4ExtaddPairwiseI16x8S,
                             O::kI32x4ExtaddPairwiseI16x8U,
                             O::kI32x4TruncSatF32x4S,
                             O::kI32x4TruncSatF32x4U,
                             O::kI32x4TruncSatF64x2SZero,
                             O::kI32x4TruncSatF64x2UZero,
                             O::kF32x4ConvertI32x4S,
                             O::kF32x4ConvertI32x4U,
                             O::kF64x2ConvertLowI32x4S,
                             O::kF64x2ConvertLowI32x4U};
  static const O kBinary[] = {O::kI8x16Swizzle,
                              O::kI8x16Eq,
                              O::kI8x16Ne,
                              O::kI8x16LtS,
                              O::kI8x16LtU,
                              O::kI8x16GtS,
                              O::kI8x16GtU,
                              O::kI8x16LeS,
                              O::kI8x16LeU,
                              O::kI8x16GeS,
                              O::kI8x16GeU,
                              O::kI16x8Eq,
                              O::kI16x8Ne,
                              O::kI16x8LtS,
                              O::kI16x8LtU,
                              O::kI16x8GtS,
                              O::kI16x8GtU,
                              O::kI16x8LeS,
                              O::kI16x8LeU,
                              O::kI16x8GeS,
                              O::kI16x8GeU,
                              O::kI32x4Eq,
                              O::kI32x4Ne,
                              O::kI32x4LtS,
                              O::kI32x4LtU,
                              O::kI32x4GtS,
                              O::kI32x4GtU,
                              O::kI32x4LeS,
                              O::kI32x4LeU,
                              O::kI32x4GeS,
                              O::kI32x4GeU,
                              O::kI64x2Eq,
                              O::kI64x2Ne,
                              O::kI64x2LtS,
                              O::kI64x2GtS,
                              O::kI64x2LeS,
                              O::kI64x2GeS,
                              O::kF32x4Eq,
                              O::kF32x4Ne,
                              O::kF32x4Lt,
                              O::kF32x4Gt,
                              O::kF32x4Le,
                              O::kF32x4Ge,
                              O::kF64x2Eq,
                              O::kF64x2Ne,
                              O::kF64x2Lt,
                              O::kF64x2Gt,
                              O::kF64x2Le,
                              O::kF64x2Ge,
                              O::kV128And,
                              O::kV128Andnot,
                              O::kV128Or,
                              O::kV128Xor,
                              O::kI8x16Add,
                              O::kI8x16AddSatS,
                              O::kI8x16AddSatU,
                              O::kI8x16Sub,
                              O::kI8x16SubSatS,
                              O::kI8x16SubSatU,
                              O::kI8x16MinS,
                              O::kI8x16MinU,
                              O::kI8x16MaxS,
                              O::kI8x16MaxU,
                              O::kI8x16AvgrU,
                              O::kI16x8Add,
                              O::kI16x8AddSatS,
                              O::kI16x8AddSatU,
                              O::kI16x8Sub,
                              O::kI16x8SubSatS,
                              O::kI16x8SubSatU,
                              O::kI16x8Mul,
                              O::kI16x8MinS,
                              O::kI16x8MinU,
                              O::kI16x8MaxS,
                              O::kI16x8MaxU,
                              O::kI16x8AvgrU,
                              O::kI32x4Add,
                              O::kI32x4Sub,
                              O::kI32x4Mul,
                              O::kI32x4MinS,
                              O::kI32x4MinU,
                              O::kI32x4MaxS,
                              O::kI32x4MaxU,
                              O::kI64x2Add,
                              O::kI64x2Sub,
                              O::kI64x2Mul,
                              O::kF32x4Pmin,
                              O::kF32x4Pmax,
                              O::kF64x2Pmin,
                              O::kF64x2Pmax,
                              O::kI16x8Q15mulrSatS,
                              O::kI32x4DotI16x8S,
                              O::kI8x16NarrowI16x8S,
                              O::kI8x16NarrowI16x8U,
                              O::kI16x8NarrowI32x4S,
                              O::kI16x8NarrowI32x4U,
                              O::kI16x8ExtmulLowI8x16S,
                              O::kI16x8ExtmulHighI8x16U,
                              O::kI32x4ExtmulLowI16x8U,
                              O::kI32x4ExtmulHighI16x8S,
                              O::kI64x2ExtmulLowI32x4S,
                              O::kI64x2ExtmulHighI32x4U,
                              O::kI16x8RelaxedDotI8x16I7x16S,
                              O::kI16x8RelaxedQ15mulrS};
  static const O kFloat32[] = {O::kF32x4Add, O::kF32x4Sub, O::kF32x4Mul,
                               O::kF32x4Div, O::kF32x4Min, O::kF32x4Max};
  static const O kFloat64[] = {O::kF64x2Add, O::kF64x2Sub, O::kF64x2Mul,
                               O::kF64x2Div, O::kF64x2Min, O::kF64x2Max};
  static const O kRound32[] = {O::kF32x4Sqrt,  O::kF32x4Ceil,    O::kF32x4Floor,
                               O::kF32x4Trunc, O::kF32x4Nearest, O::kF32x4DemoteF64x2Zero};
  static const O kRound64[] = {O::kF64x2Sqrt,  O::kF64x2Ceil,    O::kF64x2Floor,
                               O::kF64x2Trunc, O::kF64x2Nearest, O::kF64x2PromoteLowF32x4};
  static const O kShifts[] = {O::kI8x16Shl,  O::kI8x16ShrS, O::kI8x16ShrU, O::kI16x8Shl,
                              O::kI16x8ShrS, O::kI16x8ShrU, O::kI32x4Shl,  O::kI32x4ShrS,
                              O::kI32x4ShrU, O::kI64x2Shl,  O::kI64x2ShrS, O::kI64x2ShrU};
  static const O kLoads[] = {O::kV128Load,        O::kV128Load8x8S,    O::kV128Load8x8U,
                             O::kV128Load16x4S,   O::kV128Load16x4U,   O::kV128Load32x2S,
                             O::kV128Load32x2U,   O::kV128Load8Splat,  O::kV128Load16Splat,
                             O::kV128Load32Splat, O::kV128Load64Splat, O::kV128Load32Zero,
                             O::kV128Load64Zero};
  auto lane = [&](u32 lanes) { code_.bytes.push_back(static_cast<u8>(below(lanes))); };
  if (depth == 0 || chance(10)) {
    if (chance(60))
      code_.op(O::kLocalGet, local_of('v'));
    else
      code_.v128(random_(), chance(50) ? random_() : 0);
    return;
  }
  depth--;
  switch (below(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
      expression('v', depth);
      expression('v', depth);
      code_.op(pick(kBinary));
      return;
    case 4:
    case 5:
      expression('v', depth);
      code_.op(pick(kUnary));
      return;
    case 6:
      expression('v', depth);
      expression('v', depth);
      code_.op(pick(kFloat32));
      return canonical('v', O::kF32x4Eq);
    case 7:
      expression('v', depth);
      expression('v', depth);
      code_.op(pick(kFloat64));
      return canonical('v', O::kF64x2Eq);
    case 8: {
      bool is32 = chance(50);
      expression('v', depth);
      code_.op(is32 ? pick(kRound32) : pick(kRound64));
      return canonical('v', is32 ? O::kF32x4Eq : O::kF64x2Eq);
    }
    case 9:
      expression('v', depth);
      if (chance(60))
        code_.i32(static_cast<wring::i32>(below(70)));
      else
        expression('i', depth);
      code_.op(pick(kShifts));
      return;
    case 10:
      address(depth);
      code_.op(pick(kLoads), 0, offset());
      return;
    case 11: {  // lanes in and out of memory are in numeric_statement, too
      static const O kLanes[] = {O::kV128Load8Lane, O::kV128Load16Lane, O::kV128Load32Lane,
                                 O::kV128Load64Lane};
      u32 log = below(4);
      address(depth);
      expression('v', depth);
      code_.op(kLanes[log], 0, offset());
      return lane(16u >> log);
    }
    case 12: {
      static const O kSplats[] = {O::kI8x16Splat, O::kI16x8Splat, O::kI32x4Splat};
      if (chance(25)) {
        expression('l', depth);
        code_.op(O::kI64x2Splat);
      } else if ((mix_ & kFloats) && chance(30)) {
        bool is32 = chance(50);
        expression(is32 ? 'f' : 'd', depth);
        code_.op(is32 ? O::kF32x4Splat : O::kF64x2Splat);
      } else {
        expression('i', depth);
        code_.op(pick(kSplats));
      }
      return;
    }
    case 13:
      expression('v', depth);
      if (chance(50)) {
        expression('i', depth);
        code_.op(O::kI16x8ReplaceLane);
        return lane(8);
      }
      expression('l', depth);
      code_.op(O::kI64x2ReplaceLane);
      return lane(2);
    case 14:
      expression('v', depth);
      expression('v', depth);
      if (chance(50)) {
        expression('v', depth);
        code_.op(O::kV128Bitselect);
        return;
      }
      code_.op(O::kI8x16Shuffle);
      for (u32 i = 0, start = below(17), step = below(3); i < 16; i++)
        code_.bytes.push_back(static_cast<u8>(step == 0 ? below(32) : (start + i * step) % 32));
      return;
    default:
      expression('v', depth);
      expression('v', depth);
      condition(depth);
      code_.op(O::kSelect);
      return;
  }
}

// An integer that comes from a float or a vector.
inline void RandomProgram::integer_of_numeric(char type, u32 depth) {
  using O = Opcode;
  bool wide = type == 'l';
  bool is32 = chance(50);
  if ((mix_ & kVectors) && (chance(40) || !(mix_ & kFloats))) {
    static const O kTests[] = {O::kV128AnyTrue,  O::kI8x16AllTrue, O::kI16x8AllTrue,
                               O::kI32x4AllTrue, O::kI64x2AllTrue, O::kI8x16Bitmask,
                               O::kI16x8Bitmask, O::kI32x4Bitmask, O::kI64x2Bitmask};
    static const O kExtracts[] = {O::kI8x16ExtractLaneS, O::kI8x16ExtractLaneU,
                                  O::kI16x8ExtractLaneS, O::kI16x8ExtractLaneU,
                                  O::kI32x4ExtractLane};
    expression('v', depth);
    O op = wide ? O::kI64x2ExtractLane : chance(40) ? pick(kTests) : pick(kExtracts);
    code_.op(op);
    if (info_of(op).lanes) code_.bytes.push_back(static_cast<u8>(below(info_of(op).lanes)));
    return;
  }
  static const O kCompare32[] = {O::kF32Eq, O::kF32Ne, O::kF32Lt, O::kF32Gt, O::kF32Le, O::kF32Ge};
  static const O kCompare64[] = {O::kF64Eq, O::kF64Ne, O::kF64Lt, O::kF64Gt, O::kF64Le, O::kF64Ge};
  static const O kTruncate[] = {O::kI32TruncSatF32S, O::kI32TruncSatF32U, O::kI32TruncSatF64S,
                                O::kI32TruncSatF64U, O::kI64TruncSatF32S, O::kI64TruncSatF32U,
                                O::kI64TruncSatF64S, O::kI64TruncSatF64U};
  static const O kTrapping[] = {O::kI32TruncF32S, O::kI32TruncF32U, O::kI32TruncF64S,
                                O::kI32TruncF64U, O::kI64TruncF32S, O::kI64TruncF32U,
                                O::kI64TruncF64S, O::kI64TruncF64U};
  if (chance(40)) {
    is32 = !wide;
    expression(is32 ? 'f' : 'd', depth);
    if (chance(30)) {
      code_.op(wide ? O::kI64ReinterpretF64 : O::kI32ReinterpretF32);
      return;
    }
  } else if (chance(50)) {
    expression(is32 ? 'f' : 'd', depth);
    expression(is32 ? 'f' : 'd', depth);
    code_.op(is32 ? pick(kCompare32) : pick(kCompare64));
    if (wide) code_.op(O::kI64ExtendI32U);
    return;
  } else {
    expression(is32 ? 'f' : 'd', depth);
  }
  u32 which = (wide ? 4u : 0u) + (is32 ? 0u : 2u) + below(2);
  code_.op(chance(10) ? kTrapping[which] : kTruncate[which]);
}

inline void RandomProgram::numeric_statement() {
  using O = Opcode;
  char type = "fdv"[below(3)];
  if (type == 'v' ? !(mix_ & kVectors) : !(mix_ & kFloats)) type = mix_ & kFloats ? 'f' : 'v';
  if (chance(60)) {
    expression(type, 3);
    code_.op(O::kLocalSet, local_of(type));
    return;
  }
  address(2);
  expression(type, 2);
  if (type != 'v' || chance(60)) {
    code_.op(type == 'f' ? O::kF32Store : type == 'd' ? O::kF64Store : O::kV128Store, 0, offset());
    return;
  }
  static const O kLanes[] = {O::kV128Store8Lane, O::kV128Store16Lane, O::kV128Store32Lane,
                             O::kV128Store64Lane};
  u32 log = below(4);
  code_.op(kLanes[log], 0, offset());
  code_.bytes.push_back(static_cast<u8>(below(16u >> log)));
}

// 0 or 1 by way of blocks, ifs and selects of constants, as compilers write && and ||.
inline void RandomProgram::boolean(u32 depth) {
  using O = Opcode;
  auto bit = [&] { code_.i32(static_cast<wring::i32>(below(2))); };
  switch (below(depth ? 8 : 2)) {
    case 0: return bit();
    case 1: code_.op(O::kLocalGet, local_of('i')).op(O::kI32Eqz); return;
    case 2:
      boolean(depth - 1);
      code_.op(O::kI32Eqz);
      return;
    case 3:
      bit(), bit(), condition(depth - 1);
      code_.op(O::kSelect);
      return;
    case 4:
    case 5:
      code_.block(O::kBlock, -1);
      bit(), condition(depth - 1);
      code_.op(O::kBrIf, 0).op(O::kDrop);
      boolean(depth - 1);
      code_.end();
      return;
    case 6:
      code_.block(O::kBlock, -1).block(O::kBlock, -64);
      for (u32 i = 1 + below(3); i > 0; i--) condition(depth - 1), code_.op(O::kBrIf, 0);
      bit();
      code_.op(O::kBr, 1).end();
      bit();
      code_.end();
      return;
    default:
      condition(depth - 1);
      code_.block(O::kIf, -1);
      boolean(depth - 1);
      code_.op(O::kElse);
      boolean(depth - 1);
      code_.end();
      if (chance(50)) bit(), code_.op(chance(50) ? O::kI32Eq : O::kI32Ne);
      return;
  }
}

}  // namespace wring::test
