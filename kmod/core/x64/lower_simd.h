// SPDX-License-Identifier: GPL-2.0
// Lowering of one operation on V128: simd.def lists those that are one instruction, the others become sequences of
// them over virtual registers of their own.
#pragma once

#include "core/wasm/instr.h"
#include "core/x64/lower.h"

namespace wring::x64 {

class SimdLowering {
 public:
  SimdLowering(Lowering* l, ir::Value v)
      : l_(*l), v_(v), inst_(l->at(v)), op_(static_cast<Opcode>(inst_.aux)) {}
  void run();
  // Of any_true and all_true.
  void test_operands(Lowering::ConditionMatch* m);

 private:
  using Source = Lowering::Source;
  using VReg = ra::VReg;
  using Value = ir::Value;
  enum class Shape : u8 { kNone, kUnary, kBinary, kCommutes, kSwapped };
  struct Simple {
    VecOp op = VecOp::kCount;
    u8 imm8 = 0;
    Shape shape = Shape::kNone;
  };
  static Simple simple_of(Opcode op);

  // ---- lower_simd_demand.cc
  u32 elementwise_bytes() const;
  void note_demands();

  // ---- lower_simd.cc: what sequences are made of. Each returns the register it sets: dst, or a fresh one.
  bool has_avx() const { return l_.has_avx(); }
  bool has_avx2() const { return has_avx() && (l_.target_.cpu & kCpuAvx2); }
  VReg temp() { return l_.new_vreg(ir::Type::kV128); }
  VReg out() { return l_.result(v_); }
  VReg operand(u32 i) { return l_.reg(inst_.arg[i]); }
  static Source in(VReg vreg);
  Source constant(u64 low, u64 high);  // as a memory operand
  // Likewise, but of the module's author's choice: in a register if constants are blinded.
  Source chosen_constant(ir::V128 value);
  Source constant(u64 both) { return constant(both, both); }
  Source floats(u32 bits) { return constant(u64{bits} << 32 | bits); }
  // In a register; is_chosen: by the module's author.
  VReg load_constant(u64 low, u64 high, bool is_chosen = false, VReg dst = kNone);
  VReg zero() { return load_constant(0, 0); }
  VReg ones() { return load_constant(~u64{0}, ~u64{0}); }
  VReg unary(VecOp op, const Source& a, u8 imm8 = 0, VReg dst = kNone);
  VReg unary(VecOp op, VReg a, u8 imm8 = 0, VReg dst = kNone) {
    return unary(op, in(a), imm8, dst);
  }
  VReg binary(VecOp op, VReg a, const Source& b, u8 imm8 = 0, VReg dst = kNone);
  VReg binary(VecOp op, VReg a, VReg b, u8 imm8 = 0, VReg dst = kNone) {
    return binary(op, a, in(b), imm8, dst);
  }
  VReg shift(VecOp op, VReg a, u8 count, VReg dst = kNone);
  VReg blend(VecOp op, VReg a, VReg b, VReg mask, VReg dst = kNone);  // AVX
  VReg from_int(Size size, VReg a, VReg dst = kNone);
  VReg invert(VReg a, VReg dst = kNone);
  // Operands of a binary operation: the second one may be memory.
  struct Operands2 {
    VReg a;
    Source b;
  };
  Operands2 operands(bool commutes);
  // Of the lanes' width in bytes: the operation for 1, 2, 4, 8.
  static VecOp pick(u32 bytes, VecOp b, VecOp w, VecOp d, VecOp q = VecOp::kCount);
  void simple(const Simple& s);
  void one_operand();
  void two_operands();
  void bitselect();
  bool is_lane_mask(Value v, u32 depth = 0) const;
  void not_equal(VecOp equal);
  void greater_equal(VecOp extreme, VecOp equal);
  void greater_unsigned(VecOp extreme, VecOp equal);
  VReg greater_i64(VReg a, VReg b, VReg dst = kNone);
  void compare_i64();

  // ---- lower_simd_arith.cc
  void arithmetic();
  void shift_lanes();
  void shift_bytes();
  void shift_bytes_by(VReg a);
  void shift_right_i64();
  VReg lane_count(u32 mask, u32 addend);
  void popcnt();
  void abs_i64();
  void multiply_i64();
  void multiply_i8(bool high, bool is_signed);
  void multiply_i16(bool high, bool is_signed);
  void multiply_i32(bool high, bool is_signed);
  VReg extend_high(VReg a, u32 bytes, bool is_signed, VReg dst = kNone);
  void add_pairs();
  void multiply_q15();
  bool is_quiet(Value v) const;
  bool extreme_of_constant(bool is_max);
  void minimum();
  void maximum();
  void convert();
  void trunc_f32_signed();
  void trunc_f32_unsigned();

  // ---- lower_simd_lanes.cc
  static u8 splat_bytes(const ir::Inst& splat);  // a VSplat's width of lanes
  void splat();
  void load_splat(const Source& s, u32 bytes);
  VReg load_low(const Source& s, u32 bytes, VReg dst = kNone);
  VReg insert(VecOp op, u32 lane, VReg a, const Source& b, VReg dst = kNone);
  void extract();
  void extract_int(VReg a, u32 bytes, Extend kind);
  void replace();
  void test();
  VReg all_true_zeros(VecOp equal);
  void load();
  void load_lane();
  void store_lane();

  // ---- lower_simd_shuffle.cc
  void shuffle();
  void shuffle_pattern(const ir::Inst& inst, u32 demanded, Value* a, Value* b, u8* bytes) const;
  bool is_zero(Value v) const;
  bool fold_narrow_load(Value a, u32 period, Source* s);
  void reduce_splat(Value a, u8* bytes) const;
  void extend(VecOp op, Value a);
  bool extend_sign(u32 lane_bytes, u32 count);
  void shuffle_one(Value a, u8* bytes);
  VReg shuffle_bytes(VReg x, const u8* bytes, u32 first, VReg dst = kNone);
  bool shuffle_two(Value a, Value b, const u8* bytes);
  bool shuffle_lanes(Value a, Value b, const u8* bytes);
  void shuffle_any(Value a, Value b, const u8* bytes);
  void swizzle();

  Lowering& l_;
  const Value v_;
  const ir::Inst& inst_;
  const Opcode op_;
};

}  // namespace wring::x64
