// SPDX-License-Identifier: GPL-2.0
// Traps put shadow stack pointers back, and nothing else.
#include "core/base/pace.h"
#include "core/runtime/objects.h"
#include "selftests/core/runtime/engine_fixture.h"
#include "selftests/core/wasm/module_builder.h"

namespace wring::test {
namespace {

using namespace wring::testing;  // NOLINT(google-build-using-namespace)

constexpr u64 kTop = 65536;

// Globals 0, the stack pointer, and 1, a counter. "run" takes a frame, counts down by 16, stores the new count where
// its frame is, and traps if its argument is 0.
const char kFrame[] = R"(
  (memory 1)
  (global (export "sp") (mut i32) (i32.const 65536))
  (global (export "count") (mut i32) (i32.const 0))
  (func $run (export "run") (param i32) (result i32) (local i32)
    global.get 0 i32.const 1024 i32.sub local.tee 1 global.set 0
    global.get 1 i32.const 16 i32.sub global.set 1
    local.get 1 global.get 1 i32.store
    local.get 0 i32.eqz if unreachable end
    local.get 1 i32.load
    local.get 1 i32.const 1024 i32.add global.set 0))";

class StackPointerTest : public EngineTest {
 protected:
  u64 global(wring_instance* instance, unsigned index) {
    unsigned long long value[2];
    EXPECT_EQ(wring_instance_global(instance, index, value), 0);
    return value[0];
  }
};

TEST_F(StackPointerTest, ComesBackAfterTraps) {
  wring_instance* i = load("(module" + std::string(kFrame) + ")");
  EXPECT_VALUE(call(i, "run", {1}), 0u - 16);
  for (int n = 0; n < 10'000; n++) EXPECT_TRAP(call(i, "run", {0}), WRING_TRAP_Unreachable);
  EXPECT_EQ(global(i, 0), kTop);
  // What is no stack pointer stays, as does memory.
  EXPECT_EQ(global(i, 1), 0u - 16 * 10'001);
  EXPECT_VALUE(call(i, "run", {1}), 0u - 16 * 10'002);
  wring_memory_view memory;
  ASSERT_EQ(wring_instance_memory(i, 0, &memory), 0);
  u32 word;
  memcpy(&word, memory.base + kTop - 1024, sizeof(word));
  EXPECT_EQ(word, 0u - 16 * 10'002);
}

TEST_F(StackPointerTest, ComesBackToWhatItWasBeforeTheInvocation) {
  wring_instance* i = load("(module" + std::string(kFrame) + R"(
    (func (export "alloc") (param i32) (result i32)
      global.get 0 local.get 0 i32.sub i32.const -16 i32.and local.tee 0 global.set 0 local.get 0)
    (func (export "set") (param i32) local.get 0 global.set 0)
    (func (export "alloc_and_run") (param i32) (result i32)
      global.get 0 local.get 0 i32.sub global.set 0 i32.const 0 call $run)))");
  EXPECT_VALUE(call(i, "alloc", {100}), kTop - 112);
  EXPECT_TRAP(call(i, "run", {0}), WRING_TRAP_Unreachable);
  EXPECT_EQ(global(i, 0), kTop - 112);
  EXPECT_TRAP(call(i, "alloc_and_run", {5000}), WRING_TRAP_Unreachable);
  EXPECT_EQ(global(i, 0), kTop - 112);
  EXPECT_EQ(call(i, "set", {kTop}).trap, 0u);
  EXPECT_TRAP(call(i, "run", {0}), WRING_TRAP_Unreachable);
  EXPECT_EQ(global(i, 0), kTop);
}

TEST_F(StackPointerTest, ComesBackAfterEveryKindOfTrap) {
  wring_instance* i = load(R"((module (memory 1)
    (global (export "sp") (mut i32) (i32.const 65536))
    (func $frame (export "oob") (param i32) (result i32) (local i32)
      global.get 0 i32.const 16 i32.sub local.tee 1 global.set 0
      local.get 0 i32.load
      local.get 1 i32.const 16 i32.add global.set 0)
    (func $deeper (export "recurse") (param i32) (result i32) (local i32)
      global.get 0 i32.const 16 i32.sub local.tee 1 global.set 0
      local.get 1 call $deeper
      local.get 1 i32.const 16 i32.add global.set 0)
    (func (export "spin") (param i32) (result i32) (local i32)
      global.get 0 i32.const 16 i32.sub local.tee 1 global.set 0
      loop local.get 0 br_if 0 end
      local.get 1 i32.const 16 i32.add global.set 0 i32.const 0)
    (func (export "div") (param i32) (result i32) (local i32)
      global.get 0 i32.const 16 i32.sub local.tee 1 global.set 0
      i32.const 1 local.get 0 i32.div_s
      local.get 1 i32.const 16 i32.add global.set 0)))");
  unsigned long long fuel = 1000;
  EXPECT_TRAP(call(i, "oob", {70000}), WRING_TRAP_MemoryOutOfBounds);
  EXPECT_EQ(global(i, 0), kTop);
  EXPECT_TRAP(call(i, "recurse", {0}), WRING_TRAP_StackExhausted);
  EXPECT_EQ(global(i, 0), kTop);
  EXPECT_TRAP(call(i, "spin", {1}, &fuel), WRING_TRAP_FuelExhausted);
  EXPECT_EQ(global(i, 0), kTop);
  EXPECT_TRAP(call(i, "div", {0}), WRING_TRAP_IntegerDivideByZero);
  EXPECT_EQ(global(i, 0), kTop);
}

TEST_F(StackPointerTest, ComesBackAfterExceptionsNobodyCatches) {
  // throws(): takes a frame, throws.
  const Bin code = {0x23, 0, 0x22, 0, 0x41, 16, 0x6b, 0x24, 0, 0x08, 0, 0x0b};
  const Bin frame = {0x23, 0, 0x22, 0, 0x41, 16, 0x6b, 0x24, 0, 0x20, 0, 0x24, 0, 0x0b};
  wring_instance* i = load_binary(
      header() + types({func_type({}, {})}) + section(3, vec({{0}, {0}})) + section(13, {1, 0, 0}) +
      section(6, vec({Bin{kI32, 1, 0x41} + sleb(kTop) + Bin{0x0b}})) +
      section(7, vec({str("throws") + Bin{0, 0}, str("sp") + Bin{3, 0}})) +
      section(10, vec({body(code, {1, 1, kI32}), body(frame, {1, 1, kI32})})));
  for (int n = 0; n < 100; n++) EXPECT_TRAP(call(i, "throws"), WRING_TRAP_UncaughtException);
  EXPECT_EQ(global(i, 0), kTop);
}

// Those that the invocation has gone through, and their own.
TEST_F(StackPointerTest, ComesBackInAllLinkedInstances) {
  wring_instance* inner = load("(module" + std::string(kFrame) + ")");
  std::string outer_text = R"((module
    (import "m" "run" (func $run (param i32) (result i32)))
    (memory 1)
    (global (mut i32) (i32.const 4096))
    (func (export "outer") (param i32) (result i32) (local i32)
      global.get 0 i32.const 32 i32.sub local.tee 1 global.set 0
      local.get 0 call $run
      local.get 1 i32.const 32 i32.add global.set 0)))";
  wring_instance* outer = load(outer_text, {from(inner, "run")});
  for (int n = 0; n < 100; n++) {
    EXPECT_TRAP(call(outer, "outer", {0}), WRING_TRAP_Unreachable);
    EXPECT_EQ(global(outer, 0), 4096u);
    EXPECT_EQ(global(inner, 0), kTop);
  }
  EXPECT_VALUE(call(outer, "outer", {1}), 0u - 16 * 101);
  // A stack that instances share.
  wring_instance* side = load(R"((module
    (import "m" "run" (func $run (param i32) (result i32)))
    (import "m" "sp" (global (mut i32)))
    (func (export "outer") (param i32) (result i32) (local i32)
      global.get 0 i32.const 32 i32.sub local.tee 1 global.set 0
      local.get 0 call $run
      local.get 1 i32.const 32 i32.add global.set 0)))",
                              {from(inner, "run"), from(inner, "sp")});
  EXPECT_TRAP(call(side, "outer", {0}), WRING_TRAP_Unreachable);
  EXPECT_EQ(global(inner, 0), kTop);
}

