// SPDX-License-Identifier: GPL-2.0
// LocalState: the values of a function's Wasm locals at each point of SSA construction.
//
// States form a tree: a node is one assignment on top of its parent's state, so a state costs what changed and
// not the number of locals. A dense array holds the values of one state, the current one; moving to another
// walks the path between the two, undoing and redoing assignments.
#pragma once

#include "core/ir/ir.h"

namespace wring::ir {

using State = u32;  // node of the tree; a parent's number is less than its child's

class LocalState {
 public:
  [[nodiscard]] bool init(Arena* arena);
  // Adds a local to every state; only while the current state is the only one that will be used.
  [[nodiscard]] bool add_local(Value value) { return values_.push(value); }
  u32 size() const { return values_.size(); }

  Value get(u32 local) const { return values_[local]; }
  [[nodiscard]] bool set(u32 local, Value value);
  State current() const { return current_; }
  [[nodiscard]] bool move_to(State state);

  // Prepares the merge of `states` (at least one): finds their nearest common ancestor and those of the first `scope`
  // locals that were assigned on the way from it to any of them. changed() lists these, without duplicates.
  [[nodiscard]] bool find_merge(Span<const State> states, u32 scope, State* ancestor);
  Span<u32> changed() { return changed_.span(); }

  // Steps taken so far, for the builder's work limit.
  u64 work() const { return work_; }

 private:
  struct Node {
    State parent;
    u32 local;
    Value value;
    Value old;  // the local's value in the parent
    u32 mark;   // number of the merge that last visited it
  };
  void visit(State* state, u32 scope);

  Vec<Value> values_;
  Vec<Node> nodes_;
  Vec<State> path_;
  Vec<u32> changed_;
  Vec<u32> seen_;  // by local: number of the merge that last listed it
  State current_ = 0;
  u32 merge_ = 0;
  u64 work_ = 0;
  bool ok_ = true;
};

}  // namespace wring::ir
