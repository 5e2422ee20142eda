// SPDX-License-Identifier: GPL-2.0
// Control-flow analysis and clean-up: order, dominators, loops, critical edges.
#pragma once

#include "core/ir/ir.h"

namespace wring::ir {

// Removes unreachable blocks, renumbers the rest in reverse post-order (loops contiguous, cold blocks last
// where the order allows), and fills in Block::idom, loop_depth, loop_header, is_loop_header, is_cold. Phis of
// blocks with one predecessor (single_pred) give way to their argument. Whatever changes edges ends with this.
Err analyze_cfg(Function* f, Diag* diag);

// Puts an empty block on every edge from a block with several successors to one with several predecessors,
// then analyzes again. Required by lowering. Several edges from one Switch to the same block share one such
// block: it appears once per edge in the Switch's successors, and the Switch as often in its predecessors. A
// block all of whose predecessors are one and the same block therefore counts as having one predecessor
// (single_pred).
Err split_critical_edges(Function* f, Diag* diag);

// The dominator tree's extent: block a dominates block b if b's number in preorder lies in a's interval.
// For an analyzed function; stale as soon as blocks or edges change.
class Dominators {
 public:
  [[nodiscard]] bool init(const Function& f, Arena* arena);
  bool dominates(BlockId a, BlockId b) const {
    return spans_[b].first - spans_[a].first < spans_[a].size;
  }

 private:
  struct Extent {
    u32 first, size;
  };
  Span<Extent> spans_;
};

// The only block among the predecessors (however many edges lead from it), or kNone.
BlockId single_pred(const Block& block);

// The last block of each loop, by its header's number; headers only. For an analyzed function.
Result<Span<BlockId>> loop_ends(const Function& f, Arena* arena);

// The number of uses of each value in listed instructions (arena-allocated, indexed by Value).
Result<Span<u32>> count_uses(const Function& f, Arena* arena);

}  // namespace wring::ir