// ---- hooks ----

wring_vmctx* g_vmctx;  // with gs at 0 a per-CPU address is an address
u32 g_events[3];

u32 slow_path(wring_vmctx*, u32 event, u32) {
  g_events[event]++;
  return 9;
}

class StackPointerHookTest : public StackPointerTest {
 protected:
  // Loads the module for a hook that runs the function; calls of hook() go through its entry.
  void load_hook(const std::string& text, unsigned func) {
    std::string bytes = wat(text);
    Loaded l;
    ASSERT_EQ(wring_module_new(store, bytes.data(), bytes.size(), &l.module, &error), 0)
        << error.message;
    wring_hook_entry hook = {};
    hook.func = func;
    hook.verdict_max = 9;
    hook.percpu_vmctx = reinterpret_cast<u64>(&g_vmctx);
    hook.fuel = 100'000;
    hook.layout.pkt_data_offset = 0;
    hook.layout.pkt_end_offset = 8;
    hook.slow_path = reinterpret_cast<u64>(&slow_path);
    std::vector<wring_binding> bindings(1);
    bindings[0].kind = WRING_BIND_INTRINSIC;
    wring_compile_options options = {};
    options.functions = bindings.data();
    options.function_count = 1;
    options.target = &target;
    options.hook = &hook;
    options.check = WRING_CHECK_PASSES;
    options.metered = 1;
    ASSERT_EQ(wring_compile(l.module, &options, &l.code, &error), 0) << error.message;
    ASSERT_EQ(wring_posix_place(l.code, &error), 0) << error.message;
    wring_import_value host = {};
    ASSERT_EQ(wring_instance_new(l.code, &host, 1, &l.instance, &error), 0) << error.message;
    loaded.push_back(l);
    g_vmctx = wring_instance_vmctx(l.instance);
    g_events[WRING_HOOK_TRAP] = 0;
    entry_ = l.code->image.address + wring_code_hook_offset(l.code);
  }
  u32 hook(std::vector<u8> packet) {
    const u8* ctx[] = {packet.data(), packet.data() + packet.size()};
    return reinterpret_cast<u32 (*)(const void*)>(entry_)(ctx);
  }
  u64 entry_ = 0;
};

