// SPDX-License-Identifier: GPL-2.0
// The allocation checker: follows every read of a value back to the value's definition.
//
// A demand says "this place must hold that vreg here". Uses create demands; going backward, moves rename their
// place, block parameters rename their vreg, the definition of the vreg in that place fulfils them. Whatever
// else writes a demanded place, or a demand that reaches the function's entry, is an error. Per block the
// demands at its beginning grow until nothing changes. Nothing here is shared with the allocator but the
// interface headers.
#include "core/regalloc/allocate.h"

#include "core/base/limits.h"

namespace wring::ra {
namespace {

// A unit of storage: a register, or 8 bytes of a slot.
constexpr u32 kFirstSlot = 32;

struct Demand {
  u32 unit;
  VReg vreg;
  u32 part;  // which 8 bytes of the vreg; registers hold it whole (part 0)
};

class Checker {
 public:
  Checker(const LirFunction& f, const RegEnv& env, const AllocationResult& result, Arena* arena,
          Diag* diag)
      : f_(f), env_(env), result_(result), arena_(arena), diag_(diag), wanted_(arena) {}
  Err run();

 private:
  struct Want {
    VReg vreg;
    u32 part;
    u32 stamp;
  };

  Err fail(const char* what) {
    return diag_->fail(Err::kInvalid, kNone,
                       inst_ < f_.insts.size() ? f_.insts[inst_].origin : kNone,
                       "register allocation: %s at instruction %u", what, inst_);
  }
  Err check_shape();
  Err check_edit(const Edit& edit);
  Err check_place(Allocation a, u32 bytes, RegClass cls);
  Err check_operands();
  Err check_overlaps();
  Err walk(BlockIndex b);
  Err instruction();
  Err undo(const Edit& edit);
  Err want(u32 unit, VReg vreg, u32 part);
  Err want(Allocation a, VReg vreg);
  // Fulfils the demands on the place, which `vreg` is written to; an error if others want it.
  Err fulfil(Allocation a, VReg vreg, bool* wanted);
  bool wanted(u32 unit) const { return wants_[unit].stamp == stamp_; }
  void forget(u32 unit) { wants_[unit].stamp = 0; }
  u32 bytes_of(VReg v) const { return f_.vregs[v].slot_bytes; }
  static u32 unit_of(Allocation a) {
    return a.kind == Allocation::kReg ? a.index : kFirstSlot + a.index;
  }
  u32 units_of(Allocation a, VReg v) const {
    return a.kind == Allocation::kReg ? 1 : bytes_of(v) / 8;
  }
  bool overlap(Allocation a, VReg va, Allocation b, VReg vb) const {
    return unit_of(a) < unit_of(b) + units_of(b, vb) && unit_of(b) < unit_of(a) + units_of(a, va);
  }

