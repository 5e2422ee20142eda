// SPDX-License-Identifier: GPL-2.0
// What the IR's scalar operations compute, for the interpreter in tests: integers by the book, floats by the host's.
#pragma once

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "core/ir/ir.h"

namespace wring::test {

template <class To, class From>
To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}
inline double f64_of(u64 bits) { return bits_as<double>(bits); }
inline float f32_of(u64 bits) { return bits_as<float>(static_cast<u32>(bits)); }
inline u64 bits_of(double value) { return bits_as<u64>(value); }
inline u64 bits_of(float value) { return bits_as<u32>(value); }

inline u64 interpret_binary(ir::Op op, bool wide, u64 a, u64 b) {
  using ir::Op;
  u32 bits = wide ? 64 : 32;
  u64 shift = b % bits;
  i64 sa = wide ? static_cast<i64>(a) : static_cast<i32>(a);
  i64 sb = wide ? static_cast<i64>(b) : static_cast<i32>(b);
  u64 mask = wide ? ~u64{0} : 0xffff'ffff;
  switch (op) {
    case Op::kAdd: return (a + b) & mask;
    case Op::kSub: return (a - b) & mask;
    case Op::kMul: return (a * b) & mask;
    case Op::kMulHiU: return static_cast<u64>((static_cast<unsigned __int128>(a) * b) >> 64);
    case Op::kMulHiS: return static_cast<u64>((static_cast<__int128>(sa) * sb) >> 64);
    case Op::kDivS: return (sb == -1 ? 0 - a : static_cast<u64>(sa / sb)) & mask;
    case Op::kDivU: return a / b;
    case Op::kRemS: return (sb == -1 ? 0 : static_cast<u64>(sa % sb)) & mask;
    case Op::kRemU: return a % b;
    case Op::kAnd: return a & b;
    case Op::kOr: return a | b;
    case Op::kXor: return a ^ b;
    case Op::kShl: return (a << shift) & mask;
    case Op::kShrS: return static_cast<u64>(sa >> shift) & mask;
    case Op::kShrU: return a >> shift;
    case Op::kRotl: return ((a << shift) | (shift ? a >> (bits - shift) : 0)) & mask;
    case Op::kRotr: return ((a >> shift) | (shift ? a << (bits - shift) : 0)) & mask;
    case Op::kEq: return a == b;
    case Op::kNe: return a != b;
    case Op::kLtS: return sa < sb;
    case Op::kLtU: return a < b;
    case Op::kLeS: return sa <= sb;
    case Op::kLeU: return a <= b;
    case Op::kGtS: return sa > sb;
    case Op::kGtU: return a > b;
    case Op::kGeS: return sa >= sb;
    case Op::kGeU: return a >= b;
    case Op::kClampIndex: return a < b ? a : 0;
    default: std::abort();
  }
}

inline u64 interpret_unary(ir::Op op, bool wide, u64 a) {
  using ir::Op;
  u64 mask = wide ? ~u64{0} : 0xffff'ffff;
  switch (op) {
    case Op::kClz:
      return a ? static_cast<u64>(__builtin_clzll(a)) - (wide ? 0 : 32) : wide ? 64 : 32;
    case Op::kCtz: return a ? static_cast<u64>(__builtin_ctzll(a)) : wide ? 64 : 32;
    case Op::kPopcnt: return static_cast<u64>(__builtin_popcountll(a));
    case Op::kBswap: return wide ? __builtin_bswap64(a) : __builtin_bswap32(static_cast<u32>(a));
    case Op::kBswap16: return __builtin_bswap16(static_cast<u16>(a));
    case Op::kWrap: return static_cast<u32>(a);
    case Op::kSExtI32: return static_cast<u64>(static_cast<i32>(a));
    case Op::kZExtI32:
    case Op::kBitcast: return a;
    case Op::kSExt8: return static_cast<u64>(static_cast<i8>(a)) & mask;
    case Op::kSExt16: return static_cast<u64>(static_cast<i16>(a)) & mask;
    case Op::kSExt32: return static_cast<u64>(static_cast<i32>(a));
    default: std::abort();
  }
}

