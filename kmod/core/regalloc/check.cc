// SPDX-License-Identifier: GPL-2.0
// The allocation checker: follows every read of a value back to the value's definition.
//
// Each block is walked once, forward, keeping track of what every place holds: the value of a vreg defined in the
// block, what another place held at the block's beginning, or nothing of use. A read of the former must be of that
// vreg; a read of the latter is a demand on the beginning: "this place must hold that vreg here". What the places
// hold at the end, as far as the block writes them, is kept as the block's summary. Demands then go from each block
// to its predecessors, through their summaries (and from parameters to arguments), each of them once: a block is
// looked at again only for demands that are new, in sweeps from the last block to the first. A demand that meets
// another value, or that reaches the function's entry, is an error. Nothing here is shared with the allocator but
// the interface headers.
#include "core/regalloc/allocate.h"

#include "core/base/limits.h"

namespace wring::ra {
namespace {

// A unit of storage: a register, or 8 bytes of a slot. Values of 16 bytes have one register, or two slot units of
// which the first is even (check_place): which half a unit holds follows from its number.
constexpr u32 kFirstSlot = 32;

// What a unit holds.
struct Source {
  enum Kind : u8 {
    kBeginning,  // what unit `of` held at the block's beginning
    kValue,      // vreg `of`
    kLost        // nothing of use since instruction `of`
  } kind;
  // The moves on the way let through only values of some sizes and classes.
  u8 sizes;    // in bytes: kNarrow, kWide or both
  u8 classes;  // bit per RegClass
  u32 of;
};
constexpr u8 kNarrow = 8, kWide = 16;
constexpr u8 kBothClasses = 3;
constexpr u8 class_bit(RegClass cls) { return static_cast<u8>(1 << static_cast<u8>(cls)); }

struct Write {
  u32 unit;
  Source source;
};
struct Demand {
  u32 unit;
  VReg vreg;
};

class Checker {
 public:
  Checker(const LirFunction& f, const RegEnv& env, const AllocationResult& result, Arena* arena,
          Diag* diag)
      : f_(f),
        env_(env),
        result_(result),
        arena_(arena),
        diag_(diag),
        written_(arena),
        queue_(arena) {}
  Err run();

