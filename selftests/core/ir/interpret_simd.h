// SPDX-License-Identifier: GPL-2.0
// What the IR's vector operations compute, lane by lane, for the interpreter in tests.
#pragma once

#include <algorithm>
#include <limits>

#include "core/wasm/instr.h"
#include "selftests/core/ir/interpret_scalar.h"

namespace wring::test {

using ir::V128;

template <class T>
struct Lanes {
  static constexpr u32 kCount = 16 / sizeof(T);
  T lane[kCount];
  T& operator[](u32 i) { return lane[i]; }
  const T& operator[](u32 i) const { return lane[i]; }
};
template <class T>
Lanes<T> lanes_of(V128 v) {
  return bits_as<Lanes<T>>(v);
}
template <class T>
V128 vector_of(const Lanes<T>& lanes) {
  return bits_as<V128>(lanes);
}
template <class T, class F>
V128 map1(V128 a, F f) {
  Lanes<T> x = lanes_of<T>(a);
  for (T& lane : x.lane) lane = f(lane);
  return vector_of(x);
}
template <class T, class F>
V128 map2(V128 a, V128 b, F f) {
  Lanes<T> x = lanes_of<T>(a), y = lanes_of<T>(b);
  for (u32 i = 0; i < x.kCount; i++) x[i] = f(x[i], y[i]);
  return vector_of(x);
}
// Comparisons: all ones or zero.
template <class T, class F>
V128 compare2(V128 a, V128 b, F f) {
  Lanes<T> x = lanes_of<T>(a), y = lanes_of<T>(b);
  for (u32 i = 0; i < x.kCount; i++) {
    bool holds = f(x[i], y[i]);
    std::memset(&x[i], holds ? 0xff : 0, sizeof(T));
  }
  return vector_of(x);
}
template <class T>
T saturate(i64 value) {
  return static_cast<T>(
      std::clamp<i64>(value, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}
template <class To, class From>
V128 narrow(V128 a, V128 b) {
  Lanes<From> x = lanes_of<From>(a), y = lanes_of<From>(b);
  Lanes<To> r;
  for (u32 i = 0; i < x.kCount; i++) {
    r[i] = saturate<To>(x[i]);
    r[i + x.kCount] = saturate<To>(y[i]);
  }
  return vector_of(r);
}
// The low or high half of the lanes, each made wider.
template <class To, class From>
Lanes<To> extend_half(V128 a, bool high) {
  Lanes<From> x = lanes_of<From>(a);
  Lanes<To> r;
  for (u32 i = 0; i < r.kCount; i++) r[i] = static_cast<To>(x[i + (high ? r.kCount : 0)]);
  return r;
}
template <class To, class From>
V128 extend_multiply(V128 a, V128 b, bool high) {
  Lanes<To> x = extend_half<To, From>(a, high), y = extend_half<To, From>(b, high);
  using U = std::make_unsigned_t<To>;
  for (u32 i = 0; i < x.kCount; i++)
    x[i] = static_cast<To>(static_cast<u64>(static_cast<U>(x[i])) *
                           static_cast<u64>(static_cast<U>(y[i])));
  return vector_of(x);
}
template <class To, class From>
V128 add_pairs(V128 a) {
  Lanes<From> x = lanes_of<From>(a);
  Lanes<To> r;
  for (u32 i = 0; i < r.kCount; i++)
    r[i] = static_cast<To>(static_cast<To>(x[2 * i]) + static_cast<To>(x[2 * i + 1]));
  return vector_of(r);
}

template <class T>
V128 shift_left(V128 a, u64 count) {
  count %= 8 * sizeof(T);
  return map1<T>(a, [&](T x) { return static_cast<T>(static_cast<u64>(x) << count); });
}
template <class T>
V128 shift_right(V128 a, u64 count) {
  count %= 8 * sizeof(T);
  return map1<T>(a, [&](T x) { return static_cast<T>(x >> count); });
}

inline V128 interpret_shift(Opcode op, V128 a, u64 n) {
  using O = Opcode;
  switch (op) {
    case O::kI8x16Shl: return shift_left<u8>(a, n);
    case O::kI8x16ShrS: return shift_right<i8>(a, n);
    case O::kI8x16ShrU: return shift_right<u8>(a, n);
    case O::kI16x8Shl: return shift_left<u16>(a, n);
    case O::kI16x8ShrS: return shift_right<i16>(a, n);
    case O::kI16x8ShrU: return shift_right<u16>(a, n);
    case O::kI32x4Shl: return shift_left<u32>(a, n);
    case O::kI32x4ShrS: return shift_right<i32>(a, n);
    case O::kI32x4ShrU: return shift_right<u32>(a, n);
    case O::kI64x2Shl: return shift_left<u64>(a, n);
    case O::kI64x2ShrS: return shift_right<i64>(a, n);
    case O::kI64x2ShrU: return shift_right<u64>(a, n);
    default: std::abort();
  }
}

template <class T>
V128 splat(u64 bits) {
  Lanes<T> r;
  for (T& lane : r.lane) lane = static_cast<T>(bits);
  return vector_of(r);
}
inline V128 interpret_splat(Opcode op, u64 a) {
  switch (op) {
    case Opcode::kI8x16Splat: return splat<u8>(a);
    case Opcode::kI16x8Splat: return splat<u16>(a);
    case Opcode::kI32x4Splat:
    case Opcode::kF32x4Splat: return splat<u32>(a);
    default: return splat<u64>(a);
  }
}

template <class T>
u64 bitmask(V128 a) {
  u64 mask = 0;
  Lanes<T> x = lanes_of<T>(a);
  for (u32 i = 0; i < x.kCount; i++) mask |= u64{x[i] < 0} << i;
  return mask;
}
template <class T>
u64 all_true(V128 a) {
  u64 all = 1;
  for (T lane : lanes_of<T>(a).lane) all &= lane != 0;
  return all;
}
inline u64 interpret_test(Opcode op, V128 a) {
  using O = Opcode;
  switch (op) {
    case O::kV128AnyTrue: return (a.low | a.high) != 0;
    case O::kI8x16AllTrue: return all_true<u8>(a);
    case O::kI16x8AllTrue: return all_true<u16>(a);
    case O::kI32x4AllTrue: return all_true<u32>(a);
    case O::kI64x2AllTrue: return all_true<u64>(a);
    case O::kI8x16Bitmask: return bitmask<i8>(a);
    case O::kI16x8Bitmask: return bitmask<i16>(a);
    case O::kI32x4Bitmask: return bitmask<i32>(a);
    case O::kI64x2Bitmask: return bitmask<i64>(a);
    default: std::abort();
  }
}

inline u64 interpret_extract(Opcode op, V128 a, u32 lane) {
  using O = Opcode;
  switch (op) {
    case O::kI8x16ExtractLaneS: return static_cast<u32>(lanes_of<i8>(a)[lane]);
    case O::kI8x16ExtractLaneU: return lanes_of<u8>(a)[lane];
    case O::kI16x8ExtractLaneS: return static_cast<u32>(lanes_of<i16>(a)[lane]);
    case O::kI16x8ExtractLaneU: return lanes_of<u16>(a)[lane];
    case O::kI32x4ExtractLane:
    case O::kF32x4ExtractLane: return lanes_of<u32>(a)[lane];
    default: return lanes_of<u64>(a)[lane];
  }
}
// A lane of `bytes` bytes, given by number.
inline V128 replace_lane(V128 a, u32 bytes, u32 lane, u64 value) {
  std::memcpy(reinterpret_cast<u8*>(&a) + usize{lane} * bytes, &value, bytes);
  return a;
}
inline V128 interpret_replace(Opcode op, V128 a, u32 lane, u64 value) {
  return replace_lane(a, 16 / info_of(op).lanes, lane, value);
}

inline V128 interpret_shuffle(V128 a, V128 b, V128 lanes) {
  Lanes<u8> x = lanes_of<u8>(a), y = lanes_of<u8>(b), n = lanes_of<u8>(lanes), r;
  for (u32 i = 0; i < 16; i++) r[i] = n[i] < 16 ? x[n[i]] : y[n[i] - 16];
  return vector_of(r);
}

#define CASE_COMPARES(P, S, U)                                                  \
  case O::k##P##Eq: return compare2<U>(a, b, [](U x, U y) { return x == y; });  \
  case O::k##P##Ne: return compare2<U>(a, b, [](U x, U y) { return x != y; });  \
  case O::k##P##LtS: return compare2<S>(a, b, [](S x, S y) { return x < y; });  \
  case O::k##P##GtS: return compare2<S>(a, b, [](S x, S y) { return x > y; });  \
  case O::k##P##LeS: return compare2<S>(a, b, [](S x, S y) { return x <= y; }); \
  case O::k##P##GeS:                                                            \
    return compare2<S>(a, b, [](S x, S y) { return x >= y; });
#define CASE_UNSIGNED(P, S, U)                                                       \
  case O::k##P##LtU: return compare2<U>(a, b, [](U x, U y) { return x < y; });       \
  case O::k##P##GtU: return compare2<U>(a, b, [](U x, U y) { return x > y; });       \
  case O::k##P##LeU: return compare2<U>(a, b, [](U x, U y) { return x <= y; });      \
  case O::k##P##GeU: return compare2<U>(a, b, [](U x, U y) { return x >= y; });      \
  case O::k##P##MinS: return map2<S>(a, b, [](S x, S y) { return std::min(x, y); }); \
  case O::k##P##MinU: return map2<U>(a, b, [](U x, U y) { return std::min(x, y); }); \
  case O::k##P##MaxS: return map2<S>(a, b, [](S x, S y) { return std::max(x, y); }); \
  case O::k##P##MaxU:                                                                \
    return map2<U>(a, b, [](U x, U y) { return std::max(x, y); });
#define CASE_ADDS(P, U)                                                                    \
  case O::k##P##Add: return map2<U>(a, b, [](U x, U y) { return static_cast<U>(x + y); }); \
  case O::k##P##Sub:                                                                       \
    return map2<U>(a, b, [](U x, U y) { return static_cast<U>(x - y); });
#define CASE_SATURATING(P, S, U)                                                                 \
  case O::k##P##AddSatS: return map2<S>(a, b, [](S x, S y) { return saturate<S>(i64{x} + y); }); \
  case O::k##P##AddSatU: return map2<U>(a, b, [](U x, U y) { return saturate<U>(i64{x} + y); }); \
  case O::k##P##SubSatS: return map2<S>(a, b, [](S x, S y) { return saturate<S>(i64{x} - y); }); \
  case O::k##P##SubSatU: return map2<U>(a, b, [](U x, U y) { return saturate<U>(i64{x} - y); }); \
  case O::k##P##AvgrU:                                                                           \
    return map2<U>(a, b, [](U x, U y) { return static_cast<U>((u32{x} + y + 1) / 2); });
#define CASE_UNARIES(P, S, U)                                                                 \
  case O::k##P##Abs:                                                                          \
    return map1<U>(a, [](U x) { return static_cast<U>(static_cast<S>(x) < 0 ? 0 - x : x); }); \
  case O::k##P##Neg:                                                                          \
    return map1<U>(a, [](U x) { return static_cast<U>(0 - x); });
#define CASE_EXTENDS(P, Q, WS, WU, NS, NU)                                        \
  case O::k##P##ExtendLow##Q##S: return vector_of(extend_half<WS, NS>(a, false)); \
  case O::k##P##ExtendHigh##Q##S: return vector_of(extend_half<WS, NS>(a, true)); \
  case O::k##P##ExtendLow##Q##U: return vector_of(extend_half<WU, NU>(a, false)); \
  case O::k##P##ExtendHigh##Q##U:                                                 \
    return vector_of(extend_half<WU, NU>(a, true));
#define CASE_EXTMULS(P, Q, WS, WU, NS, NU)                                    \
  case O::k##P##ExtmulLow##Q##S: return extend_multiply<WS, NS>(a, b, false); \
  case O::k##P##ExtmulHigh##Q##S: return extend_multiply<WS, NS>(a, b, true); \
  case O::k##P##ExtmulLow##Q##U: return extend_multiply<WU, NU>(a, b, false); \
  case O::k##P##ExtmulHigh##Q##U:                                             \
    return extend_multiply<WU, NU>(a, b, true);
#define CASE_FLOAT_UNARIES(P, F, I, SIGN)                                                  \
  case O::k##P##Abs: return map1<I>(a, [](I x) { return x & ~(SIGN); });                   \
  case O::k##P##Neg: return map1<I>(a, [](I x) { return x ^ (SIGN); });                    \
  case O::k##P##Sqrt: return map1<F>(a, [](F x) { return float_unary(Op::kFSqrt, x); });   \
  case O::k##P##Ceil: return map1<F>(a, [](F x) { return float_unary(Op::kFCeil, x); });   \
  case O::k##P##Floor: return map1<F>(a, [](F x) { return float_unary(Op::kFFloor, x); }); \
  case O::k##P##Trunc: return map1<F>(a, [](F x) { return float_unary(Op::kFTrunc, x); }); \
  case O::k##P##Nearest:                                                                   \
    return map1<F>(a, [](F x) { return float_unary(Op::kFNearest, x); });
#define CASE_FLOATS(P, F)                                                           \
  case O::k##P##Eq: return compare2<F>(a, b, [](F x, F y) { return x == y; });      \
  case O::k##P##Ne: return compare2<F>(a, b, [](F x, F y) { return x != y; });      \
  case O::k##P##Lt: return compare2<F>(a, b, [](F x, F y) { return x < y; });       \
  case O::k##P##Gt: return compare2<F>(a, b, [](F x, F y) { return x > y; });       \
  case O::k##P##Le: return compare2<F>(a, b, [](F x, F y) { return x <= y; });      \
  case O::k##P##Ge: return compare2<F>(a, b, [](F x, F y) { return x >= y; });      \
  case O::k##P##Add: return map2<F>(a, b, [](F x, F y) { return x + y; });          \
  case O::k##P##Sub: return map2<F>(a, b, [](F x, F y) { return x - y; });          \
  case O::k##P##Mul: return map2<F>(a, b, [](F x, F y) { return x * y; });          \
  case O::k##P##Div: return map2<F>(a, b, [](F x, F y) { return x / y; });          \
  case O::k##P##Min: return map2<F>(a, b, float_min<F>);                            \
  case O::k##P##Max: return map2<F>(a, b, float_max<F>);                            \
  case O::k##P##Pmin: return map2<F>(a, b, [](F x, F y) { return y < x ? y : x; }); \
  case O::k##P##Pmax: return map2<F>(a, b, [](F x, F y) { return x < y ? y : x; });

inline V128 interpret_vector1(Opcode op, V128 a) {
  using O = Opcode;
  using ir::Op;
  bool fits;
  switch (op) {
    case O::kV128Not: return {~a.low, ~a.high};
    case O::kI8x16Popcnt:
      return map1<u8>(a, [](u8 x) { return static_cast<u8>(__builtin_popcount(x)); });
      CASE_UNARIES(I8x16, i8, u8)
      CASE_UNARIES(I16x8, i16, u16)
      CASE_UNARIES(I32x4, i32, u32)
      CASE_UNARIES(I64x2, i64, u64)
      CASE_EXTENDS(I16x8, I8x16, i16, u16, i8, u8)
      CASE_EXTENDS(I32x4, I16x8, i32, u32, i16, u16)
      CASE_EXTENDS(I64x2, I32x4, i64, u64, i32, u32)
    case O::kI16x8ExtaddPairwiseI8x16S: return add_pairs<i16, i8>(a);
    case O::kI16x8ExtaddPairwiseI8x16U: return add_pairs<u16, u8>(a);
    case O::kI32x4ExtaddPairwiseI16x8S: return add_pairs<i32, i16>(a);
    case O::kI32x4ExtaddPairwiseI16x8U:
      return add_pairs<u32, u16>(a);
      CASE_FLOAT_UNARIES(F32x4, float, u32, u32{1} << 31)
      CASE_FLOAT_UNARIES(F64x2, double, u64, u64{1} << 63)
    default: break;
  }
  Lanes<float> f = lanes_of<float>(a);
  Lanes<double> d = lanes_of<double>(a);
  Lanes<u32> w = lanes_of<u32>(a);
  Lanes<u32> r = {};
  switch (op) {
    case O::kI32x4TruncSatF32x4S:
    case O::kI32x4TruncSatF32x4U:
      for (u32 i = 0; i < 4; i++)
        r[i] = static_cast<u32>(truncate_bits(f[i], false, op == O::kI32x4TruncSatF32x4S, &fits));
      return vector_of(r);
    case O::kI32x4TruncSatF64x2SZero:
    case O::kI32x4TruncSatF64x2UZero:
      for (u32 i = 0; i < 2; i++)
        r[i] =
            static_cast<u32>(truncate_bits(d[i], false, op == O::kI32x4TruncSatF64x2SZero, &fits));
      return vector_of(r);
    case O::kF32x4ConvertI32x4S:
    case O::kF32x4ConvertI32x4U:
      for (u32 i = 0; i < 4; i++)
        f[i] = from_integer<float>(w[i], false, op == O::kF32x4ConvertI32x4S);
      return vector_of(f);
    case O::kF64x2ConvertLowI32x4S:
    case O::kF64x2ConvertLowI32x4U:
      for (u32 i = 0; i < 2; i++)
        d[i] = from_integer<double>(w[i], false, op == O::kF64x2ConvertLowI32x4S);
      return vector_of(d);
    case O::kF32x4DemoteF64x2Zero:
      for (u32 i = 0; i < 4; i++) f[i] = i < 2 ? static_cast<float>(d[i]) : 0;
      return vector_of(f);
    case O::kF64x2PromoteLowF32x4:
      for (u32 i = 0; i < 2; i++) d[i] = static_cast<double>(f[i]);
      return vector_of(d);
    default: std::abort();
  }
}

inline V128 interpret_vector2(Opcode op, V128 a, V128 b) {
  using O = Opcode;
  switch (op) {
    case O::kV128And: return {a.low & b.low, a.high & b.high};
    case O::kV128Andnot: return {a.low & ~b.low, a.high & ~b.high};
    case O::kV128Or: return {a.low | b.low, a.high | b.high};
    case O::kV128Xor: return {a.low ^ b.low, a.high ^ b.high};
    case O::kI8x16Swizzle: {
      Lanes<u8> x = lanes_of<u8>(a);
      return map1<u8>(b, [&](u8 n) { return n < 16 ? x[n] : u8{0}; });
    }
      CASE_COMPARES(I8x16, i8, u8)
      CASE_COMPARES(I16x8, i16, u16)
      CASE_COMPARES(I32x4, i32, u32)
      CASE_COMPARES(I64x2, i64, u64)
      CASE_UNSIGNED(I8x16, i8, u8)
      CASE_UNSIGNED(I16x8, i16, u16)
      CASE_UNSIGNED(I32x4, i32, u32)
      CASE_ADDS(I8x16, u8)
      CASE_ADDS(I16x8, u16)
      CASE_ADDS(I32x4, u32)
      CASE_ADDS(I64x2, u64)
      CASE_SATURATING(I8x16, i8, u8)
      CASE_SATURATING(I16x8, i16, u16)
      CASE_EXTMULS(I16x8, I8x16, i16, u16, i8, u8)
      CASE_EXTMULS(I32x4, I16x8, i32, u32, i16, u16)
      CASE_EXTMULS(I64x2, I32x4, i64, u64, i32, u32)
      CASE_FLOATS(F32x4, float)
      CASE_FLOATS(F64x2, double)
    case O::kI16x8Mul: return map2<u16>(a, b, [](u32 x, u32 y) { return static_cast<u16>(x * y); });
    case O::kI32x4Mul: return map2<u32>(a, b, [](u32 x, u32 y) { return x * y; });
    case O::kI64x2Mul: return map2<u64>(a, b, [](u64 x, u64 y) { return x * y; });
    case O::kI16x8Q15mulrSatS:
      return map2<i16>(a, b,
                       [](i16 x, i16 y) { return saturate<i16>((i64{x} * y + 0x4000) >> 15); });
    case O::kI32x4DotI16x8S: {
      Lanes<i16> x = lanes_of<i16>(a), y = lanes_of<i16>(b);
      Lanes<u32> r;
      for (u32 i = 0; i < 4; i++)
        r[i] =
            static_cast<u32>(x[2 * i] * y[2 * i]) + static_cast<u32>(x[2 * i + 1] * y[2 * i + 1]);
      return vector_of(r);
    }
    case O::kI8x16NarrowI16x8S: return narrow<i8, i16>(a, b);
    case O::kI8x16NarrowI16x8U: return narrow<u8, i16>(a, b);
    case O::kI16x8NarrowI32x4S: return narrow<i16, i32>(a, b);
    case O::kI16x8NarrowI32x4U: return narrow<u16, i32>(a, b);
    default: std::abort();
  }
}

inline V128 interpret_vector3(Opcode op, V128 a, V128 b, V128 c) {
  if (op != Opcode::kV128Bitselect) std::abort();
  return {(a.low & c.low) | (b.low & ~c.low), (a.high & c.high) | (b.high & ~c.high)};
}

// What a load of one of the vector kinds makes of the bytes it reads.
inline V128 load_vector(const u8* at, ir::MemKind kind) {
  using K = ir::MemKind;
  V128 raw = {};
  std::memcpy(&raw, at, bytes_of(kind));
  switch (kind) {
    case K::k8x8S: return vector_of(extend_half<i16, i8>(raw, false));
    case K::k8x8U: return vector_of(extend_half<u16, u8>(raw, false));
    case K::k16x4S: return vector_of(extend_half<i32, i16>(raw, false));
    case K::k16x4U: return vector_of(extend_half<u32, u16>(raw, false));
    case K::k32x2S: return vector_of(extend_half<i64, i32>(raw, false));
    case K::k32x2U: return vector_of(extend_half<u64, u32>(raw, false));
    case K::k8Splat: return splat<u8>(raw.low);
    case K::k16Splat: return splat<u16>(raw.low);
    case K::k32Splat: return splat<u32>(raw.low);
    case K::k64Splat: return splat<u64>(raw.low);
    default: return raw;
  }
}

}  // namespace wring::test
