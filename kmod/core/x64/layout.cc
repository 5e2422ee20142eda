// SPDX-License-Identifier: GPL-2.0
// Block layout. The order is kept as a linked list, in which each loop's blocks are followed by a marker that stays
// where the loop ends, so that rotating a loop takes constant time.
#include "core/x64/layout.h"

#include "core/x64/insts.h"

namespace wring::x64 {

namespace {

// How many ends of inner loops may lie between a loop's last block and its end for it to be
// rotated.
constexpr u32 kMaxMarkersSkipped = 4;

class Planner {
 public:
  Planner(const ra::LirFunction& f, const ra::AllocationResult& allocation, Layout* out)
      : f_(f), allocation_(allocation), out_(out), blocks_(f.blocks.size()) {}

  bool run() {
    u32 nodes = 2 * blocks_ + 1;
    out_->target = f_.arena->make_array<u32>(blocks_);
    out_->order = f_.arena->make_array<u32>(blocks_);
    next_ = f_.arena->make_array<u32>(nodes);
    prev_ = f_.arena->make_array<u32>(nodes);
    if (!out_->target.data() || !out_->order.data() || !next_.data() || !prev_.data()) return false;
    resolve_targets();
    if (!build_list()) return false;
    for (u32 b = blocks_; b-- > 0; tick())
      if (f_.blocks[b].loop_header == b && is_listed(b)) rotate(b);
    collect();
    return find_loops();
  }

 private:
  Lir terminator(u32 b) const { return static_cast<Lir>(f_.insts[f_.blocks[b].end - 1].op); }

  bool is_empty(u32 b) const {
    const ra::LirBlock& block = f_.blocks[b];
    if (block.end - block.begin != 1 || terminator(b) != Lir::kJump) return false;
    u32 edit = first_edit(allocation_, block.begin);
    return edit == allocation_.edits.size() || allocation_.edits[edit].inst != block.begin;
  }

  // Backward, so that forward jumps see the end of the chain; back edges are followed one step
  // only.
  void resolve_targets() {
    for (u32 b = blocks_; b-- > 0; tick()) {
      u32 to = b;
      if (b != 0 && is_empty(b)) to = f_.blocks[b].succs[0];
      out_->target[b] = to > b ? out_->target[to] : to;
    }
    // A loop header that turned out to be empty itself: its target was not known yet.
    for (u32 b = 0; b < blocks_; b++, tick())
      if (out_->target[b] < b) out_->target[b] = out_->target[out_->target[b]];
  }

  u32 marker(u32 loop) const { return blocks_ + 1 + loop; }
  bool is_cold(u32 b) const { return b != 0 && f_.blocks[b].is_cold; }  // the entry comes first
  bool is_listed(u32 b) const { return out_->target[b] == b && !is_cold(b); }

  void append(u32 node) {
    u32 head = blocks_;
    prev_[node] = prev_[head];
    next_[node] = head;
    next_[prev_[head]] = node;
    prev_[head] = node;
  }

  // Hot blocks in order, with a marker after each loop.
  bool build_list() {
    next_[blocks_] = prev_[blocks_] = blocks_;
    Vec<u32> open(f_.arena);
    for (u32 b = 0; b <= blocks_; b++, tick()) {
      while (!open.empty() && (b == blocks_ || f_.blocks[open.back()].loop_end <= b))
        append(marker(open.pop()));
      if (b == blocks_) break;
      if (f_.blocks[b].loop_header == b && !open.push(b)) return false;
      if (is_listed(b)) append(b);
    }
    return true;
  }

  bool in_loop(u32 b, u32 header) const { return b >= header && b < f_.blocks[header].loop_end; }

  // while-loops: the header decides whether to go on with the block after it, and the last block
  // jumps back to the header. With the header moved to the end, one jump per iteration does both.
  void rotate(u32 header) {
    if (terminator(header) != Lir::kBranch) return;
    Span<ra::BlockIndex> succs = f_.blocks[header].succs;
    u32 a = out_->target[succs[0]], b = out_->target[succs[1]];
    if (in_loop(a, header) == in_loop(b, header)) return;
    u32 body = in_loop(a, header) ? a : b;
    u32 last = prev_[marker(header)];
    for (u32 i = 0; last > blocks_ && i < kMaxMarkersSkipped; i++) last = prev_[last];
    if (last >= blocks_ || last == header || next_[header] != body || header == 0) return;
    if (terminator(last) != Lir::kJump || out_->target[f_.blocks[last].succs[0]] != header) return;
    next_[prev_[header]] = next_[header];
    prev_[next_[header]] = prev_[header];
    next_[header] = next_[last];
    prev_[header] = last;
    prev_[next_[last]] = header;
    next_[last] = header;
  }

  void collect() {
    u32 count = 0;
    for (u32 node = next_[blocks_]; node != blocks_; node = next_[node], tick())
      if (node < blocks_) out_->order[count++] = node;
    for (u32 b = 0; b < blocks_; b++, tick())
      if (out_->target[b] == b && is_cold(b)) out_->order[count++] = b;
    out_->order = out_->order.slice(0, count);
  }

  // Loops without loops in them, as stretches of the order; cold blocks do not count.
  bool find_loops() {
    Span<u32> first = f_.arena->make_array<u32>(blocks_);
    out_->loop_end = f_.arena->make_array<u32>(out_->order.size());
    if (blocks_ && (!first.data() || !out_->loop_end.data())) return false;
    fill(first, kNone);
    u32 next_header = blocks_;
    for (u32 b = blocks_; b-- > 0; tick()) {
      if (f_.blocks[b].loop_header != b) continue;
      if (next_header < f_.blocks[b].loop_end) first[b] = blocks_;  // not innermost
      next_header = b;
    }
    fill(out_->loop_end, 0);
    for (u32 place = 0; place < out_->order.size(); place++, tick()) {
      u32 header = f_.blocks[out_->order[place]].loop_header;
      if (header == kNone || first[header] == blocks_ || is_cold(out_->order[place])) continue;
      if (first[header] == kNone) first[header] = place;
      out_->loop_end[first[header]] = place + 1;
    }
    return true;
  }

  const ra::LirFunction& f_;
  const ra::AllocationResult& allocation_;
  Layout* out_;
  u32 blocks_;
  // Nodes: blocks, the list's head (number blocks_), then a marker per loop header.
  Span<u32> next_, prev_;
};

}  // namespace

u32 first_edit(const ra::AllocationResult& allocation, u32 inst) {
  u32 low = 0, high = allocation.edits.size();
  while (low < high) {
    u32 middle = low + (high - low) / 2;
    if (allocation.edits[middle].inst < inst)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

bool plan_layout(const ra::LirFunction& f, const ra::AllocationResult& allocation, Layout* out) {
  return Planner(f, allocation, out).run();
}

}  // namespace wring::x64
