// SPDX-License-Identifier: GPL-2.0
// SSA construction: calls, tables, bulk memory.
#include "core/ir/builder.h"

namespace wring::ir {

namespace {
// What is worth copying into its callers: a leaf of at most this many operations besides constants, local
// accesses and block ends.
constexpr u32 kMaxInlineOps = 20;
constexpr u32 kMaxInlineBytes = 96;
constexpr u32 kMaxInlineParams = 8;
constexpr u32 kMaxInlineLocals = 16;

// The most bytes of a memory.fill or memory.copy that become single accesses.
constexpr u32 kMaxInlineFill = 64;
constexpr u32 kMaxInlineCopy = 32;
}  // namespace

// Calls with the arguments on the stack, after `first` unless that is kNone; pushes the results.
void Builder::finish_call(Op op, i64 imm, Value first, const FuncType& type) {
  u32 params = type.params.size();
  row_.clear();
  if (first != kNone) failed_ |= !row_.push(first);
  for (Value v : stack_.span().slice(stack_.size() - params, params)) failed_ |= !row_.push(v);
  if (failed_ || !stack_.resize(stack_.size() - params)) {
    failed_ = true;
    return;
  }
  Inst inst = make_inst(op, type.results.empty() ? Type::kVoid : type_of(type.results[0]));
  inst.imm = imm;
  Value v = emit_pool(inst, row_.span());
  if (!type.results.empty()) push(v);
  for (u32 i = 1; i < type.results.size(); i++) {
    Inst result = make_inst(Op::kResult, type_of(type.results[i]), v);
    result.aux = static_cast<u16>(i);
    push(emit(result));
  }
}

Err Builder::call(const Instr& in) {
  const FuncType& type = module_.func_type(in.index);
  TRY(check_types(type.params));
  TRY(check_types(type.results));
  if (module_.is_imported_function(in.index)) return call_import(in.index);
  if (inlinable(in.index)) return begin_inline(in.index);
  finish_call(Op::kCall, in.index, kNone, type);
  return Err::kOk;
}

Err Builder::call_import(u32 func) {
  const FuncType& type = module_.func_type(func);
  const FunctionBinding& binding = context_.bindings->functions[func];
  switch (binding.kind) {
    case BindingKind::kWasm: {
      Value slots =
          load_vmctx(Type::kI64, MemKind::k64, __builtin_offsetof(wring_vmctx, imports), true);
      i64 slot = i64{func} * static_cast<i64>(sizeof(wring_import_slot)) +
                 static_cast<i64>(__builtin_offsetof(wring_import_slot, code));
      Value code = load_raw(Type::kI64, MemKind::k64, slots, slot, true);
      finish_call(Op::kCallPtr, module_.functions[func].type, code, type);
      return Err::kOk;
    }
    case BindingKind::kConstant:
      if (!type.params.empty() || type.results.size() != 1 || type.results[0] != ValType::kI32)
        return diag_->fail(Err::kLink, func_, origin_,
                           "constant import %u is not a function () -> i32", func);
      push(constant(Type::kI32, binding.value));
      return Err::kOk;
    case BindingKind::kIntrinsic: return intrinsic(func, binding);
    case BindingKind::kHost: break;
  }
  if (type.results.size() > 1)
    return diag_->fail(Err::kUnsupported, func_, origin_,
                       "not supported yet: host function with several results");
  finish_call(Op::kCallHost, func, kNone, type);
  if (binding.may_trap) check_host_error();
  return Err::kOk;
}

// After a call of C code that may have recorded a trap: leaves if it has.
void Builder::check_host_error() {
  Value reason =
      load_vmctx(Type::kI32, MemKind::k32U, __builtin_offsetof(wring_vmctx, trap_reason), false);
  trap_if(emit_compare(Op::kNe, Type::kI32, reason, constant(Type::kI32, 0)),
          TrapReason::kHostError);
}

void Builder::libcall(Libcall call, Span<const Value> args, Type result) {
  Inst inst = make_inst(Op::kCallLib, result);
  inst.imm = static_cast<i64>(call);
  Value v = emit_pool(inst, args);
  if (result != Type::kVoid) push(v);
  if (libcall_may_trap(call)) check_host_error();
}

Value Builder::table_view(u32 table) {
  Value tables =
      load_vmctx(Type::kI64, MemKind::k64, __builtin_offsetof(wring_vmctx, tables), true);
  return load_raw(Type::kI64, MemKind::k64, tables, i64{table} * 8, true);
}

Value Builder::table_size(u32 table) {
  const Limits& limits = module_.tables[table].type.limits;
  if (limits.has_max && limits.min == limits.max) return constant(Type::kI32, limits.min);
  return load_raw(Type::kI32, MemKind::k32U, table_view(table),
                  __builtin_offsetof(wring_table_view, size), false);
}

Err Builder::call_indirect(const Instr& in) {
  const FuncType& type = module_.types[in.index];
  TRY(check_types(type.params));
  TRY(check_types(type.results));
  Value index = pop();
  Value view = table_view(in.index2);
  Value entries =
      load_raw(Type::kI64, MemKind::k64, view, __builtin_offsetof(wring_table_view, entries), true);
  Value size = table_size(in.index2);
  trap_if(emit_compare(Op::kGeU, Type::kI32, index, size), TrapReason::kUndefinedElement);
  // A mispredicted check must not reach beyond the table.
  Value clamped = emit2(Op::kClampIndex, Type::kI32, index, size);
  static_assert(sizeof(wring_table_entry) == 16);
  Value offset = emit2(Op::kShl, Type::kI64, emit1(Op::kZExtI32, Type::kI64, clamped),
                       constant(Type::kI64, 4));
  Value entry = emit2(Op::kAdd, Type::kI64, entries, offset);
  Value id = load_raw(Type::kI64, MemKind::k64, entry,
                      __builtin_offsetof(wring_table_entry, type_id), false);
  Value wrong =
      emit_compare(Op::kNe, Type::kI64, id, constant(Type::kI64, context_.type_ids[in.index]));

  BlockId from = block_;
  BlockId go_on = new_block();
  BlockId mismatch = new_block();
  if (failed_) return Err::kOk;
  emit(make_inst(Op::kBranch, Type::kVoid, wrong));
  edge(from, mismatch);
  edge(from, go_on);
  start_block(mismatch);
  trap_if(emit_compare(Op::kEq, Type::kI64, id, constant(Type::kI64, 0)),
          TrapReason::kUninitializedElement);
  Inst trap = make_inst(Op::kTrap, Type::kVoid);
  trap.aux = static_cast<u16>(TrapReason::kIndirectCallType);
  end_with(trap);
  start_block(go_on);
  Value code =
      load_raw(Type::kI64, MemKind::k64, entry, __builtin_offsetof(wring_table_entry, code), false);
  finish_call(Op::kCallPtr, in.index, code, type);
  return Err::kOk;
}

Err Builder::bulk(const Instr& in) {
  constexpr Type kI32 = Type::kI32;
  Value args[5];
  u32 count = 0;
  Libcall lib;
  switch (in.op) {
    case Opcode::kMemorySize: {
      Value memory =
          load_vmctx(Type::kI64, MemKind::k64, __builtin_offsetof(wring_vmctx, memory), true);
      Value bytes = load_raw(Type::kI64, MemKind::k64, memory,
                             __builtin_offsetof(wring_memory_view, bytes), false);
      Value pages = emit2(Op::kShrU, Type::kI64, bytes, constant(Type::kI64, 16));
      push(emit1(Op::kWrap, kI32, pages));
      return Err::kOk;
    }
    case Opcode::kTableSize: push(table_size(in.index)); return Err::kOk;
    case Opcode::kMemoryGrow:
      args[0] = pop();
      libcall(Libcall::kMemoryGrow, {args, 1}, kI32);
      return Err::kOk;
    case Opcode::kDataDrop:
    case Opcode::kElemDrop:
      args[0] = constant(kI32, in.index);
      libcall(in.op == Opcode::kDataDrop ? Libcall::kDataDrop : Libcall::kElemDrop, {args, 1},
              Type::kVoid);
      return Err::kOk;
    case Opcode::kMemoryFill: lib = Libcall::kMemoryFill; break;
    case Opcode::kMemoryCopy: lib = Libcall::kMemoryCopy; break;
    case Opcode::kMemoryInit:
      lib = Libcall::kMemoryInit;
      args[count++] = constant(kI32, in.index);
      break;
    case Opcode::kTableInit:
      lib = Libcall::kTableInit;
      args[count++] = constant(kI32, in.index2);
      args[count++] = constant(kI32, in.index);
      break;
    case Opcode::kTableCopy:
      lib = Libcall::kTableCopy;
      args[count++] = constant(kI32, in.index);
      args[count++] = constant(kI32, in.index2);
      break;
    default: return unsupported(in);
  }
  // The last three arguments are the instruction's operands.
  for (u32 i = 3; i-- > 0;) args[count + i] = pop();
  if (in.op == Opcode::kMemoryFill && small_fill(args[0], args[1], args[2])) return Err::kOk;
  if (in.op == Opcode::kMemoryCopy && small_copy(args[0], args[1], args[2])) return Err::kOk;
  libcall(lib, {args, count + 3}, Type::kVoid);
  return Err::kOk;
}

namespace {

// One access of a copy or fill in line: the largest power of two up to 8 that is left of `bytes`.
u32 piece_of(u32 bytes) { return bytes >= 8 ? 8 : bytes >= 4 ? 4 : bytes >= 2 ? 2 : 1; }
MemKind kind_of(u32 bytes) {
  return bytes == 8   ? MemKind::k64
         : bytes == 4 ? MemKind::k32U
         : bytes == 2 ? MemKind::k16U
                      : MemKind::k8U;
}

}  // namespace

Value Builder::access(Op op, u32 bytes, Value address, u32 offset, Value value) {
  Inst inst = op == Op::kLoad ? make_inst(op, Type::kI64, address)
                              : make_inst(op, Type::kVoid, address, value);
  inst.aux = static_cast<u16>(kind_of(bytes));
  inst.imm = offset;
  inst.operand_type = op == Op::kLoad ? Type::kVoid : Type::kI64;
  return emit(inst);
}

// Fills and copies of a small constant size become stores and loads. Nothing may be written if any byte is out of
// bounds: so the loads come first, and the store of the last bytes before the other stores.
bool Builder::small_fill(Value to, Value byte, Value size) {
  u64 n;
  if (!is_const(size, &n) || n == 0 || n > kMaxInlineFill) return false;
  Value wide = emit1(Op::kZExtI32, Type::kI64,
                     emit2(Op::kAnd, Type::kI32, byte, constant(Type::kI32, 0xff)));
  wide = emit2(Op::kMul, Type::kI64, wide, constant(Type::kI64, 0x0101'0101'0101'0101));
  for (u32 left = static_cast<u32>(n); left > 0;) {
    u32 bytes = piece_of(left);
    left -= bytes;
    access(Op::kStore, bytes, to, left, wide);
  }
  return true;
}

bool Builder::small_copy(Value to, Value from, Value size) {
  u64 n;
  if (!is_const(size, &n) || n == 0 || n > kMaxInlineCopy) return false;
  Value pieces[kMaxInlineCopy / 8 + 3];  // eights, then at most a four, a two and a one
  u32 count = 0;
  for (u32 left = static_cast<u32>(n); left > 0;) {
    u32 bytes = piece_of(left);
    left -= bytes;
    pieces[count++] = access(Op::kLoad, bytes, from, left, kNone);
  }
  count = 0;
  for (u32 left = static_cast<u32>(n); left > 0;) {
    u32 bytes = piece_of(left);
    left -= bytes;
    access(Op::kStore, bytes, to, left, pieces[count++]);
  }
  return true;
}

// Whether the function is a small leaf without loops, of instructions and types that can be compiled.
bool Builder::inlinable(u32 func) {
  const wring::Function& callee = module_.functions[func];
  const FuncType& type = module_.types[callee.type];
  if (func_ != f_->index || callee.body.size() > kMaxInlineBytes ||
      type.params.size() > kMaxInlineParams)
    return false;
  u32 pos = callee.body.begin;
  u32 locals = type.params.size();
  u32 runs = local_run_count(module_.bytes, &pos);
  for (u32 i = 0; i < runs; i++) {
    LocalRun run = next_local_run(module_.bytes, &pos);
    if (run.count > kMaxInlineLocals || (run.type != ValType::kI32 && run.type != ValType::kI64))
      return false;
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
      case Opcode::kEnd:
      case Opcode::kDrop:
      case Opcode::kNop: continue;
      case Opcode::kCall:
        // Host operations that expand in line or cost a call anyway.
        if (!module_.is_imported_function(in.index)) return false;
        break;
      case Opcode::kLoop:
      case Opcode::kBrTable:
      case Opcode::kCallIndirect: return false;
      default: break;
    }
    if (++ops > kMaxInlineOps) return false;
    // Leaves what the builder refuses to the callee's own compilation, where the error belongs.
    for (const char* s = info_of(in.op).signature; *s && *s != '@'; s++)
      if (*s == 'f' || *s == 'F' || *s == 'v') return false;
  }
  return true;
}

// Goes on reading at the callee's body, with the arguments as its first locals; do_end comes back.
Err Builder::begin_inline(u32 func) {
  const FuncType& type = module_.func_type(func);
  u32 params = type.params.size();
  TRY(push_frame(FrameKind::kInline, params, type.results.size()));
  Frame& frame = frames_.back();
  frame.func = func_;
  frame.pos = pos_;
  frame.end = end_;
  body_frame_ = frames_.size() - 1;
  local_base_ = own_locals_;
  while (locals_.size() < local_base_ + params)
    if (!locals_.add_local(0)) return diag_->no_memory();
  for (u32 i = params; i-- > 0;) failed_ |= !locals_.set(local_base_ + i, pop());
  return begin_locals(func, params);
}

}  // namespace wring::ir
