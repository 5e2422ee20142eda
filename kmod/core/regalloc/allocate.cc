// SPDX-License-Identifier: GPL-2.0
// Register allocation, the pipeline: liveness -> scan -> slots -> edits.
#include "core/regalloc/allocate.h"

#include "core/regalloc/slots.h"

namespace wring::ra {
namespace {

// Turns the pending moves into edits.
class EditWriter {
 public:
  EditWriter(const LirFunction& f, const ScanResult& scan, const SlotAssignment& slots,
             Vec<Edit>* edits)
      : f_(f),
        scan_(scan),
        slots_(slots),
        arena_(f.arena),
        edits_(edits),
        moves_(scan.moves),
        transfers_(f.arena),
        remats_(f.arena) {}
  Err run(const RegEnv& env, u32* slot_count);

 private:
  Err add_stores();
  Err link();
  Err add(const PendingMove& move);
  Err flush(u32 inst, u32* slot_count);
  Allocation locate(Place place) const {
    if (place.reg != kNoPReg) return {Allocation::kReg, place.reg};
    WRING_ASSERT(slots_.slot[place.vreg] != kNone);
    return {Allocation::kSlot, slots_.slot[place.vreg]};
  }
  bool store_after_def(VReg v) const {
    return scan_.in_memory[v] && scan_.def_reg[v] != kNoPReg && !slots_.at_drops[v];
  }

