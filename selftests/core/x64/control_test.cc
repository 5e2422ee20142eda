// SPDX-License-Identifier: GPL-2.0
// Conditions, branches, switches, loops, checks, fuel and stack limits as machine code.
#include <Zydis/Zydis.h>

#include "selftests/core/ir/interpreter.h"
#include "selftests/core/x64/native.h"

namespace wring::test {
namespace {

class X64Control : public ::testing::TestWithParam<TargetVariant> {};
INSTANTIATE_TEST_SUITE_P(Targets, X64Control, ::testing::ValuesIn(kTargetVariants),
                         [](const auto& info) { return std::string(info.param.name); });

constexpr Type kI32 = Type::kI32, kI64 = Type::kI64;
const Op kCompare[] = {Op::kEq,  Op::kNe,  Op::kLtS, Op::kLtU, Op::kLeS,
                       Op::kLeU, Op::kGtS, Op::kGtU, Op::kGeS, Op::kGeU};
const u64 kEdges[] = {0,      1,   7,           127,         128,         200,
                      255,    256, 0x7fff'ffff, 0x8000'0000, 0xffff'ffff, 0x8000'0000'0000'0000,
                      ~u64{0}};

char letter(Type type) { return type == kI32 ? 'i' : 'l'; }
u64 masked(Type type, u64 v) { return type == kI32 ? static_cast<u32>(v) : v; }

// How a condition is made from the parameters x and y; memory holds x at 0.
struct Shape {
  const char* name;
  std::function<Value(IrBuilder&, Op, Type, Value, Value)> make;
  std::function<bool(Op, Type, u64, u64)> want;
};

bool compared(Op op, Type type, u64 a, u64 b) {
  return interpret_binary(op, type == kI64, a, b) != 0;
}

std::vector<Shape> shapes() {
  std::vector<Shape> out;
  out.push_back(
      {"plain",
       [](IrBuilder& b, Op op, Type t, Value x, Value y) { return b.compare(op, t, x, y); },
       compared});
  for (u64 c :
       {u64{0}, u64{1}, u64{128}, u64{0xffff'ffff'ffff'ff80}, u64{0x8000'0000}, u64{0x1'2345'6789}})
    out.push_back({"constant",
                   [=](IrBuilder& b, Op op, Type t, Value x, Value) {
                     return b.compare(op, t, x, b.constant(t, c));
                   },
                   [=](Op op, Type t, u64 x, u64) { return compared(op, t, x, masked(t, c)); }});
  out.push_back({"constant first",
                 [=](IrBuilder& b, Op op, Type t, Value x, Value) {
                   return b.compare(op, t, b.constant(t, 100), x);
                 },
                 [=](Op op, Type t, u64 x, u64) { return compared(op, t, 100, x); }});
  out.push_back({"eqz",
                 [](IrBuilder& b, Op op, Type t, Value x, Value y) {
                   return b.compare(Op::kEq, kI32, b.compare(op, t, x, y), b.c32(0));
                 },
                 [](Op op, Type t, u64 x, u64 y) { return !compared(op, t, x, y); }});
  out.push_back({"memory right",
                 [](IrBuilder& b, Op op, Type t, Value, Value y) {
                   return b.compare(op, t, y,
                                    b.load(t, t == kI64 ? MemKind::k64 : MemKind::k32U, b.c32(0)));
                 },
                 [](Op op, Type t, u64 x, u64 y) { return compared(op, t, y, x); }});
  for (u64 c : {u64{0}, u64{5}, u64{200}})
    out.push_back({"memory and constant",
                   [=](IrBuilder& b, Op op, Type t, Value, Value) {
                     Value x = b.load(t, t == kI64 ? MemKind::k64 : MemKind::k32U, b.c32(0));
                     return b.compare(op, t, x, b.constant(t, c));
                   },
                   [=](Op op, Type t, u64 x, u64) { return compared(op, t, x, c); }});
  for (MemKind kind : {MemKind::k8U, MemKind::k8S, MemKind::k16U})
    for (u64 c : {u64{0}, u64{100}, u64{200}, u64{300}, ~u64{4}})
      out.push_back({"narrow memory and constant",
                     [=](IrBuilder& b, Op op, Type t, Value, Value) {
                       return b.compare(op, t, b.load(t, kind, b.c32(0)), b.constant(t, c));
                     },
                     [=](Op op, Type t, u64 x, u64) {
                       u64 narrow = kind == MemKind::k8U ? static_cast<u8>(x)
                                    : kind == MemKind::k16U
                                        ? static_cast<u16>(x)
                                        : masked(t, static_cast<u64>(static_cast<i8>(x)));
                       return compared(op, t, narrow, masked(t, c));
                     }});
  for (u64 c : {u64{1}, u64{0x80}, u64{0x8000}, u64{0x8000'0000}, u64{0x8000'0000'0000'0001}})
    for (bool memory : {false, true})
      out.push_back(
          {"masked",
           [=](IrBuilder& b, Op op, Type t, Value x, Value) {
             if (memory) x = b.load(t, t == kI64 ? MemKind::k64 : MemKind::k32U, b.c32(0));
             return b.compare(op, t, b.op(Op::kAnd, t, x, b.constant(t, c)), b.constant(t, 0));
           },
           [=](Op op, Type t, u64 x, u64) { return compared(op, t, x & masked(t, c), 0); }});
  out.push_back({"both masked",
                 [](IrBuilder& b, Op op, Type t, Value x, Value y) {
                   return b.compare(op, t, b.op(Op::kAnd, t, x, y), b.constant(t, 0));
                 },
                 [](Op op, Type t, u64 x, u64 y) { return compared(op, t, x & y, 0); }});
  out.push_back({"value",
                 [](IrBuilder& b, Op op, Type t, Value x, Value y) {
                   Value c = b.compare(op, t, x, y);
                   return b.op(Op::kOr, kI32, c, b.op(Op::kShl, kI32, c, b.c32(4)));
                 },
                 compared});
  out.push_back({"extended",
                 [](IrBuilder& b, Op op, Type t, Value x, Value y) {
                   if (t == kI32) return b.compare(op, t, x, y);
                   Value narrow = b.op(Op::kZExtI32, kI64, b.op(Op::kWrap, kI32, x));
                   return b.compare(op, t, narrow, b.op(Op::kSExt32, kI64, y));
                 },
                 [](Op op, Type t, u64 x, u64 y) {
                   if (t == kI32) return compared(op, t, x, y);
                   return compared(op, t, static_cast<u32>(x),
                                   static_cast<u64>(static_cast<i32>(y)));
                 }});
  return out;
}

// Every condition, consumed in every way.
TEST_P(X64Control, Conditions) {
  std::vector<Shape> all = shapes();
  for (const Shape& shape : all)
    for (Type type : {kI32, kI64}) {
      NativeModule m(target_of(GetParam()));
      struct Case {
        Op op;
        u32 branch, select, trap, shared;
      };
      std::vector<Case> cases;
      std::string params(2, letter(type));
      for (Op op : kCompare) {
        auto condition = [=, &shape](IrBuilder& b) {
          Value x = b.param(0, type), y = b.param(1, type);
          return shape.make(b, op, type, x, y);
        };
        Case c = {op, 0, 0, 0, 0};
        c.branch = m.add(params, "i", [=](IrBuilder& b) {
          ir::BlockId yes = b.block(), no = b.block();
          b.branch(condition(b), yes, no);
          b.at(yes);
          b.ret({b.c32(11)});
          b.at(no);
          b.ret({b.c32(22)});
        });
        c.select = m.add(params, "lll", [=](IrBuilder& b) {
          Value x = b.param(0, type), y = b.param(1, type);
          Value s = b.select(kI64, condition(b), b.c64(0x1'0000'000b), b.c64(22));
          // The operands live on.
          b.ret({s, type == kI32 ? b.op(Op::kZExtI32, kI64, x) : x,
                 type == kI32 ? b.op(Op::kZExtI32, kI64, y) : y});
        });
        c.trap = m.add(params, "i", [=](IrBuilder& b) {
          b.origin = 55;
          b.trap_if(condition(b), TrapReason::kTableOutOfBounds);
          b.ret({b.c32(22)});
        });
        c.shared = m.add(params, "iii", [=](IrBuilder& b) {
          Value v = condition(b);
          Value s = b.select(kI32, v, b.c32(11), b.c32(22));
          Value n = b.compare(Op::kNe, kI32, v, b.c32(0));
          b.ret({s, b.select(kI32, v, s, b.c32(33)), n});
        });
        cases.push_back(c);
      }
      ASSERT_NO_FATAL_FAILURE(m.finish());
      for (const Case& c : cases)
        for (u64 ex : kEdges)
          for (u64 ey : kEdges) {
            u64 x = masked(type, ex), y = masked(type, ey);
            std::memcpy(m.memory, &x, 8);
            bool want = shape.want(c.op, type, x, y);
            auto where = [&] {
              return std::string(shape.name) + " " + ir::name_of(c.op) + " " + std::to_string(x) +
                     " " + std::to_string(y);
            };
            ASSERT_EQ(m.value(c.branch, {x, y}), want ? 11u : 22u) << where();
            ASSERT_EQ(m.call(c.select, {x, y}).results,
                      (std::vector<u64>{want ? u64{0x1'0000'000b} : 22, x, y}))
                << where();
            Called run = m.call(c.trap, {x, y});
            ASSERT_EQ(run.trap, want ? u32{WRING_TRAP_TableOutOfBounds} : 0u) << where();
            if (want) {
              ASSERT_EQ(m.last_site()->origin, 55u);
            }
            u64 one = want ? 11 : 22;
            ASSERT_EQ(m.call(c.shared, {x, y}).results,
                      (std::vector<u64>{one, want ? one : 33, want}))
                << where();
          }
    }
}

void check_switch(const Target& target, u32 cases, u32 distinct) {
  NativeModule m(target);
  auto value_of = [=](u32 i) { return i == cases ? 999 : 100 + (i * 7) % distinct; };
  u32 func = m.add("i", "i", [=](IrBuilder& b) {
    Value x = b.param(0, kI32);
    std::map<u32, ir::BlockId> blocks;
    std::vector<ir::BlockId> targets;
    for (u32 i = 0; i <= cases; i++) {
      auto [it, fresh] = blocks.insert({value_of(i), 0});
      if (fresh) it->second = b.block();
      targets.push_back(it->second);
    }
    b.switch_to(x, targets);
    for (auto [value, block] : blocks) {
      b.at(block);
      b.ret({b.c32(value)});
    }
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (u32 i = 0; i < cases + 3; i++) ASSERT_EQ(m.value(func, {i}), value_of(min(i, cases)));
  for (u32 i : {0x7fff'ffffu, 0x8000'0000u, 0xffff'ffffu}) ASSERT_EQ(m.value(func, {i}), 999u);
}

TEST_P(X64Control, Switches) {
  for (u32 cases : {1u, 2u, 3u, 5u, 8u, 30u, 257u})
    for (u32 distinct : {1u, 2u, 5u, 50u})
      ASSERT_NO_FATAL_FAILURE(check_switch(target_of(GetParam()), cases, distinct));
}

TEST(X64Switch, LargestTable) {
  NativeModule m;
  check_switch(native_target(), kMaxBrTableTargets, 1000);
  Target tree = native_target();
  tree.ibt = true;  // no indirect jumps
  check_switch(tree, kMaxBrTableTargets, 1000);
}

// sum and product over a loop with two phis and a condition at the top or at the bottom.
TEST_P(X64Control, Loops) {
  NativeModule m(target_of(GetParam()));
  auto build = [](bool at_top) {
    return [=](IrBuilder& b) {
      Value n = b.param(0, kI64);
      Value zero = b.c64(0), one = b.c64(1);
      ir::BlockId head = b.block(), body = b.block(), done = b.block();
      b.jump(head);
      b.at(head);
      Value i = b.phi(kI64, 2), sum = b.phi(kI64, 2), product = b.phi(kI64, 2);
      b.fuel(1);
      Value next_i, next_sum, next_product;
      auto step = [&] {
        next_i = b.op(Op::kAdd, kI64, i, one);
        next_sum = b.op(Op::kAdd, kI64, sum, next_i);
        next_product = b.op(Op::kMul, kI64, product, next_i);
      };
      if (at_top) {
        b.branch(b.compare(Op::kLtU, kI64, i, n), body, done);
        b.at(body);
        step();
        b.jump(head);
      } else {
        step();
        b.branch(b.compare(Op::kLtU, kI64, next_i, n), body, done);
        b.at(body);
        b.jump(head);
      }
      b.set_phi(i, 0, zero);
      b.set_phi(i, 1, next_i);
      b.set_phi(sum, 0, zero);
      b.set_phi(sum, 1, next_sum);
      b.set_phi(product, 0, one);
      b.set_phi(product, 1, next_product);
      b.at(done);
      if (at_top)
        b.ret({sum, product});
      else
        b.ret({next_sum, next_product});
    };
  };
  u32 top = m.add("l", "ll", build(true)), bottom = m.add("l", "ll", build(false));
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (u64 n : {0, 1, 2, 10, 20}) {
    u64 sum = 0, product = 1;
    for (u64 i = 1; i <= n; i++) sum += i, product *= i;
    EXPECT_EQ(m.call(top, {n}).results, (std::vector<u64>{sum, product}));
    if (n) {
      EXPECT_EQ(m.call(bottom, {n}).results, (std::vector<u64>{sum, product}));
    }
  }
}

// The values of two phis change places: a swap.
TEST_P(X64Control, PhisThatSwap) {
  NativeModule m(target_of(GetParam()));
  u32 func = m.add("lll", "ll", [](IrBuilder& b) {
    Value n = b.param(0, kI64), x = b.param(1, kI64), y = b.param(2, kI64), zero = b.c64(0);
    ir::BlockId head = b.block(), body = b.block(), done = b.block();
    b.jump(head);
    b.at(head);
    Value i = b.phi(kI64, 2), p = b.phi(kI64, 2), q = b.phi(kI64, 2);
    b.branch(b.compare(Op::kLtU, kI64, i, n), body, done);
    b.at(body);
    Value next = b.op(Op::kAdd, kI64, i, b.c64(1));
    b.jump(head);
    b.set_phi(i, 0, zero);
    b.set_phi(i, 1, next);
    b.set_phi(p, 0, x);
    b.set_phi(p, 1, q);
    b.set_phi(q, 0, y);
    b.set_phi(q, 1, p);
    b.at(done);
    b.ret({p, q});
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  for (u64 n : {0, 1, 2, 5})
    EXPECT_EQ(m.call(func, {n, 3, 8}).results,
              (n % 2 ? std::vector<u64>{8, 3} : std::vector<u64>{3, 8}));
}

// ---- fuel

// A loop of n rounds in which every register stays live across the fuel check.
u32 add_counter(NativeModule& m) {
  return m.add("l", "l", [](IrBuilder& b) {
    Value n = b.param(0, kI64), zero = b.c64(0);
    std::vector<Value> kept;
    for (u32 k = 1; k <= 14; k++) kept.push_back(b.op(Op::kMul, kI64, n, b.c64(k * 1001)));
    ir::BlockId head = b.block(), body = b.block(), done = b.block();
    b.jump(head);
    b.at(head);
    Value i = b.phi(kI64, 2), sum = b.phi(kI64, 2);
    b.origin = 99;
    b.fuel(3);
    b.branch(b.compare(Op::kLtU, kI64, i, n), body, done);
    b.at(body);
    Value next_sum = sum;
    for (Value v : kept) next_sum = b.op(Op::kXor, kI64, b.op(Op::kAdd, kI64, next_sum, v), i);
    Value next = b.op(Op::kAdd, kI64, i, b.c64(1));
    b.jump(head);
    b.set_phi(i, 0, zero);
    b.set_phi(i, 1, next);
    b.set_phi(sum, 0, zero);
    b.set_phi(sum, 1, next_sum);
    b.at(done);
    b.ret({sum});
  });
}

u64 counted(u64 n) {
  u64 sum = 0;
  for (u64 i = 0; i < n; i++)
    for (u64 k = 1; k <= 14; k++) sum = (sum + n * k * 1001) ^ i;
  return sum;
}

TEST_P(X64Control, FuelRunsOutAndIsRefilled) {
  NativeModule m(target_of(GetParam()));
  m.calls_on_host_stack = GetParam().name[0] == 'n';
  u32 func = add_counter(m);
  ASSERT_NO_FATAL_FAILURE(m.finish());
  m.ctx.fuel = 3 * 101;
  EXPECT_EQ(m.value(func, {100}), counted(100));
  EXPECT_EQ(m.ctx.fuel, 0);
  EXPECT_EQ(m.refills, 0u);

  m.ctx.fuel = 3 * 101 - 1;
  m.refill = 0;
  EXPECT_EQ(m.call(func, {100}).trap, u32{WRING_TRAP_FuelExhausted});
  EXPECT_EQ(m.refills, 1u);
  EXPECT_EQ(m.last_site()->origin, 99u);
  EXPECT_EQ(m.last_site()->func, func);
  EXPECT_EQ(m.ctx.fuel, -1);

  m.ctx.fuel = 10;
  m.refill = 6;
  m.refills = 0;
  EXPECT_EQ(m.value(func, {100}), counted(100));
  EXPECT_EQ(m.refills, 33u);  // 3 rounds, then 3 for each refill
}

// Until the time has come, slices are handed out without a call.
TEST_P(X64Control, SlicesComeFromTheReserve) {
  NativeModule m(target_of(GetParam()));
  u32 func = add_counter(m);
  ASSERT_NO_FATAL_FAILURE(m.finish());
  constexpr u64 kRounds = 20'000;  // some slices
  m.ctx.check_at = ~0ull;
  m.ctx.fuel_slice = kFuelSlice;
  m.ctx.fuel = 0;
  m.ctx.fuel_reserve = 3 * (kRounds + 1);
  EXPECT_EQ(m.value(func, {kRounds}), counted(kRounds));
  EXPECT_EQ(m.refills, 0u);
  EXPECT_EQ(m.ctx.fuel_reserve + static_cast<u64>(m.ctx.fuel), 0u);

  m.ctx.fuel = 0;
  m.ctx.fuel_reserve = 3 * (kRounds + 1) - 1;
  m.refill = 0;
  EXPECT_EQ(m.call(func, {kRounds}).trap, u32{WRING_TRAP_FuelExhausted});
  EXPECT_EQ(m.refills, 1u);
  EXPECT_EQ(m.ctx.fuel_reserve, 0u);

  // The reserve is the entered instance's.
  wring_vmctx root = m.ctx;
  root.fuel_reserve = 3 * (kRounds + 1);
  m.ctx.root = &root;
  m.ctx.fuel = 0;
  m.ctx.fuel_reserve = 0;
  EXPECT_EQ(m.value(func, {kRounds}), counted(kRounds));
  EXPECT_EQ(root.fuel_reserve, 0u);
  m.ctx.root = &m.ctx;
}

TEST_P(X64Control, CallsConsumeFuel) {
  NativeModule m(target_of(GetParam()));
  u32 func = m.add("l", "l", [](IrBuilder& b) { b.ret({b.param(0, kI64)}); }, {false, true, false});
  ASSERT_NO_FATAL_FAILURE(m.finish());
  m.ctx.fuel = 1;
  EXPECT_EQ(m.value(func, {5}), 5u);
  EXPECT_EQ(m.ctx.fuel, 0);
  EXPECT_EQ(m.call(func, {5}).trap, u32{WRING_TRAP_FuelExhausted});
}

// ---- stack

// Recursion n deep, with a frame of about `words` words.
u32 add_recursion(NativeModule& m, u32 words) {
  return m.add("l", "l",
               [=](IrBuilder& b) {
                 Value n = b.param(0, kI64);
                 ir::BlockId more = b.block(), last = b.block();
                 b.branch(b.compare(Op::kNe, kI64, n, b.c64(0)), more, last);
                 b.at(more);
                 std::vector<Value> kept;
                 for (u32 k = 0; k < words; k++)
                   kept.push_back(b.op(Op::kMul, kI64, n, b.op(Op::kAdd, kI64, n, b.c64(k))));
                 b.origin = 42;
                 Value r = b.call(Op::kCall, kI64, 0, {b.op(Op::kSub, kI64, n, b.c64(1))});
                 for (Value v : kept) r = b.op(Op::kAdd, kI64, r, v);
                 b.ret({r});
                 b.at(last);
                 b.ret({b.c64(1)});
               },
               {true, false, false});
}

TEST_P(X64Control, StackIsChecked) {
  for (u32 words : {1u, 20u, 100u, 1000u, 20'000u}) {
    NativeModule m(target_of(GetParam()));
    u32 func = add_recursion(m, words);
    ASSERT_NO_FATAL_FAILURE(m.finish());
    const FunctionCode& code = m.code.functions[func];
    EXPECT_TRUE(code.has_checked_stack);
    EXPECT_GE(code.frame_bytes, 8 * (words > 20 ? words - 20 : 0));
    u64 want = 1;
    for (u64 n = 1; n <= 3; n++)
      for (u64 k = 0; k < words; k++) want += n * (n + k);
    EXPECT_EQ(m.value(func, {3}), want);
    EXPECT_EQ(m.call(func, {1'000'000}).trap, u32{WRING_TRAP_StackExhausted});
    ASSERT_NE(m.last_site(), nullptr);
    EXPECT_TRUE(m.last_site()->in_prologue);
    EXPECT_EQ(m.last_site()->func, func);
    // Nothing was written in what is kept for others.
    for (u32 i = 0; i < kHostStackBytes; i++) ASSERT_EQ(m.stack_bottom()[i], 0) << i;
    // At the trap rsp is at a return address into the caller.
    u64 back = *static_cast<u64*>(m.ctx.trap_sp) - m.address();
    EXPECT_GT(back, code.entry);
    EXPECT_LT(back, code.end);
  }
}

TEST_P(X64Control, LargeFramesAreAlwaysChecked) {
  NativeModule m(target_of(GetParam()));
  auto body = [](u32 words) {
    return [=](IrBuilder& b) {
      Value x = b.param(0, kI64);
      std::vector<Value> kept;
      for (u32 k = 0; k < words; k++)
        kept.push_back(b.op(Op::kRotl, kI64, x, b.op(Op::kMul, kI64, x, b.c64(k + 3))));
      Value r = x;
      for (u32 k = words; k-- > 0;) r = b.op(Op::kXor, kI64, r, kept[k]);
      b.ret({r});
    };
  };
  u32 small = m.add("l", "l", body(20)), large = m.add("l", "l", body(400));
  ASSERT_NO_FATAL_FAILURE(m.finish());
  EXPECT_FALSE(m.code.functions[small].has_checked_stack);
  EXPECT_TRUE(m.code.functions[large].has_checked_stack);
  m.ctx.stack_limit = static_cast<u8*>(m.ctx.stack_top) - 256;
  EXPECT_EQ(m.call(small, {1}).trap, 0u);
  EXPECT_EQ(m.call(large, {1}).trap, u32{WRING_TRAP_StackExhausted});
}

TEST(X64Frame, TooLargeIsRefused) {
  Arena arena(kMaxCompileBytes);
  Module module(1 << 20);
  static const ValType kParam[] = {ValType::kI64};
  FuncType types[1] = {{{kParam, 1}, {kParam, 1}}};
  Function functions[1] = {};
  module.types = {types, 1};
  module.functions = {functions, 1};
  ir::Function f(&arena);
  f.module = &module;
  IrBuilder b(&f);
  Value x = b.param(0, kI64), r = x;
  std::vector<Value> kept;
  for (u32 k = 0; k < kMaxFrameBytes / 8 + 100; k++)
    kept.push_back(b.op(Op::kRotl, kI64, x, k ? kept.back() : x));
  for (u32 k = static_cast<u32>(kept.size()); k-- > 0;) r = b.op(Op::kXor, kI64, r, kept[k]);
  b.ret({r});
  Diag diag;
  ASSERT_EQ(ir::analyze_cfg(&f, &diag), Err::kOk);
  CodeBuilder code(&arena);
  code.functions = arena.make_array<FunctionCode>(1);
  EXPECT_EQ(x64::compile_function(f, {}, native_target(), {}, false, &arena, &code, &diag),
            Err::kLimit);
  EXPECT_NE(std::string(diag.message).find("stack frame"), std::string::npos) << diag.message;
}

// ---- traps

TEST_P(X64Control, TrapsRecordTheirSite) {
  NativeModule m(target_of(GetParam()));
  u32 thrower = m.add("i", "i", [](IrBuilder& b) {
    Value x = b.param(0, kI32);
    ir::BlockId bad = b.block(), good = b.block();
    b.branch(x, bad, good);
    b.at(bad);
    b.origin = 1234;
    b.trap(TrapReason::kUnreachable);
    b.at(good);
    b.ret({b.c32(6)});
  });
  u32 caller = m.add("i", "i", [=](IrBuilder& b) {
    Value x = b.param(0, kI32);
    b.origin = 4321;
    Value r = b.call(Op::kCall, kI32, thrower, {x});
    b.ret({b.op(Op::kAdd, kI32, r, x)});
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  EXPECT_EQ(m.value(caller, {0}), 6u);
  EXPECT_EQ(m.call(caller, {1}).trap, u32{WRING_TRAP_Unreachable});
  EXPECT_EQ(m.last_site()->origin, 1234u);
  EXPECT_EQ(m.last_site()->func, thrower);
  // The frames can be walked: the return address lies frame_bytes above trap_sp, and there is a
  // call site for it.
  u64 back = *reinterpret_cast<u64*>(static_cast<u8*>(m.ctx.trap_sp) +
                                     m.code.functions[thrower].frame_bytes);
  bool found = false;
  for (const CallSite& site : m.code.calls)
    found |= site.pc == back - m.address() && site.func == caller && site.origin == 4321;
  EXPECT_TRUE(found);
  EXPECT_EQ(m.value(caller, {0}), 6u);  // and life goes on
}

// ---- what the target asks for

struct Listing {
  std::vector<ZydisMnemonic> mnemonics;
  std::vector<u64> immediates;
  u32 indirect = 0;
};

Listing list(const u8* begin, const u8* end) {
  Listing out;
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  while (begin < end) {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder, begin, static_cast<usize>(end - begin), &insn, ops))) {
      ADD_FAILURE() << "undecodable";
      return out;
    }
    out.mnemonics.push_back(insn.mnemonic);
    bool transfers = insn.mnemonic == ZYDIS_MNEMONIC_CALL || insn.mnemonic == ZYDIS_MNEMONIC_JMP;
    if (transfers && ops[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE) out.indirect++;
    if (!transfers)
      for (u32 i = 0; i < insn.operand_count_visible; i++) {
        if (ops[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
          out.immediates.push_back(ops[i].imm.value.u);
        if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
          out.immediates.push_back(static_cast<u64>(ops[i].mem.disp.value));
      }
    begin += insn.length;
  }
  return out;
}

TEST(X64Target, MitigationsShowInTheCode) {
  Target target = target_of(kTargetVariants[3]);
  ASSERT_TRUE(target.retpoline && target.ibt && target.sls && target.return_thunk);
  NativeModule m(target);
  u32 callee =
      m.add("l", "l", [](IrBuilder& b) { b.ret({b.param(0, kI64)}); }, {false, false, true});
  u32 caller = m.add("ll", "l", [=](IrBuilder& b) {
    Value r = b.call(Op::kCallPtr, kI64, callee, {b.param(0, kI64), b.param(1, kI64)});
    b.ret({r});
  });
  u32 table = m.add("i", "i", [](IrBuilder& b) {
    Value x = b.param(0, kI32);
    std::vector<ir::BlockId> targets;
    for (u32 i = 0; i < 20; i++) targets.push_back(b.block());
    b.switch_to(x, targets);
    for (u32 i = 0; i < 20; i++) {
      b.at(targets[i]);
      b.ret({b.c32(i)});
    }
  });
  ASSERT_NO_FATAL_FAILURE(m.finish());
  const FunctionCode& code = m.code.functions[callee];
  ASSERT_NE(code.indirect_entry, kNone);
  const u8* text = m.text_of(callee) - code.entry;
  const u8 endbr[] = {0xf3, 0x0f, 0x1e, 0xfa};
  EXPECT_EQ(std::memcmp(text + code.indirect_entry, endbr, 4), 0);
  EXPECT_EQ(std::memcmp(text + m.code.array_entries[callee], endbr, 4), 0);
  for (u32 f : {callee, caller, table}) {
    Listing l = list(text + m.code.functions[f].entry, text + m.code.functions[f].end);
    EXPECT_EQ(l.indirect, 0u);
    for (usize i = 0; i < l.mnemonics.size(); i++) EXPECT_NE(l.mnemonics[i], ZYDIS_MNEMONIC_RET);
    EXPECT_NE(std::find(l.mnemonics.begin(), l.mnemonics.end(), ZYDIS_MNEMONIC_INT3),
              l.mnemonics.end());
  }
  wring_test_thunk_calls = wring_test_return_calls = 0;
  EXPECT_EQ(m.value(caller, {m.address() + code.indirect_entry, 17}), 17u);
  EXPECT_EQ(wring_test_thunk_calls, 1u);
  EXPECT_GE(wring_test_return_calls, 2u);
  for (u32 i = 0; i < 25; i++) EXPECT_EQ(m.value(table, {i}), min(i, 19u));
}

// No immediate or displacement that the program chose appears in the code.
TEST(X64Target, ConstantsAreBlinded) {
  constexpr u64 kChosen[] = {0x1122'3344, 0x5566'7788'99aa'bbcc, 0xc3c3'c3c3, 0x2468'ace0,
                             0x0fff'1111};
  auto body = [&](IrBuilder& b) {
    Value x = b.param(0, kI64), n = b.op(Op::kWrap, kI32, x);
    Value r = b.op(Op::kAdd, kI64, x, b.c64(kChosen[0]));
    r = b.op(Op::kXor, kI64, r, b.c64(kChosen[1]));
    r = b.op(Op::kMul, kI64, r, b.c64(kChosen[3]));
    Value c = b.compare(Op::kLtU, kI32, n, b.c32(static_cast<u32>(kChosen[2])));
    Value t = b.op(Op::kAnd, kI32, n, b.c32(static_cast<u32>(kChosen[3])));
    Value d = b.compare(Op::kEq, kI32, t, b.c32(0));
    r = b.select(kI64, c, r, b.c64(kChosen[1]));
    r = b.select(kI64, d, r, x);
    Value y = b.load(kI32, MemKind::k32U, n, static_cast<u32>(kChosen[4]));
    b.store(kI32, MemKind::k32U, b.c32(0), b.c32(static_cast<u32>(kChosen[2])));
    Value r2 = b.call(Op::kCall, kI64, 1, {r, b.c64(kChosen[1])});
    b.ret({b.op(Op::kAdd, kI64, r2, b.op(Op::kZExtI32, kI64, y))});
  };
  auto count = [&](u64 random) {
    Target target = native_target();
    target.random = random;
    NativeModule m(target);
    m.add("l", "l", body);
    m.add("ll", "l",
          [](IrBuilder& b) { b.ret({b.op(Op::kSub, kI64, b.param(0, kI64), b.param(1, kI64))}); });
    m.finish();
    u32 found = 0;
    const FunctionCode& code = m.code.functions[0];
    for (u64 imm : list(m.text_of(0), m.text_of(0) + (code.end - code.entry)).immediates)
      for (u64 chosen : kChosen)
        found += imm == chosen || static_cast<u32>(imm) == static_cast<u32>(chosen);
    return found;
  };
  EXPECT_GE(count(0), std::size(kChosen));
  EXPECT_EQ(count(0x9876'5432'1234'5678), 0u);
}

}  // namespace
}  // namespace wring::test
