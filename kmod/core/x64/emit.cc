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
constexpr u64 kHashMultiplier = kSeedMultiplier;

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
      flags_(target.random == 0) {
  as_.set_avx(target.cpu & kCpuAvx);
}

// ---- the frame

Err Emitter::plan_frame() {
  saved_ = result_.used & kCalleeSaved;
  u32 saved_bytes = kWordBytes * count_ones(saved_);
  slots_at_ = static_cast<u32>(align_up(lowered_.outgoing_bytes, lowered_.has_wide ? 16 : 8));
  u64 bytes = u64{slots_at_} + u64{kWordBytes} * result_.slots + saved_bytes;
  // At calls rsp is a multiple of 16: so it was before the call that came here. Slots of 16 bytes are aligned, too.
  bool aligns = lowered_.has_calls || (lowered_.has_wide && result_.slots);
  if (aligns) bytes = align_up(bytes + kWordBytes, 16) - kWordBytes;
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
}

// For calls through tables and slots, whose caller may have got here by a mispredicted signature
// check with anything in the upper half of an i32. Falls through to the direct entry.
void Emitter::landing_pad() {
  if (target_.ibt) as_.endbr64();
  u32 ints = 0;
  for (ValType type : f_.module->func_type(f_.index).params) {
    if (x64::is_vector(type)) continue;
    if (ints == kArgRegCount) break;
    Reg reg = kArgRegs[ints++];
    if (type == ValType::kI32) as_.mov(Size::k32, reg, reg);
  }
}

// ---- blocks

