// SPDX-License-Identifier: GPL-2.0
// Memory accesses as machine code: widths, address forms, operands in memory, faults.
#include "selftests/core/ir/interpreter.h"
#include "selftests/core/x64/native.h"

namespace wring::test {
namespace {

class X64Memory : public ::testing::TestWithParam<TargetVariant> {};
INSTANTIATE_TEST_SUITE_P(Targets, X64Memory, ::testing::ValuesIn(kTargetVariants),
                         [](const auto& info) { return std::string(info.param.name); });

constexpr Type kI32 = Type::kI32, kI64 = Type::kI64;
constexpr MemKind kKinds[] = {MemKind::k8U,  MemKind::k8S,  MemKind::k16U, MemKind::k16S,
                              MemKind::k32U, MemKind::k32S, MemKind::k64};

char letter(Type type) { return type == kI32 ? 'i' : 'l'; }

u64 extended(u64 v, MemKind kind, Type type) {
  switch (kind) {
    case MemKind::k8U: v = static_cast<u8>(v); break;
    case MemKind::k8S: v = static_cast<u64>(static_cast<i8>(v)); break;
    case MemKind::k16U: v = static_cast<u16>(v); break;
    case MemKind::k16S: v = static_cast<u64>(static_cast<i16>(v)); break;
    case MemKind::k32U: v = static_cast<u32>(v); break;
    case MemKind::k32S: v = static_cast<u64>(static_cast<i32>(v)); break;
    default: break;
  }
  return type == kI32 ? static_cast<u32>(v) : v;
}

TEST_P(X64Memory, LoadsAndStoresOfEveryWidth) {
  NativeModule m(target_of(GetParam()));
  struct Case {
    MemKind kind;
    Type type;
    u32 load, store;
    u32 constant_store;
  };
  constexpr u64 kConstant = 0x89ab'cdef'9876'8182;
  std::vector<Case> cases;
  for (MemKind kind : kKinds)
    for (Type type : {kI32, kI64}) {
      if (type == kI32 && (kind == MemKind::k64 || kind == MemKind::k32S)) continue;
      Case c = {kind, type, 0, 0, 0};
      c.load = m.add("i", {letter(type)},
                     [=](IrBuilder& b) { b.ret({b.load(type, kind, b.param(0, kI32), 4)}); });
      c.store = m.add(std::string("i") + letter(type), "", [=](IrBuilder& b) {
        b.store(type, kind, b.param(0, kI32), b.param(1, type), 4);
        b.ret({});
      });
      c.constant_store = m.add("i", "", [=](IrBuilder& b) {
        b.store(type, kind, b.param(0, kI32), b.constant(type, kConstant), 4);
        b.ret({});
      });
      cases.push_back(c);
    }
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (const Case& c : cases)
    for (u64 v : {u64{0}, ~u64{0}, u64{0x8070'6050'4030'2010}, u64{0x0180'8180'8182'8283}}) {
      u32 bytes = bytes_of(c.kind);
      std::memcpy(m.memory + 104, &v, 8);
      EXPECT_EQ(m.value(c.load, {100}), extended(v, c.kind, c.type)) << int(c.kind);
      for (u32 func : {c.store, c.constant_store}) {
        u8 want[16], *at = m.memory + 200;
        std::memset(at, 0x5a, 16);
        std::memcpy(want, at, 16);
        u64 stored = func == c.store ? v : kConstant;
        std::memcpy(want + 4, &stored, bytes);
        EXPECT_EQ(m.call(func, {200, v}).trap, 0u);
        EXPECT_EQ(std::memcmp(at, want, 16), 0) << int(c.kind);
      }
    }
}

// index + offset in all the ways the parts can be made, up to the last byte and beyond it.
TEST_P(X64Memory, AddressesAndBounds) {
  NativeModule m(target_of(GetParam()));
  struct Case {
    u32 func;
    std::function<u64(u32)> address;
  };
  std::vector<Case> cases;
  for (u32 offset : {0u, 1u, 127u, 128u, 0x7fffu, 0x8000u, 0xfff8u, 0x7fff'fff0u, 0x7fff'ffffu,
                     0x8000'0000u, 0xffff'ffffu}) {
    auto add = [&](std::function<Value(IrBuilder&, Value)> index, std::function<u32(u32)> want) {
      u32 func = m.add("i", "l", [=](IrBuilder& b) {
        Value x = b.param(0, kI32);
        b.origin = 77;
        b.ret({b.load(kI64, MemKind::k64, index(b, x), offset)});
      });
      cases.push_back({func, [=](u32 x) { return u64{want(x)} + offset; }});
    };
    add([](IrBuilder&, Value x) { return x; }, [](u32 x) { return x; });
    for (u32 c : {8u, 0x8000u, 0xffff'fff8u}) {
      add([=](IrBuilder& b, Value) { return b.c32(c); }, [=](u32) { return c; });
      // A sum that may wrap, and one that cannot.
      add([=](IrBuilder& b, Value x) { return b.op(Op::kAdd, kI32, x, b.c32(c)); },
          [=](u32 x) { return x + c; });
      add(
          [=](IrBuilder& b, Value x) {
            return b.op(Op::kAdd, kI32, b.op(Op::kAnd, kI32, x, b.c32(0xffff)), b.c32(c));
          },
          [=](u32 x) { return (x & 0xffff) + c; });
    }
    add([](IrBuilder& b, Value x) { return b.op(Op::kShl, kI32, x, b.c32(3)); },
        [](u32 x) { return x << 3; });
    add([](IrBuilder& b,
           Value x) { return b.op(Op::kShl, kI32, b.op(Op::kShrU, kI32, x, b.c32(8)), b.c32(2)); },
        [](u32 x) { return x >> 8 << 2; });
    add([](IrBuilder& b, Value x) { return b.op(Op::kWrap, kI32, b.op(Op::kSExtI32, kI64, x)); },
        [](u32 x) { return x; });
  }
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (u32 i = 0; i < kWasmPageBytes; i++) m.memory[i] = static_cast<u8>(i * 167 >> 3);
  for (const Case& c : cases)
    for (u32 x : {0u, 1u, 8u, 0x100u, 0x7ff8u, 0xfff0u, 0xfff8u, 0xfff9u, 0x1'0000u, 0x7fff'ffffu,
                  0x8000'0000u, 0xffff'fff8u, 0xffff'ffffu}) {
      u64 at = c.address(x);
      Called run = m.call(c.func, {x});
      if (at + 8 <= kWasmPageBytes) {
        u64 want;
        std::memcpy(&want, m.memory + at, 8);
        ASSERT_EQ(run.trap, 0u) << std::hex << at;
        ASSERT_EQ(run.results[0], want) << std::hex << at;
      } else {
        ASSERT_EQ(run.trap, u32{WRING_TRAP_MemoryOutOfBounds}) << std::hex << at;
        ASSERT_EQ(m.last_site()->origin, 77u);
        ASSERT_EQ(m.last_site()->func, c.func);
      }
    }
}

// load, change, store in one instruction; only where nothing lies between.
TEST_P(X64Memory, ReadModifyWrite) {
  NativeModule m(target_of(GetParam()));
  const Op ops[] = {Op::kAdd, Op::kSub, Op::kAnd, Op::kOr, Op::kXor, Op::kShl};
  struct Case {
    u32 func;
    Op op;
    MemKind kind;
    u64 constant;  // 0: the parameter
    bool reversed, writes_between;
  };
  std::vector<Case> cases;
  for (Op op : ops)
    for (MemKind kind : {MemKind::k8U, MemKind::k16S, MemKind::k32U, MemKind::k64})
      for (u64 constant : {u64{0}, u64{1}, u64{0x1'2345}})
        for (bool reversed : {false, true})
          for (bool between : {false, true}) {
            Type type = kind == MemKind::k64 ? kI64 : kI32;
            u32 func = m.add(std::string("i") + letter(type), "", [=](IrBuilder& b) {
              Value p = b.param(0, kI32);
              Value y = constant ? b.constant(type, constant) : b.param(1, type);
              Value x = b.load(type, kind, p, 12);
              if (between) b.store(kI64, MemKind::k64, b.c32(64 + 8), b.c64(~u64{0}));
              Value r = reversed ? b.op(op, type, y, x) : b.op(op, type, x, y);
              b.store(type, kind, p, r, 12);
              b.ret({});
            });
            cases.push_back({func, op, kind, constant, reversed, between});
          }
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (const Case& c : cases)
    for (u64 x : {u64{0}, u64{0x8182'8384'8586'8788}})
      for (u64 y : {u64{3}, u64{0xffff'fff1}}) {
        bool wide = c.kind == MemKind::k64;
        std::memset(m.memory, 0, 256);
        std::memcpy(m.memory + 76, &x, 8);
        std::vector<u8> want(m.memory, m.memory + 256);
        if (c.writes_between) std::memset(&want[72], 0xff, 8);
        u64 a = extended(x, c.kind, wide ? kI64 : kI32), b = c.constant ? c.constant : y;
        if (c.reversed) std::swap(a, b);
        u64 r = interpret_binary(c.op, wide, a, b);
        std::memcpy(&want[76], &r, bytes_of(c.kind));
        ASSERT_EQ(m.call(c.func, {64, y}).trap, 0u);
        ASSERT_EQ(std::vector<u8>(m.memory, m.memory + 256), want)
            << ir::name_of(c.op) << " kind " << int(c.kind) << " constant " << c.constant
            << " reversed " << c.reversed << " between " << c.writes_between;
      }
}

// A load keeps its place before a write, a call and a check, even where it could be an operand of
// what follows.
TEST_P(X64Memory, LoadsStayBeforeWritesAndChecks) {
  NativeModule m(target_of(GetParam()));
  u32 write = m.add("l", "l", [](IrBuilder& b) {
    Value y = b.param(0, kI64);
    Value x = b.load(kI64, MemKind::k64, b.c32(8));
    b.store(kI64, MemKind::k64, b.c32(8), y);
    b.ret({b.op(Op::kAdd, kI64, y, x)});
  });
  u32 check = m.add("i", "i", [](IrBuilder& b) {
    Value c = b.param(0, kI32);
    Value x = b.load(kI32, MemKind::k32U, b.c32(0x7fff'0000));
    b.trap_if(c, TrapReason::kIntegerOverflow);
    b.ret({b.op(Op::kAdd, kI32, c, x)});
  });
  u32 unused = m.add("", "", [](IrBuilder& b) {
    b.load(kI32, MemKind::k32U, b.c32(0x7fff'0000));
    b.ret({});
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  std::memset(m.memory, 0, 64);
  m.memory[8] = 5;
  EXPECT_EQ(m.value(write, {100}), 105u);
  EXPECT_EQ(m.memory[8], 100);
  EXPECT_EQ(m.call(check, {1}).trap, u32{WRING_TRAP_MemoryOutOfBounds});
  EXPECT_EQ(m.call(unused, {}).trap, u32{WRING_TRAP_MemoryOutOfBounds});
}

TEST_P(X64Memory, ByteSwappedAccesses) {
  NativeModule m(target_of(GetParam()));
  u32 load32 = m.add("i", "i", [](IrBuilder& b) {
    b.ret({b.op(Op::kBswap, kI32, b.load(kI32, MemKind::k32U, b.param(0, kI32)))});
  });
  u32 load64 = m.add("i", "l", [](IrBuilder& b) {
    b.ret({b.op(Op::kBswap, kI64, b.load(kI64, MemKind::k64, b.param(0, kI32)))});
  });
  u32 store16 = m.add("ii", "", [](IrBuilder& b) {
    b.store(kI32, MemKind::k16U, b.param(0, kI32), b.op(Op::kBswap16, kI32, b.param(1, kI32)));
    b.ret({});
  });
  u32 store64 = m.add("il", "", [](IrBuilder& b) {
    b.store(kI64, MemKind::k64, b.param(0, kI32), b.op(Op::kBswap, kI64, b.param(1, kI64)));
    b.ret({});
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  const u8 bytes[] = {1, 2, 3, 4, 5, 6, 7, 0x88};
  std::memcpy(m.memory + 32, bytes, 8);
  EXPECT_EQ(m.value(load32, {32}), 0x01020304u);
  EXPECT_EQ(m.value(load64, {32}), 0x0102030405060788u);
  EXPECT_EQ(m.call(store16, {64, 0xabcd'1234}).trap, 0u);
  EXPECT_EQ(m.memory[64], 0x12);
  EXPECT_EQ(m.memory[65], 0x34);
  EXPECT_EQ(m.memory[66], 0);
  EXPECT_EQ(m.call(store64, {64, 0x0102030405060708}).trap, 0u);
  EXPECT_EQ(m.memory[64], 1);
  EXPECT_EQ(m.memory[71], 8);
}

TEST_P(X64Memory, RawAddresses) {
  NativeModule m(target_of(GetParam()));
  static u64 data[32];
  u64 base = reinterpret_cast<u64>(data);
  std::vector<std::pair<u32, std::function<u64(u64)>>> loads;  // function, index of the word
  auto add = [&](std::function<Value(IrBuilder&, Value)> address, i32 disp,
                 std::function<u64(u64)> want) {
    u32 func = m.add("l", "l", [=](IrBuilder& b) {
      b.ret({b.load_raw(kI64, MemKind::k64, address(b, b.param(0, kI64)), disp)});
    });
    loads.push_back({func, want});
  };
  add([=](IrBuilder& b, Value) { return b.c64(base); }, 16, [](u64) { return 2; });
  add([=](IrBuilder& b,
          Value x) { return b.op(Op::kAdd, kI64, b.c64(base), b.op(Op::kShl, kI64, x, b.c64(3))); },
      8, [](u64 x) { return x + 1; });
  add(
      [=](IrBuilder& b, Value x) {
        Value scaled = b.op(Op::kShl, kI64, x, b.c64(3));
        return b.op(Op::kAdd, kI64, b.op(Op::kAdd, kI64, scaled, b.c64(base)), b.c64(24));
      },
      -8, [](u64 x) { return x + 2; });
  add(
      [=](IrBuilder& b, Value x) {
        Value narrow = b.op(Op::kZExtI32, kI64, b.op(Op::kWrap, kI32, x));
        Value scaled = b.op(Op::kMul, kI64, narrow, b.c64(8));
        return b.op(Op::kAdd, kI64, scaled, b.op(Op::kAdd, kI64, b.c64(base), b.c64(32)));
      },
      0, [](u64 x) { return x + 4; });
  u32 field = m.add("", "l", [](IrBuilder& b) {
    b.ret({b.load_raw(kI64, MemKind::k64, b.vmctx(), __builtin_offsetof(wring_vmctx, hook_ctx))});
  });
  u32 self = m.add("", "l", [](IrBuilder& b) { b.ret({b.vmctx()}); });
  std::vector<std::pair<u32, u64>> adds;
  for (Op op : {Op::kAddRaw, Op::kAtomicAddRaw})
    for (u64 delta : {u64{0}, u64{5}, u64{0x1'0000'0000}}) {
      adds.push_back({m.add("ll", "",
                            [=](IrBuilder& b) {
                              Value d = delta ? b.c64(delta) : b.param(1, kI64);
                              Value at = b.op(Op::kAdd, kI64, b.param(0, kI64), b.c64(8));
                              b.write_raw(op, kI64, MemKind::k64, at, d, 8);
                              b.ret({});
                            }),
                      delta ? delta : 77});
    }
  u32 store = m.add("ll", "", [=](IrBuilder& b) {
    b.write_raw(Op::kStoreRaw, kI64, MemKind::k16U, b.param(0, kI64), b.param(1, kI64), 2);
    b.ret({});
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (u64 i = 0; i < 32; i++) data[i] = i * 0x0101'0101'0101'0101;
  for (auto& [func, want] : loads)
    for (u64 x : {u64{0}, u64{3}, u64{20}}) EXPECT_EQ(m.value(func, {x}), data[want(x)]);
  m.ctx.hook_ctx = data;
  EXPECT_EQ(m.value(field, {}), base);
  EXPECT_EQ(m.value(self, {}), reinterpret_cast<u64>(&m.ctx));
  for (auto& [func, delta] : adds) {
    u64 before = data[2];
    EXPECT_EQ(m.call(func, {base, 77}).trap, 0u);
    EXPECT_EQ(data[2], before + delta);
  }
  data[5] = 0;
  EXPECT_EQ(m.call(store, {base + 40, 0x1234'5678}).trap, 0u);
  EXPECT_EQ(data[5], 0x5678'0000u);
}

TEST_P(X64Memory, PerCpuMemory) {
  NativeModule m(target_of(GetParam()));
  alignas(64) static u64 area[16];
  u64 gs = reinterpret_cast<u64>(area);
  auto per_cpu = [](IrBuilder& b, Value p) { return b.with_imm(Op::kPerCpu, kI64, 8, {p}); };
  u32 add = m.add("ll", "", [=](IrBuilder& b) {
    b.write_raw(Op::kAddRaw, kI64, MemKind::k64, per_cpu(b, b.param(0, kI64)), b.param(1, kI64),
                16);
    b.ret({});
  });
  u32 add_fixed = m.add("l", "", [=](IrBuilder& b) {
    b.write_raw(Op::kAddRaw, kI64, MemKind::k64, per_cpu(b, b.c64(32)), b.c64(1), 16);
    b.ret({});
  });
  u32 both = m.add("l", "ll", [=](IrBuilder& b) {
    Value p = per_cpu(b, b.param(0, kI64));
    b.ret({b.load_raw(kI64, MemKind::k64, p, 0), p});
  });
  u32 cpu = m.add(
      "", "i", [=](IrBuilder& b) { b.ret({b.with_imm(Op::kLoadGs, kI32, 0, {}, MemKind::k32U)}); });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  std::fill(std::begin(area), std::end(area), 0);
  area[0] = 0xffff'ffff'0000'0007;
  area[1] = gs;
  area[4] = 44;
  u64 old;
  asm volatile("rdgsbase %0" : "=r"(old));
  asm volatile("wrgsbase %0" ::"r"(gs));
  EXPECT_EQ(m.call(add, {24, 5}).trap, 0u);
  EXPECT_EQ(m.call(add_fixed, {0}).trap, 0u);
  std::vector<u64> loaded = m.call(both, {32}).results;
  u64 number = m.value(cpu, {});
  asm volatile("wrgsbase %0" ::"r"(old));
  EXPECT_EQ(area[5], 5u);
  EXPECT_EQ(area[6], 1u);
  EXPECT_EQ(loaded, (std::vector<u64>{44, gs + 32}));
  EXPECT_EQ(number, 7u);
}

}  // namespace
}  // namespace wring::test
