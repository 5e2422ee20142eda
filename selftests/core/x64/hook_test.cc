// SPDX-License-Identifier: GPL-2.0
// Hook entries and bridges: what they set up, what they preserve, and how invocations end.
#include <Zydis/Zydis.h>

#include <thread>

#include "selftests/core/x64/native.h"

namespace wring::test {
namespace {

class X64Hook : public ::testing::TestWithParam<TargetVariant> {};
INSTANTIATE_TEST_SUITE_P(Targets, X64Hook, ::testing::ValuesIn(kTargetVariants),
                         [](const auto& info) { return std::string(info.param.name); });

constexpr Type kI32 = Type::kI32, kI64 = Type::kI64;

// With gs at 0 a per-CPU address is an address.
wring_vmctx* g_vmctx;
wring_hook_stack* g_stacks;  // the next to take
int g_preempt_count;

struct SlowPath {
  u32 calls = 0, event = 99, value = 99, is_running = 99;
  int preempt_count = 0;
  wring_vmctx* ctx = nullptr;
};
SlowPath g_slow;
// The hook is called on a stack that is not a multiple of 16, as the kernel's may be.
bool g_misaligned = false;
u32 slow_path(wring_vmctx* ctx, u32 event, u32 value) {
  if (!g_misaligned) {
    EXPECT_EQ(reinterpret_cast<u64>(__builtin_frame_address(0)) % 16, 0u) << "misaligned stack";
  }
  g_slow = {g_slow.calls + 1, event, value, static_cast<u32>(ctx->turns % 2), g_preempt_count, ctx};
  return 77;
}

x64::HookEntry hook_entry(u32 func) {
  x64::HookEntry hook = {};
  hook.func = func;
  hook.percpu_vmctx = reinterpret_cast<u64>(&g_vmctx);
  hook.percpu_stacks = reinterpret_cast<u64>(&g_stacks);
  hook.percpu_preempt_count = reinterpret_cast<u64>(&g_preempt_count);
  hook.default_verdict = 3;
  hook.verdict_min = 0;
  hook.verdict_max = 4;
  hook.fuel = 1000;
  hook.layout.pkt_data_offset = hook.layout.pkt_end_offset = -1;
  hook.slow_path = reinterpret_cast<u64>(&slow_path);
  return hook;
}

// Calls the hook with known values in the registers that C functions preserve, and checks them
// afterwards.
extern "C" u32 wring_test_call_preserving(const void* function, void* context, u64* changed);
extern "C" u32 wring_test_call_misaligned(const void* function, void* context, u64* changed);
asm(".text\n"
    "wring_test_call_misaligned:\n"
    "  push %rbx\n"
    "  call wring_test_call_preserving\n"
    "  pop %rbx\n"
    "  ret\n"
    "wring_test_call_preserving:\n"
    "  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "  push %rdx\n"
    "  mov %rdi, %rax\n"
    "  mov %rsi, %rdi\n"
    "  mov $101, %ebx; mov $102, %ebp; mov $103, %r12d; mov $104, %r13d; mov $105, %r14d; mov "
    "$106, %r15d\n"
    "  call *%rax\n"
    "  pop %rdx\n"
    "  sub $101, %rbx; sub $102, %rbp; sub $103, %r12; sub $104, %r13; sub $105, %r14; sub $106, "
    "%r15\n"
    "  or %rbp, %rbx; or %r12, %rbx; or %r13, %rbx; or %r14, %rbx; or %r15, %rbx\n"
    "  mov %rbx, (%rdx)\n"
    "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "  ret\n");

u32 run_hook(NativeModule& m, void* context = nullptr, wring_hook_stack* stacks = nullptr) {
  g_vmctx = &m.ctx;
  g_slow = {};
  g_stacks = stacks ? stacks : m.hook_stack;
  wring_hook_stack* before = g_stacks;
  g_preempt_count = 5;
  m.ctx.trap_reason = 0;
  u64 changed = 1;
  u32 verdict = m.guarded_call([&] {
    auto call = g_misaligned ? wring_test_call_misaligned : wring_test_call_preserving;
    return call(m.hook_text(), context, &changed);
  });
  EXPECT_EQ(changed, 0u) << "a callee-saved register changed";
  EXPECT_EQ(g_stacks, before);
  EXPECT_EQ(g_preempt_count, 5);
  return verdict;
}

Value use_all_registers(IrBuilder& b, Value x) {
  std::vector<Value> kept;
  for (u32 k = 0; k < 20; k++) kept.push_back(b.op(Op::kMul, kI32, x, b.c32(3 + k)));
  Value r = x;
  for (u32 k = 20; k-- > 0;)
    r = b.op(Op::kXor, kI32, b.op(Op::kRotl, kI32, r, kept[k]), kept[(k * 3) % 20]);
  return r;
}

TEST_P(X64Hook, VerdictsAndMisses) {
  struct Range {
    u32 min, max;
  };
  for (Range range : {Range{0, 4}, Range{2, 4}, Range{0, 0xffff'ffff},
                      Range{0xffff'fff0, 0xffff'ffff}, Range{1, 1}})
    for (u32 verdict : {0u, 1u, 2u, 3u, 4u, 5u, 0x7fff'ffffu, 0xffff'fff0u, 0xffff'ffffu}) {
      NativeModule m(target_of(GetParam()));
      u32 func = m.add("", "i", [=](IrBuilder& b) { b.ret({b.c32(verdict)}); });
      x64::HookEntry hook = hook_entry(func);
      hook.verdict_min = range.min;
      hook.verdict_max = range.max;
      m.add_hook(hook);
      ASSERT_NO_FATAL_FAILURE(m.finish());
      bool good = verdict >= range.min && verdict <= range.max;
      EXPECT_EQ(run_hook(m), good ? verdict : 77);
      EXPECT_EQ(g_slow.calls, good ? 0u : 1u);
      if (!good) {
        EXPECT_EQ(g_slow.event, WRING_HOOK_BAD_VERDICT);
        EXPECT_EQ(g_slow.value, verdict);
        EXPECT_EQ(g_slow.ctx, &m.ctx);
      }
      EXPECT_EQ(m.ctx.turns, 2u);

      m.ctx.turns = 1;
      EXPECT_EQ(run_hook(m), 77u);
      EXPECT_EQ(g_slow.event, WRING_HOOK_MISS);
      EXPECT_EQ(g_slow.value, WRING_MISS_BUSY);
      EXPECT_EQ(m.ctx.turns, 1u);  // the other invocation's
    }
}

TEST_P(X64Hook, DefaultVerdictWithoutSlowPath) {
  NativeModule m(target_of(GetParam()));
  u32 func = m.add("", "i", [=](IrBuilder& b) { b.trap(TrapReason::kUnreachable); });
  x64::HookEntry hook = hook_entry(func);
  hook.slow_path = 0;
  m.add_hook(hook);
  ASSERT_NO_FATAL_FAILURE(m.finish());
  EXPECT_EQ(run_hook(m), 3u);
  EXPECT_EQ(m.ctx.turns, 2u);
}

// A trap in a callee, with every register in use and every kind of stack.
TEST_P(X64Hook, TrapsGiveTheDefaultVerdict) {
  for (bool own_stack : {false, true}) {
    NativeModule m(target_of(GetParam()));
    u32 deep = m.add("i", "i", [](IrBuilder& b) {
      Value x = b.param(0, kI32), r = use_all_registers(b, x);
      Value y = b.load(kI32, MemKind::k32U, x, 0x1'0000);
      b.ret({b.op(Op::kAdd, kI32, r, y)});
    });
    u32 func = m.add("i", "i", [=](IrBuilder& b) {
      Value x = b.param(0, kI32), r = use_all_registers(b, x);
      b.fuel(1);
      Value y = b.call(Op::kCall, kI32, deep, {x});
      b.ret({b.op(Op::kAdd, kI32, r, y)});
    });
    x64::HookEntry hook = hook_entry(func);
    hook.own_stack = own_stack;
    m.add_hook(hook);
    ASSERT_NO_FATAL_FAILURE(m.finish());
    for (u32 round = 0; round < 2; round++) {
      EXPECT_EQ(run_hook(m), 77u);
      EXPECT_EQ(g_slow.event, WRING_HOOK_TRAP);
      EXPECT_EQ(g_slow.value, u32{WRING_TRAP_MemoryOutOfBounds});
      EXPECT_EQ(g_slow.is_running, 1u);
      EXPECT_EQ(m.ctx.turns % 2, 0u);
      EXPECT_EQ(m.ctx.trap_reason, 0u);
      EXPECT_EQ(m.last_site()->func, deep);
      EXPECT_EQ(m.ctx.fuel, 999);
    }
    u8* bottom = const_cast<u8*>(m.stack_bottom());
    bool on_own = static_cast<u8*>(m.ctx.trap_sp) > bottom && m.ctx.trap_sp < m.hook_stack;
    EXPECT_EQ(on_own, own_stack);
  }
}

TEST_P(X64Hook, InfiniteLoopsEnd) {
  NativeModule m(target_of(GetParam()));
  u32 func = m.add("", "i", [](IrBuilder& b) {
    ir::BlockId loop = b.block();
    b.jump(loop);
    b.at(loop);
    b.fuel(7);
    b.jump(loop);
  });
  m.add_hook(hook_entry(func));
  ASSERT_NO_FATAL_FAILURE(m.finish());
  m.refill = 0;
  EXPECT_EQ(run_hook(m), 77u);
  EXPECT_EQ(g_slow.value, u32{WRING_TRAP_FuelExhausted});
  // All of it, not what the last round would have taken.
  EXPECT_EQ(m.ctx.turns, 2u);
  EXPECT_EQ(m.ctx.fuel_used + 1000, 1000u);
}

// Runs and fuel, however they end; a miss is no run.
TEST_P(X64Hook, UsageIsCounted) {
  for (bool own_stack : {false, true}) {
    NativeModule m(target_of(GetParam()));
    u32 func = m.add("i", "i", [](IrBuilder& b) {
      b.fuel(10);
      Value y = b.load(kI32, MemKind::k32U, b.param(0, kI32), 8);
      b.trap_if(b.compare(Op::kEq, kI32, y, b.c32(1)), TrapReason::kUnreachable);
      b.fuel(5);
      b.ret({y});
    });
    x64::HookEntry hook = hook_entry(func);
    hook.own_stack = own_stack;
    m.add_hook(hook);
    ASSERT_NO_FATAL_FAILURE(m.finish());
    u64 first_slice = x64::hook_first_slice(hook, m.code);
    EXPECT_EQ(first_slice, hook.fuel);
    u64 runs = 0, used = 0;
    auto expect_usage = [&] {
      EXPECT_EQ(m.ctx.turns, 2 * runs);
      EXPECT_EQ(runs * first_slice + m.ctx.fuel_used, used);
    };
    for (u32 i = 0; i < 3; i++) {
      m.memory[8] = 0;
      EXPECT_EQ(run_hook(m), 0u);
      runs++, used += 15;
      expect_usage();
      m.memory[8] = 100;  // no verdict
      EXPECT_EQ(run_hook(m), 77u);
      runs++, used += 15;
      expect_usage();
      m.memory[8] = 1;
      EXPECT_EQ(run_hook(m), 77u);
      runs++, used += 10;
      expect_usage();
      m.ctx.turns |= 1;
      EXPECT_EQ(run_hook(m), 77u);
      m.ctx.turns &= ~1ull;
      expect_usage();
    }
  }
}

struct Timed {
  wring_vmctx* ctx;
  wring_hook_timing* timing;
};
std::vector<Timed> g_timed_begin, g_timed_end;
void time_begin(wring_vmctx* ctx, wring_hook_timing* timing) {
  EXPECT_EQ(reinterpret_cast<u64>(__builtin_frame_address(0)) % 16, 0u) << "misaligned stack";
  NativeModule::clobber();
  *timing = {11, 22};
  g_timed_begin.push_back({ctx, timing});
}
u32 time_end(wring_vmctx* ctx, wring_hook_timing* timing, u32 verdict) {
  EXPECT_EQ(reinterpret_cast<u64>(__builtin_frame_address(0)) % 16, 0u) << "misaligned stack";
  EXPECT_EQ(timing->begin, 11u);
  EXPECT_EQ(timing->turns, 22u);
  g_timed_end.push_back({ctx, timing});
  return verdict;
}

// The flag may change at any time.
TEST_P(X64Hook, TimedWhenAskedTo) {
  static int is_timed;
  for (bool own_stack : {false, true}) {
    NativeModule m(target_of(GetParam()));
    u32 func = m.add("i", "i", [](IrBuilder& b) {
      Value r = use_all_registers(b, b.param(0, kI32));
      b.store(kI32, MemKind::k32U, b.c32(12), r);
      b.ret({b.load(kI32, MemKind::k32U, b.c32(8), 0)});
    });
    x64::HookEntry hook = hook_entry(func);
    hook.own_stack = own_stack;
    hook.layout.args_in_ctx = true;
    hook.is_timed = reinterpret_cast<u64>(&is_timed);
    hook.time_begin = reinterpret_cast<u64>(&time_begin);
    hook.time_end = reinterpret_cast<u64>(&time_end);
    m.add_hook(hook);
    ASSERT_NO_FATAL_FAILURE(m.finish());
    for (int timed : {0, 1, 0, -1}) {
      is_timed = timed;
      g_timed_begin.clear();
      g_timed_end.clear();
      for (u32 verdict : {2u, 4u, 100u}) {
        m.memory[8] = static_cast<u8>(verdict);
        EXPECT_EQ(run_hook(m), verdict < 5 ? verdict : 77u);
      }
      m.ctx.turns |= 1;
      EXPECT_EQ(run_hook(m), 77u);
      m.ctx.turns &= ~1ull;
      ASSERT_EQ(g_timed_begin.size(), timed ? 4u : 0u);
      ASSERT_EQ(g_timed_end.size(), g_timed_begin.size());
      for (usize i = 0; i < g_timed_end.size(); i++) {
        EXPECT_EQ(g_timed_begin[i].ctx, &m.ctx);
        EXPECT_EQ(g_timed_end[i].ctx, &m.ctx);
        EXPECT_EQ(g_timed_end[i].timing, g_timed_begin[i].timing);
      }
    }
  }
}

u64 g_seen[4];
u32 see_context(wring_vmctx* ctx, u32 x) {
  EXPECT_EQ(reinterpret_cast<u64>(__builtin_frame_address(0)) % 16, 0u) << "misaligned stack";
  g_seen[0] = reinterpret_cast<u64>(ctx->hook_ctx);
  g_seen[1] = ctx->pkt_len;
  g_seen[2] = x;
  g_seen[3] = reinterpret_cast<u64>(__builtin_frame_address(0));
  return 2;
}

TEST_P(X64Hook, ContextReachesHostFunctions) {
  for (bool private_stack : {false, true})
    for (bool uses_memory : {false, true}) {
      NativeModule m(target_of(GetParam()));
      m.bind({reinterpret_cast<u64>(&see_context)});
      u32 func = m.add("i", "i", [=](IrBuilder& b) {
        Value x = b.param(0, kI32);
        if (uses_memory) b.store(kI32, MemKind::k32U, b.c32(8), b.c32(5));
        b.ret({b.call(Op::kCallHost, kI32, 0, {x})});
      });
      x64::HookEntry hook = hook_entry(func);
      hook.own_stack = true;
      hook.private_stack = private_stack;
      alignas(16) static u8 own[16 * 1024];
      m.ctx.private_stack_top = own + sizeof(own);
      hook.layout.pkt_data_offset = 8;
      hook.layout.pkt_end_offset = 24;
      m.add_hook(hook);
      ASSERT_NO_FATAL_FAILURE(m.finish());
      u64 context[] = {1, 0x5000, 3, 0x5123};
      m.memory[8] = 0;
      EXPECT_EQ(run_hook(m, context), 2u);
      EXPECT_EQ(g_seen[0], reinterpret_cast<u64>(context));
      EXPECT_EQ(g_seen[1], 0x123u);
      EXPECT_EQ(g_seen[2], 0u);  // the program's parameter is not the kernel's pointer
      EXPECT_EQ(m.memory[8], uses_memory ? 5 : 0);
      const u8* bottom = private_stack ? own : m.stack_bottom();
      u64 bytes = private_stack ? sizeof(own) : NativeModule::kStackBytes;
      EXPECT_LT(g_seen[3] - reinterpret_cast<u64>(bottom), bytes);
    }
}

TEST_P(X64Hook, PacketAndArguments) {
  NativeModule m(target_of(GetParam()));
  u32 func = m.add("", "i", [](IrBuilder& b) {
    Value packet = b.load_raw(kI64, MemKind::k64, b.vmctx(), __builtin_offsetof(wring_vmctx, pkt));
    Value length =
        b.load_raw(kI32, MemKind::k32U, b.vmctx(), __builtin_offsetof(wring_vmctx, pkt_len));
    Value args =
        b.load_raw(kI64, MemKind::k64, b.vmctx(), __builtin_offsetof(wring_vmctx, hook_args));
    Value count =
        b.load_raw(kI32, MemKind::k32U, b.vmctx(), __builtin_offsetof(wring_vmctx, hook_arg_count));
    Value sum = b.op(Op::kAdd, kI32, length, b.load_raw(kI32, MemKind::k8U, packet, 1));
    sum = b.op(Op::kAdd, kI32, sum, b.op(Op::kMul, kI32, count, b.c32(1000)));
    Value first = b.op(Op::kWrap, kI32, b.load_raw(kI64, MemKind::k64, args, 16));
    b.ret({b.op(Op::kAdd, kI32, sum, first)});
  });
  x64::HookEntry hook = hook_entry(func);
  hook.verdict_max = 0xffff'ffff;
  hook.layout.pkt_data_offset = 0;
  hook.layout.pkt_end_offset = 8;
  hook.layout.args_in_ctx = true;
  m.add_hook(hook);
  ASSERT_NO_FATAL_FAILURE(m.finish());
  m.ctx.hook_arg_count = 3;
  static u8 packet[10] = {1, 200};
  u64 context[] = {reinterpret_cast<u64>(packet), reinterpret_cast<u64>(packet + 10), 40'000};
  EXPECT_EQ(run_hook(m, context), 40'000u + 3000 + 10 + 200);
}

// ---- the FPU

struct Fpu {
  u32 usable, begins, ends;
};
Fpu g_fpu;
u32 fpu_begin() {
  if (!g_misaligned) {
    EXPECT_EQ(reinterpret_cast<u64>(__builtin_frame_address(0)) % 16, 0u) << "misaligned stack";
  }
  g_fpu.begins++;
  asm volatile("mov $-1, %%rdi; mov $-1, %%rsi; mov $-1, %%rcx" ::: "rdi", "rsi", "rcx");
  return g_fpu.usable;
}
void fpu_end() {
  if (!g_misaligned) {
    EXPECT_EQ(reinterpret_cast<u64>(__builtin_frame_address(0)) % 16, 0u) << "misaligned stack";
  }
  g_fpu.ends++;
  asm volatile("mov $-1, %%rax; mov $-1, %%rdi; mov $-1, %%rsi" ::: "rax", "rdi", "rsi");
}

TEST_P(X64Hook, FpuIsUsedBetweenBeginAndEnd) {
  for (bool checks_stack : {false, true})
    for (u32 tail_bytes : {0u, 40u})
      for (bool misaligned : {false, true}) {
        NativeModule m(target_of(GetParam()));
        m.bind({reinterpret_cast<u64>(&see_context)});
        u32 swap = m.add("vv", "vv", [](IrBuilder& b) {
          b.ret({b.param(1, Type::kV128), b.param(0, Type::kV128)});
        });
        // Traps if it finds that in memory.
        u32 func = m.add("i", "i", [=](IrBuilder& b) {
          Value call = b.call(Op::kCall, Type::kV128, swap, {b.v128(1, 2), b.v128(3, 4)});
          b.call(Op::kCall, Type::kV128, swap, {call, b.result(call, 1, Type::kV128)});
          Value found = b.load(kI32, MemKind::k32U, b.c32(8));
          b.trap_if(b.compare(Op::kEq, kI32, found, b.c32(1)), TrapReason::kUnreachable);
          b.ret({b.call(Op::kCallHost, kI32, 0, {b.param(0, kI32)})});
        });
        x64::HookEntry hook = hook_entry(func);
        hook.own_stack = true;
        hook.checks_stack = checks_stack;
        hook.tail_bytes = tail_bytes;
        hook.fpu_begin = reinterpret_cast<u64>(&fpu_begin);
        hook.fpu_end = reinterpret_cast<u64>(&fpu_end);
        m.add_hook(hook);
        ASSERT_NO_FATAL_FAILURE(m.finish());
        EXPECT_TRUE(m.code.uses & kUsesFpu);
        g_misaligned = misaligned;
        u64 context[] = {1, 2, 3};
        g_fpu = {1, 0, 0};
        EXPECT_EQ(run_hook(m, context), 2u);
        EXPECT_EQ(g_seen[0], reinterpret_cast<u64>(context));
        EXPECT_EQ(g_fpu.begins, 1u);
        EXPECT_EQ(g_fpu.ends, 1u);
        EXPECT_EQ(g_slow.calls, 0u);

        m.memory[8] = 1;
        EXPECT_EQ(run_hook(m, context), 77u);
        EXPECT_EQ(g_slow.event, WRING_HOOK_TRAP);
        EXPECT_EQ(g_fpu.begins, 2u);
        EXPECT_EQ(g_fpu.ends, 2u);

        // Not usable now: as if the program was running already, but it is not.
        m.memory[8] = 0;
        g_fpu.usable = 0;
        g_seen[0] = 0;
        EXPECT_EQ(run_hook(m, context), 77u);
        EXPECT_EQ(g_slow.event, WRING_HOOK_MISS);
        EXPECT_EQ(g_slow.value, WRING_MISS_NO_FPU);
        EXPECT_EQ(g_fpu.begins, 3u);
        EXPECT_EQ(g_fpu.ends, 2u);
        EXPECT_EQ(g_seen[0], 0u);
        EXPECT_EQ(m.ctx.turns % 2, 0u);

        // While it is running the FPU is not asked for.
        m.ctx.turns |= 1;
        EXPECT_EQ(run_hook(m, context), 77u);
        EXPECT_EQ(g_fpu.begins, 3u);
        g_misaligned = false;
      }
}

TEST_P(X64Hook, FpuIsLeftAloneByIntegers) {
  NativeModule m(target_of(GetParam()));
  u32 func = m.add("", "i", [](IrBuilder& b) { b.ret({b.c32(1)}); });
  x64::HookEntry hook = hook_entry(func);
  hook.fpu_begin = reinterpret_cast<u64>(&fpu_begin);
  hook.fpu_end = reinterpret_cast<u64>(&fpu_end);
  m.add_hook(hook);
  ASSERT_NO_FATAL_FAILURE(m.finish());
  g_fpu = {1, 0, 0};
  EXPECT_EQ(run_hook(m), 1u);
  EXPECT_EQ(g_fpu.begins, 0u);
  EXPECT_FALSE(m.code.uses & kUsesFpu);
}

// ---- nesting

// Programs of the same CPU that interrupt each other run on one stack after the other; when there are no more, the
// next does not run.
struct Nested {
  NativeModule* module;
  u32 verdict, event, value;
  int preempt_count;
};
std::vector<Nested> g_nested;
u32 g_next_nested;
bool g_interrupts;  // the next is not called, but interrupts: on a stack of its own
u32 hit_next_hook() {
  u32 next = ++g_next_nested;
  if (next == g_nested.size()) return 0;
  Nested& nested = g_nested[next];
  wring_vmctx* outer = g_vmctx;
  g_vmctx = &nested.module->ctx;
  g_slow = {};
  u64 changed = 1;
  nested.preempt_count = g_preempt_count;
  auto run = [&] {
    nested.verdict = nested.module->guarded_call(
        [&] { return wring_test_call_preserving(nested.module->hook_text(), nullptr, &changed); });
  };
  if (g_interrupts)
    std::thread(run).join();
  else
    run();
  EXPECT_EQ(changed, 0u);
  if (nested.verdict == 77) {
    nested.event = g_slow.event;
    nested.value = g_slow.value;
  }
  g_vmctx = outer;
  return nested.verdict;
}
u32 run_next(wring_vmctx* ctx) {
  EXPECT_EQ(ctx, &g_nested[g_next_nested].module->ctx);
  EXPECT_NE(reinterpret_cast<u64>(ctx->stack_top), 0u);
  return 1 + hit_next_hook();
}
u32 run_next_at_fpu_begin() {
  hit_next_hook();
  return 1;
}

// Programs that hit each other's hooks, and the CPU's stacks.
class X64HookNesting : public X64Hook {
 protected:
  static constexpr u32 kStacks = 3;
  static constexpr u64 kLong = 1ull << 50;

  X64HookNesting() : memory_(kStacks * WRING_MIN_STACK_BYTES) {
    for (u32 i = 0; i < kStacks; i++)
      first_ = wring_hook_stack_init(bottom(i), WRING_MIN_STACK_BYTES, first_);
    g_nested.clear();
    g_next_nested = 0;
    g_interrupts = false;
  }
  ~X64HookNesting() override {
    // Each puts back the handler of faults that it found.
    while (!modules_.empty()) modules_.pop_back();
    g_nested.clear();
  }

  // The stack that is the i-th from the last.
  u8* bottom(u32 i) { return memory_.data() + usize{i} * WRING_MIN_STACK_BYTES; }

  enum Kind { kShared, kPrivate, kFpu };
  // A program that hits the next one's hook: calls a host function, but for kFpu, whose fpu_begin does.
  wring_vmctx& add(u64 time_slice, Kind kind = kShared) {
    modules_.push_back(std::make_unique<NativeModule>(target_of(GetParam())));
    NativeModule* m = modules_.back().get();
    m->bind({reinterpret_cast<u64>(&run_next)});
    u32 func = m->add("", "i", [=](IrBuilder& b) {
      if (kind != kFpu) return b.ret({b.call(Op::kCallHost, kI32, 0, {})});
      b.call(Op::kCall, Type::kV128, 1, {b.v128(1, 2)});
      b.ret({b.c32(1)});
    });
    if (kind == kFpu) m->add("v", "v", [](IrBuilder& b) { b.ret({b.param(0, Type::kV128)}); });
    x64::HookEntry hook = hook_entry(func);
    hook.own_stack = true;
    hook.checks_stack = true;
    hook.private_stack = kind == kPrivate;
    hook.verdict_max = 1000;
    if (kind == kFpu) hook.fpu_begin = reinterpret_cast<u64>(&run_next_at_fpu_begin);
    if (kind == kFpu) hook.fpu_end = reinterpret_cast<u64>(&fpu_end);
    if (kind == kPrivate) {
      private_.resize(WRING_MIN_STACK_BYTES);
      m->ctx.private_stack_top = private_.data() + private_.size();
      m->ctx.stack_limit = private_.data() + kStackHeadroomBytes;
    }
    m->ctx.time_slice = time_slice;
    m->add_hook(hook);
    m->finish();
    g_nested.push_back({m, 0, 0, 0, 0});
    return m->ctx;
  }
  u32 run() {
    g_next_nested = 0;
    for (Nested& nested : g_nested) nested.module->ctx.check_at = 1;
    u32 verdict = run_hook(*modules_[0], nullptr, first_);
    for (auto& m : modules_) EXPECT_EQ(m->ctx.turns % 2, 0u);
    for (wring_hook_stack* at = first_; at; at = at->next) EXPECT_EQ(at->vmctx, nullptr);
    return verdict;
  }

  std::vector<std::unique_ptr<NativeModule>> modules_;
  std::vector<u8> memory_, private_;
  wring_hook_stack* first_ = nullptr;  // the one that is taken first
};
INSTANTIATE_TEST_SUITE_P(Targets, X64HookNesting, ::testing::ValuesIn(kTargetVariants),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(X64HookNesting, EndsWhereStacksDo) {
  constexpr u32 kDepth = 5;
  for (u32 i = 0; i < kDepth; i++) add(kLong);
  // The innermost program that ran got 77 for the one that found no stack.
  EXPECT_EQ(run(), 77u + kStacks);
  EXPECT_EQ(g_nested[kStacks].event, WRING_HOOK_MISS);
  EXPECT_EQ(g_nested[kStacks].value, WRING_MISS_TOO_DEEP);
  EXPECT_EQ(g_next_nested, kStacks);
  for (u32 i = 1; i <= kStacks; i++) EXPECT_EQ(g_nested[i].preempt_count, 5 + static_cast<int>(i));
  for (u32 i = 0; i < kStacks; i++)
    EXPECT_EQ(modules_[i]->ctx.stack_limit, bottom(kStacks - 1 - i) + kStackHeadroomBytes);
  g_interrupts = true;
  EXPECT_EQ(run(), 77u + kStacks);
  EXPECT_EQ(g_nested[kStacks].value, WRING_MISS_TOO_DEEP);
}

TEST_P(X64HookNesting, NobodyHasMoreTimeThanThoseAround) {
  wring_vmctx& outer = add(kLong);
  wring_vmctx& shorter = add(kLong / 2);
  wring_vmctx& longer = add(2 * kLong);
  u64 before = __builtin_ia32_rdtsc();
  EXPECT_EQ(run(), 3u);
  u64 taken = __builtin_ia32_rdtsc() - before;
  // The outermost one's time began when the next was about to.
  EXPECT_LE(outer.check_at - before - kLong, taken);
  EXPECT_LE(shorter.check_at - before - kLong / 2, taken);
  EXPECT_EQ(longer.check_at, shorter.check_at);
}

TEST_P(X64HookNesting, AloneTheClockWaits) {
  wring_vmctx& alone = add(kLong);
  EXPECT_EQ(run(), 1u);
  EXPECT_EQ(alone.check_at, 0u);
}

TEST_P(X64HookNesting, NoneBeginsWhenTimeIsOver) {
  for (Kind kind : {kShared, kPrivate}) {
    g_nested.clear();
    while (!modules_.empty()) modules_.pop_back();
    wring_vmctx& outer = add(kLong, kind);
    wring_vmctx& middle = add(0);
    wring_vmctx& inner = add(kLong);
    EXPECT_EQ(run(), 79u);
    EXPECT_EQ(outer.turns, 2u);
    EXPECT_EQ(middle.turns, 2u);
    EXPECT_EQ(inner.turns, 0u);
    EXPECT_EQ(g_nested[2].event, WRING_HOOK_MISS);
    EXPECT_EQ(g_nested[2].value, WRING_MISS_TOO_DEEP);
    EXPECT_LT(middle.check_at, outer.check_at);

    outer.time_slice = 0;
    EXPECT_EQ(run(), 78u);
    EXPECT_EQ(middle.turns, 2u);
    EXPECT_EQ(g_nested[1].event, WRING_HOOK_MISS);
    EXPECT_EQ(g_nested[1].value, WRING_MISS_TOO_DEEP);
  }
}

// They do not pay for what they interrupt.
TEST_P(X64HookNesting, InterruptsHaveTheirOwnTime) {
  g_interrupts = true;
  wring_vmctx& outer = add(0);
  wring_vmctx& middle = add(0, kPrivate);
  wring_vmctx& inner = add(kLong);
  EXPECT_EQ(run(), 3u);
  EXPECT_EQ(outer.check_at, 0u);
  EXPECT_EQ(middle.check_at, 0u);
  EXPECT_EQ(inner.check_at, 0u);
}

// What an entry calls before its program runs, it calls on the stack it was called on.
TEST_P(X64HookNesting, HooksThatEntriesHit) {
  wring_vmctx& outer = add(kLong);
  wring_vmctx& middle = add(0, kFpu);
  wring_vmctx& inner = add(2 * kLong);
  EXPECT_EQ(run(), 2u);
  EXPECT_EQ(inner.turns, 2u);
  EXPECT_EQ(inner.check_at, outer.check_at);
  EXPECT_LT(middle.check_at, outer.check_at);
}

// ---- exceptions

TEST_P(X64Hook, UncaughtExceptionsAreTraps) {
  for (bool own_stack : {false, true}) {
    NativeModule m(target_of(GetParam()));
    u32 func = m.add("i", "i", [](IrBuilder& b) {
      b.write_raw(Op::kStoreRaw, kI64, MemKind::k64, b.vmctx(), b.c64(0x5000),
                  __builtin_offsetof(wring_vmctx, exception));
      b.ret({b.c32(1)});
    });
    x64::HookEntry hook = hook_entry(func);
    hook.own_stack = own_stack;
    m.add_hook(hook);
    ASSERT_NO_FATAL_FAILURE(m.finish());
    EXPECT_TRUE(m.code.uses & kUsesExceptions);
    EXPECT_EQ(run_hook(m), 77u);
    EXPECT_EQ(g_slow.event, WRING_HOOK_TRAP);
    EXPECT_EQ(g_slow.value, u32{WRING_TRAP_UncaughtException});
    EXPECT_EQ(m.ctx.exception, nullptr);
    EXPECT_EQ(m.ctx.trap_reason, 0u);
    EXPECT_EQ(m.ctx.turns % 2, 0u);
  }
}

// The instructions from the hook's first to its return, on the way an empty program takes.
u32 path_length(const NativeModule& m, u32 func) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  const u8* p = m.hook_text();
  const u8* back = nullptr;
  for (u32 count = 1; count < 200; count++) {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, p, 64, &insn, ops))) break;
    p += insn.length;
    if (insn.mnemonic == ZYDIS_MNEMONIC_JMP) {
      p += ops[0].imm.value.s;
    } else if (insn.mnemonic == ZYDIS_MNEMONIC_CALL) {
      back = p;
      p = m.text_of(func);
    } else if (insn.mnemonic == ZYDIS_MNEMONIC_RET) {
      if (!back) return count;
      p = back;
      back = nullptr;
    }
  }
  ADD_FAILURE() << "no end found";
  return 0;
}

TEST(X64HookLength, EmptyProgram) {
  NativeModule m;
  u32 func = m.add("", "i", [=](IrBuilder& b) { b.ret({b.c32(1)}); });
  x64::HookEntry hook = hook_entry(func);
  static int is_timed = 0;
  hook.is_timed = reinterpret_cast<u64>(&is_timed);
  hook.time_begin = reinterpret_cast<u64>(&time_begin);
  hook.time_end = reinterpret_cast<u64>(&time_end);
  m.add_hook(hook);
  ASSERT_NO_FATAL_FAILURE(m.finish());
  u32 length = path_length(m, func);
  RecordProperty("instructions", static_cast<int>(length));
  // An empty eBPF program under its JIT runs 4 or more.
  EXPECT_LE(length, 16u);
  EXPECT_EQ(run_hook(m), 1u);
}

TEST(X64HookLength, EmptyProgramOnAStackOfTheCpu) {
  NativeModule m;
  u32 func = m.add("", "i", [=](IrBuilder& b) { b.ret({b.c32(1)}); });
  x64::HookEntry hook = hook_entry(func);
  hook.own_stack = true;
  m.add_hook(hook);
  ASSERT_NO_FATAL_FAILURE(m.finish());
  u32 length = path_length(m, func);
  RecordProperty("instructions", static_cast<int>(length));
  EXPECT_LE(length, 37u);
  EXPECT_EQ(run_hook(m), 1u);
}

// ---- bridges

TEST_P(X64Hook, Bridges) {
  const Target target = target_of(GetParam());
  for (u32 params : {0u, 3u, 6u, 9u, 30u})
    for (u32 results : {0u, 1u, 6u, 9u, 31u}) {
      NativeModule callee(target), caller(target);
      std::string in(params, 'l'), out(results, 'l');
      // Adds what is in its own memory; traps if the first parameter is 99.
      u32 target_func = callee.add(
          in, out,
          [=](IrBuilder& b) {
            Value base = b.load(kI64, MemKind::k64, b.c32(16));
            if (params)
              b.trap_if(b.compare(Op::kEq, kI64, b.param(0, kI64), b.c64(99)),
                        TrapReason::kUnreachable);
            std::vector<Value> list;
            for (u32 i = 0; i < results; i++) {
              Value v = b.op(Op::kAdd, kI64, base, b.c64(i));
              list.push_back(params ? b.op(Op::kAdd, kI64, v, b.param(i % params, kI64)) : v);
            }
            b.ret(list);
          },
          {false, false, true});
      ASSERT_NO_FATAL_FAILURE(callee.finish());
      u64 entry = callee.address() + callee.code.functions[target_func].indirect_entry;
      u32 type = caller.add(in, out, [=](IrBuilder& b) {
        std::vector<Value> zeros(results, b.c64(0));
        b.ret(zeros);
      });
      u32 func = caller.add("l" + in, out + "l", [=](IrBuilder& b) {
        std::vector<Value> args = {b.param(0, kI64)}, list;
        for (u32 i = 0; i < params; i++) args.push_back(b.param(i + 1, kI64));
        Value call = b.call(Op::kCallPtr, results ? kI64 : Type::kVoid, type, args);
        for (u32 i = 0; i < results; i++) list.push_back(i ? b.result(call, i, kI64) : call);
        list.push_back(b.load(kI64, MemKind::k64, b.c32(16)));  // of its own memory again
        b.ret(list);
      });
      u32 bridge = caller.add_bridge(type, &callee.ctx, entry);
      ASSERT_NO_FATAL_FAILURE(caller.finish());
      u64 seven = 7, thousand = 1000;
      std::memcpy(caller.memory + 16, &seven, 8);
      std::memcpy(callee.memory + 16, &thousand, 8);
      std::vector<u64> args = {caller.address() + caller.bridge_offset(bridge)}, want;
      for (u32 i = 0; i < params; i++) args.push_back(100 * i);
      for (u32 i = 0; i < results; i++)
        want.push_back(1000 + i + (params ? 100 * (i % params) : 0));
      want.push_back(7);
      callee.ctx.root = nullptr;
      EXPECT_EQ(caller.call(func, args).results, want);
      EXPECT_EQ(callee.ctx.root, &caller.ctx);
      EXPECT_EQ(callee.ctx.entry_sp, caller.ctx.entry_sp);
      EXPECT_EQ(callee.ctx.stack_limit, caller.ctx.stack_limit);
      if (!params) continue;
      // A trap leaves the whole invocation. The site is the callee module's.
      caller.also = &callee;
      args[1] = 99;
      EXPECT_EQ(caller.call(func, args).trap, u32{WRING_TRAP_Unreachable});
      EXPECT_EQ(caller.last_site()->func, target_func);
      // The walk finds the caller's vmctx below the bridge's return address.
      u8* frame =
          static_cast<u8*>(callee.ctx.trap_sp) + callee.code.functions[target_func].frame_bytes;
      u64 in_bridge = *reinterpret_cast<u64*>(frame) - caller.address();
      const CallSite* site = nullptr;
      for (const CallSite& s : caller.code.calls)
        if (s.pc == in_bridge) site = &s;
      ASSERT_NE(site, nullptr);
      EXPECT_EQ(site->func, kNone);
      u8* bridge_return = frame + 8 + site->origin;
      EXPECT_EQ(*reinterpret_cast<wring_vmctx**>(bridge_return - 8), &caller.ctx);
      args[1] = 1;
      EXPECT_EQ(caller.call(func, args).trap, 0u);
    }
}

}  // namespace
}  // namespace wring::test
