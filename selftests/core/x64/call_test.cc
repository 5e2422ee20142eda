// SPDX-License-Identifier: GPL-2.0 Calls as machine code: arguments and results in registers and on
// the stack, host functions, pointers.
#include "selftests/core/x64/native.h"

namespace wring::test {
namespace {

class X64Call : public ::testing::TestWithParam<TargetVariant> {};
INSTANTIATE_TEST_SUITE_P(Targets, X64Call, ::testing::ValuesIn(kTargetVariants),
                         [](const auto& info) { return std::string(info.param.name); });

constexpr Type kI32 = Type::kI32, kI64 = Type::kI64;

// Signatures with `params` parameters and `results` results of mixed types.
std::string mixed(u32 count) {
  std::string out;
  for (u32 i = 0; i < count; i++) out += "lil"[i % 3];
  return out;
}
Type type_at(u32 i) { return i % 3 == 1 ? kI32 : kI64; }

// A function whose result i is parameter i % params plus i (times `params` if there are none), and
// one that calls it with its own parameters rotated by one.
TEST_P(X64Call, ManyParametersAndResults) {
  for (u32 params : {0u, 1u, 5u, 6u, 7u, 8u, 20u, 101u})
    for (u32 results : {0u, 1u, 2u, 6u, 7u, 8u, 15u, 100u}) {
      NativeModule m(target_of(GetParam()));
      auto as = [](IrBuilder& b, Value v, u32 from, u32 to) {
        if (type_at(from) == type_at(to)) return v;
        return type_at(to) == kI64 ? b.op(Op::kZExtI32, kI64, v) : b.op(Op::kWrap, kI32, v);
      };
      u32 callee = m.add(mixed(params), mixed(results), [=](IrBuilder& b) {
        std::vector<Value> out;
        for (u32 i = 0; i < results; i++) {
          Type type = type_at(i);
          Value v = b.constant(type, i);
          if (params)
            v = b.op(Op::kAdd, type, as(b, b.param(i % params, type_at(i % params)), i % params, i),
                     v);
          out.push_back(v);
        }
        b.ret(out);
      });
      u32 caller = m.add(mixed(params), mixed(results), [=](IrBuilder& b) {
        std::vector<Value> args, out;
        for (u32 i = 0; i < params; i++) {
          u32 from = (i + 1) % params;
          args.push_back(as(b, b.param(from, type_at(from)), from, i));
        }
        // Twice, so that results of the first call live across the second.
        std::vector<Value> sums;
        for (u32 round = 0; round < 2; round++) {
          Value call = b.call(Op::kCall, results ? type_at(0) : Type::kVoid, callee, args);
          for (u32 i = 0; i < results; i++) {
            Value r = i == 0 ? call : b.result(call, i, type_at(i));
            if (round == 0)
              sums.push_back(r);
            else
              out.push_back(b.op(Op::kAdd, type_at(i), sums[i], r));
          }
        }
        b.ret(out);
      });
      // Most results dropped.
      u32 picky = m.add(mixed(params), "l", [=](IrBuilder& b) {
        std::vector<Value> args;
        for (u32 i = 0; i < params; i++) args.push_back(b.constant(type_at(i), 1000 + i));
        Value call = b.call(Op::kCall, results ? type_at(0) : Type::kVoid, callee, args);
        u32 last = results ? results - 1 : 0;
        if (results == 0) return b.ret({b.c64(0)});
        Value r = last == 0 ? call : b.result(call, last, type_at(last));
        b.ret({type_at(last) == kI32 ? b.op(Op::kZExtI32, kI64, r) : r});
      });
      ASSERT_NO_FATAL_FAILURE(m.finish());
      std::vector<u64> args;
      for (u32 i = 0; i < params; i++) {
        u64 v = 0x9e37'79b9'7f4a'7c15 * (i + 1);
        args.push_back(type_at(i) == kI32 ? static_cast<u32>(v) : v);
      }
      auto narrowed = [](u64 v, u32 to) { return type_at(to) == kI32 ? static_cast<u32>(v) : v; };
      auto run_callee = [&](const std::vector<u64>& in) {
        std::vector<u64> out;
        for (u32 i = 0; i < results; i++)
          out.push_back(narrowed((params ? in[i % params] : 0) + i, i));
        return out;
      };
      EXPECT_EQ(m.call(callee, args).results, run_callee(args));
      std::vector<u64> rotated;
      for (u32 i = 0; i < params; i++) rotated.push_back(narrowed(args[(i + 1) % params], i));
      std::vector<u64> want = run_callee(rotated);
      for (u32 i = 0; i < results; i++) want[i] = narrowed(2 * want[i], i);
      EXPECT_EQ(m.call(caller, args).results, want) << params << " " << results;
      if (results) {
        std::vector<u64> fixed;
        for (u32 i = 0; i < params; i++) fixed.push_back(1000 + i);
        EXPECT_EQ(m.value(picky, args), run_callee(fixed).back());
      }
    }
}

TEST_P(X64Call, OneValueInSeveralPlaces) {
  NativeModule m(target_of(GetParam()));
  u32 callee = m.add("llllllll", "lll", [](IrBuilder& b) {
    Value sum = b.c64(0);
    for (u32 i = 0; i < 8; i++)
      sum = b.op(Op::kAdd, kI64, b.op(Op::kMul, kI64, sum, b.c64(10)), b.param(i, kI64));
    b.ret({sum, sum, sum});
  });
  u32 caller = m.add("ll", "lll", [=](IrBuilder& b) {
    Value x = b.param(0, kI64), y = b.param(1, kI64);
    Value r = b.call(Op::kCall, kI64, callee, {x, x, y, x, y, y, x, y});
    b.ret({r, r, b.op(Op::kAdd, kI64, b.result(r, 2, kI64), x)});
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  EXPECT_EQ(m.call(caller, {1, 2}).results, (std::vector<u64>{11212212, 11212212, 11212213}));
}

// ---- host functions

struct HostCalls {
  u32 count = 0;
  wring_vmctx* ctx = nullptr;
  std::vector<u64> args;
  long long fuel = 0;
};
HostCalls g_host;

u64 host(wring_vmctx* ctx, u64 a, u32 b, u64 c, u32 d, u64 e, u64 f, u32 g, u64 h) {
  EXPECT_EQ(reinterpret_cast<u64>(__builtin_frame_address(0)) % 16, 0u) << "misaligned stack";
  g_host = {g_host.count + 1, ctx, {a, b, c, d, e, f, g, h}, ctx->fuel};
  ctx->fuel -= 1000;
  return 0x1111'2222'3333'4444;
}
u32 plain(wring_vmctx* ctx) { return static_cast<u32>(ctx->fuel); }

TEST_P(X64Call, HostFunctions) {
  NativeModule m(target_of(GetParam()));
  m.bind({reinterpret_cast<u64>(&host), reinterpret_cast<u64>(&plain)});
  u32 wide = m.add("lili", "ll", [](IrBuilder& b) {
    Value x = b.param(0, kI64), n = b.param(1, kI32);
    Value r =
        b.call(Op::kCallHost, kI64, 0,
               {x, n, b.param(2, kI64), b.param(3, kI32), b.c64(5), x, n, b.c64(~u64{0} << 40)});
    b.ret({r, x});
  });
  u32 narrow = m.add("li", "i", [](IrBuilder& b) {
    Value x = b.param(0, kI64), n = b.param(1, kI32);
    b.ret({b.call(Op::kCallHost, kI32, 0, {x, n, x, n, x, x, n, x})});
  });
  u32 dropped = m.add("", "", [](IrBuilder& b) {
    b.call(Op::kCallHost, kI32, 1, {});
    b.ret({});
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  g_host = {};
  m.ctx.fuel = 5000;
  EXPECT_EQ(m.call(wide, {7, 8, 9, 10}).results, (std::vector<u64>{0x1111'2222'3333'4444, 7}));
  EXPECT_EQ(g_host.args, (std::vector<u64>{7, 8, 9, 10, 5, 7, 8, ~u64{0} << 40}));
  EXPECT_EQ(g_host.ctx, &m.ctx);
  EXPECT_EQ(g_host.fuel, 5000);
  EXPECT_EQ(m.ctx.fuel, 4000);
  EXPECT_EQ(m.value(narrow, {1, 2}), 0x3333'4444u);  // the upper half is not the program's to see
  EXPECT_EQ(m.call(dropped, {}).trap, 0u);
  EXPECT_EQ(g_host.count, 2u);
}

// ---- pointers

TEST_P(X64Call, ThroughPointersAndMemory) {
  NativeModule m(target_of(GetParam()));
  static u64 slots[2];
  u64 slots_at = reinterpret_cast<u64>(slots);
  // What a mispredicted signature check could pass: junk above an i32.
  u32 callee = m.add(
      "il", "l",
      [](IrBuilder& b) {
        b.ret({b.op(Op::kAdd, kI64, b.op(Op::kZExtI32, kI64, b.param(0, kI32)), b.param(1, kI64))});
      },
      {false, false, true});
  // The type the pointers are called with.
  u32 as_wide = m.add("ll", "l", [](IrBuilder& b) { b.ret({b.param(0, kI64)}); });
  u32 pointer = m.add("lll", "l", [=](IrBuilder& b) {
    b.ret({b.call(Op::kCallPtr, kI64, as_wide,
                  {b.param(0, kI64), b.param(1, kI64), b.param(2, kI64)})});
  });
  u32 memory = m.add("ll", "l", [=](IrBuilder& b) {
    Value code = b.load_raw(kI64, MemKind::k64, b.c64(slots_at), 8);
    b.ret({b.call(Op::kCallPtr, kI64, as_wide, {code, b.param(0, kI64), b.param(1, kI64)})});
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  u64 entry = m.address() + m.code.functions[callee].indirect_entry;
  slots[1] = entry;
  u64 junk = 0xdead'beef'0000'0003;
  EXPECT_EQ(m.value(pointer, {entry, junk, 4}), 7u);
  EXPECT_EQ(m.value(memory, {junk, 5}), 8u);
  EXPECT_EQ(m.code.functions[pointer].indirect_entry, kNone);
}

TEST_P(X64Call, CalleeSavedRegistersSurvive) {
  NativeModule m(target_of(GetParam()));
  u32 greedy = m.add("l", "l", [](IrBuilder& b) {
    Value x = b.param(0, kI64), r = x;
    std::vector<Value> kept;
    for (u32 k = 0; k < 24; k++) kept.push_back(b.op(Op::kMul, kI64, x, b.c64(3 + k)));
    for (Value v : kept) r = b.op(Op::kXor, kI64, b.op(Op::kRotl, kI64, r, v), v);
    b.ret({r});
  });
  u32 caller = m.add("lll", "l", [=](IrBuilder& b) {
    Value x = b.param(0, kI64), y = b.param(1, kI64), z = b.param(2, kI64);
    Value r = b.call(Op::kCall, kI64, greedy, {x});
    Value s = b.call(Op::kCall, kI64, greedy, {y});
    Value sum = b.op(Op::kSub, kI64, b.op(Op::kAdd, kI64, r, x), b.op(Op::kMul, kI64, s, y));
    b.ret({b.op(Op::kXor, kI64, sum, z)});
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  auto model = [](u64 x) {
    u64 r = x;
    for (u32 k = 0; k < 24; k++) {
      u64 v = x * (3 + k);
      r = ((r << (v % 64)) | (v % 64 ? r >> (64 - v % 64) : 0)) ^ v;
    }
    return r;
  };
  for (u64 x : {u64{3}, ~u64{5}, u64{0x1234'5678'9abc'def0}})
    EXPECT_EQ(m.value(caller, {x, x + 1, 99}), ((model(x) + x) - model(x + 1) * (x + 1)) ^ 99);
}

}  // namespace
}  // namespace wring::test
