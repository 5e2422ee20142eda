// SPDX-License-Identifier: GPL-2.0
// Plain C++ models of the Wasm vector operations, by their text names: "i16x8.add_sat_s" is the operation
// "add_sat_s" on lanes "i16x8". NaNs are checked by accepts().
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <type_traits>

#include "core/base/types.h"

namespace wring::test::simd {

struct V {
  u64 low = 0, high = 0;
  bool operator==(const V&) const = default;
};
template <class T>
using Lanes = std::array<T, 16 / sizeof(T)>;
template <class T>
Lanes<T> lanes_of(V v) {
  return std::bit_cast<Lanes<T>>(v);
}
template <class T>
V to_v(const Lanes<T>& lanes) {
  return std::bit_cast<V>(lanes);
}

template <class T>
T saturate(i64 x) {
  i64 low = static_cast<i64>(std::numeric_limits<T>::min()),
      high = static_cast<i64>(std::numeric_limits<T>::max());
  return static_cast<T>(x < low ? low : x > high ? high : x);
}

template <class F>
bool is_canonical_nan(F x) {
  using Bits = std::conditional_t<sizeof(F) == 4, u32, u64>;
  Bits bits = std::bit_cast<Bits>(x) << 1 >> 1;
  return bits == (sizeof(F) == 4 ? Bits{0x7fc0'0000} : static_cast<Bits>(0x7ff8'0000'0000'0000));
}
template <class F>
bool is_quiet_nan(F x) {
  using Bits = std::conditional_t<sizeof(F) == 4, u32, u64>;
  Bits quiet = static_cast<Bits>(Bits{1} << (sizeof(F) == 4 ? 22 : 51));
  return std::isnan(x) && (std::bit_cast<Bits>(x) & quiet);
}

// ---- lanes of integers

template <class S>
struct Ints {
  using U = std::make_unsigned_t<S>;

  static S compute(const std::string& op, S a, S b) {
    U ua = static_cast<U>(a), ub = static_cast<U>(b);
    i64 wa = a, wb = b;
    i64 za = static_cast<i64>(ua), zb = static_cast<i64>(ub);
    auto mask = [](bool x) { return static_cast<S>(x ? -1 : 0); };
    if (op == "add") return static_cast<S>(ua + ub);
    if (op == "sub") return static_cast<S>(ua - ub);
    if (op == "mul") return static_cast<S>(static_cast<u64>(ua) * ub);
    if (op == "neg") return static_cast<S>(U{0} - ua);
    if (op == "abs") return a < 0 ? static_cast<S>(U{0} - ua) : a;
    if (op == "add_sat_s") return saturate<S>(wa + wb);
    if (op == "sub_sat_s") return saturate<S>(wa - wb);
    if (op == "add_sat_u") return static_cast<S>(saturate<U>(za + zb));
    if (op == "sub_sat_u") return static_cast<S>(saturate<U>(za - zb));
    if (op == "min_s") return a < b ? a : b;
    if (op == "max_s") return a > b ? a : b;
    if (op == "min_u") return static_cast<S>(ua < ub ? ua : ub);
    if (op == "max_u") return static_cast<S>(ua > ub ? ua : ub);
    if (op == "avgr_u") return static_cast<S>((za + zb + 1) / 2);
    if (op == "q15mulr_sat_s") return saturate<S>((wa * wb + 0x4000) >> 15);
    if (op == "popcnt") return static_cast<S>(std::popcount(ua));
    if (op == "eq") return mask(a == b);
    if (op == "ne") return mask(a != b);
    if (op == "lt_s") return mask(a < b);
    if (op == "gt_s") return mask(a > b);
    if (op == "le_s") return mask(a <= b);
    if (op == "ge_s") return mask(a >= b);
    if (op == "lt_u") return mask(ua < ub);
    if (op == "gt_u") return mask(ua > ub);
    if (op == "le_u") return mask(ua <= ub);
    if (op == "ge_u") return mask(ua >= ub);
    u32 count = static_cast<u32>(ub) % (8 * sizeof(S));
    if (op == "shl") return static_cast<S>(ua << count);
    if (op == "shr_s") return static_cast<S>(a >> count);
    if (op == "shr_u") return static_cast<S>(ua >> count);
    ADD_FAILURE() << op;
    return 0;
  }

