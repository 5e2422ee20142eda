// SPDX-License-Identifier: GPL-2.0
// Lowering of addition, logic and conversions.
#include "core/x64/lower.h"

namespace wring::x64 {

using ir::Type;
using ir::Value;

// ---- operands

Lowering::Source Lowering::source(Value v, Size size) {
  Source s;
  if (fold_load(v, size, &s.mem))
    s.kind = Src::kMem;
  else
    s.value = resolve(v, size);
  return s;
}

Lowering::Source Lowering::either_source(Value* a, Value b, Size size) {
  Source s = source(b, size);
  if (s.kind == Src::kOperand && fold_load(*a, size, &s.mem)) {
    s.kind = Src::kMem;
    *a = b;
  }
  *a = resolve(*a, size);
  // Overwrite the operand that nothing else needs.
  if (s.kind == Src::kOperand && !is_last_use(*a) && is_last_use(s.value)) swap(*a, s.value);
  return s;
}

void Lowering::add_source(Operands* ops, Payload* p, const Source& s) {
  p->src = s.kind;
  if (s.kind == Src::kImm)
    p->imm = s.imm;
  else if (s.kind == Src::kMem)
    add_address(ops, p, s.mem);
  else
    ops->use_any(reg(s.value));
}

void Lowering::lower_arith(Value v) {
  switch (at(v).op) {
    case Op::kAdd: return lower_add(v);
    case Op::kSub: return lower_sub(v);
    case Op::kAnd: return lower_and(v);
    case Op::kOr: return lower_alu(Alu::kOr, v);
    case Op::kXor: {
      Value a;
      return match_not(v, &a) ? emit_unary(Unary::kNot, v, a) : lower_alu(Alu::kXor, v);
    }
    case Op::kMul: return lower_mul(v);
    case Op::kMulHiU:
    case Op::kMulHiS: return lower_mul_high(v);
    case Op::kDivS:
    case Op::kDivU:
    case Op::kRemS:
    case Op::kRemU: return lower_div(v);
    case Op::kShl:
    case Op::kShrS:
    case Op::kShrU: return lower_shift(v);
    case Op::kRotl:
    case Op::kRotr: return lower_rotate(v);
    case Op::kClz:
    case Op::kCtz:
    case Op::kPopcnt:
    case Op::kBswap:
    case Op::kBswap16: return lower_bits(v);
    case Op::kWrap: return emit_extend(Extend::k32U, v, arg(v, 0));
    case Op::kSExtI32:
    case Op::kSExt32: return emit_extend(Extend::k32S, v, arg(v, 0));
    case Op::kSExt8: return emit_extend(Extend::k8S, v, arg(v, 0));
    case Op::kSExt16: return emit_extend(Extend::k16S, v, arg(v, 0));
    case Op::kClampIndex: return lower_clamp(v);
    case Op::kMatchOrNull: return lower_match_or_null(v);
    default: WRING_UNREACHABLE();
  }
}

// v = a op b in two-address form.
void Lowering::emit_alu(Alu op, Size size, Value v, Value a, const Source& b) {
  Payload p;
  p.alu = op;
  p.size = size;
  VReg left = reg(a);
  Operands ops;
  ops.def_like(result(v), 1).use(left);
  add_source(&ops, &p, b);
  add_insn(Lir::kAlu, ops, p);
}

void Lowering::emit_unary(Unary op, Value v, Value a) {
  Payload p;
  p.unary = op;
  p.size = size_of(v);
  emit_in_place(Lir::kUnary, v, resolve(a, p.size), p);
}

void Lowering::emit_in_place(Lir op, Value v, Value a, const Payload& p) {
  VReg operand = reg(a);
  add_insn(op, Operands().def_like(result(v), 1).use(operand), p);
}

void Lowering::emit_from(Lir op, Value v, const Source& s, Payload p) {
  Operands ops;
  ops.def(result(v));
  add_source(&ops, &p, s);
  add_insn(op, ops, p);
}

void Lowering::emit_extend(Extend kind, Value v, Value a) {
  Payload p;
  p.size = size_of(v);
  p.extend = kind;
  Size from = kind == Extend::k8U || kind == Extend::k8S     ? Size::k8
              : kind == Extend::k16U || kind == Extend::k16S ? Size::k16
                                                             : Size::k32;
  Source s;
  if (fold_load(a, from, &s.mem))
    s.kind = Src::kMem;
  else
    s.value = resolve(a, Size::k32);
  emit_from(Lir::kExtend, v, s, p);
}

// v = base + (index << scale) + disp; base or index may be kNone.
void Lowering::emit_lea(Value v, Value base, Value index, u8 scale, i32 disp) {
  Payload p;
  p.size = size_of(v);
  p.mem.operand = 1;
  p.mem.disp = disp;
  p.mem.scale = scale;
  Operands ops;
  ops.def(result(v));
  if (base != kNone) {
    p.mem.base = Base::kOperand;
    ops.use(reg(resolve(base, p.size)));
  }
  if (index != kNone) {
    p.mem.has_index = true;
    ops.use(reg(resolve(index, p.size)));
  }
  add_insn(Lir::kLea, ops, p);
}

// ---- logic

bool Lowering::match_not(Value v, Value* inverted) const {
  const ir::Inst& inst = at(v);
  i64 c;
  if (inst.op != Op::kXor || !is_const(inst.arg[1], &c)) return false;
  if (inst.type == Type::kI64 ? c != -1 : static_cast<i32>(c) != -1) return false;
  *inverted = inst.arg[0];
  return true;
}

void Lowering::lower_alu(Alu op, Value v) {
  Size size = size_of(v);
  Value a = arg(v, 0), b = arg(v, 1);
  Source right;
  if (imm_of(b, size, &right.imm)) {
    right.kind = Src::kImm;
    a = resolve(a, size);
  } else if (op == Alu::kSub) {
    right = source(b, size);
    a = resolve(a, size);
  } else {
    right = either_source(&a, b, size);
  }
  emit_alu(op, size, v, a, right);
}

void Lowering::lower_and(Value v) {
  Value a = arg(v, 0), b = arg(v, 1), inverted;
  i64 c;
  if (is_const(b, &c)) {
    u64 mask = static_cast<u64>(c);
    if (mask == 0xff) return emit_extend(Extend::k8U, v, a);
    if (mask == 0xffff) return emit_extend(Extend::k16U, v, a);
    if (mask == 0xffff'ffff) return emit_extend(Extend::k32U, v, a);
    Source right;
    right.kind = Src::kImm;
    right.imm = static_cast<i32>(c);
    // A mask without upper half needs only the low one.
    if (mask <= 0xffff'ffff && may_inline(right.imm))
      return emit_alu(Alu::kAnd, Size::k32, v, resolve(a, Size::k32), right);
  } else if (target_.cpu & kCpuBmi1) {
    if (match_not(a, &inverted)) swap(a, b);
    if (match_not(b, &inverted) && !is_needed(b)) {
      Payload p;
      p.size = size_of(v);
      Source s = source(a, p.size);
      VReg mask = reg(resolve(inverted, p.size));
      Operands ops;
      ops.def(result(v)).use(mask);
      add_source(&ops, &p, s);
      return add_insn(Lir::kAndNot, ops, p);
    }
  }
  lower_alu(Alu::kAnd, v);
}

// Where the operations that make the index keep it low, nothing the processor speculates changes that.
void Lowering::lower_clamp(Value v) {
  Payload p;
  Source bound;
  i64 known = 0;
  u64 harmless = static_cast<u64>(at(v).imm);
  if (is_const(arg(v, 1), &known)) harmless = max(harmless, static_cast<u64>(known));
  if (upper_bound(arg(v, 0)) < harmless) {
    VReg index = reg(arg(v, 0));
    return add_insn(Lir::kCopy, Operands().def_like(result(v), 1).use(index), p);
  }
  if (imm_of(arg(v, 1), p.size, &bound.imm))
    bound.kind = Src::kImm;
  else
    bound = source(arg(v, 1), p.size);
  VReg index = reg(resolve(arg(v, 0), p.size));
  Operands ops;
  ops.def(result(v)).use_late(index);
  add_source(&ops, &p, bound);
  add_insn(Lir::kClampIndex, ops, p);
}

void Lowering::lower_match_or_null(Value v) {
  Payload p;
  p.size = p.cond.size = Size::k64;
  p.cond.cc = kCcNe;
  p.cond.operand = 3;
  VReg address = reg(arg(v, 0)), null = constant(0), found = reg(arg(v, 1));
  Operands ops;
  ops.def_like(result(v), 1).use(address).use(null).use(found);
  if (imm_of(arg(v, 2), Size::k64, &p.cond.imm))
    p.cond.b = Src::kImm;
  else
    ops.use_any(reg(arg(v, 2)));
  add_insn(Lir::kCmov, ops, p);
}

// ---- addition

// v = index << scale, worth a scaled index.
bool Lowering::match_scaled(Value v, Value* index, u8* scale) const {
  i64 c;
  const ir::Inst& inst = at(v);
  if (inst.op != Op::kShl || is_needed(v) || !is_const(inst.arg[1], &c)) return false;
  c &= inst.type == Type::kI64 ? 63 : 31;
  if (c < 1 || c > 3) return false;
  *index = inst.arg[0];
  *scale = static_cast<u8>(c);
  return true;
}

void Lowering::lower_add(Value v) {
  Size size = size_of(v);
  Value a = arg(v, 0), b = arg(v, 1), index;
  u8 scale;
  i32 imm;
  if (imm_of(b, size, &imm)) return lower_add_imm(v, a, imm);
  if (match_scaled(b, &index, &scale)) return emit_lea(v, a, index, scale, 0);
  if (match_scaled(a, &index, &scale)) return emit_lea(v, b, index, scale, 0);
  Source right = either_source(&a, b, size);
  if (right.kind == Src::kOperand && !is_last_use(a)) return emit_lea(v, a, right.value, 0, 0);
  emit_alu(Alu::kAdd, size, v, a, right);
}

void Lowering::lower_add_imm(Value v, Value a, i32 imm) {
  Size size = size_of(v);
  const ir::Inst& inner = at(a);
  Value index;
  u8 scale;
  i64 ignored;
  bool alone = uses_[a] == 1 && !is_needed(a) && inner.type == at(v).type && is_in_this_loop(a);
  if (alone && inner.op == Op::kAdd && !is_const(inner.arg[1], &ignored)) {
    Value x = inner.arg[0], y = inner.arg[1];
    if (match_scaled(y, &index, &scale)) return emit_lea(v, x, index, scale, imm);
    if (match_scaled(x, &index, &scale)) return emit_lea(v, y, index, scale, imm);
    if (!can_fold_load(x) && !can_fold_load(y)) return emit_lea(v, x, y, 0, imm);
  }
  if (alone && match_scaled(a, &index, &scale)) return emit_lea(v, kNone, index, scale, imm);
  a = resolve(a, size);
  if (!is_last_use(a)) return emit_lea(v, a, kNone, 0, imm);
  Source right;
  right.kind = Src::kImm;
  right.imm = imm;
  emit_alu(Alu::kAdd, size, v, a, right);
}

void Lowering::lower_sub(Value v) {
  Size size = size_of(v);
  i64 c;
  i32 imm;
  if (is_const(arg(v, 0), &c) && c == 0) return emit_unary(Unary::kNeg, v, arg(v, 1));
  if (imm_of(arg(v, 1), size, &imm) && imm != static_cast<i32>(0x8000'0000))
    return lower_add_imm(v, arg(v, 0), -imm);
  lower_alu(Alu::kSub, v);
}

}  // namespace wring::x64
