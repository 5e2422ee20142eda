// SPDX-License-Identifier: GPL-2.0
// Division by constants: shifts for powers of two, else multiplication by a reciprocal (Granlund and Montgomery,
// "Division by invariant integers using multiplication", 1994; Hacker's Delight, chapter 10).
#include "core/opt/gvn.h"

namespace wring::opt {

namespace {

u32 ceil_log2(u64 x) { return x <= 1 ? 0 : 64 - static_cast<u32>(__builtin_clzll(x - 1)); }

// floor(hi:0 / d) for hi < d, by long division: a 128-bit division would call a library.
u64 divide_high(u64 hi, u64 d, u64* remainder) {
  u64 quotient = 0;
  for (u32 i = 0; i < 64; i++) {
    bool carry = hi >> 63;
    hi <<= 1;
    quotient <<= 1;
    if (carry || hi >= d) {
      hi -= d;
      quotient |= 1;
    }
  }
  *remainder = hi;
  return quotient;
}

}  // namespace

Value Gvn::simplify_division(Inst* inst) {
  Type type = inst->type;
  Value a = inst->arg[0], b = inst->arg[1];
  u64 d, positive = mask_of(type) >> 1;
  bool is_rem = inst->op == Op::kRemS || inst->op == Op::kRemU;
  bool is_signed = inst->op == Op::kDivS || inst->op == Op::kRemS;
  ValueInfo x = facts_.info(a), y = facts_.info(b);
  if (is_signed && x.hi <= positive && y.hi <= positive) {
    inst->op = is_rem ? Op::kRemU : Op::kDivU;
    return kNone;
  }
  if (!is_const(b, &d)) {
    if (is_signed) return kNone;
    if (is_rem && x.hi < y.lo) return a;
    if (type == Type::kI64 && x.hi <= 0xffff'ffff && y.hi <= 0xffff'ffff) {
      // Much faster in 32 bits.
      Inst narrow = make_inst(inst->op, Type::kI32, make(Op::kWrap, Type::kI32, a),
                              make(Op::kWrap, Type::kI32, b));
      narrow.pinned = inst->pinned;
      return make(Op::kZExtI32, type, number(narrow, kNone));
    }
    return kNone;
  }
  if (d == 0) return kNone;  // after a check that always traps
  i64 divisor = type == Type::kI32 ? static_cast<i32>(d) : static_cast<i64>(d);
  if (!is_signed) {
    if (is_rem && is_power_of_two(d)) return make(Op::kAnd, type, a, constant(type, d - 1));
  } else if (divisor == -1) {
    if (is_rem) return constant(type, 0);
    return make(Op::kSub, type, constant(type, 0), a);  // its check has excluded the overflow
  }
  Value quotient = is_signed ? divide_signed(a, divisor, type) : divide_unsigned(a, d, type);
  if (!is_rem) return quotient;
  return make(Op::kSub, type, a, make(Op::kMul, type, quotient, b));
}

Value Gvn::divide_unsigned(Value x, u64 d, Type type) {
  constexpr Type kI64 = Type::kI64;
  if (d == 1) return x;
  if (is_power_of_two(d)) return make(Op::kShrU, type, x, constant(type, count_trailing_zeros(d)));
  if (type == Type::kI32) {
    // ceil(2^64 / d) is exact enough for any 32-bit dividend: the error, less than x / 2^64, is less than 1 / d.
    u64 reciprocal = ~u64{0} / d + 1;
    // A smaller reciprocal, if it is exact enough too, makes do with a plain multiplication.
    u32 log = ceil_log2(d);
    u64 small = ((u64{1} << (31 + log)) + d - 1) / d;
    u64 excess = small * d - (u64{1} << (31 + log));
    Value wide = make(Op::kZExtI32, kI64, x);
    u64 most = facts_.info(x).hi;
    // small < 2^32; excess * x < 2^(31 + log) is what exactness takes.
    if (excess * most < (u64{1} << (31 + log)) && small <= 0xffff'ffff) {
      Value product = make(Op::kMul, kI64, wide, constant(kI64, small));
      return make(Op::kWrap, type, make(Op::kShrU, kI64, product, constant(kI64, 31 + log)));
    }
    return make(Op::kWrap, type, make(Op::kMulHiU, kI64, wide, constant(kI64, reciprocal)));
  }
  // m = floor(2^64 (2^log - d) / d) + 1; q = (mulhi(x, m) + x) >> log in 65 bits.
  u32 log = ceil_log2(d);
  u64 remainder;
  u64 high = log == 64 ? 0 - d : (u64{1} << log) - d;
  u64 m = divide_high(high, d, &remainder) + 1;
  // If 2^64 + m is even enough, halves of it stay exact and fit 64 bits: try with one bit less of precision.
  u64 half =
      divide_high(u64{1} << (log - 1), d, &remainder);  // floor(2^(63 + log) / d), below 2^64
  u64 excess = d - remainder;                           // of half + 1 over the exact value, times d
  if (log <= 64 && excess <= (u64{1} << (log - 1))) {
    Value product = make(Op::kMulHiU, type, x, constant(type, half + 1));
    return make(Op::kShrU, type, product, constant(type, log - 1));
  }
  Value product = make(Op::kMulHiU, type, x, constant(type, m));
  Value rest = make(Op::kShrU, type, make(Op::kSub, type, x, product), constant(type, 1));
  return make(Op::kShrU, type, make(Op::kAdd, type, rest, product), constant(type, log - 1));
}

Value Gvn::divide_signed(Value x, i64 d, Type type) {
  constexpr Type kI64 = Type::kI64;
  u32 width = width_of(type);
  if (d == 1) return x;
  u64 magnitude = d < 0 ? 0 - static_cast<u64>(d) : static_cast<u64>(d);
  Value quotient;
  if (is_power_of_two(magnitude)) {
    // Rounds towards zero: negative dividends get d - 1 added first.
    u32 log = count_trailing_zeros(magnitude);
    Value sign = make(Op::kShrS, type, x, constant(type, width - 1));
    Value bias = make(Op::kShrU, type, sign, constant(type, width - log));
    quotient = make(Op::kShrS, type, make(Op::kAdd, type, x, bias), constant(type, log));
  } else {
    // m = floor(2^(width - 1 + log) / |d|) + 1 < 2^width; q = mulhi(x, m) >> (log - 1), plus one if x < 0.
    u32 log = ceil_log2(magnitude);
    if (type == Type::kI32) {
      u64 m = (u64{1} << (31 + log)) / magnitude + 1;
      Value product = make(Op::kMul, kI64, make(Op::kSExtI32, kI64, x), constant(kI64, m));
      quotient = make(Op::kWrap, type, make(Op::kShrS, kI64, product, constant(kI64, 31 + log)));
    } else {
      u64 remainder;
      u64 m = divide_high(u64{1} << (log - 1), magnitude, &remainder) + 1;
      quotient = make(Op::kMulHiS, type, x, constant(type, m));
      // As a signed number m is 2^64 too small if its top bit is set.
      if (m >> 63) quotient = make(Op::kAdd, type, quotient, x);
      quotient = make(Op::kShrS, type, quotient, constant(type, log - 1));
    }
    quotient = make(Op::kSub, type, quotient, make(Op::kShrS, type, x, constant(type, width - 1)));
  }
  if (d > 0) return quotient;
  return make(Op::kSub, type, constant(type, 0), quotient);
}

}  // namespace wring::opt