template <class F>
F quiet(F x) {
  return x + x;
}
template <class F>
F float_min(F a, F b) {
  if (std::isnan(a) || std::isnan(b)) return quiet(a + b);
  if (a == b) return std::signbit(a) ? a : b;
  return a < b ? a : b;
}
template <class F>
F float_max(F a, F b) {
  if (std::isnan(a) || std::isnan(b)) return quiet(a + b);
  if (a == b) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}
// Rounding keeps a NaN's payload but makes it quiet.
template <class F>
F float_round(F x, F (*round)(F)) {
  return std::isnan(x) ? quiet(x) : round(x);
}
template <class F>
F float_unary(ir::Op op, F a) {
  using ir::Op;
  switch (op) {
    case Op::kFSqrt: return std::sqrt(a);
    case Op::kFCeil: return float_round<F>(a, std::ceil);
    case Op::kFFloor: return float_round<F>(a, std::floor);
    case Op::kFTrunc: return float_round<F>(a, std::trunc);
    case Op::kFNearest: return float_round<F>(a, std::nearbyint);
    default: std::abort();
  }
}
template <class F>
F float_binary(ir::Op op, F a, F b) {
  using ir::Op;
  switch (op) {
    case Op::kFAdd: return a + b;
    case Op::kFSub: return a - b;
    case Op::kFMul: return a * b;
    case Op::kFDiv: return a / b;
    case Op::kFMin: return float_min(a, b);
    case Op::kFMax: return float_max(a, b);
    default: std::abort();
  }
}
template <class F>
bool float_compare(ir::Op op, F a, F b) {
  using ir::Op;
  switch (op) {
    case Op::kFEq: return a == b;
    case Op::kFNe: return a != b;
    case Op::kFLt: return a < b;
    case Op::kFLe: return a <= b;
    case Op::kFGt: return a > b;
    case Op::kFGe: return a >= b;
    default: std::abort();
  }
}

// Operations whose operands or results are floats of one type (operand_type, or the result's).
inline u64 interpret_float(ir::Op op, ir::Type type, u64 a, u64 b) {
  using ir::Op;
  bool is32 = type == ir::Type::kF32;
  u64 sign = is32 ? u64{1} << 31 : u64{1} << 63;
  if (op == Op::kFAbs) return a & ~sign;
  if (op == Op::kFNeg) return a ^ sign;
  if (op == Op::kFCopysign) return (a & ~sign) | (b & sign);
  if (ir::is_float_compare(op))
    return is32 ? float_compare(op, f32_of(a), f32_of(b)) : float_compare(op, f64_of(a), f64_of(b));
  if (op >= Op::kFAdd && op <= Op::kFMax)
    return is32 ? bits_of(float_binary(op, f32_of(a), f32_of(b)))
                : bits_of(float_binary(op, f64_of(a), f64_of(b)));
  return is32 ? bits_of(float_unary(op, f32_of(a))) : bits_of(float_unary(op, f64_of(a)));
}

// Float to integer, towards zero. What does not fit: saturates, NaN is 0; *fits says whether it did.
template <class I, class F>
I truncate(F x, bool* fits) {
  constexpr bool kSigned = std::is_signed_v<I>;
  constexpr int kBits = 8 * sizeof(I) - kSigned;
  const F limit = std::ldexp(F{1}, kBits);
  *fits = false;
  if (std::isnan(x)) return 0;
  F whole = std::trunc(x);
  if (whole >= limit) return std::numeric_limits<I>::max();
  if (kSigned ? whole < -limit : whole < 0) return std::numeric_limits<I>::min();
  *fits = true;
  return static_cast<I>(whole);
}

template <class F>
u64 truncate_bits(F x, bool wide, bool is_signed, bool* fits) {
  if (wide) return is_signed ? static_cast<u64>(truncate<i64>(x, fits)) : truncate<u64>(x, fits);
  return is_signed ? static_cast<u32>(truncate<i32>(x, fits)) : truncate<u32>(x, fits);
}

template <class F>
F from_integer(u64 a, bool wide, bool is_signed) {
  if (wide) return is_signed ? static_cast<F>(static_cast<i64>(a)) : static_cast<F>(a);
  return is_signed ? static_cast<F>(static_cast<i32>(a)) : static_cast<F>(static_cast<u32>(a));
}

}  // namespace wring::test