 private:
  // Of the block that is looked at.
  struct Unit {
    u32 written;  // stamp: `source` is what it holds, else what it held at the beginning
    Source source;
    u32 demanded;  // stamp: at the beginning it must hold `vreg`
    VReg vreg;
  };
  struct Summary {
    Span<Write> writes;
    Vec<Demand> demands;  // at the beginning
    u32 first_edge;       // in taken_
    bool queued;
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
  Err init();
  Err summarize(BlockIndex b);
  void reload(BlockIndex b);
  Err take_demands(BlockIndex b);
  Err queue_preds(BlockIndex b, u32 sweep);
  bool push(u64 item);
  u64 pop();
  Err instruction();
  void do_edit(const Edit& edit);
  Source get(u32 unit) const;
  Source get(Allocation a, u32 bytes) const;
  void set(u32 unit, Source source);
  void set(Allocation a, u32 bytes, Source source);
  Err demand(u32 unit, VReg vreg, Source source);
  Err demand_at_beginning(u32 unit, VReg vreg);
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
  Span<Summary> summaries_;
  Summary* block_ = nullptr;  // the one that is looked at
  Span<Unit> units_;
  u32 stamp_ = 0;
  bool out_of_memory_ = false;
  Vec<u32> written_;       // units written in the block, each once
  Span<u32> taken_;        // per edge: how many of the successor's demands have been taken
  Span<u32> param_index_;  // per vreg: its index among its block's parameters plus one
  Vec<u64> queue_;         // a heap: sweep << 32 | blocks from the end
};

Err Checker::init() {
  u32 blocks = f_.blocks.size(), edges = 0;
  units_ = arena_->make_array<Unit>(usize{kFirstSlot} + result_.slots);
  summaries_ = arena_->make_array<Summary>(blocks);
  param_index_ = arena_->make_array<u32>(usize{f_.vregs.size()} + 1);
  if (!units_.data() || !summaries_.data() || !param_index_.data()) return Err::kNoMemory;
  for (BlockIndex b = 0; b < blocks; b++) {
    summaries_[b].demands.init(arena_);
    summaries_[b].first_edge = edges;
    edges += f_.blocks[b].succs.size();
    Span<VReg> params = f_.blocks[b].params;
    for (u32 i = 0; i < params.size(); i++) param_index_[params[i]] = i + 1;
  }
  taken_ = arena_->make_array<u32>(usize{edges} + 1);
  return taken_.data() ? Err::kOk : Err::kNoMemory;
}

Err Checker::run() {
  TRY(check_shape());
  TRY(init());
  u32 blocks = f_.blocks.size();
  for (BlockIndex b = blocks; b-- > 0;) {
    TRY(summarize(b));
    TRY(take_demands(b));
    summaries_[b].queued = false;
    if (!block_->demands.empty()) TRY(queue_preds(b, 0));
  }
  while (!queue_.empty()) {
    u64 next = pop();
    BlockIndex b = blocks - 1 - static_cast<u32>(next);
    reload(b);
    block_->queued = false;
    u32 before = block_->demands.size();
    TRY(take_demands(b));
    if (block_->demands.size() != before) TRY(queue_preds(b, static_cast<u32>(next >> 32)));
  }
  inst_ = 0;
  if (!summaries_[0].demands.empty()) return fail("a value is read that was never written");
  return Err::kOk;
}

// The demands of b are new to its predecessors: those before it are looked at in this sweep, others in the next.
// The first sweep looks at every block without being asked.
Err Checker::queue_preds(BlockIndex b, u32 sweep) {
  for (BlockIndex pred : f_.blocks[b].preds) {
    if (summaries_[pred].queued || (sweep == 0 && pred < b)) continue;
    summaries_[pred].queued = true;
    u64 when = sweep + (pred < b ? 0 : 1);
    if (!push(when << 32 | (f_.blocks.size() - 1 - pred))) return Err::kNoMemory;
  }
  return Err::kOk;
}

bool Checker::push(u64 item) {
  if (!queue_.push(item)) return false;
  for (u32 i = queue_.size() - 1; i > 0 && queue_[i] < queue_[(i - 1) / 2]; i = (i - 1) / 2)
    swap(queue_[i], queue_[(i - 1) / 2]);
  return true;
}

u64 Checker::pop() {
  u64 top = queue_[0];
  queue_[0] = queue_.back();
  queue_.pop();
  for (u32 i = 0;;) {
    u32 child = 2 * i + 1;
    if (child >= queue_.size()) return top;
    if (child + 1 < queue_.size() && queue_[child + 1] < queue_[child]) child++;
    if (queue_[i] <= queue_[child]) return top;
    swap(queue_[i], queue_[child]);
    i = child;
  }
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

Source Checker::get(u32 unit) const {
  const Unit& u = units_[unit];
  if (u.written == stamp_) return u.source;
  return {Source::kBeginning, kNarrow | kWide, kBothClasses, unit};
}

// What the place holds as a value of that many bytes: the units of a wide slot must hold the two halves of one.
Source Checker::get(Allocation a, u32 bytes) const {
  Source first = get(unit_of(a));
  if (a.kind == Allocation::kReg || bytes == kNarrow) return first;
  Source second = get(unit_of(a) + 1);
  first.sizes &= second.sizes;
  first.classes &= second.classes;
  bool in_slot = first.kind == Source::kBeginning && first.of >= kFirstSlot;
  if (second.kind != first.kind || second.of != first.of + in_slot)
    return {Source::kLost, 0, 0, inst_};
  return first;
}

void Checker::set(u32 unit, Source source) {
  Unit& u = units_[unit];
  if (u.written != stamp_ && !written_.push(unit)) out_of_memory_ = true;
  u.written = stamp_;
  u.source = source;
}

void Checker::set(Allocation a, u32 bytes, Source source) {
  set(unit_of(a), source);
  if (a.kind == Allocation::kReg || bytes == kNarrow) return;
  if (source.kind == Source::kBeginning && source.of >= kFirstSlot) source.of++;
  set(unit_of(a) + 1, source);
}

Err Checker::demand_at_beginning(u32 unit, VReg vreg) {
  Unit& u = units_[unit];
  if (u.demanded == stamp_)
    return u.vreg == vreg ? Err::kOk : fail("one place is to hold two values");
  u.demanded = stamp_;
  u.vreg = vreg;
  return block_->demands.push({unit, vreg}) ? Err::kOk : Err::kNoMemory;
}

// `unit`, which holds `source`, must hold vreg.
Err Checker::demand(u32 unit, VReg vreg, Source source) {
  if (source.kind == Source::kLost) {
    inst_ = source.of;
    return fail("a clobbered register is read later");
  }
  u32 bytes = bytes_of(vreg);
  if (!(source.sizes & bytes) || !(source.classes & class_bit(f_.vregs[vreg].cls)))
    return fail("a move does not fit its value");
  if (source.kind == Source::kValue)
    return source.of == vreg ? Err::kOk : fail("a value is overwritten before it is read");
  TRY(demand_at_beginning(source.of, vreg));
  bool whole = unit < kFirstSlot && source.of >= kFirstSlot && bytes == kWide;
  return whole ? demand_at_beginning(source.of + 1, vreg) : Err::kOk;
}

// Walks the block forward.
Err Checker::summarize(BlockIndex b) {
  const LirBlock& block = f_.blocks[b];
  block_ = &summaries_[b];
  stamp_++;
  written_.clear();
  for (u32 i = block.begin; i < block.end; i++) {
    inst_ = i;
    for (u32 e = first_edit_[i]; e < first_edit_[i + 1]; e++) do_edit(result_.edits[e]);
    TRY(instruction());
  }
  block_->writes = arena_->make_array<Write>(written_.size());
  if (out_of_memory_ || (!written_.empty() && !block_->writes.data())) return Err::kNoMemory;
  for (u32 i = 0; i < written_.size(); i++)
    block_->writes[i] = {written_[i], units_[written_[i]].source};
  return Err::kOk;
}

// Back to the state in which an earlier look at the block left off.
void Checker::reload(BlockIndex b) {
  block_ = &summaries_[b];
  stamp_++;
  for (const Write& write : block_->writes) {
    units_[write.unit].written = stamp_;
    units_[write.unit].source = write.source;
  }
  for (const Demand& demand : block_->demands) {
    units_[demand.unit].demanded = stamp_;
    units_[demand.unit].vreg = demand.vreg;
  }
}

// What successors have come to demand since the last look at the block must hold at its end.
Err Checker::take_demands(BlockIndex b) {
  const LirBlock& block = f_.blocks[b];
  u32* taken = &taken_[block_->first_edge];
  for (u32 s = 0; s < block.succs.size(); s++) {
    const LirBlock& succ = f_.blocks[block.succs[s]];
    const Vec<Demand>& demands = summaries_[block.succs[s]].demands;
    // A block that is its own successor finds new demands while it goes.
    for (; taken[s] < demands.size(); taken[s]++) {
      auto [unit, vreg] = demands[taken[s]];
      inst_ = block.end - 1;
      u32 param = param_index_[vreg];
      if (param && param <= succ.params.size() && succ.params[param - 1] == vreg)
        vreg = block.args[param - 1];
      TRY(demand(unit, vreg, get(unit)));
    }
  }
  return Err::kOk;
}

Err Checker::instruction() {
  const LirInst& inst = f_.insts[inst_];
  Span<Operand> operands = f_.operands_of(inst_);
  for (u32 k = 0; k < operands.size(); k++) {
    const Operand& op = operands[k];
    if (op.kind != OperandKind::kUse) continue;
    Allocation a = result_.operands[inst.operands + k];
    u32 at = inst_;
    for (u32 part = 0; part < units_of(a, op.vreg); part++)
      TRY(demand(unit_of(a) + part, op.vreg, get(unit_of(a) + part)));
    inst_ = at;
  }
  for (RegMask rest = inst.clobbers; rest; rest &= rest - 1)
    set(count_trailing_zeros(rest), {Source::kLost, 0, 0, inst_});
  for (u32 k = 0; k < operands.size(); k++) {
    const Operand& op = operands[k];
    if (op.kind == OperandKind::kDef)
      set(result_.operands[inst.operands + k], bytes_of(op.vreg),
          {Source::kValue, kNarrow | kWide, kBothClasses, op.vreg});
  }
  return Err::kOk;
}

void Checker::do_edit(const Edit& edit) {
  auto through = [&](Source source, u32 sizes) {
    source.sizes &= static_cast<u8>(sizes);
    source.classes &= class_bit(edit.cls);
    return source;
  };
  if (edit.kind == Edit::kRemat) {
    VReg vreg = f_.operands_of(edit.remat)[0].vreg;
    Source source = {Source::kValue, kNarrow | kWide, kBothClasses, vreg};
    if (f_.vregs[vreg].remat != edit.remat) source = {Source::kLost, 0, 0, inst_};
    set(edit.to, edit.bytes, through(source, edit.bytes));
    return;
  }
  Source from = get(edit.from, edit.bytes);
  if (edit.kind == Edit::kMove) {
    set(edit.to, edit.bytes, through(from, edit.bytes));
    return;
  }
  // Registers, which are exchanged as far as the edit is wide.
  u32 sizes = edit.bytes == kWide ? kNarrow | kWide : kNarrow;
  Source to = get(edit.to, edit.bytes);
  set(edit.to, edit.bytes, through(from, sizes));
  set(edit.from, edit.bytes, through(to, sizes));
}

}  // namespace

Err check_allocation(const LirFunction& f, const RegEnv& env, const AllocationResult& result,
                     Diag* diag) {
  Arena scratch(kMaxCompileBytes);
  Err err = Checker(f, env, result, &scratch, diag).run();
  return err == Err::kNoMemory ? diag->no_memory() : err;
}

}  // namespace wring::ra
