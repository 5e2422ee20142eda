// SPDX-License-Identifier: GPL-2.0
// What the tests of vector operations share: inputs, the list of operations with their IR, comparison with the models.
#pragma once

#include <random>

#include "core/wasm/instr.h"
#include "selftests/core/x64/native.h"
#include "selftests/core/x64/simd_model.h"

namespace wring::test {

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

// ---- inputs

class Inputs {
 public:
  V vector() {
    static constexpr u64 kWords[] = {0,
                                     ~u64{0},
                                     0x8000'0000'0000'0000,
                                     0x7fff'ffff'ffff'ffff,
                                     0x8080'8080'8080'8080,
                                     0x7f7f'7f7f'7f7f'7f7f,
                                     0x8000'8000'8000'8000,
                                     0x7fff'7fff'7fff'7fff,
                                     0x8000'0000'8000'0000,
                                     0x7fff'ffff'7fff'ffff,
                                     0x0101'0101'0101'0101,
                                     0x0000'0001'0000'0001,
                                     1};
    static constexpr u32 kFloats[] = {
        0x7fc0'0000, 0xffc0'0000, 0x7f80'0000, 0xff80'0000, 0x7f80'0001, 0xffff'ffff,
        0x8000'0000, 0,           0x3f80'0000, 0xbf80'0000, 0x4eff'ffff, 0x4f00'0000,
        0x4f7f'ffff, 0x4f80'0000, 0xcf00'0000, 0xcf00'0001, 0x3f00'0000, 0x3fc0'0000,
        0x4020'0000, 0x0000'0001, 0x4b00'0001, 0x7f7f'ffff, 0xbf7f'ffff};
    static constexpr double kDoubles[] = {0.0,
                                          -0.0,
                                          0.5,
                                          1.5,
                                          -2.5,
                                          2147483647.0,
                                          2147483647.5,
                                          2147483648.0,
                                          -2147483648.0,
                                          -2147483648.5,
                                          -2147483649.0,
                                          4294967295.0,
                                          4294967295.5,
                                          4294967296.0,
                                          1e300,
                                          -1e300,
                                          5e-324,
                                          4503599627370497.5,
                                          0.49999999999999994,
                                          -0.75};
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

inline char letter(ValType type) {
  switch (type) {
    case ValType::kI32: return 'i';
    case ValType::kI64: return 'l';
    case ValType::kF32: return 'f';
    case ValType::kF64: return 'd';
    default: return 'v';
  }
}
inline Type type_of_letter(char c) {
  return c == 'i'   ? Type::kI32
         : c == 'l' ? Type::kI64
         : c == 'f' ? Type::kF32
         : c == 'd' ? Type::kF64
                    : kV128;
}

struct Operation {
  Opcode op;
  Op ir;
  std::string text, operands;
  char result;
  u32 lane = 0;
  V lanes = {};  // of a shuffle
};

inline bool is_plain(const OpcodeInfo& info) {
  return info.feature == Feature::kSimd && info.access == 0 && info.imm != Imm::kV128;
}

// Every operation with every lane.
inline std::vector<Operation> operations() {
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

inline Value build(IrBuilder& b, const Operation& o, const std::vector<Value>& args) {
  std::vector<Value> all = args;
  if (o.ir == Op::kVShuffle) all.push_back(b.v128(o.lanes.low, o.lanes.high));
  return b.access_of(o.ir, type_of_letter(o.result), Type::kVoid, static_cast<u16>(o.op), o.lane,
                     all);
}

inline V model(const Operation& o, std::vector<V> args) {
  args.resize(3);
  return simd::eval(o.text, args[0], args[1], o.ir == Op::kVShuffle ? o.lanes : args[2], o.lane);
}

inline void expect(const Operation& o, const std::vector<V>& args, V got, const char* form) {
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
  snprintf(text, sizeof(text), "lane %u, operands %s %s: want %s, got %s", o.lane,
           hex(args[0]).c_str(), hex(b).c_str(), hex(want).c_str(), hex(got).c_str());
  ADD_FAILURE() << o.text << " (" << form << ") " << text;
}

inline std::vector<u64> words(const std::vector<V>& values, const std::string& letters) {
  std::vector<u64> out;
  for (usize i = 0; i < letters.size(); i++) {
    out.push_back(letters[i] == 'i' || letters[i] == 'f' ? static_cast<u32>(values[i].low)
                                                         : values[i].low);
    if (letters[i] == 'v') out.push_back(values[i].high);
  }
  return out;
}
inline V result_of(const std::vector<u64>& words, char letter) {
  return {words[0], letter == 'v' ? words[1] : 0};
}

inline std::vector<V> random_args(const Operation& o, Inputs& inputs) {
  std::vector<V> args;
  for (char c : o.operands) args.push_back(c == 'v' ? inputs.vector() : V{inputs.word()});
  for (usize i = 0; i < args.size(); i++)
    if (o.operands[i] == 'i' || o.operands[i] == 'f') args[i].low = static_cast<u32>(args[i].low);
  return args;
}

inline MemKind full(char c) {
  return c == 'v' ? MemKind::k128 : c == 'i' || c == 'f' ? MemKind::k32U : MemKind::k64;
}

inline V model_load(MemKind kind, const u8* p) {
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
inline MemKind kind_at(u32 i) { return static_cast<MemKind>(static_cast<u32>(MemKind::k128) + i); }

}  // namespace wring::test