void Emitter::block(u32 b) {
  const ra::LirBlock& lir = lir_.blocks[b];
  block_ = b;
  as_.bind(labels_[b]);
  flags_.forget();
  edit_ = first_edit(result_, lir.begin);
  for (u32 i = lir.begin; i < lir.end; i++, tick(4)) {
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
  bool stores_address = false;
  for (; edit_ < result_.edits.size() && result_.edits[edit_].inst == inst; edit_++, tick()) {
    const ra::Edit& edit = result_.edits[edit_];
    switch (edit.kind) {
      case ra::Edit::kMove:
        move(edit);
        stores_address |= edit.is_address && edit.to.kind == ra::Allocation::kSlot;
        flags_.overwritten(edit.to);
        break;
      case ra::Edit::kSwap: WRING_UNREACHABLE();  // there are scratch registers
      case ra::Edit::kRemat:
        WRING_ASSERT(edit.to.kind == ra::Allocation::kReg);
        remat(edit.remat, static_cast<ra::PReg>(edit.to.index));
        flags_.forget();  // it may take an xor
        break;
    }
  }
  if (stores_address && target_.clamp_speculation) as_.lfence();
}

void Emitter::move(const ra::Edit& edit) {
  if (edit.cls == ra::RegClass::kVec) return move_vector(edit);
  bool to_reg = edit.to.kind == ra::Allocation::kReg,
       from_reg = edit.from.kind == ra::Allocation::kReg;
  Reg to = static_cast<Reg>(edit.to.index), from = static_cast<Reg>(edit.from.index);
  Size size = edit.is_narrow
                  ? Size::k32
                  : Size::k64;  // of loads: stores fill the slot, which may be read whole
  if (to_reg && from_reg) {
    as_.mov(Size::k64, to, from);
  } else if (to_reg) {
    as_.mov(size, to, slot(edit.from.index));
  } else if (from_reg) {
    as_.mov_store(Size::k64, slot(edit.to.index), from);
  } else {
    as_.mov(size, kScratch, slot(edit.from.index));
    as_.mov_store(Size::k64, slot(edit.to.index), kScratch);
  }
}

void Emitter::move_vector(const ra::Edit& edit) {
  bool to_reg = edit.to.kind == ra::Allocation::kReg,
       from_reg = edit.from.kind == ra::Allocation::kReg;
  if (to_reg && from_reg) {
    as_.vec_move(xmm(edit.to.index - kFirstVec), xmm(edit.from.index - kFirstVec));
  } else if (to_reg) {
    as_.vec_load(edit.bytes, xmm(edit.to.index - kFirstVec), slot(edit.from.index));
  } else if (from_reg) {
    as_.vec_store(edit.bytes, slot(edit.to.index), xmm(edit.from.index - kFirstVec));
  } else {
    as_.vec_load(edit.bytes, kVecScratch, slot(edit.from.index));
    as_.vec_store(edit.bytes, slot(edit.to.index), kVecScratch);
  }
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

Reg Emitter::vreg(u32 i) const {
  WRING_ASSERT(is_vector(i));
  return xmm(allocation(i).index - kFirstVec);
}

Rm Emitter::vrm(u32 i) const {
  if (allocation(i).kind == ra::Allocation::kSlot) return slot(allocation(i).index);
  return vreg(i);
}

void Emitter::load(const ra::Allocation& to, u32 bytes, const Mem& from) {
  WRING_ASSERT(to.kind == ra::Allocation::kReg);
  if (is_vector_reg(to))
    as_.vec_load(bytes, xmm(to.index - kFirstVec), from);
  else
    as_.mov(bytes == 4 ? Size::k32 : Size::k64, static_cast<Reg>(to.index), from);
}

void Emitter::store(u32 bytes, const Mem& to, const ra::Allocation& from) {
  WRING_ASSERT(from.kind == ra::Allocation::kReg);
  if (is_vector_reg(from))
    as_.vec_store(bytes, to, xmm(from.index - kFirstVec));
  else
    as_.mov_store(bytes == 4 ? Size::k32 : Size::k64, to, static_cast<Reg>(from.index));
}

u32 Emitter::rodata(u32 bytes, u64 low, u64 high) {
  if (!code_->pooled.data()) code_->pooled = code_->arena->make_array<PooledConstant>(256);
  if (!code_->pooled.data()) {
    failed_ = true;
    return 0;
  }
  u64 hash = ((low ^ high * 31) + bytes) * kHashMultiplier;
  PooledConstant& known = code_->pooled[hash >> 56];
  if (known.bytes == bytes && known.low == low && known.high == high) return known.offset;
  u32 offset = static_cast<u32>(align_up(code_->rodata.size(), bytes));
  if (!code_->rodata.resize(usize{offset} + bytes)) {
    failed_ = true;
    return 0;
  }
  for (u32 i = 0; i < bytes; i++)
    code_->rodata[offset + i] = static_cast<u8>((i < 8 ? low : high) >> 8 * (i % 8));
  known = {low, high, bytes, offset};
  return offset;
}

Mem Emitter::slot(u32 index) const {
  return {kRsp, kNoReg, 0, false, static_cast<i32>(slots_at_ + kWordBytes * index)};
}

Mem Emitter::mem(const Address& address) {
  Mem m;
  u32 operand = address.operand;
  switch (address.base) {
    case Base::kNone: break;
    case Base::kOperand: m.base = reg(operand++); break;
    case Base::kMemory:
      m.base = kMemoryBase;
      code_->uses |= kUsesMemory;
      break;
    case Base::kConstant: {
      const PoolConstant& c = lowered_.constants[static_cast<u32>(address.disp)];
      return rodata_mem(rodata(c.bytes, c.low, c.high));
    }
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
  if (static_cast<usize>(offset) == WRING_VMCTX_OFFSET(exception)) code_->uses |= kUsesExceptions;
}

Mem Emitter::fault_mem(const Payload& p) {
  if (p.mem.faults) {
    u32 origin = origin_;
    origin_ = p.mem.origin;
    as_.fault_site(as_.here(), trap_stub(TrapReason::kMemoryOutOfBounds));
    origin_ = origin;
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
  for (u32 i = 0; i < stubs_.size(); i++, tick()) {  // slow paths may add some
    ColdStub stub = stubs_[i];
    as_.bind(stub.entry);
    if (stub.payload) {
      emit_slow_path(stub);
    } else if (stub.kind == ColdStub::kFuel) {
      as_.call_stub(lowered_.uses_vectors ? StubId::kFuelVectors : StubId::kFuel);
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
  for (Label& label : paced(labels_)) label = as_.new_label();
  if (as_.out_of_memory()) return diag_->no_memory();
  Label end_of_loop = 0;
  u32 loop_end = kNone;
  for (u32 i = 0; i < layout_.order.size(); i++, tick(4)) {
    next_block_ = i + 1 < layout_.order.size() ? layout_.order[i + 1] : kNone;
    if (layout_.loop_end[i]) {
      loop_end = layout_.loop_end[i];
      end_of_loop = as_.new_label();
      as_.keep_together(end_of_loop);
    }
    block(layout_.order[i]);
    if (i + 1 == loop_end) as_.bind(end_of_loop);
    if (failed_ || as_.out_of_memory()) return diag_->no_memory();
  }
  cold_stubs();
  Label end = as_.here();
  // The frame is all that is taken: what bounds of stacks are made of (link/callgraph.h).
  WRING_ASSERT(as_.stack_taken() == frame_bytes_ + host_stack_bytes_);
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
  if (lowered_.uses_vectors) code_->uses |= kUsesFpu;
  return Err::kOk;
}

Err emit(const ir::Function& f, const LoweredFunction& lowered,
         const ra::AllocationResult& allocation, const Target& target,
         const FunctionOptions& options, CodeBuilder* code, Diag* diag) {
  return Emitter(f, lowered, allocation, target, options, code, diag).run();
}

}  // namespace wring::x64
