// SPDX-License-Identifier: GPL-2.0
// Lowering of what moves between vectors and scalars or memory: splats, lanes, tests, loads and stores of V128.
#include "core/x64/lower_simd.h"

namespace wring::x64 {

using ir::MemKind;
using ir::Op;
using ir::Type;
using ir::Value;

namespace {

MemKind kind_of(const ir::Inst& access) { return static_cast<MemKind>(access.aux & 0xff); }
u8 lane_of(const ir::Inst& access) { return static_cast<u8>(access.aux >> 8); }

}  // namespace

// ---- splats

u8 SimdLowering::splat_bytes(const ir::Inst& splat) {
  switch (static_cast<Opcode>(splat.aux)) {
    case Opcode::kI8x16Splat: return 1;
    case Opcode::kI16x8Splat: return 2;
    case Opcode::kI32x4Splat:
    case Opcode::kF32x4Splat: return 4;
    default: return 8;
  }
}

void SimdLowering::splat() {
  Value a = inst_.arg[0];
  u32 bytes = splat_bytes(inst_);
  i64 value;
  if (l_.is_const(a, &value)) {
    u64 bits = static_cast<u64>(value) & (bytes == 8 ? ~u64{0} : (u64{1} << 8 * bytes) - 1);
    for (u32 width = bytes; width < 8; width *= 2) bits |= bits << 8 * width;
    load_constant(bits, bits, true, out());
    return;
  }
  if (op_ == Opcode::kF32x4Splat || op_ == Opcode::kF64x2Splat) {
    Source s = l_.vec_source(a, static_cast<u8>(bytes));
    if (s.kind == Src::kMem) return load_splat(s, bytes);
    VReg x = l_.reg(a);
    if (bytes == 8)
      unary(VecOp::kMovddup, x, 0, out());
    else if (has_avx())
      unary(VecOp::kVpermilps, x, 0, out());
    else
      binary(VecOp::kShufps, x, x, 0, out());
    return;
  }
  Source s;
  if (l_.fold_load(a, static_cast<Size>(bytes), &s.mem)) {
    s.kind = Src::kMem;
    return load_splat(s, bytes);
  }
  Size size = bytes == 8 ? Size::k64 : Size::k32;
  // Vectors that are built lane by lane often begin as a splat of the first lane.
  bool only_low = l_.demanded(v_) >> bytes == 0;
  VReg x = from_int(size, l_.reg(l_.resolve(a, size)), only_low ? out() : kNone);
  if (only_low) return;
  switch (bytes) {
    case 1:
      if (has_avx2())
        unary(VecOp::kVpbroadcastb, x, 0, out());
      else
        binary(VecOp::kPshufb, x, zero(), 0, out());
      return;
    case 2:
      if (has_avx2())
        unary(VecOp::kVpbroadcastw, x, 0, out());
      else
        unary(VecOp::kPshufd, unary(VecOp::kPshuflw, x), 0, out());
      return;
    case 4: unary(VecOp::kPshufd, x, 0, out()); return;
    default: unary(VecOp::kPshufd, x, 0x44, out()); return;
  }
}

void SimdLowering::load_splat(const Source& s, u32 bytes) {
  switch (bytes) {
    case 1:
      if (has_avx2()) {
        unary(VecOp::kVpbroadcastb, s, 0, out());
      } else {
        VReg none = zero();
        binary(VecOp::kPshufb, insert(VecOp::kPinsrb, 0, none, s), none, 0, out());
      }
      return;
    case 2:
      if (has_avx2())
        unary(VecOp::kVpbroadcastw, s, 0, out());
      else
        unary(VecOp::kPshufd, unary(VecOp::kPshuflw, insert(VecOp::kPinsrw, 0, zero(), s)), 0,
              out());
      return;
    case 4:
      if (has_avx())
        unary(VecOp::kVbroadcastss, s, 0, out());
      else
        unary(VecOp::kPshufd, load_low(s, 4), 0, out());
      return;
    default: unary(VecOp::kMovddup, s, 0, out()); return;
  }
}

// ---- lanes

ra::VReg SimdLowering::load_low(const Source& s, u32 bytes, VReg dst) {
  if (dst == kNone) dst = temp();
  Payload p;
  p.bytes = static_cast<u8>(bytes);
  Operands ops;
  ops.def(dst);
  l_.add_address(&ops, &p, s.mem);
  l_.add_insn(Lir::kVecLoad, ops, p);
  return dst;
}

// a with one lane replaced by an integer from a register or memory.
ra::VReg SimdLowering::insert(VecOp op, u32 lane, VReg a, const Source& b, VReg dst) {
  if (dst == kNone) dst = temp();
  Payload p;
  p.vec = op;
  p.imm8 = static_cast<u8>(lane);
  p.src = b.kind;
  Operands ops = l_.vec_operands(dst);
  ops.use(a);
  if (b.kind == Src::kMem)
    l_.add_address(&ops, &p, b.mem);
  else
    ops.use(l_.reg(b.value));
  l_.add_insn(Lir::kVecInsert, ops, p);
  return dst;
}

void SimdLowering::extract() {
  u8 lane = static_cast<u8>(inst_.imm);
  VReg a = operand(0);
  switch (op_) {
    case Opcode::kI8x16ExtractLaneS: return extract_int(a, 1, Extend::k8S);
    case Opcode::kI8x16ExtractLaneU: return extract_int(a, 1, Extend::k8U);
    case Opcode::kI16x8ExtractLaneS: return extract_int(a, 2, Extend::k16S);
    case Opcode::kI16x8ExtractLaneU: return extract_int(a, 2, Extend::k16U);
    case Opcode::kI32x4ExtractLane: return extract_int(a, 4, Extend::k32U);
    case Opcode::kI64x2ExtractLane: return extract_int(a, 8, Extend::k64);
    default: break;
  }
  if (lane == 0) {
    Payload p;
    p.bytes = 16;
    return l_.add_insn(Lir::kCopy, Operands().def(out()).use(a), p);
  }
  if (op_ == Opcode::kF64x2ExtractLane) {
    if (has_avx())
      binary(VecOp::kUnpckhpd, a, a, 0, out());
    else
      unary(VecOp::kPshufd, a, 0xee, out());
  } else if (lane == 1) {
    unary(VecOp::kMovshdup, a, 0, out());
  } else {
    unary(has_avx() ? VecOp::kVpermilps : VecOp::kPshufd, a, lane, out());
  }
}

void SimdLowering::extract_int(VReg a, u32 bytes, Extend kind) {
  u8 lane = static_cast<u8>(inst_.imm);
  bool is_signed = kind == Extend::k8S || kind == Extend::k16S;
  bool extends = is_signed || (lane == 0 && bytes < 4);
  VReg raw = extends ? l_.new_vreg() : out();
  Payload p;
  p.size = bytes == 8 ? Size::k64 : Size::k32;
  if (lane == 0) {
    l_.add_insn(Lir::kVecToInt, Operands().def(raw).use(a), p);
  } else {
    p.vec = pick(bytes, VecOp::kPextrb, VecOp::kPextrw, VecOp::kPextrd, VecOp::kPextrq);
    p.imm8 = lane;
    l_.add_insn(Lir::kVecExtract, Operands().def(raw).use(a), p);
  }
  if (!extends) return;
  Payload extend;
  extend.extend = kind;
  l_.add_insn(Lir::kExtend, Operands().def(out()).use_any(raw), extend);
}

void SimdLowering::replace() {
  u8 lane = static_cast<u8>(inst_.imm);
  Value value = inst_.arg[1];
  if (op_ == Opcode::kF32x4ReplaceLane) {
    Source s = l_.vec_source(value, 4);
    VReg a = operand(0);
    if (lane == 0 && s.kind != Src::kMem)
      binary(VecOp::kBlendps, a, s, 1, out());
    else
      binary(VecOp::kInsertps, a, s, static_cast<u8>(lane << 4), out());
    return;
  }
  if (op_ == Opcode::kF64x2ReplaceLane) {
    Source s = l_.vec_source(value, 8);
    VReg a = operand(0);
    if (s.kind == Src::kMem)
      binary(lane ? VecOp::kMovhps : VecOp::kMovlps, a, s, 0, out());
    else if (lane)
      binary(VecOp::kUnpcklpd, a, s, 0, out());
    else
      binary(VecOp::kBlendpd, a, s, 1, out());
    return;
  }
  u32 bytes = op_ == Opcode::kI8x16ReplaceLane   ? 1
              : op_ == Opcode::kI16x8ReplaceLane ? 2
              : op_ == Opcode::kI32x4ReplaceLane ? 4
                                                 : 8;
  Source s;
  if (l_.fold_load(value, static_cast<Size>(bytes), &s.mem))
    s.kind = Src::kMem;
  else
    s.value = l_.resolve(value, bytes == 8 ? Size::k64 : Size::k32);
  VecOp op = pick(bytes, VecOp::kPinsrb, VecOp::kPinsrw, VecOp::kPinsrd, VecOp::kPinsrq);
  insert(op, lane, operand(0), s, out());
}

// ---- tests

// any_true and all_true are conditions.
void SimdLowering::test() {
  VecOp op;
  VReg a = kNone;
  switch (op_) {
    case Opcode::kI8x16Bitmask: op = VecOp::kPmovmskb; break;
    case Opcode::kI16x8Bitmask:
      op = VecOp::kPmovmskb;
      a = operand(0);
      a = binary(VecOp::kPacksswb, a, zero());
      break;
    case Opcode::kI32x4Bitmask: op = VecOp::kMovmskps; break;
    case Opcode::kI64x2Bitmask: op = VecOp::kMovmskpd; break;
    default: return l_.lower_compare(v_);
  }
  Payload p;
  p.vec = op;
  if (a == kNone) a = operand(0);
  l_.add_insn(Lir::kVec1, Operands().def(out()).use(a), p);
}

bool Lowering::is_vector_test(Value v) const {
  if (at(v).op != Op::kVTest) return false;
  switch (static_cast<Opcode>(at(v).aux)) {
    case Opcode::kV128AnyTrue:
    case Opcode::kI8x16AllTrue:
    case Opcode::kI16x8AllTrue:
    case Opcode::kI32x4AllTrue:
    case Opcode::kI64x2AllTrue: return true;
    default: return false;
  }
}

// What ptest has to look at, and the condition for "true".
void Lowering::match_vector_test(ConditionMatch* m, Value v) {
  m->cond.is_vector = true;
  SimdLowering(this, v).test_operands(m);
}

void SimdLowering::test_operands(Lowering::ConditionMatch* m) {
  VecOp equal;
  switch (op_) {
    case Opcode::kI8x16AllTrue: equal = VecOp::kPcmpeqb; break;
    case Opcode::kI16x8AllTrue: equal = VecOp::kPcmpeqw; break;
    case Opcode::kI32x4AllTrue: equal = VecOp::kPcmpeqd; break;
    case Opcode::kI64x2AllTrue: equal = VecOp::kPcmpeqq; break;
    default: {
      m->cond.cc = kCcNe;
      const ir::Inst& a = l_.at(inst_.arg[0]);
      bool is_and = a.op == Op::kV2 && static_cast<Opcode>(a.aux) == Opcode::kV128And;
      if (is_and && !l_.is_needed(inst_.arg[0]) && l_.may_repeat(inst_.arg[0])) {
        m->a_vreg = l_.reg(a.arg[0]);
        m->b_vreg = l_.reg(a.arg[1]);
      } else {
        m->a_vreg = m->b_vreg = operand(0);
      }
      return;
    }
  }
  m->cond.cc = kCcE;
  m->a_vreg = m->b_vreg = all_true_zeros(equal);
}

// A vector that is zero exactly if all lanes of the operand are true.
ra::VReg SimdLowering::all_true_zeros(VecOp equal) {
  const ir::Inst& a = l_.at(inst_.arg[0]);
  Simple s = a.op == Op::kV2 ? simple_of(static_cast<Opcode>(a.aux)) : Simple{};
  // All lanes of both vectors are equal if all bits are.
  bool compares = s.op == VecOp::kPcmpeqb || s.op == VecOp::kPcmpeqw || s.op == VecOp::kPcmpeqd ||
                  s.op == VecOp::kPcmpeqq;
  if (compares && s.op == equal && !l_.is_needed(inst_.arg[0]) && l_.may_repeat(inst_.arg[0])) {
    VReg left = l_.reg(a.arg[0]);
    return binary(VecOp::kPxor, left, l_.reg(a.arg[1]));
  }
  VReg x = operand(0);
  return binary(equal, x, zero());
}

// ---- memory

void SimdLowering::load() {
  Source s;
  s.kind = Src::kMem;
  s.mem = l_.match_address(v_);
  switch (kind_of(inst_)) {
    case MemKind::k8x8S: unary(VecOp::kPmovsxbw, s, 0, out()); return;
    case MemKind::k8x8U: unary(VecOp::kPmovzxbw, s, 0, out()); return;
    case MemKind::k16x4S: unary(VecOp::kPmovsxwd, s, 0, out()); return;
    case MemKind::k16x4U: unary(VecOp::kPmovzxwd, s, 0, out()); return;
    case MemKind::k32x2S: unary(VecOp::kPmovsxdq, s, 0, out()); return;
    case MemKind::k32x2U: unary(VecOp::kPmovzxdq, s, 0, out()); return;
    case MemKind::k8Splat: return load_splat(s, 1);
    case MemKind::k16Splat: return load_splat(s, 2);
    case MemKind::k32Splat: return load_splat(s, 4);
    case MemKind::k64Splat: return load_splat(s, 8);
    default: load_low(s, ir::bytes_of(kind_of(inst_)), out()); return;
  }
}

void SimdLowering::load_lane() {
  u8 lane = lane_of(inst_);
  Value vector = inst_.arg[inst_.op == Op::kLoadLane ? 1 : 2];
  Source s;
  s.kind = Src::kMem;
  s.mem = l_.match_address(v_);
  VReg a = l_.reg(vector);
  switch (ir::bytes_of(kind_of(inst_))) {
    case 1: insert(VecOp::kPinsrb, lane, a, s, out()); return;
    case 2: insert(VecOp::kPinsrw, lane, a, s, out()); return;
    case 4: binary(VecOp::kInsertps, a, s, static_cast<u8>(lane << 4), out()); return;
    default: binary(lane ? VecOp::kMovhps : VecOp::kMovlps, a, s, 0, out()); return;
  }
}

void SimdLowering::store_lane() {
  Value vector = inst_.arg[inst_.op == Op::kStoreLane ? 1 : 2];
  u32 bytes = ir::bytes_of(kind_of(inst_));
  Lowering::AddressMatch mem = l_.match_address(v_);
  Payload p;
  p.bytes = static_cast<u8>(bytes);
  p.imm8 = lane_of(inst_);
  bool low = p.imm8 == 0 && bytes >= 4;
  p.vec = pick(bytes, VecOp::kPextrb, VecOp::kPextrw, VecOp::kExtractps, VecOp::kMovhpsStore);
  Operands ops;
  ops.use(l_.reg(vector));
  l_.add_address(&ops, &p, mem);
  l_.add_insn(low ? Lir::kVecStore : Lir::kVecExtractTo, ops, p);
}

}  // namespace wring::x64
