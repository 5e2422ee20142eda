// SPDX-License-Identifier: GPL-2.0
// Comparisons of floats as machine code, as each of the things that may depend on one.
#include "selftests/core/x64/float_values.h"

namespace wring::test {
namespace {

class X64FloatCompare : public ::testing::TestWithParam<TargetVariant> {};
INSTANTIATE_TEST_SUITE_P(Targets, X64FloatCompare, ::testing::ValuesIn(kTargetVariants),
                         [](const auto& info) { return std::string(info.param.name); });

template <class T>
bool compare(Op op, T a, T b) {
  switch (op) {
    case Op::kFEq: return a == b;
    case Op::kFNe: return a != b;
    case Op::kFLt: return a < b;
    case Op::kFLe: return a <= b;
    case Op::kFGt: return a > b;
    default: return a >= b;
  }
}
bool compare_bits(Op op, Type type, u64 a, u64 b) {
  if (type == kF32) return compare(op, as_f32(a), as_f32(b));
  return compare(op, as_f64(a), as_f64(b));
}

const Op kCompare[] = {Op::kFEq, Op::kFNe, Op::kFLt, Op::kFLe, Op::kFGt, Op::kFGe};

// A comparison as each of the things that may depend on it.
enum class Use {
  kValue,
  kInverted,
  kBranch,
  kOtherBranch,
  kSelectInt,
  kSelectSame,
  kSelectOther,
  kSelectVector,
  kTrap,
  kTwice,
  kCount
};

void build_use(IrBuilder& b, Op op, Type type, Form fa, Form fb, u64 constant, Use use) {
  Value x = operand(b, fa, type, 0, constant), y = operand(b, fb, type, 1, constant);
  Value c = b.compare(op, type, x, y);
  Type other = type == kF32 ? kF64 : kF32;
  auto one = [&](Type t) { return b.constant(t, t == kF32 ? bits_of(1.0f) : bits_of(1.0)); };
  auto zero = [&](Type t) { return b.constant(t, 0); };
  switch (use) {
    case Use::kValue: return b.ret({c});
    case Use::kInverted:
      return b.ret({b.compare(Op::kEq, kI32, b.compare(Op::kEq, kI32, c, b.c32(0)), b.c32(0))});
    case Use::kBranch:
    case Use::kOtherBranch: {
      ir::BlockId yes = b.block(), no = b.block();
      if (use == Use::kBranch) {
        b.branch(c, yes, no);
      } else {
        b.branch(b.compare(Op::kEq, kI32, c, b.c32(0)), no, yes);
      }
      b.at(yes);
      b.ret({b.c32(1)});
      b.at(no);
      return b.ret({b.c32(0)});
    }
    case Use::kSelectInt: return b.ret({b.select(kI32, c, b.c32(1), b.c32(0))});
    case Use::kSelectSame:
    case Use::kSelectOther: {
      Type t = use == Use::kSelectSame ? type : other;
      Value r = b.select(t, c, one(t), zero(t));
      Type word = t == kF32 ? kI32 : kI64;
      Value bits = b.convert(Op::kBitcast, word, t, r);
      return b.ret({b.compare(Op::kNe, word, bits, b.constant(word, 0))});
    }
    case Use::kSelectVector: {
      // Through memory: the low word tells.
      Value r = b.select(Type::kV128, c, b.v128(1, 2), b.v128(0, 3));
      b.store(Type::kV128, MemKind::k128, b.c32(64), r);
      return b.ret({b.load(kI32, MemKind::k32U, b.c32(64))});
    }
    case Use::kTrap: b.trap_if(c, TrapReason::kUnreachable); return b.ret({b.c32(0)});
    case Use::kTwice: {
      // The flags of one comparison for two uses.
      Value s = b.select(kI32, c, b.c32(6), b.c32(3));
      Value t = b.select(kI32, c, b.c32(5), b.c32(9));
      return b.ret({b.compare(Op::kEq, kI32, b.op(Op::kAdd, kI32, s, t), b.c32(11))});
    }
    case Use::kCount: break;
  }
}

TEST_P(X64FloatCompare, Comparisons) {
  struct Forms {
    Form a, b;
  };
  for (Type type : {kF32, kF64})
    for (Forms forms : {Forms{Form::kParam, Form::kParam}, Forms{Form::kMemory, Form::kParam},
                        Forms{Form::kParam, Form::kMemory}, Forms{Form::kParam, Form::kConst},
                        Forms{Form::kConst, Form::kParam}}) {
      std::vector<u64> values = few_floats(type);
      u64 constant = type == kF32 ? bits_of(1.5f) : bits_of(1.5);
      NativeModule m(target_of(GetParam()));
      struct Case {
        Op op;
        Use use;
      };
      std::vector<Case> cases;
      for (Op op : kCompare)
        for (u32 use = 0; use < static_cast<u32>(Use::kCount); use++) {
          m.add({letter(type), letter(type)}, "i", [=](IrBuilder& b) {
            build_use(b, op, type, forms.a, forms.b, constant, static_cast<Use>(use));
          });
          cases.push_back({op, static_cast<Use>(use)});
        }
      ASSERT_NO_FATAL_FAILURE(m.finish());
      for (u32 f = 0; f < cases.size(); f++)
        for (u64 x : values)
          for (u64 y : values) {
            u64 a = forms.a == Form::kConst ? constant : x,
                b = forms.b == Form::kConst ? constant : y;
            if (forms.a == Form::kConst && x != values[0]) continue;
            if (forms.b == Form::kConst && y != values[0]) continue;
            std::memcpy(m.memory, &x, 8);
            std::memcpy(m.memory + 8, &y, 8);
            bool want = compare_bits(cases[f].op, type, a, b);
            Called run = m.call(f, {x, y});
            bool got =
                cases[f].use == Use::kTrap ? run.trap != 0 : !run.trap && run.results[0] == 1;
            if (cases[f].use != Use::kTrap && !got) {
              ASSERT_EQ(run.results[0], 0u);
            }
            ASSERT_EQ(got, want) << ir::name_of(cases[f].op) << std::hex << " " << a << " " << b
                                 << " use " << int(cases[f].use) << " forms " << int(forms.a)
                                 << int(forms.b);
          }
    }
}

// a < b ? a : b and its kin, also where b is a constant.
TEST_P(X64FloatCompare, SelectOfTheOperands) {
  for (Type type : {kF32, kF64})
    for (Op op : kCompare)
      for (bool swapped : {false, true}) {
        std::vector<u64> values = few_floats(type);
        u64 constant = type == kF32 ? bits_of(2.5f) : bits_of(2.5);
        NativeModule m(target_of(GetParam()));
        for (bool is_const : {false, true})
          m.add({letter(type), letter(type)}, {letter(type)}, [=](IrBuilder& b) {
            Value x = b.param(0, type);
            Value y = is_const ? b.constant(type, constant) : b.param(1, type);
            Value c = b.compare(op, type, x, y);
            b.ret({swapped ? b.select(type, c, y, x) : b.select(type, c, x, y)});
          });
        ASSERT_NO_FATAL_FAILURE(m.finish());
        for (u32 f = 0; f < 2; f++)
          for (u64 x : values)
            for (u64 y0 : values) {
              u64 y = f ? constant : y0;
              u64 want = compare_bits(op, type, x, y) != swapped ? x : y;
              ASSERT_EQ(m.value(f, {x, y0}), want)
                  << ir::name_of(op) << std::hex << " " << x << " " << y << swapped;
            }
      }
}

// The comparison is used again, or made elsewhere: no mask may take its place.
TEST_P(X64FloatCompare, SelectByAValue) {
  NativeModule m(target_of(GetParam()));
  m.add("ddi", "ddi", [](IrBuilder& b) {
    Value x = b.param(0, kF64), y = b.param(1, kF64);
    Value c = b.compare(Op::kFLe, kF64, x, y);
    b.ret({b.select(kF64, c, b.op(Op::kFNeg, kF64, x), y), b.select(kF64, b.param(2, kI32), x, y),
           c});
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (u64 x : floats(kF64))
    for (u64 y : {bits_of(0.0), bits_of(-1.0), bits_of(7.5)})
      for (u32 i : {0u, 1u, 0x8000'0000u}) {
        bool c = as_f64(x) <= as_f64(y);
        Called run = m.call(0, {x, y, i});
        ASSERT_EQ(run.results[0], c ? x ^ u64{1} << 63 : y);
        ASSERT_EQ(run.results[1], i ? x : y);
        ASSERT_EQ(run.results[2], u64{c});
      }
}

}  // namespace
}  // namespace wring::test
