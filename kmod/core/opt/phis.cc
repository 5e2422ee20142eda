// SPDX-License-Identifier: GPL-2.0
// Removal of trivial phis: those that merge one value with themselves only. SSA construction makes them for
// locals that a loop assigns on no path that comes back (Braun and others, "Simple and efficient construction of
// SSA form", 2013, section 3.1). Removing one can make its users trivial: a worklist follows.
#include "core/opt/passes.h"

namespace wring::opt {

namespace {

class PhiPass {
 public:
  PhiPass(Function* f, Arena* scratch)
      : f_(f), scratch_(scratch), uses_(scratch), work_(scratch), again_(scratch) {}
  bool run();

 private:
  struct Use {
    Value phi;
    u32 next;
  };
  Value resolve(Value v);
  bool add_use(Value arg, Value phi);
  Value only_argument(Value phi);
  void replace(Value phi, Value same);

  Function* f_;
  Arena* scratch_;
  Span<Value> replacement_;  // by value; chains are shortened as they are followed
  Span<u32> first_use_;      // by value: phis that use it or what it replaces, in uses_
  Span<u8> queued_;          // by value: in work_
  Vec<Use> uses_;
  // Each phi once, in the order of the blocks: what a phi merges has mostly been looked at before. Then those whose
  // arguments have changed since.
  Vec<Value> work_, again_;
  bool failed_ = false;
};

Value PhiPass::resolve(Value v) {
  Value root = v;
  for (; replacement_[root] != root; tick()) root = replacement_[root];
  while (replacement_[v] != root) {
    tick();
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

// What the phi merges besides itself, or kNone if that is not one value.
Value PhiPass::only_argument(Value phi) {
  Value same = kNone;
  for (Value arg : ticking(f_->args(phi))) {
    arg = resolve(arg);
    if (arg == phi || arg == same) continue;
    if (same != kNone) return kNone;
    same = arg;
  }
  return same;
}

// The users of the phi that are left become users of the value in its place.
void PhiPass::replace(Value phi, Value same) {
  replacement_[phi] = same;
  u32* end = &first_use_[phi];
  while (*end != kNone) {
    tick();
    Use& use = uses_[*end];
    if (replacement_[use.phi] != use.phi) {
      *end = use.next;
      continue;
    }
    if (!queued_[use.phi]) {
      queued_[use.phi] = 1;
      failed_ |= !again_.push(use.phi);
    }
    end = &use.next;
  }
  *end = first_use_[same];
  first_use_[same] = first_use_[phi];
}

bool PhiPass::run() {
  u32 values = f_->insts.size();
  replacement_ = scratch_->make_array<Value>(values);
  first_use_ = scratch_->make_array<u32>(values);
  queued_ = scratch_->make_array<u8>(values);
  if (!replacement_.data() || !first_use_.data() || !queued_.data()) return false;
  for (Value v = 0; v < values; v++, tick()) {
    replacement_[v] = v;
    first_use_[v] = kNone;
  }
  for (const Block& block : paced(f_->blocks))
    for (Value v : paced(block.insts)) {
      if (f_->insts[v].op != Op::kPhi) break;
      if (!work_.push(v)) return false;
      queued_[v] = 1;
      // Only phis are looked at again when their arguments change.
      for (Value arg : ticking(f_->args(v)))
        if (f_->insts[arg].op == Op::kPhi && !add_use(arg, v)) return false;
    }
  bool changed = false;
  while (!work_.empty()) {
    tick();
    again_.clear();
    for (Value phi : paced(work_)) {
      queued_[phi] = 0;
      if (replacement_[phi] != phi) continue;
      Value same = only_argument(phi);
      if (same == kNone) continue;
      replace(phi, same);
      changed = true;
    }
    if (failed_) return false;
    swap(work_, again_);
  }
  if (!changed) return true;
  for (Block& block : paced(f_->blocks)) {
    u32 kept = 0;
    for (Value v : paced(block.insts)) {
      if (replacement_[v] != v) continue;
      f_->for_each_arg(v, [&](Value& arg) { arg = resolve(arg); });
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
