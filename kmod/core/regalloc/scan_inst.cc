// SPDX-License-Identifier: GPL-2.0
// Scan: one instruction. Fixed operands claim their registers, values that may stay do, then the remaining
// operands choose (scan_operands.cc), and what was decided becomes moves and the state after the instruction.
#include "core/regalloc/scan.h"

namespace wring::ra {

Err Scan::instruction(u32 inst, Diag* diag) {
  inst_ = inst;
  if (inst + 1 < f_.insts.size()) fixed_.seek(inst + 1);
  if (simple_instruction()) return Err::kOk;
  TRY(gather());
  bool ok = claim_fixed();
  if (ok) {
    keep_in_place();
    ok = assign_pairs() && assign_early_defs() && assign_late_uses() && assign_uses() &&
         assign_defs();
  }
  if (!ok)
    return diag->fail(Err::kInvalid, kNone, f_.insts[inst].origin,
                      "register allocation: the operands of instruction %u contradict each other",
                      inst);
  assign_recomputed();
  rehome();
  place_optional();
  emit_moves();
  update_state();
  return Err::kOk;
}

// The common case: everything is in registers already, nothing is fixed or clobbered, at most one result, and
// that finds a free register. Decides as the general case would; false if it must.
bool Scan::simple_instruction() {
  const LirInst& inst = f_.insts[inst_];
  if (inst.clobbers) return false;
  Span<Operand> operands = f_.operands_of(inst_);
  Span<u32> next = live_.next_use.slice(inst.operands, inst.operand_count);
  u32 def = kNone;
  RegMask dying = 0;
  for (u32 k = 0; k < operands.size(); k++) {
    const Operand& op = operands[k];
    if (op.constraint == Constraint::kFixed || op.other) return false;
    if (op.kind == OperandKind::kDef) {
      if (def != kNone) return false;
      def = k;
    } else {
      PReg reg = reg_of_[op.vreg];
      if (reg == kNoPReg) return false;
      if (next[k] == kDead) dying |= bit(reg);
    }
  }
  PReg result = kNoPReg, copied = kNoPReg;
  u32 tied = kNone;
  if (def != kNone) {
    const Operand& op = operands[def];
    RegMask usable = class_mask(op.vreg);
    if (op.constraint == Constraint::kReuse) {
      tied = op.reg;
      PReg source = reg_of_[operands[tied].vreg];
      if (dying & bit(source)) {
        result = source;
      } else {
        PReg wish = hints_.fixed(op.vreg);
        bool crowded =
            wish != kNoPReg && (occupied_ & usable & bit(wish)) && should_vacate(wish, op.vreg);
        if (!(usable & ~occupied_) || crowded) return false;
        result = copied = pick(op.vreg, usable & ~occupied_, kNoPReg, 0);
      }
    } else {
      RegMask free = usable & ~(occupied_ & ~dying);
      PReg wish = hints_.fixed(op.vreg);
      bool crowded = wish != kNoPReg && (occupied_ & ~dying & usable & bit(wish)) &&
                     should_vacate(wish, op.vreg);
      if (!free || crowded) return false;
      result = pick(op.vreg, free, kNoPReg, 0);
    }
  }
  for (u32 k = 0; k < operands.size(); k++) {
    if (k == def) continue;
    VReg v = operands[k].vreg;
    allocation(k) = {Allocation::kReg, reg_of_[v]};
    next_[v] = next[k];
  }
  if (copied != kNoPReg) {
    VReg v = operands[tied].vreg;
    allocation(tied) = {Allocation::kReg, copied};
    copy(inst_, MovePhase::kInst, {reg_of_[v], v}, {copied, v});
  }
  for (RegMask rest = dying; rest; rest &= rest - 1)
    vacate(static_cast<PReg>(count_trailing_zeros(rest)));
  if (def != kNone) {
    allocation(def) = {Allocation::kReg, result};
    define(operands[def].vreg, result);
    if (next[def] != kDead) place(operands[def].vreg, result, next[def]);
  }
  return true;
}

// Collects the values the instruction uses and its two-address pairs.
Err Scan::gather() {
  Span<Operand> operands = f_.operands_of(inst_);
  u32 first = f_.insts[inst_].operands;
  uses_.clear();
  pairs_.clear();
  early_ = late_ = kept_ = homeless_ = dropped_ = 0;
  for (u32 k = 0; k < operands.size(); k++) {
    const Operand& op = operands[k];
    if (op.kind != OperandKind::kUse) continue;
    if (item_of_[op.vreg] != kNone) continue;
    item_of_[op.vreg] = uses_.size();
    Use use = {};
    use.vreg = op.vreg;
    use.before = reg_of_[op.vreg];
    use.reg = use.home = kNoPReg;
    use.next = live_.next_use[first + k];
    if (!uses_.push(use)) return Err::kNoMemory;
  }
  u64 paired[4] = {};
  for (u32 k = 0; k < operands.size(); k++) {
    const Operand& op = operands[k];
    if (op.kind != OperandKind::kDef || op.constraint != Constraint::kReuse) continue;
    WRING_ASSERT(op.reg < operands.size() && operands[op.reg].kind == OperandKind::kUse);
    Pair pair = {k, op.reg, item_of_[operands[op.reg].vreg], kNoPReg};
    if (!pairs_.push(pair)) return Err::kNoMemory;
    paired[op.reg / 64] |= u64{1} << (op.reg % 64);
  }
  for (u32 k = 0; k < operands.size(); k++) {
    const Operand& op = operands[k];
    if (op.kind != OperandKind::kUse) continue;
    Use& use = uses_[item_of_[op.vreg]];
    if (op.constraint == Constraint::kFixed) {
      use.fixed |= bit(op.reg);
    } else if (!(paired[k / 64] >> (k % 64) & 1)) {
      use.late |= op.other;
      (op.constraint == Constraint::kReg ? use.needs_reg : use.any) = true;
    }
  }
  return Err::kOk;
}

// Fixed operands and clobbers. False if two of them want the same register at the same time.
bool Scan::claim_fixed() {
  Span<Operand> operands = f_.operands_of(inst_);
  RegMask defined = 0;
  auto claim = [](RegMask* mask, PReg reg) {
    bool free = !(*mask & bit(reg));
    *mask |= bit(reg);
    return free;
  };
  VReg reader[kPRegCount] = {};
  for (u32 k = 0; k < operands.size(); k++) {
    const Operand& op = operands[k];
    if (op.constraint != Constraint::kFixed || op.kind != OperandKind::kUse) continue;
    if (!claim(&early_, op.reg) && reader[op.reg] != op.vreg) return false;
    reader[op.reg] = op.vreg;
    if (op.other) late_ |= bit(op.reg);
  }
  if (late_ & f_.insts[inst_].clobbers) return false;
  for (Pair& pair : pairs_) {
    const Operand& op = operands[pair.use];
    if (op.constraint != Constraint::kFixed) continue;
    pair.reg = op.reg;
    if (!claim(&defined, op.reg)) return false;
  }
  for (const Operand& op : operands) {
    if (op.constraint != Constraint::kFixed || op.kind != OperandKind::kDef) continue;
    if (!claim(&defined, op.reg)) return false;
    if (op.other && !claim(&early_, op.reg)) return false;
  }
  if (late_ & defined) return false;
  late_ |= defined | f_.insts[inst_].clobbers;
  fixed_early_ = early_;
  fixed_late_ = late_;
  return true;
}

// Values whose register nobody claims stay where they are.
void Scan::keep_in_place() {
  for (Pair& pair : pairs_) {
    Use& use = uses_[pair.item];
    if (pair.reg != kNoPReg || use.next != kDead || use.before == kNoPReg || use.late ||
        use.consumed)
      continue;
    if (bit(use.before) & ((early_ & ~use.fixed) | late_)) continue;
    pair.reg = use.reg = use.before;
    use.consumed = true;
    early_ |= bit(use.before);
    late_ |= bit(use.before);
  }
  RegMask used = 0;
  for (Use& use : uses_) {
    bool live = use.next != kDead;
    bool reads = use.needs_reg || use.any;
    if (use.before != kNoPReg) {
      next_[use.vreg] = use.next;
      use.aside = live && !reads && !(use.fixed & bit(use.before));
      if (!use.aside) used |= bit(use.before);
    }
    if (use.consumed || use.aside || (!live && !reads)) continue;
    if (use.before != kNoPReg && !(bit(use.before) & early_ & ~use.fixed)) {
      RegMask mask = bit(use.before);
      bool late_free = !(late_ & mask);
      if (late_free || !use.late) {
        use.reg = use.before;
        early_ |= mask;
        if (late_free && (live || use.late)) late_ |= mask;
        if (late_free && live) use.home = use.before;
      }
    }
    if (use.reg == kNoPReg && use.fixed && !use.late) {
      use.reg = static_cast<PReg>(count_trailing_zeros(use.fixed));
      if (live && !(late_ & bit(use.reg)) && class_mask(use.vreg) & bit(use.reg)) {
        use.home = use.reg;
        late_ |= bit(use.reg);
      }
    }
  }
  RegMask others = occupied_ & ~used;
  homeless_ = others & (early_ | late_);
  kept_ = others & ~homeless_;
}

void Scan::emit_moves() {
  Span<Operand> operands = f_.operands_of(inst_);
  for (u32 i = 0; i < uses_.size(); i++) {
    Use& use = uses_[i];
    RegMask to = use.fixed;
    for (const Pair& pair : pairs_)
      if (pair.item == i) to |= bit(pair.reg);
    if (use.reg != kNoPReg) to |= bit(use.reg);
    if (use.home != kNoPReg) to |= bit(use.home);
    bool from_memory = use.any && use.reg == kNoPReg;
    if (from_memory) {
      if (remats(use.vreg)) stored_[use.vreg] = 1;
      read_memory(use.vreg);
    }
    if (use.before != kNoPReg) {
      to &= ~bit(use.before);
      if (use.aside) {
        // Its own register is dealt with like those of values that the instruction does not use.
      } else if (from_memory || (use.next != kDead && use.home == kNoPReg))
        drop(use.vreg, use.before, inst_, MovePhase::kInst, weight_);
    }
    for (; to; to &= to - 1)
      copy(inst_, MovePhase::kInst, {use.before, use.vreg},
           {static_cast<PReg>(count_trailing_zeros(to)), use.vreg});
  }
  for (RegMask rest = homeless_; rest; rest &= rest - 1) {
    PReg reg = static_cast<PReg>(count_trailing_zeros(rest));
    if (home_of_[reg] == kNoPReg)
      dropped_ |= bit(reg);
    else
      copy(inst_, MovePhase::kInst, {reg, holder_[reg]}, {home_of_[reg], holder_[reg]});
  }
  for (RegMask rest = dropped_; rest; rest &= rest - 1) {
    PReg reg = static_cast<PReg>(count_trailing_zeros(rest));
    drop(holder_[reg], reg, inst_, MovePhase::kInst, weight_);
  }
  for (u32 k = 0; k < operands.size(); k++) {
    const Operand& op = operands[k];
    if (op.kind != OperandKind::kUse) continue;
    const Use& use = uses_[item_of_[op.vreg]];
    if (op.constraint == Constraint::kFixed)
      allocation(k) = {Allocation::kReg, op.reg};
    else if (use.reg != kNoPReg)
      allocation(k) = {Allocation::kReg, use.reg};
    else
      allocation(k) = {Allocation::kSlot, op.vreg};
  }
  for (const Pair& pair : pairs_) allocation(pair.use) = {Allocation::kReg, pair.reg};
}

void Scan::update_state() {
  Span<Operand> operands = f_.operands_of(inst_);
  u32 first = f_.insts[inst_].operands;
  for (const Use& use : uses_)
    if (use.before != kNoPReg && !use.aside) vacate(use.before);
  for (RegMask rest = dropped_ & ~homeless_; rest; rest &= rest - 1)
    vacate(static_cast<PReg>(count_trailing_zeros(rest)));
  VReg moved[kPRegCount];
  for (RegMask rest = homeless_; rest; rest &= rest - 1) {
    PReg reg = static_cast<PReg>(count_trailing_zeros(rest));
    moved[reg] = holder_[reg];
    vacate(reg);
  }
  for (RegMask rest = homeless_ & ~dropped_; rest; rest &= rest - 1) {
    PReg reg = static_cast<PReg>(count_trailing_zeros(rest));
    place(moved[reg], home_of_[reg], next_[moved[reg]]);
  }
  for (const Use& use : uses_) {
    item_of_[use.vreg] = kNone;
    if (use.home != kNoPReg) place(use.vreg, use.home, use.next);
  }
  for (u32 k = 0; k < operands.size(); k++) {
    const Operand& op = operands[k];
    if (op.kind != OperandKind::kDef) continue;
    bool in_reg = allocation(k).kind == Allocation::kReg;
    PReg reg = in_reg ? static_cast<PReg>(allocation(k).index) : kNoPReg;
    define(op.vreg, reg);
    u32 next = live_.next_use[first + k];
    if (in_reg && next != kDead) place(op.vreg, reg, next);
  }
}

}  // namespace wring::ra
