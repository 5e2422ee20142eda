// SPDX-License-Identifier: GPL-2.0
// Control-flow analysis: reachability, dominators, loops and the final order of blocks.
//
// Wasm's control flow is reducible and every pass keeps it so. Then dominators need one pass in reverse
// post-order, and a back edge is an edge to a block that dominates its source.
#include "core/ir/cfg.h"

#include "core/ir/edit.h"

namespace wring::ir {

namespace {

// Analysis by block number while the order is not final.
struct Info {
  u32 rpo;  // position in order, kNone if unreachable
  BlockId idom;
  u32 depth;  // in the dominator tree
  BlockId
      jump;  // an ancestor some levels up (skew-binary jump pointers): makes ancestor searches logarithmic
  BlockId loop;         // header of the innermost loop around, itself if a header, or kNone
  BlockId loop_parent;  // headers: the header of the loop around
  u32 loop_depth;
  bool is_header;
  bool is_cold;
  u32 waiting;  // forward predecessors not yet placed in the final order
};

class Analysis {
 public:
  explicit Analysis(Function* f) : f_(f), order_(f->arena), work_(f->arena) {}
  Err run();

 private:
  bool depth_first();
  void dominators();
  BlockId common_dominator(BlockId a, BlockId b) const;
  bool loops();
  BlockId outermost_known(BlockId block);
  void cold();
  bool final_order();
  bool remove_unreachable_preds();
  bool forward_phis();
  bool renumber();

  bool is_back_edge(BlockId from, BlockId to) const { return info_[to].rpo <= info_[from].rpo; }

