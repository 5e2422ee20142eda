// SPDX-License-Identifier: GPL-2.0
// Loop-invariant code motion: pure operations and loads that do not change move to the end of the block before
// the outermost loop they are invariant in. Wasm code comes out of a compiler that has done this already; what is
// left are addresses that SSA construction made: cells of globals, table views, packet pointers.
//
// One walk in reverse post-order, so an instruction is looked at after its arguments have moved.
#include "core/ir/cfg.h"
#include "core/ir/edit.h"
#include "core/opt/passes.h"

namespace wring::opt {

namespace {

// How many loops an instruction may leave in one go: bounds the walk outwards in deep nests.
constexpr u32 kMaxLevels = 16;

bool can_move(const Inst& inst) {
  if (inst.pinned) return false;
  if (inst.op == Op::kLoadRaw) return inst.invariant;
  if (effects_of(inst.op) != kPure || is_compare(inst.op) || is_float_compare(inst.op))
    return false;
  switch (inst.op) {
    case Op::kPhi:
    case Op::kParam:
    case Op::kConst:
    case Op::kVConst:
    case Op::kVmCtx:
    case Op::kMemBase:
    case Op::kResult:
    // Free, and a longer life for a register.
    case Op::kZExtI32:
    case Op::kWrap:
    // Must stay where the access is that it protects.
    case Op::kClampIndex:
    case Op::kMatchOrNull:
    // The CPU is looked up where it matters.
    case Op::kPerCpu: return false;
    default: return true;
  }
}

class Licm {
 public:
  Licm(Function* f, Arena* scratch) : f_(f), scratch_(scratch), moved_(scratch) {}
  bool run();

 private:
  bool find_preheaders();
  BlockId outermost(const Inst& inst, Value v) const;

  struct Moved {
    Value value;
    u32 next;
  };
  Function* f_;
  Arena* scratch_;
  Span<BlockId> ends_;  // by header
  Span<BlockId>
      preheader_;  // by header: the block in front of the loop that ends in a jump to it, or kNone
  Span<BlockId> parent_;  // by header: the next loop around
  Vec<Moved> moved_;
  Span<u32> first_, last_;  // by block: what moves to its end, in moved_
};

bool Licm::find_preheaders() {
  u32 n = f_->blocks.size();
  Result<Span<BlockId>> ends = loop_ends(*f_, scratch_);
  if (!ends.ok()) return false;
  ends_ = ends.value();
  preheader_ = scratch_->make_array<BlockId>(n);
  parent_ = scratch_->make_array<BlockId>(n);
  first_ = scratch_->make_array<u32>(n);
  last_ = scratch_->make_array<u32>(n);
  if (!preheader_.data() || !parent_.data() || !first_.data() || !last_.data()) return false;
  Vec<BlockId> open(scratch_);
  for (BlockId b = 0; b < n; b++, tick()) {
    first_[b] = last_[b] = preheader_[b] = parent_[b] = kNone;
    while (!open.empty() && ends_[open.back()] < b) open.pop();
    const Block& block = f_->blocks[b];
    if (!block.is_loop_header) continue;
    parent_[b] = open.empty() ? kNone : open.back();
    if (!open.push(b)) return false;
    u32 entries = 0;
    for (BlockId pred : ticking(block.preds)) {
      if (pred >= b) continue;
      entries++;
      preheader_[b] = f_->blocks[pred].succs.size() == 1 ? pred : kNone;
    }
    if (entries != 1) preheader_[b] = kNone;
  }
  return true;
}

// The block to move to, kNone to stay.
BlockId Licm::outermost(const Inst& inst, Value v) const {
  BlockId target = kNone;
  BlockId header = f_->blocks[inst.block].loop_header;
  for (u32 i = 0; i < kMaxLevels && header != kNone && preheader_[header] != kNone; i++) {
    for (Value arg : f_->args(v))  // not a phi's
      if (f_->insts[arg].block >= header && f_->insts[arg].block <= ends_[header]) return target;
    target = preheader_[header];
    header = parent_[header];
  }
  return target;
}

bool Licm::run() {
  if (!find_preheaders()) return false;
  for (BlockId b = 0; b < f_->blocks.size(); b++, tick()) {
    Block& block = f_->blocks[b];
    if (block.loop_header == kNone) continue;
    u32 kept = 0;
    for (Value v : paced(block.insts)) {
      Inst& inst = f_->insts[v];
      BlockId target = can_move(inst) ? outermost(inst, v) : kNone;
      if (target == kNone) {
        block.insts[kept++] = v;
        continue;
      }
      inst.block = target;
      if (!moved_.push({v, kNone})) return false;
      u32 at = moved_.size() - 1;
      if (first_[target] == kNone)
        first_[target] = at;
      else
        moved_[last_[target]].next = at;
      last_[target] = at;
    }
    if (!block.insts.resize(kept)) return false;
  }
  for (BlockId b = 0; b < f_->blocks.size(); b++, tick()) {
    if (first_[b] == kNone) continue;
    Vec<Value>& list = f_->blocks[b].insts;
    Value jump = list.pop();
    for (u32 m = first_[b]; m != kNone; m = moved_[m].next, tick())
      if (!list.push(moved_[m].value)) return false;
    if (!list.push(jump)) return false;
  }
  return true;
}

}  // namespace

Err hoist_invariants(Function* f, Arena* scratch, Diag* diag) {
  return Licm(f, scratch).run() ? Err::kOk : diag->no_memory();
}

}  // namespace wring::opt