const char kHookFrame[] = R"((module
  (import "wring" "pkt_load8" (func $load (param i32) (result i32)))
  (memory 1)
  (global (mut i32) (i32.const 65536))
  (func $read (param i32) (result i32) (local i32)
    global.get 0 i32.const 4096 i32.sub local.tee 1 global.set 0
    local.get 1 local.get 0 call $load i32.store8
    local.get 1 i32.load8_u
    local.get 1 i32.const 4096 i32.add global.set 0)
  (func (export "main") (result i32) i32.const 1 call $read) )";

TEST_F(StackPointerHookTest, ComesBackAfterTraps) {
  load_hook(kHookFrame + std::string(")"), 2);
  EXPECT_EQ(hook({1, 2}), 2u);
  for (int n = 0; n < 10'000; n++) ASSERT_EQ(hook({1}), 9u);
  EXPECT_EQ(g_events[WRING_HOOK_TRAP], 10'000u);
  EXPECT_EQ(hook({1, 2}), 2u);
}

// Each run that does not trap takes another 16 bytes for good.
TEST_F(StackPointerHookTest, ComesBackToWhatTheLastRunLeft) {
  load_hook(kHookFrame + std::string(R"(
    (func $alloc (param i32) global.get 0 local.get 0 i32.sub i32.const -16 i32.and global.set 0)
    (func (export "leaky") (result i32)
      i32.const 1 call $alloc i32.const 1 call $read drop global.get 0 i32.const 16 i32.div_u
      i32.const 10 i32.rem_u)))"),
            4);
  u32 first = hook({1, 2});
  EXPECT_EQ(hook({1}), 9u);
  EXPECT_EQ(hook({1}), 9u);
  EXPECT_EQ(hook({1, 2}), (first + 9) % 10);
  EXPECT_EQ(global(loaded[0].instance, 0), kTop - 32);
}

// Only programs that may move one without a trap pay at the entry.
TEST_F(StackPointerHookTest, CostsNothingWhereFunctionsPutItBack) {
  auto entry_bytes = [&](const std::string& more) {
    load_hook(kHookFrame + more + ")", 2);
    const wring_code* code = loaded.back().code;
    return wring_code_size(code) - wring_code_hook_offset(code);
  };
  u64 plain = entry_bytes("(func (export \"other\") (param i32) local.get 0 drop)");
  u64 saving = entry_bytes("(func (export \"restore\") (param i32) local.get 0 global.set 0)");
  EXPECT_GT(saving, plain);
  EXPECT_LE(saving, plain + 32);
}

// However many instances are linked, others get a turn while the stack pointers of all are remembered or put back.
TEST_F(StackPointerTest, OfManyInstancesLeaveTurnsForOthers) {
  wring_instance* first = load("(module" + std::string(kFrame) + ")");
  load("(module (import \"m\" \"run\" (func (param i32) (result i32))))", {from(first, "run")});
  Loaded importer = loaded.back();
  wring_import_value import = from(first, "run");
  constexpr unsigned kInstances = kMaxLinkedInstances - 2;
  for (unsigned n = 0; n < kInstances; n++) {
    wring_instance* i = nullptr;
    ASSERT_EQ(wring_instance_new(importer.code, &import, 1, &i, &error), 0) << error.message;
    wring_instance_put(i);  // stays, as it is linked
  }
  unsigned turns = 0;
  wring_posix_on_yield(
      [](void* count) {
        ++*static_cast<unsigned*>(count);
        return 0;
      },
      &turns);
  wring_os_pace = kTurnSteps;
  EXPECT_VALUE(call(first, "run", {1}), 0u - 16);
  unsigned once = turns;
  EXPECT_GE(once, kInstances * 16 / kTurnSteps - 1);
  EXPECT_TRAP(call(first, "run", {0}), WRING_TRAP_Unreachable);
  EXPECT_GE(turns - once, 2 * once - 1);
  wring_posix_on_yield(nullptr, nullptr);
  EXPECT_EQ(global(first, 0), kTop);
  // There are no more than that.
  wring_instance* i = nullptr;
  EXPECT_EQ(wring_instance_new(importer.code, &import, 1, &i, &error), -WRING_ERR_LIMIT);
  EXPECT_STREQ(error.message, "more than 4096 instances linked to each other");
  EXPECT_VALUE(call(first, "run", {1}), 0u - 16 * 3);
}

}  // namespace
}  // namespace wring::test
