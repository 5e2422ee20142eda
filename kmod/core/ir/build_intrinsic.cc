// SPDX-License-Identifier: GPL-2.0
// SSA construction: host operations expanded in line (INTRINSIC of host/host.def).
#include "core/ir/builder.h"

namespace wring::ir {

Err Builder::intrinsic(u32 func, const FunctionBinding& binding) {
  constexpr Type kI32 = Type::kI32, kI64 = Type::kI64;
  const Bindings& bindings = *context_.bindings;
  switch (binding.intrinsic) {
    case Intrinsic::kPktLen:
      push(load_vmctx(kI32, MemKind::k32U, __builtin_offsetof(wring_vmctx, pkt_len), true));
      return Err::kOk;
    case Intrinsic::kPktLoad8: packet_load(kI32, MemKind::k8U); return Err::kOk;
    case Intrinsic::kPktLoad16: packet_load(kI32, MemKind::k16U); return Err::kOk;
    case Intrinsic::kPktLoad32: packet_load(kI32, MemKind::k32U); return Err::kOk;
    case Intrinsic::kPktLoad64: packet_load(kI64, MemKind::k64); return Err::kOk;
    case Intrinsic::kPktStore8: packet_store(MemKind::k8U); return Err::kOk;
    case Intrinsic::kPktStore16: packet_store(MemKind::k16U); return Err::kOk;
    case Intrinsic::kPktStore32: packet_store(MemKind::k32U); return Err::kOk;
    case Intrinsic::kPktStore64: packet_store(MemKind::k64); return Err::kOk;
    case Intrinsic::kArg: hook_arg(); return Err::kOk;
    case Intrinsic::kCpuId:
      if (bindings.gs_cpu_number) {
        Inst inst = make_inst(Op::kLoadGs, kI32);
        inst.aux = static_cast<u16>(MemKind::k32U);
        inst.imm = static_cast<i64>(bindings.gs_cpu_number);
        push(emit(inst));
        return Err::kOk;
      }
      break;
    case Intrinsic::kMapAdd:
    case Intrinsic::kMapLoad64:
      if (map_access(binding.intrinsic)) return Err::kOk;
      break;
    case Intrinsic::kCount: break;
  }
  if (binding.address == 0)
    return diag_->fail(Err::kLink, func_, origin_, "import %u has no host function", func);
  return call_host(func, binding.may_trap);
}

// An index that has been compared with `bound`, for an address: it stays below where that is mispredicted, but for
// those that do no harm.
Value Builder::clamp_index(Value index, Value bound, u32 harmless) {
  if (!context_.clamp_speculation) return index;
  Inst inst = make_inst(Op::kClampIndex, Type::kI32, index, bound);
  inst.imm = harmless;
  return emit(inst);
}

// An address that is used where `found` is what is wanted.
Value Builder::match_or_null(Value address, Value found, Value wanted) {
  if (!context_.clamp_speculation) return address;
  return emit(make_inst(Op::kMatchOrNull, Type::kI64, address, found, wanted));
}

// Traps unless [offset, offset + bytes) lies in the packet. In 64 bits nothing wraps; where the offset is
// constant or a single byte is accessed a 32-bit comparison with the length does, in the form a program's own checks
// have.
Value Builder::packet_address(Value offset, u32 bytes, i64* displacement) {
  Value length =
      load_vmctx(Type::kI32, MemKind::k32U, __builtin_offsetof(wring_vmctx, pkt_len), true);
  u64 start;
  bool is_known = is_const(offset, &start);
  Value outside;
  if (is_known && start + bytes <= 0xffff'ffff) {
    outside = emit_compare(Op::kLtU, Type::kI32, length, constant(Type::kI32, start + bytes));
  } else if (bytes == 1) {
    outside = emit_compare(Op::kGeU, Type::kI32, offset, length);
  } else {
    Value end = emit2(Op::kAdd, Type::kI64, emit1(Op::kZExtI32, Type::kI64, offset),
                      constant(Type::kI64, bytes));
    outside = emit_compare(Op::kGtU, Type::kI64, end, emit1(Op::kZExtI32, Type::kI64, length));
  }
  trap_if(outside, TrapReason::kPacketOutOfBounds);

  Value packet = load_vmctx(Type::kI64, MemKind::k64, __builtin_offsetof(wring_vmctx, pkt), true);
  bool is_near = is_known && start < kPacketTailBytes;
  if (is_known && (is_near || (!context_.clamp_speculation && start <= 0x7fff'ffff))) {
    *displacement = static_cast<i64>(start);
    return packet;
  }
  *displacement = 0;
  offset = clamp_index(offset, length, kPacketTailBytes);
  return emit2(Op::kAdd, Type::kI64, packet, emit1(Op::kZExtI32, Type::kI64, offset));
}

void Builder::packet_load(Type type, MemKind kind) {
  i64 displacement;
  Value address = packet_address(pop(), bytes_of(kind), &displacement);
  push(load_raw(type, kind, address, displacement, false));
}

void Builder::packet_store(MemKind kind) {
  Value value = pop();
  i64 displacement;
  Value address = packet_address(pop(), bytes_of(kind), &displacement);
  store_raw(Op::kStoreRaw, kind, address, displacement, value);
}

// hook_args[n], or 0 if there are fewer arguments.
void Builder::hook_arg() {
  Value n = pop();
  Value count =
      load_vmctx(Type::kI32, MemKind::k32U, __builtin_offsetof(wring_vmctx, hook_arg_count), true);
  Value zero = constant(Type::kI64, 0);
  BlockId from = block_;
  BlockId inside = new_block();
  BlockId join = new_block();
  if (failed_) return;
  emit(make_inst(Op::kBranch, Type::kVoid, emit_compare(Op::kLtU, Type::kI32, n, count)));
  edge(from, inside);
  edge(from, join);
  start_block(inside);
  Value args =
      load_vmctx(Type::kI64, MemKind::k64, __builtin_offsetof(wring_vmctx, hook_args), true);
  Value offset = emit2(Op::kShl, Type::kI64, emit1(Op::kZExtI32, Type::kI64, clamp_index(n, count)),
                       constant(Type::kI64, 3));
  Inst load = make_inst(Op::kLoadRaw, Type::kI64, emit2(Op::kAdd, Type::kI64, args, offset));
  load.aux = static_cast<u16>(MemKind::k64);
  load.invariant = load.pinned = true;  // valid only where n is in range
  Value arg = emit(load);
  emit(make_inst(Op::kJump, Type::kVoid));
  edge(inside, join);
  start_block(join);
  Value merged[] = {zero, arg};
  push(merge_phi(join, merged));
}

// map_add and map_load64 on an array map known at compile time. False: nothing was done, call the host.
bool Builder::map_access(Intrinsic which) {
  constexpr Type kI32 = Type::kI32, kI64 = Type::kI64;
  const Bindings& bindings = *context_.bindings;
  bool adds = which == Intrinsic::kMapAdd;
  u32 args = adds ? 4 : 3;
  Span<Value> operands = stack_.span().slice(stack_.size() - args, args);
  u64 handle, offset;
  if (!is_const(operands[0], &handle) || !is_const(operands[2], &offset)) return false;
  if (handle >= bindings.maps.size()) return false;
  const MapBinding& map = bindings.maps[handle];
  bool per_cpu = map.kind == MapKind::kPerCpuArray;
  if (map.kind == MapKind::kOpaque || (per_cpu && !bindings.gs_this_cpu_off)) return false;
  if (offset % 8 || offset + 8 > map.value_bytes || !fits_i32(static_cast<i64>(offset)))
    return false;

  Value index = operands[1];
  Value delta = adds ? operands[3] : 0;
  failed_ |= !stack_.resize(stack_.size() - args);
  Value found = constant(kI32, 0);
  Value missing = adds ? constant(kI32, 0xffff'ffff) : constant(kI64, 0);
  u64 known;
  bool is_known = is_const(index, &known);
  if (is_known && known >= map.max_entries) {
    push(missing);
    return true;
  }
  BlockId join = kNone;
  if (!is_known) {
    BlockId from = block_;
    BlockId inside = new_block();
    join = new_block();
    if (failed_) return true;
    Value in_range = emit_compare(Op::kLtU, kI32, index, constant(kI32, map.max_entries));
    emit(make_inst(Op::kBranch, Type::kVoid, in_range));
    edge(from, inside);
    edge(from, join);
    start_block(inside);
  }
  // Element `index` of an array of `bytes` each; the base is folded in where the index is known.
  u64 bytes = per_cpu ? 8 : map.elem_bytes;
  Value address;
  if (is_known) {
    address = constant(kI64, map.address + known * bytes);
  } else {
    index = clamp_index(index, constant(kI32, map.max_entries));
    Value scaled = emit2(Op::kMul, kI64, emit1(Op::kZExtI32, kI64, index), constant(kI64, bytes));
    address = emit2(Op::kAdd, kI64, constant(kI64, map.address), scaled);
  }
  if (per_cpu) {
    Inst pointer = make_inst(Op::kLoadRaw, kI64, address);
    pointer.aux = static_cast<u16>(MemKind::k64);
    pointer.invariant = true;
    pointer.pinned = !is_known;
    Inst here = make_inst(Op::kPerCpu, kI64, emit(pointer));
    here.imm = static_cast<i64>(bindings.gs_this_cpu_off);
    address = emit(here);
  }
  Value result = found;
  i64 displacement = static_cast<i64>(offset);
  if (adds)
    store_raw(per_cpu ? Op::kAddRaw : Op::kAtomicAddRaw, MemKind::k64, address, displacement,
              delta);
  else
    result = load_raw(kI64, MemKind::k64, address, displacement, false);
  if (join != kNone) {
    emit(make_inst(Op::kJump, Type::kVoid));
    edge(block_, join);
    start_block(join);
    Value merged[] = {missing, result};
    result = merge_phi(join, merged);
  }
  push(result);
  return true;
}

}  // namespace wring::ir
