// SPDX-License-Identifier: GPL-2.0
// SSA construction: integer instructions, select, globals, and what all instructions share.
#include "core/ir/builder.h"

namespace wring::ir {

namespace {

// Wasm lists comparisons and binary operations in the same order for both integer types.
constexpr Op kCompares[] = {Op::kEq,  Op::kNe,  Op::kLtS, Op::kLtU, Op::kGtS,
                            Op::kGtU, Op::kLeS, Op::kLeU, Op::kGeS, Op::kGeU};
constexpr Op kBinaries[] = {Op::kAdd,  Op::kSub,  Op::kMul,  Op::kDivS, Op::kDivU,
                            Op::kRemS, Op::kRemU, Op::kAnd,  Op::kOr,   Op::kXor,
                            Op::kShl,  Op::kShrS, Op::kShrU, Op::kRotl, Op::kRotr};

constexpr u32 distance(Opcode from, Opcode to) {
  return static_cast<u32>(to) - static_cast<u32>(from);
}
static_assert(distance(Opcode::kI32Eq, Opcode::kI32GeU) == 9);
static_assert(distance(Opcode::kI64Eq, Opcode::kI64GeU) == 9);
static_assert(distance(Opcode::kI32Add, Opcode::kI32Rotr) == 14);
static_assert(distance(Opcode::kI64Add, Opcode::kI64Rotr) == 14);

constexpr bool within(Opcode op, Opcode first, Opcode last) { return op >= first && op <= last; }

}  // namespace

void Builder::binary(Op op, Type type) {
  Value b = pop();
  Value a = pop();
  push(emit2(op, type, a, b));
}

void Builder::unary(Op op, Type type) { push(emit1(op, type, pop())); }

void Builder::compare(Op op, Type operand_type) {
  Value b = pop();
  Value a = pop();
  push(emit_compare(op, operand_type, a, b));
}

// Division traps by explicit checks, left out where the divisor is a constant that cannot cause the trap. What a
// check guards is pinned below it.
void Builder::divide(Op op, Type type) {
  Value b = pop();
  Value a = pop();
  u64 minus_one = static_cast<u64>(normalize(type, ~u64{0}));
  u64 divisor;
  bool known = is_const(b, &divisor);
  Inst inst = make_inst(op, type, a, b);
  if (!known || divisor == 0) {
    trap_if(emit_compare(Op::kEq, type, b, constant(type, 0)), TrapReason::kIntegerDivideByZero);
    inst.pinned = true;
  }
  if (op == Op::kDivS && (!known || divisor == minus_one)) {
    u64 lowest = type == Type::kI32 ? u64{1} << 31 : u64{1} << 63;
    Value overflow = emit_compare(Op::kEq, type, a, constant(type, lowest));
    if (!known) {
      Value is_minus_one = emit_compare(Op::kEq, type, b, constant(type, minus_one));
      overflow = emit2(Op::kAnd, Type::kI32, overflow, is_minus_one);
    }
    trap_if(overflow, TrapReason::kIntegerOverflow);
    inst.pinned = true;
  }
  push(emit(inst));
}

Value Builder::load_raw(Type type, MemKind kind, Value address, i64 displacement, bool invariant) {
  Inst inst = make_inst(Op::kLoadRaw, type, address);
  inst.aux = static_cast<u16>(kind);
  inst.imm = displacement;
  inst.invariant = invariant;
  return emit(inst);
}

Value Builder::load_vmctx(Type type, MemKind kind, usize offset, bool invariant) {
  return load_raw(type, kind, vmctx(), static_cast<i64>(offset), invariant);
}

void Builder::store_raw(Op op, MemKind kind, Value address, i64 displacement, Value value) {
  Inst inst = make_inst(op, Type::kVoid, address, value);
  inst.aux = static_cast<u16>(kind);
  inst.imm = displacement;
  inst.operand_type = type_of_value(value);
  emit(inst);
}

void Builder::trap_if(Value condition, TrapReason reason) {
  Inst inst = make_inst(Op::kTrapIf, Type::kVoid, condition);
  inst.aux = static_cast<u16>(reason);
  emit(inst);
}

void Builder::trap(TrapReason reason) {
  Inst inst = make_inst(Op::kTrap, Type::kVoid);
  inst.aux = static_cast<u16>(reason);
  end_with(inst);
}

Value Builder::global_cell(u32 index) {
  Value cells =
      load_vmctx(Type::kI64, MemKind::k64, __builtin_offsetof(wring_vmctx, globals), true);
  return load_raw(Type::kI64, MemKind::k64, cells, i64{index} * 8, true);
}

// The value of an immutable global that the module itself defines as a constant, or kNone.
Value Builder::constant_global(u32 index) {
  const Global& global = module_.globals[index];
  if (global.type.is_mutable || index < module_.imported_globals) return kNone;
  Instr in;
  Diag ignored;
  if (decode_instr(module_.bytes, global.init.begin, global.init.end, kNone, &in, &ignored) !=
      Err::kOk)
    return kNone;
  if (in.next + 1 != global.init.end) return kNone;  // an operand of an extended expression
  switch (in.op) {
    case Opcode::kI32Const:
    case Opcode::kI64Const:
    case Opcode::kF32Const:
    case Opcode::kF64Const: return constant(type_of(global.type.type), static_cast<u64>(in.value));
    case Opcode::kV128Const: return vector_constant(in.list);
    case Opcode::kRefNull: return constant(Type::kI64, 0);
    case Opcode::kRefFunc: return function_ref(in.index);
    default: return kNone;
  }
}

namespace {
MemKind cell_kind(Type type) {
  switch (type) {
    case Type::kI32:
    case Type::kF32: return MemKind::k32U;
    case Type::kV128: return MemKind::k128;
    default: return MemKind::k64;
  }
}
}  // namespace

void Builder::global_get(u32 index) {
  Value known = constant_global(index);
  if (known != kNone) return push(known);
  const GlobalType& global = module_.globals[index].type;
  Type type = type_of(global.type);
  push(load_raw(type, cell_kind(type), global_cell(index), 0, !global.is_mutable));
}

void Builder::global_set(u32 index) {
  Value value = pop();
  store_raw(Op::kStoreRaw, cell_kind(type_of_value(value)), global_cell(index), 0, value);
}

void Builder::select() {
  Value condition = pop();
  Value b = pop();
  Value a = pop();
  push(emit(make_inst(Op::kSelect, type_of_value(a), condition, a, b)));
}

bool Builder::integer_operation(Opcode op) {
  constexpr Type kI32 = Type::kI32, kI64 = Type::kI64;
  constexpr Type kTypes[] = {kI32, kI64};
  for (Type type : kTypes) {
    bool is32 = type == kI32;
    Opcode first_compare = is32 ? Opcode::kI32Eq : Opcode::kI64Eq;
    Opcode first_binary = is32 ? Opcode::kI32Add : Opcode::kI64Add;
    if (within(op, first_compare, is32 ? Opcode::kI32GeU : Opcode::kI64GeU)) {
      compare(kCompares[distance(first_compare, op)], type);
      return true;
    }
    if (within(op, first_binary, is32 ? Opcode::kI32Rotr : Opcode::kI64Rotr)) {
      Op ir_op = kBinaries[distance(first_binary, op)];
      if (ir_op >= Op::kDivS && ir_op <= Op::kRemU)
        divide(ir_op, type);
      else
        binary(ir_op, type);
      return true;
    }
  }
  switch (op) {
    case Opcode::kI32Eqz: push(emit_compare(Op::kEq, kI32, pop(), constant(kI32, 0))); break;
    case Opcode::kI64Eqz: push(emit_compare(Op::kEq, kI64, pop(), constant(kI64, 0))); break;
    case Opcode::kI32Clz: unary(Op::kClz, kI32); break;
    case Opcode::kI32Ctz: unary(Op::kCtz, kI32); break;
    case Opcode::kI32Popcnt: unary(Op::kPopcnt, kI32); break;
    case Opcode::kI64Clz: unary(Op::kClz, kI64); break;
    case Opcode::kI64Ctz: unary(Op::kCtz, kI64); break;
    case Opcode::kI64Popcnt: unary(Op::kPopcnt, kI64); break;
    case Opcode::kI32WrapI64: unary(Op::kWrap, kI32); break;
    case Opcode::kI64ExtendI32S: unary(Op::kSExtI32, kI64); break;
    case Opcode::kI64ExtendI32U: unary(Op::kZExtI32, kI64); break;
    case Opcode::kI32Extend8S: unary(Op::kSExt8, kI32); break;
    case Opcode::kI32Extend16S: unary(Op::kSExt16, kI32); break;
    case Opcode::kI64Extend8S: unary(Op::kSExt8, kI64); break;
    case Opcode::kI64Extend16S: unary(Op::kSExt16, kI64); break;
    case Opcode::kI64Extend32S: unary(Op::kSExt32, kI64); break;
    default: return false;
  }
  return true;
}

Err Builder::operation(const Instr& in) {
  switch (in.op) {
    case Opcode::kI32Const: push(constant(Type::kI32, static_cast<u64>(in.value))); return Err::kOk;
    case Opcode::kI64Const: push(constant(Type::kI64, static_cast<u64>(in.value))); return Err::kOk;
    case Opcode::kSelectT:
    case Opcode::kSelect: select(); return Err::kOk;
    case Opcode::kGlobalGet: global_get(in.index); return Err::kOk;
    case Opcode::kGlobalSet: global_set(in.index); return Err::kOk;
    case Opcode::kCall: return call(in.index, false);
    case Opcode::kReturnCall: return call(in.index, true);
    case Opcode::kCallIndirect: call_indirect(in, false); return Err::kOk;
    case Opcode::kReturnCallIndirect: call_indirect(in, true); return Err::kOk;
    case Opcode::kCallRef: call_ref(in.index, false); return Err::kOk;
    case Opcode::kReturnCallRef: call_ref(in.index, true); return Err::kOk;
    case Opcode::kThrow: do_throw(in.index); return Err::kOk;
    case Opcode::kThrowRef: throw_ref(); return Err::kOk;
    default: break;
  }
  if (integer_operation(in.op) || memory_operation(in) || float_operation(in) ||
      vector_operation(in) || atomic_operation(in))
    return Err::kOk;
  return reference(in);
}

}  // namespace wring::ir
