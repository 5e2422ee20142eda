// SPDX-License-Identifier: GPL-2.0
// SSA construction: floating-point instructions and conversions.
#include "core/ir/builder.h"

namespace wring::ir {

namespace {

constexpr Type kI32 = Type::kI32, kI64 = Type::kI64, kF32 = Type::kF32, kF64 = Type::kF64;

// In the order of the opcodes, the same for both types.
constexpr Op kCompares[] = {Op::kFEq, Op::kFNe, Op::kFLt, Op::kFGt, Op::kFLe, Op::kFGe};
constexpr Op kUnaries[] = {Op::kFAbs,   Op::kFNeg,     Op::kFCeil, Op::kFFloor,
                           Op::kFTrunc, Op::kFNearest, Op::kFSqrt};
constexpr Op kBinaries[] = {Op::kFAdd, Op::kFSub, Op::kFMul,     Op::kFDiv,
                            Op::kFMin, Op::kFMax, Op::kFCopysign};

constexpr u32 distance(Opcode from, Opcode to) {
  return static_cast<u32>(to) - static_cast<u32>(from);
}
static_assert(distance(Opcode::kF32Eq, Opcode::kF32Ge) == 5);
static_assert(distance(Opcode::kF64Eq, Opcode::kF64Ge) == 5);
static_assert(distance(Opcode::kF32Abs, Opcode::kF32Sqrt) == 6);
static_assert(distance(Opcode::kF64Abs, Opcode::kF64Sqrt) == 6);
static_assert(distance(Opcode::kF32Add, Opcode::kF32Copysign) == 6);
static_assert(distance(Opcode::kF64Add, Opcode::kF64Copysign) == 6);

constexpr bool within(Opcode op, Opcode first, Opcode last) { return op >= first && op <= last; }

}  // namespace

void Builder::convert(Op op, Type to, Type from) {
  Inst inst = make_inst(op, to, pop());
  inst.operand_type = from;
  push(emit(inst));
}

bool Builder::float_operation(const Instr& in) {
  Opcode op = in.op;
  constexpr Type kTypes[] = {kF32, kF64};
  for (Type type : kTypes) {
    bool is32 = type == kF32;
    Opcode first_compare = is32 ? Opcode::kF32Eq : Opcode::kF64Eq;
    Opcode first_unary = is32 ? Opcode::kF32Abs : Opcode::kF64Abs;
    Opcode first_binary = is32 ? Opcode::kF32Add : Opcode::kF64Add;
    if (within(op, first_compare, is32 ? Opcode::kF32Ge : Opcode::kF64Ge)) {
      compare(kCompares[distance(first_compare, op)], type);
      return true;
    }
    if (within(op, first_unary, is32 ? Opcode::kF32Sqrt : Opcode::kF64Sqrt)) {
      unary(kUnaries[distance(first_unary, op)], type);
      return true;
    }
    if (within(op, first_binary, is32 ? Opcode::kF32Copysign : Opcode::kF64Copysign)) {
      binary(kBinaries[distance(first_binary, op)], type);
      return true;
    }
  }
  switch (op) {
    case Opcode::kF32Const: push(constant(kF32, static_cast<u64>(in.value))); break;
    case Opcode::kF64Const: push(constant(kF64, static_cast<u64>(in.value))); break;

    case Opcode::kI32TruncF32S: convert(Op::kTruncS, kI32, kF32); break;
    case Opcode::kI32TruncF32U: convert(Op::kTruncU, kI32, kF32); break;
    case Opcode::kI32TruncF64S: convert(Op::kTruncS, kI32, kF64); break;
    case Opcode::kI32TruncF64U: convert(Op::kTruncU, kI32, kF64); break;
    case Opcode::kI64TruncF32S: convert(Op::kTruncS, kI64, kF32); break;
    case Opcode::kI64TruncF32U: convert(Op::kTruncU, kI64, kF32); break;
    case Opcode::kI64TruncF64S: convert(Op::kTruncS, kI64, kF64); break;
    case Opcode::kI64TruncF64U: convert(Op::kTruncU, kI64, kF64); break;
    case Opcode::kI32TruncSatF32S: convert(Op::kTruncSatS, kI32, kF32); break;
    case Opcode::kI32TruncSatF32U: convert(Op::kTruncSatU, kI32, kF32); break;
    case Opcode::kI32TruncSatF64S: convert(Op::kTruncSatS, kI32, kF64); break;
    case Opcode::kI32TruncSatF64U: convert(Op::kTruncSatU, kI32, kF64); break;
    case Opcode::kI64TruncSatF32S: convert(Op::kTruncSatS, kI64, kF32); break;
    case Opcode::kI64TruncSatF32U: convert(Op::kTruncSatU, kI64, kF32); break;
    case Opcode::kI64TruncSatF64S: convert(Op::kTruncSatS, kI64, kF64); break;
    case Opcode::kI64TruncSatF64U: convert(Op::kTruncSatU, kI64, kF64); break;
    case Opcode::kF32ConvertI32S: convert(Op::kConvertS, kF32, kI32); break;
    case Opcode::kF32ConvertI32U: convert(Op::kConvertU, kF32, kI32); break;
    case Opcode::kF32ConvertI64S: convert(Op::kConvertS, kF32, kI64); break;
    case Opcode::kF32ConvertI64U: convert(Op::kConvertU, kF32, kI64); break;
    case Opcode::kF64ConvertI32S: convert(Op::kConvertS, kF64, kI32); break;
    case Opcode::kF64ConvertI32U: convert(Op::kConvertU, kF64, kI32); break;
    case Opcode::kF64ConvertI64S: convert(Op::kConvertS, kF64, kI64); break;
    case Opcode::kF64ConvertI64U: convert(Op::kConvertU, kF64, kI64); break;
    case Opcode::kF32DemoteF64: unary(Op::kDemote, kF32); break;
    case Opcode::kF64PromoteF32: unary(Op::kPromote, kF64); break;
    case Opcode::kI32ReinterpretF32: unary(Op::kBitcast, kI32); break;
    case Opcode::kI64ReinterpretF64: unary(Op::kBitcast, kI64); break;
    case Opcode::kF32ReinterpretI32: unary(Op::kBitcast, kF32); break;
    case Opcode::kF64ReinterpretI64: unary(Op::kBitcast, kF64); break;
    default: return false;
  }
  return true;
}

}  // namespace wring::ir
