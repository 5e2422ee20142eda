// SPDX-License-Identifier: GPL-2.0
// The tree of local states.
#include "core/ir/locals.h"

namespace wring::ir {

bool LocalState::init(Arena* arena) {
  values_.init(arena);
  nodes_.init(arena);
  path_.init(arena);
  changed_.init(arena);
  seen_.init(arena);
  return nodes_.push({});
}

bool LocalState::set(u32 local, Value value) {
  if (values_[local] == value) return true;
  if (!nodes_.push({current_, local, value, values_[local], 0})) return false;
  current_ = nodes_.size() - 1;
  values_[local] = value;
  return true;
}

bool LocalState::move_to(State state) {
  path_.clear();
  State from = current_;
  while (from != state) {
    tick();
    work_++;
    if (from > state) {
      const Node& node = nodes_[from];
      values_[node.local] = node.old;
      from = node.parent;
    } else {
      if (!path_.push(state)) return false;
      state = nodes_[state].parent;
    }
  }
  current_ = from;
  while (!path_.empty()) {
    tick();
    current_ = path_.pop();
    values_[nodes_[current_].local] = nodes_[current_].value;
  }
  return true;
}

// Notes the assignment of *state as one of the merge's and goes to the parent.
void LocalState::visit(State* state, u32 scope) {
  Node& node = nodes_[*state];
  node.mark = merge_;
  if (node.local < scope && seen_[node.local] != merge_) {
    seen_[node.local] = merge_;
    ok_ &= changed_.push(node.local);
  }
  work_++;
  tick();
  *state = node.parent;
}

bool LocalState::find_merge(Span<const State> states, u32 scope, State* ancestor) {
  merge_++;
  changed_.clear();
  if (!seen_.resize(values_.size())) return false;
  State common = states[0];
  for (State state : paced(states.slice(1, states.size() - 1))) {
    // Climbs from the younger of the two until they meet, or until a node that an earlier state passed.
    while (state != common && nodes_[state].mark != merge_)
      visit(state > common ? &state : &common, scope);
  }
  *ancestor = common;
  return ok_;
}

}  // namespace wring::ir
