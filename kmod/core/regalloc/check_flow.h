// SPDX-License-Identifier: GPL-2.0
// Dominators and loops of a LIR function, for the checker: found from the edges alone, in any order of blocks.
#pragma once

#include "core/base/result.h"
#include "core/regalloc/lir.h"

namespace wring::ra {

// Trees of blocks that are climbed in steps of O(log n): each node knows its parent and an ancestor further up, at a
// distance that its depth decides ("skew-binary jump pointers").
class BlockTree {
 public:
  [[nodiscard]] bool init(Arena* arena, u32 blocks) {
    nodes_ = arena->make_array<Node>(blocks);
    return blocks == 0 || nodes_.data();
  }
  // Parents come before their children. kNone: b is a root.
  void add(BlockIndex b, BlockIndex parent);
  BlockIndex parent(BlockIndex b) const { return nodes_[b].parent; }
  // Blocks of one tree.
  BlockIndex common_ancestor(BlockIndex a, BlockIndex b) const;
  bool is_ancestor(BlockIndex a, BlockIndex b) const {
    return nodes_[a].depth <= nodes_[b].depth && ancestor_at(b, nodes_[a].depth) == a;
  }
  // The highest of b and its ancestors for which `holds`, which is so for b and all up to there.
  template <class Holds>
  BlockIndex climb(BlockIndex b, Holds holds) const {
    for (;;) {
      const Node& node = nodes_[b];
      if (node.parent == kNone || !holds(node.parent)) return b;
      b = holds(node.jump) ? node.jump : node.parent;
    }
  }

 private:
  struct Node {
    BlockIndex parent, jump;  // the jump of a root: itself
    u32 depth;
  };
  BlockIndex ancestor_at(BlockIndex b, u32 depth) const {
    return climb(b, [&](BlockIndex a) { return nodes_[a].depth >= depth; });
  }
  Span<Node> nodes_;
};

class FlowInfo {
 public:
  // Err::kNoMemory only.
  Err init(const LirFunction& f, Arena* arena);

  // Numbers the blocks that the entry leads to such that a block comes after its predecessors, but for the edges back
  // to a loop's header, and that the blocks of each loop follow each other, the header first. kNone for other blocks,
  // and for all if there is a loop that can be entered past its header.
  u32 number(BlockIndex b) const { return number_[b]; }
  // The highest block that dominates b, b itself excepted, whose number is `least` or more; kNone if there is none.
  // b has a number.
  BlockIndex highest_dominator(BlockIndex b, u32 least) const;
  // The header of the innermost loop that contains b and the number `other`, which is b's or a higher one, or kNone.
  BlockIndex loop_with(BlockIndex b, u32 other) const;

 private:
  bool sort(Arena* arena);
  bool find_dominators(Arena* arena);
  bool find_loops(Arena* arena);
  bool is_reducible() const;
  bool assign_numbers(Arena* arena);
  bool is_back_edge(BlockIndex from, BlockIndex to) const {
    return number_[from] != kNone && number_[from] >= number_[to];
  }

  const LirFunction* f_ = nullptr;
  Span<BlockIndex> order_;    // the numbered blocks, in reverse post-order
  Span<u32> number_;          // per block; at first its place in order_
  Span<u32> loop_end_;        // per header: one past the last number in its loop; other blocks: 0
  Span<BlockIndex> loop_of_;  // per block: the header of the innermost loop around it but itself
  BlockTree dominators_;
  BlockTree loops_;  // the same as loop_of_
};

}  // namespace wring::ra
