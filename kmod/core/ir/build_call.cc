// SPDX-License-Identifier: GPL-2.0
// SSA construction: calls of every kind, tail calls, inlining.
#include "core/ir/builder.h"

namespace wring::ir {

namespace {
// What is worth copying into its callers: a leaf of at most this many operations besides constants, local
// accesses and block ends.
constexpr u32 kMaxInlineOps = 40;
constexpr u32 kMaxInlineBytes = 160;
constexpr u32 kMaxInlineParams = 8;
constexpr u32 kMaxInlineLocals = 16;
// What all callees together may add to a function: so much, or some times its own size if that is more. A call takes
// two bytes; hostile code could make eighty times as many of them otherwise.
constexpr u32 kMaxInlinedBytes = 16 * 1024;
constexpr u32 kMaxInlinedTimes = 4;
}  // namespace

// Moves the arguments on the stack to row_, after `first` unless that is kNone.
void Builder::take_arguments(Value first, u32 count) {
  row_.clear();
  if (first != kNone) failed_ |= !row_.push(first);
  for (Value v : paced(stack_.span().slice(stack_.size() - count, count))) failed_ |= !row_.push(v);
  failed_ |= !stack_.resize(stack_.size() - count);
}

void Builder::push_results(Value call, Span<const ValType> types) {
  if (types.empty()) return;
  push(call);
  for (u32 i = 1; i < types.size(); i++, tick()) {
    Inst result = make_inst(Op::kResult, type_of(types[i]), call);
    result.aux = static_cast<u16>(i);
    push(emit(result));
  }
  work_ += (types.size() - 1) * u64{kSsaPhiWork};
}

void Builder::tail_call(Op op, i64 imm, Value first, u32 params) {
  take_arguments(first, params);
  Inst inst = make_inst(op, Type::kVoid);
  inst.imm = imm;
  emit_pool(inst, row_.span());
  live_ = false;
}

Err Builder::call(u32 func, bool is_tail) {
  const FuncType& type = module_.func_type(func);
  if (module_.is_imported_function(func)) return call_import(func, is_tail);
  if (inlinable(func)) return begin_inline(func, is_tail);
  if (is_tail) {
    tail_call(Op::kTailCall, func, kNone, type.params.size());
    return Err::kOk;
  }
  take_arguments(kNone, type.params.size());
  Inst inst = make_inst(Op::kCall, type.results.empty() ? Type::kVoid : type_of(type.results[0]));
  inst.imm = func;
  push_results(emit_pool(inst, row_.span()), type.results);
  if (may_throw(func)) check_exception();
  return Err::kOk;
}

// Calls code whose signature is known to be right.
void Builder::call_code(Value code, u32 index, bool may_throw, bool is_tail) {
  const FuncType& type = module_.types[index];
  if (is_tail) return tail_call(Op::kTailCallPtr, index, code, type.params.size());
  take_arguments(code, type.params.size());
  Inst inst =
      make_inst(Op::kCallPtr, type.results.empty() ? Type::kVoid : type_of(type.results[0]));
  inst.imm = index;
  push_results(emit_pool(inst, row_.span()), type.results);
  if (may_throw) check_exception();
}

Err Builder::call_import(u32 func, bool is_tail) {
  const FuncType& type = module_.func_type(func);
  const FunctionBinding& binding = context_.bindings->functions[func];
  switch (binding.kind) {
    case BindingKind::kWasm: {
      Value functions =
          load_vmctx(Type::kI64, MemKind::k64, __builtin_offsetof(wring_vmctx, functions), true);
      i64 at = i64{func} * static_cast<i64>(sizeof(wring_func_ref)) +
               static_cast<i64>(__builtin_offsetof(wring_func_ref, code));
      Value code = load_raw(Type::kI64, MemKind::k64, functions, at, true);
      call_code(code, module_.functions[func].type, may_throw(func), is_tail);
      return Err::kOk;
    }
    case BindingKind::kConstant:
      if (!type.params.empty() || type.results.size() != 1 || type.results[0] != ValType::kI32)
        return diag_->fail(Err::kLink, func_, origin_,
                           "constant import %u is not a function () -> i32", func);
      push(constant(Type::kI32, binding.value));
      break;
    case BindingKind::kIntrinsic: TRY(intrinsic(func, binding)); break;
    case BindingKind::kHost: TRY(call_host(func, binding.may_trap)); break;
  }
  if (is_tail) leave();
  return Err::kOk;
}

// Calls the C function an import is bound to. Floats and vectors are passed as their bits in integers: a v128 as two
// words, low and high, both ways.
Err Builder::call_host(u32 func, bool may_trap) {
  const FuncType& type = module_.func_type(func);
  if (type.results.size() > 1)
    return diag_->fail(Err::kUnsupported, func_, origin_,
                       "not supported: host function with several results");
  u32 params = type.params.size();
  row_.clear();
  for (u32 i = 0; i < params; i++) {
    Value v = stack_[stack_.size() - params + i];
    switch (type_of_value(v)) {
      case Type::kF32: v = emit1(Op::kBitcast, Type::kI32, v); break;
      case Type::kF64: v = emit1(Op::kBitcast, Type::kI64, v); break;
      case Type::kV128:
        failed_ |= !row_.push(low_word(v));
        v = high_word(v);
        break;
      default: break;
    }
    failed_ |= !row_.push(v);
  }
  if (!stack_.resize(stack_.size() - params) || failed_) return diag_->no_memory();
  Type result = type.results.empty() ? Type::kVoid : type_of(type.results[0]);
  Type word = result == Type::kF32                            ? Type::kI32
              : result == Type::kF64 || result == Type::kV128 ? Type::kI64
                                                              : result;
  Inst inst = make_inst(Op::kCallHost, word);
  inst.imm = func;
  Value v = emit_pool(inst, row_.span());
  if (result == Type::kV128) {
    Inst high = make_inst(Op::kResult, Type::kI64, v);
    high.aux = 1;
    v = vector_of_words(v, emit(high));
  } else if (word != result) {
    v = emit1(Op::kBitcast, result, v);
  }
  if (result != Type::kVoid) push(v);
  if (may_trap) check_host_error();
  return Err::kOk;
}

// After a call of C code that may have recorded a trap: leaves if it has.
void Builder::check_host_error() {
  Value reason =
      load_vmctx(Type::kI32, MemKind::k32U, __builtin_offsetof(wring_vmctx, trap_reason), false);
  trap_if(emit_compare(Op::kNe, Type::kI32, reason, constant(Type::kI32, 0)),
          TrapReason::kHostError);
}

Value Builder::libcall(Libcall call, Span<const Value> args, Type result) {
  Inst inst = make_inst(Op::kCallLib, result);
  inst.imm = static_cast<i64>(call);
  Value v = emit_pool(inst, args);
  if (libcall_may_trap(call)) check_host_error();
  return v;
}

void Builder::call_indirect(const Instr& in, bool is_tail) {
  Value entry = table_slot(in.index2, pop(), TrapReason::kUndefinedElement);
  Value id = load_raw(Type::kI64, MemKind::k64, entry,
                      __builtin_offsetof(wring_table_entry, type_id), false);
  Value wrong =
      emit_compare(Op::kNe, Type::kI64, id, constant(Type::kI64, context_.type_ids[in.index]));

  BlockId from = block_;
  BlockId go_on = new_block();
  BlockId mismatch = new_block();
  if (failed_) return;
  emit(make_inst(Op::kBranch, Type::kVoid, wrong));
  edge(from, mismatch);
  edge(from, go_on);
  start_block(mismatch);
  trap_if(emit_compare(Op::kEq, Type::kI64, id, constant(Type::kI64, 0)),
          TrapReason::kUninitializedElement);
  trap(TrapReason::kIndirectCallType);
  start_block(go_on);
  Value code =
      load_raw(Type::kI64, MemKind::k64, entry, __builtin_offsetof(wring_table_entry, code), false);
  // What another type's function takes for a reference, or its caller for an i32, could be any number.
  code = match_or_null(code, id, constant(Type::kI64, context_.type_ids[in.index]));
  call_code(code, in.index, context_.indirect_may_throw, is_tail);
}

void Builder::call_ref(u32 type, bool is_tail) {
  Value ref = pop();
  check_null(ref, TrapReason::kNullFunction);
  call_code(code_of_ref(ref), type, context_.indirect_may_throw, is_tail);
}

// Whether the function is a small leaf without loops and without ways out other than returning.
bool Builder::inlinable(u32 func) {
  const wring::Function& callee = module_.functions[func];
  const FuncType& type = module_.types[callee.type];
  if (func_ != f_->index || callee.body.size() > kMaxInlineBytes ||
      type.params.size() > kMaxInlineParams)
    return false;
  u32 most = max(kMaxInlinedBytes, kMaxInlinedTimes * module_.functions[func_].body.size());
  if (inlined_bytes_ + callee.body.size() > most) return false;
  u32 pos = callee.body.begin;
  u32 locals = type.params.size();
  u32 runs = local_run_count(module_.bytes, &pos);
  for (u32 i = 0; i < runs; i++) {
    LocalRun run = next_local_run(module_.bytes, &pos);
    if (run.count > kMaxInlineLocals) return false;
    locals += run.count;
  }
  if (locals > kMaxInlineLocals) return false;
  u32 ops = 0;
  Diag ignored;
  while (pos < callee.body.end) {
    Instr in;
    if (decode_instr(module_.bytes, pos, callee.body.end, func, &in, &ignored) != Err::kOk)
      return false;
    pos = in.next;
    switch (in.op) {
      case Opcode::kLocalGet:
      case Opcode::kLocalSet:
      case Opcode::kLocalTee:
      case Opcode::kI32Const:
      case Opcode::kI64Const:
      case Opcode::kF32Const:
      case Opcode::kF64Const:
      case Opcode::kV128Const:
      case Opcode::kEnd:
      case Opcode::kDrop:
      case Opcode::kNop: continue;
      case Opcode::kCall:
        // Host operations that expand in line or cost a call anyway.
        if (!module_.is_imported_function(in.index)) return false;
        break;
      case Opcode::kLoop:
      case Opcode::kBrTable:
      case Opcode::kTryTable:
      case Opcode::kThrow:
      case Opcode::kThrowRef:
      case Opcode::kCallIndirect:
      case Opcode::kCallRef:
      case Opcode::kReturnCall:
      case Opcode::kReturnCallIndirect:
      case Opcode::kReturnCallRef: return false;
      default: break;
    }
    if (++ops > kMaxInlineOps) return false;
  }
  return true;
}

// Goes on reading at the callee's body, with the arguments as its first locals; do_end comes back.
Err Builder::begin_inline(u32 func, bool is_tail) {
  const FuncType& type = module_.func_type(func);
  u32 params = type.params.size();
  TRY(push_frame(FrameKind::kInline, params, type.results.size()));
  Frame& frame = frames_.back();
  frame.func = func_;
  frame.pos = pos_;
  frame.end = end_;
  frame.is_tail = is_tail;
  frame.outer_try = try_;
  if (is_tail) try_ = kNone;  // the caller's frame, with its handlers, is as good as gone
  body_frame_ = frames_.size() - 1;
  inlined_bytes_ += module_.functions[func].body.size();
  local_base_ = own_locals_;
  while (locals_.size() < local_base_ + params)
    if (!locals_.add_local(0)) return diag_->no_memory();
  for (u32 i = params; i-- > 0; tick()) failed_ |= !locals_.set(local_base_ + i, pop());
  return begin_locals(func, params);
}

}  // namespace wring::ir
