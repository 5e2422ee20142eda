// SPDX-License-Identifier: GPL-2.0
// Encoding of vector instructions: SSE forms (legacy prefixes) and AVX ones (VEX prefixes).
#include "core/x64/asm.h"

namespace wring::x64 {

const VecInfo kVecInfo[static_cast<u32>(VecOp::kCount)] = {
#define VEC(name, prefix, map, byte, w, form, memory, other, needs) \
  {                                                                 \
      VecInfo::k##form,                                             \
      VecInfo::k##other,                                            \
      VecInfo::k##needs,                                            \
      prefix,                                                       \
      map,                                                          \
      (byte)&0xff,                                                  \
      (byte) >> 8,                                                  \
      memory,                                                       \
      static_cast<bool>(w)},
#include "core/x64/vec.def"
#undef VEC
};

void Assembler::encode_vec(const VecInfo& info, u8 reg, u8 vvvv, const Rm& rm, u32 imm_bytes,
                           u8 imm) {
  if (!avx_) {
    WRING_ASSERT(info.needs == VecInfo::kSse);
    Opcode op{info.byte, info.map, info.prefix};
    op.w = info.w;
    encode(op, reg, rm, imm_bytes, imm);
    return;
  }
  u8 pp = info.prefix == 0x66 ? 1 : info.prefix == 0xf3 ? 2 : info.prefix == 0xf2 ? 3 : 0;
  encode_vex(info.byte, info.map, pp, info.w, reg, vvvv, rm, imm_bytes, imm);
}

void Assembler::vec(VecOp op, Reg dst, Reg a, const Rm& b, u8 imm) {
  const VecInfo& info = info_of(op);
  WRING_ASSERT(info.form <= VecInfo::kMergeImm);
  WRING_ASSERT(avx_ || !info.is_binary() || dst == a);
  u8 vvvv = info.is_binary() || info.is_merge() ? a : 0;
  encode_vec(info, dst, vvvv, b, info.has_imm(), imm);
}

void Assembler::vec_shift(VecOp op, Reg dst, Reg a, u8 count) {
  const VecInfo& info = info_of(op);
  WRING_ASSERT(info.form == VecInfo::kShiftImm && (avx_ || dst == a));
  encode_vec(info, info.digit, dst, a, 1, count);
}

void Assembler::vec_blend(VecOp op, Reg dst, Reg a, const Rm& b, Reg mask) {
  const VecInfo& info = info_of(op);
  WRING_ASSERT(info.form == VecInfo::kBlend && avx_);
  encode_vec(info, dst, a, b, 1, static_cast<u8>(mask << 4));
}

void Assembler::vec_extract(VecOp op, const Rm& dst, Reg src, u8 imm) {
  const VecInfo& info = info_of(op);
  WRING_ASSERT(info.form == VecInfo::kStore || info.form == VecInfo::kStoreImm);
  encode_vec(info, src, 0, dst, info.has_imm(), imm);
}

// ---- moves

void Assembler::move_vec(u8 prefix, u8 byte, u8 reg, const Rm& rm) {
  VecInfo info{VecInfo::kUnary, VecInfo::kNone, VecInfo::kSse, prefix, 1, byte, 0, 0, false};
  encode_vec(info, reg, 0, rm);
}

void Assembler::vec_load(u32 bytes, Reg dst, const Mem& src) {
  if (bytes == 16) return move_vec(0, 0x10, dst, src);  // movups
  WRING_ASSERT(bytes == 4 || bytes == 8);
  move_vec(bytes == 4 ? 0xf3 : 0xf2, 0x10, dst, src);  // movss, movsd
}

void Assembler::vec_store(u32 bytes, const Mem& dst, Reg src) {
  if (bytes == 16) return move_vec(0, 0x11, src, dst);
  WRING_ASSERT(bytes == 4 || bytes == 8);
  move_vec(bytes == 4 ? 0xf3 : 0xf2, 0x11, src, dst);
}

void Assembler::vec_move(Reg dst, Reg src) {
  // A high source makes the store form the shorter one.
  if (avx_ && src >= 8 && dst < 8) return move_vec(0, 0x29, src, dst);
  move_vec(0, 0x28, dst, src);  // movaps
}

void Assembler::vec_zero(Reg dst) {
  // The registers named as sources do not matter; low ones make for a short prefix.
  if (avx_) return vec(VecOp::kXorps, dst, kRax, Rm(kRax));
  vec(VecOp::kXorps, dst, dst, dst);
}

void Assembler::vec_from_int(Size size, Reg dst, const Rm& src) {
  VecInfo info{VecInfo::kUnary, VecInfo::kFromInt, VecInfo::kSse, 0x66, 1, 0x6e, 0, 0, false};
  info.w = size == Size::k64;
  encode_vec(info, dst, 0, src);  // movd, movq
}

void Assembler::vec_to_int(Size size, Reg dst, Reg src) {
  VecInfo info{VecInfo::kUnary, VecInfo::kToInt, VecInfo::kSse, 0x66, 1, 0x7e, 0, 0, false};
  info.w = size == Size::k64;
  encode_vec(info, src, 0, dst);
}

}  // namespace wring::x64
