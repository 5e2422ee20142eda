// SPDX-License-Identifier: GPL-2.0
// SSA construction: references and tables.
//
// A function reference is the address of the function's record, wring_vmctx::functions[index]; an exception's that of
// the exception; an external one is the host's word. Null is 0. Tables of functions hold copies of the records
// (wring_table_entry), other tables the references themselves.
#include "core/ir/builder.h"

namespace wring::ir {

namespace {
constexpr Type kI32 = Type::kI32, kI64 = Type::kI64;
}

Value Builder::function_ref(u32 func) {
  Value functions =
      load_vmctx(kI64, MemKind::k64, __builtin_offsetof(wring_vmctx, functions), true);
  return emit2(Op::kAdd, kI64, functions, constant(kI64, u64{func} * sizeof(wring_func_ref)));
}

// Only below a check that the reference is not null; the record does not change.
Value Builder::code_of_ref(Value ref) {
  Inst load = make_inst(Op::kLoadRaw, kI64, ref);
  load.aux = static_cast<u16>(MemKind::k64);
  load.imm = __builtin_offsetof(wring_func_ref, code);
  load.invariant = load.pinned = true;
  return emit(load);
}

void Builder::check_null(Value ref, TrapReason reason) {
  trap_if(emit_compare(Op::kEq, kI64, ref, constant(kI64, 0)), reason);
}

Value Builder::table_view(u32 table) {
  Value tables = load_vmctx(kI64, MemKind::k64, __builtin_offsetof(wring_vmctx, tables), true);
  return load_raw(kI64, MemKind::k64, tables, i64{table} * 8, true);
}

// An I32, whatever the type of the table's index.
Value Builder::table_size(u32 table) {
  const Limits& limits = module_.tables[table].type.limits;
  if (limits.has_max && limits.min == limits.max) return constant(kI32, limits.min);
  return load_raw(kI32, MemKind::k32U, table_view(table),
                  __builtin_offsetof(wring_table_view, size), false);
}

// The address of an entry; traps if the index is out of bounds.
Value Builder::table_slot(u32 table, Value index, TrapReason reason) {
  Value entries = load_raw(kI64, MemKind::k64, table_view(table),
                           __builtin_offsetof(wring_table_view, entries), true);
  Value size = table_size(table);
  if (type_of_value(index) == kI64) {
    trap_if(emit_compare(Op::kGeU, kI64, index, emit1(Op::kZExtI32, kI64, size)), reason);
    index = emit1(Op::kWrap, kI32, index);
  } else {
    trap_if(emit_compare(Op::kGeU, kI32, index, size), reason);
  }
  // A mispredicted check must not reach beyond the table.
  Value clamped = emit2(Op::kClampIndex, kI32, index, size);
  u64 stride = holds_functions(table) ? sizeof(wring_table_entry) : sizeof(u64);
  Value offset = emit2(Op::kMul, kI64, emit1(Op::kZExtI32, kI64, clamped), constant(kI64, stride));
  return emit2(Op::kAdd, kI64, entries, offset);
}

void Builder::table_get(u32 table) {
  Value entry = table_slot(table, pop(), TrapReason::kTableOutOfBounds);
  i64 at = holds_functions(table) ? __builtin_offsetof(wring_table_entry, ref) : 0;
  push(load_raw(kI64, MemKind::k64, entry, at, false));
}

void Builder::table_set(u32 table) {
  Value ref = pop();
  Value index = pop();
  if (holds_functions(table)) {
    Value args[] = {constant(kI32, table), wide(index), ref};
    libcall(Libcall::kTableSet, args, Type::kVoid);
    return;
  }
  Value entry = table_slot(table, index, TrapReason::kTableOutOfBounds);
  store_raw(Op::kStoreRaw, MemKind::k64, entry, 0, ref);
}

void Builder::bulk_table(const Instr& in) {
  Value args[5];
  u32 count = 0;
  switch (in.op) {
    case Opcode::kElemDrop:
      args[0] = constant(kI32, in.index);
      libcall(Libcall::kElemDrop, {args, 1}, Type::kVoid);
      return;
    case Opcode::kTableGrow: {
      args[2] = wide(pop());
      args[1] = pop();
      args[0] = constant(kI32, in.index);
      Value old = libcall(Libcall::kTableGrow, {args, 3}, kI64);
      push(module_.tables[in.index].type.limits.is_64 ? old : emit1(Op::kWrap, kI32, old));
      return;
    }
    case Opcode::kTableFill:
      args[3] = wide(pop());
      args[2] = pop();
      args[1] = wide(pop());
      args[0] = constant(kI32, in.index);
      libcall(Libcall::kTableFill, {args, 4}, Type::kVoid);
      return;
    case Opcode::kTableInit:  // the segment's indices are i32
      args[4] = pop();
      args[3] = pop();
      args[2] = wide(pop());
      args[count++] = constant(kI32, in.index2);
      args[count++] = constant(kI32, in.index);
      libcall(Libcall::kTableInit, args, Type::kVoid);
      return;
    default:  // kTableCopy
      for (u32 i = 5; i-- > 2;) args[i] = wide(pop());
      args[count++] = constant(kI32, in.index);
      args[count++] = constant(kI32, in.index2);
      libcall(Libcall::kTableCopy, args, Type::kVoid);
      return;
  }
}

Err Builder::reference(const Instr& in) {
  switch (in.op) {
    case Opcode::kRefNull: push(constant(kI64, 0)); break;
    case Opcode::kRefIsNull: push(emit_compare(Op::kEq, kI64, pop(), constant(kI64, 0))); break;
    case Opcode::kRefFunc: push(function_ref(in.index)); break;
    case Opcode::kRefAsNonNull: check_null(stack_.back(), TrapReason::kNullReference); break;
    case Opcode::kBrOnNull: {
      Value ref = pop();
      do_br_if(emit_compare(Op::kEq, kI64, ref, constant(kI64, 0)), in.index);
      push(ref);
      break;
    }
    case Opcode::kBrOnNonNull:
      do_br_if(emit_compare(Op::kNe, kI64, stack_.back(), constant(kI64, 0)), in.index);
      pop();
      break;
    case Opcode::kTableGet: table_get(in.index); break;
    case Opcode::kTableSet: table_set(in.index); break;
    case Opcode::kTableSize: {
      Value size = table_size(in.index);
      push(module_.tables[in.index].type.limits.is_64 ? emit1(Op::kZExtI32, kI64, size) : size);
      break;
    }
    case Opcode::kTableGrow:
    case Opcode::kTableFill:
    case Opcode::kTableInit:
    case Opcode::kTableCopy:
    case Opcode::kElemDrop: bulk_table(in); break;
    default:
      return diag_->fail(Err::kUnsupported, func_, in.offset, "not supported: %s",
                         info_of(in.op).text);
  }
  return Err::kOk;
}

}  // namespace wring::ir
