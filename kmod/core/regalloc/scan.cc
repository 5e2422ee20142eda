// SPDX-License-Identifier: GPL-2.0
// Scan: set-up, the walk over the blocks, and the choice of a register.
#include "core/regalloc/scan.h"

namespace wring::ra {

Err Scan::init() {
  for (PReg reg : env_.int_regs) int_mask_ |= bit(reg);
  for (PReg reg : env_.vec_regs) vec_mask_ |= bit(reg);
  for (PReg reg : env_.int_regs) callee_saved_[0] += (env_.callee_saved >> reg) & 1;
  for (PReg reg : env_.vec_regs) callee_saved_[1] += (env_.callee_saved >> reg) & 1;
  for (VReg& holder : holder_) holder = kNone;
  TRY(fixed_.init(f_, live_, int_mask_ | vec_mask_, arena_));
  TRY(hints_.init(f_, live_, arena_));

  usize vregs = usize{f_.vregs.size()} + 1, blocks = f_.blocks.size();
  out_->operands = arena_->make_array<Allocation>(f_.operands.size());
  out_->moves.init(arena_);
  out_->def_reg = arena_->make_array<PReg>(vregs);
  out_->in_memory = arena_->make_array<u8>(vregs);
  out_->drop_weight = arena_->make_array<u32>(vregs);
  out_->def_weight = arena_->make_array<u32>(vregs);
  reg_of_ = arena_->make_array<PReg>(vregs);
  next_ = arena_->make_array<u32>(vregs);
  stored_ = arena_->make_array<u8>(vregs);
  item_of_ = arena_->make_array<u32>(vregs);
  candidate_of_ = arena_->make_array<u32>(vregs);
  edge_reg_ = arena_->make_array<PReg>(vregs);
  states_ = arena_->make_array<BlockState>(blocks);
  entered_with_ = arena_->make_array<u32>(vregs);
  loop_regs_ = arena_->make_array<RegMask>(blocks);
  if (!entered_with_.data() || !loop_regs_.data() ||
      (!f_.operands.empty() && !out_->operands.data()) || !out_->def_reg.data() ||
      !out_->in_memory.data() || !out_->drop_weight.data() || !out_->def_weight.data() ||
      !reg_of_.data() || !next_.data() || !stored_.data() || !item_of_.data() ||
      !candidate_of_.data() || !edge_reg_.data() || !states_.data())
    return Err::kNoMemory;
  for (u32 v = 0; v < vregs; v++, tick()) {
    reg_of_[v] = edge_reg_[v] = out_->def_reg[v] = kNoPReg;
    item_of_[v] = candidate_of_[v] = kNone;
  }
  uses_.init(arena_);
  pairs_.init(arena_);
  candidates_.init(arena_);
  for (u32 c = 0; c < 2; c++) {
    chosen_[c].init(arena_);
    survivors_[c].init(arena_);
  }
  return Err::kOk;
}

Err Scan::run(Diag* diag) {
  TRY(init());
  for (BlockIndex b = 0; b < f_.blocks.size(); b++, tick(8)) {
    TRY(enter(b));
    for (u32 i = f_.blocks[b].begin; i < f_.blocks[b].end; i++, tick(16)) TRY(instruction(i, diag));
    TRY(leave(b));
    if (failed_) return Err::kNoMemory;
  }
  return Err::kOk;
}

void Scan::place(VReg v, PReg reg, u32 next) {
  WRING_ASSERT(!(occupied_ & bit(reg)));
  holder_[reg] = v;
  reg_of_[v] = reg;
  next_[v] = next;
  occupied_ |= bit(reg);
}

void Scan::vacate(PReg reg) {
  reg_of_[holder_[reg]] = kNoPReg;
  holder_[reg] = kNone;
  occupied_ &= ~bit(reg);
}

void Scan::define(VReg v, PReg reg) {
  out_->def_reg[v] = reg;
  out_->def_weight[v] = weight_;
  if (reg == kNoPReg)
    out_->in_memory[v] = 1;
  else
    hints_.assigned(v, reg);
}

void Scan::copy(u32 inst, MovePhase phase, Place from, Place to) {
  if (from.reg == kNoPReg) read_memory(from.vreg);
  PendingMove move = {PendingMove::kCopy, phase, inst, from, to};
  failed_ |= !out_->moves.push(move);
}

// v leaves its register; later uses read it from memory.
void Scan::drop(VReg v, PReg reg, u32 inst, MovePhase phase, u32 weight) {
  if (remats(v)) return;
  out_->drop_weight[v] = saturating_add(out_->drop_weight[v], weight);
  PendingMove move = {PendingMove::kStoreDrop, phase, inst, {reg, v}, {kNoPReg, v}};
  failed_ |= !out_->moves.push(move);
}

// The instruction before which v is last needed.
u32 Scan::end_of_range(VReg v) const {
  const LiveRange& range = live_.ranges[v];
  return (f_.blocks[block_].is_cold ? range.last : range.hot_last) / 2;
}

// What it costs the prologue and epilogue to use the register for the first time: a bit less than a store and a
// load, since push and pop are shorter.
u64 Scan::fresh_cost(PReg reg) const {
  return env_.callee_saved & ~touched_ & bit(reg) ? 2 * kUnitWeight - kUnitWeight / 4 : 0;
}

// The best register for v among `allowed` (not empty) from the current point on: the one it is least likely to
// be driven out of, counted against the moves that it saves. `vote`: a register it is in already on paths of
// weight vote_weight.
PReg Scan::pick(VReg v, RegMask allowed, PReg vote, u32 vote_weight) {
  PReg fixed = hints_.fixed(v), tied = hints_.tied(v);
  u32 end = end_of_range(v);
  // If v ends in a block parameter further down, the register should suit that one, too.
  VReg param = hints_.becomes(v);
  u32 param_begin = param == kNone ? 0 : live_.ranges[param].first / 2;
  if (param_begin < end) param = kNone;
  PReg best = kNoPReg;
  i64 best_cost = 0;
  for (PReg reg : f_.vregs[v].cls == RegClass::kInt ? env_.int_regs : env_.vec_regs) {
    if (!(allowed & bit(reg))) continue;
    u64 claims = fixed_.cost(reg, end);
    if (param != kNone)
      claims += fixed_.cost(reg, end_of_range(param)) - fixed_.cost(reg, param_begin);
    i64 cost = static_cast<i64>(claims + fresh_cost(reg));
    if (reg == fixed) cost -= hints_.fixed_weight(v);
    if (reg == tied)
      cost -= weight_;
    else if (wanted_ & bit(reg))
      cost += weight_ / 4;
    if (reg == vote) cost -= vote_weight;
    if (best == kNoPReg || cost < best_cost) {
      best = reg;
      best_cost = cost;
    }
  }
  WRING_ASSERT(best != kNoPReg);
  touched_ |= bit(best);
  return best;
}

}  // namespace wring::ra
