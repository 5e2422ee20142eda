// SPDX-License-Identifier: GPL-2.0
// Every arithmetic operation as machine code, with edge-case
// operands in every form an operand can take, for every kind of target.
#include "selftests/core/ir/interpreter.h"
#include "selftests/core/x64/native.h"

namespace wring::test {
namespace {

const u64 kEdges[] = {0,
                      1,
                      2,
                      3,
                      5,
                      31,
                      32,
                      63,
                      64,
                      127,
                      128,
                      0xff,
                      0x1234,
                      0xffff,
                      0x7fff'ffff,
                      0x8000'0000,
                      0xffff'fffe,
                      0xffff'ffff,
                      0x1'0000'0000,
                      0x7fff'ffff'ffff'ffff,
                      0x8000'0000'0000'0000,
                      0xfedc'ba98'7654'3210,
                      ~u64{1},
                      ~u64{0}};

std::vector<u64> edges(Type type) {
  std::vector<u64> out;
  for (u64 v : kEdges) {
    u64 x = type == Type::kI32 ? static_cast<u32>(v) : v;
    if (std::find(out.begin(), out.end(), x) == out.end()) out.push_back(x);
  }
  return out;
}

const Op kBinary[] = {Op::kAdd,  Op::kSub,  Op::kMul,  Op::kDivS, Op::kDivU,
                      Op::kRemS, Op::kRemU, Op::kAnd,  Op::kOr,   Op::kXor,
                      Op::kShl,  Op::kShrS, Op::kShrU, Op::kRotl, Op::kRotr};
const Op kCompare[] = {Op::kEq,  Op::kNe,  Op::kLtS, Op::kLtU, Op::kLeS,
                       Op::kLeU, Op::kGtS, Op::kGtU, Op::kGeS, Op::kGeU};
const Op kUnary[] = {Op::kClz, Op::kCtz, Op::kPopcnt, Op::kBswap, Op::kSExt8, Op::kSExt16};

bool defined(Op op, Type type, u64 a, u64 b) {
  bool divides = op == Op::kDivS || op == Op::kDivU || op == Op::kRemS || op == Op::kRemU;
  if (!divides) return true;
  u64 min = type == Type::kI32 ? 0x8000'0000 : 0x8000'0000'0000'0000;
  u64 ones = type == Type::kI32 ? 0xffff'ffff : ~u64{0};
  return b != 0 && !(op == Op::kDivS && a == min && b == ones);
}

char letter(Type type) { return type == Type::kI32 ? 'i' : 'l'; }
MemKind full(Type type) { return type == Type::kI32 ? MemKind::k32U : MemKind::k64; }
std::string letters(Type type, u32 count) { return std::string(count, letter(type)); }

class X64Arith : public ::testing::TestWithParam<TargetVariant> {};
INSTANTIATE_TEST_SUITE_P(Targets, X64Arith, ::testing::ValuesIn(kTargetVariants),
                         [](const auto& info) { return std::string(info.param.name); });

// Where an operand comes from.
enum class Form { kParam, kMemory, kConst, kWrapped };

// Makes the operand; a memory operand is stored first, at 8 * index.
Value operand(IrBuilder& b, Form form, Type type, u32 index, u64 constant) {
  switch (form) {
    case Form::kParam: return b.param(index, type);
    case Form::kConst: return b.constant(type, constant);
    case Form::kMemory: return b.load(type, full(type), b.c32(8 * index));
    case Form::kWrapped: return b.op(Op::kWrap, type, b.param(index, Type::kI64));
  }
  return kNone;
}

// op over all pairs of edge values: keep makes the operands live on, so that they may not be
// overwritten.
void check_binary(const Target& target, Op op, Type type, Form fa, Form fb, bool keep) {
  bool compares = ir::is_compare(op);
  Type result = compares ? Type::kI32 : type;
  std::vector<u64> values = edges(type);
  std::vector<u64> constants =
      fa == Form::kConst || fb == Form::kConst ? values : std::vector<u64>{0};
  NativeModule m(target);
  for (u64 c : constants)
    m.add({fa == Form::kWrapped ? 'l' : letter(type), fb == Form::kWrapped ? 'l' : letter(type)},
          std::string(1, letter(result)) + (keep ? letters(type, 2) : ""), [=](IrBuilder& b) {
            Value x = operand(b, fa, type, 0, c), y = operand(b, fb, type, 1, c);
            Value r = compares ? b.compare(op, type, x, y) : b.op(op, type, x, y);
            if (keep)
              b.ret({r, x, y});
            else
              b.ret({r});
          });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (u32 f = 0; f < constants.size(); f++)
    for (u64 x : values)
      for (u64 y : values) {
        u64 a = fa == Form::kConst ? constants[f] : x, b = fb == Form::kConst ? constants[f] : y;
        if (!defined(op, type, a, b)) continue;
        if ((fa == Form::kConst && x != values[0]) || (fb == Form::kConst && y != values[0]))
          continue;
        std::memcpy(m.memory, &x, 8);
        std::memcpy(m.memory + 8, &y, 8);
        // What a Wrap has to drop.
        u64 junk = 0xa5a5'a5a5'0000'0000;
        Called run =
            m.call(f, {fa == Form::kWrapped ? x | junk : x, fb == Form::kWrapped ? y | junk : y});
        ASSERT_EQ(run.trap, 0u);
        u64 want = interpret_binary(op, type == Type::kI64, a, b);
        ASSERT_EQ(run.results[0], want)
            << ir::name_of(op) << " " << ir::name_of(type) << " of " << std::hex << a << " and "
            << b << " forms " << int(fa) << int(fb) << " keep " << keep;
        if (keep) {
          ASSERT_EQ(run.results[1], a);
          ASSERT_EQ(run.results[2], b);
        }
      }
}

TEST_P(X64Arith, Binary) {
  Target target = target_of(GetParam());
  std::vector<Op> ops(std::begin(kBinary), std::end(kBinary));
  ops.insert(ops.end(), std::begin(kCompare), std::end(kCompare));
  for (Op op : ops)
    for (Type type : {Type::kI32, Type::kI64})
      for (Form fa : {Form::kParam, Form::kMemory, Form::kConst, Form::kWrapped})
        for (Form fb : {Form::kParam, Form::kMemory, Form::kConst, Form::kWrapped}) {
          bool wraps = fa == Form::kWrapped || fb == Form::kWrapped;
          if ((fa == Form::kConst && fb == Form::kConst) || (wraps && type == Type::kI64)) continue;
          for (bool keep : {false, true})
            ASSERT_NO_FATAL_FAILURE(check_binary(target, op, type, fa, fb, keep));
        }
}

TEST_P(X64Arith, MultiplyHigh) {
  NativeModule m(target_of(GetParam()));
  auto pair = [&](bool low_first) {
    return m.add("ll", "ll", [=](IrBuilder& b) {
      Value x = b.param(0, Type::kI64), y = b.param(1, Type::kI64), lo = kNone;
      if (low_first) lo = b.op(Op::kMul, Type::kI64, x, y);
      Value hi = b.op(Op::kMulHiU, Type::kI64, x, y);
      if (!low_first) lo = b.op(Op::kMul, Type::kI64, y, x);
      b.ret({lo, hi});
    });
  };
  auto single = [&](Op op) {
    return m.add("ll", "lll", [=](IrBuilder& b) {
      Value x = b.param(0, Type::kI64), y = b.param(1, Type::kI64);
      b.ret({b.op(op, Type::kI64, x, y), x, y});
    });
  };
  u32 first = pair(true), second = pair(false), high = single(Op::kMulHiU),
      high_signed = single(Op::kMulHiS);
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (u64 x : kEdges)
    for (u64 y : kEdges) {
      u64 hi = interpret_binary(Op::kMulHiU, true, x, y);
      EXPECT_EQ(m.call(first, {x, y}).results, (std::vector<u64>{x * y, hi}));
      EXPECT_EQ(m.call(second, {x, y}).results, (std::vector<u64>{x * y, hi}));
      EXPECT_EQ(m.call(high, {x, y}).results, (std::vector<u64>{hi, x, y}));
      EXPECT_EQ(m.call(high_signed, {x, y}).results,
                (std::vector<u64>{interpret_binary(Op::kMulHiS, true, x, y), x, y}));
    }
}

TEST_P(X64Arith, Unary) {
  NativeModule m(target_of(GetParam()));
  struct Case {
    Op op;
    Type type;
    u32 from_param, from_memory, keeping;
  };
  std::vector<Case> cases;
  auto add = [&](Op op, Type type, Type from) {
    Case c = {op, type, 0, 0, 0};
    std::string result(1, letter(type));
    c.from_param = m.add({letter(from)}, result,
                         [=](IrBuilder& b) { b.ret({b.op(op, type, b.param(0, from))}); });
    c.from_memory = m.add({letter(from)}, result, [=](IrBuilder& b) {
      b.ret({b.op(op, type, b.load(from, full(from), b.c32(16)))});
    });
    c.keeping = m.add({letter(from)}, result + letter(from), [=](IrBuilder& b) {
      Value x = b.param(0, from);
      b.ret({b.op(op, type, x), x});
    });
    cases.push_back(c);
  };
  for (Op op : kUnary)
    for (Type type : {Type::kI32, Type::kI64}) add(op, type, type);
  add(Op::kBswap16, Type::kI32, Type::kI32);
  add(Op::kWrap, Type::kI32, Type::kI64);
  add(Op::kSExtI32, Type::kI64, Type::kI32);
  add(Op::kZExtI32, Type::kI64, Type::kI32);
  add(Op::kSExt32, Type::kI64, Type::kI64);
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (const Case& c : cases)
    for (u64 v : edges(c.op == Op::kSExtI32 || c.op == Op::kZExtI32 ? Type::kI32
                       : c.op == Op::kWrap                          ? Type::kI64
                                                                    : c.type)) {
      u64 want = interpret_unary(c.op, c.type == Type::kI64, v);
      std::memcpy(m.memory + 16, &v, 8);
      EXPECT_EQ(m.value(c.from_param, {v}), want) << ir::name_of(c.op) << " " << std::hex << v;
      EXPECT_EQ(m.value(c.from_memory, {v}), want)
          << ir::name_of(c.op) << " of memory " << std::hex << v;
      EXPECT_EQ(m.call(c.keeping, {v}).results, (std::vector<u64>{want, v})) << ir::name_of(c.op);
    }
}

// Extensions, byte swaps and masks of narrow memory.
TEST_P(X64Arith, NarrowMemoryOperands) {
  NativeModule m(target_of(GetParam()));
  struct Case {
    u32 func;
    std::function<u64(u64)> want;
  };
  std::vector<Case> cases;
  auto add = [&](Type type, std::function<Value(IrBuilder&)> make, std::function<u64(u64)> want) {
    u32 func = m.add("", {letter(type)}, [=](IrBuilder& b) { b.ret({make(b)}); });
    cases.push_back({func, std::move(want)});
  };
  add(
      Type::kI32,
      [](IrBuilder& b) {
        return b.op(Op::kBswap16, Type::kI32, b.load(Type::kI32, MemKind::k16U, b.c32(0)));
      },
      [](u64 v) { return u64{__builtin_bswap16(static_cast<u16>(v))}; });
  add(
      Type::kI32,
      [](IrBuilder& b) {
        return b.op(Op::kSExt8, Type::kI32, b.load(Type::kI32, MemKind::k8U, b.c32(0)));
      },
      [](u64 v) { return u64{static_cast<u32>(static_cast<i8>(v))}; });
  add(
      Type::kI64,
      [](IrBuilder& b) {
        return b.op(Op::kSExt16, Type::kI64, b.load(Type::kI64, MemKind::k16U, b.c32(0)));
      },
      [](u64 v) { return static_cast<u64>(static_cast<i16>(v)); });
  add(
      Type::kI64,
      [](IrBuilder& b) {
        return b.op(Op::kSExtI32, Type::kI64, b.load(Type::kI32, MemKind::k32U, b.c32(0)));
      },
      [](u64 v) { return static_cast<u64>(static_cast<i32>(v)); });
  add(
      Type::kI64,
      [](IrBuilder& b) {
        return b.op(Op::kZExtI32, Type::kI64, b.load(Type::kI32, MemKind::k32U, b.c32(0)));
      },
      [](u64 v) { return u64{static_cast<u32>(v)}; });
  add(
      Type::kI64,
      [](IrBuilder& b) {
        return b.op(Op::kAnd, Type::kI64, b.load(Type::kI64, MemKind::k64, b.c32(0)),
                    b.c64(0xffff'ffff));
      },
      [](u64 v) { return u64{static_cast<u32>(v)}; });
  add(
      Type::kI64,
      [](IrBuilder& b) {
        return b.op(Op::kAnd, Type::kI64, b.load(Type::kI64, MemKind::k64, b.c32(0)), b.c64(0xff));
      },
      [](u64 v) { return v & 0xff; });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (const Case& c : cases)
    for (u64 v : kEdges) {
      std::memcpy(m.memory, &v, 8);
      EXPECT_EQ(m.value(c.func, {}), c.want(v)) << c.func << " of " << std::hex << v;
    }
}

// Sums that become one address computation.
TEST_P(X64Arith, ScaledSums) {
  NativeModule m(target_of(GetParam()));
  struct Case {
    u32 func;
    Type type;
    std::function<u64(u64, u64)> want;
  };
  std::vector<Case> cases;
  for (Type type : {Type::kI32, Type::kI64}) {
    auto add = [&](std::function<Value(IrBuilder&, Value, Value)> make,
                   std::function<u64(u64, u64)> want) {
      for (bool keep : {false, true}) {
        u32 func = m.add(letters(type, 2), letters(type, keep ? 3 : 1), [=](IrBuilder& b) {
          Value x = b.param(0, type), y = b.param(1, type), r = make(b, x, y);
          if (keep)
            b.ret({r, x, y});
          else
            b.ret({r});
        });
        cases.push_back({func, type, want});
      }
    };
    for (u32 k : {1u, 2u, 3u, 4u}) {
      add(
          [=](IrBuilder& b, Value x, Value y) {
            return b.op(Op::kAdd, type, x, b.op(Op::kShl, type, y, b.constant(type, k)));
          },
          [=](u64 x, u64 y) { return x + (y << k); });
      add(
          [=](IrBuilder& b, Value x, Value y) {
            Value s = b.op(Op::kAdd, type, b.op(Op::kShl, type, y, b.constant(type, k)), x);
            return b.op(Op::kAdd, type, s, b.constant(type, 0x1234));
          },
          [=](u64 x, u64 y) { return x + (y << k) + 0x1234; });
      add([=](IrBuilder& b, Value x,
              Value) { return b.op(Op::kShl, type, x, b.constant(type, k)); },
          [=](u64 x, u64) { return x << k; });
      add(
          [=](IrBuilder& b, Value x, Value) {
            Value s = b.op(Op::kShl, type, x, b.constant(type, k));
            return b.op(Op::kAdd, type, s, b.constant(type, ~u64{99}));
          },
          [=](u64 x, u64) { return (x << k) - 100; });
    }
    for (u64 c : {u64{3}, u64{5}, u64{9}, u64{7}, u64{0x12345}})
      add([=](IrBuilder& b, Value x,
              Value) { return b.op(Op::kMul, type, x, b.constant(type, c)); },
          [=](u64 x, u64) { return x * c; });
    add(
        [=](IrBuilder& b, Value x, Value y) {
          return b.op(Op::kAdd, type, b.op(Op::kAdd, type, x, y), b.constant(type, ~u64{7}));
        },
        [](u64 x, u64 y) { return x + y - 8; });
    add(
        [=](IrBuilder& b, Value x, Value y) {
          return b.op(Op::kAnd, type, x, b.op(Op::kXor, type, y, b.constant(type, ~u64{0})));
        },
        [](u64 x, u64 y) { return x & ~y; });
    add([=](IrBuilder& b, Value x,
            Value) { return b.op(Op::kXor, type, x, b.constant(type, ~u64{0})); },
        [](u64 x, u64) { return ~x; });
    add([=](IrBuilder& b, Value x, Value) { return b.op(Op::kSub, type, b.constant(type, 0), x); },
        [](u64 x, u64) { return 0 - x; });
    add(
        [=](IrBuilder& b, Value x, Value y) {
          Value masked = b.op(Op::kAnd, type, y, b.constant(type, type == Type::kI64 ? 63 : 31));
          return b.op(Op::kShrU, type, x, masked);
        },
        [=](u64 x, u64 y) { return interpret_binary(Op::kShrU, type == Type::kI64, x, y); });
  }
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (const Case& c : cases)
    for (u64 x : edges(c.type))
      for (u64 y : edges(c.type)) {
        u64 want = c.want(x, y);
        if (c.type == Type::kI32) want = static_cast<u32>(want);
        ASSERT_EQ(m.value(c.func, {x, y}), want) << c.func << " " << std::hex << x << " " << y;
      }
}

TEST_P(X64Arith, ClampIndex) {
  NativeModule m(target_of(GetParam()));
  std::vector<std::pair<u32, u64>> fixed;
  for (u64 bound : edges(Type::kI32))
    fixed.push_back(
        {m.add("i", "ii",
               [=](IrBuilder& b) {
                 Value x = b.param(0, Type::kI32);
                 b.ret({b.op(Op::kClampIndex, Type::kI32, x, b.c32(static_cast<u32>(bound))), x});
               }),
         bound});
  u32 variable = m.add("ii", "iii", [](IrBuilder& b) {
    Value x = b.param(0, Type::kI32), y = b.param(1, Type::kI32);
    b.ret({b.op(Op::kClampIndex, Type::kI32, x, y), x, y});
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (u64 x : edges(Type::kI32)) {
    for (auto [func, bound] : fixed)
      EXPECT_EQ(m.call(func, {x}).results, (std::vector<u64>{x < bound ? x : 0, x}));
    for (u64 y : edges(Type::kI32))
      EXPECT_EQ(m.call(variable, {x, y}).results, (std::vector<u64>{x < y ? x : 0, x, y}));
  }
}

// Many values alive at once: everything that can be spilled is.
TEST_P(X64Arith, RegisterPressure) {
  constexpr u32 kValues = 60;
  NativeModule m(target_of(GetParam()));
  u32 func = m.add("ll", "l", [](IrBuilder& b) {
    Value x = b.param(0, Type::kI64), y = b.param(1, Type::kI64);
    std::vector<Value> values;
    for (u32 i = 0; i < kValues; i++) {
      Value v = i % 3 == 0   ? b.op(Op::kAdd, Type::kI64, x, b.c64(i * 0x1'0000'0001ull))
                : i % 3 == 1 ? b.op(Op::kMul, Type::kI64, y, b.c64(i + 2))
                             : b.op(Op::kShl, Type::kI64, x, y);
      values.push_back(b.op(Op::kXor, Type::kI64, v, y));
    }
    // Used in the opposite order, twice.
    Value sum = b.c64(1);
    for (u32 round = 0; round < 2; round++)
      for (u32 i = kValues; i-- > 0;) {
        sum = b.op(round ? Op::kSub : Op::kMul, Type::kI64, sum, values[i]);
        sum = b.op(Op::kAdd, Type::kI64, sum,
                   b.op(Op::kRotl, Type::kI64, values[i], values[(i * 7) % kValues]));
      }
    b.ret({sum});
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (u64 x : kEdges)
    for (u64 y : kEdges) {
      std::vector<u64> values;
      for (u32 i = 0; i < kValues; i++) {
        u64 v = i % 3 == 0 ? x + i * 0x1'0000'0001ull : i % 3 == 1 ? y * (i + 2) : x << (y % 64);
        values.push_back(v ^ y);
      }
      u64 sum = 1;
      for (u32 round = 0; round < 2; round++)
        for (u32 i = kValues; i-- > 0;) {
          sum = round ? sum - values[i] : sum * values[i];
          sum += interpret_binary(Op::kRotl, true, values[i], values[(i * 7) % kValues]);
        }
      ASSERT_EQ(m.value(func, {x, y}), sum);
    }
}

}  // namespace
}  // namespace wring::test
