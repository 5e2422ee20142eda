// SPDX-License-Identifier: GPL-2.0
// Which bytes of a vector matter. Lowering goes backward, so that all uses of a value were seen when it is lowered: if
// each of them said what it reads, the rest may be anything. Shuffles make use of that.
#include "core/x64/lower_simd.h"

namespace wring::x64 {

using ir::Op;
using ir::Value;

namespace {

constexpr u32 kAllBytes = 0xffff;

// Lanes that have a byte in the mask.
u32 whole_lanes(u32 mask, u32 bytes) {
  u32 out = 0;
  for (u32 i = 0; i < 16; i += bytes) {
    u32 lane = ((1u << bytes) - 1) << i;
    if (mask & lane) out |= lane;
  }
  return out;
}

// The mask of the bytes that are not zero.
u32 nonzero_bytes(ir::V128 v) {
  u32 out = 0;
  for (u32 i = 0; i < 16; i++)
    if ((i < 8 ? v.low : v.high) >> 8 * (i % 8) & 0xff) out |= 1u << i;
  return out;
}

}  // namespace

u32 Lowering::demanded(Value v) const {
  if (demands_.empty()) return kAllBytes;  // nobody has said anything, or memory has run out
  const Demand& d = demands_[v];
  return d.uses == uses_[v] ? d.bytes : kAllBytes;
}

void Lowering::demand(Value v, u32 bytes) {
  demands_[v].uses++;
  demands_[v].bytes |= static_cast<u16>(bytes);
}

// The lanes' width if every lane of the result depends on that of the operands alone, else 0.
u32 SimdLowering::elementwise_bytes() const {
  const char* text = info_of(op_).text;  // begins with the lanes: "i16x8."
  u32 bytes = text[1] == '6' ? 8 : text[1] == '3' ? 4 : text[1] == '1' && text[2] == '6' ? 2 : 1;
  Shape shape = simple_of(op_).shape;
  switch (op_) {
    case Opcode::kI8x16NarrowI16x8S:
    case Opcode::kI8x16NarrowI16x8U:
    case Opcode::kI16x8NarrowI32x4S:
    case Opcode::kI16x8NarrowI32x4U:
    case Opcode::kF32x4DemoteF64x2Zero:
    case Opcode::kF64x2PromoteLowF32x4:
    case Opcode::kF64x2ConvertLowI32x4S:
    case Opcode::kI16x8ExtendLowI8x16S:
    case Opcode::kI16x8ExtendLowI8x16U:
    case Opcode::kI32x4ExtendLowI16x8S:
    case Opcode::kI32x4ExtendLowI16x8U:
    case Opcode::kI64x2ExtendLowI32x4S:
    case Opcode::kI64x2ExtendLowI32x4U: return 0;
    // "v128." is not lanes of 16 bits.
    case Opcode::kV128And:
    case Opcode::kV128Or:
    case Opcode::kV128Xor:
    case Opcode::kV128Andnot:
    case Opcode::kV128Not: return 1;
    case Opcode::kI64x2Mul:
    case Opcode::kI8x16Neg:
    case Opcode::kI16x8Neg:
    case Opcode::kI32x4Neg:
    case Opcode::kI64x2Neg:
    case Opcode::kF32x4Abs:
    case Opcode::kF32x4Neg:
    case Opcode::kF64x2Abs:
    case Opcode::kF64x2Neg: return bytes;
    default: return shape == Shape::kNone ? 0 : bytes;
  }
}

void SimdLowering::note_demands() {
  if (l_.demands_.empty()) {
    l_.demands_ = l_.arena_->make_array<Lowering::Demand>(l_.f_.insts.size());
    if (l_.demands_.empty()) return l_.fail_no_memory();
  }
  bool is_vector = inst_.type == ir::Type::kV128;
  u32 result = is_vector ? l_.demanded(v_) : kAllBytes;
  Value a = inst_.arg[0];
  switch (inst_.op) {
    case Op::kV1:
    case Op::kV2: {
      u32 bytes = elementwise_bytes();
      if (bytes == 0) return;
      u32 mask = whole_lanes(result, bytes);
      for (u32 i = 0; i < inst_.count; i++) {
        u32 reads = mask;
        const ir::Inst& other = l_.at(inst_.arg[inst_.count - 1 - i]);
        if (op_ == Opcode::kV128And && other.op == Op::kVConst)
          reads &= nonzero_bytes(ir::v128_of(other));
        l_.demand(inst_.arg[i], reads);
      }
      return;
    }
    case Op::kV3:
      for (u32 i = 0; i < 3; i++) l_.demand(inst_.arg[i], result);
      return;
    case Op::kVShift: {
      u32 bytes = info_of(op_).text[1] == '8'   ? 1
                  : info_of(op_).text[1] == '1' ? 2
                  : info_of(op_).text[1] == '3' ? 4
                                                : 8;
      l_.demand(a, whole_lanes(result, bytes));
      return;
    }
    case Op::kVExtract: {
      u32 bytes = 16 / info_of(op_).lanes;
      l_.demand(a, ((1u << bytes) - 1) << static_cast<u32>(inst_.imm) * bytes);
      return;
    }
    case Op::kVReplace: {
      u32 bytes = 16 / info_of(op_).lanes;
      l_.demand(a, result & ~(((1u << bytes) - 1) << static_cast<u32>(inst_.imm) * bytes));
      return;
    }
    case Op::kVShuffle: {
      ir::V128 lanes = ir::v128_of(l_.at(inst_.arg[2]));
      u32 reads = 0;
      for (u32 i = 0; i < 16; i++)
        if (result >> i & 1) reads |= 1u << ((i < 8 ? lanes.low : lanes.high) >> 8 * (i % 8) & 31);
      l_.demand(a, reads & kAllBytes);
      l_.demand(inst_.arg[1], reads >> 16);
      return;
    }
    default: return;
  }
}

}  // namespace wring::x64
