// SPDX-License-Identifier: GPL-2.0
// Scan: the choices of one instruction's operands, in order of need: registers for the whole instruction, for
// reading, for results. Last, values that were in the way find a new register or are dropped.
//
// Every choice but the last can push out a value that the instruction does not use, so an instruction is
// allocated whenever its own operands fit into the registers.
#include "core/regalloc/scan.h"

namespace wring::ra {

// Whether the value in `reg`, which v would like to have, should make room right away: it lives on after the
// instruction that claims the register for v, so that it must leave by then in any case.
bool Scan::should_vacate(PReg reg, VReg v) {
  u32 claim = fixed_.next_claim(reg);
  return claim < f_.blocks[block_].end && claim <= end_of_range(v) &&
         claim < end_of_range(holder_[reg]);
}

// The register of v's fixed use, if the value there is better moved away now.
PReg Scan::take_wish(VReg v, bool early, bool late) {
  PReg wish = hints_.fixed(v);
  if (wish == kNoPReg || !(occupied_ & class_mask(v) & bit(wish))) return kNoPReg;
  RegMask mask = bit(wish);
  if (kept_ & mask) {
    if (!should_vacate(wish, v)) return kNoPReg;
    kept_ &= ~mask;
    homeless_ |= mask;
    if (early) early_ |= mask;
  } else {
    Use* use = early ? nullptr : use_in(wish);
    if (!use || !should_vacate(wish, v)) return kNoPReg;
    use->home = kNoPReg;
  }
  if (late) late_ |= mask;
  return wish;
}

// The value that the instruction reads in `reg` and that could move elsewhere for after it, or null.
Scan::Use* Scan::use_in(PReg reg) {
  for (Use& use : uses_)
    if (use.before == reg && use.home == reg && !use.late) return &use;
  return nullptr;
}

// Finds a register for v: a free one, or one whose value can be dropped. kNoPReg if there is none.
PReg Scan::take(VReg v, bool early, bool late) {
  PReg wish = take_wish(v, early, late);
  if (wish != kNoPReg) return wish;
  RegMask claimed = (early ? early_ : 0) | (late ? late_ : 0);
  RegMask free = class_mask(v) & ~claimed & ~kept_;
  PReg reg = kNoPReg;
  if (free) {
    reg = pick(v, free, kNoPReg, 0);
  } else {
    u64 score;
    reg = victim(class_mask(v), !early, &score);
    if (reg == kNoPReg) return reg;
    evict(reg);
  }
  if (early) early_ |= bit(reg);
  if (late) late_ |= bit(reg);
  return reg;
}

// How far away the next use is; values that cost no store to drop count as twice as far.
u64 Scan::evict_score(VReg v, u32 next) const {
  u64 distance = next - (inst_ - begin_);
  return remats(v) || out_->in_memory[v] ? 2 * distance : distance;
}

// The register whose value is best dropped. With `used`, also values that the instruction reads, but that need
// not stay in a register after it.
PReg Scan::victim(RegMask usable, bool used, u64* score) {
  PReg best = kNoPReg;
  *score = 0;
  for (RegMask rest = kept_ & usable; rest; rest &= rest - 1) {
    PReg reg = static_cast<PReg>(count_trailing_zeros(rest));
    u64 s = evict_score(holder_[reg], next_[holder_[reg]]);
    if (best == kNoPReg || s > *score) {
      best = reg;
      *score = s;
    }
  }
  if (!used) return best;
  for (const Use& use : uses_) {
    if (use.home == kNoPReg || use.late || !(usable & bit(use.home))) continue;
    u64 s = evict_score(use.vreg, use.next);
    if (best == kNoPReg || s > *score) {
      best = use.home;
      *score = s;
    }
  }
  return best;
}

void Scan::evict(PReg reg) {
  if (kept_ & bit(reg)) {
    kept_ &= ~bit(reg);
    dropped_ |= bit(reg);
    return;
  }
  late_ &= ~bit(reg);
  for (Use& use : uses_)
    if (use.home == reg) use.home = kNoPReg;
}

// Like take() for the whole instruction. If need be, values that are only read move to another register.
PReg Scan::take_throughout(VReg v) {
  PReg reg = take(v, true, true);
  if (reg != kNoPReg) return reg;
  for (Use& use : uses_) {
    if (use.reg == kNoPReg || use.consumed || use.late || f_.vregs[use.vreg].cls != f_.vregs[v].cls)
      continue;
    if (bit(use.reg) & (fixed_early_ | fixed_late_)) continue;
    if (late_ & bit(use.reg) && use.home != use.reg) continue;
    reg = use.reg;
    if (use.home == reg) use.home = kNoPReg;
    use.reg = kNoPReg;
    early_ |= bit(reg);
    late_ |= bit(reg);
    return reg;
  }
  return kNoPReg;
}

bool Scan::assign_pairs() {
  Span<Operand> operands = f_.operands_of(inst_);
  for (Pair& pair : pairs_) {
    if (pair.reg != kNoPReg) continue;
    pair.reg = take_throughout(operands[pair.def].vreg);
    if (pair.reg == kNoPReg) return false;
    Use& use = uses_[pair.item];
    if (use.reg == kNoPReg && !use.late && (use.needs_reg || use.any)) use.reg = pair.reg;
  }
  return true;
}

bool Scan::assign_early_defs() {
  for (u32 k = 0; k < f_.insts[inst_].operand_count; k++) {
    const Operand& op = f_.operands_of(inst_)[k];
    if (op.kind != OperandKind::kDef || !op.other || op.constraint == Constraint::kFixed ||
        op.constraint == Constraint::kReuse)
      continue;
    PReg reg = take_throughout(op.vreg);
    if (reg == kNoPReg) return false;
    allocation(k) = {Allocation::kReg, reg};
  }
  return true;
}

bool Scan::assign_late_uses() {
  for (u32 i = 0; i < uses_.size(); i++) {
    if (!uses_[i].late || !uses_[i].needs_reg || uses_[i].reg != kNoPReg) continue;
    PReg reg = take_throughout(uses_[i].vreg);
    if (reg == kNoPReg) return false;
    uses_[i].reg = reg;
    if (uses_[i].next != kDead) uses_[i].home = reg;
  }
  return true;
}

bool Scan::assign_uses() {
  for (Use& use : uses_) {
    if (!use.needs_reg || use.reg != kNoPReg) continue;
    RegMask free = class_mask(use.vreg) & ~(early_ | late_ | kept_);
    if (use.next != kDead && free) {
      use.reg = use.home = pick(use.vreg, free, kNoPReg, 0);
      early_ |= bit(use.reg);
      late_ |= bit(use.reg);
      continue;
    }
    use.reg = take(use.vreg, true, false);
    if (use.reg == kNoPReg) return false;
    if (use.next != kDead && !(late_ & bit(use.reg))) {
      use.home = use.reg;
      late_ |= bit(use.reg);
    }
  }
  return true;
}

bool Scan::assign_defs() {
  Span<Operand> operands = f_.operands_of(inst_);
  for (const Pair& pair : pairs_) allocation(pair.def) = {Allocation::kReg, pair.reg};
  for (u32 k = 0; k < operands.size(); k++) {
    const Operand& op = operands[k];
    if (op.kind != OperandKind::kDef) continue;
    if (op.constraint == Constraint::kFixed) {
      allocation(k) = {Allocation::kReg, op.reg};
    } else if (op.constraint != Constraint::kReuse && !op.other) {
      PReg reg = take(op.vreg, false, true);
      if (reg != kNoPReg)
        allocation(k) = {Allocation::kReg, reg};
      else if (op.constraint == Constraint::kAny)
        allocation(k) = {Allocation::kSlot, op.vreg};
      else
        return false;
    }
  }
  return true;
}

// Recomputed values cannot be memory operands, if there is any register for them.
void Scan::assign_recomputed() {
  for (Use& use : uses_) {
    if (!use.any || use.reg != kNoPReg || use.before != kNoPReg || !remats(use.vreg)) continue;
    RegMask free = class_mask(use.vreg) & ~(early_ | late_ | kept_);
    bool throughout = use.late || (use.next != kDead && free);
    use.reg = take(use.vreg, true, throughout);
    if (use.reg == kNoPReg)
      stored_[use.vreg] = 1;
    else if (use.next != kDead && throughout)
      use.home = use.reg;
  }
}

// Whether moving v out of the way is better than dropping it and reloading it for its next use.
bool Scan::worth_moving(VReg v, u32 next, PReg to) {
  u64 keep = weight_ + fixed_.cost(to, end_of_range(v)) + fresh_cost(to);
  u64 reload = next - (inst_ - begin_) < kLoopExit ? weight_ : weight_ / 8;
  u64 crossed = fixed_.calls(end_of_range(v));
  u64 spill = reload + min<u64>(crossed, hints_.use_weight(v));
  if (remats(v))
    spill /= 2;
  else if (!out_->in_memory[v])
    spill += out_->def_weight[v];
  return keep <= spill;
}

// A register in which a displaced value survives the instruction, or kNoPReg if it is better dropped.
PReg Scan::new_home(VReg v, u32 next) {
  RegMask free = class_mask(v) & ~(early_ | late_ | kept_);
  PReg reg;
  if (free) {
    RegMask touched = touched_;
    reg = pick(v, free, kNoPReg, 0);
    touched_ = touched;
    if (!worth_moving(v, next, reg)) return kNoPReg;
    touched_ |= bit(reg);
  } else {
    u64 score;
    reg = victim(class_mask(v), false, &score);
    if (reg == kNoPReg || score / 2 <= evict_score(v, next)) return kNoPReg;
    evict(reg);
  }
  early_ |= bit(reg);
  late_ |= bit(reg);
  return reg;
}

// Values that live on but whose register was claimed.
void Scan::rehome() {
  for (Use& use : uses_)
    if (use.next != kDead && !use.aside && use.home == kNoPReg && use.before != kNoPReg &&
        use.reg != kNoPReg && use.reg != use.before && !(late_ & bit(use.reg)) &&
        class_mask(use.vreg) & bit(use.reg)) {
      use.home = use.reg;
      late_ |= bit(use.reg);
    }
  for (Use& use : uses_)
    if (use.next != kDead && !use.aside && use.home == kNoPReg && use.before != kNoPReg) {
      use.home = new_home(use.vreg, use.next);
      if (use.reg == kNoPReg) use.reg = use.home;
    }
  for (RegMask rest = homeless_; rest; rest &= rest - 1) {
    PReg reg = static_cast<PReg>(count_trailing_zeros(rest));
    home_of_[reg] = new_home(holder_[reg], next_[holder_[reg]]);
  }
}

// Operands that may be in memory and are not in a register.
void Scan::place_optional() {
  for (Use& use : uses_) {
    if (!use.any || use.reg != kNoPReg) continue;
    bool live = use.next != kDead;
    RegMask usable = class_mask(use.vreg);
    RegMask free = usable & ~(early_ | late_ | kept_);
    if (use.before != kNoPReg && !live) {
      // Displaced for its last use: any register that is free while operands are read.
      RegMask readable = use.late ? free : usable & ~(early_ | kept_);
      if (!readable) continue;
      use.reg = pick(use.vreg, readable, kNoPReg, 0);
      early_ |= bit(use.reg);
      if (use.late) late_ |= bit(use.reg);
      continue;
    }
    if (use.before != kNoPReg || !live || remats(use.vreg)) continue;
    u64 distance = use.next - (inst_ - begin_);
    if (distance >= kLoopExit) continue;
    if (!free) {
      u64 score;
      PReg reg = victim(usable, false, &score);
      bool far = f_.blocks[block_].loop_depth ? score >= kLoopExit : score > 2 * distance + 16;
      if (reg == kNoPReg || !far) continue;
      evict(reg);
      free = bit(reg);
    }
    use.reg = use.home = pick(use.vreg, free, kNoPReg, 0);
    early_ |= bit(use.reg);
    late_ |= bit(use.reg);
  }
}

}  // namespace wring::ra
