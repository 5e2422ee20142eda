// SPDX-License-Identifier: GPL-2.0
// Evaluation of operations on constants.
#include "core/opt/gvn.h"

namespace wring::opt {

namespace {

bool fold_binary(Op op, Type type, u64 a, u64 b, u64* out) {
  u32 width = width_of(type);
  u64 mask = mask_of(type);
  u32 shift = static_cast<u32>(b % width);
  i64 sa = width == 32 ? static_cast<i32>(a) : static_cast<i64>(a);
  i64 sb = width == 32 ? static_cast<i32>(b) : static_cast<i64>(b);
  u64 result;
  switch (op) {
    case Op::kAdd: result = a + b; break;
    case Op::kSub: result = a - b; break;
    case Op::kMul: result = a * b; break;
    case Op::kMulHiU:
      result = static_cast<u64>((static_cast<unsigned __int128>(a) * b) >> 64);
      break;
    case Op::kMulHiS: result = static_cast<u64>((static_cast<__int128>(sa) * sb) >> 64); break;
    case Op::kDivS:
      if (sb == 0) return false;
      result = sb == -1 ? 0 - a : static_cast<u64>(sa / sb);
      break;
    case Op::kRemS:
      if (sb == 0) return false;
      result = sb == -1 ? 0 : static_cast<u64>(sa % sb);
      break;
    case Op::kDivU:
      if (b == 0) return false;
      result = a / b;
      break;
    case Op::kRemU:
      if (b == 0) return false;
      result = a % b;
      break;
    case Op::kAnd: result = a & b; break;
    case Op::kOr: result = a | b; break;
    case Op::kXor: result = a ^ b; break;
    case Op::kShl: result = a << shift; break;
    case Op::kShrS: result = static_cast<u64>(sa >> shift); break;
    case Op::kShrU: result = a >> shift; break;
    case Op::kRotl: result = a << shift | (shift ? a >> (width - shift) : 0); break;
    case Op::kRotr: result = a >> shift | (shift ? a << (width - shift) : 0); break;
    case Op::kClampIndex: result = a < b ? a : 0; break;
    default: return false;
  }
  *out = result & mask;
  return true;
}

bool fold_compare(Op op, Type type, u64 a, u64 b) {
  i64 sa = type == Type::kI32 ? static_cast<i32>(a) : static_cast<i64>(a);
  i64 sb = type == Type::kI32 ? static_cast<i32>(b) : static_cast<i64>(b);
  switch (op) {
    case Op::kEq: return a == b;
    case Op::kNe: return a != b;
    case Op::kLtS: return sa < sb;
    case Op::kLtU: return a < b;
    case Op::kLeS: return sa <= sb;
    case Op::kLeU: return a <= b;
    case Op::kGtS: return sa > sb;
    case Op::kGtU: return a > b;
    case Op::kGeS: return sa >= sb;
    default: return a >= b;
  }
}

bool fold_unary(Op op, Type type, u64 a, u64* out) {
  u32 width = width_of(type);
  u64 result;
  switch (op) {
    case Op::kClz: result = a ? static_cast<u64>(__builtin_clzll(a)) - (64 - width) : width; break;
    case Op::kCtz: result = a ? count_trailing_zeros(a) : width; break;
    case Op::kPopcnt: result = count_ones(a); break;
    case Op::kBswap:
      result = width == 32 ? __builtin_bswap32(static_cast<u32>(a)) : __builtin_bswap64(a);
      break;
    case Op::kBswap16: result = __builtin_bswap16(static_cast<u16>(a)); break;
    case Op::kBitcast: result = a; break;
    case Op::kWrap:
    case Op::kZExtI32: result = static_cast<u32>(a); break;
    case Op::kSExtI32:
    case Op::kSExt32: result = static_cast<u64>(static_cast<i32>(a)); break;
    case Op::kSExt8: result = static_cast<u64>(static_cast<i8>(a)); break;
    case Op::kSExt16: result = static_cast<u64>(static_cast<i16>(a)); break;
    default: return false;
  }
  *out = result & mask_of(type);
  return true;
}

}  // namespace

bool Gvn::fold_constants(const Inst& inst, u64* bits) const {
  if (Function::has_pool_args(inst.op) || inst.count == 0 || inst.count > 2) return false;
  u64 a, b = 0;
  if (!is_const(inst.arg[0], &a) || (inst.count == 2 && !is_const(inst.arg[1], &b))) return false;
  if (is_compare(inst.op)) {
    *bits = fold_compare(inst.op, inst.operand_type, a, b);
    return true;
  }
  return inst.count == 2 ? fold_binary(inst.op, inst.type, a, b, bits)
                         : fold_unary(inst.op, inst.type, a, bits);
}

}  // namespace wring::opt
