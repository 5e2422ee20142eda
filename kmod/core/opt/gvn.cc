// SPDX-License-Identifier: GPL-2.0
// The walk of global value numbering; see gvn.h.
#include "core/opt/gvn.h"
#include "core/abi/vmctx.h"

namespace wring::opt {

Err number_values(Function* f, Arena* scratch, Diag* diag) {
  void* place = scratch->alloc(sizeof(Gvn));
  if (!place) return diag->no_memory();
  return (new (place) Gvn(f, scratch, diag))->run();
}

Err Gvn::init() {
  Arena* arena = scratch_;
  u32 values = f_->insts.size(), blocks = f_->blocks.size();
  scopes_.init(arena);
  out_.init(arena);
  pure_.init(arena);
  memory_.init(arena);
  classes_.init(arena);
  anchors_.init(arena);
  anchor_log_.init(arena);
  bytes_.init(arena);
  u64 buckets = 64;
  while (buckets < values) buckets *= 2;
  replacement_ = arena->make_array<Value>(values);
  first_child_ = arena->make_array<BlockId>(blocks);
  next_sibling_ = arena->make_array<BlockId>(blocks);
  reachable_ = arena->make_array<bool>(blocks);
  switch_case_ = arena->make_array<u32>(blocks);
  pure_heads_ = arena->make_array<u32>(buckets);
  memory_heads_ = arena->make_array<u32>(buckets);
  versions_out_ = arena->make_array<Versions>(blocks);
  loop_writes_ = arena->make_array<u32>(blocks);
  bool ok = replacement_.data() && first_child_.data() && next_sibling_.data() &&
            reachable_.data() && switch_case_.data() && pure_heads_.data() &&
            memory_heads_.data() && versions_out_.data() && loop_writes_.data() &&
            consts_.init(f_, arena) == Err::kOk && facts_.init(f_, arena) &&
            classes_.reserve(values + values / 4) && bytes_.reserve(values + values / 4);
  if (!ok) return diag_->no_memory();
  for (Value v = 0; v < values; v++, tick()) replacement_[v] = v;
  fill(pure_heads_, kNone);
  fill(memory_heads_, kNone);
  for (BlockId b = 0; b < blocks; b++, tick())
    first_child_[b] = next_sibling_[b] = switch_case_[b] = kNone;
  for (BlockId b = blocks; b-- > 1; tick()) {
    BlockId parent = f_->blocks[b].idom;
    next_sibling_[b] = first_child_[parent];
    first_child_[parent] = b;
  }
  return scan_loop_writes() ? Err::kOk : diag_->no_memory();
}

Err Gvn::run() {
  TRY(init());
  TRY(visit(0));
  while (!scopes_.empty()) {
    tick();
    Scope& top = scopes_.back();
    if (top.next_child == kNone) {
      undo(top);
      scopes_.pop();
      continue;
    }
    BlockId block = top.next_child;
    top.next_child = next_sibling_[block];
    TRY(visit(block));
  }
  return finish();
}

// Whether control can pass from pred, which has been visited or is the source of a back edge, to block.
bool Gvn::is_live_edge(BlockId pred, BlockId block) const {
  if (pred >= block) return true;
  if (!reachable_[pred]) return false;
  const Vec<BlockId>& succs = f_->blocks[pred].succs;
  // A folded terminator has one successor or none; others keep all.
  return succs.size() > 1 || (succs.size() == 1 && succs[0] == block);
}

// Assumes what the only way into the block says.
void Gvn::enter(BlockId block) {
  const Block& b = f_->blocks[block];
  if (b.preds.size() != 1 || block == 0) return;
  const Block& pred = f_->blocks[b.preds[0]];
  const Inst& end = f_->insts[pred.insts.back()];
  u32 known;
  if (end.op == Op::kBranch)
    failed_ |= !facts_.assume(end.arg[0], pred.succs[0] == block);
  else if (end.op == Op::kSwitch && (known = switch_case_[block]) != kNone)
    failed_ |= !facts_.assume_equal(end.arg[0], known);
}

Err Gvn::visit(BlockId block) {
  bool live = block == 0;
  for (BlockId pred : ticking(f_->blocks[block].preds))
    live |= pred < block && is_live_edge(pred, block);
  if (!live) return Err::kOk;  // nor is anything it dominates
  reachable_[block] = true;
  if (!scopes_.push({block, first_child_[block], pure_.size(), memory_.size(), facts_.mark(),
                     anchor_log_.size()}))
    return diag_->no_memory();
  block_ = block;
  out_.clear();
  ended_ = false;
  recent_count_ = recent_next_ = 0;
  enter_memory(block);
  // The list is replaced when the block is done.
  Span<Value> insts = f_->blocks[block].insts.span();
  origin_ = f_->insts[insts[0]].origin;
  bool is_header = f_->blocks[block].is_loop_header;
  u32 i = 0;
  for (; i < insts.size() && f_->insts[insts[i]].op == Op::kPhi; i++, tick(8))
    visit_phi(insts[i], is_header);
  if (is_header && !failed_) bound_counters(block);
  enter(block);
  for (; i < insts.size() && !ended_ && !failed_; i++, tick(32)) {
    origin_ = f_->insts[insts[i]].origin;
    visit_inst(insts[i]);
  }
  if (failed_) return diag_->no_memory();
  versions_out_[block] = now_;
  Vec<Value>& list = f_->blocks[block].insts;
  list.clear();
  if (!list.reserve(out_.size())) return diag_->no_memory();
  for (Value v : paced(out_)) failed_ |= !list.push(v);
  return failed_ ? diag_->no_memory() : Err::kOk;
}

Value Gvn::constant(Type type, u64 bits) {
  u32 before = f_->insts.size();
  Value v = consts_.get(type, bits);
  if (v == kNone) {
    failed_ = true;
    return 0;
  }
  if (v >= before) define(v);
  return v;
}

// Makes what is kept per value.
void Gvn::define(Value v) {
  const Inst& inst = f_->insts[v];
  failed_ |= !facts_.define(v);
  failed_ |= v >= classes_.size() && !classes_.resize(usize{v} + 1);
  failed_ |= v >= bytes_.size() && !bytes_.resize(usize{v} + 1);
  if (failed_) return;
  classes_[v] = address_class(inst);
  if (inst.op == Op::kLoadRaw && is_op(inst.arg[0], Op::kVmCtx) && inst.type == Type::kI32 &&
      inst.imm == __builtin_offsetof(wring_vmctx, pkt_len))
    facts_.restrict(v, {0, kMaxPacketBytes, fill_below(kMaxPacketBytes)});
  bytes_[v].source = kNone;
  if (inst.type == Type::kI32 || inst.type == Type::kI64) {
    bytes_[v] = bytes_of_inst(inst, facts_.info(v));
    if (bytes_[v].source == kNone) bytes_[v].source = v;
  }
}

void Gvn::list(Value v) {
  f_->insts[v].block = block_;
  failed_ |= !out_.push(v);
}

void Gvn::rewrite_args(Value v) {
  f_->for_each_arg(v, [&](Value& arg) {
    if (arg < replacement_.size()) arg = replacement_[arg];
  });
}

// Back edges' arguments are not known yet: finish() rewrites them.
void Gvn::visit_phi(Value v, bool is_header) {
  const Block& b = f_->blocks[block_];
  Span<Value> args = f_->args(v);
  Value same = kNone;
  bool differ = is_header;
  ValueInfo bound = {~u64{0}, 0, 0};
  for (u32 i = 0; i < args.size(); i++, tick()) {
    if (b.preds[i] >= block_) continue;
    args[i] = replacement_[args[i]];
    if (!is_live_edge(b.preds[i], block_)) continue;
    differ |= same != kNone && same != args[i];
    same = args[i];
    ValueInfo info = facts_.info(same);
    bound = {min(bound.lo, info.lo), max(bound.hi, info.hi), bound.bits | info.bits};
  }
  if (!differ) {
    replacement_[v] = same;
    return;
  }
  if (!is_header) {
    u32 hash = hash_inst(f_->insts[v]);
    Value equal = find_pure(f_->insts[v], hash);
    if (equal != kNone) {
      replacement_[v] = equal;
      return;
    }
    add_pure(v, hash);
  }
  define(v);
  if (is_header && !failed_) {
    for (u32 i = 0; i < args.size(); i++, tick())
      if (b.preds[i] >= block_ && args[i] != v) bound.hi = max(bound.hi, static_bound(args[i], 0));
    bound = {0, bound.hi, fill_below(bound.hi)};
  }
  if (!failed_) facts_.restrict(v, bound);
  list(v);
}

void Gvn::visit_inst(Value v) {
  rewrite_args(v);
  Inst& inst = f_->insts[v];
  if (is_terminator(inst.op)) return visit_terminator(v);
  switch (inst.op) {
    case Op::kParam:
    case Op::kConst:
    case Op::kVConst:
    case Op::kVmCtx:
    case Op::kResult:
    case Op::kFuel:
      define(v);
      list(v);
      return;
    case Op::kLoad:
    case Op::kLoadMem:
    case Op::kLoadRaw:
    case Op::kLoadGs: return visit_load(v);
    case Op::kLoadLane:
    case Op::kLoadLaneMem: return visit_lane_load(v);
    case Op::kAtomicLoad:
    case Op::kAtomicStore:
    case Op::kAtomicRmw:
    case Op::kAtomicCas:
    case Op::kFence: return visit_atomic(v);
    case Op::kStore:
    case Op::kStoreLane:
    case Op::kStoreMem:
    case Op::kStoreLaneMem:
    case Op::kStoreRaw:
    case Op::kAddRaw:
    case Op::kAtomicAddRaw: return visit_store(v);
    case Op::kCall:
    case Op::kCallPtr:
    case Op::kCallHost:
    case Op::kCallLib:
      define(v);
      list(v);
      return visit_call();
    case Op::kTrapIf: return visit_trap_if(v);
    default: replacement_[v] = number(inst, v);
  }
}

// Looks through tests for zero.
void Gvn::simplify_condition(Value* condition, bool* inverted) {
  for (;;) {
    const Inst& inst = def(*condition);
    u64 c;
    if ((inst.op != Op::kEq && inst.op != Op::kNe) || inst.operand_type != Type::kI32 ||
        !is_const(inst.arg[1], &c) || c != 0)
      return;
    *inverted ^= inst.op == Op::kEq;
    *condition = inst.arg[0];
  }
}

void Gvn::visit_trap_if(Value v) {
  Inst& inst = f_->insts[v];
  Value condition = inst.arg[0];
  bool inverted = false;
  simplify_condition(&condition, &inverted);
  if (!inverted) inst.arg[0] = condition;
  switch (facts_.truth_of(inst.arg[0])) {
    case Truth::kFalse: return;
    case Truth::kTrue: {
      u16 reason = inst.aux;
      inst = make_inst(Op::kTrap, Type::kVoid);
      inst.aux = reason;
      inst.origin = origin_;
      list(v);
      ended_ = edges_removed_ = true;
      f_->blocks[block_].succs.clear();
      return;
    }
    case Truth::kUnknown: break;
  }
  list(v);
  failed_ |= !facts_.assume(f_->insts[v].arg[0], false);
}

void Gvn::fold_to_jump(BlockId block, BlockId succ) {
  Vec<BlockId>& succs = f_->blocks[block].succs;
  succs.clear();
  failed_ |= !succs.push(succ);
  edges_removed_ = true;
}

void Gvn::visit_terminator(Value v) {
  Inst& inst = f_->insts[v];
  Vec<BlockId>& succs = f_->blocks[block_].succs;
  bool to_jump = false;
  if (inst.op == Op::kBranch) {
    bool inverted = false;
    simplify_condition(&inst.arg[0], &inverted);
    if (inverted) swap(succs[0], succs[1]);
    Truth truth = facts_.truth_of(inst.arg[0]);
    if (truth != Truth::kUnknown || succs[0] == succs[1]) {
      fold_to_jump(block_, succs[truth == Truth::kTrue ? 0 : 1]);
      to_jump = true;
    }
  } else if (inst.op == Op::kSwitch) {
    u32 last = succs.size() - 1;
    Value difference = unmasked_difference(inst.arg[0], last);
    if (difference != kNone) inst.arg[0] = difference;
    ValueInfo index = facts_.info(inst.arg[0]);
    if (index.lo == index.hi || last == 0 || index.lo >= last) {
      fold_to_jump(block_, succs[static_cast<u32>(min<u64>(index.lo, last))]);
      to_jump = true;
    } else {
      // A case is known on an edge that no other index shares.
      for (u32 i = 0; i <= last; i++, tick())
        switch_case_[succs[i]] = i < last && f_->blocks[succs[i]].preds.size() == 1 ? i : kNone;
    }
  }
  if (to_jump) {
    u32 origin = inst.origin;
    inst = make_inst(Op::kJump, Type::kVoid);
    inst.origin = origin;
  }
  list(v);
}

// Drops predecessors, with their phi arguments, whose edge is gone: in every block at once, so that folding many
// branches to one label stays linear.
bool Gvn::prune_edges() {
  u32 n = f_->blocks.size();
  struct Edge {
    BlockId from;
    u32 next;
  };
  Vec<Edge> edges(scratch_);
  Span<u32> first = scratch_->make_array<u32>(n);
  Span<u32> left =
      scratch_->make_array<u32>(n);  // by source: edges to the block at hand not yet matched
  if (!first.data() || !left.data()) return false;
  fill(first, kNone);
  for (BlockId b = 0; b < n; b++, tick()) {
    if (!reachable_[b]) continue;
    for (BlockId succ : ticking(f_->blocks[b].succs)) {
      if (!edges.push({b, first[succ]})) return false;
      first[succ] = edges.size() - 1;
    }
  }
  for (BlockId b = 0; b < n; b++, tick()) {
    Block& block = f_->blocks[b];
    for (u32 e = first[b]; e != kNone; e = edges[e].next, tick()) left[edges[e].from]++;
    u32 kept = 0;
    for (u32 i = 0; i < block.preds.size(); i++, tick()) {
      BlockId pred = block.preds[i];
      if (left[pred] == 0) continue;
      left[pred]--;
      for (Value v : paced(block.insts)) {
        const Inst& phi = f_->insts[v];
        if (phi.op != Op::kPhi) break;
        f_->pool[phi.pool + kept] = f_->pool[phi.pool + i];
      }
      block.preds[kept++] = pred;
    }
    if (kept == block.preds.size()) continue;
    if (!block.preds.resize(kept)) return false;
    for (Value v : paced(block.insts)) {
      if (f_->insts[v].op != Op::kPhi) break;
      f_->insts[v].count = kept;
    }
  }
  return true;
}

Err Gvn::finish() {
  for (const Block& block : paced(f_->blocks)) {
    if (!block.is_loop_header) continue;
    for (Value v : paced(block.insts)) {
      if (f_->insts[v].op != Op::kPhi) break;
      rewrite_args(v);
    }
  }
  if (consts_.flush() != Err::kOk) return diag_->no_memory();
  if (!edges_removed_) return Err::kOk;
  if (!prune_edges()) return diag_->no_memory();
  return analyze_cfg(f_, diag_);
}

}  // namespace wring::opt
