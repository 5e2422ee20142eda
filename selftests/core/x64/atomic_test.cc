// SPDX-License-Identifier: GPL-2.0
// Atomic accesses and those of memories other than the first as machine code.
#include <random>
#include <thread>

#include "selftests/core/x64/native.h"

namespace wring::test {
namespace {

class X64Atomic : public ::testing::TestWithParam<TargetVariant> {};
INSTANTIATE_TEST_SUITE_P(Targets, X64Atomic, ::testing::ValuesIn(kTargetVariants),
                         [](const auto& info) { return std::string(info.param.name); });

using ir::AtomicOp;

constexpr Type kI32 = Type::kI32, kI64 = Type::kI64;
constexpr u32 kOffset = 24, kOrigin = 91;
constexpr AtomicOp kRmw[] = {AtomicOp::kAdd, AtomicOp::kSub, AtomicOp::kAnd,
                             AtomicOp::kOr,  AtomicOp::kXor, AtomicOp::kXchg};

struct Access {
  Type type;
  MemKind kind;
};
constexpr Access kAccesses[] = {{kI32, MemKind::k8U}, {kI32, MemKind::k16U}, {kI32, MemKind::k32U},
                                {kI64, MemKind::k8U}, {kI64, MemKind::k16U}, {kI64, MemKind::k32U},
                                {kI64, MemKind::k64}};

char letter(Type type) { return type == kI32 ? 'i' : 'l'; }
u64 mask_of(MemKind kind) {
  u32 bytes = ir::bytes_of(kind);
  return bytes == 8 ? ~u64{0} : (u64{1} << 8 * bytes) - 1;
}

u64 apply(AtomicOp op, u64 a, u64 b) {
  switch (op) {
    case AtomicOp::kAdd: return a + b;
    case AtomicOp::kSub: return a - b;
    case AtomicOp::kAnd: return a & b;
    case AtomicOp::kOr: return a | b;
    case AtomicOp::kXor: return a ^ b;
    case AtomicOp::kXchg: return b;
  }
  return 0;
}

// Where the base of the memory comes from.
enum class Base { kPinned, kLoaded };
constexpr Base kBases[] = {Base::kPinned, Base::kLoaded};

Value base_of(IrBuilder& b, Base base) {
  if (base == Base::kPinned) return b.with_imm(Op::kMemBase, kI64, 0);
  return b.load_raw(kI64, MemKind::k64, b.vmctx(), offsetof(wring_vmctx, memory_base));
}

Value atomic(IrBuilder& b, Op op, Type type, MemKind kind, std::vector<Value> args,
             AtomicOp rmw = AtomicOp::kAdd) {
  b.origin = kOrigin;
  return b.access_of(op, op == Op::kAtomicStore ? Type::kVoid : type, type,
                     static_cast<u16>(static_cast<u32>(kind) | static_cast<u32>(rmw) << 8), kOffset,
                     args);
}

const u64 kValues[] = {0,
                       1,
                       0x7f,
                       0x80,
                       0xff,
                       0x1234,
                       0x8000,
                       0xffff,
                       0x7fff'ffff,
                       0x8000'0000,
                       0xffff'ffff,
                       0x1234'5678'9abc'def0,
                       0x8000'0000'0000'0000,
                       ~u64{0}};

u64 as_type(Type type, u64 v) { return type == kI32 ? static_cast<u32>(v) : v; }

TEST_P(X64Atomic, LoadsAndStores) {
  for (Base base : kBases) {
    NativeModule m(target_of(GetParam()));
    for (Access a : kAccesses) {
      m.add("i", {letter(a.type)}, [=](IrBuilder& b) {
        Value at = base_of(b, base);
        b.ret({atomic(b, Op::kAtomicLoad, a.type, a.kind, {b.param(0, kI32), at})});
      });
      m.add({'i', letter(a.type)}, {letter(a.type)}, [=](IrBuilder& b) {
        Value at = base_of(b, base), v = b.param(1, a.type);
        atomic(b, Op::kAtomicStore, a.type, a.kind, {b.param(0, kI32), at, v});
        b.ret({v});  // which the exchange must not have changed
      });
      m.add("i", "i", [=](IrBuilder& b) {
        Value at = base_of(b, base), c = b.constant(a.type, 0x1122'3344'5566'7788);
        atomic(b, Op::kAtomicStore, a.type, a.kind, {b.param(0, kI32), at, c});
        atomic(b, Op::kFence, Type::kVoid, MemKind::k8U, {});
        b.ret({b.param(0, kI32)});
      });
    }
    ASSERT_NO_FATAL_FAILURE(m.finish());
    for (u32 f = 0; f < std::size(kAccesses); f++) {
      Access a = kAccesses[f];
      u32 bytes = ir::bytes_of(a.kind);
      for (u64 v : kValues) {
        std::memset(m.memory, 0x5a, 256);
        std::memcpy(m.memory + 40 + kOffset, &v, bytes);
        EXPECT_EQ(m.value(3 * f, {40}), v & mask_of(a.kind));
        EXPECT_EQ(m.value(3 * f + 1, {80, v}), as_type(a.type, v));
        u64 got = 0;
        std::memcpy(&got, m.memory + 80 + kOffset, bytes);
        EXPECT_EQ(got, v & mask_of(a.kind));
        EXPECT_EQ(m.memory[80 + kOffset + bytes], 0x5a);
      }
      EXPECT_EQ(m.call(3 * f + 2, {80}).trap, 0u);
      u64 got = 0;
      std::memcpy(&got, m.memory + 80 + kOffset, bytes);
      EXPECT_EQ(got, 0x1122'3344'5566'7788 & mask_of(a.kind));
      for (u32 i = 0; i < 3; i++) {
        Called run = m.call(3 * f + i, {kWasmPageBytes, 7});
        EXPECT_EQ(run.trap, static_cast<u32>(TrapReason::kMemoryOutOfBounds));
        EXPECT_EQ(m.last_site()->origin, kOrigin);
      }
    }
  }
}

// The result used or not, with an operand that is a parameter (whose upper half is to be ignored), a constant, or the
// index itself.
TEST_P(X64Atomic, ReadModifyWrite) {
  enum Operand { kParam, kConst, kIndex };
  constexpr u64 kConstant = 0x8182'8384'8586'8788;
  for (Base base : kBases)
    for (AtomicOp op : kRmw) {
      NativeModule m(target_of(GetParam()));
      struct Case {
        Access access;
        bool used;
        Operand operand;
      };
      std::vector<Case> cases;
      for (Access a : kAccesses)
        for (bool used : {false, true})
          for (Operand operand : {kParam, kConst, kIndex}) {
            if (operand == kIndex && a.type != kI32) continue;
            m.add({'i', letter(a.type)}, {letter(a.type), letter(a.type)}, [=](IrBuilder& b) {
              Value at = base_of(b, base), p = b.param(1, a.type), index = b.param(0, kI32);
              Value x = operand == kParam   ? p
                        : operand == kConst ? b.constant(a.type, kConstant)
                                            : index;
              Value old = atomic(b, Op::kAtomicRmw, a.type, a.kind, {index, at, x}, op);
              b.ret({used ? old : p, p});
            });
            cases.push_back({a, used, operand});
          }
      ASSERT_NO_FATAL_FAILURE(m.finish());
      for (u32 f = 0; f < cases.size(); f++) {
        const Case& c = cases[f];
        u64 mask = mask_of(c.access.kind);
        for (u64 before : kValues)
          for (u64 v : kValues) {
            u64 x = c.operand == kParam ? v : c.operand == kConst ? kConstant : 48;
            u64 filler = 0x5a5a'5a5a'5a5a'5a5a, memory = (filler & ~mask) | (before & mask);
            std::memcpy(m.memory + 48 + kOffset, &memory, 8);
            Called run = m.call(f, {48, v});
            ASSERT_EQ(run.trap, 0u);
            ASSERT_EQ(run.results[0], c.used ? before & mask : as_type(c.access.type, v))
                << int(op) << " " << f;
            ASSERT_EQ(run.results[1], as_type(c.access.type, v));
            std::memcpy(&memory, m.memory + 48 + kOffset, 8);
            ASSERT_EQ(memory, (filler & ~mask) | (apply(op, before, x) & mask))
                << int(op) << " " << f;
          }
        Called run = m.call(f, {kWasmPageBytes + 8, 7});
        EXPECT_EQ(run.trap, static_cast<u32>(TrapReason::kMemoryOutOfBounds));
        EXPECT_EQ(m.last_site()->origin, kOrigin);
      }
    }
}

TEST_P(X64Atomic, CompareAndExchange) {
  for (Base base : kBases) {
    NativeModule m(target_of(GetParam()));
    for (Access a : kAccesses) {
      m.add({'i', letter(a.type), letter(a.type)}, std::string(3, letter(a.type)),
            [=](IrBuilder& b) {
              Value at = base_of(b, base), expected = b.param(1, a.type), next = b.param(2, a.type);
              Value old =
                  atomic(b, Op::kAtomicCas, a.type, a.kind, {b.param(0, kI32), at, expected, next});
              b.ret({old, expected, next});
            });
      // One value for both, and nothing else alive.
      m.add({'i', letter(a.type)}, {letter(a.type)}, [=](IrBuilder& b) {
        Value at = base_of(b, base), x = b.param(1, a.type);
        b.ret({atomic(b, Op::kAtomicCas, a.type, a.kind, {b.param(0, kI32), at, x, x})});
      });
      m.add({'i', letter(a.type)}, {letter(a.type)}, [=](IrBuilder& b) {
        Value at = base_of(b, base), x = b.param(1, a.type);
        b.ret({atomic(b, Op::kAtomicCas, a.type, a.kind,
                      {b.param(0, kI32), at, b.constant(a.type, 0x80), x})});
      });
    }
    ASSERT_NO_FATAL_FAILURE(m.finish());
    for (u32 f = 0; f < std::size(kAccesses); f++) {
      Access a = kAccesses[f];
      u64 mask = mask_of(a.kind), filler = 0x5a5a'5a5a'5a5a'5a5a;
      for (u64 before : kValues)
        for (u64 expected : kValues)
          for (u64 next : {u64{5}, ~u64{0} - 7}) {
            auto check = [&](u32 func, std::vector<u64> args, u64 e, u64 n) {
              u64 memory = (filler & ~mask) | (before & mask);
              std::memcpy(m.memory + 64 + kOffset, &memory, 8);
              Called run = m.call(func, args);
              ASSERT_EQ(run.trap, 0u);
              ASSERT_EQ(run.results[0], before & mask)
                  << func << std::hex << " " << before << " " << e;
              if (run.results.size() > 1) {
                ASSERT_EQ(run.results[1], as_type(a.type, e));
                ASSERT_EQ(run.results[2], as_type(a.type, n));
              }
              std::memcpy(&memory, m.memory + 64 + kOffset, 8);
              u64 want = (before & mask) == (e & mask) ? n : before;
              ASSERT_EQ(memory, (filler & ~mask) | (want & mask));
            };
            check(3 * f, {64, expected, next}, expected, next);
            check(3 * f + 1, {64, expected}, expected, expected);
            check(3 * f + 2, {64, next}, 0x80, next);
          }
      for (u32 i = 0; i < 3; i++) {
        Called run = m.call(3 * f + i, {kWasmPageBytes, 7, 7});
        EXPECT_EQ(run.trap, static_cast<u32>(TrapReason::kMemoryOutOfBounds));
        EXPECT_EQ(m.last_site()->origin, kOrigin);
      }
    }
  }
}

// Two threads at one word.
TEST_P(X64Atomic, IsAtomic) {
  constexpr u32 kRounds = 20'000;
  for (bool used : {false, true})
    for (AtomicOp op : {AtomicOp::kAdd, AtomicOp::kSub, AtomicOp::kXor}) {
      NativeModule m(target_of(GetParam()));
      u32 func = m.add("il", "l", [=](IrBuilder& b) {
        Value at = base_of(b, Base::kPinned), x = b.param(1, kI64);
        Value old = atomic(b, Op::kAtomicRmw, kI64, MemKind::k64, {b.param(0, kI32), at, x}, op);
        b.ret({used ? old : x});
      });
      ASSERT_NO_FATAL_FAILURE(m.finish());
      auto entry = reinterpret_cast<u32 (*)(wring_vmctx*, unsigned long long*)>(
          m.address() + m.code.array_entries[func]);
      auto work = [&](u64 x) {
        wring_vmctx ctx = m.ctx;
        ctx.root = &ctx;
        alignas(16) u8 stack[4096];
        ctx.stack_top = stack + sizeof(stack);
        ctx.stack_limit = nullptr;
        for (u32 i = 0; i < kRounds; i++) {
          unsigned long long argv[2] = {8, x};
          EXPECT_EQ(entry(&ctx, argv), 0u);
        }
      };
      std::thread other(work, 1);
      work(u64{1} << 32);
      other.join();
      u64 got, each = u64{kRounds} << 32 | kRounds;
      std::memcpy(&got, m.memory + 8 + kOffset, 8);
      EXPECT_EQ(got, op == AtomicOp::kAdd ? each : op == AtomicOp::kSub ? 0 - each : 0);
    }
}

// Plain accesses of a memory by its base: every width, folded into what uses them, and out of bounds.
TEST_P(X64Atomic, MemoriesByBase) {
  for (Base base : kBases) {
    NativeModule m(target_of(GetParam()));
    auto access = [=](IrBuilder& b, Op op, Type result, Type type, MemKind kind,
                      std::vector<Value> args) {
      b.origin = kOrigin;
      return b.access_of(op, result, type, static_cast<u16>(kind), kOffset, args);
    };
    struct Case {
      Type type;
      MemKind kind;
    };
    const Case cases[] = {{kI32, MemKind::k8S},        {kI32, MemKind::k16U},
                          {kI64, MemKind::k32S},       {kI64, MemKind::k64},
                          {Type::kF32, MemKind::k32U}, {Type::kF64, MemKind::k64}};
    auto letter_of = [](Type t) {
      return t == Type::kF32 ? 'f' : t == Type::kF64 ? 'd' : letter(t);
    };
    for (Case c : cases) {
      m.add("i", {letter_of(c.type)}, [=](IrBuilder& b) {
        Value at = base_of(b, base);
        b.ret({access(b, Op::kLoadMem, c.type, c.type, c.kind, {b.param(0, kI32), at})});
      });
      m.add({'i', letter_of(c.type)}, "", [=](IrBuilder& b) {
        Value at = base_of(b, base);
        access(b, Op::kStoreMem, Type::kVoid, c.type, c.kind,
               {b.param(0, kI32), at, b.param(1, c.type)});
        b.ret({});
      });
    }
    u32 add = m.add("ll", "l", [=](IrBuilder& b) {
      Value at = base_of(b, base),
            index = b.op(Op::kShl, kI32,
                         b.op(Op::kAnd, kI32, b.op(Op::kWrap, kI32, b.param(0, kI64)), b.c32(15)),
                         b.c32(3));
      Value x = access(b, Op::kLoadMem, kI64, kI64, MemKind::k64, {index, at});
      b.ret({b.op(Op::kAdd, kI64, b.param(1, kI64), x)});
    });
    u32 modify = m.add("il", "", [=](IrBuilder& b) {
      Value at = base_of(b, base), index = b.param(0, kI32);
      Value x = access(b, Op::kLoadMem, kI64, kI64, MemKind::k64, {index, at});
      access(b, Op::kStoreMem, Type::kVoid, kI64, MemKind::k64,
             {index, at, b.op(Op::kXor, kI64, x, b.param(1, kI64))});
      b.ret({});
    });
    u32 wide = m.add("ii", "", [=](IrBuilder& b) {
      Value at = base_of(b, base);
      Value x =
          access(b, Op::kLoadMem, Type::kV128, Type::kV128, MemKind::k128, {b.param(0, kI32), at});
      access(b, Op::kStoreMem, Type::kVoid, Type::kV128, MemKind::k128, {b.param(1, kI32), at, x});
      b.ret({});
    });
    u32 base_itself = m.add("i", "l", [=](IrBuilder& b) {
      b.ret({b.op(Op::kAdd, kI64, base_of(b, base), b.op(Op::kZExtI32, kI64, b.param(0, kI32)))});
    });
    ASSERT_NO_FATAL_FAILURE(m.finish());
    for (u32 i = 0; i < 1024; i++) m.memory[i] = static_cast<u8>(i * 37 + 129);
    for (u32 f = 0; f < std::size(cases); f++) {
      u32 bytes = ir::bytes_of(cases[f].kind);
      u64 want = 0;
      std::memcpy(&want, m.memory + 101 + kOffset, bytes);
      if (cases[f].kind == MemKind::k8S) want = static_cast<u32>(static_cast<i8>(want));
      if (cases[f].kind == MemKind::k32S) want = static_cast<u64>(static_cast<i32>(want));
      EXPECT_EQ(m.value(2 * f, {101}), want) << f;
      EXPECT_EQ(m.call(2 * f + 1, {301, ~want}).trap, 0u);
      u64 got = 0;
      std::memcpy(&got, m.memory + 301 + kOffset, bytes);
      EXPECT_EQ(got, ~want & (bytes == 8 ? ~u64{0} : (u64{1} << 8 * bytes) - 1));
      for (u32 i : {0u, 1u}) {
        EXPECT_EQ(m.call(2 * f + i, {kWasmPageBytes - kOffset - bytes + 1, 0}).trap,
                  static_cast<u32>(TrapReason::kMemoryOutOfBounds));
        EXPECT_EQ(m.last_site()->origin, kOrigin);
        EXPECT_EQ(m.call(2 * f + i, {0xffff'ffff, 0}).trap,
                  static_cast<u32>(TrapReason::kMemoryOutOfBounds));
      }
    }
    u64 word;
    std::memcpy(&word, m.memory + 3 * 8 + kOffset, 8);
    EXPECT_EQ(m.value(add, {0xffff'ff03, 1000}), word + 1000);
    EXPECT_EQ(m.call(modify, {24, 0xff00ff}).trap, 0u);
    u64 changed;
    std::memcpy(&changed, m.memory + 24 + kOffset, 8);
    EXPECT_EQ(changed, word ^ 0xff00ff);
    EXPECT_EQ(m.call(wide, {401, 503}).trap, 0u);
    EXPECT_EQ(std::memcmp(m.memory + 401 + kOffset, m.memory + 503 + kOffset, 16), 0);
    EXPECT_EQ(m.call(wide, {kWasmPageBytes - kOffset - 15, 0}).trap,
              static_cast<u32>(TrapReason::kMemoryOutOfBounds));
    EXPECT_EQ(m.value(base_itself, {5}), reinterpret_cast<u64>(m.memory) + 5);
  }
}

}  // namespace
}  // namespace wring::test
