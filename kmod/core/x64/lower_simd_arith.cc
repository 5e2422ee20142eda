// SPDX-License-Identifier: GPL-2.0
// Lowering of vector arithmetic that takes more than one instruction: shifts, widening, products of 64-bit lanes, float
// minimum and maximum, conversions.
#include "core/x64/lower_simd.h"

namespace wring::x64 {

using ir::Op;
using ir::Value;

namespace {

constexpr u32 kAllLanes = 0x0101'0101;
constexpr u64 repeat8(u32 byte) { return u64{byte * kAllLanes} << 32 | byte * kAllLanes; }
constexpr u64 repeat16(u32 word) { return u64{word} * 0x0001'0001'0001'0001; }
constexpr u64 repeat32(u32 bits) { return u64{bits} << 32 | bits; }

// cmpps: the comparison's number
constexpr u8 kCmpLessEqual = 2, kCmpUnordered = 3, kCmpNotLess = 5, kCmpOrdered = 7;
// roundpd: to zero, quiet
constexpr u8 kRoundToZero = 11;

constexpr u64 kSign64 = u64{1} << 63;
constexpr u32 kFloat2To31 = 0x4f00'0000;
constexpr u64 kDouble2To52 = 0x4330'0000'0000'0000;
constexpr u64 kDoubleI32Max = 0x41df'ffff'ffc0'0000;
constexpr u64 kDoubleU32Max = 0x41ef'ffff'ffe0'0000;

// Bits set in each nibble's value.
constexpr u64 kNibbleCountsLow = 0x0302'0201'0201'0100, kNibbleCountsHigh = 0x0403'0302'0302'0201;

}  // namespace

void SimdLowering::arithmetic() {
  switch (op_) {
    case Opcode::kI8x16Popcnt: return popcnt();
    case Opcode::kI64x2Abs: return abs_i64();
    case Opcode::kI64x2Mul: return multiply_i64();
    case Opcode::kI16x8ExtmulLowI8x16S: return multiply_i8(false, true);
    case Opcode::kI16x8ExtmulHighI8x16S: return multiply_i8(true, true);
    case Opcode::kI16x8ExtmulLowI8x16U: return multiply_i8(false, false);
    case Opcode::kI16x8ExtmulHighI8x16U: return multiply_i8(true, false);
    case Opcode::kI32x4ExtmulLowI16x8S: return multiply_i16(false, true);
    case Opcode::kI32x4ExtmulHighI16x8S: return multiply_i16(true, true);
    case Opcode::kI32x4ExtmulLowI16x8U: return multiply_i16(false, false);
    case Opcode::kI32x4ExtmulHighI16x8U: return multiply_i16(true, false);
    case Opcode::kI64x2ExtmulLowI32x4S: return multiply_i32(false, true);
    case Opcode::kI64x2ExtmulHighI32x4S: return multiply_i32(true, true);
    case Opcode::kI64x2ExtmulLowI32x4U: return multiply_i32(false, false);
    case Opcode::kI64x2ExtmulHighI32x4U: return multiply_i32(true, false);
    case Opcode::kI16x8Q15mulrSatS: return multiply_q15();
    case Opcode::kI16x8ExtaddPairwiseI8x16S:
    case Opcode::kI16x8ExtaddPairwiseI8x16U:
    case Opcode::kI32x4ExtaddPairwiseI16x8S:
    case Opcode::kI32x4ExtaddPairwiseI16x8U: return add_pairs();
    case Opcode::kF32x4Min:
    case Opcode::kF64x2Min:
      if (!extreme_of_constant(false)) minimum();
      return;
    case Opcode::kF32x4Max:
    case Opcode::kF64x2Max:
      if (!extreme_of_constant(true)) maximum();
      return;
    default: return convert();
  }
}

// ---- shifts

// The shift count in a vector register: modulo the lane's width, plus something.
ra::VReg SimdLowering::lane_count(u32 mask, u32 addend) {
  Value count = l_.resolve(inst_.arg[1], Size::k32);
  VReg c = l_.reg(count);
  auto alu = [&](Alu op, u32 imm) {
    Payload p;
    p.alu = op;
    p.src = Src::kImm;
    p.imm = imm;
    VReg result = l_.new_vreg();
    l_.add_insn(Lir::kAlu, Operands().def_like(result, 1).use(c), p);
    c = result;
  };
  if (l_.upper_bound(count) > mask) alu(Alu::kAnd, mask);
  if (addend) alu(Alu::kAdd, addend);
  return from_int(Size::k32, c);
}

void SimdLowering::shift_lanes() {
  struct {
    u32 bytes;
    VecOp by, imm;
  } how;
  switch (op_) {
    case Opcode::kI8x16Shl:
    case Opcode::kI8x16ShrS:
    case Opcode::kI8x16ShrU: return shift_bytes();
    case Opcode::kI64x2ShrS: return shift_right_i64();
    case Opcode::kI16x8Shl: how = {2, VecOp::kPsllw, VecOp::kPsllwImm}; break;
    case Opcode::kI16x8ShrS: how = {2, VecOp::kPsraw, VecOp::kPsrawImm}; break;
    case Opcode::kI16x8ShrU: how = {2, VecOp::kPsrlw, VecOp::kPsrlwImm}; break;
    case Opcode::kI32x4Shl: how = {4, VecOp::kPslld, VecOp::kPslldImm}; break;
    case Opcode::kI32x4ShrS: how = {4, VecOp::kPsrad, VecOp::kPsradImm}; break;
    case Opcode::kI32x4ShrU: how = {4, VecOp::kPsrld, VecOp::kPsrldImm}; break;
    case Opcode::kI64x2Shl: how = {8, VecOp::kPsllq, VecOp::kPsllqImm}; break;
    default: how = {8, VecOp::kPsrlq, VecOp::kPsrlqImm}; break;
  }
  u32 mask = 8 * how.bytes - 1;
  i64 count;
  if (l_.is_const(inst_.arg[1], &count)) {
    u32 k = static_cast<u32>(count) & mask;
    bool is_signed = how.imm == VecOp::kPsrawImm || how.imm == VecOp::kPsradImm;
    if (is_signed && extend_sign(how.bytes, k)) return;
    shift(how.imm, operand(0), static_cast<u8>(k), out());
    return;
  }
  VReg c = lane_count(mask, 0);
  binary(how.by, operand(0), c, 0, out());
}

// There are no shifts of bytes: words are shifted, then cleared of what came from the neighbour.
void SimdLowering::shift_bytes() {
  i64 count;
  VReg a = operand(0);
  if (!l_.is_const(inst_.arg[1], &count)) return shift_bytes_by(a);
  u8 k = count & 7;
  if (op_ == Opcode::kI8x16Shl) {
    if (k == 1) {
      binary(VecOp::kPaddb, a, a, 0, out());
      return;
    }
    VReg words = shift(VecOp::kPsllwImm, a, k);
    binary(VecOp::kPand, words, constant(repeat8(0xff << k & 0xff)), 0, out());
    return;
  }
  VReg words = shift(VecOp::kPsrlwImm, a, k);
  Source mask = constant(repeat8(0xff >> k));
  if (op_ == Opcode::kI8x16ShrU) {
    binary(VecOp::kPand, words, mask, 0, out());
    return;
  }
  VReg logical = binary(VecOp::kPand, words, mask);
  // Extend from what became of the sign bit.
  u64 sign = repeat8(0x80 >> k);
  VReg flipped = binary(VecOp::kPxor, logical, constant(sign));
  binary(VecOp::kPsubb, flipped, constant(sign), 0, out());
}

void SimdLowering::shift_bytes_by(VReg a) {
  if (op_ == Opcode::kI8x16ShrS) {
    // Each byte in the upper half of a word.
    VReg count = lane_count(7, 8);
    VReg low = binary(VecOp::kPsraw, binary(VecOp::kPunpcklbw, a, a), count);
    VReg high = binary(VecOp::kPsraw, binary(VecOp::kPunpckhbw, a, a), count);
    binary(VecOp::kPacksswb, low, high, 0, out());
    return;
  }
  bool left = op_ == Opcode::kI8x16Shl;
  VecOp op = left ? VecOp::kPsllw : VecOp::kPsrlw;
  VReg count = lane_count(7, 0);
  // The low byte of the shifted word is the mask of each byte.
  u64 all = repeat16(left ? 0xffff : 0xff);
  VReg mask = binary(op, load_constant(all, all), count);
  mask = binary(VecOp::kPshufb, mask, zero());
  binary(VecOp::kPand, binary(op, a, count), mask, 0, out());
}

void SimdLowering::shift_right_i64() {
  VReg a = operand(0);
  i64 count;
  if (!l_.is_const(inst_.arg[1], &count)) {
    VReg c = lane_count(63, 0);
    VReg sign = binary(VecOp::kPsrlq, load_constant(kSign64, kSign64), c);
    VReg flipped = binary(VecOp::kPxor, binary(VecOp::kPsrlq, a, c), sign);
    binary(VecOp::kPsubq, flipped, sign, 0, out());
    return;
  }
  u8 k = count & 63;
  if (extend_sign(8, k)) return;
  if (k == 63) {
    unary(VecOp::kPshufd, shift(VecOp::kPsradImm, a, 31), 0xf5, out());
    return;
  }
  u64 sign = kSign64 >> k;
  VReg flipped = binary(VecOp::kPxor, shift(VecOp::kPsrlqImm, a, k), constant(sign));
  binary(VecOp::kPsubq, flipped, constant(sign), 0, out());
}

// ---- integers

void SimdLowering::popcnt() {
  VReg a = operand(0);
  u64 low4 = repeat8(0x0f);
  VReg low = binary(VecOp::kPand, a, constant(low4));
  VReg high = binary(VecOp::kPand, shift(VecOp::kPsrlwImm, a, 4), constant(low4));
  VReg table = load_constant(kNibbleCountsLow, kNibbleCountsHigh);
  VReg sum = binary(VecOp::kPshufb, table, low);
  binary(VecOp::kPaddb, sum, binary(VecOp::kPshufb, table, high), 0, out());
}

void SimdLowering::abs_i64() {
  VReg a = operand(0);
  if (has_avx()) {
    VReg negated = binary(VecOp::kPsubq, zero(), a);
    blend(VecOp::kVblendvpd, a, negated, a, out());
    return;
  }
  VReg sign = unary(VecOp::kPshufd, shift(VecOp::kPsradImm, a, 31), 0xf5);
  binary(VecOp::kPsubq, binary(VecOp::kPxor, a, sign), sign, 0, out());
}

// Both cross products, shifted up, plus the product of the lower halves.
void SimdLowering::multiply_i64() {
  VReg a = operand(0), b = operand(1);
  VReg cross = binary(VecOp::kPmuludq, shift(VecOp::kPsrlqImm, a, 32), b);
  VReg other = binary(VecOp::kPmuludq, shift(VecOp::kPsrlqImm, b, 32), a);
  VReg high = shift(VecOp::kPsllqImm, binary(VecOp::kPaddq, cross, other), 32);
  binary(VecOp::kPaddq, binary(VecOp::kPmuludq, a, b), high, 0, out());
}

// The upper half of a's lanes of that many bytes, widened.
ra::VReg SimdLowering::extend_high(VReg a, u32 bytes, bool is_signed, VReg dst) {
  VecOp unpack = pick(bytes, VecOp::kPunpckhbw, VecOp::kPunpckhwd, VecOp::kPunpckhdq);
  if (!is_signed) return binary(unpack, a, zero(), 0, dst);
  if (bytes == 4) return unary(VecOp::kPmovsxdq, unary(VecOp::kPshufd, a, 0xee), 0, dst);
  VecOp op = bytes == 1 ? VecOp::kPsrawImm : VecOp::kPsradImm;
  return shift(op, binary(unpack, a, a), static_cast<u8>(8 * bytes), dst);
}

void SimdLowering::multiply_i8(bool high, bool is_signed) {
  VecOp low_op = is_signed ? VecOp::kPmovsxbw : VecOp::kPmovzxbw;
  auto extend = [&](VReg a) { return high ? extend_high(a, 1, is_signed) : unary(low_op, a); };
  VReg a = extend(operand(0));
  VReg b = inst_.arg[0] == inst_.arg[1] ? a : extend(operand(1));
  binary(VecOp::kPmullw, a, b, 0, out());
}

void SimdLowering::multiply_i16(bool high, bool is_signed) {
  VReg a = operand(0), b = operand(1);
  VReg low_words = binary(VecOp::kPmullw, a, b);
  VReg high_words = binary(is_signed ? VecOp::kPmulhw : VecOp::kPmulhuw, a, b);
  binary(high ? VecOp::kPunpckhwd : VecOp::kPunpcklwd, low_words, high_words, 0, out());
}

void SimdLowering::multiply_i32(bool high, bool is_signed) {
  u8 lanes = high ? 0xfa : 0x50;
  VReg a = unary(VecOp::kPshufd, operand(0), lanes);
  VReg b = inst_.arg[0] == inst_.arg[1] ? a : unary(VecOp::kPshufd, operand(1), lanes);
  binary(is_signed ? VecOp::kPmuldq : VecOp::kPmuludq, a, b, 0, out());
}

// Only -1 times -1 overflows, to the smallest number.
void SimdLowering::multiply_q15() {
  Operands2 o = operands(true);
  VReg product = binary(VecOp::kPmulhrsw, o.a, o.b);
  VReg overflow = binary(VecOp::kPcmpeqw, product, constant(repeat16(0x8000)));
  binary(VecOp::kPxor, product, overflow, 0, out());
}

void SimdLowering::add_pairs() {
  VReg a = operand(0);
  switch (op_) {
    case Opcode::kI16x8ExtaddPairwiseI8x16S:  // pmaddubsw's first operand is the unsigned one
      binary(VecOp::kPmaddubsw, load_constant(repeat8(1), repeat8(1)), a, 0, out());
      return;
    case Opcode::kI16x8ExtaddPairwiseI8x16U:
      binary(VecOp::kPmaddubsw, a, constant(repeat8(1)), 0, out());
      return;
    case Opcode::kI32x4ExtaddPairwiseI16x8S:
      binary(VecOp::kPmaddwd, a, constant(repeat16(1)), 0, out());
      return;
    default: {
      VReg odd = shift(VecOp::kPsrldImm, a, 16);
      VReg even = binary(VecOp::kPand, a, constant(repeat32(0xffff)));
      binary(VecOp::kPaddd, odd, even, 0, out());
    }
  }
}

// ---- floats

// Whether a NaN in v, whose lanes are f32 or f64 as for this operation, is quiet: if it comes from arithmetic.
bool SimdLowering::is_quiet(Value v) const {
  const ir::Inst& inst = l_.at(v);
  if (inst.op != Op::kV1 && inst.op != Op::kV2) return false;
  auto op = static_cast<Opcode>(inst.aux);
  bool wide = info_of(op_).text[1] == '6';
  switch (op) {
    case Opcode::kF32x4Add:
    case Opcode::kF32x4Sub:
    case Opcode::kF32x4Mul:
    case Opcode::kF32x4Div:
    case Opcode::kF32x4Sqrt:
    case Opcode::kF32x4Min:
    case Opcode::kF32x4Max:
    case Opcode::kF32x4ConvertI32x4S:
    case Opcode::kF32x4ConvertI32x4U: return !wide;
    case Opcode::kF64x2Add:
    case Opcode::kF64x2Sub:
    case Opcode::kF64x2Mul:
    case Opcode::kF64x2Div:
    case Opcode::kF64x2Sqrt:
    case Opcode::kF64x2Min:
    case Opcode::kF64x2Max: return wide;
    default: return false;
  }
}

// Minimum or maximum with a constant k that is not NaN: minps(k, x) is right but for the sign of zeros, as it
// gives x if both are zero, and for signaling NaNs. Adding a zero of the right sign sets both right.
bool SimdLowering::extreme_of_constant(bool is_max) {
  Value x = inst_.arg[0], k = inst_.arg[1];
  if (l_.at(k).op != Op::kVConst) swap(x, k);
  if (l_.at(k).op != Op::kVConst) return false;
  bool wide = info_of(op_).text[1] == '6';
  ir::V128 bits = ir::v128_of(l_.at(k));
  ir::V128 addend{0, 0};
  bool corrects_zeros = false;
  for (u32 i = 0; i < (wide ? 2u : 4u); i++) {
    u32 width = wide ? 64 : 32;
    u64 half = i * width < 64 ? bits.low : bits.high;
    u32 at = i * width % 64;
    u64 sign = u64{1} << (width - 1), lane = half >> at & (sign | (sign - 1));
    u64 infinity = wide ? 0x7ff0'0000'0000'0000 : 0x7f80'0000;
    if ((lane & (sign - 1)) > infinity) return false;
    if (lane == sign && !is_max) return false;  // no addition makes 0 a -0 and leaves the others
    if (lane == 0 && is_max)
      corrects_zeros = true;
    else
      (i * width < 64 ? addend.low : addend.high) |= sign << at;
  }
  VecOp op =
      is_max ? (wide ? VecOp::kMaxpd : VecOp::kMaxps) : (wide ? VecOp::kMinpd : VecOp::kMinps);
  VecOp add = wide ? VecOp::kAddpd : VecOp::kAddps;
  VReg constant = l_.reg(k);
  bool exact = is_quiet(x) && !corrects_zeros;
  VReg chosen = binary(op, constant, l_.vec_source(x, 16), 0, exact ? out() : kNone);
  if (!exact) binary(add, chosen, this->constant(addend.low, addend.high), 0, out());
  return true;
}

// minps gives its second operand if one is NaN or both are zeros: together both orders know of every NaN and sign. NaNs
// become the canonical one, whose bits below the quiet bit are clear.
void SimdLowering::minimum() {
  bool wide = op_ == Opcode::kF64x2Min;
  VReg a = operand(0), b = operand(1);
  VecOp op = wide ? VecOp::kMinpd : VecOp::kMinps;
  VReg one = binary(op, a, b), other = binary(op, b, a);
  VReg nan = binary(wide ? VecOp::kCmppd : VecOp::kCmpps, one, other, kCmpUnordered);
  VReg both = binary(VecOp::kOrps, binary(VecOp::kOrps, one, other), nan);
  VReg payload = wide ? shift(VecOp::kPsrlqImm, nan, 13) : shift(VecOp::kPsrldImm, nan, 10);
  binary(VecOp::kAndnps, payload, both, 0, out());
}

void SimdLowering::maximum() {
  bool wide = op_ == Opcode::kF64x2Max;
  VReg a = operand(0), b = operand(1);
  VecOp op = wide ? VecOp::kMaxpd : VecOp::kMaxps;
  VReg one = binary(op, a, b), other = binary(op, b, a);
  // Where only the signs of zeros differ, -0 - -0 = 0; NaNs are quiet after the subtraction.
  VReg difference = binary(VecOp::kXorps, one, other);
  VReg all = binary(VecOp::kOrps, one, difference);
  VReg sum = binary(wide ? VecOp::kSubpd : VecOp::kSubps, all, difference);
  VReg nan = binary(wide ? VecOp::kCmppd : VecOp::kCmpps, sum, sum, kCmpUnordered);
  VReg payload = wide ? shift(VecOp::kPsrlqImm, nan, 13) : shift(VecOp::kPsrldImm, nan, 10);
  binary(VecOp::kAndnps, payload, sum, 0, out());
}

void SimdLowering::convert() {
  switch (op_) {
    case Opcode::kF32x4ConvertI32x4U: {
      // The halves of each lane become the mantissas of 2^23 + low and 2^39 + high * 2^16; only the last addition
      // rounds.
      VReg a = operand(0);
      VReg low = binary(VecOp::kPblendw, a, floats(0x4b00'0000), 0xaa);
      VReg high = shift(VecOp::kPsrldImm, a, 16);
      high = binary(VecOp::kPblendw, high, floats(0x5300'0000), 0xaa);
      high = binary(VecOp::kSubps, high, floats(0x5300'0080));
      binary(VecOp::kAddps, high, low, 0, out());
      return;
    }
    case Opcode::kF64x2ConvertLowI32x4U: {
      VReg biased = binary(VecOp::kUnpcklps, operand(0), constant(repeat32(kDouble2To52 >> 32)));
      binary(VecOp::kSubpd, biased, constant(kDouble2To52), 0, out());
      return;
    }
    case Opcode::kI32x4TruncSatF32x4S: return trunc_f32_signed();
    case Opcode::kI32x4TruncSatF32x4U: return trunc_f32_unsigned();
    case Opcode::kI32x4TruncSatF64x2SZero: {
      VReg a = operand(0);
      VReg ordered = binary(VecOp::kCmppd, a, a, kCmpOrdered);
      VReg limit = binary(VecOp::kAndps, ordered, constant(kDoubleI32Max));
      // minpd gives the second operand, which is then 0, for NaN. Too small numbers become the smallest.
      unary(VecOp::kCvttpd2dq, binary(VecOp::kMinpd, a, limit), 0, out());
      return;
    }
    case Opcode::kI32x4TruncSatF64x2UZero: {
      VReg none = zero();
      VReg x = binary(VecOp::kMaxpd, operand(0), none);  // 0 for NaN
      x = binary(VecOp::kMinpd, x, constant(kDoubleU32Max));
      x = unary(VecOp::kRoundpd, x, kRoundToZero);
      // The integer is now the low half of the mantissa.
      x = binary(VecOp::kAddpd, x, constant(kDouble2To52));
      binary(VecOp::kShufps, x, none, 0x88, out());
      return;
    }
    default: WRING_UNREACHABLE();
  }
}

// cvttps2dq gives the smallest number for whatever does not fit.
void SimdLowering::trunc_f32_signed() {
  VReg a = operand(0);
  VReg too_large = binary(VecOp::kCmpps, a, floats(kFloat2To31), kCmpNotLess);
  VReg saturated = binary(VecOp::kPxor, unary(VecOp::kCvttps2dq, a), too_large);
  VReg ordered = binary(VecOp::kCmpps, a, a, kCmpOrdered);
  binary(VecOp::kPand, saturated, ordered, 0, out());
}

// A lane of 2^31 and up is the sum of the smallest number and of what it exceeds 2^31 by.
void SimdLowering::trunc_f32_unsigned() {
  VReg none = zero();
  VReg a = binary(VecOp::kMaxps, operand(0), none);  // 0 for NaN
  VReg limit = load_constant(repeat32(kFloat2To31), repeat32(kFloat2To31));
  VReg excess = binary(VecOp::kSubps, a, limit);
  VReg too_large = binary(VecOp::kCmpps, limit, excess, kCmpLessEqual);
  VReg rest = binary(VecOp::kPxor, unary(VecOp::kCvttps2dq, excess), too_large);
  rest = binary(VecOp::kPmaxsd, rest, none);
  binary(VecOp::kPaddd, unary(VecOp::kCvttps2dq, a), rest, 0, out());
}

}  // namespace wring::x64
