// SPDX-License-Identifier: GPL-2.0
// Building blocks for code that makes or changes IR.
#include "core/ir/edit.h"

namespace wring::ir {

Inst make_inst(Op op, Type type) {
  Inst inst = {};
  inst.op = op;
  inst.type = type;
  inst.block = kNone;
  return inst;
}
Inst make_inst(Op op, Type type, Value a) {
  Inst inst = make_inst(op, type);
  inst.count = 1;
  inst.arg[0] = a;
  return inst;
}
Inst make_inst(Op op, Type type, Value a, Value b) {
  Inst inst = make_inst(op, type, a);
  inst.count = 2;
  inst.arg[1] = b;
  return inst;
}
Inst make_inst(Op op, Type type, Value a, Value b, Value c) {
  Inst inst = make_inst(op, type, a, b);
  inst.count = 3;
  inst.arg[2] = c;
  return inst;
}
Inst make_compare(Op op, Type operand_type, Value a, Value b) {
  Inst inst = make_inst(op, Type::kI32, a, b);
  inst.operand_type = operand_type;
  return inst;
}

BlockId add_block(Function* f) {
  Block block = {};
  block.insts.init(f->arena);
  block.preds.init(f->arena);
  block.succs.init(f->arena);
  block.idom = block.loop_header = kNone;
  if (!f->blocks.push(block)) return kNone;
  return f->blocks.size() - 1;
}

bool add_edge(Function* f, BlockId from, BlockId to) {
  return f->blocks[from].succs.push(to) && f->blocks[to].preds.push(from);
}

namespace {

// The hash is not keyed: who makes constants collide gets no more out of it than this many looks at each.
constexpr u32 kMaxProbes = 64;

// The bits of a constant beyond 64.
u64 high_bits(const Inst& inst) { return inst.op == Op::kVConst ? v128_of(inst).high : 0; }

u32 hash_of(const Inst& inst) {
  u64 h = static_cast<u64>(inst.imm) ^ static_cast<u64>(inst.type) << 60;
  h = (h ^ high_bits(inst) * 0xc2b2'ae3d'27d4'eb4f) * 0x9e37'79b9'7f4a'7c15;
  return static_cast<u32>(h >> 32);
}

}  // namespace

Err ConstPool::init(Function* f, Arena* scratch) {
  f_ = f;
  scratch_ = scratch;
  fresh_.init(scratch);
  used_ = 0;
  vmctx_ = kNone;
  slots_ = scratch->make_array<Value>(64);
  if (!slots_.data()) return Err::kNoMemory;
  if (f->blocks.empty()) return Err::kOk;
  for (Value v : paced(f->blocks[0].insts)) {
    const Inst& inst = f->insts[v];
    if (inst.op == Op::kVmCtx) vmctx_ = v;
    if (inst.op != Op::kConst && inst.op != Op::kVConst) continue;
    Value* slot = find(inst);
    if (!slot || *slot) continue;
    *slot = v + 1;
    used_++;
    if (!grow()) return Err::kNoMemory;
  }
  return Err::kOk;
}

// The slot that holds the constant, or the free one where it belongs; nullptr if too many others have taken its place.
// That constant is made anew each time, then.
Value* ConstPool::find(const Inst& wanted) {
  u32 mask = slots_.size() - 1;
  u32 hash = hash_of(wanted);
  for (u32 i = 0; i < kMaxProbes; i++) {
    Value* slot = &slots_[(hash + i) & mask];
    if (!*slot) return slot;
    const Inst& inst = f_->insts[*slot - 1];
    if (inst.type == wanted.type && inst.imm == wanted.imm && high_bits(inst) == high_bits(wanted))
      return slot;
  }
  return nullptr;
}

// Keeps the table at most half full.
bool ConstPool::grow() {
  if (used_ * 2 <= slots_.size()) return true;
  Span<Value> old = slots_;
  slots_ = scratch_->make_array<Value>(usize{old.size()} * 2);
  if (!slots_.data()) {
    slots_ = old;
    return false;
  }
  for (Value v : paced(old)) {
    Value* slot = v ? find(f_->insts[v - 1]) : nullptr;
    if (slot) *slot = v;
  }
  return true;
}

Value ConstPool::intern(const Inst& inst) {
  Value* slot = find(inst);
  if (slot && *slot) return *slot - 1;
  if (!f_->insts.push(inst)) return kNone;
  Value v = f_->insts.size() - 1;
  if (!fresh_.push(v)) return kNone;
  if (!slot) return v;
  *slot = v + 1;
  used_++;
  return grow() ? v : kNone;
}

Value ConstPool::get(Type type, u64 bits) {
  Inst inst = make_inst(Op::kConst, type);
  inst.imm = normalize(type, bits);
  inst.block = 0;
  return intern(inst);
}

Value ConstPool::get_v128(V128 value) {
  Inst inst = make_inst(Op::kVConst, Type::kV128);
  set_v128(&inst, value);
  inst.block = 0;
  return intern(inst);
}

Value ConstPool::vmctx() {
  if (vmctx_ != kNone) return vmctx_;
  Inst inst = make_inst(Op::kVmCtx, Type::kI64);
  inst.block = 0;
  if (!f_->insts.push(inst)) return kNone;
  Value v = f_->insts.size() - 1;
  if (!fresh_.push(v)) return kNone;
  return vmctx_ = v;
}

Err ConstPool::flush() {
  if (fresh_.empty()) return Err::kOk;
  Vec<Value>& list = f_->blocks[0].insts;
  u32 params = 0;
  while (params < list.size() && f_->insts[list[params]].op == Op::kParam) params++;
  u32 old_size = list.size();
  if (!list.resize(usize{old_size} + fresh_.size())) return Err::kNoMemory;
  tick(list.size() / 64);
  __builtin_memmove(list.data() + params + fresh_.size(), list.data() + params,
                    (old_size - params) * sizeof(Value));
  __builtin_memcpy(list.data() + params, fresh_.data(), fresh_.size() * sizeof(Value));
  fresh_.clear();
  return Err::kOk;
}

}  // namespace wring::ir
