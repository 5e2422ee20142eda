// SPDX-License-Identifier: GPL-2.0
// FixedIndex: per register, the sorted claims with running sums, so that any stretch costs one binary search.
#include "core/regalloc/fixed.h"

namespace wring::ra {
namespace {

RegMask claims_of(const LirFunction& f, u32 inst) {
  RegMask mask = f.insts[inst].clobbers;
  for (const Operand& op : f.operands_of(inst))
    if (op.constraint == Constraint::kFixed) mask |= bit(op.reg);
  return mask;
}

}  // namespace

Err FixedIndex::init(const LirFunction& f, const Liveness& live, RegMask mask, Arena* arena) {
  u32 count[kPRegCount + 1] = {};
  for (u32 i = 0; i < f.insts.size(); i++, tick()) {
    for (RegMask rest = claims_of(f, i) & mask; rest; rest &= rest - 1)
      count[count_trailing_zeros(rest)]++;
    count[kCalls] += f.insts[i].is_call ? 1 : 0;
  }
  for (u32 r = 0; r <= kPRegCount; r++) {
    claims_[r] = arena->make_array<Claim>(usize{count[r]} + 1);
    if (!claims_[r].data()) return Err::kNoMemory;
    cursor_[r] = 0;
  }
  auto add = [&](u32 r, u32 inst, u64 weight) {
    Claim& claim = claims_[r][cursor_[r]++];
    claim.inst = inst;
    claims_[r][cursor_[r]].before = claim.before + weight;
  };
  for (BlockIndex b = 0; b < f.blocks.size(); b++, tick())
    for (u32 i = f.blocks[b].begin; i < f.blocks[b].end; i++, tick()) {
      u64 weight = live.blocks[b].weight;
      for (RegMask rest = claims_of(f, i) & mask; rest; rest &= rest - 1) {
        u32 r = count_trailing_zeros(rest);
        add(r, i, f.insts[i].is_call ? 2 * weight : weight);
      }
      if (f.insts[i].is_call) add(kCalls, i, weight);
    }
  for (u32 r = 0; r <= kPRegCount; r++) {
    claims_[r][cursor_[r]].inst = kNone;
    cursor_[r] = 0;
  }
  at_ = 0;
  return Err::kOk;
}

u64 FixedIndex::weight_until(u32 list, u32 end) {
  Span<Claim> claims = claims_[list];
  u32 from = advance(list);
  if (claims[from].inst >= end) return 0;
  u32 low = from + 1, high = claims.size() - 1;
  while (low < high) {
    u32 middle = low + (high - low) / 2;
    if (claims[middle].inst >= end)
      high = middle;
    else
      low = middle + 1;
  }
  return claims[low].before - claims[from].before;
}

}  // namespace wring::ra