  const LirFunction& f_;
  const ScanResult& scan_;
  const SlotAssignment& slots_;
  Arena* arena_;
  Vec<Edit>* edits_;
  Vec<PendingMove> moves_;
  Span<u32> first_, next_;  // per instruction, per move: chain of the instruction's moves
  MoveResolver resolver_;
  Vec<Transfer> transfers_;  // of the phase being collected
  Vec<PendingMove> remats_;
};

Err EditWriter::add_stores() {
  auto store = [&](VReg v, u32 inst) {
    if (!store_after_def(v)) return true;
    return moves_.push(
        {PendingMove::kCopy, MovePhase::kStoreDef, inst, {scan_.def_reg[v], v}, {kNoPReg, v}});
  };
  for (const LirBlock& block : paced(f_.blocks)) {
    for (VReg param : ticking(block.params))
      if (!store(param, block.begin)) return Err::kNoMemory;
    for (u32 i = block.begin; i < block.end; i++, tick())
      for (const Operand& op : f_.operands_of(i)) {
        if (op.kind != OperandKind::kDef || !store_after_def(op.vreg)) continue;
        WRING_ASSERT(i + 1 < block.end);  // terminators define at most temporaries
        if (!store(op.vreg, i + 1)) return Err::kNoMemory;
      }
  }
  return Err::kOk;
}

// Chains the moves of each instruction.
Err EditWriter::link() {
  first_ = arena_->make_array<u32>(f_.insts.size());
  next_ = arena_->make_array<u32>(usize{moves_.size()});
  if (!first_.data() || (moves_.size() && !next_.data())) return Err::kNoMemory;
  fill(first_, kNone);
  for (u32 i = moves_.size(); i-- > 0; tick()) {
    next_[i] = first_[moves_[i].inst];
    first_[moves_[i].inst] = i;
  }
  return Err::kOk;
}

Err EditWriter::add(const PendingMove& move) {
  VReg v = move.from.vreg;
  const VRegInfo& info = f_.vregs[v];
  if (move.kind == PendingMove::kStoreDrop && !(scan_.in_memory[v] && slots_.at_drops[v]))
    return Err::kOk;
  bool recompute = move.from.reg == kNoPReg && info.remat != kNone && move.to.reg != kNoPReg;
  if (recompute || move.kind == PendingMove::kRematStore)
    return remats_.push(move) ? Err::kOk : Err::kNoMemory;
  bool is_address = info.is_address || f_.vregs[move.to.vreg].is_address;
  Transfer transfer = {locate(move.from), locate(move.to), info.slot_bytes,
                       info.cls,          info.is_narrow,  is_address};
  if (v != move.to.vreg && transfer.to.kind == Allocation::kSlot &&
      slots_.slot[v] == transfer.to.index && (store_after_def(v) || scan_.def_reg[v] == kNoPReg))
    return Err::kOk;  // a parameter that shares its argument's slot, which is up to date
  return transfers_.push(transfer) ? Err::kOk : Err::kNoMemory;
}

// Recomputed values come last: their registers may still be sources of the other moves.
Err EditWriter::flush(u32 inst, u32* slot_count) {
  if (!transfers_.empty()) TRY(resolver_.resolve(inst, transfers_.span(), slot_count, edits_));
  for (const PendingMove& move : paced(remats_)) {
    const VRegInfo& info = f_.vregs[move.from.vreg];
    Allocation to = {Allocation::kReg, move.to.reg};
    Edit edit = {Edit::kRemat, info.slot_bytes, info.cls, inst, {}, to, info.remat};
    if (!edits_->push(edit)) return Err::kNoMemory;
    if (move.kind != PendingMove::kRematStore) continue;
    Allocation slot = locate({kNoPReg, move.to.vreg});
    bool is_address = f_.vregs[move.to.vreg].is_address;
    Edit store = {Edit::kMove, info.slot_bytes, info.cls, inst, to, slot, 0, false, is_address};
    if (!edits_->push(store)) return Err::kNoMemory;
  }
  transfers_.clear();
  remats_.clear();
  return Err::kOk;
}

Err EditWriter::run(const RegEnv& env, u32* slot_count) {
  TRY(add_stores());
  if (moves_.empty()) return Err::kOk;
  TRY(link());
  TRY(resolver_.init(env, arena_, *slot_count));
  for (u32 inst = 0; inst < f_.insts.size(); inst++, tick()) {
    u32 phases = 0;
    for (u32 i = first_[inst]; i != kNone; i = next_[i])
      phases |= 1u << static_cast<u32>(moves_[i].phase);
    for (; phases; phases &= phases - 1) {
      MovePhase phase = static_cast<MovePhase>(count_trailing_zeros(phases));
      for (u32 i = first_[inst]; i != kNone; i = next_[i], tick())
        if (moves_[i].phase == phase) TRY(add(moves_[i]));
      TRY(flush(inst, slot_count));
    }
  }
  return Err::kOk;
}

RegMask written_registers(const LirFunction& f, const AllocationResult& result) {
  RegMask used = 0;
  auto add = [&](Allocation a) {
    if (a.kind == Allocation::kReg) used |= bit(static_cast<PReg>(a.index));
  };
  for (const LirInst& inst : paced(f.insts)) used |= inst.clobbers;
  for (u32 k = 0; k < f.operands.size(); k++, tick())
    if (f.operands[k].kind == OperandKind::kDef) add(result.operands[k]);
  for (const Edit& edit : paced(result.edits)) {
    add(edit.to);
    if (edit.kind == Edit::kSwap) add(edit.from);
  }
  return used;
}

Err allocate_in(const LirFunction& f, const RegEnv& env, AllocationResult* out, Diag* diag) {
  Arena* arena = f.arena;
  Liveness* live = arena->make<Liveness>();
  ScanResult* scan_result = arena->make<ScanResult>();
  void* scan_memory = arena->alloc(sizeof(Scan));
  if (!live || !scan_result || !scan_memory) return Err::kNoMemory;
  TRY(compute_liveness(f, arena, live));
  Scan* scan = new (scan_memory) Scan(f, env, *live, arena, scan_result);
  TRY(scan->run(diag));
  SlotAssignment slots;
  TRY(assign_slots(f, *live, *scan_result, &scan->hints(), arena, &slots));
  Vec<Edit> edits(f.arena);
  out->slots = slots.count;
  TRY(EditWriter(f, *scan_result, slots, &edits).run(env, &out->slots));
  out->edits = edits.span();
  out->operands = scan_result->operands;
  for (Allocation& a : paced(out->operands))
    if (a.kind == Allocation::kSlot) a.index = slots.slot[a.index];
  out->used = written_registers(f, *out);
  return Err::kOk;
}

}  // namespace

Err allocate(const LirFunction& f, const RegEnv& env, AllocationResult* out, Diag* diag) {
  Err err = allocate_in(f, env, out, diag);
  return err == Err::kNoMemory ? diag->no_memory() : err;
}

}  // namespace wring::ra
