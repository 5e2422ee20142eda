// SPDX-License-Identifier: GPL-2.0
// Lowering of atomic accesses (threads proposal). Plain loads are sequentially consistent on this machine if all stores
// are exchanges.
#include "core/x64/lower.h"

namespace wring::x64 {

using ir::AtomicOp;
using ir::MemKind;
using ir::Value;

namespace {

MemKind kind_of(const ir::Inst& inst) { return static_cast<MemKind>(inst.aux & 0xff); }

}  // namespace

void Lowering::lower_atomic(Value v) {
  const ir::Inst& inst = at(v);
  if (inst.op == Op::kFence) return add_insn(Lir::kFence, Operands());
  if (inst.op == Op::kAtomicRmw) return lower_atomic_rmw(v);
  Span<Value> args = f_.args(v);
  Payload p;
  p.size = static_cast<Size>(ir::bytes_of(kind_of(inst)));
  AddressMatch mem = match_address(v);
  Operands ops;
  switch (inst.op) {
    case Op::kAtomicLoad:
      p.extend = static_cast<Extend>(kind_of(inst));
      p.size = size_of(v);
      ops.def(result(v));
      add_address(&ops, &p, mem);
      return add_insn(Lir::kLoad, ops, p);
    case Op::kAtomicStore: {
      VReg value = reg(stored_value(args[2], static_cast<u32>(p.size), false));
      ops.def_like(new_vreg(), 1).use(value);
      add_address(&ops, &p, mem);
      return add_insn(Lir::kAtomicXchg, ops, p);
    }
    case Op::kAtomicCas: {
      VReg expected = reg_at_use(stored_value(args[2], static_cast<u32>(p.size), false));
      VReg replacement = reg(stored_value(args[3], static_cast<u32>(p.size), false));
      ops.def_fixed(result(v), kRax).use_fixed(expected, kRax).use(replacement);
      add_address(&ops, &p, mem);
      return add_insn(Lir::kAtomicCas, ops, p);
    }
    default: WRING_UNREACHABLE();
  }
}

void Lowering::lower_atomic_rmw(Value v) {
  const ir::Inst& inst = at(v);
  auto op = static_cast<AtomicOp>(inst.aux >> 8);
  Payload p;
  u32 bytes = ir::bytes_of(kind_of(inst));
  p.size = static_cast<Size>(bytes);
  AddressMatch mem = match_address(v);
  Value value = stored_value(inst.arg[2], bytes, false);
  Operands ops;
  switch (op) {
    case AtomicOp::kAdd: p.alu = Alu::kAdd; break;
    case AtomicOp::kSub: p.alu = Alu::kSub; break;
    case AtomicOp::kAnd: p.alu = Alu::kAnd; break;
    case AtomicOp::kOr: p.alu = Alu::kOr; break;
    case AtomicOp::kXor: p.alu = Alu::kXor; break;
    case AtomicOp::kXchg: {
      VReg operand = reg(value);
      ops.def_like(result(v), 1).use(operand);
      add_address(&ops, &p, mem);
      return add_insn(Lir::kAtomicXchg, ops, p);
    }
  }
  if (!is_needed(v)) {
    i64 c;
    if (is_const(value, &c)) {
      if (bytes < 8) c = static_cast<i32>(c);
      if (bytes < 4) c = bytes == 1 ? static_cast<i8>(c) : static_cast<i16>(c);
      if (fits_i32(c) && may_inline(c)) {
        p.imm = c;
        add_address(&ops, &p, mem);
        return add_insn(Lir::kAtomicAluImm, ops, p);
      }
    }
    ops.use(reg(value));
    add_address(&ops, &p, mem);
    return add_insn(Lir::kAtomicAlu, ops, p);
  }
  VReg operand = reg(value);
  if (op == AtomicOp::kAdd || op == AtomicOp::kSub) {
    if (op == AtomicOp::kSub) {
      Payload negate;
      negate.unary = Unary::kNeg;
      negate.size = bytes == 8 ? Size::k64 : Size::k32;
      VReg negative = new_vreg();
      add_insn(Lir::kUnary, ops.def_like(negative, 1).use(operand), negate);
      ops = {};
      operand = negative;
    }
    ops.def_like(result(v), 1).use(operand);
    add_address(&ops, &p, mem);
    return add_insn(Lir::kAtomicXadd, ops, p);
  }
  ops.def_fixed(result(v), kRax, true).def_early(new_vreg()).use(operand);
  add_address(&ops, &p, mem);
  add_insn(Lir::kAtomicLoop, ops, p);
}

}  // namespace wring::x64
