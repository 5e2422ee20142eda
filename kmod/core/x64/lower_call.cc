// SPDX-License-Identifier: GPL-2.0
// Lowering of parameters, calls and returns: what goes into which register or stack place (abi.h).
#include "core/x64/lower.h"

namespace wring::x64 {

using ir::Type;
using ir::Value;

namespace {

constexpr u32 kStepsPerArg = 8;

// How many bytes of a value pass between a register and the stack. An i32 is extended when it comes back.
u8 word_bytes(Type type) {
  switch (type) {
    case Type::kI32:
    case Type::kF32: return 4;
    case Type::kV128: return 16;
    default: return 8;
  }
}

}  // namespace

// Chains each call's Result instructions, so that the call knows which of its results are needed.
void Lowering::link_results() {
  for (const ir::Block& block : paced(f_.blocks))
    for (Value v : paced(block.insts)) {
      if (at(v).op != Op::kResult) continue;
      if (!next_result_.data()) {
        next_result_ = arena_->make_array<u32>(f_.insts.size());
        if (!next_result_.data()) return fail_no_memory();
        fill(next_result_, kNone);
      }
      Value call = arg(v, 0);
      next_result_[v] = next_result_[call];
      next_result_[call] = v;
    }
}

// At the start of the function: what the caller left in registers, then what it left on the stack.
void Lowering::lower_params() {
  root_ = kNone;
  Operands regs;
  for (Value v : paced(f_.blocks[0].insts)) {
    if (at(v).op != Op::kParam || !is_needed(v)) continue;
    const Place& place = layout_.params[at(v).aux];
    if (place.reg != ra::kNoPReg) regs.def_fixed(result(v), place.reg);
  }
  add_insn(Lir::kParams, regs);
  if (options_.entry_cost) pay_on_entry();
  load_stack_params();
  end_tile();
}

void Lowering::pay_on_entry() {
  Payload p;
  p.imm = options_.entry_cost;
  add_insn(Lir::kFuel, Operands(), p);
}

void Lowering::load_stack_params() {
  for (Value v : paced(f_.blocks[0].insts)) {
    if (at(v).op != Op::kParam || !is_needed(v)) continue;
    const Place& place = layout_.params[at(v).aux];
    if (place.reg != ra::kNoPReg) continue;
    Payload p;
    p.imm = place.offset;
    p.bytes = word_bytes(at(v).type);
    add_insn(Lir::kLoadParam, Operands().def(result(v)), p);
  }
}

// Passes `v` on the stack to the call being lowered.
void Lowering::store_arg(Value v, u32 offset) {
  Payload p;
  i64 c;
  if (is_const(v, &c) && fits_i32(c) && may_inline(c)) {
    p.index = static_cast<u16>(offset);
    p.imm = c;
    return add_insn(Lir::kStoreArgImm, Operands(), p);
  }
  p.imm = offset;
  p.bytes = at(v).type == Type::kV128 ? 16 : 8;
  VReg value = reg(v);
  add_insn(Lir::kStoreArg, Operands().use(value), p);
}

// Passes `v` on the stack to the caller, or to the callee of a tail call.
void Lowering::store_outward(Value v, u32 offset) {
  Payload p;
  p.imm = offset;
  p.bytes = at(v).type == Type::kV128 ? 16 : 8;
  VReg value = reg_at_use(v);
  add_insn(Lir::kStoreOutward, Operands().use(value), p);
}

// After what is passed in memory: whoever takes it must not load what was there before for a reference.
void Lowering::fence_references(Span<const ValType> types, Span<const Place> places) {
  Payload p;
  p.flag = true;
  for (u32 i = 0; i < types.size() && target_.clamp_speculation; i++)
    if (is_ref(types[i]) && places[i].reg == ra::kNoPReg)
      return add_insn(Lir::kFence, Operands(), p);
}

// Uses of those of the values that have their place in a register. No two of the registers used are alike.
void Lowering::use_fixed_values(Operands* ops, Span<Value> values, Span<const Place> places) {
  u8 first = ops->count();
  for (u32 i = 0; i < values.size(); i++, tick()) {
    if (places[i].reg == ra::kNoPReg) continue;
    VReg vreg = reg_at_use(values[i]);
    for (u8 j = first; j < ops->count(); j++) {
      if ((*ops)[j].vreg != vreg) continue;
      Type type = at(values[i]).type;
      Payload p;
      p.bytes = word_bytes(type);
      VReg copy = new_vreg(type);
      add_insn(Lir::kCopy, Operands().def(copy).use_any(vreg), p);
      vreg = copy;
      break;
    }
    ops->use_fixed(vreg, places[i].reg);
  }
}

const FuncType& Lowering::callee_type(const ir::Inst& call) const {
  u32 index = static_cast<u32>(call.imm);
  bool direct = call.op == Op::kCall || call.op == Op::kTailCall;
  return direct ? f_.module->func_type(index) : f_.module->types[index];
}

void Lowering::lower_call(Value v) {
  const ir::Inst& inst = at(v);
  Span<Value> args = f_.args(v);
  if (inst.op == Op::kCallHost || inst.op == Op::kCallLib) return lower_host_call(v);
  CallLayout layout;
  if (!layout_call(callee_type(inst), arena_, &layout)) return fail_no_memory();

  Payload p;
  p.imm = inst.imm;
  Source callee;
  if (inst.op == Op::kCallPtr) {
    bool through_memory = !target_.retpoline && fold_load(args[0], Size::k64, &callee.mem);
    callee.kind = through_memory ? Src::kMem : Src::kOperand;
    callee.value = args[0];
    args = args.slice(1, args.size() - 1);
  }

  for (u32 i = 0; i < args.size(); i++, tick(kStepsPerArg))
    if (layout.params[i].reg == ra::kNoPReg) store_arg(args[i], layout.params[i].offset);
  fence_references(callee_type(inst).params, layout.params);

  Operands ops;
  if (inst.type != Type::kVoid && is_needed(v)) ops.def_fixed(result(v), layout.results[0].reg);
  Value first_result = next_result_.empty() ? kNone : next_result_[v];
  for (Value r = first_result; r != kNone; r = next_result_[r], tick(kStepsPerArg)) {
    const Place& place = layout.results[at(r).aux];
    if (place.reg != ra::kNoPReg && is_needed(r)) ops.def_fixed(result(r), place.reg);
  }
  use_fixed_values(&ops, args, layout.params);
  if (inst.op == Op::kCallPtr) {
    p.src = callee.kind;
    if (callee.kind == Src::kMem) {
      add_address(&ops, &p, callee.mem);
    } else {
      p.mem.operand = ops.count();
      ops.use(reg(callee.value));
    }
  }
  add_insn(inst.op == Op::kCall ? Lir::kCall : Lir::kCallPtr, ops, p);

  load_stack_results(first_result, layout);
  u32 area = max(layout.area_bytes(), options_.tail_bytes);
  out_->outgoing_bytes = max(out_->outgoing_bytes, area);
  out_->has_calls = true;
}

// C functions get nothing but integers, and return at most two.
void Lowering::lower_host_call(Value v) {
  const ir::Inst& inst = at(v);
  Span<Value> args = f_.args(v);
  Payload p;
  p.imm = static_cast<i64>(inst.op == Op::kCallHost
                               ? bindings_.functions[static_cast<u32>(inst.imm)].address
                               : libcall_address(static_cast<Libcall>(inst.imm)));
  u32 in_regs = min(args.size(), kHostArgRegCount);
  Place places[kHostArgRegCount];
  for (u32 i = 0; i < in_regs; i++) places[i] = {kHostArgRegs[i], 0};
  for (u32 i = in_regs; i < args.size(); i++, tick(kStepsPerArg))
    store_arg(args[i], 8 * (i - in_regs));
  Operands ops;
  if (inst.type != Type::kVoid && is_needed(v)) {
    ops.def_fixed(result(v), kRax);
    p.flag = inst.type == Type::kI32;
  }
  Value second = next_result_.empty() ? kNone : next_result_[v];  // a v128 is two words
  if (second != kNone && is_needed(second)) ops.def_fixed(result(second), kRdx);
  use_fixed_values(&ops, args.slice(0, in_regs), {places, in_regs});
  p.index = static_cast<u16>(args.size() - in_regs);
  add_insn(Lir::kCallHost, ops, p);
  out_->outgoing_bytes = max(out_->outgoing_bytes, 8 * (args.size() - in_regs));
  out_->has_calls = true;
}

// `first`: of the call's chain of Results.
void Lowering::load_stack_results(Value first, const CallLayout& layout) {
  for (Value r = first; r != kNone; r = next_result_[r], tick(kStepsPerArg)) {
    const Place& place = layout.results[at(r).aux];
    if (place.reg != ra::kNoPReg || !is_needed(r)) continue;
    Payload p;
    p.imm = place.offset;
    p.bytes = word_bytes(at(r).type);
    add_insn(Lir::kLoadResult, Operands().def(result(r)), p);
  }
}

void Lowering::lower_return(Value v) {
  Span<Value> results = f_.args(v);
  for (u32 i = 0; i < results.size(); i++, tick(kStepsPerArg))
    if (layout_.results[i].reg == ra::kNoPReg) store_outward(results[i], layout_.results[i].offset);
  fence_references(f_.module->func_type(f_.index).results, layout_.results);
  Operands ops;
  use_fixed_values(&ops, results, layout_.results);
  add_insn(Lir::kReturn, ops);
}

// The arguments on the stack take the place of this function's own.
void Lowering::lower_tail_call(Value v) {
  const ir::Inst& inst = at(v);
  Span<Value> args = f_.args(v);
  CallLayout layout;
  if (!layout_call(callee_type(inst), arena_, &layout)) return fail_no_memory();
  Payload p;
  p.imm = inst.imm;
  VReg callee = kNone;
  if (inst.op == Op::kTailCallPtr) {
    callee = reg_at_use(args[0]);
    args = args.slice(1, args.size() - 1);
  }
  WRING_ASSERT(layout.param_bytes <= max(options_.tail_bytes, layout_.area_bytes()));
  if (layout.param_bytes) keeps_params_ = false;
  for (u32 i = 0; i < args.size(); i++, tick(kStepsPerArg))
    if (layout.params[i].reg == ra::kNoPReg) store_outward(args[i], layout.params[i].offset);
  fence_references(callee_type(inst).params, layout.params);
  Operands ops;
  use_fixed_values(&ops, args, layout.params);
  if (callee != kNone) ops.use_fixed(callee, kRax);  // which the epilogue leaves alone
  add_insn(callee == kNone ? Lir::kTailCall : Lir::kTailCallPtr, ops, p);
}

}  // namespace wring::x64
