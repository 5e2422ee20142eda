// SPDX-License-Identifier: GPL-2.0
// Scan: what is in registers where ways through the function come together.
//
// The values with the nearest next uses get registers, by majority those they are in already; on the way into a
// loop also values from memory that the loop uses, while values it does not use keep their registers only if
// the loop leaves them over.
#include "core/regalloc/scan.h"

namespace wring::ra {

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
  for (u32 i = 0; i < params.size(); i++, tick()) {
    bool dies = live_.arg_next[live_.blocks[pred].first_arg + i] == kDead;
    if (dies && edge_reg_[args[i]] != kNoPReg) cast(params[i], edge_reg_[args[i]]);
  }
  for (const RegValue& value : states_[pred].exit) edge_reg_[value.vreg] = kNoPReg;
}

void Scan::collect_candidates(BlockIndex b) {
  const LirBlock& block = f_.blocks[b];
  const BlockLiveness& info = live_.blocks[b];
  for (u32 i = 0; i < block.params.size(); i++, tick()) {
    u32 next = live_.param_next[info.first_param + i];
    if (live_.precise && next != kDead) candidate(block.params[i], next, true);
  }
  for (BlockIndex pred : ticking(block.preds))
    if (counts(pred, b)) add_votes(b, pred, true);
  for (Candidate& c : paced(candidates_)) c.vote_weight = 0;
  for (BlockIndex pred : ticking(block.preds))
    if (counts(pred, b)) add_votes(b, pred, false);
  bool is_header = block.loop_header == b;
  for (const LiveIn& in : paced(info.in))
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

// Whether a value that is in a register on some ways into b should be reloaded on the others: if it is used
// right away, or the loop's next iteration expects it there.
bool Scan::worth_reloading(BlockIndex b, const Candidate& value) const {
  if (value.param) return true;
  if (remats(value.vreg) || value.distance > live_.blocks[b].call_distance) return false;
  BlockIndex header = f_.blocks[b].loop_header;
  bool expected = header != kNone && entered_with_[value.vreg] == header + 1;
  return value.distance <= kNearUse || expected;
}

// Where ways come together that do not enter a loop: what all of them have in a register, and what is used soon.
void Scan::select(BlockIndex b, RegClass cls) {
  u32 c = static_cast<u32>(cls);
  u32 room = (cls == RegClass::kInt ? env_.int_regs : env_.vec_regs).size();
  u32 total = 0;
  for (BlockIndex pred : ticking(f_.blocks[b].preds))
    if (counts(pred, b)) total = saturating_add(total, live_.blocks[pred].weight);
  chosen_[c].clear();
  survivors_[c].clear();
  for (u32 i = 0; i < candidates_.size(); i++, tick()) {
    const Candidate& value = candidates_[i];
    if (f_.vregs[value.vreg].cls != cls || value.distance == kDead) continue;
    if (value.available == total || worth_reloading(b, value))
      choose(&chosen_[c], i, room, value.distance);
  }
}

// On the way into a loop: what it uses, then, in the registers it leaves over, what merely passes through.
void Scan::select_for_loop(BlockIndex b, RegClass cls) {
  const BlockLiveness& info = live_.blocks[b];
  u32 c = static_cast<u32>(cls);
  u32 regs = (cls == RegClass::kInt ? env_.int_regs : env_.vec_regs).size();
  u32 total = 0;
  for (BlockIndex pred : ticking(f_.blocks[b].preds))
    if (counts(pred, b)) total = saturating_add(total, live_.blocks[pred].weight);
  u32 live_in = 0,
      through = 0;  // values from outside the loop, and those of them that it does not use
  for (const LiveIn& in : paced(info.in)) {
    if (f_.vregs[in.vreg].cls != cls) continue;
    live_in++;
    through += in.distance >= kLoopExit ? 1 : 0;
  }
  auto at_least_zero = [](u32 a, u32 b) { return a > b ? a - b : 0; };

  // What crosses a call on every way around the loop can only stay in a register that calls preserve. Values
  // that change in the loop come first (they would have to be stored each time), then those with the most uses.
  u32 changing = at_least_zero(info.loop_crossing[c], live_in);
  u32 for_constant = at_least_zero(callee_saved_[c], changing);
  chosen_[c].clear();
  survivors_[c].clear();
  for (u32 i = 0; i < candidates_.size(); i++, tick()) {
    const Candidate& value = candidates_[i];
    if (f_.vregs[value.vreg].cls != cls || value.distance >= kLoopExit) continue;
    u32 uses = ~hints_.use_weight(value.vreg) / 2;
    if (value.param ? value.distance <= info.call_distance : !info.always_calls)
      choose(&chosen_[c], i, regs, value.distance);
    else if (value.param)
      choose(&survivors_[c], i, callee_saved_[c], uses);
    else if (!remats(value.vreg))
      choose(&survivors_[c], i, for_constant, uses | 1u << 31);
  }
  u32 room = regs - survivors_[c].size();
  while (chosen_[c].size() > room) chosen_[c].pop();

  u32 spare = at_least_zero(regs, at_least_zero(info.loop_pressure[c], through));
  if (info.loop_calls)
    spare =
        min(spare, at_least_zero(callee_saved_[c], at_least_zero(info.loop_crossing[c], through)));
  spare = min(room, chosen_[c].size() + spare);
  for (u32 i = 0; i < candidates_.size(); i++, tick()) {
    const Candidate& value = candidates_[i];
    bool passes = value.distance >= kLoopExit && value.distance != kDead;
    if (passes && f_.vregs[value.vreg].cls == cls && (value.available == total || value.param))
      choose(&chosen_[c], i, spare, value.distance);
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
  for (BlockIndex pred : ticking(block.preds))
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
  constexpr RegClass kClasses[] = {RegClass::kInt, RegClass::kVec};
  for (RegClass cls : kClasses) {
    if (f_.blocks[b].loop_header == b)
      select_for_loop(b, cls);
    else
      select(b, cls);
  }
  assign_candidates(b);
  for (const Candidate& c : paced(candidates_)) {
    candidate_of_[c.vreg] = kNone;
    if (c.reg != kNoPReg) place(c.vreg, c.reg, c.distance);
  }
  const LirBlock& block = f_.blocks[b];
  for (u32 i = 0; i < block.params.size(); i++, tick())
    if (live_.param_next[live_.blocks[b].first_param + i] != kDead)
      define(block.params[i], reg_of_[block.params[i]]);
}

}  // namespace wring::ra
