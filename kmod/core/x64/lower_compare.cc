// SPDX-License-Identifier: GPL-2.0
// Lowering of comparisons and of everything that depends on one:
// branches, selects, checks, switches.
#include "core/x64/lower.h"

namespace wring::x64 {

using ir::MemKind;
using ir::Type;
using ir::Value;

namespace {

// Switches with up to this many runs of equal targets are compare trees.
constexpr u32 kMaxTreeRuns = 6;

Cc cc_of(ir::Op op) {
  switch (op) {
    case ir::Op::kEq: return kCcE;
    case ir::Op::kNe: return kCcNe;
    case ir::Op::kLtS: return kCcL;
    case ir::Op::kLtU: return kCcB;
    case ir::Op::kLeS: return kCcLe;
    case ir::Op::kLeU: return kCcBe;
    case ir::Op::kGtS: return kCcG;
    case ir::Op::kGtU: return kCcA;
    case ir::Op::kGeS: return kCcGe;
    default: return kCcAe;
  }
}

// The condition for exchanged operands.
Cc mirrored(Cc cc) {
  switch (cc) {
    case kCcL: return kCcG;
    case kCcG: return kCcL;
    case kCcLe: return kCcGe;
    case kCcGe: return kCcLe;
    case kCcB: return kCcA;
    case kCcA: return kCcB;
    case kCcBe: return kCcAe;
    case kCcAe: return kCcBe;
    default: return cc;
  }
}

// The unsigned counterpart: on zero-extended narrow values both mean the same.
Cc as_unsigned(Cc cc) {
  switch (cc) {
    case kCcL: return kCcB;
    case kCcG: return kCcA;
    case kCcLe: return kCcBe;
    case kCcGe: return kCcAe;
    default: return cc;
  }
}

}  // namespace

// Whether a comparison may be made where its result is used. With a constant it may be made again and again: what it
// compares lives on instead of the result.
bool Lowering::may_repeat(Value v) const {
  i64 c;
  return at(v).block == block_ ||
         (is_in_this_loop(v) &&
          (uses_[v] == 1 || (ir::is_compare(at(v).op) && is_const(at(v).arg[1], &c))));
}

// What to compare so that the condition is "v is not zero". `exclusive`: v has no other use, so
// that loads may join.
Lowering::ConditionMatch Lowering::match_condition(Value v, bool exclusive) {
  ConditionMatch m;
  bool inverted = false;
  i64 c;
  // eqz of a comparison
  for (u32 i = 0; i < kMaxChain; i++) {
    const ir::Inst& inst = at(v);
    bool tests_zero =
        (inst.op == Op::kEq || inst.op == Op::kNe) && is_const(inst.arg[1], &c) && c == 0;
    if (!tests_zero || is_needed(inst.arg[0])) break;
    Op compared = at(inst.arg[0]).op;
    if (!ir::is_compare(compared) && !ir::is_float_compare(compared) &&
        !is_vector_test(inst.arg[0]))
      break;
    if (!may_repeat(inst.arg[0])) break;
    inverted ^= inst.op == Op::kEq;
    v = inst.arg[0];
    exclusive = exclusive && uses_[v] == 1;
  }
  const ir::Inst& inst = at(v);
  bool is_here = v == root_ || (!is_needed(v) && may_repeat(v));
  if (ir::is_float_compare(inst.op) && is_here) {
    match_float_compare(&m, inst, exclusive);
  } else if (is_vector_test(v) && is_here) {
    match_vector_test(&m, v);
  } else if (ir::is_compare(inst.op) && is_here) {
    m.cond.size = inst.operand_type == Type::kI64 ? Size::k64 : Size::k32;
    m.cond.cc = cc_of(inst.op);
    match_compare(&m, inst.arg[0], inst.arg[1], exclusive);
  } else {
    match_zero(&m, v, exclusive);
  }
  if (inverted) m.cond.cc = invert(m.cond.cc);
  return m;
}

void Lowering::match_compare(ConditionMatch* m, Value a, Value b, bool exclusive) {
  Size size = m->cond.size;
  i64 c;
  if (is_const(a, &c) && !is_const(b, &c)) {
    swap(a, b);
    m->cond.cc = mirrored(m->cond.cc);
  }
  i32 imm;
  if (imm_of(b, size, &imm)) return match_compare_imm(m, a, imm, exclusive);
  if (exclusive && fold_load(b, size, &m->mem)) {
    m->cond.b = Src::kMem;
    m->a = resolve(a, size);
  } else if (exclusive && fold_load(a, size, &m->mem)) {
    m->cond.a_in_memory = true;
    m->b = resolve(b, size);
  } else {
    m->a = resolve(a, size);
    m->b = resolve(b, size);
  }
}

// A loop counter is compared at the end of an iteration, where its next value is there already: what to compare
// instead, so that the counter's register can become that of the next value.
Value Lowering::next_counter(Value phi, i32* imm) const {
  const ir::Inst& inst = at(phi);
  if (inst.op != Op::kPhi || is_needed(phi) || !f_.blocks[inst.block].is_loop_header) return phi;
  const ir::Block& header = f_.blocks[inst.block];
  if (header.preds.size() != 2 || !ir::is_terminator(at(root_).op)) return phi;
  Value next = f_.args(phi)[header.preds[1] >= inst.block ? 1 : 0];
  const ir::Inst& step = at(next);
  i64 c;
  if (step.op != Op::kAdd || step.arg[0] != phi || step.block != block_ || !is_needed(next) ||
      !is_const(step.arg[1], &c))
    return phi;
  i64 sum = static_cast<i64>(static_cast<u64>(c) + static_cast<u64>(i64{*imm}));
  if (inst.type == Type::kI32) sum = static_cast<i32>(sum);
  if (!fits_i32(sum) || !may_inline(sum)) return phi;
  *imm = static_cast<i32>(sum);
  return next;
}

// m->cond.cc and size are set.
void Lowering::match_compare_imm(ConditionMatch* m, Value a, i32 imm, bool exclusive) {
  if (m->cond.cc == kCcE || m->cond.cc == kCcNe) a = next_counter(a, &imm);
  if (imm == 0 && (m->cond.cc == kCcE || m->cond.cc == kCcNe)) return match_zero(m, a, exclusive);
  m->cond.b = Src::kImm;
  m->cond.imm = imm;
  if (exclusive && match_narrow(m, a)) return;
  if (exclusive && fold_load(a, m->cond.size, &m->mem))
    m->cond.a_in_memory = true;
  else
    m->a = resolve(a, m->cond.size);
}

// A byte or word in memory against an immediate of its size.
bool Lowering::match_narrow(ConditionMatch* m, Value a) {
  const ir::Inst& inst = at(a);
  if (!is_load(inst.op) || !can_fold_load(a)) return false;
  i32 imm = m->cond.imm;
  Size size;
  switch (static_cast<MemKind>(inst.aux)) {
    case MemKind::k8U:
      if (imm < 0 || imm > 255) return false;
      size = Size::k8;
      m->cond.cc = as_unsigned(m->cond.cc);
      break;
    case MemKind::k8S:
      if (!fits_i8(imm)) return false;
      size = Size::k8;
      break;
    case MemKind::k16U:  // a 16-bit immediate would stall the decoder
      if (imm < 0 || !fits_i8(imm)) return false;
      size = Size::k16;
      m->cond.cc = as_unsigned(m->cond.cc);
      break;
    default: return false;
  }
  bool folded = fold_load(a, size, &m->mem);
  WRING_ASSERT(folded);
  m->cond.size = size;
  m->cond.a_in_memory = true;
  return true;
}

// a == 0 or a != 0, as m->cond.cc says (kCcNe by default).
void Lowering::match_zero(ConditionMatch* m, Value a, bool exclusive) {
  for (;; a = arg(a, 0)) {
    exclusive = exclusive && uses_[a] == 1;
    if (at(a).op != Op::kZExtI32) break;
  }
  m->cond.size = size_of(a);
  m->cond.b = Src::kImm;
  m->cond.imm = 0;
  Value next = next_counter(a, &m->cond.imm);
  if (next != a) {
    m->a = next;
    return;
  }
  const ir::Inst& inst = at(a);
  if (inst.op == Op::kAnd && !is_needed(a) && may_repeat(a))
    return match_test(m, inst.arg[0], inst.arg[1], exclusive);
  if (exclusive && match_narrow(m, a)) return;
  if (exclusive && fold_load(a, m->cond.size, &m->mem))
    m->cond.a_in_memory = true;
  else
    m->a = resolve(a, m->cond.size);
}

// (a & b) == 0
void Lowering::match_test(ConditionMatch* m, Value a, Value b, bool exclusive) {
  m->cond.test = true;
  i64 c;
  if (is_const(b, &c) && may_inline(c)) {
    u64 mask = static_cast<u64>(c) & (m->cond.size == Size::k64 ? ~u64{0} : 0xffff'ffff);
    if (mask <= 0xff) {
      m->cond.size = Size::k8;
    } else if (mask <= 0xffff'ffff) {
      m->cond.size = Size::k32;
    }
    if (m->cond.size != Size::k64 || fits_i32(c)) {
      m->cond.imm = static_cast<i32>(c);
      m->cond.b = Src::kImm;
      bool narrow = m->cond.size == Size::k8 && is_load(at(a).op) &&
                    ir::bytes_of(static_cast<MemKind>(at(a).aux)) == 1;
      if (exclusive && (narrow || m->cond.size != Size::k8) && fold_load(a, m->cond.size, &m->mem))
        m->cond.a_in_memory = true;
      else
        m->a = resolve(a, m->cond.size);
      return;
    }
  }
  Size size = m->cond.size;
  m->cond.b = Src::kOperand;
  if (exclusive && fold_load(b, size, &m->mem))
    swap(a, b);
  else if (!exclusive || !fold_load(a, size, &m->mem)) {
    m->a = resolve(a, size);
    m->b = resolve(b, size);
    return;
  }
  m->cond.a_in_memory = true;
  m->b = resolve(b, size);
}

void Lowering::add_condition(Operands* ops, Payload* p, const ConditionMatch& m) {
  p->cond = m.cond;
  p->cond.operand = ops->count();
  if (m.cond.is_vector) {
    ops->use(m.a_vreg).use(m.b_vreg);
    return;
  }
  if (!m.cond.a_in_memory) ops->use(reg(m.a));
  if (m.cond.b == Src::kOperand) {
    VReg b = m.b_vreg != kNone ? m.b_vreg : reg(m.b);
    if (m.cond.a_in_memory)
      ops->use(b);
    else
      ops->use_any(b);
  }
  if (m.cond.a_in_memory || m.cond.b == Src::kMem) add_address(ops, p, m.mem);
}

void Lowering::lower_compare(Value v) {
  Payload p;
  ConditionMatch m = match_condition(v, true);
  Operands ops;
  ops.def(result(v));
  add_condition(&ops, &p, m);
  add_insn(Lir::kSetCc, ops, p);
}

void Lowering::lower_select(Value v) {
  const ir::Inst& inst = at(v);
  if (is_vector(inst.type)) return lower_float_select(v);
  Payload p;
  p.size = size_of(v);
  ConditionMatch m = match_condition(inst.arg[0], uses_[inst.arg[0]] == 1);
  Value yes = resolve(inst.arg[1], p.size), no = resolve(inst.arg[2], p.size);
  // "Unequal or unordered" takes two moves, its opposite cannot be done so.
  bool forced = m.cond.is_float && (m.cond.cc == kCcE || m.cond.cc == kCcNe);
  if (forced ? m.cond.cc == kCcE : !is_last_use(no) && is_last_use(yes)) {
    swap(yes, no);
    m.cond.cc = invert(m.cond.cc);
  }
  VReg n = reg(no), y = reg(yes);  // in this order: the one that becomes the result chooses first
  Operands ops;
  ops.def_like(result(v), 1).use(n).use_any(y);
  add_condition(&ops, &p, m);
  add_insn(Lir::kCmov, ops, p);
}

void Lowering::lower_trap_if(Value v) {
  const ir::Inst& inst = at(v);
  Payload p;
  p.reason = static_cast<TrapReason>(inst.aux);
  ConditionMatch m = match_condition(inst.arg[0], uses_[inst.arg[0]] == 1);
  Operands ops;
  add_condition(&ops, &p, m);
  add_insn(Lir::kTrapCc, ops, p);
}

void Lowering::lower_terminator(Value v) {
  const ir::Inst& inst = at(v);
  Span<u32> succs = f_.blocks[block_].succs.span();
  Payload p;
  Operands ops;
  switch (inst.op) {
    case Op::kJump: pass_phis(succs[0]); return add_insn(Lir::kJump, ops, p);
    case Op::kBranch: {
      ConditionMatch m = match_condition(inst.arg[0], uses_[inst.arg[0]] == 1);
      add_condition(&ops, &p, m);
      return add_insn(Lir::kBranch, ops, p);
    }
    case Op::kSwitch: {
      u32 runs = 1;
      for (u32 i = 1; i < succs.size(); i++, tick()) runs += succs[i] != succs[i - 1];
      bool table = runs > kMaxTreeRuns && !target_.retpoline && !target_.ibt;
      VReg index = reg(resolve(inst.arg[0], Size::k32));
      if (!table) return add_insn(Lir::kSwitchTree, ops.use(index), p);
      VReg to = new_vreg();
      add_insn(Lir::kSwitchTarget, ops.def_early(to).use(index), p);
      ops = {};
      return add_insn(Lir::kSwitchJump, ops.use(to), p);
    }
    default:  // kTrap
      p.reason = static_cast<TrapReason>(inst.aux);
      return add_insn(Lir::kTrap, ops, p);
  }
}

// The values this block's jump passes to the phis of its successor.
void Lowering::pass_phis(ir::BlockId to) {
  const ir::Block& target = f_.blocks[to];
  u32 count = 0;
  for (Value phi : paced(target.insts)) {
    if (at(phi).op != Op::kPhi) break;
    count += is_param(phi);
  }
  Span<VReg> args = arena_->make_array<VReg>(count);
  if (count && !args.data()) return fail_no_memory();
  count = 0;
  for (Value phi : paced(target.insts)) {
    if (at(phi).op != Op::kPhi) break;
    if (is_param(phi)) args[count++] = reg_at_use(f_.args(phi)[pred_index_[block_]]);
  }
  lir_.blocks[block_].args = args;
}

}  // namespace wring::x64
