// SPDX-License-Identifier: GPL-2.0
// Liveness by backward sweeps over a depth-first post-order: one sweep for code without loops, two with loops.
//
// In a reducible graph the first sweep finds everything that is live into a loop header by itself. What is live
// into the header of the loop around it is live throughout and is added before the second sweep, which then
// is final. Sweeps go on until nothing changes, so correctness does not depend on the order of the blocks.
#include "core/regalloc/liveness.h"

#include "core/regalloc/loops.h"

namespace wring::ra {
namespace {

constexpr u32 kMaxSweeps = 24;

class Builder {
 public:
  Builder(const LirFunction& f, Arena* arena, Liveness* out)
      : f_(f),
        arena_(arena),
        out_(out),
        max_entries_(
            min<u64>(kLiveEntries + u64{kLiveEntriesPerInst} * f.insts.size(), kMaxLiveEntries)) {}
  Err run();

 private:
  Err allocate();
  Err order_blocks();
  void find_parents();
  Err sweep_to_fixpoint(bool* done);
  Err merge_parents();
  Err walk(BlockIndex b, bool* grew);
  Err store_live_in(BlockIndex b, bool* grew);
  void flow_in(BlockIndex b);
  Err find_globals();
  Err stretch_ranges();
  u32 edge_cost(BlockIndex from, BlockIndex to) const {
    const LirBlock &a = f_.blocks[from], &b = f_.blocks[to];
    u32 cost = 0;
    if (b.loop_depth < a.loop_depth) cost += min(a.loop_depth - b.loop_depth, 16u) * kLoopExit;
    if (b.is_cold && !a.is_cold) cost += kColdEntry;
    return cost;
  }
  u32 class_of(VReg v) const { return static_cast<u32>(f_.vregs[v].cls); }
  bool live(VReg v) const { return stamp_[v] == epoch_; }
  // Makes v live, going backward, at `point` and with its next use at `next`.
  void add(VReg v, u32 next, u32 point) {
    if (!live(v)) {
      stamp_[v] = epoch_;
      count_[class_of(v)]++;
      listed_ &= list_.push(v);
      extend(v, point);
    }
    next_[v] = next;
  }
  // Ends v's liveness, going backward, at its definition; returns its next use.
  u32 remove(VReg v, u32 point) {
    extend(v, point);
    if (!live(v)) return unknown_next(v);
    stamp_[v] = 0;
    count_[class_of(v)]--;
    return next_[v];
  }
  void extend(VReg v, u32 point) {
    LiveRange& range = out_->ranges[v];
    range.first = min(range.first, point);
    range.last = max(range.last, point);
    if (!cold_) range.hot_last = max(range.hot_last, point);
  }
  // The next use of a value that is not used any more in this block.
  u32 unknown_next(VReg v) const { return !out_->precise && global_[v] ? kFar : kDead; }
  u32 next_of(VReg v) const { return live(v) ? next_[v] : unknown_next(v); }

