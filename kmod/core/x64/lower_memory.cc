// SPDX-License-Identifier: GPL-2.0
// Lowering of memory accesses: address modes, loads that join
// other instructions, read-modify-write.
#include "core/x64/lower.h"

namespace wring::x64 {

using ir::MemKind;
using ir::Type;
using ir::Value;

namespace {

// Of loads and stores; lanes and atomic operations are beyond the low byte.
MemKind kind_of(const ir::Inst& inst) { return static_cast<MemKind>(inst.aux & 0xff); }

// How an access finds its memory.
enum class Space : u8 { kPinned, kBased, kGs, kHost };

Space space_of(ir::Op op) {
  switch (op) {
    case ir::Op::kLoad:
    case ir::Op::kStore:
    case ir::Op::kLoadLane:
    case ir::Op::kStoreLane: return Space::kPinned;
    case ir::Op::kLoadMem:
    case ir::Op::kStoreMem:
    case ir::Op::kLoadLaneMem:
    case ir::Op::kStoreLaneMem:
    case ir::Op::kAtomicLoad:
    case ir::Op::kAtomicStore:
    case ir::Op::kAtomicRmw:
    case ir::Op::kAtomicCas: return Space::kBased;
    case ir::Op::kLoadGs: return Space::kGs;
    default: return Space::kHost;
  }
}

}  // namespace

bool Lowering::can_fold_load(Value v) const {
  const ir::Inst& inst = at(v);
  return is_load(inst.op) && uses_[v] == 1 && !is_needed(v) && !covered_.test(v) &&
         inst.block == block_ && epoch_[v] == epoch_[root_];
}

bool Lowering::fold_load(Value v, Size size, AddressMatch* mem) {
  for (u32 i = 0; at(v).op == Op::kZExtI32 || (at(v).op == Op::kWrap && size != Size::k64); i++) {
    if (i == kMaxChain || uses_[v] != 1 || is_needed(v)) return false;
    v = arg(v, 0);
  }
  if (!can_fold_load(v) || ir::bytes_of(kind_of(at(v))) != static_cast<u32>(size)) return false;
  covered_.set(v);
  *mem = match_address(v);
  return true;
}

Lowering::AddressMatch Lowering::match_address(Value access) {
  const ir::Inst& inst = at(access);
  AddressMatch m;
  Span<Value> args = f_.args(access);
  switch (space_of(inst.op)) {
    case Space::kPinned: m = match_linear(args[0], inst.imm); break;
    case Space::kBased:
      m = match_linear(args[0], inst.imm);
      if (at(args[1]).op == Op::kMemBase) break;
      m.address.base = Base::kOperand;
      m.base = args[1];
      break;
    case Space::kGs:
      m.address.gs = true;
      m.address.disp = static_cast<i32>(inst.imm);
      break;
    case Space::kHost: m = match_raw(inst); break;
  }
  m.address.origin = inst.origin;
  return m;
}

// index = index + addend, in a register of its own.
void Lowering::set_index_sum(AddressMatch* m, i64 addend) {
  VReg sum = constant(addend);
  if (m->index != kNone) {
    Payload p;
    p.size = Size::k64;
    p.mem.base = Base::kOperand;
    p.mem.has_index = true;
    p.mem.operand = 1;
    VReg index = reg(m->index), total = new_vreg();
    if (!failed_) lir_.vregs[total].is_address = true;
    add_insn(Lir::kLea, Operands().def(total).use(index).use(sum), p);
    sum = total;
  }
  m->address.has_index = true;
  m->address.scale = 0;
  m->address.disp = 0;
  m->index = kNone;
  m->index_vreg = sum;
}

// [r15 + index + offset]. The index is a 32-bit sum that may wrap, so that its parts may only
// become parts of the address where upper_bound() proves that it does not.
Lowering::AddressMatch Lowering::match_linear(Value index, i64 offset) {
  AddressMatch m;
  m.address.base = Base::kMemory;
  m.address.faults = true;
  index = strip_zext(index);
  i64 c;
  for (u32 i = 0; i < kMaxChain; i++) {
    const ir::Inst& inst = at(index);
    if (inst.op != Op::kAdd || is_needed(index) || !is_const(inst.arg[1], &c)) break;
    if (!may_displace(offset + c) || upper_bound(inst.arg[0]) + static_cast<u64>(c) > 0xffff'ffff)
      break;
    offset += c;
    index = strip_zext(inst.arg[0]);
  }
  if (is_const(index, &c)) {
    if (may_displace(offset + c))
      m.address.disp = static_cast<i32>(offset + c);
    else
      set_index_sum(&m, offset + c);
    return m;
  }
  m.index = index;
  if (!may_displace(offset)) {
    set_index_sum(&m, offset);
    return m;
  }
  m.address.disp = static_cast<i32>(offset);
  m.address.has_index = true;
  const ir::Inst& inst = at(index);
  if (inst.op == Op::kShl && !is_needed(index) && is_const(inst.arg[1], &c) && (c & 31) <= 3 &&
      upper_bound(inst.arg[0]) <= 0xffff'ffffu >> (c & 31)) {
    m.address.scale = c & 31;
    m.index = inst.arg[0];
  }
  return m;
}

// A 64-bit sum: its parts may become parts of the address freely.
Lowering::AddressMatch Lowering::match_raw(const ir::Inst& access) {
  AddressMatch m;
  Value base = access.arg[0];
  i64 disp = access.imm, c;
  for (u32 i = 0; i < kMaxChain; i++) {
    const ir::Inst& inst = at(base);
    if (is_needed(base)) break;
    if (inst.op == Op::kAdd && is_const(inst.arg[1], &c) && may_displace(disp + c)) {
      disp += c;
      base = inst.arg[0];
    } else if (inst.op == Op::kPerCpu && !m.address.gs) {
      // gs points to where this CPU's copies are, so that it can do the addition.
      m.address.gs = true;
      base = inst.arg[0];
    } else {
      break;
    }
  }
  m.address.disp = static_cast<i32>(disp);
  const ir::Inst& inst = at(base);
  if (inst.op == Op::kVmCtx) {
    m.address.base = Base::kVmCtx;
    return m;
  }
  if (is_const(base, &c) && may_displace(disp + c)) {
    m.address.disp = static_cast<i32>(disp + c);
    return m;
  }
  m.address.base = Base::kOperand;
  m.base = base;
  if (inst.op != Op::kAdd || is_needed(base) || !is_in_this_loop(base)) return m;
  Value index = inst.arg[1];
  m.base = inst.arg[0];
  u8 scale = 0;
  if (!match_scaled(index, &index, &scale) && match_scaled(m.base, &m.base, &scale))
    swap(index, m.base);
  m.index = index;
  m.address.scale = scale;
  m.address.has_index = true;
  return m;
}

void Lowering::add_address(Operands* ops, Payload* p, const AddressMatch& mem) {
  p->mem = mem.address;
  p->mem.operand = ops->count();
  if (mem.address.base == Base::kOperand) ops->use(reg(mem.base));
  if (mem.address.has_index) ops->use(mem.index_vreg != kNone ? mem.index_vreg : reg(mem.index));
}

void Lowering::lower_load(Value v) {
  const ir::Inst& inst = at(v);
  Payload p;
  p.size = size_of(v);
  p.extend = static_cast<Extend>(inst.aux);
  p.bytes = static_cast<u8>(ir::bytes_of(kind_of(inst)));
  AddressMatch mem = match_address(v);
  Operands ops;
  ops.def(result(v));
  add_address(&ops, &p, mem);
  add_insn(is_vector(inst.type) ? Lir::kVecLoad : Lir::kLoad, ops, p);
}

// What has the same low `bytes` bytes as v; only through values without other uses if `exclusive`.
Value Lowering::stored_value(Value v, u32 bytes, bool exclusive) const {
  for (u32 i = 0; i < kMaxChain; i++) {
    const ir::Inst& inst = at(v);
    if (is_needed(v) || (exclusive && uses_[v] != 1)) return v;
    i64 mask;
    switch (inst.op) {
      case Op::kZExtI32:
      case Op::kWrap:
      case Op::kSExtI32:
      case Op::kSExt32:
        if (bytes > 4) return v;
        break;
      case Op::kSExt16:
        if (bytes > 2) return v;
        break;
      case Op::kSExt8:
        if (bytes > 1) return v;
        break;
      case Op::kAnd: {
        u64 all = bytes == 8 ? ~u64{0} : (u64{1} << 8 * bytes) - 1;
        if (!is_const(inst.arg[1], &mask) || (static_cast<u64>(mask) & all) != all) return v;
        break;
      }
      default: return v;
    }
    v = inst.arg[0];
  }
  return v;
}

bool Lowering::same_location(Value load, Value store) const {
  const ir::Inst &l = at(load), &s = at(store);
  bool same_space = (l.op == Op::kLoad && s.op == Op::kStore) ||
                    (l.op == Op::kLoadMem && s.op == Op::kStoreMem && l.arg[1] == s.arg[1]) ||
                    (l.op == Op::kLoadRaw && s.op == Op::kStoreRaw);
  return same_space && l.arg[0] == s.arg[0] && l.imm == s.imm &&
         ir::bytes_of(kind_of(l)) == ir::bytes_of(kind_of(s));
}

Value Lowering::value_to_store(Value store) const {
  return arg(store, at(store).op == Op::kStoreMem ? 2 : 1);
}

// store(p, load(p) op x) becomes one instruction.
bool Lowering::lower_modify(Value v) {
  u32 bytes = ir::bytes_of(kind_of(at(v)));
  Value result = stored_value(value_to_store(v), bytes, true);
  const ir::Inst& inst = at(result);
  Alu alu;
  switch (inst.op) {
    case Op::kAdd: alu = Alu::kAdd; break;
    case Op::kSub: alu = Alu::kSub; break;
    case Op::kAnd: alu = Alu::kAnd; break;
    case Op::kOr: alu = Alu::kOr; break;
    case Op::kXor: alu = Alu::kXor; break;
    default: return false;
  }
  if (uses_[result] != 1 || is_needed(result)) return false;
  Size size = static_cast<Size>(bytes);
  for (u32 side = 0; side < (inst.op == Op::kSub ? 1u : 2u); side++) {
    Value load = stored_value(inst.arg[side], bytes, true);
    Value other = stored_value(inst.arg[1 - side], bytes, false);
    if (!can_fold_load(load) || !same_location(load, v)) continue;
    covered_.set(load);
    AddressMatch mem = match_address(load);
    Payload p;
    p.size = size;
    p.alu = alu;
    Operands ops;
    i64 c;
    bool imm = is_const(other, &c) && fits_i32(bytes == 8 ? c : static_cast<i32>(c));
    if (imm && may_inline(c)) {
      p.imm = static_cast<i32>(c);
      add_address(&ops, &p, mem);
      add_insn(Lir::kAluStoreImm, ops, p);
    } else {
      ops.use(reg(other));
      add_address(&ops, &p, mem);
      add_insn(Lir::kAluStore, ops, p);
    }
    return true;
  }
  return false;
}

void Lowering::lower_store(Value v) {
  u32 bytes = ir::bytes_of(kind_of(at(v)));
  Payload p;
  Operands ops;
  p.bytes = static_cast<u8>(bytes);
  if (bytes == 16) {
    AddressMatch mem = match_address(v);
    ops.use(reg(value_to_store(v)));
    add_address(&ops, &p, mem);
    return add_insn(Lir::kVecStore, ops, p);
  }
  if (lower_modify(v)) return;
  p.size = static_cast<Size>(bytes);
  AddressMatch mem = match_address(v);
  Value value = stored_value(value_to_store(v), bytes, false);
  if (at(value).op == Op::kBitcast && !is_needed(value) && bytes >= 4)
    value = stored_value(arg(value, 0), bytes, false);
  i64 c;
  if (is_const(value, &c)) {
    if (bytes < 8) c = static_cast<i32>(c);
    if (fits_i32(c) && may_inline(c)) {
      p.imm = c;
      add_address(&ops, &p, mem);
      return add_insn(Lir::kStoreImm, ops, p);
    }
  }
  const ir::Inst& inst = at(value);
  Lir op = is_vector(inst.type) ? Lir::kVecStore : Lir::kStore;
  bool swaps = inst.op == Op::kBswap ? (inst.type == Type::kI64 ? 8 : 4) == bytes
                                     : inst.op == Op::kBswap16 && bytes == 2;
  if (swaps && (target_.cpu & kCpuMovbe) && !is_needed(value)) {
    op = Lir::kStoreSwapped;
    value = stored_value(inst.arg[0], bytes, false);
  }
  ops.use(reg(value));
  add_address(&ops, &p, mem);
  add_insn(op, ops, p);
}

void Lowering::lower_add_memory(Value v) {
  const ir::Inst& inst = at(v);
  bool atomic = inst.op == Op::kAtomicAddRaw;
  Payload p;
  p.size = static_cast<Size>(ir::bytes_of(kind_of(inst)));
  p.alu = Alu::kAdd;
  AddressMatch mem = match_address(v);
  Operands ops;
  i32 imm;
  if (imm_of(inst.arg[1], p.size, &imm)) {
    p.imm = imm;
    add_address(&ops, &p, mem);
    return add_insn(atomic ? Lir::kAtomicAluImm : Lir::kAluStoreImm, ops, p);
  }
  ops.use(reg(resolve(inst.arg[1], p.size)));
  add_address(&ops, &p, mem);
  add_insn(atomic ? Lir::kAtomicAlu : Lir::kAluStore, ops, p);
}

}  // namespace wring::x64
