// SPDX-License-Identifier: GPL-2.0
// Lowering of parameters, calls and returns: what goes into which register or stack place (x64.h).
#include "core/x64/lower.h"

namespace wring::x64 {

using ir::Type;
using ir::Value;

// Chains each call's Result instructions, so that the call knows which of its results are needed.
void Lowering::link_results() {
  for (const ir::Block& block : f_.blocks)
    for (Value v : block.insts) {
      if (at(v).op != Op::kResult) continue;
      if (!next_result_.data()) {
        next_result_ = arena_->make_array<u32>(f_.insts.size());
        if (!next_result_.data()) return fail_no_memory();
        for (u32& next : next_result_) next = kNone;
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
  for (Value v : f_.blocks[0].insts) {
    if (at(v).op != Op::kParam || !is_needed(v)) continue;
    if (at(v).aux < kArgRegCount) regs.def_fixed(result(v), kArgRegs[at(v).aux]);
  }
  add_insn(Lir::kParams, regs);
  if (options_.consume_fuel) {
    Payload p;
    p.imm = 1;
    add_insn(Lir::kFuel, Operands(), p);
  }
  for (Value v : f_.blocks[0].insts) {
    if (at(v).op != Op::kParam || !is_needed(v) || at(v).aux < kArgRegCount) continue;
    Payload p;
    p.imm = at(v).aux - kArgRegCount;
    p.size = size_of(v);  // also re-extends an i32
    add_insn(Lir::kLoadParam, Operands().def(result(v)), p);
  }
  end_tile();
}

// Passes `v` as stack argument `index` of the call being lowered.
void Lowering::store_arg(Value v, u32 index) {
  Payload p;
  i64 c;
  if (is_const(v, &c) && fits_i32(c) && may_inline(c)) {
    p.index = static_cast<u16>(index);
    p.imm = c;
    return add_insn(Lir::kStoreArgImm, Operands(), p);
  }
  p.index = static_cast<u16>(index);
  VReg value = reg(v);
  add_insn(Lir::kStoreArg, Operands().use(value), p);
}

void Lowering::lower_call(Value v) {
  const ir::Inst& inst = at(v);
  Span<Value> args = f_.args(v);
  bool to_host = inst.op == Op::kCallHost || inst.op == Op::kCallLib;
  const Reg* arg_regs = to_host ? kHostArgRegs : kArgRegs;
  u32 arg_reg_count = to_host ? kHostArgRegCount : kArgRegCount;
  u32 first = inst.op == Op::kCallPtr ? 1 : 0;  // argument 0 is the callee
  u32 in_regs = min(args.size() - first, arg_reg_count);
  u32 on_stack = args.size() - first - in_regs;

  Payload p;
  p.imm = inst.imm;
  Source callee;
  if (inst.op == Op::kCallPtr) {
    bool through_memory = !target_.retpoline && fold_load(args[0], Size::k64, &callee.mem);
    callee.kind = through_memory ? Src::kMem : Src::kOperand;
    callee.value = args[0];
  } else if (inst.op == Op::kCallHost) {
    p.imm = static_cast<i64>(bindings_.functions[static_cast<u32>(inst.imm)].address);
  } else if (inst.op == Op::kCallLib) {
    p.imm = static_cast<i64>(libcall_address(static_cast<Libcall>(inst.imm)));
  }

  for (u32 i = 0; i < on_stack; i++) store_arg(args[first + in_regs + i], i);
  VReg values[kArgRegCount];
  fixed_values(args.slice(first, in_regs), values);

  Operands ops;
  if (inst.type != Type::kVoid && is_needed(v)) {
    ops.def_fixed(result(v), kResultRegs[0]);
    p.flag = to_host && inst.type == Type::kI32;
  }
  Value first_result = next_result_.empty() ? kNone : next_result_[v];
  for (Value r = first_result; r != kNone; r = next_result_[r])
    if (at(r).aux < kResultRegCount && is_needed(r))
      ops.def_fixed(result(r), kResultRegs[at(r).aux]);
  for (u32 i = 0; i < in_regs; i++) ops.use_fixed(values[i], arg_regs[i]);
  if (inst.op == Op::kCallPtr) {
    p.src = callee.kind;
    if (callee.kind == Src::kMem) {
      add_address(&ops, &p, callee.mem);
    } else {
      p.mem.operand = ops.count();
      ops.use(reg(callee.value));
    }
  }
  add_insn(inst.op == Op::kCall      ? Lir::kCall
           : inst.op == Op::kCallPtr ? Lir::kCallPtr
                                     : Lir::kCallHost,
           ops, p);

  u32 stack_results = 0;
  if (!to_host) {
    const FuncType& type = inst.op == Op::kCall ? f_.module->func_type(static_cast<u32>(inst.imm))
                                                : f_.module->types[static_cast<u32>(inst.imm)];
    if (type.results.size() > kResultRegCount)
      stack_results = type.results.size() - kResultRegCount;
  }
  load_stack_results(first_result, on_stack);
  out_->outgoing_bytes = max(out_->outgoing_bytes, 8 * (on_stack + stack_results));
  out_->has_calls = true;
}

// `first`: of the call's chain of Results. Stack results lie above the stack arguments.
void Lowering::load_stack_results(Value first, u32 stack_args) {
  for (Value r = first; r != kNone; r = next_result_[r]) {
    if (at(r).aux < kResultRegCount || !is_needed(r)) continue;
    Payload p;
    p.imm = 8 * (i64{stack_args} + at(r).aux - kResultRegCount);
    add_insn(Lir::kLoadResult, Operands().def(result(r)), p);
  }
}

// Registers for values that are needed in fixed places, no two alike.
void Lowering::fixed_values(Span<const Value> values, VReg* out) {
  for (u32 i = 0; i < values.size(); i++) {
    out[i] = reg_at_use(values[i]);
    for (u32 j = 0; j < i; j++) {
      if (out[j] != out[i]) continue;
      VReg copy = new_vreg();
      add_insn(Lir::kCopy, Operands().def(copy).use_any(out[i]));
      out[i] = copy;
      break;
    }
  }
}

void Lowering::lower_return(Value v) {
  Span<Value> results = f_.args(v);
  u32 in_regs = min(results.size(), kResultRegCount);
  u32 params = f_.module->func_type(f_.index).params.size();
  u32 stack_params = params > kArgRegCount ? params - kArgRegCount : 0;
  for (u32 i = in_regs; i < results.size(); i++) {
    Payload p;
    p.imm = 8 * (i64{stack_params} + i - kResultRegCount);
    VReg value = reg_at_use(results[i]);
    add_insn(Lir::kStoreResult, Operands().use(value), p);
  }
  VReg values[kResultRegCount];
  fixed_values(results.slice(0, in_regs), values);
  Operands ops;
  for (u32 i = 0; i < in_regs; i++) ops.use_fixed(values[i], kResultRegs[i]);
  add_insn(Lir::kReturn, ops);
}

}  // namespace wring::x64
