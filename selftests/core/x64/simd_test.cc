// SPDX-License-Identifier: GPL-2.0
// Every vector operation as machine code against plain C++ models (simd_model.h), for operands of every kind,
// in the SSE and the AVX encoding.
#include "selftests/core/x64/simd_fixture.h"

namespace wring::test {
namespace {

INSTANTIATE_TEST_SUITE_P(Targets, X64Simd, ::testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(X64Simd, Registers) {
  NativeModule m(target());
  std::vector<Operation> ops = operations();
  std::vector<u32> plain, kept, same;
  for (const Operation& o : ops) {
    auto params = [&](IrBuilder& b) {
      std::vector<Value> args;
      for (usize i = 0; i < o.operands.size(); i++)
        args.push_back(b.param(static_cast<u32>(i), type_of_letter(o.operands[i])));
      return args;
    };
    plain.push_back(m.add(o.operands, std::string(1, o.result),
                          [=](IrBuilder& b) { b.ret({build(b, o, params(b))}); }));
    // With the operands needed afterwards.
    kept.push_back(m.add(o.operands, std::string(1, o.result) + o.operands, [=](IrBuilder& b) {
      std::vector<Value> results = params(b);
      results.insert(results.begin(), build(b, o, results));
      b.ret(results);
    }));
    bool uniform = o.operands.size() > 1 && o.operands.find_first_not_of('v') == std::string::npos;
    same.push_back(!uniform ? kNone : m.add("v", std::string(1, o.result), [=](IrBuilder& b) {
      Value a = b.param(0, kV128);
      b.ret({build(b, o, std::vector<Value>(o.operands.size(), a))});
    }));
  }
  ASSERT_NO_FATAL_FAILURE(m.finish());
  Inputs inputs;
  for (usize i = 0; i < ops.size() && !HasFailure(); i++) {
    const Operation& o = ops[i];
    for (u32 n = 0; n < kInputs; n++) {
      std::vector<V> args = random_args(o, inputs);
      std::vector<u64> in = words(args, o.operands);
      expect(o, args, result_of(m.call(plain[i], in).results, o.result), "registers");
      std::vector<u64> all = m.call(kept[i], in).results;
      expect(o, args, result_of(all, o.result), "operands kept");
      ASSERT_EQ(std::vector<u64>(all.begin() + (o.result == 'v' ? 2 : 1), all.end()), in) << o.text;
      if (same[i] == kNone) continue;
      std::vector<V> equal(args.size(), args[0]);
      expect(o, equal, result_of(m.call(same[i], words(equal, "v")).results, o.result),
             "same operand");
    }
  }
}

// Operands are single uses of loads; results are stored.
TEST_P(X64Simd, Memory) {
  NativeModule m(target());
  std::vector<Operation> ops = operations();
  std::vector<u32> functions;
  for (const Operation& o : ops)
    functions.push_back(m.add("i", "", [=](IrBuilder& b) {
      Value base = b.param(0, Type::kI32);
      std::vector<Value> args;
      for (usize i = 0; i < o.operands.size(); i++)
        args.push_back(b.load(type_of_letter(o.operands[i]), full(o.operands[i]), base, kAt[i]));
      b.store(type_of_letter(o.result), full(o.result), base, build(b, o, args), kResultAt);
      b.ret({});
    }));
  ASSERT_NO_FATAL_FAILURE(m.finish());
  Inputs inputs;
  for (usize i = 0; i < ops.size() && !HasFailure(); i++) {
    for (u32 n = 0; n < kInputs; n++) {
      const Operation& o = ops[i];
      u32 base = inputs.below(1000);  // mostly unaligned
      std::vector<V> args = random_args(o, inputs);
      for (usize k = 0; k < args.size(); k++) memcpy(m.memory + base + kAt[k], &args[k], 16);
      V got;
      memset(m.memory + base + kResultAt, 0, 16);
      ASSERT_EQ(m.call(functions[i], {base}).trap, 0u);
      memcpy(&got, m.memory + base + kResultAt, 16);
      expect(o, args, got, "memory");
    }
  }
}

// Each operand in turn is a constant.
TEST_P(X64Simd, Constants) {
  NativeModule m(target());
  Inputs inputs;
  struct Case {
    Operation o;
    usize index;
    V constant;
    u32 function;
  };
  std::vector<Case> cases;
  for (const Operation& o : operations())
    for (usize index = 0; index < o.operands.size(); index++)
      for (u32 n = 0; n < 12; n++) {
        Case c{o, index, random_args(o, inputs)[index], 0};
        if (n == 0) c.constant = {};
        if (n == 1) c.constant = random_args(o, inputs)[index], c.constant.high = c.constant.low;
        if (o.ir == Op::kVShift && index == 1) c.constant = {n < 10 ? n : 7 * n};
        c.function = m.add(o.operands, std::string(1, o.result), [=](IrBuilder& b) {
          std::vector<Value> args;
          for (usize i = 0; i < o.operands.size(); i++) {
            Type type = type_of_letter(o.operands[i]);
            args.push_back(i != index      ? b.param(static_cast<u32>(i), type)
                           : type == kV128 ? b.v128(c.constant.low, c.constant.high)
                                           : b.constant(type, c.constant.low));
          }
          b.ret({build(b, o, args)});
        });
        cases.push_back(c);
      }
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (const Case& c : cases) {
    for (u32 n = 0; n < 20 && !HasFailure(); n++) {
      std::vector<V> args = random_args(c.o, inputs);
      args[c.index] = c.constant;
      expect(c.o, args,
             result_of(m.call(c.function, words(args, c.o.operands)).results, c.o.result),
             "constant");
    }
  }
}

// Shuffles of every kind that has an instruction of its own, and random ones.
TEST_P(X64Simd, Shuffles) {
  NativeModule m(target());
  Inputs inputs;
  std::vector<simd::Lanes<u8>> masks;
  auto add = [&](auto lane) {
    simd::Lanes<u8> mask{};
    for (u32 i = 0; i < 16; i++) mask[i] = static_cast<u8>(lane(i) & 31);
    masks.push_back(mask);
  };
  for (u32 n = 0; n < 32; n++) {
    add([=](u32) { return n; });
    add([=](u32 i) { return i + n; });
    add([=](u32 i) { return (i + n) % 16; });
    add([=](u32 i) { return i + n < 16 ? i + n : 16; });
    add([=](u32 i) { return i < n ? 16 : i - n; });
    add([=](u32 i) { return i ^ n; });
    add([=](u32 i) { return n < 16 && (n >> i / 4 & 1) ? i + 16 : i; });
  }
  for (u32 width : {1u, 2u, 4u, 8u})
    for (u32 first : {0u, 8u, 16u, 24u})
      for (u32 second : {0u, 8u, 16u, 24u})
        add([=](u32 i) {
          return (i / width % 2 ? second : first) + i / width / 2 * width + i % width;
        });
  for (u32 width : {1u, 2u, 4u, 8u})
    for (u32 n = 0; n < 60; n++) {
      u32 sources = n % 3;
      u32 picks[16];
      for (u32& pick : picks) pick = inputs.below(32 / width);
      add([&](u32 i) {
        u32 byte = picks[i / width] * width + i % width;
        return sources == 0 ? byte : sources == 1 ? byte % 16 : (byte % 16 & 8) | i;
      });
      add([&](u32 i) { return picks[i / width] % 2 ? i + 16 : i; });  // blends
      add([&](u32 i) { return (picks[i / width] % 4 + i / 8 * 4) * 2 % 16 + i % 2; });
    }
  enum Form { kTwo, kSame, kZeroFirst, kZeroSecond, kMemory, kForms };
  struct Case {
    Operation o;
    Form form;
    u32 function;
  };
  std::vector<Case> cases;
  for (const simd::Lanes<u8>& mask : masks)
    for (u32 form = 0; form < kForms; form++) {
      Operation o{Opcode::kI8x16Shuffle, Op::kVShuffle, "i8x16.shuffle", "vv", 'v'};
      o.lanes = simd::to_v<u8>(mask);
      u32 f = m.add(form == kMemory ? "i" : "vv", "v", [=](IrBuilder& b) {
        Value x, y;
        if (form == kMemory) {
          Value base = b.param(0, Type::kI32);
          x = b.load(kV128, MemKind::k128, base, kAt[0]);
          y = b.load(kV128, MemKind::k128, base, kAt[1]);
        } else {
          x = b.param(0, kV128);
          y = form == kSame ? x : b.param(1, kV128);
        }
        if (form == kZeroFirst) x = b.v128(0, 0);
        if (form == kZeroSecond) y = b.v128(0, 0);
        b.ret({build(b, o, {x, y})});
      });
      cases.push_back({o, static_cast<Form>(form), f});
    }
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (const Case& c : cases) {
    V x{0x0706'0504'0302'0100, 0x0f0e'0d0c'0b0a'0908},
        y{0x1716'1514'1312'1110, 0x1f1e'1d1c'1b1a'1918};
    if (c.form == kSame) y = x;
    if (c.form == kZeroFirst) x = {};
    if (c.form == kZeroSecond) y = {};
    std::vector<u64> in = words({x, y}, "vv");
    if (c.form == kMemory) {
      memcpy(m.memory + 3 + kAt[0], &x, 16);
      memcpy(m.memory + 3 + kAt[1], &y, 16);
      in = {3};
    }
    expect(c.o, {x, y}, result_of(m.call(c.function, in).results, 'v'), "shuffle");
  }
}

// Tests as conditions of branches, selects and traps.
TEST_P(X64Simd, Conditions) {
  NativeModule m(target());
  std::vector<Operation> tests;
  for (const Operation& o : operations())
    if (o.ir == Op::kVTest) tests.push_back(o);
  const std::pair<Op, Opcode> kInner[] = {{Op::kV1, Opcode::kV128Not}, {Op::kV2, Opcode::kV128And},
                                          {Op::kV2, Opcode::kI8x16Eq}, {Op::kV2, Opcode::kI16x8Eq},
                                          {Op::kV2, Opcode::kI32x4Eq}, {Op::kV2, Opcode::kI64x2Eq},
                                          {Op::kV2, Opcode::kV128Xor}};
  struct Case {
    Operation test, inner;
    bool negated;
    u32 branch, select, trap, value;
  };
  std::vector<Case> cases;
  for (const Operation& test : tests)
    for (const auto& [ir, opcode] : kInner)
      for (bool negated : {false, true}) {
        Operation inner{opcode, ir, info_of(opcode).text, ir == Op::kV1 ? "v" : "vv", 'v'};
        auto condition = [=](IrBuilder& b) {
          std::vector<Value> args{b.param(0, kV128)};
          if (inner.operands == "vv") args.push_back(b.param(1, kV128));
          Value c = build(b, test, {build(b, inner, args)});
          return negated ? b.compare(Op::kEq, Type::kI32, c, b.c32(0)) : c;
        };
        Case c{test, inner, negated, 0, 0, 0, 0};
        c.branch = m.add("vv", "i", [=](IrBuilder& b) {
          ir::BlockId yes = b.block(), no = b.block();
          b.branch(condition(b), yes, no);
          b.at(yes);
          b.ret({b.c32(1)});
          b.at(no);
          b.ret({b.c32(0)});
        });
        c.select = m.add("vvil", "l", [=](IrBuilder& b) {
          Value x = b.param(3, Type::kI64);
          b.ret({b.select(Type::kI64, condition(b), x, b.c64(7))});
        });
        c.trap = m.add("vv", "", [=](IrBuilder& b) {
          b.trap_if(condition(b), TrapReason::kUnreachable);
          b.ret({});
        });
        c.value = m.add("vv", "i", [=](IrBuilder& b) { b.ret({condition(b)}); });
        cases.push_back(c);
      }
  ASSERT_NO_FATAL_FAILURE(m.finish());
  Inputs inputs;
  for (const Case& c : cases)
    for (u32 n = 0; n < 40 && !HasFailure(); n++) {
      V x = n == 0 ? V{} : n == 1 ? V{~u64{0}, ~u64{0}} : inputs.vector();
      V y = n % 2 ? x : inputs.vector();
      if (n % 5 == 4) x.high = y.high;
      u64 raw = model(c.test, {model(c.inner, {x, y})}).low;
      bool want = (raw != 0) != c.negated;
      std::vector<u64> in = words({x, y}, "vv"), more = in;
      more.push_back(0);
      more.push_back(99);
      std::string text = c.test.text + " of " + c.inner.text;
      EXPECT_EQ(m.value(c.branch, in), u64{want}) << text;
      EXPECT_EQ(m.value(c.select, more), want ? 99u : 7u) << text;
      EXPECT_EQ(m.call(c.trap, in).trap != 0, want) << text;
      EXPECT_EQ(m.value(c.value, in), c.negated ? u64{want} : raw) << text;
    }
}

// Minimum and maximum of results of arithmetic and constants, whose NaNs are known to be quiet.
TEST_P(X64Simd, Clamps) {
  NativeModule m(target());
  Inputs inputs;
  struct Case {
    Operation inner, outer;
    V constant;
    bool first;
    u32 function;
  };
  std::vector<Case> cases;
  for (bool wide : {false, true})
    for (bool is_max : {false, true})
      for (u32 n = 0; n < 24; n++) {
        Opcode inner = wide ? Opcode::kF64x2Add : n % 2 ? Opcode::kF32x4Mul : Opcode::kF32x4Sub;
        Opcode outer = wide ? (is_max ? Opcode::kF64x2Max : Opcode::kF64x2Min)
                            : (is_max ? Opcode::kF32x4Max : Opcode::kF32x4Min);
        Case c{{inner, Op::kV2, info_of(inner).text, "vv", 'v'},
               {outer, Op::kV2, info_of(outer).text, "vv", 'v'},
               inputs.vector(),
               n % 3 == 0,
               0};
        if (n < 2) c.constant = {};
        if (n == 2) c.constant = wide ? V{u64{1} << 63, 0} : V{u64{1} << 31, 0};
        if (n == 3)
          c.constant = wide ? V{0x3ff0'0000'0000'0000, 0} : V{0x3f80'0000, 0x3f80'0000'8000'0000};
        c.function = m.add("vv", "v", [=](IrBuilder& b) {
          Value x = build(b, c.inner, {b.param(0, kV128), b.param(1, kV128)});
          Value k = b.v128(c.constant.low, c.constant.high);
          b.ret({build(b, c.outer, c.first ? std::vector<Value>{k, x} : std::vector<Value>{x, k})});
        });
        cases.push_back(c);
      }
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (const Case& c : cases)
    for (u32 n = 0; n < 100 && !HasFailure(); n++) {
      V x = inputs.vector(), y = n % 4 ? inputs.vector() : x;
      V sum = model(c.inner, {x, y});
      std::vector<V> args =
          c.first ? std::vector<V>{c.constant, sum} : std::vector<V>{sum, c.constant};
      V got = result_of(m.call(c.function, words({x, y}, "vv")).results, 'v');
      V want = model(c.outer, args);
      // The sum's NaNs may have any payload if x or y have.
      bool canonical = c.outer.text[1] == '3'
                           ? simd::all_canonical<float>(x) && simd::all_canonical<float>(y)
                           : simd::all_canonical<double>(x) && simd::all_canonical<double>(y);
      if (!canonical) args = {c.constant, {0x7ff8'0001'7fc0'0001, 0x7ff8'0001'7fc0'0001}};
      EXPECT_TRUE(simd::accepts(c.outer.text, args[0], args[1], want, got))
          << c.outer.text << " " << n;
    }
}

}  // namespace
}  // namespace wring::test
