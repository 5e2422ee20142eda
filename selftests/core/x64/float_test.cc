// SPDX-License-Identifier: GPL-2.0
// Floating point arithmetic as machine code against this machine's own, over special values in every form an operand
// can take, in the SSE and the AVX encoding.
#include <cmath>

#include "selftests/core/x64/float_values.h"

namespace wring::test {
namespace {

class X64Float : public ::testing::TestWithParam<TargetVariant> {};
INSTANTIATE_TEST_SUITE_P(Targets, X64Float, ::testing::ValuesIn(kTargetVariants),
                         [](const auto& info) { return std::string(info.param.name); });

template <class T>
T wasm_min(T a, T b) {
  if (a == b) return std::signbit(a) ? a : b;
  return a < b ? a : b;
}
template <class T>
T wasm_max(T a, T b) {
  if (a == b) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}
template <class T>
T compute(Op op, T a, T b) {
  switch (op) {
    case Op::kFAdd: return a + b;
    case Op::kFSub: return a - b;
    case Op::kFMul: return a * b;
    case Op::kFDiv: return a / b;
    case Op::kFMin: return wasm_min(a, b);
    case Op::kFMax: return wasm_max(a, b);
    case Op::kFSqrt: return std::sqrt(a);
    case Op::kFCeil: return std::ceil(a);
    case Op::kFFloor: return std::floor(a);
    case Op::kFTrunc: return std::trunc(a);
    case Op::kFNearest: return std::nearbyint(a);
    default: ADD_FAILURE(); return a;
  }
}
u64 compute_bits(Op op, Type type, u64 a, u64 b) {
  if (type == kF32) return bits_of(compute(op, as_f32(a), as_f32(b)));
  return bits_of(compute(op, as_f64(a), as_f64(b)));
}

// Whether the result of op is what the spec allows (nans_N, fmin_N ... in section 4.3.3).
::testing::AssertionResult is_right(Op op, Type type, u64 a, u64 b, u64 got) {
  auto fail = [&] {
    return ::testing::AssertionFailure() << ir::name_of(op) << " " << ir::name_of(type) << " of "
                                         << std::hex << a << " and " << b << " is " << got;
  };
  Format f = format_of(type);
  switch (op) {
    case Op::kFAbs: return got == (a & ~f.sign) ? ::testing::AssertionSuccess() : fail();
    case Op::kFNeg: return got == (a ^ f.sign) ? ::testing::AssertionSuccess() : fail();
    case Op::kFCopysign:
      return got == ((a & ~f.sign) | (b & f.sign)) ? ::testing::AssertionSuccess() : fail();
    default: break;
  }
  bool nan_in = is_nan(type, a) || is_nan(type, b);
  if (nan_in) {
    bool canonical =
        (!is_nan(type, a) || is_canonical(type, a)) && (!is_nan(type, b) || is_canonical(type, b));
    bool ok = canonical ? is_canonical(type, got) : is_quiet_nan(type, got);
    return ok ? ::testing::AssertionSuccess() : fail();
  }
  u64 want = compute_bits(op, type, a, b);
  if (is_nan(type, want)) return is_canonical(type, got) ? ::testing::AssertionSuccess() : fail();
  return got == want ? ::testing::AssertionSuccess() : fail() << ", not " << want;
}

const Op kBinary[] = {Op::kFAdd, Op::kFSub, Op::kFMul,     Op::kFDiv,
                      Op::kFMin, Op::kFMax, Op::kFCopysign};
const Op kUnary[] = {Op::kFAbs,   Op::kFNeg,   Op::kFSqrt,   Op::kFCeil,
                     Op::kFFloor, Op::kFTrunc, Op::kFNearest};

// keep: the operands live on, so that they may not be overwritten.
void check_binary(const Target& target, Op op, Type type, Form fa, Form fb, bool keep) {
  std::vector<u64> values = floats(type);
  bool has_const = fa == Form::kConst || fb == Form::kConst;
  std::vector<u64> constants = has_const ? values : std::vector<u64>{0};
  NativeModule m(target);
  for (u64 c : constants)
    m.add({letter(type), letter(type)}, std::string(keep ? 3 : 1, letter(type)), [=](IrBuilder& b) {
      Value x = operand(b, fa, type, 0, c), y = operand(b, fb, type, 1, c);
      Value r = b.op(op, type, x, y);
      if (keep)
        b.ret({r, x, y});
      else
        b.ret({r});
    });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  bool all = fa == Form::kParam && fb == Form::kParam && !keep;
  for (u32 f = 0; f < constants.size(); f++)
    for (u32 i = 0; i < values.size(); i++)
      for (u32 j = 0; j < values.size(); j++) {
        if (has_const ? (fa == Form::kConst ? i : j) != 0 : !all && (i + j) % 5 != 0) continue;
        u64 x = values[i], y = values[j];
        u64 a = fa == Form::kConst ? constants[f] : x, b = fb == Form::kConst ? constants[f] : y;
        std::memcpy(m.memory, &x, 8);
        std::memcpy(m.memory + 8, &y, 8);
        Called run = m.call(f, {x, y});
        ASSERT_EQ(run.trap, 0u);
        ASSERT_TRUE(is_right(op, type, a, b, run.results[0]))
            << " forms " << int(fa) << int(fb) << keep;
        if (keep) {
          ASSERT_EQ(run.results[1], a);
          ASSERT_EQ(run.results[2], b);
        }
      }
}

TEST_P(X64Float, Binary) {
  Target target = target_of(GetParam());
  for (Op op : kBinary)
    for (Type type : {kF32, kF64}) {
      check_binary(target, op, type, Form::kParam, Form::kParam, false);
      check_binary(target, op, type, Form::kParam, Form::kParam, true);
      check_binary(target, op, type, Form::kMemory, Form::kParam, false);
      check_binary(target, op, type, Form::kParam, Form::kMemory, false);
      check_binary(target, op, type, Form::kParam, Form::kConst, true);
      check_binary(target, op, type, Form::kConst, Form::kParam, false);
      if (HasFatalFailure()) return;
    }
}

TEST_P(X64Float, MinAndMaxOfQuietOperands) {
  Target target = target_of(GetParam());
  for (Op op : {Op::kFMin, Op::kFMax})
    for (Type type : {kF32, kF64}) {
      std::vector<u64> values = floats(type);
      NativeModule m(target);
      for (u64 c : values)
        m.add({letter(type)}, {letter(type)}, [=](IrBuilder& b) {
          b.ret({b.op(op, type, operand(b, Form::kQuiet, type, 0, 0), b.constant(type, c))});
        });
      ASSERT_NO_FATAL_FAILURE(m.finish());
      for (u32 f = 0; f < values.size(); f++)
        for (u64 x : values) ASSERT_TRUE(is_right(op, type, x, values[f], m.value(f, {x})));
    }
}

TEST_P(X64Float, Unary) {
  for (Type type : {kF32, kF64}) {
    std::vector<u64> values = floats(type);
    NativeModule m(target_of(GetParam()));
    std::vector<Op> ops;
    for (Op op : kUnary)
      for (Form form : {Form::kParam, Form::kMemory}) {
        m.add({letter(type)}, std::string(2, letter(type)), [=](IrBuilder& b) {
          Value x = operand(b, form, type, 0, 0);
          b.ret({b.op(op, type, x), form == Form::kParam ? x : b.param(0, type)});
        });
        ops.push_back(op);
      }
    ASSERT_NO_FATAL_FAILURE(m.finish());
    for (u32 f = 0; f < ops.size(); f++)
      for (u64 x : values) {
        std::memcpy(m.memory, &x, 8);
        Called run = m.call(f, {x});
        ASSERT_EQ(run.trap, 0u);
        ASSERT_TRUE(is_right(ops[f], type, x, 0, run.results[0]));
        ASSERT_EQ(run.results[1], x);
      }
  }
}

// The same operations on values that do not fit the registers all at once.
TEST_P(X64Float, ManyAtOnce) {
  constexpr u32 kCount = 40;
  for (Type type : {kF32, kF64}) {
    NativeModule m(target_of(GetParam()));
    m.add("", {letter(type)}, [=](IrBuilder& b) {
      std::vector<Value> values;
      for (u32 i = 0; i < kCount; i++) values.push_back(b.load(type, full(type), b.c32(8 * i)));
      Value sum = b.op(Op::kFAbs, type, values[0]);
      for (u32 i = 0; i < kCount; i++) {
        Value x = values[i], y = values[(7 * i + 3) % kCount];
        Value m1 = b.op(Op::kFMin, type, x, y), m2 = b.op(Op::kFNeg, type, y);
        Value s = b.select(type, b.compare(Op::kFLe, type, x, y), m2, x);
        sum = b.op(Op::kFAdd, type, sum,
                   b.op(Op::kFCopysign, type, b.op(Op::kFMul, type, m1, s), m2));
      }
      b.ret({sum});
    });
    ASSERT_NO_FATAL_FAILURE(m.finish());
    auto reference = [&]<class T>(T) {
      T v[kCount];
      for (u32 i = 0; i < kCount; i++) {
        v[i] = static_cast<T>(static_cast<int>(i * 37 % 29) - 14) / 4;
        std::memcpy(m.memory + 8 * i, &v[i], sizeof(T));
      }
      T sum = std::abs(v[0]);
      for (u32 i = 0; i < kCount; i++) {
        T x = v[i], y = v[(7 * i + 3) % kCount];
        sum += std::copysign(wasm_min(x, y) * (x <= y ? -y : x), -y);
      }
      return bits_of(sum);
    };
    u64 want = type == kF32 ? reference(0.0f) : reference(0.0);
    EXPECT_EQ(m.value(0, {}), want);
  }
}

TEST_P(X64Float, LoadsAndStores) {
  NativeModule m(target_of(GetParam()));
  std::vector<Type> types;
  for (Type type : {kF32, kF64}) {
    m.add("i", {letter(type)}, [=](IrBuilder& b) {
      b.origin = 55;
      b.ret({b.load(type, full(type), b.param(0, kI32), 24)});
    });
    m.add({'i', letter(type)}, "", [=](IrBuilder& b) {
      b.origin = 55;
      b.store(type, full(type), b.param(0, kI32), b.param(1, type), 24);
      b.ret({});
    });
    // As the operand of an addition, which may fault.
    m.add({'i', letter(type)}, {letter(type)}, [=](IrBuilder& b) {
      b.origin = 55;
      Value x = b.load(type, full(type), b.param(0, kI32), 24);
      b.origin = 56;
      b.ret({b.op(Op::kFSub, type, b.param(1, type), x)});
    });
    // A store in between: the load has to come first.
    m.add({'i', letter(type)}, {letter(type)}, [=](IrBuilder& b) {
      Value x = b.load(type, full(type), b.param(0, kI32), 24);
      b.store(type, full(type), b.param(0, kI32), b.param(1, type), 24);
      b.ret({b.op(Op::kFSub, type, b.param(1, type), x)});
    });
  }
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (u32 t = 0; t < 2; t++) {
    Type type = t ? kF64 : kF32;
    u32 bytes = type == kF32 ? 4 : 8;
    u64 one = type == kF32 ? bits_of(1.0f) : bits_of(1.0),
        two = type == kF32 ? bits_of(2.0f) : bits_of(2.0);
    for (u64 x : floats(type)) {
      std::memset(m.memory, 0x5a, 256);
      EXPECT_EQ(m.call(4 * t + 1, {100, x}).trap, 0u);
      u64 stored = 0;
      std::memcpy(&stored, m.memory + 124, bytes);
      EXPECT_EQ(stored, x);
      EXPECT_EQ(m.memory[124 + bytes], 0x5a);
      EXPECT_EQ(m.memory[123], 0x5a);
      EXPECT_EQ(m.value(4 * t, {100}), x);
    }
    EXPECT_EQ(m.call(4 * t + 1, {100, one}).trap, 0u);
    EXPECT_EQ(m.value(4 * t + 2, {100, two}), one);
    EXPECT_EQ(m.value(4 * t + 3, {100, two}), one);
    for (u32 f = 0; f < 3; f++) {
      Called run = m.call(4 * t + f, {kWasmPageBytes - 24 - bytes + 1, one});
      EXPECT_EQ(run.trap, static_cast<u32>(TrapReason::kMemoryOutOfBounds));
      EXPECT_EQ(m.last_site()->origin, 55u);
      EXPECT_EQ(m.call(4 * t + f, {kWasmPageBytes - 24 - bytes, one}).trap, 0u);
    }
  }
}

// Constants are made once in front of a loop, or are operands in memory.
TEST_P(X64Float, ConstantsInLoops) {
  NativeModule m(target_of(GetParam()));
  m.add("i", "d", [](IrBuilder& b) {
    ir::BlockId head = b.block(), done = b.block();
    Value n = b.param(0, kI32), zero = b.constant(kF64, 0), none = b.c32(0);
    b.jump(head);
    b.at(head);
    Value i = b.phi(kI32, 2), sum = b.phi(kF64, 2);
    // sum = 3 / (1 - sum) + 0.25
    Value next = b.op(Op::kFAdd, kF64,
                      b.op(Op::kFDiv, kF64, b.constant(kF64, bits_of(3.0)),
                           b.op(Op::kFSub, kF64, b.constant(kF64, bits_of(1.0)), sum)),
                      b.constant(kF64, bits_of(0.25)));
    Value i1 = b.op(Op::kAdd, kI32, i, b.c32(1));
    b.set_phi(i, 0, none);
    b.set_phi(i, 1, i1);
    b.set_phi(sum, 0, zero);
    b.set_phi(sum, 1, next);
    b.branch(b.compare(Op::kLtU, kI32, i1, n), head, done);
    b.at(done);
    b.ret({next});
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  double sum = 0;
  for (u32 n = 1; n < 50; n++) {
    sum = 3.0 / (1.0 - sum) + 0.25;
    EXPECT_EQ(m.value(0, {n}), bits_of(sum));
  }
}

}  // namespace
}  // namespace wring::test
