// SPDX-License-Identifier: GPL-2.0
// Dominators and loops for the allocation checker: see check_flow.h.
#include "core/regalloc/check_flow.h"

namespace wring::ra {

void BlockTree::add(BlockIndex b, BlockIndex parent) {
  if (parent == kNone) {
    nodes_[b] = {kNone, b, 0};
    return;
  }
  const Node& p = nodes_[parent];
  const Node& far = nodes_[p.jump];
  bool equal = p.depth - far.depth == far.depth - nodes_[far.jump].depth;
  nodes_[b] = {parent, equal ? far.jump : parent, p.depth + 1};
}

BlockIndex BlockTree::common_ancestor(BlockIndex a, BlockIndex b) const {
  tick(16);
  if (nodes_[a].depth > nodes_[b].depth) a = ancestor_at(a, nodes_[b].depth);
  if (nodes_[b].depth > nodes_[a].depth) b = ancestor_at(b, nodes_[a].depth);
  while (a != b) {  // of one depth, hence with jumps of one length
    bool same = nodes_[a].jump == nodes_[b].jump;
    a = same ? nodes_[a].parent : nodes_[a].jump;
    b = same ? nodes_[b].parent : nodes_[b].jump;
  }
  return a;
}

Err FlowInfo::init(const LirFunction& f, Arena* arena) {
  f_ = &f;
  u32 blocks = f.blocks.size();
  number_ = arena->make_array<u32>(blocks);
  loop_end_ = arena->make_array<u32>(blocks);
  if (blocks == 0) return Err::kOk;
  if (!number_.data() || !loop_end_.data() || !sort(arena) || !find_dominators(arena))
    return Err::kNoMemory;
  if (!is_reducible()) {
    fill(number_, kNone);
    return Err::kOk;
  }
  return find_loops(arena) && assign_numbers(arena) ? Err::kOk : Err::kNoMemory;
}

// Depth first from the entry.
bool FlowInfo::sort(Arena* arena) {
  struct Visit {
    BlockIndex block;
    u32 next;  // successor
  };
  Vec<Visit> open(arena);
  Span<BlockIndex> order = arena->make_array<BlockIndex>(number_.size());
  if (!order.data() || !open.push({0, 0})) return false;
  fill(number_, kNone);
  number_[0] = 0;
  u32 first = order.size();
  while (!open.empty()) {
    tick();
    Visit& visit = open.back();
    const LirBlock& block = f_->blocks[visit.block];
    if (visit.next == block.succs.size()) {
      order[--first] = open.pop().block;
      continue;
    }
    BlockIndex succ = block.succs[visit.next++];
    if (number_[succ] != kNone) continue;
    number_[succ] = 0;
    if (!open.push({succ, 0})) return false;
  }
  order_ = order.slice(first, order.size() - first);
  for (u32 i = 0; i < order_.size(); i++, tick()) number_[order_[i]] = i;
  return true;
}

bool FlowInfo::find_dominators(Arena* arena) {
  if (!dominators_.init(arena, number_.size())) return false;
  for (BlockIndex b : paced(order_)) {
    BlockIndex parent = kNone;
    for (BlockIndex pred : ticking(f_->blocks[b].preds)) {
      if (number_[pred] >= number_[b]) continue;  // an edge back, or unreachable
      parent = parent == kNone ? pred : dominators_.common_ancestor(parent, pred);
    }
    dominators_.add(b, parent);
  }
  return true;
}

// Whether edges back lead to dominators only.
bool FlowInfo::is_reducible() const {
  for (BlockIndex b : paced(order_))
    for (BlockIndex pred : ticking(f_->blocks[b].preds))
      if (is_back_edge(pred, b) && !dominators_.is_ancestor(b, pred)) return false;
  return true;
}

// From inner loops to outer ones, backward from the edges to the header; a loop that was found is passed in one step.
bool FlowInfo::find_loops(Arena* arena) {
  loop_of_ = arena->make_array<BlockIndex>(number_.size());
  Span<BlockIndex> outermost = arena->make_array<BlockIndex>(number_.size());
  Vec<BlockIndex> work(arena);
  if (!loop_of_.data() || !outermost.data()) return false;
  for (BlockIndex b = 0; b < number_.size(); b++, tick()) loop_of_[b] = kNone, outermost[b] = b;
  auto find = [&](BlockIndex b) {  // the outermost loop around b yet
    while (outermost[b] != b) b = outermost[b] = outermost[outermost[b]];
    return b;
  };
  for (u32 i = order_.size(); i-- > 0; tick()) {
    BlockIndex header = order_[i];
    for (BlockIndex pred : ticking(f_->blocks[header].preds)) {
      if (!is_back_edge(pred, header)) continue;
      loop_end_[header] = 1;
      if (!work.push(pred)) return false;
    }
    while (!work.empty()) {
      tick();
      BlockIndex b = find(work.pop());
      if (b == header) continue;
      loop_of_[b] = outermost[b] = header;
      for (BlockIndex pred : ticking(f_->blocks[b].preds))
        if (number_[pred] != kNone && !work.push(pred)) return false;
    }
  }
  return true;
}

// A preorder of the tree of loops in which the children of each keep their order. Two children of one loop are
// connected by edges to the first block of the latter only, which the former's first block then precedes.
bool FlowInfo::assign_numbers(Arena* arena) {
  u32 blocks = number_.size();
  Span<u32> size = arena->make_array<u32>(blocks);
  Span<u32> next = arena->make_array<u32>(blocks);  // free number in the loop
  if (!size.data() || !next.data() || !loops_.init(arena, blocks)) return false;
  for (u32 i = order_.size(); i-- > 0; tick()) {
    BlockIndex b = order_[i], loop = loop_of_[b];
    size[b]++;
    if (loop != kNone) size[loop] += size[b];
  }
  u32 outside = 0;
  for (BlockIndex b : paced(order_)) {
    BlockIndex loop = loop_of_[b];
    u32& free = loop == kNone ? outside : next[loop];
    number_[b] = free;
    next[b] = free + 1;
    free += size[b];
    if (loop_end_[b]) loop_end_[b] = free;
    loops_.add(b, loop);
  }
  return true;
}

BlockIndex FlowInfo::highest_dominator(BlockIndex b, u32 least) const {
  BlockIndex parent = dominators_.parent(b);
  if (parent == kNone || number_[parent] < least) return kNone;
  return dominators_.climb(parent, [&](BlockIndex a) { return number_[a] >= least; });
}

BlockIndex FlowInfo::loop_with(BlockIndex b, u32 other) const {
  if (loop_end_[b] > other) return b;
  return loops_.parent(loops_.climb(b, [&](BlockIndex a) { return loop_end_[a] <= other; }));
}

}  // namespace wring::ra
