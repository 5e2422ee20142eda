// SPDX-License-Identifier: GPL-2.0
// Lowering of vectors: single instructions, comparisons, bitwise selection, and what sequences are made of.
#include "core/x64/lower_simd.h"

namespace wring::x64 {

using ir::Op;
using ir::Value;

namespace {

constexpr u32 kMaxMaskDepth = 3;

}  // namespace

void Lowering::lower_simd(Value v) { SimdLowering(this, v).run(); }

void SimdLowering::run() {
  note_demands();
  switch (inst_.op) {
    case Op::kV1: return one_operand();
    case Op::kV2: return two_operands();
    case Op::kV3: return bitselect();
    case Op::kVShift: return shift_lanes();
    case Op::kVSplat: return splat();
    case Op::kVTest: return test();
    case Op::kVExtract: return extract();
    case Op::kVReplace: return replace();
    case Op::kVShuffle: return shuffle();
    case Op::kLoad:
    case Op::kLoadMem:
    case Op::kLoadRaw:
    case Op::kLoadGs: return load();
    case Op::kLoadLane:
    case Op::kLoadLaneMem: return load_lane();
    case Op::kStoreLane:
    case Op::kStoreLaneMem: return store_lane();
    default: WRING_UNREACHABLE();
  }
}

SimdLowering::Simple SimdLowering::simple_of(Opcode op) {
  switch (op) {
#define SIMD(opcode, vec, imm, shape) \
  case Opcode::k##opcode:             \
    return {VecOp::k##vec, imm, Shape::k##shape};
#include "core/x64/simd.def"
#undef SIMD
    default: return {};
  }
}

// ---- building blocks

SimdLowering::Source SimdLowering::in(VReg vreg) {
  Source s;
  s.vreg = vreg;
  return s;
}

SimdLowering::Source SimdLowering::constant(u64 low, u64 high) {
  VReg vreg = l_.loop_vector({low, high}, 16, false);
  if (vreg != kNone) return in(vreg);
  Source s;
  s.kind = Src::kMem;
  s.mem = l_.constant_operand(low, high, 16);
  return s;
}

SimdLowering::Source SimdLowering::chosen_constant(ir::V128 value) {
  if (l_.target_.random == 0) return constant(value.low, value.high);
  return in(load_constant(value.low, value.high, true));
}

ra::VReg SimdLowering::load_constant(u64 low, u64 high, bool is_chosen, VReg dst) {
  bool is_cheap = low == high && (low == 0 || low == ~u64{0});  // made without a load
  if (dst == kNone && !is_cheap) {
    VReg vreg = l_.loop_vector({low, high}, 16, is_chosen);
    if (vreg != kNone) return vreg;
  }
  if (dst == kNone) dst = temp();
  l_.set_vector(dst, {low, high}, is_chosen);
  return dst;
}

ra::VReg SimdLowering::unary(VecOp op, const Source& a, u8 imm8, VReg dst) {
  if (dst == kNone) dst = temp();
  Payload p;
  p.vec = op;
  p.imm8 = imm8;
  Operands ops;
  ops.def(dst);
  l_.add_vec_source(&ops, &p, a);
  l_.add_insn(Lir::kVec1, ops, p);
  return dst;
}

ra::VReg SimdLowering::binary(VecOp op, VReg a, const Source& b, u8 imm8, VReg dst) {
  return l_.vec2(dst == kNone ? temp() : dst, op, a, b, imm8);
}

ra::VReg SimdLowering::shift(VecOp op, VReg a, u8 count, VReg dst) {
  if (dst == kNone) dst = temp();
  Payload p;
  p.vec = op;
  p.imm8 = count;
  Operands ops = l_.vec_operands(dst);
  l_.add_insn(Lir::kVecShiftImm, ops.use(a), p);
  return dst;
}

ra::VReg SimdLowering::blend(VecOp op, VReg a, VReg b, VReg mask, VReg dst) {
  if (dst == kNone) dst = temp();
  Payload p;
  p.vec = op;
  l_.add_insn(Lir::kVecBlend, Operands().def(dst).use(a).use(b).use(mask), p);
  return dst;
}

ra::VReg SimdLowering::from_int(Size size, VReg a, VReg dst) {
  if (dst == kNone) dst = temp();
  Payload p;
  p.size = size;
  l_.add_insn(Lir::kVecFromInt, Operands().def(dst).use(a), p);
  return dst;
}

ra::VReg SimdLowering::invert(VReg a, VReg dst) {
  return binary(VecOp::kPxor, a, constant(~u64{0}), 0, dst);
}

VecOp SimdLowering::pick(u32 bytes, VecOp b, VecOp w, VecOp d, VecOp q) {
  return bytes == 1 ? b : bytes == 2 ? w : bytes == 4 ? d : q;
}

SimdLowering::Operands2 SimdLowering::operands(bool commutes) {
  Value a = inst_.arg[0];
  Source b =
      commutes ? l_.either_vec_source(&a, inst_.arg[1], 16) : l_.vec_source(inst_.arg[1], 16);
  return {l_.reg(a), b};
}

void SimdLowering::simple(const Simple& s) {
  switch (s.shape) {
    case Shape::kUnary:
      unary(s.op, l_.vec_source(inst_.arg[0], info_of(s.op).memory), s.imm8, out());
      return;
    case Shape::kSwapped: {
      Source b = l_.vec_source(inst_.arg[0], 16);
      binary(s.op, operand(1), b, s.imm8, out());
      return;
    }
    default: {
      Operands2 o = operands(s.shape == Shape::kCommutes);
      binary(s.op, o.a, o.b, s.imm8, out());
    }
  }
}

// ---- by number of operands

void SimdLowering::one_operand() {
  Simple s = simple_of(op_);
  if (s.shape != Shape::kNone) return simple(s);
  switch (op_) {
    case Opcode::kV128Not: invert(operand(0), out()); return;
    case Opcode::kI8x16Neg:
      binary(VecOp::kPsubb, zero(), l_.vec_source(inst_.arg[0], 16), 0, out());
      return;
    case Opcode::kI16x8Neg:
      binary(VecOp::kPsubw, zero(), l_.vec_source(inst_.arg[0], 16), 0, out());
      return;
    case Opcode::kI32x4Neg:
      binary(VecOp::kPsubd, zero(), l_.vec_source(inst_.arg[0], 16), 0, out());
      return;
    case Opcode::kI64x2Neg:
      binary(VecOp::kPsubq, zero(), l_.vec_source(inst_.arg[0], 16), 0, out());
      return;
    case Opcode::kF32x4Abs:
      binary(VecOp::kAndps, operand(0), floats(0x7fff'ffff), 0, out());
      return;
    case Opcode::kF32x4Neg:
      binary(VecOp::kXorps, operand(0), floats(0x8000'0000), 0, out());
      return;
    case Opcode::kF64x2Abs:
      binary(VecOp::kAndpd, operand(0), constant(~u64{0} >> 1), 0, out());
      return;
    case Opcode::kF64x2Neg:
      binary(VecOp::kXorpd, operand(0), constant(u64{1} << 63), 0, out());
      return;
    case Opcode::kI16x8ExtendHighI8x16S: extend_high(operand(0), 1, true, out()); return;
    case Opcode::kI16x8ExtendHighI8x16U: extend_high(operand(0), 1, false, out()); return;
    case Opcode::kI32x4ExtendHighI16x8S: extend_high(operand(0), 2, true, out()); return;
    case Opcode::kI32x4ExtendHighI16x8U: extend_high(operand(0), 2, false, out()); return;
    case Opcode::kI64x2ExtendHighI32x4S: extend_high(operand(0), 4, true, out()); return;
    case Opcode::kI64x2ExtendHighI32x4U: extend_high(operand(0), 4, false, out()); return;
    default: return arithmetic();
  }
}

void SimdLowering::two_operands() {
  Simple s = simple_of(op_);
  if (s.shape != Shape::kNone) return simple(s);
  switch (op_) {
    case Opcode::kI8x16Swizzle: return swizzle();
    case Opcode::kI8x16Ne: return not_equal(VecOp::kPcmpeqb);
    case Opcode::kI16x8Ne: return not_equal(VecOp::kPcmpeqw);
    case Opcode::kI32x4Ne: return not_equal(VecOp::kPcmpeqd);
    case Opcode::kI64x2Ne: return not_equal(VecOp::kPcmpeqq);
    case Opcode::kI8x16GeS: return greater_equal(VecOp::kPmaxsb, VecOp::kPcmpeqb);
    case Opcode::kI8x16GeU: return greater_equal(VecOp::kPmaxub, VecOp::kPcmpeqb);
    case Opcode::kI8x16LeS: return greater_equal(VecOp::kPminsb, VecOp::kPcmpeqb);
    case Opcode::kI8x16LeU: return greater_equal(VecOp::kPminub, VecOp::kPcmpeqb);
    case Opcode::kI16x8GeS: return greater_equal(VecOp::kPmaxsw, VecOp::kPcmpeqw);
    case Opcode::kI16x8GeU: return greater_equal(VecOp::kPmaxuw, VecOp::kPcmpeqw);
    case Opcode::kI16x8LeS: return greater_equal(VecOp::kPminsw, VecOp::kPcmpeqw);
    case Opcode::kI16x8LeU: return greater_equal(VecOp::kPminuw, VecOp::kPcmpeqw);
    case Opcode::kI32x4GeS: return greater_equal(VecOp::kPmaxsd, VecOp::kPcmpeqd);
    case Opcode::kI32x4GeU: return greater_equal(VecOp::kPmaxud, VecOp::kPcmpeqd);
    case Opcode::kI32x4LeS: return greater_equal(VecOp::kPminsd, VecOp::kPcmpeqd);
    case Opcode::kI32x4LeU: return greater_equal(VecOp::kPminud, VecOp::kPcmpeqd);
    case Opcode::kI8x16GtU: return greater_unsigned(VecOp::kPminub, VecOp::kPcmpeqb);
    case Opcode::kI8x16LtU: return greater_unsigned(VecOp::kPmaxub, VecOp::kPcmpeqb);
    case Opcode::kI16x8GtU: return greater_unsigned(VecOp::kPminuw, VecOp::kPcmpeqw);
    case Opcode::kI16x8LtU: return greater_unsigned(VecOp::kPmaxuw, VecOp::kPcmpeqw);
    case Opcode::kI32x4GtU: return greater_unsigned(VecOp::kPminud, VecOp::kPcmpeqd);
    case Opcode::kI32x4LtU: return greater_unsigned(VecOp::kPmaxud, VecOp::kPcmpeqd);
    case Opcode::kI64x2GtS:
    case Opcode::kI64x2LtS:
    case Opcode::kI64x2GeS:
    case Opcode::kI64x2LeS: return compare_i64();
    default: return arithmetic();
  }
}

// ---- comparisons

void SimdLowering::not_equal(VecOp equal) {
  Operands2 o = operands(true);
  invert(binary(equal, o.a, o.b), out());
}

// a is the greater (smaller) one of both exactly if it is equal to that one.
void SimdLowering::greater_equal(VecOp extreme, VecOp equal) {
  VReg a = operand(0);
  Source b = l_.vec_source(inst_.arg[1], 16);
  binary(equal, binary(extreme, a, b), a, 0, out());
}

// Not less or equal.
void SimdLowering::greater_unsigned(VecOp extreme, VecOp equal) {
  VReg a = operand(0);
  Source b = l_.vec_source(inst_.arg[1], 16);
  invert(binary(equal, binary(extreme, a, b), a), out());
}

ra::VReg SimdLowering::greater_i64(VReg a, VReg b, VReg dst) {
  if (has_avx()) return binary(VecOp::kPcmpgtq, a, b, 0, dst);
  // The upper halves decide, or where they are equal the borrow of b - a.
  VReg equal = binary(VecOp::kPcmpeqd, a, b);
  VReg less = binary(VecOp::kPand, binary(VecOp::kPsubq, b, a), equal);
  VReg greater = binary(VecOp::kPor, binary(VecOp::kPcmpgtd, a, b), less);
  return unary(VecOp::kPshufd, greater, 0xf5, dst);
}

void SimdLowering::compare_i64() {
  VReg a = operand(0), b = operand(1);
  switch (op_) {
    case Opcode::kI64x2GtS: greater_i64(a, b, out()); return;
    case Opcode::kI64x2LtS: greater_i64(b, a, out()); return;
    case Opcode::kI64x2GeS: invert(greater_i64(b, a), out()); return;
    default: invert(greater_i64(a, b), out()); return;
  }
}

// ---- selection

// Whether all bits of each byte of v are equal.
bool SimdLowering::is_lane_mask(Value v, u32 depth) const {
  const ir::Inst& inst = l_.at(v);
  auto op = static_cast<Opcode>(inst.aux);
  if (inst.op == Op::kV2) {
    if (op >= Opcode::kI8x16Eq && op <= Opcode::kF64x2Ge) return true;
    if (op >= Opcode::kI64x2Eq && op <= Opcode::kI64x2GeS) return true;
  }
  bool is_logic = inst.op == Op::kV1   ? op == Opcode::kV128Not
                  : inst.op == Op::kV2 ? op >= Opcode::kV128And && op <= Opcode::kV128Xor
                                       : false;
  if (!is_logic || depth == kMaxMaskDepth) return false;
  return is_lane_mask(inst.arg[0], depth + 1) &&
         (inst.op == Op::kV1 || is_lane_mask(inst.arg[1], depth + 1));
}

// Operand 0 where the mask's bits are set, else operand 1.
void SimdLowering::bitselect() {
  VReg a = operand(0), b = operand(1), mask = operand(2);
  if (has_avx() && is_lane_mask(inst_.arg[2])) {
    blend(VecOp::kVpblendvb, b, a, mask, out());
    return;
  }
  VReg rest = binary(VecOp::kPandn, mask, b);
  binary(VecOp::kPor, binary(VecOp::kPand, a, mask), rest, 0, out());
}

}  // namespace wring::x64