  static V eval(const std::string& op, V a, V b, u32 lane) {
    Lanes<S> x = lanes_of<S>(a), y = lanes_of<S>(b), out{};
    if (op == "splat") {
      for (S& s : out) s = x[0];
      return to_v<S>(out);
    }
    if (op == "replace_lane") {
      x[lane] = y[0];
      return to_v<S>(x);
    }
    if (op == "extract_lane" || op == "extract_lane_u") return {static_cast<U>(x[lane])};
    if (op == "extract_lane_s") return {static_cast<u32>(static_cast<i32>(x[lane]))};
    if (op == "all_true") {
      for (S s : x)
        if (s == 0) return {0};
      return {1};
    }
    if (op == "bitmask") {
      u64 bits = 0;
      for (u32 i = 0; i < x.size(); i++) bits |= u64{x[i] < 0} << i;
      return {bits};
    }
    bool is_shift = op == "shl" || op == "shr_s" || op == "shr_u";
    for (u32 i = 0; i < x.size(); i++) out[i] = compute(op, x[i], y[is_shift ? 0 : i]);
    return to_v<S>(out);
  }
};

// From lanes of type N to lanes of the double width.
template <class N, class W>
V widen(const std::string& op, V a, V b, bool& known) {
  Lanes<N> x = lanes_of<N>(a), y = lanes_of<N>(b);
  Lanes<W> out{};
  known = true;
  for (u32 i = 0; i < out.size(); i++) {
    u32 high = i + static_cast<u32>(out.size());
    if (op.starts_with("extend_low_"))
      out[i] = static_cast<W>(x[i]);
    else if (op.starts_with("extend_high_"))
      out[i] = static_cast<W>(x[high]);
    else if (op.starts_with("extmul_low_"))
      out[i] = static_cast<W>(static_cast<W>(x[i]) * static_cast<W>(y[i]));
    else if (op.starts_with("extmul_high_"))
      out[i] = static_cast<W>(static_cast<W>(x[high]) * static_cast<W>(y[high]));
    else if (op.starts_with("extadd_pairwise_"))
      out[i] = static_cast<W>(static_cast<W>(x[2 * i]) + static_cast<W>(x[2 * i + 1]));
    else if (op.starts_with("dot_"))
      out[i] = static_cast<W>(static_cast<u32>(x[2 * i] * y[2 * i]) +
                              static_cast<u32>(x[2 * i + 1] * y[2 * i + 1]));
    else
      known = false;
  }
  return to_v<W>(out);
}
template <class W, class N>
V narrow(V a, V b) {
  Lanes<W> x = lanes_of<W>(a), y = lanes_of<W>(b);
  Lanes<N> out{};
  for (u32 i = 0; i < x.size(); i++) {
    out[i] = saturate<N>(x[i]);
    out[i + x.size()] = saturate<N>(y[i]);
  }
  return to_v<N>(out);
}

// ---- lanes of floats

template <class F>
struct Floats {
  using Bits = std::conditional_t<sizeof(F) == 4, u32, u64>;
  static constexpr Bits kSign = Bits{1} << (8 * sizeof(F) - 1);

  static F compute(const std::string& op, F a, F b) {
    auto mask = [](bool x) { return std::bit_cast<F>(x ? ~Bits{0} : Bits{0}); };
    constexpr F kNan = std::numeric_limits<F>::quiet_NaN();
    if (op == "abs") return std::bit_cast<F>(static_cast<Bits>(std::bit_cast<Bits>(a) & ~kSign));
    if (op == "neg") return std::bit_cast<F>(static_cast<Bits>(std::bit_cast<Bits>(a) ^ kSign));
    if (op == "sqrt") return std::sqrt(a);
    if (op == "ceil") return std::ceil(a);
    if (op == "floor") return std::floor(a);
    if (op == "trunc") return std::trunc(a);
    if (op == "nearest") return std::nearbyint(a);
    if (op == "add") return a + b;
    if (op == "sub") return a - b;
    if (op == "mul") return a * b;
    if (op == "div") return a / b;
    if (op == "pmin") return b < a ? b : a;
    if (op == "pmax") return a < b ? b : a;
    if (op == "eq") return mask(a == b);
    if (op == "ne") return mask(a != b);
    if (op == "lt") return mask(a < b);
    if (op == "gt") return mask(a > b);
    if (op == "le") return mask(a <= b);
    if (op == "ge") return mask(a >= b);
    bool is_min = op == "min";
    if (!is_min && op != "max") ADD_FAILURE() << op;
    if (std::isnan(a) || std::isnan(b)) return kNan;
    if (a == b) return std::signbit(a) == is_min ? a : b;
    return (a < b) == is_min ? a : b;
  }

