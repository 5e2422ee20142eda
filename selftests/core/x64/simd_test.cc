// SPDX-License-Identifier: GPL-2.0
// Every vector operation as machine code against plain C++ models (simd_model.h), for operands of every kind, in the SSE
// and the AVX encoding.
#include <random>

#include "core/wasm/instr.h"
#include "selftests/core/x64/native.h"
#include "selftests/core/x64/simd_model.h"

namespace wring::test {
namespace {

using simd::V;

constexpr Type kV128 = Type::kV128;
constexpr u32 kInputs = 60;
// Where operands and results are in memory.
constexpr u32 kAt[] = {0x100, 0x200, 0x300}, kResultAt = 0x400;

// What the CPU may have and a build may ask for.
struct Variant {
  const char* name;
  u32 features;  // kept of the machine's
  bool blinded;
};
constexpr u32 kNoAvx = ~(kCpuAvx | kCpuAvx2);
constexpr Variant kVariants[] = {{"native", ~0u, false},
                                 {"avx", ~u32{kCpuAvx2}, false},
                                 {"sse", kNoAvx, false},
                                 {"blinded", ~0u, true},
                                 {"sse_blinded", kNoAvx, true}};

class X64Simd : public ::testing::TestWithParam<Variant> {
 protected:
  static Target target() {
    Target t = native_target();
    t.cpu &= GetParam().features;
    if (GetParam().blinded) t.random = 0x1234'5678'9abc'def1;
    return t;
  }
};
INSTANTIATE_TEST_SUITE_P(Targets, X64Simd, ::testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- inputs

class Inputs {
 public:
  V vector() {
    static constexpr u64 kWords[] = {0, ~u64{0}, 0x8000'0000'0000'0000, 0x7fff'ffff'ffff'ffff,
                                     0x8080'8080'8080'8080, 0x7f7f'7f7f'7f7f'7f7f,
                                     0x8000'8000'8000'8000, 0x7fff'7fff'7fff'7fff,
                                     0x8000'0000'8000'0000, 0x7fff'ffff'7fff'ffff,
                                     0x0101'0101'0101'0101, 0x0000'0001'0000'0001, 1};
    static constexpr u32 kFloats[] = {0x7fc0'0000, 0xffc0'0000, 0x7f80'0000, 0xff80'0000, 0x7f80'0001,
                                      0xffff'ffff, 0x8000'0000, 0,           0x3f80'0000, 0xbf80'0000,
                                      0x4eff'ffff, 0x4f00'0000, 0x4f7f'ffff, 0x4f80'0000, 0xcf00'0000,
                                      0xcf00'0001, 0x3f00'0000, 0x3fc0'0000, 0x4020'0000, 0x0000'0001,
                                      0x4b00'0001, 0x7f7f'ffff, 0xbf7f'ffff};
    static constexpr double kDoubles[] = {0.0, -0.0, 0.5, 1.5, -2.5, 2147483647.0, 2147483647.5, 2147483648.0,
                                          -2147483648.0, -2147483648.5, -2147483649.0, 4294967295.0,
                                          4294967295.5, 4294967296.0, 1e300, -1e300, 5e-324, 4503599627370497.5,
                                          0.49999999999999994, -0.75};
    static constexpr u64 kDoubleBits[] = {0x7ff8'0000'0000'0000, 0xfff8'0000'0000'0000,
                                          0x7ff0'0000'0000'0000, 0xfff0'0000'0000'0000,
                                          0x7ff0'0000'0000'0001, 0xffff'0000'1234'5678};
    V v;
    for (u64* half : {&v.low, &v.high}) switch (random_() % 6) {
        case 0: *half = pick(kWords); break;
        case 1: *half = u64{pick(kFloats)} << 32 | pick(kFloats); break;
        case 2: *half = std::bit_cast<u64>(pick(kDoubles)); break;
        case 3: *half = pick(kDoubleBits); break;
        case 4:  // bytes near the limits
          for (u32 i = 0; i < 8; i++) *half = *half << 8 | pick(kBytes);
          break;
        default: *half = random_();
      }
    return v;
  }
  u64 word() { return random_() % 4 ? vector().low : random_() % 70; }
  u32 below(u32 n) { return static_cast<u32>(random_() % n); }

 private:
  static constexpr u8 kBytes[] = {0, 1, 2, 15, 16, 17, 31, 0x7e, 0x7f, 0x80, 0x81, 0xfe, 0xff};
  template <class T, usize N>
  T pick(const T (&list)[N]) {
    return list[random_() % N];
  }
  std::mt19937_64 random_{1};
};

// ---- operations

char letter(ValType type) {
  switch (type) {
    case ValType::kI32: return 'i';
    case ValType::kI64: return 'l';
    case ValType::kF32: return 'f';
    case ValType::kF64: return 'd';
    default: return 'v';
  }
}
Type type_of_letter(char c) {
  return c == 'i' ? Type::kI32 : c == 'l' ? Type::kI64 : c == 'f' ? Type::kF32 : c == 'd' ? Type::kF64 : kV128;
}

struct Operation {
  Opcode op;
  Op ir;
  std::string text, operands;
  char result;
  u32 lane = 0;
  V lanes = {};  // of a shuffle
};

bool is_plain(const OpcodeInfo& info) {
  return info.feature == Feature::kSimd && info.access == 0 && info.imm != Imm::kV128;
}

// Every operation with every lane.
std::vector<Operation> operations() {
  std::vector<Operation> out;
  for (u32 i = 0; i < static_cast<u32>(Opcode::kCount); i++) {
    const OpcodeInfo& info = kOpcodes[i];
    if (!is_plain(info)) continue;
    Operation o;
    o.op = static_cast<Opcode>(i);
    o.text = info.text;
    for (u32 k = 0; k < info.operand_count; k++) o.operands += letter(info.operands[k]);
    o.result = letter(info.result);
    if (o.text.find(".splat") != std::string::npos)
      o.ir = Op::kVSplat;
    else if (o.text.find("extract_lane") != std::string::npos)
      o.ir = Op::kVExtract;
    else if (o.text.find("replace_lane") != std::string::npos)
      o.ir = Op::kVReplace;
    else if (o.result == 'i')
      o.ir = Op::kVTest;
    else if (o.operands == "vi")
      o.ir = Op::kVShift;
    else
      o.ir = o.operands == "v" ? Op::kV1 : o.operands == "vv" ? Op::kV2 : Op::kV3;
    for (o.lane = 0; o.lane < max<u32>(info.lanes, 1); o.lane++) out.push_back(o);
  }
  return out;
}

Value build(IrBuilder& b, const Operation& o, const std::vector<Value>& args) {
  std::vector<Value> all = args;
  if (o.ir == Op::kVShuffle) all.push_back(b.v128(o.lanes.low, o.lanes.high));
  return b.access_of(o.ir, type_of_letter(o.result), Type::kVoid, static_cast<u16>(o.op), o.lane, all);
}

V model(const Operation& o, const std::vector<V>& args) {
  V b = args.size() > 1 ? args[1] : V{};
  V c = o.ir == Op::kVShuffle ? o.lanes : args.size() > 2 ? args[2] : V{};
  return simd::eval(o.text, args[0], b, c, o.lane);
}

void expect(const Operation& o, const std::vector<V>& args, V got, const char* form) {
  V want = model(o, args);
  V b = args.size() > 1 ? args[1] : V{};
  if (simd::accepts(o.text, args[0], b, want, got)) return;
  char text[256];
  auto hex = [](V v) {
    char buf[40];
    snprintf(buf, sizeof(buf), "%016llx_%016llx", static_cast<unsigned long long>(v.high),
             static_cast<unsigned long long>(v.low));
    return std::string(buf);
  };
  snprintf(text, sizeof(text), "lane %u, operands %s %s: want %s, got %s", o.lane, hex(args[0]).c_str(),
           hex(b).c_str(), hex(want).c_str(), hex(got).c_str());
  ADD_FAILURE() << o.text << " (" << form << ") " << text;
}

std::vector<u64> words(const std::vector<V>& values, const std::string& letters) {
  std::vector<u64> out;
  for (usize i = 0; i < letters.size(); i++) {
    out.push_back(letters[i] == 'i' || letters[i] == 'f' ? static_cast<u32>(values[i].low) : values[i].low);
    if (letters[i] == 'v') out.push_back(values[i].high);
  }
  return out;
}
V result_of(const std::vector<u64>& words, char letter) {
  return {words[0], letter == 'v' ? words[1] : 0};
}

std::vector<V> random_args(const Operation& o, Inputs& inputs) {
  std::vector<V> args;
  for (char c : o.operands) args.push_back(c == 'v' ? inputs.vector() : V{inputs.word()});
  for (usize i = 0; i < args.size(); i++)
    if (o.operands[i] == 'i' || o.operands[i] == 'f') args[i].low = static_cast<u32>(args[i].low);
  return args;
}

MemKind full(char c) {
  return c == 'v' ? MemKind::k128 : c == 'i' || c == 'f' ? MemKind::k32U : MemKind::k64;
}

// ---- tests

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
      expect(o, equal, result_of(m.call(same[i], words(equal, "v")).results, o.result), "same operand");
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
            args.push_back(i != index        ? b.param(static_cast<u32>(i), type)
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
      expect(c.o, args, result_of(m.call(c.function, words(args, c.o.operands)).results, c.o.result), "constant");
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
    V x{0x0706'0504'0302'0100, 0x0f0e'0d0c'0b0a'0908}, y{0x1716'1514'1312'1110, 0x1f1e'1d1c'1b1a'1918};
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

// ---- memory


V model_load(MemKind kind, const u8* p) {
  u64 bits = 0;
  memcpy(&bits, p, std::min<u32>(ir::bytes_of(kind), 8));
  V low{bits};
  auto widened = [&](const char* name) { return simd::eval(name, low, {}, {}, 0); };
  switch (kind) {
    case MemKind::k8x8S: return widened("i16x8.extend_low_i8x16_s");
    case MemKind::k8x8U: return widened("i16x8.extend_low_i8x16_u");
    case MemKind::k16x4S: return widened("i32x4.extend_low_i16x8_s");
    case MemKind::k16x4U: return widened("i32x4.extend_low_i16x8_u");
    case MemKind::k32x2S: return widened("i64x2.extend_low_i32x4_s");
    case MemKind::k32x2U: return widened("i64x2.extend_low_i32x4_u");
    case MemKind::k8Splat: return widened("i8x16.splat");
    case MemKind::k16Splat: return widened("i16x8.splat");
    case MemKind::k32Splat: return widened("i32x4.splat");
    case MemKind::k64Splat: return widened("i64x2.splat");
    case MemKind::k128: {
      V v;
      memcpy(&v, p, 16);
      return v;
    }
    default: return low;
  }
}

constexpr u32 kKinds = static_cast<u32>(MemKind::k64Zero) - static_cast<u32>(MemKind::k128) + 1;
MemKind kind_at(u32 i) { return static_cast<MemKind>(static_cast<u32>(MemKind::k128) + i); }

// In bounds, and where the last byte is just outside, which must trap at the instruction.
TEST_P(X64Simd, Loads) {
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
      EXPECT_EQ(result_of(m.call(based[i], {at, reinterpret_cast<u64>(m.memory)}).results, 'v'), want) << i;
    }
    u32 last = static_cast<u32>(kWasmPageBytes) - ir::bytes_of(kind_at(i)) - 5;
    EXPECT_EQ(m.call(pinned[i], {last}).trap, 0u);
    for (u32 index : {last + 1, static_cast<u32>(kWasmPageBytes), 0xffff'ffffu}) {
      EXPECT_EQ(m.call(pinned[i], {index}).trap, static_cast<u32>(TrapReason::kMemoryOutOfBounds)) << i;
      EXPECT_EQ(m.last_site()->origin, 77u);
      EXPECT_EQ(m.call(based[i], {index, reinterpret_cast<u64>(m.memory)}).trap,
                static_cast<u32>(TrapReason::kMemoryOutOfBounds));
    }
  }
}

TEST_P(X64Simd, Lanes) {
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
        b.ret({b.access_of(Op::kLoadLane, kV128, Type::kVoid, aux, 3, {b.param(0, Type::kI32), b.param(1, kV128)})});
      });
      c.store = m.add("iv", "", [=](IrBuilder& b) {
        b.access_of(Op::kStoreLane, Type::kVoid, kV128, aux, 3, {b.param(0, Type::kI32), b.param(1, kV128)});
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
      EXPECT_EQ(m.call(f, {0xffff'ffff, 0, 0}).trap, static_cast<u32>(TrapReason::kMemoryOutOfBounds));
    }
  }
}

// Random expressions: operations that read only some bytes of what shuffles made, widening in the ways compilers write
// it, loads that join.
TEST_P(X64Simd, Expressions) {
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
    u32 width = 1u << inputs.below(4), to = width << inputs.below(3), first = inputs.below(2) * 8 + inputs.below(2) * 16;
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
        const Opcode kShifts[] = {Opcode::kI32x4Shl, Opcode::kI32x4ShrS, Opcode::kI16x8Shl, Opcode::kI16x8ShrS,
                                  Opcode::kI64x2Shl, Opcode::kI64x2ShrS};
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
      for (char letter : s.o.operands) s.args.push_back(letter != 'v' ? 0 : inputs.below(3) ? last : inputs.below(last + 1));
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
          args.push_back(letter == 'v' ? values[s.args[i]] : b.constant(type_of_letter(letter), s.scalar));
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

// More values than registers, in a loop: constants, spills and what a phi passes.
TEST_P(X64Simd, Pressure) {
  constexpr u32 kValues = 24, kRounds = 5;
  NativeModule m(target());
  const Opcode kOps[] = {Opcode::kI8x16Add, Opcode::kI16x8Mul, Opcode::kV128Xor, Opcode::kI32x4Sub,
                         Opcode::kI64x2Mul, Opcode::kI8x16GtU};
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
      Value other = i % 3 ? phis[(i + 1) % kValues] : b.v128(constants[i].low, constants[i].high);
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
      V other = i % 3 ? values[(i + 1) % kValues] : constants[i];
      next.push_back(simd::eval(info_of(kOps[i % std::size(kOps)]).text, values[i], other, {}, 0));
    }
    values = next;
  }
  EXPECT_EQ(memcmp(m.memory + 7, values.data(), 16 * kValues), 0);
}

}  // namespace
}  // namespace wring::test
