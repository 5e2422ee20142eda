// SPDX-License-Identifier: GPL-2.0
// Emission of scalar floating point and of what floats share with vectors.
#include "core/x64/emit.h"

namespace wring::x64 {

namespace {

// -2^31 - 1: the first f64 below the range of i32.
constexpr u64 kBelowI32 = 0xc1e0'0000'0020'0000;
// -2^31, -2^63 and 2^63, as f32 and f64.
constexpr u64 kMinI32[] = {0xcf00'0000, 0xc1e0'0000'0000'0000};
constexpr u64 kMinI64[] = {0xdf00'0000, 0xc3e0'0000'0000'0000};
constexpr u64 kTwo63[] = {0x5f00'0000, 0x43e0'0000'0000'0000};

VecOp pick(u32 bytes, VecOp of_f32, VecOp of_f64) { return bytes == 4 ? of_f32 : of_f64; }

VecOp truncation(u32 bytes, bool wide) {
  if (wide) return pick(bytes, VecOp::kCvttss2siq, VecOp::kCvttsd2siq);
  return pick(bytes, VecOp::kCvttss2si, VecOp::kCvttsd2si);
}

}  // namespace

void Emitter::vector(const ra::LirInst& inst, const Payload& p) {
  switch (static_cast<Lir>(inst.op)) {
    case Lir::kVec1: return vec1(p);
    case Lir::kVec2: return as_.vec(p.vec, vreg(0), vreg(1), vec_source(p, 2), p.imm8);
    case Lir::kVecLoad: return as_.vec_load(p.bytes, vreg(0), fault_mem(p));
    case Lir::kVecStore: return as_.vec_store(p.bytes, fault_mem(p), vreg(0));
    case Lir::kVecFromInt: return as_.vec_from_int(p.size, vreg(0), source(p, 1));
    case Lir::kVecToInt: return as_.vec_to_int(p.size, reg(0), vreg(1));
    case Lir::kVecShiftImm: return as_.vec_shift(p.vec, vreg(0), vreg(1), p.imm8);
    case Lir::kVecBlend: return as_.vec_blend(p.vec, vreg(0), vreg(1), vreg(2), vreg(3));
    case Lir::kVecInsert: return as_.vec(p.vec, vreg(0), vreg(1), source(p, 2), p.imm8);
    case Lir::kVecExtract: return as_.vec_extract(p.vec, reg(0), vreg(1), p.imm8);
    case Lir::kVecExtractTo: return as_.vec_extract(p.vec, fault_mem(p), vreg(0), p.imm8);
    case Lir::kFloatMin: return float_min(p);
    case Lir::kFloatSelect: return float_select(p);
    case Lir::kFromU64: return from_u64(p);
    case Lir::kTruncate: return truncate(p);
    default: WRING_UNREACHABLE();
  }
}

Rm Emitter::vec_source(const Payload& p, u32 operand) {
  if (p.src == Src::kMem) return fault_mem(p);
  return vrm(operand);
}

// What leaves part of its destination alone would have to wait for what was there before.
void Emitter::vec1(const Payload& p) {
  const VecInfo& info = info_of(p.vec);
  Reg dst = info.other == VecInfo::kToInt ? reg(0) : vreg(0);
  bool from_int = info.other == VecInfo::kFromInt;
  if (info.is_merge()) {
    if (!from_int && p.src == Src::kOperand && is_vector(1)) {
      Reg src = vreg(1);
      if (!as_.has_avx() && dst != src) as_.vec_zero(dst);
      return as_.vec(p.vec, dst, src, src, p.imm8);
    }
    as_.vec_zero(dst);
  }
  as_.vec(p.vec, dst, dst, from_int ? source(p, 1) : vec_source(p, 1), p.imm8);
}

// Equal operands may be zeros of both signs, and unordered ones look equal, too.
void Emitter::float_min(const Payload& p) {
  Reg dst = vreg(0), a = vreg(1), b = vreg(2);
  as_.vec(pick(p.bytes, VecOp::kUcomiss, VecOp::kUcomisd), a, a, b);
  Label back = as_.new_label();
  as_.jcc(kCcE, slow_path(ColdStub::kFloatMin, p, back));
  VecOp op = p.flag ? pick(p.bytes, VecOp::kMaxss, VecOp::kMaxsd)
                    : pick(p.bytes, VecOp::kMinss, VecOp::kMinsd);
  as_.vec(op, dst, a, b);
  as_.bind(back);
}

void Emitter::float_min_slow(const Payload& p, Label back) {
  Reg dst = vreg(0), a = vreg(1), b = vreg(2);
  Label is_nan = as_.new_label();
  as_.jcc(kCcP, is_nan);
  as_.vec(p.flag ? VecOp::kAndps : VecOp::kOrps, dst, a, b);  // only their signs can differ
  as_.jmp(back);
  as_.bind(is_nan);
  as_.vec(pick(p.bytes, VecOp::kAddss, VecOp::kAddsd), dst, a, b);
  as_.jmp(back);
}

void Emitter::float_select(const Payload& p) {
  Cc cc = compare(p);
  Label skip = as_.new_label();
  jump_if(p.cond, invert(cc), skip);
  Rm yes = vrm(2);
  if (yes.is_mem())
    as_.vec_load(p.bytes, vreg(0), yes.mem);
  else
    as_.vec_move(vreg(0), yes.reg);
  as_.bind(skip);
}

// ---- conversions

void Emitter::from_u64(const Payload& p) {
  Reg dst = vreg(0), src = reg(1);
  Label back = as_.new_label();
  as_.test(Size::k64, src, src);
  as_.jcc(kCcS, slow_path(ColdStub::kFromU64, p, back));
  as_.vec_zero(dst);
  as_.vec(pick(p.bytes, VecOp::kCvtsi2ssq, VecOp::kCvtsi2sdq), dst, dst, src);
  as_.bind(back);
}

// Twice the conversion of the half, whose lowest bit stands for the two that it rounds off.
void Emitter::from_u64_slow(const Payload& p, Label back) {
  Reg dst = vreg(0), src = reg(1);
  Label is_even = as_.new_label();
  as_.mov(Size::k64, kScratch, src);
  as_.shift_imm(Shift::kShr, Size::k64, kScratch, 1);
  as_.jcc(kCcAe, is_even);
  as_.alu_imm(Alu::kOr, Size::k64, kScratch, 1);
  as_.bind(is_even);
  as_.vec_zero(dst);
  as_.vec(pick(p.bytes, VecOp::kCvtsi2ssq, VecOp::kCvtsi2sdq), dst, dst, kScratch);
  as_.vec(pick(p.bytes, VecOp::kAddss, VecOp::kAddsd), dst, dst, dst);
  as_.jmp(back);
}

// The machine answers with the smallest integer where it cannot convert. A u32 is converted as an i64, a u64 too as
// long as it is small enough.
void Emitter::truncate(const Payload& p) {
  Reg dst = reg(0), src = vreg(1);
  bool wide = p.size == Size::k64 || !p.is_signed;
  as_.vec(truncation(p.bytes, wide), dst, dst, src);
  Label back = as_.new_label();
  Label slow = slow_path(ColdStub::kTruncate, p, back);
  if (p.is_signed) {
    as_.alu_imm(Alu::kCmp, p.size, dst, 1);
    as_.jcc(kCcO, slow);
  } else if (p.size == Size::k32) {
    as_.mov(Size::k64, kScratch, dst);
    as_.mov(Size::k32, dst, dst);  // also where the check is mispredicted
    as_.shift_imm(Shift::kShr, Size::k64, kScratch, 32);
    as_.jcc(kCcNe, slow);
  } else {
    as_.test(Size::k64, dst, dst);
    as_.jcc(kCcS, slow);
  }
  as_.bind(back);
}

void Emitter::truncate_slow(const Payload& p, Label back) {
  Reg dst = reg(0), src = vreg(1);
  VecOp ucomi = pick(p.bytes, VecOp::kUcomiss, VecOp::kUcomisd);
  bool wide = p.bytes == 8;
  auto constant = [&](u64 bits) { return rodata_mem(rodata(p.bytes, bits, 0)); };
  Label unordered = 0;
  if (!p.flag) unordered = trap_stub(TrapReason::kInvalidConversion);
  if (!p.is_signed && p.size == Size::k64) {
    // The upper half of the range.
    Label fails = as_.new_label();
    if (!as_.has_avx()) as_.vec_move(kVecScratch, src);
    as_.vec(pick(p.bytes, VecOp::kSubss, VecOp::kSubsd), kVecScratch,
            as_.has_avx() ? src : kVecScratch, constant(kTwo63[wide]));
    as_.vec(truncation(p.bytes, true), dst, dst, kVecScratch);
    as_.test(Size::k64, dst, dst);
    as_.jcc(kCcS, fails);
    as_.mov_imm(kScratch, u64{1} << 63);
    as_.alu(Alu::kXor, Size::k64, dst, kScratch);
    as_.jmp(back);
    as_.bind(fails);
  }
  if (p.flag) {
    as_.vec_zero(kVecScratch);
    as_.vec(ucomi, src, src, kVecScratch);
    if (p.is_signed) {
      Label is_nan = as_.new_label();
      as_.jcc(kCcP, is_nan);
      as_.jcc(kCcB, back);
      as_.mov_imm(dst, p.size == Size::k64 ? ~u64{0} >> 1 : ~u32{0} >> 1);
      as_.jmp(back);
      as_.bind(is_nan);
      as_.zero(dst);
    } else {
      as_.mov_imm(dst, 0);  // also for NaN
      as_.jcc(kCcBe, back);
      as_.mov_imm(dst, p.size == Size::k64 ? ~u64{0} : ~u32{0});
    }
    return as_.jmp(back);
  }
  Label overflow = trap_stub(TrapReason::kIntegerOverflow);
  if (!p.is_signed) {
    as_.vec(ucomi, src, src, src);
    as_.jcc(kCcP, unordered);
    return as_.jmp(overflow);
  }
  // The smallest integer may be right.
  as_.vec(ucomi, src, src, constant((p.size == Size::k64 ? kMinI64 : kMinI32)[wide]));
  as_.jcc(kCcP, unordered);
  if (p.size == Size::k32 && wide) {
    as_.jcc(kCcA, overflow);
    as_.vec(ucomi, src, src, constant(kBelowI32));
    as_.jcc(kCcBe, overflow);
  } else {
    as_.jcc(kCcNe, overflow);
  }
  as_.jmp(back);
}

// ---- slow paths

Label Emitter::slow_path(ColdStub::Kind kind, const Payload& p, Label back) {
  ColdStub stub{kind, TrapReason::kNone, origin_, 0, back};
  stub.payload = &p;
  stub.operands = operands_;
  return add_stub(stub);
}

void Emitter::emit_slow_path(const ColdStub& stub) {
  operands_ = stub.operands;
  origin_ = stub.origin;
  switch (stub.kind) {
    case ColdStub::kFloatMin: return float_min_slow(*stub.payload, stub.back);
    case ColdStub::kFromU64: return from_u64_slow(*stub.payload, stub.back);
    case ColdStub::kTruncate: return truncate_slow(*stub.payload, stub.back);
    default: WRING_UNREACHABLE();
  }
}

}  // namespace wring::x64
