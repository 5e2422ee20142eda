// SPDX-License-Identifier: GPL-2.0
// SSA construction: linear memories.
//
// Every memory has a guarded reservation that a 32-bit index plus a 32-bit offset cannot leave. A 64-bit index is
// checked to fit 32 bits, as no memory is larger than 4 GiB; then all memories are alike.
#include "core/ir/builder.h"

namespace wring::ir {

namespace {

constexpr Type kI32 = Type::kI32, kI64 = Type::kI64;

// The most bytes of a memory.fill or memory.copy that become single accesses.
constexpr u32 kMaxInlineFill = 64;
constexpr u32 kMaxInlineCopy = 32;

// One access of a copy or fill in line: the largest power of two up to 8 that is left of `bytes`.
u32 piece_of(u32 bytes) { return bytes >= 8 ? 8 : bytes >= 4 ? 4 : bytes >= 2 ? 2 : 1; }
MemKind kind_of(u32 bytes) {
  return bytes == 8   ? MemKind::k64
         : bytes == 4 ? MemKind::k32U
         : bytes == 2 ? MemKind::k16U
                      : MemKind::k8U;
}

// The operation on a memory given by its base.
Op with_base(Op op) {
  switch (op) {
    case Op::kLoad: return Op::kLoadMem;
    case Op::kStore: return Op::kStoreMem;
    case Op::kLoadLane: return Op::kLoadLaneMem;
    default: return Op::kStoreLaneMem;
  }
}

}  // namespace

Value Builder::memory_view(u32 memory) {
  if (memory == 0)
    return load_vmctx(kI64, MemKind::k64, __builtin_offsetof(wring_vmctx, memory), true);
  Value views = load_vmctx(kI64, MemKind::k64, __builtin_offsetof(wring_vmctx, memories), true);
  return load_raw(kI64, MemKind::k64, views, i64{memory} * 8, true);
}

// Indices and sizes for library calls, which take them in 64 bits.
Value Builder::wide(Value v) { return type_of_value(v) == kI32 ? emit1(Op::kZExtI32, kI64, v) : v; }

// Makes a 64-bit index an I32 one, which traps unless it fits. False: it never does; what follows is dead.
bool Builder::narrow_index(Value* index) {
  if (type_of_value(*index) == kI32) return true;
  u64 known;
  if (is_const(*index, &known)) {
    if (known > 0xffff'ffff) {
      trap(TrapReason::kMemoryOutOfBounds);
      return false;
    }
    *index = constant(kI32, known);
    return true;
  }
  trap_if(emit_compare(Op::kGtU, kI64, *index, constant(kI64, 0xffff'ffff)),
          TrapReason::kMemoryOutOfBounds);
  *index = emit1(Op::kWrap, kI32, *index);
  return true;
}

// False if every access there traps; what follows is dead then.
bool Builder::address_of(Value index, const MemArg& arg, Address* out) {
  if (arg.offset > 0xffff'ffff) {
    trap(TrapReason::kMemoryOutOfBounds);
    return false;
  }
  if (!narrow_index(&index)) return false;
  out->index = index;
  out->offset = arg.offset;
  out->base = kNone;
  if (arg.memory != 0)
    out->base = load_raw(kI64, MemKind::k64, memory_view(arg.memory),
                         __builtin_offsetof(wring_memory_view, base), true);
  return true;
}

// op: what it is on memory 0. value: stored or partly replaced, or kNone.
Value Builder::access(Op op, Type type, u32 aux, const Address& address, Value value) {
  Inst inst = make_inst(address.base == kNone ? op : with_base(op), type, address.index);
  if (address.base != kNone) inst.arg[inst.count++] = address.base;
  if (value != kNone) inst.arg[inst.count++] = value;
  if (type == Type::kVoid) inst.operand_type = type_of_value(value);
  inst.aux = static_cast<u16>(aux);
  inst.imm = static_cast<i64>(address.offset);
  return emit(inst);
}

void Builder::load(const Instr& in, Type type, MemKind kind) {
  Address address;
  if (!address_of(pop(), in.mem, &address)) return;
  push(access(Op::kLoad, type, static_cast<u32>(kind), address, kNone));
}

void Builder::store(const Instr& in, MemKind kind) {
  Value value = pop();
  Address address;
  if (!address_of(pop(), in.mem, &address)) return;
  access(Op::kStore, Type::kVoid, static_cast<u32>(kind), address, value);
}

bool Builder::memory_operation(const Instr& in) {
  constexpr Type kF32 = Type::kF32, kF64 = Type::kF64;
  switch (in.op) {
    case Opcode::kI32Load: load(in, kI32, MemKind::k32U); return true;
    case Opcode::kI64Load: load(in, kI64, MemKind::k64); return true;
    case Opcode::kF32Load: load(in, kF32, MemKind::k32U); return true;
    case Opcode::kF64Load: load(in, kF64, MemKind::k64); return true;
    case Opcode::kI32Load8S: load(in, kI32, MemKind::k8S); return true;
    case Opcode::kI32Load8U: load(in, kI32, MemKind::k8U); return true;
    case Opcode::kI32Load16S: load(in, kI32, MemKind::k16S); return true;
    case Opcode::kI32Load16U: load(in, kI32, MemKind::k16U); return true;
    case Opcode::kI64Load8S: load(in, kI64, MemKind::k8S); return true;
    case Opcode::kI64Load8U: load(in, kI64, MemKind::k8U); return true;
    case Opcode::kI64Load16S: load(in, kI64, MemKind::k16S); return true;
    case Opcode::kI64Load16U: load(in, kI64, MemKind::k16U); return true;
    case Opcode::kI64Load32S: load(in, kI64, MemKind::k32S); return true;
    case Opcode::kI64Load32U: load(in, kI64, MemKind::k32U); return true;
    case Opcode::kI32Store8:
    case Opcode::kI64Store8: store(in, MemKind::k8U); return true;
    case Opcode::kI32Store16:
    case Opcode::kI64Store16: store(in, MemKind::k16U); return true;
    case Opcode::kI32Store:
    case Opcode::kI64Store32:
    case Opcode::kF32Store: store(in, MemKind::k32U); return true;
    case Opcode::kI64Store:
    case Opcode::kF64Store: store(in, MemKind::k64); return true;
    case Opcode::kMemorySize: {
      Value bytes = load_raw(kI64, MemKind::k64, memory_view(in.index),
                             __builtin_offsetof(wring_memory_view, bytes), false);
      Value pages = emit2(Op::kShrU, kI64, bytes, constant(kI64, 16));
      push(module_.memories[in.index].type.limits.is_64 ? pages : emit1(Op::kWrap, kI32, pages));
      return true;
    }
    case Opcode::kMemoryGrow: grow_memory(in.index); return true;
    case Opcode::kMemoryFill:
    case Opcode::kMemoryCopy:
    case Opcode::kMemoryInit:
    case Opcode::kDataDrop: bulk_memory(in); return true;
    default: return false;
  }
}

void Builder::grow_memory(u32 memory) {
  Value pages = wide(pop());
  Value args[] = {constant(kI32, memory), pages};
  Value old = libcall(Libcall::kMemoryGrow, args, kI64);
  push(module_.memories[memory].type.limits.is_64 ? old : emit1(Op::kWrap, kI32, old));
}

void Builder::bulk_memory(const Instr& in) {
  if (in.op == Opcode::kDataDrop) {
    Value segment = constant(kI32, in.index);
    libcall(Libcall::kDataDrop, {&segment, 1}, Type::kVoid);
    return;
  }
  Value c = pop(), b = pop(), a = pop();
  if (in.op == Opcode::kMemoryFill) {
    if (small_fill(in.index, a, b, c)) return;
    Value args[] = {constant(kI32, in.index), wide(a), b, wide(c)};
    libcall(Libcall::kMemoryFill, args, Type::kVoid);
  } else if (in.op == Opcode::kMemoryCopy) {
    if (small_copy(in.index, in.index2, a, b, c)) return;
    Value args[] = {constant(kI32, in.index), constant(kI32, in.index2), wide(a), wide(b), wide(c)};
    libcall(Libcall::kMemoryCopy, args, Type::kVoid);
  } else {  // the segment's indices are i32
    Value args[] = {constant(kI32, in.index2), constant(kI32, in.index), wide(a), b, c};
    libcall(Libcall::kMemoryInit, args, Type::kVoid);
  }
}

// Fills and copies of a small constant size become stores and loads. Nothing may be written if any byte is out of
// bounds: so the loads come first, and the store of the last bytes before the other stores.
bool Builder::small_fill(u32 memory, Value to, Value byte, Value size) {
  u64 n;
  if (!is_const(size, &n) || n == 0 || n > kMaxInlineFill) return false;
  Address address;
  if (!address_of(to, {0, memory, 0}, &address)) return true;
  Value word = emit1(Op::kZExtI32, kI64, emit2(Op::kAnd, kI32, byte, constant(kI32, 0xff)));
  word = emit2(Op::kMul, kI64, word, constant(kI64, 0x0101'0101'0101'0101));
  for (u32 left = static_cast<u32>(n); left > 0;) {
    u32 bytes = piece_of(left);
    left -= bytes;
    address.offset = left;
    access(Op::kStore, Type::kVoid, static_cast<u32>(kind_of(bytes)), address, word);
  }
  return true;
}

bool Builder::small_copy(u32 to_memory, u32 from_memory, Value to, Value from, Value size) {
  u64 n;
  if (!is_const(size, &n) || n == 0 || n > kMaxInlineCopy) return false;
  Address target, source;
  if (!address_of(to, {0, to_memory, 0}, &target) ||
      !address_of(from, {0, from_memory, 0}, &source))
    return true;
  Value pieces[kMaxInlineCopy / 8 + 3];  // eights, then at most a four, a two and a one
  u32 count = 0;
  for (u32 left = static_cast<u32>(n); left > 0;) {
    u32 bytes = piece_of(left);
    left -= bytes;
    source.offset = left;
    pieces[count++] = access(Op::kLoad, kI64, static_cast<u32>(kind_of(bytes)), source, kNone);
  }
  count = 0;
  for (u32 left = static_cast<u32>(n); left > 0;) {
    u32 bytes = piece_of(left);
    left -= bytes;
    target.offset = left;
    access(Op::kStore, Type::kVoid, static_cast<u32>(kind_of(bytes)), target, pieces[count++]);
  }
  return true;
}

}  // namespace wring::ir
