// SPDX-License-Identifier: GPL-2.0
// Lowering of multiplication, division, shifts and bit operations.
#include "core/x64/lower.h"

namespace wring::x64 {

using ir::Type;
using ir::Value;

// ---- multiplication and division

void Lowering::lower_mul(Value v) {
  if (lower_mul_wide(v)) return;
  Payload p;
  p.size = size_of(v);
  Value a = arg(v, 0), b = arg(v, 1);
  Operands ops;
  i32 imm;
  if (imm_of(b, p.size, &imm)) {
    if (imm == 3 || imm == 5 || imm == 9)
      return emit_lea(v, a, a, imm == 3 ? 1 : imm == 5 ? 2 : 3, 0);
    p.imm = imm;
    return emit_from(Lir::kImulImm, v, source(a, p.size), p);
  }
  Source right = either_source(&a, b, p.size);
  VReg left = reg(a);
  ops.def_like(result(v), 1).use(left);
  add_source(&ops, &p, right);
  add_insn(Lir::kImul, ops, p);
}

// The other half of a 128-bit unsigned product: the previous or next instruction, if it is needed
// too.
Value Lowering::wide_partner(Value v) const {
  const ir::Inst& inst = at(v);
  if (inst.type != Type::kI64) return kNone;
  Op other = inst.op == Op::kMul ? Op::kMulHiU : Op::kMul;
  const Vec<Value>& list = f_.blocks[block_].insts;
  const u32 places[] = {position_ + 1, position_ - 1};
  for (u32 i : places) {
    if (i >= list.size()) continue;
    const ir::Inst& near = at(list[i]);
    bool same = near.op == other && near.type == Type::kI64 &&
                ((near.arg[0] == inst.arg[0] && near.arg[1] == inst.arg[1]) ||
                 (near.arg[0] == inst.arg[1] && near.arg[1] == inst.arg[0]));
    if (same && (i < position_ ? uses_[list[i]] != 0 : is_needed(list[i]))) return list[i];
  }
  return kNone;
}

// Both halves in one instruction, at the place of the first of the two; the second, which comes up
// first, only makes sure that the first one will be lowered.
bool Lowering::lower_mul_wide(Value v) {
  Value partner = wide_partner(v);
  if (partner == kNone) return false;
  const Vec<Value>& list = f_.blocks[block_].insts;
  if (position_ == 0 || list[position_ - 1] != partner) {
    Value low = at(v).op == Op::kMul ? v : partner, high = low == v ? partner : v;
    VReg a = reg(arg(v, 0)), b = reg(arg(v, 1));
    Payload p;
    p.size = Size::k64;
    p.flag = true;
    if (target_.cpu & kCpuBmi2)
      add_insn(Lir::kMulx,
               Operands().def(result(high)).def(result(low)).use_fixed(a, kRdx).use_any(b), p);
    else
      add_insn(Lir::kMulWide,
               Operands()
                   .def_fixed(result(low), kRax)
                   .def_fixed(result(high), kRdx)
                   .use_fixed(a, kRax)
                   .use_any(b),
               p);
  } else {
    result(partner);
  }
  return true;
}

void Lowering::lower_mul_high(Value v) {
  const ir::Inst& inst = at(v);
  if (inst.op == Op::kMulHiU && lower_mul_wide(v)) return;
  Payload p;
  p.size = Size::k64;
  Value a = arg(v, 0);
  Source right = either_source(&a, arg(v, 1), p.size);
  VReg left = reg_at_use(a);
  Operands ops;
  if (inst.op == Op::kMulHiU && (target_.cpu & kCpuBmi2)) {
    ops.def(result(v)).use_fixed(left, kRdx);
    add_source(&ops, &p, right);
    return add_insn(Lir::kMulx, ops, p);
  }
  p.is_signed = inst.op == Op::kMulHiS;
  ops.def_fixed(result(v), kRdx).use_fixed(left, kRax);
  add_source(&ops, &p, right);
  add_insn(Lir::kMulHi, ops, p);
}

void Lowering::lower_div(Value v) {
  const ir::Inst& inst = at(v);
  Payload p;
  p.size = size_of(v);
  p.is_signed = inst.op == Op::kDivS || inst.op == Op::kRemS;
  bool wants_quotient = inst.op == Op::kDivS || inst.op == Op::kDivU;
  i64 c;
  // INT_MIN rem -1 overflows in the quotient, which nobody asked for.
  p.flag =
      inst.op == Op::kRemS && !(is_const(inst.arg[1], &c) && c != -1 && static_cast<i32>(c) != -1);
  VReg dividend = reg_at_use(resolve(inst.arg[0], p.size)),
       divisor = reg(resolve(inst.arg[1], p.size));
  VReg other = new_vreg();
  Operands ops;
  ops.def_fixed(wants_quotient ? result(v) : other, kRax)
      .def_fixed(wants_quotient ? other : result(v), kRdx, true);
  ops.use_fixed(dividend, kRax).use_any(divisor);
  add_insn(Lir::kDiv, ops, p);
}

// ---- shifts

void Lowering::lower_shift(Value v) {
  const ir::Inst& inst = at(v);
  Payload p;
  p.size = size_of(v);
  p.shift = inst.op == Op::kShl ? Shift::kShl : inst.op == Op::kShrU ? Shift::kShr : Shift::kSar;
  u32 mask = p.size == Size::k64 ? 63 : 31;
  i64 count;
  if (is_const(inst.arg[1], &count)) {
    p.imm = count & mask;
    Value a = resolve(inst.arg[0], p.size);
    if (p.shift == Shift::kShl && p.imm >= 1 && p.imm <= 3 && !is_last_use(a)) {
      if (p.imm == 1) return emit_lea(v, a, a, 0, 0);
      return emit_lea(v, kNone, a, static_cast<u8>(p.imm), 0);
    }
    return emit_in_place(Lir::kShiftImm, v, a, p);
  }
  Value by = resolve(inst.arg[1], Size::k32);
  // The machine masks the count, too.
  if (at(by).op == Op::kAnd && is_const(arg(by, 1), &count) && (count & mask) == mask &&
      !is_needed(by))
    by = resolve(arg(by, 0), Size::k32);
  if (target_.cpu & kCpuBmi2) {
    Source s = source(inst.arg[0], p.size);
    VReg amount = reg(by);
    Operands ops;
    ops.def(result(v)).use(amount);
    add_source(&ops, &p, s);
    return add_insn(Lir::kShiftX, ops, p);
  }
  shift_by_cl(v, by, p);
}

void Lowering::shift_by_cl(Value v, Value by, const Payload& p) {
  // All of the operand's bits count: a shift by 0 may leave them as they are.
  VReg operand = reg(arg(v, 0)), amount = reg_at_use(by);
  add_insn(Lir::kShiftCl, Operands().def_like(result(v), 1).use(operand).use_fixed(amount, kRcx),
           p);
}

void Lowering::lower_rotate(Value v) {
  const ir::Inst& inst = at(v);
  Payload p;
  p.size = size_of(v);
  p.shift = inst.op == Op::kRotl ? Shift::kRol : Shift::kRor;
  u32 mask = p.size == Size::k64 ? 63 : 31;
  i64 count;
  if (is_const(inst.arg[1], &count)) {
    p.imm = count & mask;
    if (target_.cpu & kCpuBmi2) {
      Source s = source(inst.arg[0], p.size);
      if (s.kind == Src::kMem || !is_last_use(s.value)) {
        Operands ops;
        ops.def(result(v));
        add_source(&ops, &p, s);
        p.imm = (inst.op == Op::kRotl ? mask + 1 - (count & mask) : count) & mask;
        return add_insn(Lir::kRotateX, ops, p);
      }
    }
    VReg operand = reg(resolve(inst.arg[0], p.size));
    return add_insn(Lir::kShiftImm, Operands().def_like(result(v), 1).use(operand), p);
  }
  shift_by_cl(v, resolve(inst.arg[1], Size::k32), p);
}

// ---- bit operations

void Lowering::lower_bits(Value v) {
  const ir::Inst& inst = at(v);
  Payload p;
  p.size = size_of(v);
  Value a = inst.arg[0];
  Lir op = Lir::kScan;
  Size from = p.size;
  switch (inst.op) {
    case Op::kClz: p.scan = target_.cpu & kCpuLzcnt ? Scan::kLzcnt : Scan::kBsr; break;
    case Op::kCtz: p.scan = target_.cpu & kCpuBmi1 ? Scan::kTzcnt : Scan::kBsf; break;
    case Op::kPopcnt:
      if (!(target_.cpu & kCpuPopcnt)) {
        VReg operand = reg(resolve(a, p.size)), temp = new_vreg();
        return add_insn(Lir::kPopcntSoft,
                        Operands().def_early(result(v)).use(operand).def_early(temp), p);
      }
      op = Lir::kPopcnt;
      break;
    case Op::kBswap16:
      op = Lir::kBswap16;
      from = Size::k16;
      break;
    default: {  // kBswap
      Source s;
      if (!(target_.cpu & kCpuMovbe) || !fold_load(a, p.size, &s.mem))
        return emit_in_place(Lir::kBswap, v, resolve(a, p.size), p);
      s.kind = Src::kMem;
      return emit_from(Lir::kLoadSwapped, v, s, p);
    }
  }
  emit_from(op, v, source(a, from), p);
}

}  // namespace wring::x64
