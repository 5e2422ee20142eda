// SPDX-License-Identifier: GPL-2.0
// Conversions between integers and floats as machine code: traps, saturation, rounding, at the bounds of every range.
#include <cmath>
#include <limits>

#include "selftests/core/x64/float_values.h"

namespace wring::test {
namespace {

class X64FloatConvert : public ::testing::TestWithParam<TargetVariant> {};
INSTANTIATE_TEST_SUITE_P(Targets, X64FloatConvert, ::testing::ValuesIn(kTargetVariants),
                         [](const auto& info) { return std::string(info.param.name); });

const Op kTruncate[] = {Op::kTruncS, Op::kTruncU, Op::kTruncSatS, Op::kTruncSatU};

struct Truncated {
  TrapReason trap;
  u64 bits;
};
Truncated truncate_reference(Op op, Type to, Type from, u64 bits) {
  bool is_signed = op == Op::kTruncS || op == Op::kTruncSatS,
       saturates = op == Op::kTruncSatS || op == Op::kTruncSatU;
  long double x = from == kF32 ? static_cast<long double>(as_f32(bits))
                               : static_cast<long double>(as_f64(bits));
  u32 width = to == kI32 ? 32 : 64;
  long double high = std::ldexp(1.0L, static_cast<int>(is_signed ? width - 1 : width)),
              low = is_signed ? -high : 0;
  u64 mask = to == kI32 ? 0xffff'ffff : ~u64{0};
  if (is_nan(from, bits))
    return {saturates ? TrapReason::kNone : TrapReason::kInvalidConversion, 0};
  long double t = std::trunc(x);
  if (t >= high) {
    if (!saturates) return {TrapReason::kIntegerOverflow, 0};
    return {TrapReason::kNone, is_signed ? mask >> 1 : mask};
  }
  if (t < low) {
    if (!saturates) return {TrapReason::kIntegerOverflow, 0};
    return {TrapReason::kNone, is_signed ? mask & ~(mask >> 1) : 0};
  }
  u64 v = t < 0 ? ~static_cast<u64>(-t) + 1 : static_cast<u64>(t);
  return {TrapReason::kNone, v & mask};
}

// What is nearest to the bounds of integers.
std::vector<u64> truncation_inputs(Type from) {
  std::vector<u64> out = floats(from);
  for (double bound : {0.0, 1.0, 2147483647.0, 2147483648.0, 2147483649.0, 4294967295.0,
                       4294967296.0, 9223372036854775808.0, 18446744073709551616.0})
    for (double x : {bound, -bound}) {
      if (from == kF32) {
        float f = static_cast<float>(x), inf = std::numeric_limits<float>::infinity();
        for (float y : {f, std::nextafter(f, inf), std::nextafter(f, -inf)})
          out.push_back(bits_of(y));
      } else {
        double inf = std::numeric_limits<double>::infinity();
        for (double y : {x, std::nextafter(x, inf), std::nextafter(x, -inf), x + 0.5, x - 0.5})
          out.push_back(bits_of(y));
      }
    }
  return out;
}

TEST_P(X64FloatConvert, Truncations) {
  for (Op op : kTruncate)
    for (Type to : {kI32, kI64})
      for (Type from : {kF32, kF64}) {
        NativeModule m(target_of(GetParam()));
        for (Form form : {Form::kParam, Form::kMemory})
          m.add({letter(from)}, {letter(to), letter(from)}, [=](IrBuilder& b) {
            Value x = operand(b, form, from, 0, 0);
            b.origin = 99;
            Value r = b.convert(op, to, from, x);
            b.ret({r, b.param(0, from)});
          });
        ASSERT_NO_FATAL_FAILURE(m.finish());
        for (u32 f = 0; f < 2; f++)
          for (u64 x : truncation_inputs(from)) {
            std::memcpy(m.memory, &x, 8);
            Truncated want = truncate_reference(op, to, from, x);
            Called run = m.call(f, {x});
            ASSERT_EQ(run.trap, static_cast<u32>(want.trap))
                << ir::name_of(op) << " " << ir::name_of(to) << " " << ir::name_of(from) << std::hex
                << " " << x;
            if (run.trap) {
              ASSERT_EQ(m.last_site()->origin, 99u);
              continue;
            }
            ASSERT_EQ(run.results[0], want.bits) << ir::name_of(op) << " " << ir::name_of(to) << " "
                                                 << ir::name_of(from) << std::hex << " " << x;
            ASSERT_EQ(run.results[1], x);
          }
      }
}

std::vector<u64> integers(Type type) {
  std::vector<u64> out;
  std::mt19937_64 random(2);
  for (u32 bit = 0; bit < 64; bit++)
    for (i64 d : {-2, -1, 0, 1, 2}) out.push_back((u64{1} << bit) + static_cast<u64>(d));
  // Halfway between neighbouring floats, and just off that.
  for (u32 shift : {0u, 3u, 8u, 10u})
    for (u64 d : {u64{0}, u64{1}, ~u64{0}})
      for (u64 low : {u64{0x80}, u64{0x180}, u64{0x400}, u64{0xc00}, u64{0x40'0000'0000},
                      u64{0xc0'0000'0000}})
        out.push_back((u64{1} << 63 | low << shift) + d);
  for (u32 i = 0; i < 200; i++) out.push_back(random() >> (i % 64));
  if (type == kI32)
    for (u64& x : out) x = static_cast<u32>(x);
  return out;
}

TEST_P(X64FloatConvert, FromIntegers) {
  for (bool is_signed : {false, true})
    for (Type from : {kI32, kI64})
      for (Type to : {kF32, kF64}) {
        Op op = is_signed ? Op::kConvertS : Op::kConvertU;
        NativeModule m(target_of(GetParam()));
        for (Form form : {Form::kParam, Form::kMemory})
          m.add({letter(from)}, {letter(to), letter(from)}, [=](IrBuilder& b) {
            b.ret({b.convert(op, to, from, operand(b, form, from, 0, 0)), b.param(0, from)});
          });
        // A value known to be small, and one whose upper half has to be dropped.
        m.add({letter(from)}, {letter(to), letter(from)}, [=](IrBuilder& b) {
          Value x = b.op(Op::kShrU, from, b.param(0, from), b.constant(from, 1));
          b.ret({b.convert(op, to, from, x), x});
        });
        m.add({letter(from)}, {letter(to), letter(from)}, [=](IrBuilder& b) {
          Value x = from == kI64 ? b.param(0, kI64) : b.op(Op::kZExtI32, kI64, b.param(0, kI32));
          Value low = b.op(Op::kWrap, kI32, x);
          b.ret({b.convert(op, to, kI32, low), b.param(0, from)});
        });
        ASSERT_NO_FATAL_FAILURE(m.finish());
        for (u32 f = 0; f < 4; f++)
          for (u64 v : integers(from)) {
            std::memcpy(m.memory, &v, 8);
            u64 x = f == 2 ? v >> 1 : f == 3 ? static_cast<u32>(v) : v;
            bool narrow = from == kI32 || f == 3;
            u64 want;
            if (to == kF32)
              want = bits_of(!is_signed ? static_cast<float>(x)
                             : narrow   ? static_cast<float>(static_cast<i32>(x))
                                        : static_cast<float>(static_cast<i64>(x)));
            else
              want = bits_of(!is_signed ? static_cast<double>(x)
                             : narrow   ? static_cast<double>(static_cast<i32>(x))
                                        : static_cast<double>(static_cast<i64>(x)));
            Called run = m.call(f, {v});
            ASSERT_EQ(run.results[0], want)
                << is_signed << int(from) << int(to) << std::hex << " " << x << " " << f;
            ASSERT_EQ(run.results[1], f == 2 ? x : v);
          }
      }
}

TEST_P(X64FloatConvert, DemoteAndPromote) {
  NativeModule m(target_of(GetParam()));
  for (Form form : {Form::kParam, Form::kMemory}) {
    m.add("d", "f", [=](IrBuilder& b) {
      b.ret({b.convert(Op::kDemote, kF32, kF64, operand(b, form, kF64, 0, 0))});
    });
    m.add("f", "d", [=](IrBuilder& b) {
      b.ret({b.convert(Op::kPromote, kF64, kF32, operand(b, form, kF32, 0, 0))});
    });
  }
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (u32 f = 0; f < 4; f++) {
    Type from = f & 1 ? kF32 : kF64, to = f & 1 ? kF64 : kF32;
    for (u64 x : floats(from)) {
      std::memcpy(m.memory, &x, 8);
      u64 got = m.value(f, {x});
      if (is_nan(from, x)) {
        ASSERT_TRUE(is_canonical(from, x) ? is_canonical(to, got) : is_quiet_nan(to, got))
            << std::hex << x << " " << got;
      } else {
        u64 want = from == kF64 ? bits_of(static_cast<float>(as_f64(x)))
                                : bits_of(static_cast<double>(as_f32(x)));
        ASSERT_EQ(got, want) << std::hex << x;
      }
    }
  }
}

TEST_P(X64FloatConvert, Bitcasts) {
  NativeModule m(target_of(GetParam()));
  struct Case {
    Type from, to;
  };
  std::vector<Case> cases = {{kF32, kI32}, {kI32, kF32}, {kF64, kI64}, {kI64, kF64}};
  for (Form form : {Form::kParam, Form::kMemory})
    for (Case c : cases)
      m.add({letter(c.from)}, {letter(c.to)}, [=](IrBuilder& b) {
        b.ret({b.convert(Op::kBitcast, c.to, c.from, operand(b, form, c.from, 0, 0))});
      });
  // Stored, and as an operand.
  for (Case c : cases)
    m.add({letter(c.from)}, {letter(c.to)}, [=](IrBuilder& b) {
      Value x = b.convert(Op::kBitcast, c.to, c.from, b.load(c.from, full(c.from), b.c32(0)));
      b.store(c.to, full(c.to), b.c32(16), x);
      b.ret({b.load(c.to, full(c.to), b.c32(16))});
    });
  for (Case c : cases)
    m.add({letter(c.from)}, {letter(c.to)}, [=](IrBuilder& b) {
      Value x = b.convert(Op::kBitcast, c.to, c.from, b.load(c.from, full(c.from), b.c32(0)));
      if (c.to == kF32 || c.to == kF64)
        b.ret({b.op(Op::kFNeg, c.to, b.op(Op::kFNeg, c.to, x))});
      else
        b.ret({b.op(Op::kXor, c.to, x, b.constant(c.to, 0))});
    });
  // Narrow stores of a float's bits.
  for (MemKind kind : {MemKind::k8U, MemKind::k16U})
    m.add("f", "i", [=](IrBuilder& b) {
      b.store(kI32, kind, b.c32(16), b.convert(Op::kBitcast, kI32, kF32, b.param(0, kF32)));
      b.ret({b.load(kI32, kind, b.c32(16))});
    });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (u32 f = 0; f < 18; f++) {
    Type from = f < 16 ? cases[f % 4].from : kF32;
    u64 mask = f == 16 ? 0xff : f == 17 ? 0xffff : ~u64{0};
    for (u64 x : floats(from == kF32 || from == kI32 ? kF32 : kF64)) {
      std::memcpy(m.memory, &x, 8);
      ASSERT_EQ(m.value(f, {x}), x & mask) << f;
    }
  }
}

}  // namespace
}  // namespace wring::test
