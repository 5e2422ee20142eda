// SPDX-License-Identifier: GPL-2.0
// Hints: which register each value would like to be in, to save moves.
#pragma once

#include "core/regalloc/fixed.h"

namespace wring::ra {

class Hints {
 public:
  Err init(const LirFunction& f, const Liveness& live, Arena* arena);

  // The register of the next fixed use, or of the one a chain of two-address instructions leads to.
  PReg fixed(VReg v) const { return fixed_[v]; }
  // What having v in that register is worth: the weight of the copies it saves, and of v's own claims on the
  // register where FixedIndex takes them for somebody else's.
  u32 fixed_weight(VReg v) const { return fixed_weight_[v]; }
  // The register last given to a value that a block parameter or two-address instruction ties v to.
  PReg tied(VReg v) { return tied_[find(v)]; }
  void assigned(VReg v, PReg reg) {
    if (grouped_[v]) tied_[find(v)] = reg;
  }
  // The block parameter that v ends in, or kNone: v's register should suit both.
  VReg becomes(VReg v) const { return becomes_[v] ? becomes_[v] - 1 : kNone; }
  // The sum of the weights of v's uses.
  u32 use_weight(VReg v) const { return use_weight_[v]; }
  VReg group(VReg v) { return find(v); }

 private:
  VReg find(VReg v);
  void tie(VReg a, VReg b);

  Span<PReg> fixed_;
  Span<u32> fixed_weight_;
  Span<u32> use_weight_;
  Span<VReg> becomes_;  // plus one; 0: none
  Span<u8> grouped_;    // tied to anything at all
  Span<VReg> parent_;   // groups of tied values: union-find with path halving
  Span<PReg> tied_;     // per group
};

}  // namespace wring::ra
