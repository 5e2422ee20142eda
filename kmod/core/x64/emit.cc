// SPDX-License-Identifier: GPL-2.0
// Emission of a function: frame, blocks in layout order, the allocator's moves, cold stubs.
#include "core/x64/emit.h"

#include "core/base/limits.h"
#include "core/x64/stub_util.h"

namespace wring::x64 {

namespace {

constexpr u32 kFunctionAlignment = 16;
constexpr u32 kWordBytes = 8;
constexpr Reg kSavedRegs[] = {kRbx, kRbp, kR12};

// A generator for blinding keys: xorshift64*, seeded per function.
constexpr u64 kSeedMultiplier = 0x9e37'79b9'7f4a'7c15;

}  // namespace

Emitter::Emitter(const ir::Function& f, const LoweredFunction& lowered,
                 const ra::AllocationResult& allocation, const Target& target,
                 const FunctionOptions& options, CodeBuilder* code, Diag* diag)
    : f_(f),
      lowered_(lowered),
      lir_(lowered.lir),
      result_(allocation),
      target_(target),
      options_(options),
      code_(code),
      diag_(diag),
      arena_(lowered.lir.arena),
      as_(arena_, code),
      stubs_(arena_),
      runs_(arena_),
      tables_(arena_),
      random_((target.random ^ (u64{f.index} + 1) * kSeedMultiplier) | 1),
      flags_(target.random == 0) {}

// ---- the frame

Err Emitter::plan_frame() {
  saved_ = result_.used & kCalleeSaved;
  u32 saved_bytes = kWordBytes * count_ones(saved_);
  u64 bytes = u64{lowered_.outgoing_bytes} + u64{kWordBytes} * result_.slots + saved_bytes;
  // At calls rsp is a multiple of 16: so it was before the call that came here.
  if (lowered_.has_calls) bytes = align_up(bytes + kWordBytes, 16) - kWordBytes;
  if (bytes > kMaxFrameBytes)
    return diag_->fail(Err::kLimit, f_.index, kNone, "stack frame of more than %u bytes",
                       kMaxFrameBytes);
  frame_bytes_ = static_cast<u32>(bytes);
  local_bytes_ = frame_bytes_ - saved_bytes;
  checks_stack_ = options_.check_stack || frame_bytes_ > kSmallFrameBytes;
  return Err::kOk;
}

void Emitter::prologue() {
  if (checks_stack_) {
    Mem limit = vmctx_field(WRING_VMCTX_OFFSET(stack_limit));
    if (frame_bytes_ <= kSmallFrameBytes) {
      as_.alu(Alu::kCmp, Size::k64, kRsp, limit);
    } else {
      as_.lea(Size::k64, kScratch, {kRsp, kNoReg, 0, false, -static_cast<i32>(frame_bytes_)});
      as_.alu(Alu::kCmp, Size::k64, kScratch, limit);
    }
    as_.jcc(kCcB, trap_stub(TrapReason::kStackExhausted, ColdStub::kPrologueTrap));
  }
  for (Reg reg : kSavedRegs)
    if (saved_ & ra::bit(reg)) as_.push(reg);
  if (local_bytes_) as_.alu_imm(Alu::kSub, Size::k64, kRsp, static_cast<i32>(local_bytes_));
}

void Emitter::epilogue() {
  if (local_bytes_) as_.alu_imm(Alu::kAdd, Size::k64, kRsp, static_cast<i32>(local_bytes_));
  for (u32 i = sizeof(kSavedRegs) / sizeof(Reg); i-- > 0;)
    if (saved_ & ra::bit(kSavedRegs[i])) as_.pop(kSavedRegs[i]);
  emit_return(&as_, target_);
}

// For calls through tables and slots, whose caller may have got here by a mispredicted signature
// check with anything in the upper half of an i32. Falls through to the direct entry.
void Emitter::landing_pad() {
  if (target_.ibt) as_.endbr64();
  Span<const ValType> params = f_.module->func_type(f_.index).params;
  for (u32 i = 0; i < min(params.size(), kArgRegCount); i++)
    if (params[i] == ValType::kI32) as_.mov(Size::k32, kArgRegs[i], kArgRegs[i]);
}

// ---- blocks

void Emitter::block(u32 b) {
  const ra::LirBlock& lir = lir_.blocks[b];
  block_ = b;
  as_.bind(labels_[b]);
  flags_.forget();
  edit_ = first_edit(result_, lir.begin);
  for (u32 i = lir.begin; i < lir.end; i++) {
    edits_before(i);
    operands_ = lir_.insts[i].operands;
    origin_ = lir_.insts[i].origin;
    as_.line_site(origin_);
    instruction(i);
    const ra::LirInst& inst = lir_.insts[i];
    flags_.after(inst, lowered_.payloads[inst.data], lir_.operands.data() + operands_,
                 allocations());
  }
}

void Emitter::edits_before(u32 inst) {
  for (; edit_ < result_.edits.size() && result_.edits[edit_].inst == inst; edit_++) {
    const ra::Edit& edit = result_.edits[edit_];
    switch (edit.kind) {
      case ra::Edit::kMove:
        move(edit);
        flags_.overwritten(edit.to);
        break;
      case ra::Edit::kSwap:
        exchange(edit);
        flags_.overwritten(edit.to);
        flags_.overwritten(edit.from);
        break;
      case ra::Edit::kRemat:
        WRING_ASSERT(edit.to.kind == ra::Allocation::kReg);
        remat(edit.remat, static_cast<Reg>(edit.to.index));
        flags_.forget();  // it may take an xor
        break;
    }
  }
}

void Emitter::move(const ra::Edit& edit) {
  bool to_reg = edit.to.kind == ra::Allocation::kReg,
       from_reg = edit.from.kind == ra::Allocation::kReg;
  Reg to = static_cast<Reg>(edit.to.index), from = static_cast<Reg>(edit.from.index);
  if (to_reg && from_reg) {
    as_.mov(Size::k64, to, from);
  } else if (to_reg) {
    as_.mov(Size::k64, to, slot(edit.from.index));
  } else if (from_reg) {
    as_.mov_store(Size::k64, slot(edit.to.index), from);
  } else {
    as_.mov(Size::k64, kScratch, slot(edit.from.index));
    as_.mov_store(Size::k64, slot(edit.to.index), kScratch);
  }
}

void Emitter::exchange(const ra::Edit& edit) {
  bool to_reg = edit.to.kind == ra::Allocation::kReg,
       from_reg = edit.from.kind == ra::Allocation::kReg;
  Reg to = static_cast<Reg>(edit.to.index), from = static_cast<Reg>(edit.from.index);
  if (to_reg && from_reg) {
    as_.xchg(Size::k64, to, from);
    return;
  }
  if (!to_reg && !from_reg) {
    as_.mov(Size::k64, kScratch, slot(edit.from.index));
    as_.xchg(Size::k64, kScratch, slot(edit.to.index));
    as_.mov_store(Size::k64, slot(edit.from.index), kScratch);
    return;
  }
  Reg in_reg = to_reg ? to : from;
  Mem in_slot = slot(to_reg ? edit.from.index : edit.to.index);
  as_.mov(Size::k64, kScratch, in_slot);
  as_.mov_store(Size::k64, in_slot, in_reg);
  as_.mov(Size::k64, in_reg, kScratch);
}

// ---- operands

Reg Emitter::reg(u32 i) const {
  WRING_ASSERT(allocation(i).kind == ra::Allocation::kReg && allocation(i).index < 16);
  return static_cast<Reg>(allocation(i).index);
}

Rm Emitter::rm(u32 i) const {
  if (allocation(i).kind == ra::Allocation::kSlot) return slot(allocation(i).index);
  return reg(i);
}

Mem Emitter::slot(u32 index) const {
  return {kRsp, kNoReg, 0, false, static_cast<i32>(lowered_.outgoing_bytes + kWordBytes * index)};
}

Mem Emitter::mem(const Address& address) const {
  Mem m;
  u32 operand = address.operand;
  switch (address.base) {
    case Base::kNone: break;
    case Base::kOperand: m.base = reg(operand++); break;
    case Base::kMemory: m.base = kMemoryBase; break;
    case Base::kVmCtx:
      m.base = kVmCtx;
      note_vmctx_access(address.disp);
      break;
  }
  if (address.has_index) m.index = reg(operand);
  m.scale = address.scale;
  m.gs = address.gs;
  m.disp = address.disp;
  return m;
}

void Emitter::note_vmctx_access(i32 offset) const {
  auto is_in = [&](usize begin, usize end) {
    return static_cast<usize>(offset) >= begin && static_cast<usize>(offset) < end;
  };
  if (is_in(WRING_VMCTX_OFFSET(pkt), WRING_VMCTX_OFFSET(hook_ctx))) code_->uses |= kUsesPacket;
  if (is_in(WRING_VMCTX_OFFSET(hook_ctx), WRING_VMCTX_OFFSET(hook_args))) code_->uses |= kUsesHost;
  if (is_in(WRING_VMCTX_OFFSET(hook_args), WRING_VMCTX_OFFSET(may_sleep))) code_->uses |= kUsesArgs;
}

Mem Emitter::fault_mem(const Payload& p) {
  if (p.mem.base == Base::kMemory) {
    u32 origin = origin_;
    origin_ = p.mem.origin;
    as_.fault_site(as_.here(), trap_stub(TrapReason::kMemoryOutOfBounds));
    origin_ = origin;
    code_->uses |= kUsesMemory;
  }
  return mem(p.mem);
}

Rm Emitter::source(const Payload& p, u32 operand) {
  if (p.src == Src::kMem) return fault_mem(p);
  return rm(operand);
}

// ---- cold stubs

Label Emitter::trap_stub(TrapReason reason, ColdStub::Kind kind) {
  return add_stub({kind, reason, origin_, 0, 0});
}

Label Emitter::add_stub(const ColdStub& stub) {
  ColdStub added = stub;
  added.entry = as_.new_label();
  if (!stubs_.push(added)) failed_ = true;
  return added.entry;
}

void Emitter::cold_stubs() {
  for (const ColdStub& stub : stubs_) {
    as_.bind(stub.entry);
    if (stub.kind == ColdStub::kFuel) {
      as_.call_stub(StubId::kFuel);
      as_.trap_site(f_.index, stub.origin, stub.reason);
      as_.jmp(stub.back);
    } else {
      as_.call_stub(StubId::kTrap);
      as_.trap_site(f_.index, stub.origin, stub.reason, stub.kind == ColdStub::kPrologueTrap);
    }
  }
}

// ---- the whole

Err Emitter::run() {
  TRY(plan_frame());
  if (!plan_layout(lir_, result_, &layout_)) return diag_->no_memory();
  labels_ = arena_->make_array<Label>(lir_.blocks.size());
  if (!labels_.data()) return diag_->no_memory();

  as_.align(kFunctionAlignment);
  FunctionCode out;
  bool indirect = f_.module->functions[f_.index].address_taken;
  Label pad = as_.here();
  if (indirect) landing_pad();
  Label entry = as_.here();
  base_ = entry;
  origin_ = lir_.insts.empty() ? 0 : lir_.insts[0].origin;
  prologue();
  for (Label& label : labels_) label = as_.new_label();
  if (as_.out_of_memory()) return diag_->no_memory();
  for (u32 i = 0; i < layout_.order.size(); i++) {
    next_block_ = i + 1 < layout_.order.size() ? layout_.order[i + 1] : kNone;
    block(layout_.order[i]);
    if (failed_ || as_.out_of_memory()) return diag_->no_memory();
  }
  cold_stubs();
  Label end = as_.here();
  TRY(as_.finish(diag_));
  TRY(fill_tables(base_));
  out.entry = as_.offset_of(entry);
  if (indirect) out.indirect_entry = as_.offset_of(pad);
  out.end = as_.offset_of(end);
  out.frame_bytes = frame_bytes_;
  out.has_calls = lowered_.has_calls;
  out.reads_params = lir_.insts[lir_.blocks[0].begin].operand_count != 0;  // Lir::kParams
  out.has_checked_stack = checks_stack_;
  code_->functions[f_.index] = out;
  code_->saved_registers |= saved_;
  return Err::kOk;
}

Err emit(const ir::Function& f, const LoweredFunction& lowered,
         const ra::AllocationResult& allocation, const Target& target,
         const FunctionOptions& options, CodeBuilder* code, Diag* diag) {
  return Emitter(f, lowered, allocation, target, options, code, diag).run();
}

}  // namespace wring::x64
