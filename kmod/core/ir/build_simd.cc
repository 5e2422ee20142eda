// SPDX-License-Identifier: GPL-2.0
// SSA construction: vectors. Most instructions become the operation of their shape with the opcode in aux; relaxed
// ones become plain ones, as the deterministic choice for each is (spec, section 4.3.3 and profile DET), except that
// madd and nmadd round twice: so does a processor without fused multiplication.
#include "core/ir/builder.h"

namespace wring::ir {

namespace {

constexpr Type kI64 = Type::kI64, kV128 = Type::kV128;
using O = Opcode;

// How an instruction of vectors that does not access memory is expressed.
Op shape_of(const Instr& in) {
  const OpcodeInfo& info = info_of(in.op);
  bool from_vector = info.operands[0] == ValType::kV128;
  if (info.lanes) return info.operand_count == 1 ? Op::kVExtract : Op::kVReplace;
  if (!from_vector) return Op::kVSplat;
  if (info.result != ValType::kV128) return Op::kVTest;
  if (info.operand_count == 1) return Op::kV1;
  if (info.operand_count == 3) return Op::kV3;
  return info.operands[1] == ValType::kV128 ? Op::kV2 : Op::kVShift;
}

u64 read_word(Bytes bytes, u32 offset) {
  u64 word = 0;
  for (u32 i = 8; i-- > 0;) word = word << 8 | bytes[offset + i];
  return word;
}

}  // namespace

Value Builder::vector(O op, Value a) {
  Inst inst = make_inst(Op::kV1, kV128, a);
  inst.aux = static_cast<u16>(op);
  return emit(inst);
}
Value Builder::vector(O op, Value a, Value b) {
  Inst inst = make_inst(Op::kV2, kV128, a, b);
  inst.aux = static_cast<u16>(op);
  return emit(inst);
}
Value Builder::vector(O op, Value a, Value b, Value c) {
  Inst inst = make_inst(Op::kV3, kV128, a, b, c);
  inst.aux = static_cast<u16>(op);
  return emit(inst);
}

// The two halves of a vector as integers, and back.
Value Builder::low_word(Value v) {
  Inst inst = make_inst(Op::kVExtract, kI64, v);
  inst.aux = static_cast<u16>(O::kI64x2ExtractLane);
  return emit(inst);
}
Value Builder::high_word(Value v) {
  Inst inst = make_inst(Op::kVExtract, kI64, v);
  inst.aux = static_cast<u16>(O::kI64x2ExtractLane);
  inst.imm = 1;
  return emit(inst);
}
Value Builder::vector_of_words(Value low, Value high) {
  Inst splat = make_inst(Op::kVSplat, kV128, low);
  splat.aux = static_cast<u16>(O::kI64x2Splat);
  Inst inst = make_inst(Op::kVReplace, kV128, emit(splat), high);
  inst.aux = static_cast<u16>(O::kI64x2ReplaceLane);
  inst.imm = 1;
  return emit(inst);
}

// The 16 bytes at the offset.
Value Builder::vector_constant(u32 offset) {
  Bytes bytes = module_.bytes;
  return keep(consts_.get_v128({read_word(bytes, offset), read_word(bytes, offset + 8)}));
}

bool Builder::relaxed_operation(O op) {
  if (op < O::kI8x16RelaxedSwizzle || op > O::kI32x4RelaxedDotI8x16I7x16AddS) return false;
  u32 count = info_of(op).operand_count;
  Value c = count == 3 ? pop() : 0;
  Value b = count >= 2 ? pop() : 0;
  Value a = pop();
  switch (op) {
    case O::kI8x16RelaxedSwizzle: push(vector(O::kI8x16Swizzle, a, b)); break;
    case O::kI32x4RelaxedTruncF32x4S: push(vector(O::kI32x4TruncSatF32x4S, a)); break;
    case O::kI32x4RelaxedTruncF32x4U: push(vector(O::kI32x4TruncSatF32x4U, a)); break;
    case O::kI32x4RelaxedTruncF64x2SZero: push(vector(O::kI32x4TruncSatF64x2SZero, a)); break;
    case O::kI32x4RelaxedTruncF64x2UZero: push(vector(O::kI32x4TruncSatF64x2UZero, a)); break;
    case O::kF32x4RelaxedMadd: push(vector(O::kF32x4Add, vector(O::kF32x4Mul, a, b), c)); break;
    case O::kF32x4RelaxedNmadd: push(vector(O::kF32x4Sub, c, vector(O::kF32x4Mul, a, b))); break;
    case O::kF64x2RelaxedMadd: push(vector(O::kF64x2Add, vector(O::kF64x2Mul, a, b), c)); break;
    case O::kF64x2RelaxedNmadd: push(vector(O::kF64x2Sub, c, vector(O::kF64x2Mul, a, b))); break;
    case O::kI8x16RelaxedLaneselect:
    case O::kI16x8RelaxedLaneselect:
    case O::kI32x4RelaxedLaneselect:
    case O::kI64x2RelaxedLaneselect: push(vector(O::kV128Bitselect, a, b, c)); break;
    case O::kF32x4RelaxedMin: push(vector(O::kF32x4Min, a, b)); break;
    case O::kF32x4RelaxedMax: push(vector(O::kF32x4Max, a, b)); break;
    case O::kF64x2RelaxedMin: push(vector(O::kF64x2Min, a, b)); break;
    case O::kF64x2RelaxedMax: push(vector(O::kF64x2Max, a, b)); break;
    case O::kI16x8RelaxedQ15mulrS: push(vector(O::kI16x8Q15mulrSatS, a, b)); break;
    default: {
      // Signed products of bytes, added in pairs and saturated.
      Value low = vector(O::kI16x8ExtmulLowI8x16S, a, b);
      Value high = vector(O::kI16x8ExtmulHighI8x16S, a, b);
      Value dot = vector(O::kI16x8NarrowI32x4S, vector(O::kI32x4ExtaddPairwiseI16x8S, low),
                         vector(O::kI32x4ExtaddPairwiseI16x8S, high));
      if (op == O::kI32x4RelaxedDotI8x16I7x16AddS)
        dot = vector(O::kI32x4Add, vector(O::kI32x4ExtaddPairwiseI16x8S, dot), c);
      push(dot);
      break;
    }
  }
  return true;
}

void Builder::vector_memory(const Instr& in) {
  auto load_as = [&](MemKind kind) { load(in, kV128, kind); };
  MemKind lane = MemKind::k8U;
  switch (in.op) {
    case O::kV128Load: return load_as(MemKind::k128);
    case O::kV128Store: return store(in, MemKind::k128);
    case O::kV128Load8x8S: return load_as(MemKind::k8x8S);
    case O::kV128Load8x8U: return load_as(MemKind::k8x8U);
    case O::kV128Load16x4S: return load_as(MemKind::k16x4S);
    case O::kV128Load16x4U: return load_as(MemKind::k16x4U);
    case O::kV128Load32x2S: return load_as(MemKind::k32x2S);
    case O::kV128Load32x2U: return load_as(MemKind::k32x2U);
    case O::kV128Load8Splat: return load_as(MemKind::k8Splat);
    case O::kV128Load16Splat: return load_as(MemKind::k16Splat);
    case O::kV128Load32Splat: return load_as(MemKind::k32Splat);
    case O::kV128Load64Splat: return load_as(MemKind::k64Splat);
    case O::kV128Load32Zero: return load_as(MemKind::k32Zero);
    case O::kV128Load64Zero: return load_as(MemKind::k64Zero);
    case O::kV128Load16Lane:
    case O::kV128Store16Lane: lane = MemKind::k16U; break;
    case O::kV128Load32Lane:
    case O::kV128Store32Lane: lane = MemKind::k32U; break;
    case O::kV128Load64Lane:
    case O::kV128Store64Lane: lane = MemKind::k64; break;
    default: break;
  }
  Value value = pop();
  Address address;
  if (!address_of(pop(), in.mem, &address)) return;
  u32 aux = static_cast<u32>(lane) | u32{in.lane} << 8;
  if (info_of(in.op).result == ValType::kV128)
    push(access(Op::kLoadLane, kV128, aux, address, value));
  else
    access(Op::kStoreLane, Type::kVoid, aux, address, value);
}

bool Builder::vector_operation(const Instr& in) {
  const OpcodeInfo& info = info_of(in.op);
  if (info.prefix != 0xfd) return false;
  if (relaxed_operation(in.op)) return true;
  if (info.access) {
    vector_memory(in);
    return true;
  }
  if (in.op == O::kV128Const) {
    push(vector_constant(in.list));
    return true;
  }
  Value args[3];
  for (u32 i = info.operand_count; i-- > 0;) args[i] = pop();
  if (in.op == O::kI8x16Shuffle) {
    push(emit(make_inst(Op::kVShuffle, kV128, args[0], args[1], vector_constant(in.list))));
    return true;
  }
  Inst inst = make_inst(shape_of(in), type_of(info.result));
  inst.count = info.operand_count;
  for (u32 i = 0; i < inst.count; i++) inst.arg[i] = args[i];
  inst.aux = static_cast<u16>(in.op);
  if (info.lanes) inst.imm = in.lane;
  push(emit(inst));
  return true;
}

}  // namespace wring::ir
