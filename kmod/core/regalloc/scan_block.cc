// SPDX-License-Identifier: GPL-2.0
// Scan: the boundaries of blocks. What is in registers at the beginning of a block, and the moves on edges.
//
// A block with one predecessor goes on with that one's registers. Elsewhere the values with the nearest next
// uses get registers, by majority those they are in already; on the way into a loop also values from memory
// that the loop uses, while values it does not use keep their registers only if the loop leaves them over.
#include "core/regalloc/scan.h"

namespace wring::ra {

// The predecessor all edges come from, or kNone.
BlockIndex Scan::only_pred(BlockIndex b) const {
  Span<BlockIndex> preds = f_.blocks[b].preds;
  if (preds.empty()) return kNone;
  for (BlockIndex pred : preds)
    if (pred != preds[0]) return kNone;
  return preds[0];
}

Err Scan::enter(BlockIndex b) {
  const LirBlock& block = f_.blocks[b];
  block_ = b;
  begin_ = inst_ = block.begin;
  weight_ = live_.blocks[b].weight;
  fixed_.seek(begin_);
  while (occupied_) vacate(static_cast<PReg>(count_trailing_zeros(occupied_)));
  BlockIndex header = block.loop_header;
  bool is_header = header == b;
  wanted_ = header == kNone || is_header ? 0 : loop_regs_[header];

  BlockIndex pred = only_pred(b);
  if (pred != kNone && states_[pred].left && block.params.empty() && !is_header)
    inherit(b, pred);
  else
    merge(b);
  if (is_header) {
    for (VReg param : block.params)
      if (out_->def_reg[param] != kNoPReg) loop_regs_[b] |= bit(out_->def_reg[param]);
    wanted_ = loop_regs_[b];
  }
  TRY(save_entry(b));
  for (BlockIndex p : block.preds)
    if (states_[p].left) resolve_edge(p, b);
  return Err::kOk;
}

Err Scan::leave(BlockIndex b) {
  TRY(save_exit(b));
  for (BlockIndex succ : f_.blocks[b].succs)
    if (states_[succ].entered) resolve_edge(b, succ);
  return Err::kOk;
}

void Scan::inherit(BlockIndex b, BlockIndex pred) {
  for (const RegValue& value : states_[pred].exit) edge_reg_[value.vreg] = value.reg;
  for (const LiveIn& in : live_.blocks[b].in)
    if (edge_reg_[in.vreg] != kNoPReg) place(in.vreg, edge_reg_[in.vreg], in.distance);
  for (const RegValue& value : states_[pred].exit) edge_reg_[value.vreg] = kNoPReg;
}

void Scan::candidate(VReg v, u32 distance, bool param) {
  if (candidate_of_[v] == kNone) {
    candidate_of_[v] = candidates_.size();
    Candidate c = {v, kDead, kNoPReg, 0, 0, 0, param, kNoPReg};
    if (!candidates_.push(c)) {
      candidate_of_[v] = kNone;
      failed_ = true;
      return;
    }
  }
  candidates_[candidate_of_[v]].distance = distance;
}

// Majority vote, first round: the register that more than half of the weight is for wins, if there is one.
void Scan::vote(VReg v, PReg reg, u32 weight) {
  if (candidate_of_[v] == kNone) return;
  Candidate& c = candidates_[candidate_of_[v]];
  if (c.vote == reg) {
    c.vote_weight = saturating_add(c.vote_weight, weight);
  } else if (c.vote_weight < weight) {
    c.vote = reg;
    c.vote_weight = weight - c.vote_weight;
  } else {
    c.vote_weight -= weight;
  }
}

// Second round: the winner's weight.
void Scan::recount(VReg v, PReg reg, u32 weight) {
  if (candidate_of_[v] == kNone) return;
  Candidate& c = candidates_[candidate_of_[v]];
  if (c.vote == reg) c.vote_weight = saturating_add(c.vote_weight, weight);
}

// Whether the registers at the end of pred matter for b: cold predecessors adapt to the others.
bool Scan::counts(BlockIndex pred, BlockIndex b) const {
  return states_[pred].left && (!f_.blocks[pred].is_cold || f_.blocks[b].is_cold);
}

void Scan::add_votes(BlockIndex b, BlockIndex pred, bool first_round) {
  Span<VReg> args = f_.blocks[pred].args, params = f_.blocks[b].params;
  u32 weight = live_.blocks[pred].weight;
  auto cast = [&](VReg v, PReg reg) {
    if (first_round)
      vote(v, reg, weight);
    else
      recount(v, reg, weight);
  };
  for (const RegValue& value : states_[pred].exit) {
    edge_reg_[value.vreg] = value.reg;
    if (!value.live_after) continue;
    if (first_round) {
      if (candidate_of_[value.vreg] == kNone) candidate(value.vreg, kDead, false);
      if (candidate_of_[value.vreg] == kNone) continue;
      u32& available = candidates_[candidate_of_[value.vreg]].available;
      available = saturating_add(available, weight);
    }
    cast(value.vreg, value.reg);
  }
  for (u32 i = 0; i < params.size(); i++) {
    bool dies = live_.arg_next[live_.blocks[pred].first_arg + i] == kDead;
    if (dies && edge_reg_[args[i]] != kNoPReg) cast(params[i], edge_reg_[args[i]]);
  }
  for (const RegValue& value : states_[pred].exit) edge_reg_[value.vreg] = kNoPReg;
}

void Scan::collect_candidates(BlockIndex b) {
  const LirBlock& block = f_.blocks[b];
  const BlockLiveness& info = live_.blocks[b];
  for (u32 i = 0; i < block.params.size(); i++) {
    u32 next = live_.param_next[info.first_param + i];
    if (live_.precise && next != kDead) candidate(block.params[i], next, true);
  }
  for (BlockIndex pred : block.preds)
    if (counts(pred, b)) add_votes(b, pred, true);
  for (Candidate& c : candidates_) c.vote_weight = 0;
  for (BlockIndex pred : block.preds)
    if (counts(pred, b)) add_votes(b, pred, false);
  bool is_header = block.loop_header == b;
  for (const LiveIn& in : info.in)
    if (candidate_of_[in.vreg] != kNone || (is_header && in.distance < kLoopExit))
      candidate(in.vreg, in.distance, false);
}

// Keeps the `room` candidates with the smallest keys in *chosen, sorted.
void Scan::choose(Vec<u32>* chosen, u32 index, u32 room, u32 key) {
  candidates_[index].key = key;
  if (room == 0) return;
  if (chosen->size() < room) {
    if (!chosen->push(index)) {
      failed_ = true;
      return;
    }
  } else if (candidates_[chosen->back()].key <= key) {
    return;
  }
  u32 at = chosen->size() - 1;
  while (at > 0 && candidates_[(*chosen)[at - 1]].key > key) {
    (*chosen)[at] = (*chosen)[at - 1];
    at--;
  }
  (*chosen)[at] = index;
}

// Whether a value that is in a register on some ways into b should be reloaded on the others.
bool Scan::worth_reloading(BlockIndex b, const Candidate& value) const {
  if (value.param) return true;
  if (remats(value.vreg)) return false;
  return value.distance <= kNearUse && value.distance <= live_.blocks[b].call_distance;
}

void Scan::select(BlockIndex b, RegClass cls) {
  const BlockLiveness& info = live_.blocks[b];
  u32 c = static_cast<u32>(cls);
  bool is_header = f_.blocks[b].loop_header == b;
  u32 room = (cls == RegClass::kInt ? env_.int_regs : env_.vec_regs).size();
  u32 total = 0;
  for (BlockIndex pred : f_.blocks[b].preds)
    if (counts(pred, b)) total = saturating_add(total, live_.blocks[pred].weight);

  // In a loop, first come the values that it uses ...
  u32 through = 0;  // values that are live through the loop, but not used there
  if (is_header)
    for (const LiveIn& in : info.in)
      through += f_.vregs[in.vreg].cls == cls && in.distance >= kLoopExit ? 1 : 0;
  chosen_[c].clear();
  survivors_[c].clear();
  for (u32 i = 0; i < candidates_.size(); i++) {
    const Candidate& value = candidates_[i];
    if (f_.vregs[value.vreg].cls != cls || value.distance >= kLoopExit) continue;
    // What crosses a call on every way around the loop can only stay in a register that calls preserve.
    bool crosses = value.param ? value.distance > info.call_distance : info.always_calls;
    if (is_header && crosses) {
      u32 uses = hints_.use_weight(value.vreg);
      choose(&survivors_[c], i, callee_saved_[c], ~(remats(value.vreg) ? uses / 4 : uses));
      continue;
    }
    if (!is_header && value.available < total && !worth_reloading(b, value)) continue;
    choose(&chosen_[c], i, room, value.distance);
  }
  room -= survivors_[c].size();
  while (chosen_[c].size() > room) chosen_[c].pop();
  // ... then, in what they leave over, those that merely pass through.
  u32 used = chosen_[c].size();
  u32 limit = room;
  if (is_header) {
    u32 busy = max(info.loop_pressure[c], through) - through;
    limit = room - min(room, busy);
    if (info.loop_calls) {
      u32 crossing = max(info.loop_crossing[c], through) - through;
      limit = min(limit, callee_saved_[c] - min(callee_saved_[c], crossing));
    }
    limit = min(room, used + limit);
  }
  for (u32 i = 0; i < candidates_.size(); i++) {
    const Candidate& value = candidates_[i];
    if (f_.vregs[value.vreg].cls != cls || value.distance < kLoopExit || value.distance == kDead)
      continue;
    if (value.available == total || value.param) choose(&chosen_[c], i, limit, value.distance);
  }
}

// The same candidates, those first that most predecessors agree about.
Span<u32> Scan::by_votes(const Vec<u32>& chosen) {
  auto weight = [&](u32 i) {
    const Candidate& c = candidates_[i];
    u32 wish = hints_.fixed(c.vreg) == c.vote ? hints_.fixed_weight(c.vreg) : 0;
    return saturating_add(c.vote_weight, wish);
  };
  u32 count = chosen.size();
  WRING_ASSERT(count <= kPRegCount);
  for (u32 n = 0; n < count; n++) {
    u32 at = n;
    for (; at > 0 && weight(order_[at - 1]) < weight(chosen[n]); at--) order_[at] = order_[at - 1];
    order_[at] = chosen[n];
  }
  return {order_, count};
}

void Scan::assign_candidates(BlockIndex b) {
  const LirBlock& block = f_.blocks[b];
  bool is_header = block.loop_header == b;
  u32 into = 0;  // weight of the edges on which a change of register would cost a move
  for (BlockIndex pred : block.preds)
    if (counts(pred, b)) into = saturating_add(into, live_.blocks[pred].weight);
  u32 loop_end = block.loop_end > b ? f_.blocks[block.loop_end - 1].end : block.end;
  RegMask taken = 0;
  for (Vec<u32>& survivors : survivors_)
    for (u32 i : survivors) {
      Candidate& c = candidates_[i];
      c.reg = pick(c.vreg, class_mask(c.vreg) & env_.callee_saved & ~taken, c.vote, c.vote_weight);
      taken |= bit(c.reg);
    }
  for (Vec<u32>& chosen : chosen_)
    for (u32 i : by_votes(chosen)) {
      Candidate& c = candidates_[i];
      if (c.vote == kNoPReg || taken & bit(c.vote)) continue;
      u32 end = end_of_range(c.vreg);
      PReg wish = hints_.fixed(c.vreg);
      if (is_header && wish != c.vote) {
        if (fixed_.cost(c.vote, min(end, loop_end)) > into) continue;
        if (wish != kNoPReg && hints_.fixed_weight(c.vreg) > into + fixed_.cost(wish, end))
          continue;
      }
      if (c.param && fixed_.cost(c.vote, end) > 0) continue;
      c.reg = c.vote;
      taken |= bit(c.reg);
    }
  for (Vec<u32>& chosen : chosen_)
    for (u32 i : chosen) {
      Candidate& c = candidates_[i];
      RegMask allowed = class_mask(c.vreg) & ~taken;
      if (c.reg != kNoPReg || !allowed) continue;
      c.reg = pick(c.vreg, allowed, c.vote, c.vote_weight);
      taken |= bit(c.reg);
    }
}

void Scan::merge(BlockIndex b) {
  candidates_.clear();
  collect_candidates(b);
  select(b, RegClass::kInt);
  select(b, RegClass::kVec);
  assign_candidates(b);
  for (const Candidate& c : candidates_) {
    candidate_of_[c.vreg] = kNone;
    if (c.reg != kNoPReg) place(c.vreg, c.reg, c.distance);
  }
  const LirBlock& block = f_.blocks[b];
  for (u32 i = 0; i < block.params.size(); i++)
    if (live_.param_next[live_.blocks[b].first_param + i] != kDead)
      define(block.params[i], reg_of_[block.params[i]]);
}

Err Scan::save_entry(BlockIndex b) {
  BlockState& state = states_[b];
  state.entered = true;
  u32 count = count_ones(occupied_);
  state.entry = arena_->make_array<RegValue>(count);
  if (count && !state.entry.data()) return Err::kNoMemory;
  for (VReg param : f_.blocks[b].params) edge_reg_[param] = reg_of_[param];
  u32 at = 0;
  for (RegMask rest = occupied_; rest; rest &= rest - 1) {
    PReg reg = static_cast<PReg>(count_trailing_zeros(rest));
    if (edge_reg_[holder_[reg]] == kNoPReg) state.entry[at++] = {holder_[reg], reg, true};
  }
  state.entry = state.entry.slice(0, at);
  for (VReg param : f_.blocks[b].params) edge_reg_[param] = kNoPReg;
  return Err::kOk;
}

Err Scan::save_exit(BlockIndex b) {
  const LirBlock& block = f_.blocks[b];
  BlockState& state = states_[b];
  state.left = true;
  u32 count = count_ones(occupied_);
  state.exit = arena_->make_array<RegValue>(count);
  if (count && !state.exit.data()) return Err::kNoMemory;
  u32 at = 0;
  for (RegMask rest = occupied_; rest; rest &= rest - 1) {
    PReg reg = static_cast<PReg>(count_trailing_zeros(rest));
    edge_reg_[holder_[reg]] = static_cast<PReg>(at);
    state.exit[at++] = {holder_[reg], reg, true};
  }
  for (u32 i = 0; i < block.args.size(); i++)
    if (live_.arg_next[live_.blocks[b].first_arg + i] == kDead &&
        edge_reg_[block.args[i]] != kNoPReg)
      state.exit[edge_reg_[block.args[i]]].live_after = false;
  for (const RegValue& value : state.exit) edge_reg_[value.vreg] = kNoPReg;
  return Err::kOk;
}

// The moves that lead from the registers at the end of pred to those at the beginning of succ.
void Scan::resolve_edge(BlockIndex pred, BlockIndex succ) {
  if (states_[succ].resolved == pred + 1) return;
  states_[succ].resolved = pred + 1;
  const LirBlock &from = f_.blocks[pred], &to = f_.blocks[succ];
  bool at_exit = f_.insts[from.end - 1].operand_count == 0 && only_succ(pred);
  WRING_ASSERT(at_exit || only_pred(succ) == pred);
  WRING_ASSERT(at_exit || to.params.empty());
  u32 inst = at_exit ? from.end - 1 : to.begin;
  MovePhase phase = at_exit ? MovePhase::kBlockExit : MovePhase::kBlockEntry;
  u32 weight = min(live_.blocks[pred].weight, live_.blocks[succ].weight);

  RegMask busy = 0;
  for (const RegValue& value : states_[pred].exit) {
    edge_reg_[value.vreg] = value.reg;
    busy |= bit(value.reg);
  }
  for (const RegValue& value : states_[succ].entry) {
    busy |= bit(value.reg);
    PReg reg = edge_reg_[value.vreg];
    if (reg != value.reg) copy(inst, phase, {reg, value.vreg}, {value.reg, value.vreg});
  }
  for (VReg param : to.params)
    if (out_->def_reg[param] != kNoPReg) busy |= bit(out_->def_reg[param]);
  for (u32 i = 0; i < to.params.size(); i++)
    if (live_.param_next[live_.blocks[succ].first_param + i] != kDead)
      pass_argument(from.args[i], to.params[i], inst, phase, busy);

  // What is still in edge_reg_ after this is not in a register in succ.
  for (const RegValue& value : states_[succ].entry) edge_reg_[value.vreg] = kNoPReg;
  if (at_exit) {
    for (const RegValue& value : states_[pred].exit)
      if (value.live_after && edge_reg_[value.vreg] != kNoPReg)
        drop(value.vreg, value.reg, inst, phase, weight);
  } else if (live_.precise) {
    for (const LiveIn& in : live_.blocks[succ].in)
      if (edge_reg_[in.vreg] != kNoPReg) drop(in.vreg, edge_reg_[in.vreg], inst, phase, weight);
  } else {
    for (const RegValue& value : states_[pred].exit)
      if (edge_reg_[value.vreg] != kNoPReg) drop(value.vreg, value.reg, inst, phase, weight);
  }
  for (const RegValue& value : states_[pred].exit) edge_reg_[value.vreg] = kNoPReg;
}

void Scan::pass_argument(VReg arg, VReg param, u32 inst, MovePhase phase, RegMask busy) {
  PReg from = edge_reg_[arg], to = out_->def_reg[param];
  if (from != kNoPReg && from == to) return;
  if (from == kNoPReg && to == kNoPReg && remats(arg)) {
    RegMask free = class_mask(arg) & ~busy;
    if (free) {
      PReg temp = pick(arg, free, kNoPReg, 0);
      PendingMove move = {PendingMove::kRematStore, phase, inst, {kNoPReg, arg}, {temp, param}};
      failed_ |= !out_->moves.push(move);
      return;
    }
    stored_[arg] = 1;
  }
  copy(inst, phase, {from, arg}, {to, param});
}

}  // namespace wring::ra
