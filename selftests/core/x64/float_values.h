// SPDX-License-Identifier: GPL-2.0
// What tests of floating point share: special values, formats, operands in every form.
#pragma once

#include <bit>
#include <random>

#include "selftests/core/x64/native.h"

namespace wring::test {

constexpr Type kI32 = Type::kI32, kI64 = Type::kI64, kF32 = Type::kF32, kF64 = Type::kF64;

inline char letter(Type type) {
  return type == kI32 ? 'i' : type == kI64 ? 'l' : type == kF32 ? 'f' : 'd';
}
inline MemKind full(Type type) {
  return type == kI32 || type == kF32 ? MemKind::k32U : MemKind::k64;
}

inline double as_f64(u64 bits) { return std::bit_cast<double>(bits); }
inline float as_f32(u64 bits) { return std::bit_cast<float>(static_cast<u32>(bits)); }
inline u64 bits_of(double x) { return std::bit_cast<u64>(x); }
inline u64 bits_of(float x) { return std::bit_cast<u32>(x); }

// A format's parts.
struct Format {
  u64 sign, infinity, quiet;
};
inline Format format_of(Type type) {
  if (type == kF32) return {0x8000'0000, 0x7f80'0000, 0x40'0000};
  return {u64{1} << 63, 0x7ff0'0000'0000'0000, u64{1} << 51};
}
inline bool is_nan(Type type, u64 bits) {
  Format f = format_of(type);
  return (bits & (f.sign - 1)) > f.infinity;
}
inline bool is_canonical(Type type, u64 bits) {
  Format f = format_of(type);
  return (bits & (f.sign - 1)) == (f.infinity | f.quiet);
}
inline bool is_quiet_nan(Type type, u64 bits) {
  return is_nan(type, bits) && (bits & format_of(type).quiet);
}

inline std::vector<u64> floats(Type type) {
  const double kInteresting[] = {0.0,
                                 1.0,
                                 0.5,
                                 0.49999999999999994,
                                 0.75,
                                 1.5,
                                 2.5,
                                 3.5,
                                 0.9999999999,
                                 1e-300,
                                 1e300,
                                 123456.789,
                                 8388607.5,
                                 8388609.0,
                                 16777217.0,
                                 4503599627370495.5,
                                 4503599627370497.5,
                                 9007199254740993.0,
                                 2147483646.5,
                                 2147483647.0,
                                 2147483647.5,
                                 2147483648.0,
                                 2147483648.5,
                                 2147483649.0,
                                 2147483904.0,
                                 4294967294.5,
                                 4294967295.0,
                                 4294967295.5,
                                 4294967296.0,
                                 9223372036854774784.0,
                                 9223372036854775808.0,
                                 9223372036854777856.0,
                                 18446744073709549568.0,
                                 18446744073709551616.0,
                                 3.4028235677973366e38,
                                 3.4028234663852886e38,
                                 1.1754943508222875e-38,
                                 1e-45,
                                 7e-46,
                                 5e-324,
                                 2.2250738585072014e-308,
                                 1.7976931348623157e308};
  std::vector<u64> out;
  Format f = format_of(type);
  std::mt19937_64 random(1);
  constexpr u32 kRandomValues = 8;
  auto add = [&](u64 bits) {
    for (u64 x : {bits, bits ^ f.sign})
      if (std::find(out.begin(), out.end(), x) == out.end()) out.push_back(x);
  };
  for (double x : kInteresting) add(type == kF32 ? bits_of(static_cast<float>(x)) : bits_of(x));
  for (u64 bits : {u64{1}, f.infinity - 1, f.infinity, f.infinity | f.quiet, f.infinity | 1,
                   f.infinity | f.quiet | 5, f.infinity | (f.quiet - 1), f.sign - 1})
    add(bits);
  for (u32 i = 0; i < kRandomValues; i++) {
    u64 bits = random() & (f.sign | (f.sign - 1));
    add(bits);
    add((bits & ~f.infinity) | (bits & f.infinity & (f.infinity >> 4)) |
        (f.infinity >> 1 & ~(f.infinity >> 4)));
  }
  return out;
}

// One of each kind, where every pair is tried many times.
inline std::vector<u64> few_floats(Type type) {
  Format f = format_of(type);
  std::vector<u64> out;
  for (u64 bits : {u64{0}, u64{1}, type == kF32 ? bits_of(1.5f) : bits_of(1.5), f.infinity - 1,
                   f.infinity, f.infinity | f.quiet, f.infinity | 1})
    for (u64 x : {bits, bits | f.sign}) out.push_back(x);
  return out;
}

enum class Form { kParam, kMemory, kConst, kQuiet };

inline Value operand(IrBuilder& b, Form form, Type type, u32 index, u64 constant) {
  switch (form) {
    case Form::kParam: return b.param(index, type);
    case Form::kConst: return b.constant(type, constant);
    case Form::kMemory: return b.load(type, full(type), b.c32(8 * index));
    case Form::kQuiet:  // the same value, no signalling NaN any more
      return b.op(Op::kFMul, type, b.param(index, type),
                  b.constant(type, type == kF32 ? bits_of(1.0f) : bits_of(1.0)));
  }
  return kNone;
}

}  // namespace wring::test
