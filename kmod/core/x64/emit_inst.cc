// SPDX-License-Identifier: GPL-2.0
// Emission of LIR instructions: values, arithmetic, memory.
#include "core/x64/emit.h"
#include "core/x64/stub_util.h"

namespace wring::x64 {

namespace {

// What a 16-bit rotation by 8 swaps.
constexpr u8 kByteBits = 8;

}  // namespace

u64 Emitter::blinding_key() {
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return random_ * 0x2545'f491'4f6c'dd1d;
}

// Register loads are done with nothing live in the flags: an instruction that sets them also reads
// them.
void Emitter::load_constant(Reg dst, u64 value) {
  if (value == 0) return as_.zero(dst);
  if (target_.random == 0 || fits_i8(static_cast<i64>(value))) return as_.mov_imm(dst, value);
  u64 key = blinding_key();
  if (value <= 0xffff'ffff) {
    u32 key32 = static_cast<u32>(key >> 32);
    as_.mov_imm(dst, value ^ key32);
    as_.alu_imm(Alu::kXor, Size::k32, dst, static_cast<i32>(key32));
  } else {
    as_.mov_imm(dst, value ^ key);
    as_.mov_imm(kScratch, key);
    as_.alu(Alu::kXor, Size::k64, dst, kScratch);
  }
}

// The pool lies beside the code: what is in it is blinded, too.
void Emitter::load_vector_constant(Reg dst, u32 bytes, u64 low, u64 high) {
  if ((low | high) == 0) return as_.vec_zero(dst);
  if (target_.random == 0) return as_.vec_load_rodata(bytes, dst, rodata(bytes, low, high));
  u64 mask = bytes == 4 ? 0xffff'ffff : ~u64{0};
  u64 key_low = blinding_key() & mask, key_high = bytes == 16 ? blinding_key() : 0;
  as_.vec_load_rodata(bytes, dst, rodata(bytes, low ^ key_low, high ^ key_high));
  as_.vec_load_rodata(bytes, kVecScratch, rodata(bytes, key_low, key_high));
  as_.vec(VecOp::kXorps, dst, dst, kVecScratch);
}

void Emitter::remat(u32 index, ra::PReg dst) {
  const Payload& p = lowered_.payloads[lir_.insts[index].data];
  Reg reg = static_cast<Reg>(dst < kFirstVec ? dst : dst - kFirstVec);
  switch (static_cast<Lir>(lir_.insts[index].op)) {
    case Lir::kImm: return load_constant(reg, static_cast<u64>(p.imm));
    case Lir::kFloatImm:
      return load_vector_constant(reg, static_cast<u32>(p.size), static_cast<u64>(p.imm), 0);
    case Lir::kVecImm: {
      const PoolConstant& c = lowered_.constants[static_cast<u32>(p.imm)];
      if (c.low == ~u64{0} && c.high == ~u64{0}) return as_.vec(VecOp::kPcmpeqd, reg, reg, reg);
      if (p.flag || (c.low | c.high) == 0) return load_vector_constant(reg, 16, c.low, c.high);
      return as_.vec_load_rodata(16, reg, rodata(16, c.low, c.high));
    }
    case Lir::kVmCtx:
      code_->uses |= kUsesHost | kUsesPacket | kUsesArgs | kUsesExceptions;
      return as_.mov(Size::k64, reg, kVmCtx);
    case Lir::kMemBase: code_->uses |= kUsesMemory; return as_.mov(Size::k64, reg, kMemoryBase);
    case Lir::kLoadParam: {
      u32 offset = frame_bytes_ + kReturnAddressBytes + static_cast<u32>(p.imm);
      return load({ra::Allocation::kReg, dst}, p.bytes, stack(offset));
    }
    default: WRING_UNREACHABLE();
  }
}

void Emitter::instruction(u32 index) {
  const ra::LirInst& inst = lir_.insts[index];
  const Payload& p = lowered_.payloads[inst.data];
  switch (static_cast<Lir>(inst.op)) {
    case Lir::kParams: return;
    case Lir::kImm:
    case Lir::kFloatImm:
    case Lir::kVecImm:
    case Lir::kVmCtx:
    case Lir::kMemBase:
    case Lir::kLoadParam:
      // Repeated where it is needed, if it did not get a register here.
      if (allocation(0).kind == ra::Allocation::kReg)
        remat(index, static_cast<ra::PReg>(allocation(0).index));
      return;
    case Lir::kCopy:
      if (allocation(0) == allocation(1)) return;
      if (allocation(1).kind == ra::Allocation::kSlot)
        return load(allocation(0), p.bytes, slot(allocation(1).index));
      if (is_vector(0)) return as_.vec_move(vreg(0), vreg(1));
      return as_.mov(Size::k64, reg(0), reg(1));
    case Lir::kExtend: return as_.extend(p.extend, p.size, reg(0), source(p, 1));
    case Lir::kLea:
    case Lir::kAlu:
    case Lir::kUnary:
    case Lir::kImul:
    case Lir::kImulImm:
    case Lir::kMulHi:
    case Lir::kMulWide:
    case Lir::kMulx:
    case Lir::kDiv:
    case Lir::kShiftImm:
    case Lir::kShiftCl:
    case Lir::kShiftX:
    case Lir::kRotateX:
    case Lir::kScan:
    case Lir::kPopcnt:
    case Lir::kPopcntSoft:
    case Lir::kBswap:
    case Lir::kBswap16:
    case Lir::kAndNot:
    case Lir::kClampIndex: return arithmetic(inst, p);
    case Lir::kLoad:
    case Lir::kLoadSwapped:
    case Lir::kStore:
    case Lir::kStoreSwapped:
    case Lir::kStoreImm:
    case Lir::kAluStore:
    case Lir::kAluStoreImm:
    case Lir::kAtomicAlu:
    case Lir::kAtomicAluImm:
    case Lir::kAddPerCpu: return memory(inst, p);
    case Lir::kAtomicXadd:
    case Lir::kAtomicXchg:
    case Lir::kAtomicLoop:
    case Lir::kAtomicCas:
    case Lir::kFence: return atomic(inst, p);
    case Lir::kVec1:
    case Lir::kVec2:
    case Lir::kVecLoad:
    case Lir::kVecStore:
    case Lir::kVecFromInt:
    case Lir::kVecToInt:
    case Lir::kFloatMin:
    case Lir::kFloatSelect:
    case Lir::kFromU64:
    case Lir::kTruncate:
    case Lir::kVecShiftImm:
    case Lir::kVecBlend:
    case Lir::kVecInsert:
    case Lir::kVecExtract:
    case Lir::kVecExtractTo: return vector(inst, p);
    default: return control(inst, p);
  }
}

void Emitter::arithmetic(const ra::LirInst& inst, const Payload& p) {
  switch (static_cast<Lir>(inst.op)) {
    case Lir::kLea: return as_.lea(p.size, reg(0), mem(p.mem));
    case Lir::kAlu: return alu(p);
    case Lir::kUnary: return as_.unary(p.unary, p.size, reg(0));
    case Lir::kImul: return as_.imul(p.size, reg(0), source(p, 2));
    case Lir::kImulImm: return as_.imul_imm(p.size, reg(0), source(p, 1), static_cast<i32>(p.imm));
    case Lir::kMulHi:
      return as_.unary(p.is_signed ? Unary::kImul : Unary::kMul, p.size, source(p, 2));
    case Lir::kMulWide: return as_.unary(Unary::kMul, p.size, source(p, 3));
    case Lir::kMulx:
      // With both results in one register the upper half stays.
      if (p.flag) return as_.mulx(p.size, reg(0), reg(1), source(p, 3));
      return as_.mulx(p.size, reg(0), reg(0), source(p, 2));
    case Lir::kDiv: return divide(p);
    case Lir::kShiftImm:
      if (p.imm == 0) return as_.mov(p.size, reg(0), reg(0));
      return as_.shift_imm(p.shift, p.size, reg(0), static_cast<u8>(p.imm));
    case Lir::kShiftCl: return as_.shift_cl(p.shift, p.size, reg(0));
    case Lir::kShiftX: return as_.shiftx(p.shift, p.size, reg(0), source(p, 2), reg(1));
    case Lir::kRotateX: return as_.rorx(p.size, reg(0), source(p, 1), static_cast<u8>(p.imm));
    case Lir::kScan: return scan(p);
    case Lir::kPopcnt: return as_.scan(Scan::kPopcnt, p.size, reg(0), source(p, 1));
    case Lir::kPopcntSoft: return popcnt_soft(p);
    case Lir::kBswap: return as_.bswap(p.size, reg(0));
    case Lir::kBswap16: return bswap16(p);
    case Lir::kAndNot: return as_.andn(p.size, reg(0), reg(1), source(p, 2));
    case Lir::kClampIndex: return clamp(p);
    default: WRING_UNREACHABLE();
  }
}

void Emitter::alu(const Payload& p) {
  if (p.src == Src::kImm)
    as_.alu_imm(p.alu, p.size, reg(0), static_cast<i32>(p.imm));
  else
    as_.alu(p.alu, p.size, reg(0), source(p, 2));
}

// rdx:rax / x. rdx is an early def: x is not there.
void Emitter::divide(const Payload& p) {
  Rm divisor = rm(3);
  if (!p.is_signed) {
    as_.zero(kRdx);
    as_.unary(Unary::kDiv, p.size, divisor);
    return;
  }
  Label done = 0;
  if (p.flag) {
    done = as_.new_label();
    as_.zero(kRdx);
    as_.alu_imm(Alu::kCmp, p.size, divisor, -1);
    as_.jcc(kCcE, done);
  }
  as_.sign_extend_rax(p.size);
  as_.unary(Unary::kIdiv, p.size, divisor);
  if (p.flag) as_.bind(done);
}

// bsr and bsf say nothing of 0 but that it is 0.
void Emitter::scan(const Payload& p) {
  Reg dst = reg(0);
  u32 bits = 8 * static_cast<u32>(p.size);
  as_.scan(p.scan, p.size, dst, source(p, 1));
  if (p.scan == Scan::kBsf) {
    as_.mov_imm(kScratch, bits);
    as_.cmov(kCcE, p.size, dst, kScratch);
  } else if (p.scan == Scan::kBsr) {
    as_.mov_imm(kScratch, 2 * bits - 1);
    as_.cmov(kCcE, p.size, dst, kScratch);
    as_.alu_imm(Alu::kXor, p.size, dst, static_cast<i32>(bits - 1));
  }
}

// Sums of bits in pairs, fours and bytes; a multiplication adds up the bytes.
void Emitter::popcnt_soft(const Payload& p) {
  Reg dst = reg(0), src = reg(1), mask = reg(2);
  bool wide = p.size == Size::k64;
  auto repeated = [&](u32 pattern) { return wide ? u64{pattern} << 32 | pattern : pattern; };
  // x - (x >> 1 & 5555...)
  as_.mov_imm(mask, repeated(0x5555'5555));
  as_.mov(p.size, dst, src);
  as_.mov(p.size, kScratch, src);
  as_.shift_imm(Shift::kShr, p.size, kScratch, 1);
  as_.alu(Alu::kAnd, p.size, kScratch, mask);
  as_.alu(Alu::kSub, p.size, dst, kScratch);
  // (x & 3333...) + (x >> 2 & 3333...)
  as_.mov_imm(mask, repeated(0x3333'3333));
  as_.mov(p.size, kScratch, dst);
  as_.shift_imm(Shift::kShr, p.size, kScratch, 2);
  as_.alu(Alu::kAnd, p.size, kScratch, mask);
  as_.alu(Alu::kAnd, p.size, dst, mask);
  as_.alu(Alu::kAdd, p.size, dst, kScratch);
  // (x + (x >> 4)) & 0f0f...
  as_.mov_imm(mask, repeated(0x0f0f'0f0f));
  as_.mov(p.size, kScratch, dst);
  as_.shift_imm(Shift::kShr, p.size, kScratch, 4);
  as_.alu(Alu::kAdd, p.size, dst, kScratch);
  as_.alu(Alu::kAnd, p.size, dst, mask);
  as_.mov_imm(mask, repeated(0x0101'0101));
  as_.imul(p.size, dst, mask);
  as_.shift_imm(Shift::kShr, p.size, dst, wide ? 56 : 24);
}

void Emitter::bswap16(const Payload& p) {
  as_.extend(Extend::k16U, Size::k32, reg(0), source(p, 1));
  as_.shift_imm(Shift::kRol, Size::k16, reg(0), kByteBits);
}

// The borrow of the comparison, spread over all bits, masks the index: nothing to predict.
void Emitter::clamp(const Payload& p) {
  Condition check;  // which may have been made just before
  check.cc = kCcB;
  check.size = p.size;
  check.b = p.src;
  check.operand = 1;
  check.imm = static_cast<i32>(p.imm);
  Cc cc = check.cc;
  if (!flags_.holds(check, allocations(), &cc)) {
    if (p.src == Src::kImm)
      as_.alu_imm(Alu::kCmp, p.size, reg(1), check.imm);
    else
      as_.alu(Alu::kCmp, p.size, reg(1), source(p, 2));
  }
  as_.alu(Alu::kSbb, p.size, reg(0), reg(0));
  as_.alu(Alu::kAnd, p.size, reg(0), reg(1));
}

void Emitter::memory(const ra::LirInst& inst, const Payload& p) {
  i32 imm = static_cast<i32>(p.imm);
  switch (static_cast<Lir>(inst.op)) {
    case Lir::kLoad: return as_.extend(p.extend, p.size, reg(0), fault_mem(p));
    case Lir::kLoadSwapped: return as_.movbe_load(p.size, reg(0), fault_mem(p));
    case Lir::kStore: return as_.mov_store(p.size, fault_mem(p), reg(0));
    case Lir::kStoreSwapped: return as_.movbe_store(p.size, fault_mem(p), reg(0));
    case Lir::kStoreImm: return as_.mov_store_imm(p.size, fault_mem(p), imm);
    case Lir::kAluStore: return as_.alu_store(p.alu, p.size, fault_mem(p), reg(0));
    case Lir::kAluStoreImm: return as_.alu_imm(p.alu, p.size, fault_mem(p), imm);
    case Lir::kAtomicAlu: return as_.lock_alu_store(p.alu, p.size, fault_mem(p), reg(0));
    case Lir::kAtomicAluImm: return as_.lock_alu_imm(p.alu, p.size, fault_mem(p), imm);
    case Lir::kAddPerCpu:
      return as_.alu(Alu::kAdd, Size::k64, reg(0), Mem{kNoReg, kNoReg, 0, true, imm});
    default: WRING_UNREACHABLE();
  }
}

// Those that leave the old value in a register.
void Emitter::atomic(const ra::LirInst& inst, const Payload& p) {
  switch (static_cast<Lir>(inst.op)) {
    case Lir::kFence: return p.flag ? as_.lfence() : as_.mfence();
    case Lir::kAtomicXadd: as_.lock_xadd(p.size, fault_mem(p), reg(0)); break;
    case Lir::kAtomicXchg: as_.xchg(p.size, reg(0), fault_mem(p)); break;
    case Lir::kAtomicCas:
      as_.lock_cmpxchg(p.size, fault_mem(p), reg(2));
      if (p.size == Size::k32) as_.mov(Size::k32, kRax, kRax);  // if equal, it was not written
      break;
    case Lir::kAtomicLoop: {
      Reg changed = reg(1);
      Size size = p.size == Size::k64 ? Size::k64 : Size::k32;
      Extend extend = p.size == Size::k8    ? Extend::k8U
                      : p.size == Size::k16 ? Extend::k16U
                                            : Extend::k32U;
      if (p.size == Size::k64) extend = Extend::k64;
      as_.extend(extend, Size::k64, kRax, fault_mem(p));
      Label again = as_.here();
      as_.mov(size, changed, kRax);
      as_.alu(p.alu, size, changed, reg(2));
      as_.lock_cmpxchg(p.size, fault_mem(p), changed);
      as_.jcc(kCcNe, again);
      break;
    }
    default: WRING_UNREACHABLE();
  }
  if (p.size == Size::k8) as_.extend(Extend::k8U, Size::k32, reg(0), reg(0));
  if (p.size == Size::k16) as_.extend(Extend::k16U, Size::k32, reg(0), reg(0));
}

}  // namespace wring::x64