  Function* f_;
  Span<Info> info_;
  Vec<BlockId> order_;  // reachable blocks; first in some reverse post-order, then in the final one
  Vec<BlockId> work_;
};

bool Analysis::depth_first() {
  struct Visit {
    BlockId block;
    u32 next;
  };
  Vec<Visit> stack(f_->arena);
  for (Info& info : paced(info_)) info.rpo = kNone;
  info_[0].rpo = 0;
  if (!stack.push({0, 0})) return false;
  while (!stack.empty()) {
    tick();
    Visit& top = stack.back();
    const Vec<BlockId>& succs = f_->blocks[top.block].succs;
    if (top.next == succs.size()) {
      if (!order_.push(top.block)) return false;
      stack.pop();
      continue;
    }
    BlockId succ = succs[top.next++];
    if (info_[succ].rpo != kNone) continue;
    info_[succ].rpo = 0;
    if (!stack.push({succ, 0})) return false;
  }
  for (u32 i = 0, j = order_.size() - 1; i < j; i++, j--, tick()) swap(order_[i], order_[j]);
  for (u32 i = 0; i < order_.size(); i++, tick()) info_[order_[i]].rpo = i;
  return true;
}

// The nearest common ancestor of two blocks whose place in the dominator tree is known.
BlockId Analysis::common_dominator(BlockId a, BlockId b) const {
  tick(4);
  if (info_[a].depth < info_[b].depth) swap(a, b);
  while (info_[a].depth > info_[b].depth)
    a = info_[info_[a].jump].depth >= info_[b].depth ? info_[a].jump : info_[a].idom;
  while (a != b) {
    // At equal depth jump pointers lead equally far.
    bool far = info_[a].jump != info_[b].jump;
    a = far ? info_[a].jump : info_[a].idom;
    b = far ? info_[b].jump : info_[b].idom;
  }
  return a;
}

void Analysis::dominators() {
  Info& root = info_[0];
  root.idom = kNone;
  root.depth = 0;
  root.jump = 0;
  for (u32 i = 1; i < order_.size(); i++, tick()) {
    BlockId block = order_[i];
    BlockId idom = kNone;
    for (BlockId pred : ticking(f_->blocks[block].preds)) {
      if (info_[pred].rpo >= i) continue;  // unreachable, or a back edge: it adds nothing
      idom = idom == kNone ? pred : common_dominator(idom, pred);
    }
    Info& info = info_[block];
    info.idom = idom;
    info.depth = info_[idom].depth + 1;
    BlockId jump = info_[idom].jump;
    bool skip =
        info_[idom].depth - info_[jump].depth == info_[jump].depth - info_[info_[jump].jump].depth;
    info.jump = skip ? info_[jump].jump : idom;
  }
}

// The outermost loop found so far that contains the block (its header), or the block itself. Shortens the
// chain it walks.
BlockId Analysis::outermost_known(BlockId block) {
  BlockId top = info_[block].is_header ? block : info_[block].loop;
  if (top == kNone) return block;
  for (; info_[top].jump != kNone; tick()) top = info_[top].jump;
  for (BlockId h = info_[block].is_header ? block : info_[block].loop; h != top; tick()) {
    BlockId next = info_[h].jump;
    info_[h].jump = top;
    h = next;
  }
  return top;
}

// Finds loops from the innermost outwards: headers in descending order, each walked backwards from its
// latches; loops found before are stepped over as a whole. Reuses Info::jump for their union.
bool Analysis::loops() {
  for (BlockId block : paced(order_)) {
    info_[block].loop = info_[block].loop_parent = info_[block].jump = kNone;
    info_[block].is_header = false;
  }
  for (u32 i = order_.size(); i-- > 0; tick()) {
    BlockId header = order_[i];
    work_.clear();
    bool found = false;
    for (BlockId pred : ticking(f_->blocks[header].preds)) {
      if (info_[pred].rpo == kNone || !is_back_edge(pred, header)) continue;
      found = true;
      if (pred != header && !work_.push(pred)) return false;
    }
    if (!found) continue;
    while (!work_.empty()) {
      tick();
      BlockId block = outermost_known(work_.pop());
      if (block == header) continue;
      Info& info = info_[block];
      if (info.is_header) {
        info.loop_parent = header;
        info.jump = header;
      } else {
        info.loop = header;
      }
      for (BlockId pred : ticking(f_->blocks[block].preds))
        if (info_[pred].rpo != kNone && !is_back_edge(pred, block) && !work_.push(pred))
          return false;
    }
    info_[header].is_header = true;
    info_[header].loop = header;
  }
  for (BlockId block : paced(order_)) {
    Info& info = info_[block];
    if (info.is_header)
      info.loop_depth = 1 + (info.loop_parent == kNone ? 0 : info_[info.loop_parent].loop_depth);
    else
      info.loop_depth = info.loop == kNone ? 0 : info_[info.loop].loop_depth;
  }
  return true;
}

void Analysis::cold() {
  for (u32 i = order_.size(); i-- > 0; tick()) {
    BlockId block = order_[i];
    const Block& b = f_->blocks[block];
    bool is_cold = f_->insts[b.insts.back()].op == Op::kTrap;
    if (!b.succs.empty()) {
      is_cold = true;
      for (BlockId succ : ticking(b.succs))
        is_cold &= !is_back_edge(block, succ) && info_[succ].is_cold;
    }
    info_[block].is_cold = (is_cold || b.is_unlikely) && block != 0;
  }
}

// Topological order that finishes a loop before it leaves it: ready blocks wait on a stack per loop. Among
// those ready the one that comes first in the source goes first; cold blocks go last.
bool Analysis::final_order() {
  // Stacks as linked lists through `below`, one per loop header and one (index blocks.size()) for the rest.
  u32 outside = f_->blocks.size();
  Span<BlockId> below = f_->arena->make_array<BlockId>(outside);
  Span<BlockId> tops = f_->arena->make_array<BlockId>(usize{outside} + 1);
  if (!below.data() || !tops.data()) return false;
  fill(tops, kNone);
  BlockId cold_top = kNone;

  for (BlockId block : paced(order_)) {
    u32 waiting = 0;
    for (BlockId pred : ticking(f_->blocks[block].preds))
      if (info_[pred].rpo != kNone && !is_back_edge(pred, block)) waiting++;
    info_[block].waiting = waiting;
  }
  order_.clear();
  u32 loop = outside;
  BlockId next = 0;
  while (next != kNone) {
    tick();
    if (!order_.push(next)) return false;
    if (info_[next].is_header) loop = next;
    const Vec<BlockId>& succs = f_->blocks[next].succs;
    // Later ones first, so that earlier ones end up on top.
    for (u32 i = succs.size(); i-- > 0; tick()) {
      BlockId succ = succs[i];
      Info& info = info_[succ];
      if (is_back_edge(next, succ) || --info.waiting) continue;
      BlockId inside = info.is_header ? info.loop_parent : info.loop;
      BlockId* top = &tops[inside == kNone ? outside : inside];
      if (info.is_cold && inside == kNone) top = &cold_top;
      if (succs.size() == 2 && *top != kNone && *top == succs[1] && succ > *top) {
        // A conditional branch: the lower number is the one that follows in the source.
        below[succ] = below[*top];
        below[*top] = succ;
        continue;
      }
      below[succ] = *top;
      *top = succ;
    }
    while (loop != outside && tops[loop] == kNone)
      loop = info_[loop].loop_parent == kNone ? outside : info_[loop].loop_parent;
    BlockId* top = tops[loop] != kNone ? &tops[loop] : &cold_top;
    next = *top;
    if (next != kNone) *top = below[next];
  }
  return true;
}

// Forgets predecessors that cannot be reached, with their phi arguments.
bool Analysis::remove_unreachable_preds() {
  for (BlockId block : paced(order_)) {
    Block& b = f_->blocks[block];
    u32 kept = 0;
    for (BlockId pred : ticking(b.preds)) kept += info_[pred].rpo != kNone;
    if (kept == b.preds.size()) continue;
    for (Value v : paced(b.insts)) {
      Inst& phi = f_->insts[v];
      if (phi.op != Op::kPhi) break;
      u32 n = 0;
      for (u32 i = 0; i < b.preds.size(); i++, tick())
        if (info_[b.preds[i]].rpo != kNone) f_->pool[phi.pool + n++] = f_->pool[phi.pool + i];
      phi.count = n;
    }
    u32 n = 0;
    for (BlockId pred : ticking(b.preds))
      if (info_[pred].rpo != kNone) b.preds[n++] = pred;
    if (!b.preds.resize(n)) return false;
  }
  return true;
}

// Replaces phis of blocks that are entered from one block only by what they merge: one value.
bool Analysis::forward_phis() {
  Span<Value> forwarded;  // by phi: the value that stands for it, plus one; made when there is one
  for (BlockId block : paced(order_)) {
    Vec<Value>& list = f_->blocks[block].insts;
    if (f_->insts[list[0]].op != Op::kPhi || single_pred(f_->blocks[block]) == kNone) continue;
    if (!forwarded.data()) forwarded = f_->arena->make_array<Value>(f_->insts.size());
    if (!forwarded.data()) return false;
    u32 phis = 0;
    for (; f_->insts[list[phis]].op == Op::kPhi; phis++, tick()) {
      // What dominates the block comes before it in the order: such an argument stands for itself by now.
      Value arg = f_->args(list[phis])[0];
      forwarded[list[phis]] = forwarded[arg] ? forwarded[arg] : arg + 1;
    }
    for (u32 i = phis; i < list.size(); i++, tick()) list[i - phis] = list[i];
    if (!list.resize(list.size() - phis)) return false;
  }
  if (!forwarded.data()) return true;
  for (BlockId block : paced(order_))
    for (Value v : paced(f_->blocks[block].insts))
      f_->for_each_arg(v, [&](Value& arg) {
        if (forwarded[arg]) arg = forwarded[arg] - 1;
      });
  return true;
}

bool Analysis::renumber() {
  for (Info& info : paced(info_)) info.rpo = kNone;
  for (u32 i = 0; i < order_.size(); i++, tick()) info_[order_[i]].rpo = i;
  auto number = [this](BlockId block) { return block == kNone ? kNone : info_[block].rpo; };
  Span<Block> blocks = f_->arena->make_array<Block>(order_.size());
  if (!blocks.data()) return false;
  for (u32 i = 0; i < order_.size(); i++, tick()) {
    const Info& info = info_[order_[i]];
    Block b = f_->blocks[order_[i]];
    for (BlockId& pred : ticking(b.preds)) pred = number(pred);
    for (BlockId& succ : ticking(b.succs)) succ = number(succ);
    b.idom = number(info.idom);
    b.loop_depth = info.loop_depth;
    b.loop_header = number(info.loop);
    b.is_loop_header = info.is_header;
    b.is_cold = info.is_cold;
    for (Value v : paced(b.insts)) f_->insts[v].block = i;
    blocks[i] = b;
  }
  copy_bytes(f_->blocks.data(), blocks.data(), blocks.size() * sizeof(Block));
  return f_->blocks.resize(blocks.size());
}

Err Analysis::run() {
  info_ = f_->arena->make_array<Info>(f_->blocks.size());
  if (!info_.data() || !depth_first() || !remove_unreachable_preds() || !forward_phis())
    return Err::kNoMemory;
  dominators();
  if (!loops()) return Err::kNoMemory;
  cold();
  if (!final_order() || !renumber()) return Err::kNoMemory;
  return Err::kOk;
}

}  // namespace

Err analyze_cfg(Function* f, Diag* diag) {
  ArenaScope scope(f->arena);  // lists are changed in place
  return Analysis(f).run() == Err::kOk ? Err::kOk : diag->no_memory();
}

bool Dominators::init(const Function& f, Arena* arena) {
  u32 n = f.blocks.size();
  spans_ = arena->make_array<Extent>(n);
  Span<u32> next = arena->make_array<u32>(n);
  if (!spans_.data() || !next.data()) return false;
  for (Extent& extent : paced(spans_)) extent.size = 1;
  for (u32 b = n; b-- > 1; tick()) spans_[f.blocks[b].idom].size += spans_[b].size;
  next[0] = 1;
  for (u32 b = 1; b < n; b++, tick()) {
    BlockId idom = f.blocks[b].idom;
    spans_[b].first = next[idom];
    next[idom] += spans_[b].size;
    next[b] = spans_[b].first + 1;
  }
  return true;
}

BlockId single_pred(const Block& block) {
  if (block.preds.empty()) return kNone;
  for (u32 i = 1; i < block.preds.size(); i++, tick())
    if (block.preds[i] != block.preds[0]) return kNone;
  return block.preds[0];
}

namespace {

// Puts a block on the edges from `from` to `to`.
BlockId split_edge(Function* f, BlockId from, BlockId to) {
  BlockId middle = add_block(f);
  if (middle == kNone) return kNone;
  Inst jump = make_inst(Op::kJump, Type::kVoid);
  jump.block = middle;
  jump.origin = f->insts[f->blocks[from].insts.back()].origin;
  if (!f->insts.push(jump)) return kNone;
  Block& block = f->blocks[middle];
  return block.insts.push(f->insts.size() - 1) && block.succs.push(to) ? middle : kNone;
}

}  // namespace

Err split_critical_edges(Function* f, Diag* diag) {
  struct PerBlock {
    BlockId
        source;  // as a target: the last block whose edges to it were split, and the block put there
    BlockId middle;
    BlockId first;   // as a target: the blocks put on its edges, linked by next[]
    bool is_shared;  // as a target: edges lead there from more than one block
    BlockId target;  // as a source: the target `middle_there` is about
    BlockId middle_there;
  };
  u32 n = f->blocks.size();
  Span<PerBlock> info = f->arena->make_array<PerBlock>(n);
  Vec<BlockId> next(f->arena);  // by new block number - n
  if (!info.data()) return diag->no_memory();
  for (BlockId b = 0; b < n; b++, tick()) {
    info[b].source = info[b].first = info[b].target = kNone;
    info[b].is_shared = !f->blocks[b].preds.empty() && single_pred(f->blocks[b]) == kNone;
  }
  for (BlockId from = 0; from < n; from++, tick()) {
    u32 succs = f->blocks[from].succs.size();
    for (u32 i = 0; succs > 1 && i < succs; i++, tick()) {
      BlockId to = f->blocks[from].succs[i];
      if (info[to].source != from) {
        if (!info[to].is_shared) continue;
        info[to].source = from;
        info[to].middle = split_edge(f, from, to);
        if (info[to].middle == kNone || !next.push(info[to].first)) return diag->no_memory();
        info[to].first = info[to].middle;
      }
      f->blocks[from].succs[i] = info[to].middle;
      if (!f->blocks[info[to].middle].preds.push(from)) return diag->no_memory();
    }
  }
  if (next.empty()) return Err::kOk;
  // In a target's predecessors the new block takes the place of its source; further edges from that source
  // go, and with them their phi arguments, which are equal.
  for (BlockId to = 0; to < n; to++, tick()) {
    if (info[to].first == kNone) continue;
    for (BlockId middle = info[to].first; middle != kNone; middle = next[middle - n], tick()) {
      BlockId from = f->blocks[middle].preds[0];
      info[from].target = to;
      info[from].middle_there = middle;
    }
    Block& block = f->blocks[to];
    u32 kept = 0;
    for (u32 i = 0; i < block.preds.size(); i++, tick()) {
      BlockId pred = block.preds[i];
      if (info[pred].target == to) {
        pred = info[pred].middle_there;
        if (pred == kNone) continue;
        info[block.preds[i]].middle_there = kNone;
      }
      for (Value v : paced(block.insts)) {
        const Inst& phi = f->insts[v];
        if (phi.op != Op::kPhi) break;
        f->pool[phi.pool + kept] = f->pool[phi.pool + i];
      }
      block.preds[kept++] = pred;
    }
    if (!block.preds.resize(kept)) return diag->no_memory();
    for (Value v : paced(block.insts)) {
      if (f->insts[v].op != Op::kPhi) break;
      f->insts[v].count = kept;
    }
  }
  return analyze_cfg(f, diag);
}

// Every block of a loop leads on to a latch: the last one is a latch, of this loop or of one nested in it
// (an inner loop's
// last block may lead to the outer latch only by way of the inner header). Inner loops have later headers.
Result<Span<BlockId>> loop_ends(const Function& f, Arena* arena) {
  u32 n = f.blocks.size();
  Span<BlockId> ends = arena->make_array<BlockId>(n);
  Vec<BlockId> later(
      arena);  // headers after the current one of loops that are not nested in each other
  if (!ends.data()) return Err::kNoMemory;
  for (BlockId b = n; b-- > 0; tick()) {
    if (!f.blocks[b].is_loop_header) continue;
    for (BlockId pred : ticking(f.blocks[b].preds))
      if (pred >= b) ends[b] = max(ends[b], pred);
    while (!later.empty() && later.back() <= ends[b]) ends[b] = max(ends[b], ends[later.pop()]);
    if (!later.push(b)) return Err::kNoMemory;
  }
  return ends;
}

Result<Span<u32>> count_uses(const Function& f, Arena* arena) {
  Span<u32> uses = arena->make_array<u32>(f.insts.size());
  if (!f.insts.empty() && !uses.data()) return Err::kNoMemory;
  for (const Block& block : paced(f.blocks))
    for (Value v : paced(block.insts)) f.for_each_arg(v, [&](Value arg) { uses[arg]++; });
  return uses;
}

}  // namespace wring::ir
