// SPDX-License-Identifier: GPL-2.0
// SSA construction: atomic accesses to linear memory (threads proposal). Alignment is checked here, bounds as those of
// other accesses by faulting.
#include "core/ir/builder.h"

namespace wring::ir {

namespace {

constexpr Type kI32 = Type::kI32, kI64 = Type::kI64;

constexpr u32 distance(Opcode from, Opcode to) {
  return static_cast<u32>(to) - static_cast<u32>(from);
}

// Each operation comes in the same seven widths.
struct Width {
  Type type;
  MemKind kind;
};
constexpr Width kWidths[] = {{kI32, MemKind::k32U}, {kI64, MemKind::k64}, {kI32, MemKind::k8U},
                             {kI32, MemKind::k16U}, {kI64, MemKind::k8U}, {kI64, MemKind::k16U},
                             {kI64, MemKind::k32U}};
enum Group : u32 { kLoadGroup, kStoreGroup, kFirstRmwGroup, kCasGroup = kFirstRmwGroup + 6 };
static_assert(distance(Opcode::kI32AtomicLoad, Opcode::kI32AtomicStore) == 7);
static_assert(distance(Opcode::kI32AtomicLoad, Opcode::kI32AtomicRmwAdd) == 7 * kFirstRmwGroup);
static_assert(distance(Opcode::kI32AtomicRmwAdd, Opcode::kI32AtomicRmwXchg) ==
              7 * static_cast<u32>(AtomicOp::kXchg));
static_assert(distance(Opcode::kI32AtomicLoad, Opcode::kI32AtomicRmwCmpxchg) == 7 * kCasGroup);

}  // namespace

void Builder::check_alignment(const Address& address, u32 bytes) {
  if (bytes == 1) return;
  Value low = address.index;
  u64 offset = address.offset & (bytes - 1);
  if (offset) low = emit2(Op::kAdd, kI32, low, constant(kI32, offset));
  low = emit2(Op::kAnd, kI32, low, constant(kI32, bytes - 1));
  trap_if(emit_compare(Op::kNe, kI32, low, constant(kI32, 0)), TrapReason::kUnalignedAtomic);
}

// wait32, wait64 and notify: calls, with the whole address in 64 bits.
void Builder::atomic_wait(const Instr& in) {
  bool is_notify = in.op == Opcode::kMemoryAtomicNotify;
  bool is_64 = in.op == Opcode::kMemoryAtomicWait64;
  Value timeout = is_notify ? kNone : pop();
  Value operand = pop();  // count, or the value expected
  Address address;
  if (!address_of(pop(), in.mem, &address)) return;
  check_alignment(address, is_64 ? 8 : 4);
  Value at = emit2(Op::kAdd, kI64, emit1(Op::kZExtI32, kI64, address.index),
                   constant(kI64, address.offset));
  Value args[] = {constant(kI32, in.mem.memory), at, operand, timeout};
  Libcall call = is_notify ? Libcall::kAtomicNotify
                 : is_64   ? Libcall::kAtomicWait64
                           : Libcall::kAtomicWait32;
  push(libcall(call, {args, is_notify ? 3u : 4u}, kI32));
}

bool Builder::atomic_operation(const Instr& in) {
  switch (in.op) {
    case Opcode::kMemoryAtomicNotify:
    case Opcode::kMemoryAtomicWait32:
    case Opcode::kMemoryAtomicWait64: atomic_wait(in); return true;
    case Opcode::kAtomicFence: emit(make_inst(Op::kFence, Type::kVoid)); return true;
    default: break;
  }
  if (in.op < Opcode::kI32AtomicLoad || in.op > Opcode::kI64AtomicRmw32CmpxchgU) return false;
  u32 group = distance(Opcode::kI32AtomicLoad, in.op) / 7;
  Width width = kWidths[distance(Opcode::kI32AtomicLoad, in.op) % 7];
  Value replacement = group == kCasGroup ? pop() : kNone;
  Value value = group == kLoadGroup ? kNone : pop();
  Address address;
  if (!address_of(pop(), in.mem, &address)) return true;
  check_alignment(address, bytes_of(width.kind));
  Value base = address.base == kNone ? emit(make_inst(Op::kMemBase, kI64)) : address.base;
  Inst inst;
  if (group == kLoadGroup) {
    inst = make_inst(Op::kAtomicLoad, width.type, address.index, base);
  } else if (group == kStoreGroup) {
    inst = make_inst(Op::kAtomicStore, Type::kVoid, address.index, base, value);
    inst.operand_type = width.type;
  } else if (group == kCasGroup) {
    inst = make_inst(Op::kAtomicCas, width.type);
  } else {
    inst = make_inst(Op::kAtomicRmw, width.type, address.index, base, value);
  }
  inst.aux = static_cast<u16>(width.kind);
  if (inst.op == Op::kAtomicRmw) inst.aux |= static_cast<u16>((group - kFirstRmwGroup) << 8);
  inst.imm = static_cast<i64>(address.offset);
  Value cas[] = {address.index, base, value, replacement};
  Value v = inst.op == Op::kAtomicCas ? emit_pool(inst, cas) : emit(inst);
  if (group != kStoreGroup) push(v);
  return true;
}

}  // namespace wring::ir
