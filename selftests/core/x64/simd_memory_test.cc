// SPDX-License-Identifier: GPL-2.0
// Vectors and memory: loads and stores of every kind with their traps, lanes, whole expressions whose loads join other
// instructions, loops that need more registers than there are.
#include "selftests/core/x64/simd_fixture.h"

namespace wring::test {
namespace {

class X64SimdMemory : public X64Simd {};
INSTANTIATE_TEST_SUITE_P(Targets, X64SimdMemory, ::testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

// In bounds, and where the last byte is just outside, which must trap at the instruction.
TEST_P(X64SimdMemory, Loads) {
  NativeModule m(target());
  std::vector<u32> pinned, based;
  for (u32 i = 0; i < kKinds; i++) {
    pinned.push_back(m.add("i", "v", [=](IrBuilder& b) {
      b.origin = 77;
      b.ret({b.load(kV128, kind_at(i), b.param(0, Type::kI32), 5)});
    }));
    based.push_back(m.add("il", "v", [=](IrBuilder& b) {
      b.ret({b.access_of(Op::kLoadMem, kV128, Type::kVoid, static_cast<u16>(kind_at(i)), 5,
                         {b.param(0, Type::kI32), b.param(1, Type::kI64)})});
    }));
  }
  ASSERT_NO_FATAL_FAILURE(m.finish());
  Inputs inputs;
  for (u32 i = 0; i < kKinds; i++) {
    for (u32 n = 0; n < 20; n++) {
      V v = inputs.vector();
      u32 at = inputs.below(500);
      memcpy(m.memory + at + 5, &v, 16);
      V want = model_load(kind_at(i), m.memory + at + 5);
      EXPECT_EQ(result_of(m.call(pinned[i], {at}).results, 'v'), want) << i;
      EXPECT_EQ(result_of(m.call(based[i], {at, reinterpret_cast<u64>(m.memory)}).results, 'v'),
                want)
          << i;
    }
    u32 last = static_cast<u32>(kWasmPageBytes) - ir::bytes_of(kind_at(i)) - 5;
    EXPECT_EQ(m.call(pinned[i], {last}).trap, 0u);
    for (u32 index : {last + 1, static_cast<u32>(kWasmPageBytes), 0xffff'ffffu}) {
      EXPECT_EQ(m.call(pinned[i], {index}).trap, static_cast<u32>(TrapReason::kMemoryOutOfBounds))
          << i;
      EXPECT_EQ(m.last_site()->origin, 77u);
      EXPECT_EQ(m.call(based[i], {index, reinterpret_cast<u64>(m.memory)}).trap,
                static_cast<u32>(TrapReason::kMemoryOutOfBounds));
    }
  }
}

// Loads that became operands trap like others.
TEST_P(X64SimdMemory, JoinedLoadsTrap) {
  NativeModule m(target());
  auto shuffled = [](IrBuilder& b, Value x, u64 low, u64 high) {
    Operation o{Opcode::kI8x16Shuffle, Op::kVShuffle, "", "vv", 'v'};
    o.lanes = {low, high};
    return build(b, o, {x, x});
  };
  struct Case {
    Type type;
    MemKind kind;
    std::function<Value(IrBuilder&, Value)> use;
    u32 function;
  };
  auto use_of = [](Opcode op, Op ir, char result, bool with_vector) {
    Operation o{op, ir, "", "", result};
    return [=](IrBuilder& b, Value x) {
      return build(b, o,
                   with_vector ? std::vector<Value>{b.param(1, kV128), x} : std::vector<Value>{x});
    };
  };
  std::vector<Case> cases = {
      {kV128, MemKind::k128, use_of(Opcode::kI8x16Add, Op::kV2, 'v', true), 0},
      {kV128, MemKind::k128, use_of(Opcode::kF64x2Min, Op::kV2, 'v', true), 0},
      {kV128, MemKind::k128, use_of(Opcode::kF32x4Sqrt, Op::kV1, 'v', false), 0},
      {kV128, MemKind::k128,
       [=](IrBuilder& b, Value x) {
         return shuffled(b, x, 0x0302'0100'0706'0504, 0x0b0a'0908'0f0e'0d0c);
       },
       0},
      {kV128, MemKind::k32Splat,
       [=](IrBuilder& b, Value x) {
         Value wide = shuffled(b, x, 0x0000'0001'0000'0000, 0x0000'0003'0000'0002);
         Operation shl{Opcode::kI32x4Shl, Op::kVShift, "", "vi", 'v'}, shr = shl;
         shr.op = Opcode::kI32x4ShrS;
         return build(b, shr, {build(b, shl, {wide, b.c32(24)}), b.c32(24)});
       },
       0},
      {Type::kF32, MemKind::k32U, use_of(Opcode::kF32x4ReplaceLane, Op::kVReplace, 'v', true), 0},
      {Type::kF64, MemKind::k64, use_of(Opcode::kF64x2ReplaceLane, Op::kVReplace, 'v', true), 0},
      {Type::kI32, MemKind::k16U, use_of(Opcode::kI16x8ReplaceLane, Op::kVReplace, 'v', true), 0},
      {Type::kI32, MemKind::k8U, use_of(Opcode::kI8x16Splat, Op::kVSplat, 'v', false), 0},
      {Type::kF64, MemKind::k64, use_of(Opcode::kF64x2Splat, Op::kVSplat, 'v', false), 0},
  };
  for (Case& c : cases)
    c.function = m.add("iv", "v", [=](IrBuilder& b) {
      b.origin = 55;
      Value x = b.load(c.type, c.kind, b.param(0, Type::kI32));
      b.origin = 66;
      b.ret({c.use(b, x)});
    });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (usize i = 0; i < cases.size(); i++) {
    u32 last = static_cast<u32>(kWasmPageBytes) - ir::bytes_of(cases[i].kind);
    EXPECT_EQ(m.call(cases[i].function, {last, 1, 2}).trap, 0u) << i;
    EXPECT_EQ(m.call(cases[i].function, {last + 1, 1, 2}).trap,
              static_cast<u32>(TrapReason::kMemoryOutOfBounds))
        << i;
    EXPECT_EQ(m.last_site()->origin, 55u) << i;
  }
}

TEST_P(X64SimdMemory, Lanes) {
  NativeModule m(target());
  struct Case {
    u32 width, lane, load, store, load_mem, store_mem;
  };
  std::vector<Case> cases;
  const MemKind kWidths[] = {MemKind::k8U, MemKind::k16U, MemKind::k32U, MemKind::k64};
  for (u32 w = 0; w < 4; w++)
    for (u32 lane = 0; lane < 16u >> w; lane++) {
      u16 aux = static_cast<u16>(static_cast<u32>(kWidths[w]) | lane << 8);
      Case c{1u << w, lane, 0, 0, 0, 0};
      c.load = m.add("iv", "v", [=](IrBuilder& b) {
        b.ret({b.access_of(Op::kLoadLane, kV128, Type::kVoid, aux, 3,
                           {b.param(0, Type::kI32), b.param(1, kV128)})});
      });
      c.store = m.add("iv", "", [=](IrBuilder& b) {
        b.access_of(Op::kStoreLane, Type::kVoid, kV128, aux, 3,
                    {b.param(0, Type::kI32), b.param(1, kV128)});
        b.ret({});
      });
      c.load_mem = m.add("ilv", "v", [=](IrBuilder& b) {
        b.ret({b.access_of(Op::kLoadLaneMem, kV128, Type::kVoid, aux, 3,
                           {b.param(0, Type::kI32), b.param(1, Type::kI64), b.param(2, kV128)})});
      });
      c.store_mem = m.add("ilv", "", [=](IrBuilder& b) {
        b.access_of(Op::kStoreLaneMem, Type::kVoid, kV128, aux, 3,
                    {b.param(0, Type::kI32), b.param(1, Type::kI64), b.param(2, kV128)});
        b.ret({});
      });
      cases.push_back(c);
    }
  ASSERT_NO_FATAL_FAILURE(m.finish());
  Inputs inputs;
  u64 base = reinterpret_cast<u64>(m.memory);
  for (const Case& c : cases) {
    for (u32 n = 0; n < 10; n++) {
      V v = inputs.vector(), there = inputs.vector();
      u64 at = inputs.below(500);
      u8* p = m.memory + at + 3;
      memcpy(p, &there, 16);
      V want = v;
      memcpy(reinterpret_cast<u8*>(&want) + c.lane * c.width, p, c.width);
      EXPECT_EQ(result_of(m.call(c.load, {at, v.low, v.high}).results, 'v'), want);
      EXPECT_EQ(result_of(m.call(c.load_mem, {at, base, v.low, v.high}).results, 'v'), want);
      want = there;
      memcpy(&want, reinterpret_cast<u8*>(&v) + c.lane * c.width, c.width);
      for (bool based : {false, true}) {
        memcpy(p, &there, 16);
        if (based)
          m.call(c.store_mem, {at, base, v.low, v.high});
        else
          m.call(c.store, {at, v.low, v.high});
        EXPECT_EQ(memcmp(p, &want, 16), 0) << c.width << " lane " << c.lane;
      }
    }
    for (u32 f : {c.load, c.store}) {
      u64 last = kWasmPageBytes - c.width - 3;
      EXPECT_EQ(m.call(f, {last, 0, 0}).trap, 0u);
      EXPECT_EQ(m.call(f, {last + 1, 0, 0}).trap, static_cast<u32>(TrapReason::kMemoryOutOfBounds));
      EXPECT_EQ(m.call(f, {0xffff'ffff, 0, 0}).trap,
                static_cast<u32>(TrapReason::kMemoryOutOfBounds));
    }
  }
}

// Random expressions: operations that read only some bytes of what shuffles made, widening in the ways compilers write
// it, loads that join.
TEST_P(X64SimdMemory, Expressions) {
  constexpr u32 kFunctions = 400, kSteps = 8, kRuns = 12;
  NativeModule m(target());
  Inputs inputs;
  std::vector<Operation> pool;
  for (const Operation& o : operations()) {
    bool is_vector = o.result == 'v' && o.operands.find_first_not_of("vi") == std::string::npos;
    bool is_float = o.text[0] == 'f' || o.text.find("_f") != std::string::npos;
    if (is_vector && !is_float && o.ir != Op::kVSplat) pool.push_back(o);
  }
  std::vector<Operation> extracts;
  for (const Operation& o : operations())
    if (o.ir == Op::kVExtract && o.text[0] == 'i') extracts.push_back(o);

  struct Step {
    Operation o;
    std::vector<u32> args;  // numbers of values
    u64 scalar = 0;         // constant operand that is no vector
  };
  struct Case {
    MemKind kind;  // of the load that is value 2
    std::vector<Step> steps;
    Operation last;
    u32 function = 0;
  };
  auto shuffle_of = [&] {
    Operation o{Opcode::kI8x16Shuffle, Op::kVShuffle, "i8x16.shuffle", "vv", 'v'};
    simd::Lanes<u8> mask{};
    u32 width = 1u << inputs.below(4), to = width << inputs.below(3),
        first = inputs.below(2) * 8 + inputs.below(2) * 16;
    u32 form = inputs.below(4), filler = inputs.below(3);
    for (u32 i = 0; i < 16; i++) {
      u32 lane = first + i / to * width + i % to;
      if (form == 0) mask[i] = static_cast<u8>(inputs.below(32));
      if (form == 1) mask[i] = static_cast<u8>((i % to < width ? lane : filler ? 0 : 16 + i) & 31);
      if (form == 2) mask[i] = static_cast<u8>((i < 8 ? i + 8 : filler * 8) & 31);
      if (form == 3) mask[i] = static_cast<u8>(i < 4 ? i + 4 * (width % 8) : 0);
    }
    o.lanes = simd::to_v<u8>(mask);
    return o;
  };
  std::vector<Case> cases(kFunctions);
  for (Case& c : cases) {
    c.kind = kind_at(inputs.below(kKinds));
    for (u32 n = 0; n < kSteps; n++) {
      Step s;
      u32 last = 3 + n;  // value 3 is the zero vector
      u32 form = inputs.below(4);
      if (form == 0) {
        s.o = shuffle_of();
      } else if (form == 1) {  // a shift, often the same one as before in the other direction
        const Opcode kShifts[] = {Opcode::kI32x4Shl,  Opcode::kI32x4ShrS, Opcode::kI16x8Shl,
                                  Opcode::kI16x8ShrS, Opcode::kI64x2Shl,  Opcode::kI64x2ShrS};
        u32 which = inputs.below(6);
        if (n && c.steps.back().o.ir == Op::kVShift && inputs.below(4))
          for (u32 k = 0; k < 6; k += 2)
            if (c.steps.back().o.op == kShifts[k]) which = k + 1;
        s.o = {kShifts[which], Op::kVShift, info_of(kShifts[which]).text, "vi", 'v'};
        s.scalar = 8 * (1 + inputs.below(7));
        if (which % 2 && n) s.scalar = c.steps.back().scalar;
      } else {
        s.o = pool[inputs.below(static_cast<u32>(pool.size()))];
        s.scalar = inputs.word();
      }
      for (char letter : s.o.operands)
        s.args.push_back(letter != 'v' ? 0 : inputs.below(3) ? last : inputs.below(last + 1));
      c.steps.push_back(s);
    }
    c.last = extracts[inputs.below(static_cast<u32>(extracts.size()))];
    c.function = m.add("ivv", std::string("v") + c.last.result, [=](IrBuilder& b) {
      std::vector<Value> values{b.param(1, kV128), b.param(2, kV128)};
      values.push_back(b.load(kV128, c.kind, b.param(0, Type::kI32)));
      values.push_back(b.v128(0, 0));
      for (const Step& s : c.steps) {
        std::vector<Value> args;
        for (usize i = 0; i < s.args.size(); i++) {
          char letter = s.o.operands[i];
          args.push_back(letter == 'v' ? values[s.args[i]]
                                       : b.constant(type_of_letter(letter), s.scalar));
        }
        values.push_back(build(b, s.o, args));
      }
      Value scalar = build(b, c.last, {values.back()});
      // Half of the functions need all bytes of something, too.
      b.ret({c.steps.size() % 2 || c.steps[0].args[0] % 2 ? values[4] : values[0], scalar});
    });
  }
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (const Case& c : cases)
    for (u32 run = 0; run < kRuns && !HasFailure(); run++) {
      V x = inputs.vector(), y = inputs.vector(), stored = inputs.vector();
      memcpy(m.memory + 33, &stored, 16);
      std::vector<V> values{x, y, model_load(c.kind, m.memory + 33), {}};
      std::string text;
      for (const Step& s : c.steps) {
        std::vector<V> args;
        for (usize i = 0; i < s.args.size(); i++)
          args.push_back(s.o.operands[i] == 'v' ? values[s.args[i]] : V{s.scalar});
        values.push_back(model(s.o, args));
        text += s.o.text + " ";
      }
      std::vector<u64> got = m.call(c.function, {33, x.low, x.high, y.low, y.high}).results;
      V whole = c.steps.size() % 2 || c.steps[0].args[0] % 2 ? values[4] : values[0];
      EXPECT_EQ(result_of(got, 'v'), whole) << text;
      EXPECT_EQ(got[2], model(c.last, {values.back()}).low) << text << c.last.text;
    }
}

// More values than registers and more constants than stay in registers, in a loop.
TEST_P(X64SimdMemory, Pressure) {
  constexpr u32 kValues = 24, kRounds = 5;
  NativeModule m(target());
  const Opcode kOps[] = {Opcode::kI8x16Add, Opcode::kI16x8Mul, Opcode::kV128Xor,
                         Opcode::kI32x4Sub, Opcode::kI64x2Mul, Opcode::kI8x16GtU};
  std::vector<V> constants;
  Inputs inputs;
  for (u32 i = 0; i < kValues; i++) constants.push_back(inputs.vector());
  u32 f = m.add("i", "", [&](IrBuilder& b) {
    Value base = b.param(0, Type::kI32);
    ir::BlockId loop = b.block(), done = b.block();
    std::vector<Value> start, phis, next;
    for (u32 i = 0; i < kValues; i++) start.push_back(b.load(kV128, MemKind::k128, base, 16 * i));
    b.jump(loop);
    b.at(loop);
    Value count = b.phi(Type::kI32, 2);
    for (u32 i = 0; i < kValues; i++) phis.push_back(b.phi(kV128, 2));
    for (u32 i = 0; i < kValues; i++) {
      Operation o{kOps[i % std::size(kOps)], Op::kV2, "", "vv", 'v'};
      Value other = i % 2 ? phis[(i + 1) % kValues] : b.v128(constants[i].low, constants[i].high);
      next.push_back(build(b, o, {phis[i], other}));
    }
    Value left = b.op(Op::kSub, Type::kI32, count, b.c32(1));
    b.branch(left, loop, done);
    b.set_phi(count, 0, b.c32(kRounds));
    b.set_phi(count, 1, left);
    for (u32 i = 0; i < kValues; i++) {
      b.set_phi(phis[i], 0, start[i]);
      b.set_phi(phis[i], 1, next[i]);
    }
    b.at(done);
    for (u32 i = 0; i < kValues; i++) b.store(kV128, MemKind::k128, base, next[i], 16 * i);
    b.ret({});
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  std::vector<V> values;
  for (u32 i = 0; i < kValues; i++) values.push_back(inputs.vector());
  memcpy(m.memory + 7, values.data(), 16 * kValues);
  ASSERT_EQ(m.call(f, {7}).trap, 0u);
  for (u32 round = 0; round < kRounds; round++) {
    std::vector<V> next;
    for (u32 i = 0; i < kValues; i++) {
      V other = i % 2 ? values[(i + 1) % kValues] : constants[i];
      next.push_back(simd::eval(info_of(kOps[i % std::size(kOps)]).text, values[i], other, {}, 0));
    }
    values = next;
  }
  EXPECT_EQ(memcmp(m.memory + 7, values.data(), 16 * kValues), 0);
}

}  // namespace
}  // namespace wring::test
