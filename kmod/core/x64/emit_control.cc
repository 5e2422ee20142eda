// SPDX-License-Identifier: GPL-2.0
// Emission of conditions, calls, checks and the ends of blocks.
#include "core/x64/emit.h"
#include "core/x64/stub_util.h"

namespace wring::x64 {

namespace {

// Half-open searches of a compare tree: one per level, and there are at most 2^17 runs.
constexpr u32 kMaxTreeDepth = 20;

}  // namespace

void Emitter::control(const ra::LirInst& inst, const Payload& p) {
  switch (static_cast<Lir>(inst.op)) {
    case Lir::kSetCc: return set_cc(p);
    case Lir::kCmov: {
      Cc cc = compare(p);
      as_.cmov(cc, p.size, reg(0), rm(2));
      if (p.cond.is_float && cc == kCcNe) as_.cmov(kCcP, p.size, reg(0), rm(2));
      return;
    }
    case Lir::kTrapCc: {
      Cc cc = compare(p);
      return jump_if(p.cond, cc, trap_stub(p.reason));
    }
    case Lir::kTrap:
      as_.call_stub(StubId::kTrap);
      return as_.trap_site(f_.index, origin_, p.reason);
    case Lir::kFuel: return fuel(p);
    case Lir::kStoreArg:
    case Lir::kStoreArgImm:
    case Lir::kLoadResult:
    case Lir::kStoreOutward: return stack_access(static_cast<Lir>(inst.op), p);
    case Lir::kCall:
      as_.call_function(static_cast<u32>(p.imm));
      return as_.call_site(f_.index, origin_);
    case Lir::kCallPtr: return call_pointer(p);
    case Lir::kCallHost: return call_host(p);
    case Lir::kJump: return jump_to(lir_.blocks[block_].succs[0]);
    case Lir::kBranch: return branch(p);
    case Lir::kSwitchTree: return switch_tree();
    case Lir::kSwitchTarget: return switch_target();
    case Lir::kSwitchJump:
      as_.jmp(Rm(reg(0)));
      if (target_.sls) as_.int3();
      return;
    case Lir::kReturn: epilogue(); return emit_return(&as_, target_);
    case Lir::kTailCall:
    case Lir::kTailCallPtr: return tail_call(static_cast<Lir>(inst.op), p);
    default: WRING_UNREACHABLE();
  }
}

// ---- conditions

Cc Emitter::compare(const Payload& p) {
  const Condition& c = p.cond;
  u32 operand = c.operand;
  Cc cc = c.cc;
  if (flags_.holds(c, allocations(), &cc)) return cc;
  if (c.is_float) {
    Rm b = c.b == Src::kMem ? Rm(fault_mem(p)) : vrm(operand + 1);
    Reg a = vreg(operand);
    as_.vec(c.size == Size::k64 ? VecOp::kUcomisd : VecOp::kUcomiss, a, a, b);
    return cc;
  }
  if (c.is_vector) {
    as_.vec(VecOp::kPtest, vreg(operand), vreg(operand), vreg(operand + 1));
    return cc;
  }
  if (!c.a_in_memory) {
    Reg a = reg(operand);
    if (c.b == Src::kImm) {
      if (c.test)
        as_.test_imm(c.size, a, c.imm);
      else if (c.imm == 0)
        as_.test(c.size, a, a);
      else
        as_.alu_imm(Alu::kCmp, c.size, a, c.imm);
      return cc;
    }
    Rm b = c.b == Src::kMem ? Rm(fault_mem(p)) : rm(operand + 1);
    if (c.test)
      as_.test(c.size, b, a);
    else
      as_.alu(Alu::kCmp, c.size, a, b);
    return cc;
  }
  Mem a = fault_mem(p);
  if (c.b == Src::kImm) {
    if (c.test)
      as_.test_imm(c.size, a, c.imm);
    else
      as_.alu_imm(Alu::kCmp, c.size, a, c.imm);
  } else if (c.test) {
    as_.test(c.size, a, reg(operand));
  } else {
    as_.alu_store(Alu::kCmp, c.size, a, reg(operand));
  }
  return cc;
}

// Floats are equal if the flags say so and not that they are unordered.
void Emitter::jump_if(const Condition& condition, Cc cc, Label target) {
  if (!condition.is_float || (cc != kCcE && cc != kCcNe)) return as_.jcc(cc, target);
  if (cc == kCcNe) {
    as_.jcc(kCcNe, target);
    return as_.jcc(kCcP, target);
  }
  Label skip = as_.new_label();
  as_.jcc(kCcP, skip);
  as_.jcc(kCcE, target);
  as_.bind(skip);
}

// Clearing the register first is cheaper than extending the byte afterwards, if the comparison does
// not read it (or its flags are there already).
void Emitter::set_cc(const Payload& p) {
  Reg dst = reg(0);
  u32 count = 0;
  bool is_read = false;
  if (!p.cond.a_in_memory) count++;
  if (p.cond.b == Src::kOperand) count++;
  if (p.cond.a_in_memory || p.cond.b == Src::kMem)
    count += (p.mem.base == Base::kOperand) + p.mem.has_index;
  for (u32 i = 0; i < count; i++, tick()) {
    const ra::Allocation& a = allocation(p.cond.operand + i);
    is_read |= a.kind == ra::Allocation::kReg && a.index == dst;
  }
  Cc cc = p.cond.cc;
  bool extends = is_read || flags_.holds(p.cond, allocations(), &cc);
  if (!extends) as_.zero(dst);
  cc = compare(p);
  as_.setcc(cc, dst);
  if (p.cond.is_float && (cc == kCcE || cc == kCcNe)) {
    as_.setcc(cc == kCcE ? kCcNp : kCcP, kScratch);
    as_.alu(cc == kCcE ? Alu::kAnd : Alu::kOr, Size::k8, dst, kScratch);
  }
  if (extends) as_.extend(Extend::k8U, Size::k32, dst, dst);
}

void Emitter::fuel(const Payload& p) {
  code_->uses |= kUsesFuel;
  if (fits_i32(p.imm)) {
    as_.alu_imm(Alu::kSub, Size::k64, kFuel, static_cast<i32>(p.imm));
  } else {
    as_.mov_imm(kScratch, static_cast<u64>(p.imm));
    as_.alu(Alu::kSub, Size::k64, kFuel, kScratch);
  }
  if (p.flag) return;
  ColdStub stub{ColdStub::kFuel, TrapReason::kFuelExhausted, origin_, 0, as_.new_label()};
  as_.jcc(kCcS, add_stub(stub));
  as_.bind(stub.back);
}

// ---- calls

void Emitter::stack_access(Lir op, const Payload& p) {
  if (op == Lir::kStoreArgImm)
    return as_.mov_store_imm(Size::k64, stack(p.index), static_cast<i32>(p.imm));
  u32 offset = static_cast<u32>(p.imm);
  if (op == Lir::kLoadResult) return load(allocation(0), p.bytes, stack(offset));
  if (op == Lir::kStoreOutward) offset += frame_bytes_ + kReturnAddressBytes;
  store(p.bytes, stack(offset), allocation(0));
}

void Emitter::tail_call(Lir op, const Payload& p) {
  epilogue();
  if (op == Lir::kTailCall) return as_.jmp_function(static_cast<u32>(p.imm));
  emit_indirect_jump(&as_, target_, kRax);
}

void Emitter::call_pointer(const Payload& p) {
  if (p.src == Src::kMem)
    as_.call(fault_mem(p));
  else
    emit_indirect_call(&as_, target_, reg(p.mem.operand));
  as_.call_site(f_.index, origin_);
}

void Emitter::call_host(const Payload& p) {
  code_->uses |= kUsesFuel | kUsesHost;
  as_.mov_store(Size::k64, vmctx_field(WRING_VMCTX_OFFSET(fuel)), kFuel);
  Mem guest_sp = vmctx_field(WRING_VMCTX_OFFSET(guest_sp));
  if (code_->calls_on_host_stack) {
    as_.mov_store(Size::k64, guest_sp, kRsp);
    if (p.index) as_.mov(Size::k64, kScratch, kRsp);
    as_.mov(Size::k64, kRsp, vmctx_field(WRING_VMCTX_OFFSET(host_sp)));
    u32 taken = as_.stack_taken();
    // Arguments beyond those in registers are words on the program's stack.
    if (p.index % 2) as_.push(kScratch);
    for (u32 i = p.index; i-- > 0;) {
      as_.mov(Size::k64, kRdi, Mem{kScratch, kNoReg, 0, false, static_cast<i32>(8 * i)});
      as_.push(kRdi);
    }
    host_stack_bytes_ += as_.stack_taken() - taken;
  }
  as_.mov(Size::k64, kRdi, kVmCtx);
  as_.call_address(static_cast<u64>(p.imm));
  as_.call_site(f_.index, origin_);
  if (code_->calls_on_host_stack) as_.mov(Size::k64, kRsp, guest_sp);
  as_.mov(Size::k64, kFuel, vmctx_field(WRING_VMCTX_OFFSET(fuel)));
  if (p.flag) as_.mov(Size::k32, kRax, kRax);
}

// ---- ends of blocks

void Emitter::jump_to(u32 block) {
  if (resolved(block) != next_block_) as_.jmp(labels_[resolved(block)]);
}

void Emitter::branch(const Payload& p) {
  Cc cc = compare(p);
  u32 yes = resolved(lir_.blocks[block_].succs[0]), no = resolved(lir_.blocks[block_].succs[1]);
  if (yes == no) return jump_to(yes);
  if (yes == next_block_) return jump_if(p.cond, invert(cc), labels_[no]);
  jump_if(p.cond, cc, labels_[yes]);
  jump_to(no);
}

// Binary search over runs of equal targets. Where a run holds one value, the comparison with it
// parts the rest three ways.
void Emitter::switch_tree() {
  struct Part {
    u32 low, high;
    Label label;
  };
  Reg index = reg(0);
  Span<ra::BlockIndex> succs = lir_.blocks[block_].succs;
  runs_.clear();
  for (u32 i = 0; i < succs.size(); i++, tick()) {
    if (i > 0 && resolved(succs[i]) == runs_.back().block) continue;
    if (!runs_.push({i, resolved(succs[i])})) {
      failed_ = true;
      return;
    }
  }
  auto target = [&](u32 run) { return labels_[runs_[run].block]; };

  Part open[kMaxTreeDepth];
  u32 depth = 0;
  u32 low = 0, high = runs_.size() - 1;
  for (;;) {
    while (low < high) {
      u32 middle = low + (high - low + 1) / 2;
      as_.alu_imm(Alu::kCmp, Size::k32, index, static_cast<i32>(runs_[middle].first));
      // The part of indices that are greater, or not less.
      u32 upper = middle;
      Cc cc = kCcAe;
      if (middle < high && runs_[middle + 1].first == runs_[middle].first + 1) {
        as_.jcc(kCcE, target(middle));
        upper = middle + 1;
        cc = kCcA;
      }
      if (low == middle - 1) {
        if (upper == high && runs_[low].block == runs_[high].block) {
          high = low;  // all but the one value go the same way
        } else if (upper == high && depth == 0 && runs_[low].block == next_block_) {
          as_.jcc(cc, target(high));
          high = low;
        } else {
          as_.jcc(kCcB, target(low));
          low = upper;
        }
      } else if (upper == high) {
        as_.jcc(cc, target(high));
        high = middle - 1;
      } else {
        WRING_ASSERT(depth < kMaxTreeDepth);
        open[depth++] = {upper, high, as_.new_label()};
        as_.jcc(cc, open[depth - 1].label);
        high = middle - 1;
      }
    }
    if (depth == 0) return jump_to(runs_[low].block);
    as_.jmp(target(low));
    Part part = open[--depth];
    as_.bind(part.label);
    low = part.low;
    high = part.high;
  }
}

// The table has an entry for the default, which the index is brought down to without a branch, so
// that no mispredicted one reads beyond it.
void Emitter::switch_target() {
  Reg target = reg(0), index = reg(1);
  u32 count = lir_.blocks[block_].succs.size();
  u32 offset = static_cast<u32>(align_up(code_->rodata.size(), 4));
  if (!code_->rodata.resize(usize{offset} + 4 * usize{count}) || !tables_.push({offset, block_})) {
    failed_ = true;
    return;
  }
  as_.mov_imm(target, count - 1);
  as_.alu(Alu::kCmp, Size::k32, index, target);
  as_.cmov(kCcB, Size::k32, target, index);
  as_.lea_rodata(kScratch, offset);
  as_.extend(Extend::k32S, Size::k64, target, Mem{kScratch, target, 2, false, 0});
  as_.lea_label(kScratch, base_);
  as_.alu(Alu::kAdd, Size::k64, target, kScratch);
}

Err Emitter::fill_tables(Label base) {
  for (const JumpTable& table : paced(tables_)) {
    u32 at = table.rodata;
    for (u32 succ : ticking(lir_.blocks[table.block].succs)) {
      u32 distance = as_.offset_of(labels_[resolved(succ)]) - as_.offset_of(base);
      for (u32 i = 0; i < 4; i++) code_->rodata[at++] = static_cast<u8>(distance >> 8 * i);
    }
  }
  return Err::kOk;
}

}  // namespace wring::x64
