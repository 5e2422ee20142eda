// SPDX-License-Identifier: GPL-2.0
// Hints: one backward pass over the instructions for fixed uses and ties.
#include "core/regalloc/hints.h"

namespace wring::ra {

VReg Hints::find(VReg v) {
  while (parent_[v] != v) v = parent_[v] = parent_[parent_[v]];
  return v;
}

void Hints::tie(VReg a, VReg b) {
  grouped_[a] = grouped_[b] = 1;
  a = find(a);
  b = find(b);
  if (a < b)
    parent_[b] = a;
  else
    parent_[a] = b;
}

Err Hints::init(const LirFunction& f, const Liveness& live, Arena* arena) {
  usize count = usize{f.vregs.size()} + 1;
  fixed_ = arena->make_array<PReg>(count);
  tied_ = arena->make_array<PReg>(count);
  parent_ = arena->make_array<VReg>(count);
  fixed_weight_ = arena->make_array<u32>(count);
  use_weight_ = arena->make_array<u32>(count);
  becomes_ = arena->make_array<VReg>(count);
  grouped_ = arena->make_array<u8>(count);
  if (!becomes_.data() || !use_weight_.data() || !fixed_weight_.data() || !grouped_.data() ||
      !fixed_.data() || !tied_.data() || !parent_.data())
    return Err::kNoMemory;
  for (u32 v = 0; v < count; v++, tick()) {
    fixed_[v] = tied_[v] = kNoPReg;
    parent_[v] = v;
  }
  auto inherit = [&](VReg v, VReg from) {
    fixed_[v] = fixed_[from];
    fixed_weight_[v] = fixed_weight_[from];
  };
  for (BlockIndex b = f.blocks.size(); b-- > 0; tick()) {
    const LirBlock& block = f.blocks[b];
    if (!block.args.empty()) {
      const LirBlock& succ = f.blocks[block.succs[0]];
      for (u32 i = 0; i < block.args.size(); i++, tick()) {
        tie(block.args[i], succ.params[i]);
        if (live.arg_next[live.blocks[b].first_arg + i] == kDead)
          becomes_[block.args[i]] = succ.params[i] + 1;
        if (fixed_[block.args[i]] == kNoPReg) inherit(block.args[i], succ.params[i]);
      }
    }
    for (u32 i = block.end; i-- > block.begin; tick()) {
      Span<Operand> operands = f.operands_of(i);
      for (const Operand& op : operands) {
        if (op.kind != OperandKind::kDef || op.constraint != Constraint::kReuse) continue;
        VReg source = operands[op.reg].vreg;
        if (live.next_use[f.insts[i].operands + op.reg] != kDead) continue;
        tie(source, op.vreg);
        inherit(source, op.vreg);
      }
      for (u32 k = 0; k < operands.size(); k++) {
        const Operand& op = operands[k];
        if (op.kind != OperandKind::kUse) continue;
        u32 weight = live.blocks[b].weight;
        use_weight_[op.vreg] = saturating_add(use_weight_[op.vreg], weight);
        if (op.constraint != Constraint::kFixed) continue;
        if (live.next_use[f.insts[i].operands + k] != kDead) {
          // A value that lives on in the register sees its own claim; one that must leave it has gained little.
          RegMask written = f.insts[i].clobbers;
          for (const Operand& other : operands)
            if (other.kind == OperandKind::kDef && other.constraint == Constraint::kFixed)
              written |= bit(other.reg);
          weight = written & bit(op.reg) ? weight - weight / 4 : 2 * weight;
        }
        bool again = fixed_[op.vreg] == op.reg;
        fixed_weight_[op.vreg] = again ? saturating_add(fixed_weight_[op.vreg], weight) : weight;
        fixed_[op.vreg] = op.reg;
      }
    }
  }
  return Err::kOk;
}

}  // namespace wring::ra
