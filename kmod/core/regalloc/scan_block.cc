// SPDX-License-Identifier: GPL-2.0
// Scan: the boundaries of blocks. A block with one predecessor goes on with that one's registers; others begin
// with what scan_entry.cc chooses. Edges get the moves that make up the difference.
#include "core/regalloc/scan.h"

namespace wring::ra {

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

  BlockIndex pred = only_pred(block);
  if (pred != kNone && states_[pred].left && block.params.empty() && !is_header)
    inherit(b, pred);
  else
    merge(b);
  if (is_header) {
    for (VReg param : ticking(block.params))
      if (out_->def_reg[param] != kNoPReg) loop_regs_[b] |= bit(out_->def_reg[param]);
    for (RegMask rest = occupied_; rest; rest &= rest - 1)
      entered_with_[holder_[count_trailing_zeros(rest)]] = b + 1;
    wanted_ = loop_regs_[b];
  }
  TRY(save_entry(b));
  for (BlockIndex p : ticking(block.preds))
    if (states_[p].left) resolve_edge(p, b);
  return Err::kOk;
}

Err Scan::leave(BlockIndex b) {
  TRY(save_exit(b));
  for (BlockIndex succ : ticking(f_.blocks[b].succs))
    if (states_[succ].entered) resolve_edge(b, succ);
  return Err::kOk;
}

void Scan::inherit(BlockIndex b, BlockIndex pred) {
  for (const RegValue& value : states_[pred].exit) edge_reg_[value.vreg] = value.reg;
  for (const LiveIn& in : paced(live_.blocks[b].in))
    if (edge_reg_[in.vreg] != kNoPReg) place(in.vreg, edge_reg_[in.vreg], in.distance);
  for (const RegValue& value : states_[pred].exit) edge_reg_[value.vreg] = kNoPReg;
}

Err Scan::save_entry(BlockIndex b) {
  BlockState& state = states_[b];
  state.entered = true;
  u32 count = count_ones(occupied_);
  state.entry = arena_->make_array<RegValue>(count);
  if (count && !state.entry.data()) return Err::kNoMemory;
  for (VReg param : ticking(f_.blocks[b].params)) edge_reg_[param] = reg_of_[param];
  u32 at = 0;
  for (RegMask rest = occupied_; rest; rest &= rest - 1) {
    PReg reg = static_cast<PReg>(count_trailing_zeros(rest));
    if (edge_reg_[holder_[reg]] == kNoPReg) state.entry[at++] = {holder_[reg], reg, true};
  }
  state.entry = state.entry.slice(0, at);
  for (VReg param : ticking(f_.blocks[b].params)) edge_reg_[param] = kNoPReg;
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
  for (u32 i = 0; i < block.args.size(); i++, tick())
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
  WRING_ASSERT(at_exit || only_pred(f_.blocks[succ]) == pred);
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
  for (VReg param : ticking(to.params))
    if (out_->def_reg[param] != kNoPReg) busy |= bit(out_->def_reg[param]);
  for (u32 i = 0; i < to.params.size(); i++, tick())
    if (live_.param_next[live_.blocks[succ].first_param + i] != kDead)
      pass_argument(from.args[i], to.params[i], inst, phase, busy);

  // What is still in edge_reg_ after this is not in a register in succ.
  for (const RegValue& value : states_[succ].entry) edge_reg_[value.vreg] = kNoPReg;
  if (at_exit) {
    for (const RegValue& value : states_[pred].exit)
      if (value.live_after && edge_reg_[value.vreg] != kNoPReg)
        drop(value.vreg, value.reg, inst, phase, weight);
  } else if (live_.precise) {
    for (const LiveIn& in : paced(live_.blocks[succ].in))
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