  static V eval(const std::string& op, V a, V b, u32 lane) {
    Lanes<F> x = lanes_of<F>(a), y = lanes_of<F>(b), out{};
    if (op == "splat" || op == "replace_lane" || op.starts_with("extract_lane"))
      return Ints<std::make_signed_t<Bits>>::eval(op, a, b, lane);
    for (u32 i = 0; i < x.size(); i++) out[i] = compute(op, x[i], y[i]);
    return to_v<F>(out);
  }
};

template <class T, class F>
T truncate(F x) {
  if (std::isnan(x)) return 0;
  if (x <= static_cast<F>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  if (x >=
      -2 * static_cast<F>(std::numeric_limits<i32>::min()) * (std::is_signed_v<T> ? F{0.5} : F{1}))
    return std::numeric_limits<T>::max();
  return static_cast<T>(x);
}

inline V convert(const std::string& op, V a, bool& known) {
  Lanes<i32> s = lanes_of<i32>(a), is{};
  Lanes<u32> u = lanes_of<u32>(a), iu{};
  Lanes<float> f = lanes_of<float>(a), of{};
  Lanes<double> d = lanes_of<double>(a), od{};
  known = true;
  if (op == "trunc_sat_f32x4_s") {
    for (u32 i = 0; i < 4; i++) is[i] = truncate<i32>(f[i]);
    return to_v<i32>(is);
  }
  if (op == "trunc_sat_f32x4_u") {
    for (u32 i = 0; i < 4; i++) iu[i] = truncate<u32>(f[i]);
    return to_v<u32>(iu);
  }
  if (op == "trunc_sat_f64x2_s_zero")
    return to_v<i32>({truncate<i32>(d[0]), truncate<i32>(d[1]), 0, 0});
  if (op == "trunc_sat_f64x2_u_zero")
    return to_v<u32>({truncate<u32>(d[0]), truncate<u32>(d[1]), 0, 0});
  for (u32 i = 0; i < 4; i++) {
    if (op == "convert_i32x4_s") of[i] = static_cast<float>(s[i]);
    if (op == "convert_i32x4_u") of[i] = static_cast<float>(u[i]);
    if (op == "demote_f64x2_zero") of[i] = i < 2 ? static_cast<float>(d[i]) : 0;
  }
  if (op == "convert_i32x4_s" || op == "convert_i32x4_u" || op == "demote_f64x2_zero")
    return to_v<float>(of);
  for (u32 i = 0; i < 2; i++) {
    if (op == "convert_low_i32x4_s") od[i] = s[i];
    if (op == "convert_low_i32x4_u") od[i] = u[i];
    if (op == "promote_low_f32x4") od[i] = f[i];
  }
  known = op == "convert_low_i32x4_s" || op == "convert_low_i32x4_u" || op == "promote_low_f32x4";
  return to_v<double>(od);
}

// ---- all

inline V bytes_from(V a, V b, V lanes, bool swizzle) {
  Lanes<u8> x = lanes_of<u8>(a), y = lanes_of<u8>(b), n = lanes_of<u8>(lanes), out{};
  for (u32 i = 0; i < 16; i++) {
    if (swizzle)
      out[i] = n[i] < 16 ? x[n[i]] : 0;
    else
      out[i] = n[i] < 16 ? x[n[i]] : y[n[i] - 16];
  }
  return to_v<u8>(out);
}

// Scalars are in the low lane; c is the mask of bitselect, or the lane numbers of a shuffle.
inline V eval(const std::string& text, V a, V b, V c, u32 lane) {
  usize dot = text.find('.');
  std::string shape = text.substr(0, dot), op = text.substr(dot + 1);
  if (shape == "v128") {
    if (op == "not") return {~a.low, ~a.high};
    if (op == "and") return {a.low & b.low, a.high & b.high};
    if (op == "andnot") return {a.low & ~b.low, a.high & ~b.high};
    if (op == "or") return {a.low | b.low, a.high | b.high};
    if (op == "xor") return {a.low ^ b.low, a.high ^ b.high};
    if (op == "bitselect")
      return {(a.low & c.low) | (b.low & ~c.low), (a.high & c.high) | (b.high & ~c.high)};
    if (op == "any_true") return {(a.low | a.high) != 0};
    ADD_FAILURE() << text;
  }
  if (op == "swizzle") return bytes_from(a, a, b, true);
  if (op == "shuffle") return bytes_from(a, b, c, false);
  if (text == "i8x16.narrow_i16x8_s") return narrow<i16, i8>(a, b);
  if (text == "i8x16.narrow_i16x8_u") return narrow<i16, u8>(a, b);
  if (text == "i16x8.narrow_i32x4_s") return narrow<i32, i16>(a, b);
  if (text == "i16x8.narrow_i32x4_u") return narrow<i32, u16>(a, b);
  bool known = false;
  V out;
  bool is_signed = op.ends_with("_s");
  if (op.find("_i8x16_") != std::string::npos)
    out = is_signed ? widen<i8, i16>(op, a, b, known) : widen<u8, u16>(op, a, b, known);
  else if (op.find("_i16x8_") != std::string::npos)
    out = is_signed ? widen<i16, i32>(op, a, b, known) : widen<u16, u32>(op, a, b, known);
  else if (op.find("_i32x4_") != std::string::npos && shape == "i64x2")
    out = is_signed ? widen<i32, i64>(op, a, b, known) : widen<u32, u64>(op, a, b, known);
  if (known) return out;
  out = convert(op, a, known);
  if (known) return out;
  if (shape == "i8x16") return Ints<i8>::eval(op, a, b, lane);
  if (shape == "i16x8") return Ints<i16>::eval(op, a, b, lane);
  if (shape == "i32x4") return Ints<i32>::eval(op, a, b, lane);
  if (shape == "i64x2") return Ints<i64>::eval(op, a, b, lane);
  if (shape == "f32x4") return Floats<float>::eval(op, a, b, lane);
  return Floats<double>::eval(op, a, b, lane);
}

// Whether the operation may give any quiet NaN where the model gives a NaN, as long as that is canonical if all NaNs
// among the operands are.
inline bool is_arithmetic(const std::string& text) {
  usize dot = text.find('.');
  std::string op = text.substr(dot + 1);
  if (text[0] != 'f') return false;
  for (const char* name : {"sqrt", "ceil", "floor", "trunc", "nearest", "add", "sub", "mul", "div",
                           "min", "max", "demote_f64x2_zero", "promote_low_f32x4"})
    if (op == name) return true;
  return false;
}

template <class F>
bool accepts_lanes(V want, V got, bool any_payload) {
  Lanes<F> w = lanes_of<F>(want), g = lanes_of<F>(got);
  for (u32 i = 0; i < w.size(); i++) {
    if (std::isnan(w[i])) {
      if (any_payload ? !is_quiet_nan(g[i]) : !is_canonical_nan(g[i])) return false;
    } else if (std::memcmp(&w[i], &g[i], sizeof(F)) != 0) {
      return false;
    }
  }
  return true;
}
template <class F>
bool all_canonical(V v) {
  for (F x : lanes_of<F>(v))
    if (std::isnan(x) && !is_canonical_nan(x)) return false;
  return true;
}
inline bool accepts(const std::string& text, V a, V b, V want, V got) {
  if (!is_arithmetic(text)) return want == got;
  bool from_f32 = text.find("promote") != std::string::npos ||
                  (text[1] == '3' && text.find("demote") == std::string::npos);
  bool canonical = from_f32 ? all_canonical<float>(a) && all_canonical<float>(b)
                            : all_canonical<double>(a) && all_canonical<double>(b);
  return text[1] == '3' ? accepts_lanes<float>(want, got, !canonical)
                        : accepts_lanes<double>(want, got, !canonical);
}

}  // namespace wring::test::simd