  const LirFunction& f_;
  Arena* arena_;
  Liveness* out_;
  u64 max_entries_;
  Span<BlockIndex> post_order_;
  Span<u32> post_index_;
  Span<BlockIndex> parent_;  // headers: the header of the loop around it
  Span<u8> dirty_;
  Span<u8> global_;         // per vreg: used in another block than the one that defines it
  Span<u32> stamp_, next_;  // per vreg
  Vec<VReg> list_;          // values that became live during the walk
  bool listed_ = true;
  u32 epoch_ = 0;
  u32 count_[2] = {};
  bool cold_ = false;  // the block being walked
  u64 entries_ = 0;
};

Err Builder::run() {
  TRY(allocate());
  TRY(order_blocks());
  find_parents();
  bool done = false;
  TRY(sweep_to_fixpoint(&done));
  if (!done) {
    out_->precise = false;
    for (BlockLiveness& block : paced(out_->blocks)) block.in = {};
    TRY(find_globals());
    for (BlockIndex b = 0; b < f_.blocks.size(); b++, tick()) {
      bool grew;
      TRY(walk(b, &grew));
    }
  }
  if (!out_->precise) TRY(stretch_ranges());
  summarize_loops(f_, parent_, out_->blocks);
  return Err::kOk;
}

Err Builder::allocate() {
  u32 blocks = f_.blocks.size(), vregs = f_.vregs.size();
  u32 params = 0, args = 0;
  out_->blocks = arena_->make_array<BlockLiveness>(blocks);
  if (!out_->blocks.data()) return Err::kNoMemory;
  for (BlockIndex b = 0; b < blocks; b++, tick()) {
    const LirBlock& block = f_.blocks[b];
    u32 weight = kUnitWeight << (3 * min(block.loop_depth, kMaxWeightDepth));
    out_->blocks[b].weight = block.is_cold ? max(weight / 256, 1u) : weight;
    out_->blocks[b].first_param = params;
    out_->blocks[b].first_arg = args;
    out_->blocks[b].call_distance = kDead;
    params += block.params.size();
    args += block.args.size();
  }
  // One spare element each, so that no array is empty.
  out_->next_use = arena_->make_array<u32>(usize{f_.operands.size()} + 1);
  out_->param_next = arena_->make_array<u32>(usize{params} + 1);
  out_->arg_next = arena_->make_array<u32>(usize{args} + 1);
  out_->ranges = arena_->make_array<LiveRange>(usize{vregs} + 1);
  stamp_ = arena_->make_array<u32>(usize{vregs} + 1);
  next_ = arena_->make_array<u32>(usize{vregs} + 1);
  global_ = arena_->make_array<u8>(usize{vregs} + 1);
  post_order_ = arena_->make_array<BlockIndex>(blocks);
  post_index_ = arena_->make_array<u32>(blocks);
  parent_ = arena_->make_array<BlockIndex>(blocks);
  dirty_ = arena_->make_array<u8>(blocks);
  list_.init(arena_);
  if (!out_->next_use.data() || !out_->param_next.data() || !out_->arg_next.data() ||
      !out_->ranges.data() || !stamp_.data() || !next_.data() || !global_.data() ||
      !post_order_.data() || !post_index_.data() || !parent_.data() || !dirty_.data())
    return Err::kNoMemory;
  fill(out_->ranges, LiveRange());
  return Err::kOk;
}

Err Builder::order_blocks() {
  struct Visit {
    BlockIndex block;
    u32 next_succ;
  };
  Vec<Visit> stack(arena_);
  u32 count = 0;
  fill(post_index_, kNone);
  constexpr u32 kOnStack = kNone - 1;
  if (!stack.push({0, 0})) return Err::kNoMemory;
  post_index_[0] = kOnStack;
  while (!stack.empty()) {
    tick();
    Visit& top = stack.back();
    const LirBlock& block = f_.blocks[top.block];
    if (top.next_succ == block.succs.size()) {
      post_index_[top.block] = count;
      post_order_[count++] = top.block;
      stack.pop();
      continue;
    }
    BlockIndex succ = block.succs[top.next_succ++];
    if (post_index_[succ] != kNone) continue;
    post_index_[succ] = kOnStack;
    if (!stack.push({succ, 0})) return Err::kNoMemory;
  }
  // Blocks that cannot be reached are not live into anything; they still need their local information.
  for (BlockIndex b = 0; b < f_.blocks.size(); b++, tick())
    if (post_index_[b] == kNone) {
      post_index_[b] = count;
      post_order_[count++] = b;
    }
  return Err::kOk;
}

// Nesting of the loops that are contiguous in block order.
void Builder::find_parents() {
  BlockIndex open = kNone;  // innermost header whose loop contains the current block
  for (BlockIndex b = 0; b < f_.blocks.size(); b++, tick()) {
    while (open != kNone && b >= f_.blocks[open].loop_end) open = parent_[open];
    parent_[b] = kNone;
    if (f_.blocks[b].loop_end > b) {
      parent_[b] = open;
      open = b;
    }
  }
}

Err Builder::sweep_to_fixpoint(bool* done) {
  fill(dirty_, 1);
  for (u32 sweep = 0; sweep < kMaxSweeps; sweep++) {
    bool again = false;
    for (u32 i = 0; i < post_order_.size(); i++, tick()) {
      BlockIndex b = post_order_[i];
      if (!dirty_[b]) continue;
      dirty_[b] = 0;
      bool grew = false;
      TRY(walk(b, &grew));
      if (entries_ > max_entries_) return Err::kOk;
      if (!grew) continue;
      for (BlockIndex pred : ticking(f_.blocks[b].preds)) {
        dirty_[pred] = 1;
        again = again || post_index_[pred] <= i;
      }
    }
    if (sweep == 0) {
      bool loops = false;
      for (BlockIndex b = 0; b < f_.blocks.size(); b++, tick())
        if (f_.blocks[b].loop_header != kNone) {
          dirty_[b] = 1;  // also to learn the distances around the back edges
          loops = true;
        }
      if (loops) TRY(merge_parents());
      again = again || loops;
    }
    if (!again) {
      *done = true;
      return Err::kOk;
    }
  }
  return Err::kOk;
}

Err Builder::merge_parents() {
  for (BlockIndex b = 0; b < f_.blocks.size(); b++, tick()) {
    if (f_.blocks[b].loop_end <= b || parent_[b] == kNone) continue;
    epoch_++;
    list_.clear();
    count_[0] = count_[1] = 0;
    u32 before = out_->blocks[b].in.size();
    cold_ = f_.blocks[b].is_cold;
    u32 point = 2 * f_.blocks[b].begin;
    for (const LiveIn& in : paced(out_->blocks[b].in)) add(in.vreg, in.distance, point);
    for (const LiveIn& in : paced(out_->blocks[parent_[b]].in))
      if (!live(in.vreg)) add(in.vreg, far_add(in.distance, kLoopExit), point);
    bool grew;
    TRY(store_live_in(b, &grew));
    if (out_->blocks[b].in.size() == before) continue;
    for (BlockIndex pred : ticking(f_.blocks[b].preds)) dirty_[pred] = 1;
    if (entries_ > max_entries_) return Err::kOk;
  }
  return Err::kOk;
}

// What is live out of b, from what is live into its successors.
void Builder::flow_in(BlockIndex b) {
  const LirBlock& block = f_.blocks[b];
  BlockLiveness& info = out_->blocks[b];
  u32 length = block.end - block.begin;
  info.call_distance = kDead;
  for (BlockIndex succ : ticking(block.succs)) {
    const BlockLiveness& next = out_->blocks[succ];
    u32 offset = length + edge_cost(b, succ);
    for (const LiveIn& in : paced(next.in)) {
      u32 distance = far_add(in.distance, offset);
      if (!live(in.vreg) || distance < next_[in.vreg]) add(in.vreg, distance, 2 * block.end);
    }
    if (next.call_distance != kDead)
      info.call_distance = min(info.call_distance, far_add(next.call_distance, offset));
  }
}

Err Builder::walk(BlockIndex b, bool* grew) {
  const LirBlock& block = f_.blocks[b];
  BlockLiveness& info = out_->blocks[b];
  u32 length = block.end - block.begin;
  epoch_++;
  cold_ = block.is_cold;
  list_.clear();
  count_[0] = count_[1] = 0;
  if (out_->precise) flow_in(b);
  for (u32 c = 0; c < 2; c++) info.pressure[c] = count_[c], info.crossing[c] = 0;

  for (u32 i = 0; i < block.args.size(); i++, tick())
    out_->arg_next[info.first_arg + i] = next_of(block.args[i]);
  for (VReg arg : ticking(block.args)) add(arg, length - 1, 2 * block.end - 1);

  for (u32 i = block.end; i-- > block.begin; tick()) {
    const LirInst& inst = f_.insts[i];
    Span<Operand> operands = f_.operands_of(i);
    u32 defined[2] = {};
    for (u32 k = 0; k < operands.size(); k++) {
      const Operand& op = operands[k];
      if (op.kind != OperandKind::kDef) continue;
      bool was_live = live(op.vreg);
      out_->next_use[inst.operands + k] = remove(op.vreg, 2 * i + 1);
      defined[class_of(op.vreg)] += was_live || op.other ? 1 : 0;
    }
    for (u32 c = 0; c < 2; c++) info.pressure[c] = max(info.pressure[c], count_[c] + defined[c]);
    if (inst.is_call) {
      for (u32 c = 0; c < 2; c++) info.crossing[c] = max(info.crossing[c], count_[c]);
      info.call_distance = i - block.begin;
      info.calls = true;
    }
    for (u32 k = 0; k < operands.size(); k++)
      if (operands[k].kind == OperandKind::kUse)
        out_->next_use[inst.operands + k] = next_of(operands[k].vreg);
    for (const Operand& op : operands)
      if (op.kind == OperandKind::kUse) add(op.vreg, i - block.begin, 2 * i + 1 + op.other);
    for (u32 c = 0; c < 2; c++) info.pressure[c] = max(info.pressure[c], count_[c]);
  }
  for (u32 i = 0; i < block.params.size(); i++, tick())
    out_->param_next[info.first_param + i] = remove(block.params[i], 2 * block.begin);
  if (!listed_) return Err::kNoMemory;
  if (!out_->precise) {
    *grew = false;
    return Err::kOk;
  }
  return store_live_in(b, grew);
}

Err Builder::store_live_in(BlockIndex b, bool* grew) {
  BlockLiveness& info = out_->blocks[b];
  if (!listed_) return Err::kNoMemory;
  u32 count = count_[0] + count_[1];
  *grew = count > info.in.size();
  if (*grew) {
    entries_ += count;
    if (entries_ > max_entries_) return Err::kOk;
    info.in = arena_->make_array<LiveIn>(count);
    if (!info.in.data()) return Err::kNoMemory;
  }
  info.in = info.in.slice(0, count);
  u32 at = 0;
  for (VReg v : paced(list_)) {
    if (!live(v)) continue;
    info.in[at++] = {v, next_[v]};
    extend(v, 2 * f_.blocks[b].begin);
  }
  return Err::kOk;
}

// Which values are used in another block than the one that defines them.
Err Builder::find_globals() {
  Span<BlockIndex> home = arena_->make_array<BlockIndex>(usize{f_.vregs.size()} + 1);
  if (!home.data()) return Err::kNoMemory;
  for (BlockIndex b = 0; b < f_.blocks.size(); b++, tick()) {
    for (VReg param : ticking(f_.blocks[b].params)) home[param] = b;
    for (u32 i = f_.blocks[b].begin; i < f_.blocks[b].end; i++, tick())
      for (const Operand& op : f_.operands_of(i))
        if (op.kind == OperandKind::kDef) home[op.vreg] = b;
  }
  for (BlockIndex b = 0; b < f_.blocks.size(); b++, tick()) {
    for (VReg arg : ticking(f_.blocks[b].args)) global_[arg] |= home[arg] != b;
    for (u32 i = f_.blocks[b].begin; i < f_.blocks[b].end; i++, tick())
      for (const Operand& op : f_.operands_of(i))
        if (op.kind == OperandKind::kUse) global_[op.vreg] |= home[op.vreg] != b;
  }
  return Err::kOk;
}

// Without live-in lists: a value that leaves its block is taken to be live until the end of the outermost loop
// around any of its uses, or everywhere if blocks are not in reverse post-order.
Err Builder::stretch_ranges() {
  bool ordered = true;
  for (BlockIndex b = 0; b < f_.blocks.size(); b++, tick())
    for (BlockIndex succ : ticking(f_.blocks[b].succs))
      ordered = ordered && (succ > b || b < f_.blocks[succ].loop_end);
  u32 end = 0;  // of the outermost loop around the current block
  auto stretch = [&](VReg v) {
    if (!global_[v]) return;
    LiveRange& range = out_->ranges[v];
    if (!ordered) range.first = 0;
    range.last = max(range.last, ordered ? end : 2 * f_.insts.size());
    range.hot_last = max(range.hot_last, range.last);
  };
  for (BlockIndex b = 0; b < f_.blocks.size(); b++, tick()) {
    const LirBlock& block = f_.blocks[b];
    if (2 * block.begin >= end)
      end = block.loop_end > b ? 2 * f_.blocks[block.loop_end - 1].end : 2 * block.end;
    for (VReg arg : ticking(block.args)) stretch(arg);
    for (u32 i = block.begin; i < block.end; i++, tick())
      for (const Operand& op : f_.operands_of(i))
        if (op.kind == OperandKind::kUse) stretch(op.vreg);
  }
  return Err::kOk;
}

}  // namespace

Err compute_liveness(const LirFunction& f, Arena* arena, Liveness* out) {
  return Builder(f, arena, out).run();
}

}  // namespace wring::ra