  const LirFunction& f_;
  const RegEnv& env_;
  const AllocationResult& result_;
  Arena* arena_;
  Diag* diag_;
  u32 inst_ = 0;
  RegMask allowed_ = 0;    // allocatable registers
  RegMask mentioned_ = 0;  // and those that fixed operands ask for or edits may use
  Span<u32> first_edit_;   // per instruction and one more
  Span<Want> wants_;       // per unit
  u32 stamp_ = 0;
  Vec<u32> wanted_;             // units that were wanted during the walk
  Span<Span<Demand>> demands_;  // per block: at its beginning
  Span<u32> param_index_;  // per vreg, during a walk: index of the successor's parameter plus one
};

Err Checker::run() {
  TRY(check_shape());
  u32 blocks = f_.blocks.size();
  wants_ = arena_->make_array<Want>(usize{kFirstSlot} + result_.slots);
  demands_ = arena_->make_array<Span<Demand>>(blocks);
  param_index_ = arena_->make_array<u32>(usize{f_.vregs.size()} + 1);
  Span<u8> queued = arena_->make_array<u8>(blocks);
  Vec<BlockIndex> work(arena_);
  if (!wants_.data() || !demands_.data() || !param_index_.data() || !queued.data())
    return Err::kNoMemory;
  for (BlockIndex b = 0; b < blocks; b++) {
    if (!work.push(b)) return Err::kNoMemory;
    queued[b] = 1;
  }
  while (!work.empty()) {
    BlockIndex b = work.pop();
    queued[b] = 0;
    u32 before = demands_[b].size();
    TRY(walk(b));
    if (demands_[b].size() == before) continue;
    for (BlockIndex pred : f_.blocks[b].preds) {
      if (queued[pred]) continue;
      queued[pred] = 1;
      if (!work.push(pred)) return Err::kNoMemory;
    }
  }
  inst_ = 0;
  if (!demands_[0].empty()) return fail("a value is read that was never written");
  return Err::kOk;
}

// Everything that does not need data flow.
Err Checker::check_shape() {
  for (PReg reg : env_.int_regs) allowed_ |= bit(reg);
  for (PReg reg : env_.vec_regs) allowed_ |= bit(reg);
  mentioned_ = allowed_;
  for (PReg reg : env_.scratch)
    if (reg != kNoPReg) mentioned_ |= bit(reg);
  for (const Operand& op : f_.operands)
    if (op.constraint == Constraint::kFixed) mentioned_ |= bit(op.reg);
  if (result_.operands.size() != f_.operands.size()) return fail("operands are missing");
  first_edit_ = arena_->make_array<u32>(usize{f_.insts.size()} + 1);
  if (!first_edit_.data()) return Err::kNoMemory;
  u32 at = 0;
  for (inst_ = 0; inst_ < f_.insts.size(); inst_++) {
    first_edit_[inst_] = at;
    for (; at < result_.edits.size() && result_.edits[at].inst == inst_; at++)
      TRY(check_edit(result_.edits[at]));
    TRY(check_operands());
    TRY(check_overlaps());
    if (f_.insts[inst_].clobbers & ~result_.used)
      return fail("a clobbered register is not in `used`");
  }
  first_edit_[f_.insts.size()] = at;
  return at == result_.edits.size() ? Err::kOk : fail("edits are not in order");
}

Err Checker::check_place(Allocation a, u32 bytes, RegClass cls) {
  switch (a.kind) {
    case Allocation::kReg:
      if (a.index >= 32 || (a.index < 16) != (cls == RegClass::kInt))
        return fail("a register of the wrong class");
      return Err::kOk;
    case Allocation::kSlot:
      if (a.index >= result_.slots || bytes / 8 > result_.slots - a.index || a.index % (bytes / 8))
        return fail("a slot out of bounds or misaligned");
      return Err::kOk;
    default: return fail("a place is missing");
  }
}

Err Checker::check_edit(const Edit& edit) {
  if (edit.bytes != 8 && edit.bytes != 16) return fail("an edit of a strange size");
  TRY(check_place(edit.to, edit.bytes, edit.cls));
  if (edit.kind != Edit::kRemat) TRY(check_place(edit.from, edit.bytes, edit.cls));
  bool registers = edit.to.kind == Allocation::kReg &&
                   (edit.kind == Edit::kRemat || edit.from.kind == Allocation::kReg);
  if (edit.kind != Edit::kMove && !registers) return fail("a swap or recomputation in memory");
  auto allowed = [&](Allocation a) {
    return a.kind != Allocation::kReg ||
           (mentioned_ & result_.used & bit(static_cast<PReg>(a.index)));
  };
  if (!allowed(edit.to) || (edit.kind == Edit::kSwap && !allowed(edit.from)))
    return fail("an edit writes a register it must not");
  if (edit.kind == Edit::kRemat) {
    if (edit.remat >= f_.insts.size()) return fail("a recomputation of nothing");
    u32 defs = 0;
    for (const Operand& op : f_.operands_of(edit.remat))
      defs += op.kind == OperandKind::kDef ? 1 : 9;
    if (defs != 1) return fail("a recomputation of something that is not a constant");
  }
  return Err::kOk;
}

Err Checker::check_operands() {
  const LirInst& inst = f_.insts[inst_];
  Span<Operand> operands = f_.operands_of(inst_);
  for (u32 k = 0; k < operands.size(); k++) {
    const Operand& op = operands[k];
    Allocation a = result_.operands[inst.operands + k];
    TRY(check_place(a, bytes_of(op.vreg), f_.vregs[op.vreg].cls));
    bool in_reg = a.kind == Allocation::kReg;
    bool is_def = op.kind == OperandKind::kDef;
    RegMask mask = in_reg ? bit(static_cast<PReg>(a.index)) : 0;
    if (op.constraint == Constraint::kFixed) {
      if (!in_reg || a.index != op.reg) return fail("an operand is not in its fixed register");
    } else if (in_reg) {
      if (!(mask & allowed_)) return fail("an operand is in a reserved register");
      bool reuse = op.constraint == Constraint::kReuse;
      if ((is_def || op.other) && !reuse && (mask & inst.clobbers))
        return fail("a result or late use is in a clobbered register");
    }
    if (op.constraint == Constraint::kReg && !in_reg)
      return fail("an operand is not in a register");
    if (op.constraint == Constraint::kReuse) {
      if (!in_reg || !(a == result_.operands[inst.operands + op.reg]))
        return fail("a result is not in its input's register");
      if (operands[op.reg].constraint != Constraint::kFixed && (mask & inst.clobbers))
        return fail("a result is in a clobbered register");
    }
    if (is_def && in_reg && !(mask & result_.used))
      return fail("a result's register is not in `used`");
  }
  return Err::kOk;
}

// Results and reads that are alive at the same time in one instruction must not share a place.
Err Checker::check_overlaps() {
  const LirInst& inst = f_.insts[inst_];
  Span<Operand> operands = f_.operands_of(inst_);
  auto place = [&](u32 k) { return result_.operands[inst.operands + k]; };
  for (u32 d = 0; d < operands.size(); d++) {
    if (operands[d].kind != OperandKind::kDef) continue;
    for (u32 k = 0; k < operands.size(); k++) {
      const Operand& other = operands[k];
      bool clash = other.kind == OperandKind::kDef ? k < d : operands[d].other || other.other;
      if (operands[d].constraint == Constraint::kReuse && operands[d].reg == k) clash = false;
      if (clash && overlap(place(d), operands[d].vreg, place(k), other.vreg))
        return fail("two operands share a place");
    }
  }
  return Err::kOk;
}

Err Checker::want(u32 unit, VReg vreg, u32 part) {
  Want& w = wants_[unit];
  if (wanted(unit)) {
    if (w.vreg == vreg && w.part == part) return Err::kOk;
    return fail("one place is to hold two values");
  }
  w = {vreg, part, stamp_};
  return wanted_.push(unit) ? Err::kOk : Err::kNoMemory;
}

Err Checker::want(Allocation a, VReg vreg) {
  for (u32 part = 0; part < units_of(a, vreg); part++) TRY(want(unit_of(a) + part, vreg, part));
  return Err::kOk;
}

Err Checker::fulfil(Allocation a, VReg vreg, bool* was_wanted) {
  u32 units = units_of(a, vreg), matching = 0;
  for (u32 part = 0; part < units; part++) {
    u32 unit = unit_of(a) + part;
    if (!wanted(unit)) continue;
    if (wants_[unit].vreg != vreg || wants_[unit].part != part)
      return fail("a value is overwritten before it is read");
    forget(unit);
    matching++;
  }
  if (matching != 0 && matching != units) return fail("part of a value is overwritten");
  *was_wanted = matching != 0;
  return Err::kOk;
}

// One walk from the end of the block to its beginning.
Err Checker::walk(BlockIndex b) {
  const LirBlock& block = f_.blocks[b];
  stamp_++;
  wanted_.clear();
  inst_ = block.end - 1;
  for (BlockIndex succ : block.succs) {
    Span<VReg> params = f_.blocks[succ].params;
    for (u32 i = 0; i < params.size(); i++) param_index_[params[i]] = i + 1;
    for (const Demand& demand : demands_[succ]) {
      u32 param = param_index_[demand.vreg];
      TRY(want(demand.unit, param ? block.args[param - 1] : demand.vreg, demand.part));
    }
    for (VReg param : params) param_index_[param] = 0;
  }
  for (u32 i = block.end; i-- > block.begin;) {
    inst_ = i;
    TRY(instruction());
    for (u32 e = first_edit_[i + 1]; e-- > first_edit_[i];) TRY(undo(result_.edits[e]));
  }
  u32 count = 0;
  for (u32 unit : wanted_) {
    if (!wanted(unit)) continue;
    wanted_[count++] = unit;
    forget(unit);  // a unit can be listed twice
  }
  WRING_ASSERT(count >= demands_[b].size());
  if (count == demands_[b].size()) return Err::kOk;
  demands_[b] = arena_->make_array<Demand>(count);
  if (!demands_[b].data()) return Err::kNoMemory;
  for (u32 i = 0; i < count; i++)
    demands_[b][i] = {wanted_[i], wants_[wanted_[i]].vreg, wants_[wanted_[i]].part};
  return Err::kOk;
}

Err Checker::instruction() {
  const LirInst& inst = f_.insts[inst_];
  Span<Operand> operands = f_.operands_of(inst_);
  for (u32 k = 0; k < operands.size(); k++) {
    if (operands[k].kind != OperandKind::kDef) continue;
    bool was_wanted;
    TRY(fulfil(result_.operands[inst.operands + k], operands[k].vreg, &was_wanted));
  }
  for (RegMask rest = inst.clobbers; rest; rest &= rest - 1)
    if (wanted(count_trailing_zeros(rest))) return fail("a clobbered register is read later");
  for (u32 k = 0; k < operands.size(); k++)
    if (operands[k].kind == OperandKind::kUse)
      TRY(want(result_.operands[inst.operands + k], operands[k].vreg));
  return Err::kOk;
}

// What must hold before the edit for the demands after it to be met.
Err Checker::undo(const Edit& edit) {
  u32 to = unit_of(edit.to);
  if (edit.kind == Edit::kSwap) {
    u32 from = unit_of(edit.from);
    if (from == to) return Err::kOk;
    bool want_from = wanted(from), want_to = wanted(to);
    Want a = wants_[from], b = wants_[to];
    forget(from);
    forget(to);
    if ((want_from && bytes_of(a.vreg) > edit.bytes) || (want_to && bytes_of(b.vreg) > edit.bytes))
      return fail("a swap is too narrow for its value");
    if (want_from) TRY(want(to, a.vreg, a.part));
    if (want_to) TRY(want(from, b.vreg, b.part));
    return Err::kOk;
  }
  // The value that is moved: whatever is wanted in the first unit; the others must agree.
  u32 units = edit.to.kind == Allocation::kReg ? 1 : edit.bytes / 8;
  VReg vreg = kNone;
  for (u32 part = 0; part < units; part++)
    if (wanted(to + part)) vreg = wants_[to + part].vreg;
  if (vreg == kNone) return Err::kOk;
  if (bytes_of(vreg) != edit.bytes || f_.vregs[vreg].cls != edit.cls)
    return fail("a move does not fit its value");
  bool was_wanted;
  TRY(fulfil(edit.to, vreg, &was_wanted));
  if (edit.kind == Edit::kMove) return want(edit.from, vreg);
  if (f_.vregs[vreg].remat != edit.remat || f_.operands_of(edit.remat)[0].vreg != vreg)
    return fail("the wrong value is recomputed");
  return Err::kOk;
}

}  // namespace

Err check_allocation(const LirFunction& f, const RegEnv& env, const AllocationResult& result,
                     Diag* diag) {
  Arena scratch(kMaxCompileBytes);
  Err err = Checker(f, env, result, &scratch, diag).run();
  return err == Err::kNoMemory ? diag->no_memory() : err;
}

}  // namespace wring::ra
