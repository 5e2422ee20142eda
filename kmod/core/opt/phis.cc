// SPDX-License-Identifier: GPL-2.0
// Removal of trivial phis: those that merge one value with themselves only. SSA construction makes them for
// locals that a loop assigns on no path that comes back (Braun and others, "Simple and efficient construction of
// SSA form", 2013, section 3.1). Removing one can make its users trivial: a worklist follows.
#include "core/opt/passes.h"

namespace wring::opt {

namespace {

class PhiPass {
 public:
  PhiPass(Function* f, Arena* scratch) : f_(f), scratch_(scratch), uses_(scratch), work_(scratch) {}
  bool run();

 private:
  struct Use {
    Value phi;
    u32 next;
  };
  Value resolve(Value v);
  bool add_use(Value arg, Value phi);

  Function* f_;
  Arena* scratch_;
  Span<Value> replacement_;  // by value; chains are shortened as they are followed
  Span<u32> first_use_;      // by value: phis that use it, in uses_
  Vec<Use> uses_;
  Vec<Value> work_;
};

Value PhiPass::resolve(Value v) {
  Value root = v;
  while (replacement_[root] != root) root = replacement_[root];
  while (replacement_[v] != root) {
    Value next = replacement_[v];
    replacement_[v] = root;
    v = next;
  }
  return root;
}

bool PhiPass::add_use(Value arg, Value phi) {
  if (!uses_.push({phi, first_use_[arg]})) return false;
  first_use_[arg] = uses_.size() - 1;
  return true;
}

bool PhiPass::run() {
  u32 values = f_->insts.size();
  replacement_ = scratch_->make_array<Value>(values);
  first_use_ = scratch_->make_array<u32>(values);
  if (!replacement_.data() || !first_use_.data()) return false;
  for (Value v = 0; v < values; v++) {
    replacement_[v] = v;
    first_use_[v] = kNone;
  }
  for (const Block& block : f_->blocks)
    for (Value v : block.insts) {
      if (f_->insts[v].op != Op::kPhi) break;
      if (!work_.push(v)) return false;
      // Only phis are looked at again when their arguments change.
      for (Value arg : f_->args(v))
        if (f_->insts[arg].op == Op::kPhi && !add_use(arg, v)) return false;
    }
  bool changed = false;
  while (!work_.empty()) {
    Value phi = work_.pop();
    if (replacement_[phi] != phi) continue;
    Value same = kNone;
    bool trivial = true;
    for (Value arg : f_->args(phi)) {
      arg = resolve(arg);
      if (arg == phi || arg == same) continue;
      if (same != kNone) {
        trivial = false;
        break;
      }
      same = arg;
    }
    if (!trivial || same == kNone) continue;
    replacement_[phi] = same;
    changed = true;
    bool is_phi = f_->insts[same].op == Op::kPhi;
    for (u32 u = first_use_[phi]; u != kNone; u = uses_[u].next) {
      if (!work_.push(uses_[u].phi)) return false;
      if (is_phi && !add_use(same, uses_[u].phi)) return false;
    }
  }
  if (!changed) return true;
  for (Block& block : f_->blocks) {
    u32 kept = 0;
    for (Value v : block.insts) {
      if (replacement_[v] != v) continue;
      for (Value& arg : f_->args(v)) arg = resolve(arg);
      block.insts[kept++] = v;
    }
    if (!block.insts.resize(kept)) return false;
  }
  return true;
}

}  // namespace

Err simplify_phis(Function* f, Arena* scratch, Diag* diag) {
  return PhiPass(f, scratch).run() ? Err::kOk : diag->no_memory();
}

}  // namespace wring::opt
