// SPDX-License-Identifier: GPL-2.0
// Lowering of scalar floating point, and what it shares with vectors: constants and loads as operands.
#include "core/x64/lower.h"

namespace wring::x64 {

using ir::MemKind;
using ir::Type;
using ir::Value;

namespace {

constexpr u32 kSign32 = 0x8000'0000;
constexpr u64 kSign64 = u64{1} << 63;
constexpr u32 kMaxQuietDepth = 3;

// roundss and roundsd: the immediate's upper bit keeps the inexact exception quiet.
constexpr u8 kRoundNearest = 8, kRoundDown = 9, kRoundUp = 10, kRoundToZero = 11;
// cmpss and cmpsd
constexpr u8 kCmpEq = 0, kCmpLt = 1, kCmpLe = 2, kCmpNe = 4;

VecOp pick(Type type, VecOp of_f32, VecOp of_f64) { return type == Type::kF32 ? of_f32 : of_f64; }

// A comparison as one that is false for NaNs when its flags say "above": a and b may have to be exchanged.
bool is_mirrored(ir::Op op) { return op == ir::Op::kFLt || op == ir::Op::kFLe; }

}  // namespace

// ---- operands

Lowering::AddressMatch Lowering::constant_operand(u64 low, u64 high, u8 bytes) {
  AddressMatch m;
  m.address.base = Base::kConstant;
  m.address.disp = static_cast<i32>(out_->constants.size());
  if (!out_->constants.push({low, high, bytes})) fail_no_memory();
  return m;
}

Lowering::Source Lowering::vec_source(Value v, u8 bytes) {
  Source s;
  const ir::Inst& inst = at(v);
  if (inst.op == Op::kConst || inst.op == Op::kVConst) {
    ir::V128 bits =
        inst.op == Op::kVConst ? ir::v128_of(inst) : ir::V128{static_cast<u64>(inst.imm), 0};
    s.vreg = loop_vector(bits, bytes, true);
    if (s.vreg == kNone && target_.random == 0) {
      s.kind = Src::kMem;
      s.mem = constant_operand(bits.low, bits.high, bytes);
    }
    s.value = v;
    return s;
  }
  Value load = v;
  if (inst.op == Op::kBitcast && uses_[v] == 1 && !is_needed(v)) load = inst.arg[0];
  if (can_fold_load(load)) {
    auto kind = static_cast<MemKind>(at(load).aux);
    bool fits = ir::bytes_of(kind) == bytes;
    if (inst.type == Type::kV128) fits = fits && kind == MemKind::k128 && has_avx();
    if (fits) {
      covered_.set(load);
      s.kind = Src::kMem;
      s.mem = match_address(load);
      return s;
    }
  }
  s.value = v;
  return s;
}

Lowering::Source Lowering::either_vec_source(Value* a, Value b, u8 bytes) {
  Source s = vec_source(b, bytes);
  if (s.kind == Src::kMem || s.vreg != kNone) return s;
  Source other = vec_source(*a, bytes);
  if (other.kind == Src::kMem || other.vreg != kNone) {
    *a = b;
    return other;
  }
  // Overwrite the operand that nothing else needs.
  if (!has_avx() && !is_last_use(*a) && is_last_use(b)) swap(*a, s.value);
  return s;
}

// The mask in all lanes.
Lowering::Source Lowering::mask_source(Type type, u32 lane32, u64 lane64) {
  u64 lanes = type == Type::kF32 ? u64{lane32} << 32 | lane32 : lane64;
  Source s;
  s.vreg = loop_vector({lanes, lanes}, 16, false);
  if (s.vreg != kNone) return s;
  s.kind = Src::kMem;
  s.mem = constant_operand(lanes, lanes, 16);
  return s;
}

void Lowering::add_vec_source(Operands* ops, Payload* p, const Source& s) {
  p->src = s.kind;
  if (s.kind == Src::kMem) return add_address(ops, p, s.mem);
  VReg vreg = s.vreg != kNone ? s.vreg : reg(s.value);
  // A spill slot may hold less than the instruction would read of memory.
  u32 read = info_of(p->vec).memory;
  if (read != 0 && read <= lir_.vregs[vreg].slot_bytes)
    ops->use_any(vreg);
  else
    ops->use(vreg);
}

void Lowering::emit_vec1(Value v, VecOp op, const Source& s, u8 imm8) {
  Payload p;
  p.vec = op;
  p.imm8 = imm8;
  Operands ops;
  ops.def(result(v));
  add_vec_source(&ops, &p, s);
  add_insn(Lir::kVec1, ops, p);
}

ra::VReg Lowering::vec2(VReg dst, VecOp op, VReg a, const Source& b, u8 imm8) {
  Payload p;
  p.vec = op;
  p.imm8 = imm8;
  Operands ops = vec_operands(dst);
  ops.use(a);
  add_vec_source(&ops, &p, b);
  add_insn(Lir::kVec2, ops, p);
  return dst;
}

void Lowering::emit_vec2(Value v, VecOp op, Value a, const Source& b, u8 imm8) {
  VReg left = reg(a);
  vec2(result(v), op, left, b, imm8);
}

// ---- arithmetic

void Lowering::lower_float(Value v) {
  const ir::Inst& inst = at(v);
  Type type = inst.type;
  u8 bytes = vector_bytes(type);
  Value a = inst.arg[0];
  auto commutative = [&](VecOp of_f32, VecOp of_f64) {
    Source b = either_vec_source(&a, inst.arg[1], bytes);
    emit_vec2(v, pick(type, of_f32, of_f64), a, b);
  };
  auto binary = [&](VecOp of_f32, VecOp of_f64) {
    emit_vec2(v, pick(type, of_f32, of_f64), a, vec_source(inst.arg[1], bytes));
  };
  auto round = [&](u8 mode) {
    emit_vec1(v, pick(type, VecOp::kRoundss, VecOp::kRoundsd), vec_source(a, bytes), mode);
  };
  switch (inst.op) {
    case Op::kFAdd: return commutative(VecOp::kAddss, VecOp::kAddsd);
    case Op::kFMul: return commutative(VecOp::kMulss, VecOp::kMulsd);
    case Op::kFSub: return binary(VecOp::kSubss, VecOp::kSubsd);
    case Op::kFDiv: return binary(VecOp::kDivss, VecOp::kDivsd);
    case Op::kFMin:
    case Op::kFMax: return lower_min_max(v);
    case Op::kFCopysign: return lower_copysign(v);
    case Op::kFAbs: return emit_vec2(v, VecOp::kAndps, a, mask_source(type, ~kSign32, ~kSign64));
    case Op::kFNeg: return emit_vec2(v, VecOp::kXorps, a, mask_source(type, kSign32, kSign64));
    case Op::kFSqrt:
      return emit_vec1(v, pick(type, VecOp::kSqrtss, VecOp::kSqrtsd), vec_source(a, bytes));
    case Op::kFCeil: return round(kRoundUp);
    case Op::kFFloor: return round(kRoundDown);
    case Op::kFTrunc: return round(kRoundToZero);
    case Op::kFNearest: return round(kRoundNearest);
    case Op::kTruncS:
    case Op::kTruncU:
    case Op::kTruncSatS:
    case Op::kTruncSatU: return lower_truncate(v);
    case Op::kConvertS:
    case Op::kConvertU: return lower_convert(v);
    case Op::kDemote: return emit_vec1(v, VecOp::kCvtsd2ss, vec_source(a, 8));
    case Op::kPromote: return emit_vec1(v, VecOp::kCvtss2sd, vec_source(a, 4));
    case Op::kBitcast: return lower_bitcast(v);
    default: WRING_UNREACHABLE();
  }
}

// Whether v cannot be a signalling NaN.
bool Lowering::is_quiet(Value v, u32 depth) const {
  const ir::Inst& inst = at(v);
  switch (inst.op) {
    case Op::kConst: {
      u64 bits = static_cast<u64>(inst.imm);
      if (inst.type == Type::kF32) {
        u32 magnitude = static_cast<u32>(bits) & ~kSign32;
        return magnitude <= 0x7f80'0000 || magnitude >= 0x7fc0'0000;
      }
      u64 magnitude = bits & ~kSign64;
      return magnitude <= 0x7ff0'0000'0000'0000 || magnitude >= 0x7ff8'0000'0000'0000;
    }
    case Op::kFAdd:
    case Op::kFSub:
    case Op::kFMul:
    case Op::kFDiv:
    case Op::kFMin:
    case Op::kFMax:
    case Op::kFSqrt:
    case Op::kFCeil:
    case Op::kFFloor:
    case Op::kFTrunc:
    case Op::kFNearest:
    case Op::kConvertS:
    case Op::kConvertU:
    case Op::kDemote:
    case Op::kPromote: return true;
    case Op::kFAbs:
    case Op::kFNeg:
    case Op::kFCopysign: return depth < kMaxQuietDepth && is_quiet(inst.arg[0], depth + 1);
    case Op::kSelect:
      return depth < kMaxQuietDepth && is_quiet(inst.arg[1], depth + 1) &&
             is_quiet(inst.arg[2], depth + 1);
    default: return false;
  }
}

// minsd and maxsd give the second operand if one is NaN or both are zeros. With a constant that is neither for the
// first, that is right but for signalling NaNs, which an addition of zero makes quiet.
void Lowering::lower_min_max(Value v) {
  const ir::Inst& inst = at(v);
  Type type = inst.type;
  bool is_max = inst.op == Op::kFMax;
  u8 bytes = vector_bytes(type);
  Value x = inst.arg[0], c = inst.arg[1];
  i64 value;
  if (is_const(x, &value)) swap(x, c);
  VecOp op =
      is_max ? pick(type, VecOp::kMaxss, VecOp::kMaxsd) : pick(type, VecOp::kMinss, VecOp::kMinsd);
  if (is_const(c, &value)) {
    u64 sign = type == Type::kF32 ? kSign32 : kSign64;
    u64 infinity = type == Type::kF32 ? 0x7f80'0000 : 0x7ff0'0000'0000'0000;
    bool negative = (static_cast<u64>(value) & sign) != 0;
    u64 magnitude = static_cast<u64>(value) & (sign - 1);
    // +0 for the second operand -0, or the other way around, has to win.
    bool wins = magnitude == 0 && negative != is_max;
    if (magnitude <= infinity && !(wins && !is_max)) {
      Source s = vec_source(x, bytes);
      if (!wins && is_quiet(x)) return emit_vec2(v, op, c, s);
      VReg first = reg(c);
      VReg chosen = vec2(new_vreg(type), op, first, s);
      Source zero;
      zero.kind = Src::kMem;
      zero.mem = constant_operand(wins ? 0 : sign, 0, bytes);
      vec2(result(v), pick(type, VecOp::kAddss, VecOp::kAddsd), chosen, zero);
      return;
    }
  }
  Value a = inst.arg[0], b = inst.arg[1];
  if (!has_avx() && !is_last_use(a) && is_last_use(b)) swap(a, b);
  VReg left = reg(a), right = reg(b);
  Payload p;
  p.bytes = bytes;
  p.flag = is_max;
  Operands ops = vec_operands(result(v));
  add_insn(Lir::kFloatMin, ops.use(left).use(right), p);
}

void Lowering::lower_copysign(Value v) {
  const ir::Inst& inst = at(v);
  Type type = inst.type;
  Value a = inst.arg[0], b = inst.arg[1];
  i64 c;
  if (is_const(b, &c)) {
    bool negative = (static_cast<u64>(c) & (type == Type::kF32 ? kSign32 : kSign64)) != 0;
    if (negative) return emit_vec2(v, VecOp::kOrps, a, mask_source(type, kSign32, kSign64));
    return emit_vec2(v, VecOp::kAndps, a, mask_source(type, ~kSign32, ~kSign64));
  }
  VReg from = reg(a), sign_from = reg(b);
  Source magnitude, sign = mask_source(type, kSign32, kSign64);
  magnitude.vreg = vec2(new_vreg(type), VecOp::kAndps, from, mask_source(type, ~kSign32, ~kSign64));
  VReg signs = vec2(new_vreg(type), VecOp::kAndps, sign_from, sign);
  vec2(result(v), VecOp::kOrps, signs, magnitude);
}

// ---- conversions

void Lowering::lower_convert(Value v) {
  const ir::Inst& inst = at(v);
  Value a = inst.arg[0];
  VecOp of_i32 = pick(inst.type, VecOp::kCvtsi2ss, VecOp::kCvtsi2sd);
  VecOp of_i64 = pick(inst.type, VecOp::kCvtsi2ssq, VecOp::kCvtsi2sdq);
  bool wide = inst.operand_type == Type::kI64;
  bool is_positive = upper_bound(a) <= (wide ? ~kSign64 : u64{0x7fff'ffff});
  if (inst.op == Op::kConvertS || is_positive)
    return emit_vec1(v, wide ? of_i64 : of_i32, source(a, wide ? Size::k64 : Size::k32));
  if (!wide) {  // whose upper half is zero in the register
    Source s;
    s.value = a;
    return emit_vec1(v, of_i64, s);
  }
  Payload p;
  p.bytes = vector_bytes(inst.type);
  VReg from = reg(a);
  add_insn(Lir::kFromU64, Operands().def(result(v)).use(from), p);
}

void Lowering::lower_truncate(Value v) {
  const ir::Inst& inst = at(v);
  Payload p;
  p.size = size_of(v);
  p.bytes = vector_bytes(inst.operand_type);
  p.is_signed = inst.op == Op::kTruncS || inst.op == Op::kTruncSatS;
  p.flag = inst.op == Op::kTruncSatS || inst.op == Op::kTruncSatU;
  VReg from = reg(inst.arg[0]);
  add_insn(Lir::kTruncate, Operands().def(result(v)).use(from), p);
}

void Lowering::lower_bitcast(Value v) {
  const ir::Inst& inst = at(v);
  Value a = inst.arg[0];
  Payload p;
  if (is_vector(inst.type)) {
    p.size = inst.type == Type::kF64 ? Size::k64 : Size::k32;
    return emit_from(Lir::kVecFromInt, v, source(a, p.size), p);
  }
  p.size = size_of(v);
  Operands ops;
  ops.def(result(v));
  if (can_fold_load(a)) {
    covered_.set(a);
    p.extend = p.size == Size::k64 ? Extend::k64 : Extend::k32U;
    AddressMatch mem = match_address(a);
    add_address(&ops, &p, mem);
    return add_insn(Lir::kLoad, ops, p);
  }
  ops.use(reg(a));
  add_insn(Lir::kVecToInt, ops, p);
}

// ---- conditions

// "Above" and "above or equal" are false where an operand is NaN, as all of Wasm's comparisons but ne are.
void Lowering::match_float_compare(ConditionMatch* m, const ir::Inst& inst, bool exclusive) {
  Value a = inst.arg[0], b = inst.arg[1];
  u8 bytes = vector_bytes(inst.operand_type);
  if (is_mirrored(inst.op)) swap(a, b);
  m->cond.is_float = true;
  m->cond.size = inst.operand_type == Type::kF64 ? Size::k64 : Size::k32;
  bool symmetric = false;
  switch (inst.op) {
    case Op::kFEq:
    case Op::kFNe:
      m->cond.cc = inst.op == Op::kFEq ? kCcE : kCcNe;
      symmetric = true;
      break;
    case Op::kFGt:
    case Op::kFLt: m->cond.cc = kCcA; break;
    default: m->cond.cc = kCcAe; break;
  }
  if (symmetric && at(a).op == Op::kConst) swap(a, b);
  Source s;
  s.value = b;
  if (exclusive || at(b).op == Op::kConst) s = vec_source(b, bytes);
  if (exclusive && symmetric && s.kind == Src::kOperand && s.vreg == kNone) {
    s = vec_source(a, bytes);
    if (s.kind == Src::kMem)
      a = b;
    else
      s.value = b;
  }
  m->a = a;
  m->cond.b = s.kind;
  if (s.kind == Src::kMem)
    m->mem = s.mem;
  else
    m->b = s.value;
  m->b_vreg = s.vreg;
}

// a < b ? a : b is what minsd does, NaNs and zeros included; with a and b exchanged in the result, maxsd.
bool Lowering::lower_select_min_max(Value v) {
  const ir::Inst &inst = at(v), &compare = at(inst.arg[0]);
  if (compare.op != Op::kFLt && compare.op != Op::kFGt) return false;
  if (compare.operand_type != inst.type) return false;
  Value low = compare.arg[0], high = compare.arg[1], yes = inst.arg[1], no = inst.arg[2];
  if (compare.op == Op::kFGt) swap(low, high);
  if (yes == low && no == high)
    emit_vec2(v, pick(inst.type, VecOp::kMinss, VecOp::kMinsd), yes,
              vec_source(no, vector_bytes(inst.type)));
  else if (yes == high && no == low)
    emit_vec2(v, pick(inst.type, VecOp::kMaxss, VecOp::kMaxsd), yes,
              vec_source(no, vector_bytes(inst.type)));
  else
    return false;
  return true;
}

// By a mask, if a comparison of floats of the same size decides.
bool Lowering::lower_select_mask(Value v) {
  const ir::Inst& inst = at(v);
  Value condition = inst.arg[0];
  const ir::Inst& compare = at(condition);
  if (!ir::is_float_compare(compare.op) || compare.operand_type != inst.type ||
      is_needed(condition) || !may_repeat(condition))
    return false;
  Value a = compare.arg[0], b = compare.arg[1];
  u8 predicate = kCmpLe;
  switch (compare.op) {
    case Op::kFEq: predicate = kCmpEq; break;
    case Op::kFNe: predicate = kCmpNe; break;
    case Op::kFLt:
    case Op::kFGt: predicate = kCmpLt; break;
    default: break;
  }
  if (compare.op == Op::kFGt || compare.op == Op::kFGe) swap(a, b);
  Source right;
  right.value = b;
  if (uses_[condition] == 1 || at(b).op == Op::kConst)
    right = vec_source(b, vector_bytes(inst.type));
  VReg left = reg(a);
  VReg mask = vec2(new_vreg(inst.type), pick(inst.type, VecOp::kCmpss, VecOp::kCmpsd), left, right,
                   predicate);
  VReg y = reg(inst.arg[1]), n = reg(inst.arg[2]);
  if (has_avx()) {
    Payload p;
    p.vec = pick(inst.type, VecOp::kVblendvps, VecOp::kVblendvpd);
    add_insn(Lir::kVecBlend, Operands().def(result(v)).use(n).use(y).use(mask), p);
    return true;
  }
  Source chosen, other;
  chosen.vreg = y;
  other.vreg = n;
  VReg yes_part = vec2(new_vreg(inst.type), VecOp::kAndps, mask, chosen);
  other.vreg = vec2(new_vreg(inst.type), VecOp::kAndnps, mask, other);
  vec2(result(v), VecOp::kOrps, yes_part, other);
  return true;
}

// Else with a jump around a move.
void Lowering::lower_float_select(Value v) {
  const ir::Inst& inst = at(v);
  if (lower_select_min_max(v) || lower_select_mask(v)) return;
  Value condition = inst.arg[0], yes = inst.arg[1], no = inst.arg[2];
  Payload p;
  p.bytes = vector_bytes(inst.type);
  ConditionMatch m = match_condition(condition, uses_[condition] == 1);
  if (!is_last_use(no) && is_last_use(yes)) {
    swap(yes, no);
    m.cond.cc = invert(m.cond.cc);
  }
  VReg n = reg(no), y = reg(yes);  // in this order: the one that becomes the result chooses first
  Operands ops;
  ops.def_like(result(v), 1).use(n).use_any(y);
  add_condition(&ops, &p, m);
  add_insn(Lir::kFloatSelect, ops, p);
}

}  // namespace wring::x64
