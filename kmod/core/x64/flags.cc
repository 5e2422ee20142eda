// SPDX-License-Identifier: GPL-2.0
// Which instructions set which flags.
#include "core/x64/flags.h"

namespace wring::x64 {

namespace {

enum class Effect : u8 { kKeeps, kResult, kLogical, kCompares, kDestroys };

Effect effect_of(Lir op, const Payload& p, bool constants_keep) {
  switch (op) {
    case Lir::kImm: return constants_keep && p.imm != 0 ? Effect::kKeeps : Effect::kDestroys;
    case Lir::kFloatImm:
    case Lir::kVecImm:
    case Lir::kCopy:
    case Lir::kVmCtx:
    case Lir::kMemBase:
    case Lir::kLoadParam:
    case Lir::kExtend:
    case Lir::kLea:
    case Lir::kMulx:
    case Lir::kShiftX:
    case Lir::kRotateX:
    case Lir::kBswap:
    case Lir::kLoad:
    case Lir::kLoadSwapped:
    case Lir::kStore:
    case Lir::kStoreSwapped:
    case Lir::kStoreImm:
    case Lir::kStoreArg:
    case Lir::kStoreArgImm:
    case Lir::kStoreOutward:
    case Lir::kLoadResult:
    case Lir::kVec2:
    case Lir::kVecShiftImm:
    case Lir::kVecBlend:
    case Lir::kVecInsert:
    case Lir::kVecExtract:
    case Lir::kVecExtractTo:
    case Lir::kVecLoad:
    case Lir::kVecStore:
    case Lir::kVecFromInt:
    case Lir::kVecToInt: return Effect::kKeeps;
    case Lir::kVec1:
      return p.vec == VecOp::kUcomiss || p.vec == VecOp::kUcomisd || p.vec == VecOp::kPtest
                 ? Effect::kDestroys
                 : Effect::kKeeps;
    case Lir::kAlu:
      return p.alu == Alu::kAdd || p.alu == Alu::kSub ? Effect::kResult : Effect::kLogical;
    case Lir::kAndNot: return Effect::kLogical;
    case Lir::kUnary: return p.unary == Unary::kNeg ? Effect::kResult : Effect::kKeeps;
    case Lir::kShiftImm:
      if (p.imm == 0) return Effect::kKeeps;
      return p.shift == Shift::kRol || p.shift == Shift::kRor ? Effect::kDestroys : Effect::kResult;
    case Lir::kSetCc:
      if (p.cond.is_float && (p.cond.cc == kCcE || p.cond.cc == kCcNe)) return Effect::kDestroys;
      return Effect::kCompares;
    case Lir::kCmov:
    case Lir::kFloatSelect:
    case Lir::kTrapCc: return Effect::kCompares;
    default: return Effect::kDestroys;
  }
}

u32 register_operands(const Condition& c) { return !c.a_in_memory + (c.b == Src::kOperand); }

}  // namespace

void FlagTracker::after(const ra::LirInst& inst, const Payload& p, const ra::Operand* operands,
                        const ra::Allocation* locations) {
  Effect effect = effect_of(static_cast<Lir>(inst.op), p, constants_keep_);
  switch (effect) {
    case Effect::kKeeps: break;
    case Effect::kDestroys: return forget();
    case Effect::kResult:
    case Effect::kLogical:
      kind_ = effect == Effect::kResult ? kResult : kLogical;
      condition_ = {};
      condition_.size = p.size;
      a_ = locations[0];
      b_ = {};
      return;
    case Effect::kCompares:
      if (p.cond.a_in_memory || p.cond.b == Src::kMem) return forget();
      kind_ = kCompare;
      condition_ = p.cond;
      a_ = locations[p.cond.operand];
      b_ = p.cond.b == Src::kOperand ? locations[p.cond.operand + 1] : ra::Allocation{};
      break;
  }
  for (u32 i = 0; i < inst.operand_count; i++)
    if (operands[i].kind == ra::OperandKind::kDef) overwritten(locations[i]);
}

bool FlagTracker::holds(const Condition& c, const ra::Allocation* locations, Cc* cc) const {
  if (kind_ == kNothing || c.a_in_memory || c.b == Src::kMem || c.size != condition_.size)
    return false;
  if (!(locations[c.operand] == a_)) return false;
  if (kind_ == kCompare) {
    if (c.test != condition_.test || c.is_float != condition_.is_float ||
        c.is_vector != condition_.is_vector || c.b != condition_.b ||
        register_operands(c) != register_operands(condition_))
      return false;
    return c.b == Src::kImm ? c.imm == condition_.imm : locations[c.operand + 1] == b_;
  }
  if (c.test || c.b != Src::kImm || c.imm != 0) return false;
  if (kind_ == kLogical) return true;
  switch (*cc) {
    case kCcE:
    case kCcNe: return true;
    case kCcL: *cc = kCcS; return true;
    case kCcGe: *cc = kCcNs; return true;
    default: return false;
  }
}

}  // namespace wring::x64
