// SPDX-License-Identifier: GPL-2.0
// Calls as machine code: arguments and results of all kinds in registers and on the stack, host functions, pointers,
// tail calls, bridges.
#include "selftests/core/x64/native.h"

namespace wring::test {
namespace {

class X64Call : public ::testing::TestWithParam<TargetVariant> {};
INSTANTIATE_TEST_SUITE_P(Targets, X64Call, ::testing::ValuesIn(kTargetVariants),
                         [](const auto& info) { return std::string(info.param.name); });

constexpr Type kI32 = Type::kI32, kI64 = Type::kI64, kF64 = Type::kF64, kV128 = Type::kV128;

// ---- values of all kinds

Type type_of(char letter) {
  switch (letter) {
    case 'i': return kI32;
    case 'f': return Type::kF32;
    case 'd': return kF64;
    case 'v': return kV128;
    default: return kI64;
  }
}

// A value as the words that argv has for it.
using Words = std::vector<u64>;
Words sample(char letter, u32 seed) {
  u64 a = 0x9e37'79b9'7f4a'7c15 * (seed + 1), b = ~a * 31;
  if (letter == 'i' || letter == 'f') return {static_cast<u32>(a >> 16)};
  if (letter == 'v') return {a, b};
  return {a};
}
std::vector<Words> samples(const std::string& letters, u32 seed) {
  std::vector<Words> out;
  for (usize i = 0; i < letters.size(); i++)
    out.push_back(sample(letters[i], seed + static_cast<u32>(i)));
  return out;
}
Words flat(const std::vector<Words>& values) {
  Words out;
  for (const Words& v : values) out.insert(out.end(), v.begin(), v.end());
  return out;
}
Value constant_of(IrBuilder& b, char letter, const Words& words) {
  return letter == 'v' ? b.v128(words[0], words[1]) : b.constant(type_of(letter), words[0]);
}

// For a value of kind to[i]: the n-th of that kind in `from`, counted from i + shift around; npos if there is none.
usize pick(const std::string& from, const std::string& to, usize i, usize shift) {
  std::vector<usize> alike;
  for (usize k = 0; k < from.size(); k++)
    if (from[k] == to[i]) alike.push_back(k);
  return alike.empty() ? std::string::npos : alike[(i + shift) % alike.size()];
}
// What shuffle() makes of `in`.
std::vector<Words> shuffled(const std::string& from, const std::vector<Words>& in,
                            const std::string& to, usize shift) {
  std::vector<Words> out;
  for (usize i = 0; i < to.size(); i++) {
    usize k = pick(from, to, i, shift);
    out.push_back(k == std::string::npos ? sample(to[i], static_cast<u32>(1000 + i)) : in[k]);
  }
  return out;
}
std::vector<Value> shuffle(IrBuilder& b, const std::string& from, const std::vector<Value>& in,
                           const std::string& to, usize shift) {
  std::vector<Value> out;
  for (usize i = 0; i < to.size(); i++) {
    usize k = pick(from, to, i, shift);
    out.push_back(k == std::string::npos
                      ? constant_of(b, to[i], sample(to[i], static_cast<u32>(1000 + i)))
                      : in[k]);
  }
  return out;
}
std::vector<Value> params_of(IrBuilder& b, const std::string& letters) {
  std::vector<Value> out;
  for (usize i = 0; i < letters.size(); i++)
    out.push_back(b.param(static_cast<u32>(i), type_of(letters[i])));
  return out;
}
std::vector<Value> results_of(IrBuilder& b, Value call, const std::string& letters) {
  std::vector<Value> out;
  for (usize i = 0; i < letters.size(); i++)
    out.push_back(i == 0 ? call : b.result(call, static_cast<u32>(i), type_of(letters[i])));
  return out;
}
Type first_type(const std::string& letters) {
  return letters.empty() ? Type::kVoid : type_of(letters[0]);
}

// Signatures that fill the registers of each class, and overflow either or both.
std::vector<std::string> signatures() {
  std::vector<std::string> out = {"",
                                  "f",
                                  "d",
                                  "v",
                                  "ifldv",
                                  "dddddddd",
                                  "vvvvvvvvv",
                                  "llllllldddddddddd",
                                  "fvfvfvfvfvfvfvfvfvfv",
                                  "ivivivivivivivivivivivi"};
  std::string all;
  for (u32 i = 0; i < 61; i++) all += "lvfidvdil"[i % 9];
  out.push_back(all);
  return out;
}

// Through one call, directly and by a pointer, with values that live across it.
TEST_P(X64Call, ValuesOfAllKinds) {
  for (const std::string& params : signatures())
    for (const std::string& results : signatures()) {
      NativeModule m(target_of(GetParam()));
      u32 callee =
          m.add(params, results,
                [=](IrBuilder& b) { b.ret(shuffle(b, params, params_of(b, params), results, 3)); },
                {false, false, true});
      // Results and what lived across the call take turns.
      auto body = [=](IrBuilder& b, Op op, std::vector<Value> args, i64 imm) {
        std::vector<Value> in = params_of(b, params);
        std::vector<Value> passed = shuffle(b, params, in, params, 1);
        args.insert(args.end(), passed.begin(), passed.end());
        std::vector<Value> out = results_of(b, b.call(op, first_type(results), imm, args), results);
        std::vector<Value> kept = shuffle(b, params, in, results, 2);
        for (usize i = 0; i < out.size(); i += 2) out[i] = kept[i];
        b.ret(out);
      };
      u32 direct = m.add(params, results, [=](IrBuilder& b) { body(b, Op::kCall, {}, callee); });
      static u64 slot;
      u32 pointer = m.add(params, results, [=](IrBuilder& b) {
        Value code = b.load_raw(kI64, MemKind::k64, b.c64(reinterpret_cast<u64>(&slot)));
        body(b, Op::kCallPtr, {code}, callee);
      });
      ASSERT_NO_FATAL_FAILURE(m.finish());
      slot = m.address() + m.code.functions[callee].indirect_entry;
      std::vector<Words> args = samples(params, 7);
      EXPECT_EQ(m.call(callee, flat(args)).results, flat(shuffled(params, args, results, 3)))
          << params << " -> " << results;
      std::vector<Words> passed = shuffled(params, args, params, 1);
      std::vector<Words> want = shuffled(params, passed, results, 3);
      std::vector<Words> kept = shuffled(params, args, results, 2);
      for (usize i = 0; i < want.size(); i += 2) want[i] = kept[i];
      EXPECT_EQ(m.call(direct, flat(args)).results, flat(want)) << params << " -> " << results;
      EXPECT_EQ(m.call(pointer, flat(args)).results, flat(want)) << params << " -> " << results;
    }
}

// Many values of each class at once: spilled, reloaded, moved around loops, and rematerialized constants.
TEST_P(X64Call, PressureOnVectorRegisters) {
  for (u32 count : {5u, 20u, 40u}) {
    NativeModule m(target_of(GetParam()));
    std::string letters;
    for (u32 i = 0; i < count; i++) letters += "vdf"[i % 3];
    u32 nothing = m.add("", "", [](IrBuilder& b) { b.ret({}); });
    // Rotates its values `n` times, with a call in every other round.
    u32 rotate = m.add(letters + "i", letters, [=](IrBuilder& b) {
      std::vector<Value> in = params_of(b, letters);
      Value n = b.param(count, kI32);
      ir::BlockId loop = b.block(), even = b.block(), next = b.block(), done = b.block();
      b.jump(loop);
      b.at(loop);
      std::vector<Value> phis;
      for (usize i = 0; i < in.size(); i++) phis.push_back(b.phi(type_of(letters[i]), 2));
      Value left = b.phi(kI32, 2);
      b.fuel(1);
      Value odd = b.op(Op::kAnd, kI32, left, b.c32(1));
      b.branch(odd, next, even);
      b.at(even);
      b.call(Op::kCall, Type::kVoid, nothing, {});
      b.jump(next);
      b.at(next);
      Value less = b.op(Op::kSub, kI32, left, b.c32(1));
      std::vector<Value> rotated = shuffle(b, letters, phis, letters, 1);
      b.branch(less, loop, done);
      for (usize i = 0; i < in.size(); i++) {
        b.set_phi(phis[i], 0, in[i]);
        b.set_phi(phis[i], 1, rotated[i]);
      }
      b.set_phi(left, 0, n);
      b.set_phi(left, 1, less);
      b.at(done);
      b.ret(rotated);
    });
    // A choice between parameters and constants.
    u32 choose = m.add(letters + "i", letters, [=](IrBuilder& b) {
      std::vector<Value> in = params_of(b, letters);
      ir::BlockId yes = b.block(), no = b.block(), done = b.block();
      b.branch(b.param(count, kI32), yes, no);
      b.at(yes);
      b.jump(done);
      b.at(no);
      b.call(Op::kCall, Type::kVoid, nothing, {});
      b.jump(done);
      b.at(done);
      std::vector<Value> out;
      for (usize i = 0; i < in.size(); i++) {
        Value phi = b.phi(type_of(letters[i]), 2);
        Words words = i % 4 ? sample(letters[i], static_cast<u32>(i)) : Words{0, 0};
        b.set_phi(phi, 0, in[i]);
        b.set_phi(phi, 1, constant_of(b, letters[i], words));
        out.push_back(phi);
      }
      b.ret(out);
    });
    ASSERT_NO_FATAL_FAILURE(m.finish());
    std::vector<Words> args = samples(letters, 3);
    for (u32 rounds : {1u, 2u, 7u}) {
      std::vector<Words> want = args;
      for (u32 i = 0; i < rounds; i++) want = shuffled(letters, want, letters, 1);
      Words argv = flat(args);
      argv.push_back(rounds);
      m.ctx.fuel = m.refill = 2;  // running out changes every register
      EXPECT_EQ(m.call(rotate, argv).results, flat(want)) << count << " " << rounds;
    }
    Words argv = flat(args);
    argv.push_back(1);
    EXPECT_EQ(m.call(choose, argv).results, flat(args));
    argv.back() = 0;
    std::vector<Words> want;
    for (usize i = 0; i < letters.size(); i++)
      want.push_back(i % 4               ? sample(letters[i], static_cast<u32>(i))
                     : letters[i] == 'v' ? Words{0, 0}
                                         : Words{0});
    EXPECT_EQ(m.call(choose, argv).results, flat(want));
  }
}

// No 8 bytes that the program chose appear in the constant pool, which lies beside the code.
TEST(X64CallConstants, AreBlinded) {
  constexpr u64 kChosen = 0x1122'3344'5566'7788;
  for (u64 random : {u64{0}, u64{0x9876'5432'1234'5678}}) {
    Target target = native_target();
    target.random = random;
    NativeModule m(target);
    u32 f = m.add("", "dvf", [](IrBuilder& b) {
      b.ret({b.constant(kF64, kChosen), b.v128(kChosen, ~kChosen),
             b.constant(Type::kF32, static_cast<u32>(kChosen))});
    });
    ASSERT_NO_FATAL_FAILURE(m.finish());
    EXPECT_EQ(m.call(f, {}).results, (Words{kChosen, kChosen, ~kChosen, kChosen & 0xffff'ffff}));
    u32 found = 0;
    Span<const u8> pool = m.code.rodata.span();
    for (u32 i = 0; i + 4 <= pool.size(); i++) {
      u32 word = static_cast<u32>(kChosen);
      found += std::memcmp(pool.data() + i, &word, sizeof(word)) == 0;
    }
    EXPECT_EQ(found != 0, random == 0);
  }
}

// ---- tail calls

// f(params of A) -> tail call g(params of B), directly and by a pointer; results come from g.
TEST_P(X64Call, TailCallsOfAllShapes) {
  for (const std::string& from : signatures())
    for (const std::string& to : signatures()) {
      const std::string results = "lvfidlllvdfdddddddddddd";
      NativeModule m(target_of(GetParam()));
      m.tail_calls = true;
      u32 callee = m.add(to, results,
                         [=](IrBuilder& b) { b.ret(shuffle(b, to, params_of(b, to), results, 5)); },
                         {false, false, true});
      u32 direct = m.add(from, results, [=](IrBuilder& b) {
        b.tail_call(Op::kTailCall, callee, shuffle(b, from, params_of(b, from), to, 1));
      });
      static u64 slot;
      u32 pointer = m.add(from, results, [=](IrBuilder& b) {
        // With a frame: values that survive a call need a place.
        std::vector<Value> in = params_of(b, from);
        Value first = b.call(Op::kCall, first_type(results), direct, in);
        Value code = b.load_raw(kI64, MemKind::k64, b.c64(reinterpret_cast<u64>(&slot)));
        std::vector<Value> args = shuffle(b, from, in, to, 1);
        (void)first;
        args.insert(args.begin(), code);
        b.tail_call(Op::kTailCallPtr, callee, args);
      });
      // What calls a function that ends in a tail call gets its own values back.
      u32 caller = m.add(from, results, [=](IrBuilder& b) {
        std::vector<Value> in = params_of(b, from);
        std::vector<Value> out =
            results_of(b, b.call(Op::kCall, first_type(results), pointer, in), results);
        std::vector<Value> kept = shuffle(b, from, in, results, 4);
        for (usize i = 0; i < out.size(); i += 2) out[i] = kept[i];
        b.ret(out);
      });
      ASSERT_NO_FATAL_FAILURE(m.finish());
      slot = m.address() + m.code.functions[callee].indirect_entry;
      std::vector<Words> args = samples(from, 9);
      std::vector<Words> want = shuffled(to, shuffled(from, args, to, 1), results, 5);
      EXPECT_EQ(m.call(direct, flat(args)).results, flat(want)) << from << " -> " << to;
      EXPECT_EQ(m.call(pointer, flat(args)).results, flat(want)) << from << " -> " << to;
      std::vector<Words> kept = shuffled(from, args, results, 4);
      for (usize i = 0; i < want.size(); i += 2) want[i] = kept[i];
      EXPECT_EQ(m.call(caller, flat(args)).results, flat(want)) << from << " -> " << to;
    }
}

// Two functions with different stack arguments call each other a million times: the stack does not grow, and each
// round costs fuel.
TEST_P(X64Call, MutualTailCallsNeedNoStack) {
  NativeModule m(target_of(GetParam()));
  m.tail_calls = true;
  NativeModule::Options checked = {true, true, true};
  const std::string narrow = "ll", wide = "lllllllllvdddddddddl";
  u32 odd = 1;
  // (n, sum) -> (n - 1, sum + n) in the last two places
  u32 even = m.add(
      narrow, "l",
      [=](IrBuilder& b) {
        Value n = b.param(0, kI64), sum = b.param(1, kI64);
        ir::BlockId done = b.block(), more = b.block();
        b.branch(b.compare(Op::kEq, kI64, n, b.c64(0)), done, more);
        b.at(done);
        b.ret({sum});
        b.at(more);
        std::vector<Value> args;
        for (char letter : wide) args.push_back(constant_of(b, letter, {0, 0}));
        args[0] = b.op(Op::kSub, kI64, n, b.c64(1));
        args[wide.size() - 1] = b.op(Op::kAdd, kI64, sum, n);
        b.tail_call(Op::kTailCall, odd, args);
      },
      checked);
  ASSERT_EQ(m.add(
                wide, "l",
                [=](IrBuilder& b) {
                  Value n = b.param(0, kI64),
                        sum = b.param(static_cast<u32>(wide.size() - 1), kI64);
                  b.tail_call(Op::kTailCall, even, {n, sum});
                },
                checked),
            odd);
  ASSERT_NO_FATAL_FAILURE(m.finish());
  constexpr u64 kRounds = 1'000'000;
  m.ctx.fuel = 3 * kRounds;
  EXPECT_EQ(m.value(even, {kRounds, 5}), kRounds * (kRounds + 1) / 2 + 5);
  EXPECT_EQ(m.ctx.fuel, static_cast<i64>(3 * kRounds - 2 * kRounds - 1));
  m.ctx.fuel = 1000;
  m.refill = 0;
  Called run = m.call(even, {kRounds, 5});
  EXPECT_EQ(run.trap, static_cast<u32>(TrapReason::kFuelExhausted));
}

// ---- bridges

// Values of all kinds through a bridge whose callee makes tail calls; the exception of one becomes the other's.
TEST_P(X64Call, BridgesPassAllKinds) {
  static u64 exception;  // nothing looks into it
  for (const std::string& letters : signatures()) {
    const std::string results = "lvfidlllvdfdddddddddddd";
    NativeModule a(target_of(GetParam())), b(target_of(GetParam()));
    b.tail_calls = true;
    std::string longer = letters + "vvvvvvvvvvllllllll";
    u32 last = b.add(longer, results, [=](IrBuilder& ir) {
      ir.write_raw(Op::kStoreRaw, kI64, MemKind::k64, ir.vmctx(),
                   ir.c64(reinterpret_cast<u64>(&exception)),
                   static_cast<i32>(offsetof(wring_vmctx, exception)));
      ir.ret(shuffle(ir, longer, params_of(ir, longer), results, 1));
    });
    u32 callee = b.add(letters, results,
                       [=](IrBuilder& ir) {
                         ir.tail_call(Op::kTailCall, last,
                                      shuffle(ir, letters, params_of(ir, letters), longer, 2));
                       },
                       {false, false, true});
    ASSERT_NO_FATAL_FAILURE(b.finish());
    static u64 slot;
    u32 caller = a.add(letters, results, [=](IrBuilder& ir) {
      std::vector<Value> in = params_of(ir, letters);
      Value code = ir.load_raw(kI64, MemKind::k64, ir.c64(reinterpret_cast<u64>(&slot)));
      std::vector<Value> args = {code};
      args.insert(args.end(), in.begin(), in.end());
      std::vector<Value> out =
          results_of(ir, ir.call(Op::kCallPtr, first_type(results), 0, args), results);
      std::vector<Value> kept = shuffle(ir, letters, in, results, 3);
      for (usize i = 0; i < out.size(); i += 3) out[i] = kept[i];
      ir.ret(out);
    });
    u32 bridge = a.add_bridge(caller, &b.ctx, b.address() + b.code.functions[callee].indirect_entry,
                              b.tail_bytes);
    ASSERT_NO_FATAL_FAILURE(a.finish());
    a.also = &b;
    slot = a.address() + a.bridge_offset(bridge);
    std::vector<Words> args = samples(letters, 11);
    std::vector<Words> want = shuffled(longer, shuffled(letters, args, longer, 2), results, 1);
    std::vector<Words> kept = shuffled(letters, args, results, 3);
    for (usize i = 0; i < want.size(); i += 3) want[i] = kept[i];
    EXPECT_EQ(a.call(caller, flat(args)).results, flat(want)) << letters;
    EXPECT_EQ(reinterpret_cast<u64*>(a.ctx.exception), &exception);
    EXPECT_EQ(b.ctx.exception, nullptr);
    a.ctx.exception = nullptr;
  }
}

// ---- integers

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
  const u8* frame = nullptr;
};
HostCalls g_host;

u64 host(wring_vmctx* ctx, u64 a, u32 b, u64 c, u32 d, u64 e, u64 f, u32 g, u64 h) {
  EXPECT_EQ(reinterpret_cast<u64>(__builtin_frame_address(0)) % 16, 0u) << "misaligned stack";
  g_host = {g_host.count + 1,
            ctx,
            {a, b, c, d, e, f, g, h},
            ctx->fuel,
            static_cast<const u8*>(__builtin_frame_address(0))};
  ctx->fuel -= 1000;
  return 0x1111'2222'3333'4444;
}
u32 plain(wring_vmctx* ctx) { return static_cast<u32>(ctx->fuel); }

// On the program's stack, or on the one that the host has called from.
void test_host_functions(const Target& target, bool on_host_stack) {
  NativeModule m(target);
  m.calls_on_host_stack = on_host_stack;
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
  bool is_on_programs = g_host.frame >= m.stack_bottom() && g_host.frame < m.ctx.stack_top;
  EXPECT_NE(is_on_programs, on_host_stack);
  EXPECT_EQ(m.value(narrow, {1, 2}), 0x3333'4444u);  // the upper half is not the program's to see
  EXPECT_EQ(m.call(dropped, {}).trap, 0u);
  EXPECT_EQ(g_host.count, 2u);
}

TEST_P(X64Call, HostFunctions) {
  for (bool on_host_stack : {false, true})
    ASSERT_NO_FATAL_FAILURE(test_host_functions(target_of(GetParam()), on_host_stack));
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
