// SPDX-License-Identifier: GPL-2.0
// Random programs compute the same as machine code and in the IR
// interpreter: results, traps, memory, globals, packet, maps; for every kind of target.
// WRING_RANDOM_SEEDS=FIRST:COUNT chooses the programs.
#include <asm/prctl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include "selftests/core/ir/interpreter.h"
#include "selftests/core/ir/random_program.h"
#include "selftests/core/x64/thunks.h"
#include "selftests/host/platform_posix.h"

namespace wring::test {
namespace {

constexpr u64 kGsCpuNumber = 0x40, kGsThisCpuOff = 0x48;
constexpr u32 kEntries = 8, kWordsPerEntry = 2;
constexpr u32 kHandles = 2;  // 0: the array, 1: opaque
constexpr u64 kTestFuel = 1 << 20;

// What surrounds an instance. In the kernel gs points to this CPU's per-CPU copies, and the word at
// kGsThisCpuOff says where that is; so here.
struct World {
  alignas(64) u64 per_cpu_base[16];
  std::vector<u8> packet;
  unsigned long long args[4] = {11, ~0ull, 1ull << 63, 5};
  u64 array[kEntries * kWordsPerEntry];
  u64 per_cpu[kEntries * kWordsPerEntry];
  u64 pointers[kEntries];
};
World g_world;

u64 gs_base() { return reinterpret_cast<u64>(g_world.per_cpu_base); }

void reset_world(u64 seed) {
  std::mt19937_64 random(seed);
  g_world.packet.resize(random() % 90);
  for (u8& byte : g_world.packet) byte = static_cast<u8>(random());
  for (u64& x : g_world.array) x = random();
  for (u64& x : g_world.per_cpu) x = random();
  for (u32 i = 0; i < kEntries; i++)
    g_world.pointers[i] = reinterpret_cast<u64>(&g_world.per_cpu[kWordsPerEntry * i]) - gs_base();
  g_world.per_cpu_base[kGsCpuNumber / 8] = 3;
  g_world.per_cpu_base[kGsThisCpuOff / 8] = gs_base();
  syscall(SYS_arch_prctl, ARCH_SET_GS, gs_base());
}

u64 host_function(wring_vmctx* ctx, u64 a, u64 b) {
  if (static_cast<u32>(a) % 16 == 5) ctx->trap_reason = WRING_TRAP_Interrupted;
  // The upper half of an i32 result is anything in the C ABI.
  return static_cast<u32>(a * 3 + b) | 0xabcd'0000'0000'0000;
}
u64 opaque_add(wring_vmctx*, u32, u32, u32, u64) { return 0x5555'5555'ffff'ffff; }
u64 opaque_load(wring_vmctx*, u32, u32 index, u32) { return index; }

struct Result {
  Outcome outcome;
  std::vector<u8> memory, packet;
  std::vector<u64> globals, array, per_cpu;
  bool operator==(const Result&) const = default;
};

void take_world(Result* result) {
  result->packet = g_world.packet;
  result->array.assign(std::begin(g_world.array), std::end(g_world.array));
  result->per_cpu.assign(std::begin(g_world.per_cpu), std::end(g_world.per_cpu));
}

MapBinding array_map(bool per_cpu) {
  MapBinding map;
  map.kind = per_cpu ? MapKind::kPerCpuArray : MapKind::kArray;
  map.max_entries = kEntries;
  map.elem_bytes = map.value_bytes = 8 * kWordsPerEntry;
  map.address = reinterpret_cast<u64>(per_cpu ? g_world.pointers : g_world.array);
  return map;
}

// ---- the interpreter

std::unique_ptr<Program> interpreted(const Body& bytes, bool per_cpu) {
  std::string message;
  Module* module = decode_module(bytes, &message);
  if (!module) return nullptr;
  std::vector<FunctionBinding> bindings(RandomProgram::kImports);
  const Intrinsic intrinsics[] = {
      Intrinsic::kPktLen,    Intrinsic::kPktLoad8,   Intrinsic::kPktLoad16, Intrinsic::kPktLoad32,
      Intrinsic::kPktLoad64, Intrinsic::kPktStore16, Intrinsic::kArg,       Intrinsic::kCpuId,
      Intrinsic::kCount,     Intrinsic::kMapAdd,     Intrinsic::kMapLoad64};
  for (u32 i = 0; i < RandomProgram::kImports; i++) {
    bindings[i].address = 1;
    if (i == RandomProgram::kMap) {
      bindings[i].kind = BindingKind::kConstant;
    } else if (i == RandomProgram::kHost) {
      bindings[i].kind = BindingKind::kHost;
      bindings[i].may_trap = true;
    } else {
      bindings[i].kind = BindingKind::kIntrinsic;
      bindings[i].intrinsic = intrinsics[i];
    }
  }
  auto program =
      std::make_unique<Program>(module, bindings, std::vector<MapBinding>{array_map(per_cpu), {}});
  program->bindings().gs_cpu_number = kGsCpuNumber;
  program->bindings().gs_this_cpu_off = kGsThisCpuOff;
  program->compile(false);
  return program;
}

Result interpret(const Program& program, u32 func, const std::vector<u64>& args, u64 seed) {
  reset_world(seed);
  Instance instance(program);
  instance.set_gs(kGsCpuNumber, 3);
  instance.set_gs(kGsThisCpuOff, gs_base());
  instance.set_host(RandomProgram::kHost, [](wring_vmctx* ctx, const std::vector<u64>& a) -> u64 {
    return static_cast<u32>(host_function(ctx, a[0], a[1]));
  });
  instance.set_host(RandomProgram::kMapAdd,
                    [](wring_vmctx*, const std::vector<u64>&) -> u64 { return 0xffff'ffff; });
  instance.set_host(RandomProgram::kMapLoad64,
                    [](wring_vmctx*, const std::vector<u64>& a) { return a[1]; });
  wring_vmctx* ctx = instance.vmctx();
  ctx->pkt = g_world.packet.data();
  ctx->pkt_len = g_world.packet.size();
  ctx->hook_args = g_world.args;
  ctx->hook_arg_count = 4;
  instance.max_depth = 40;
  instance.max_steps = 100'000;
  Result result;
  result.outcome = instance.instantiate();
  if (result.outcome.kind == Outcome::kReturned) result.outcome = instance.call(func, args);
  result.memory = instance.memory();
  result.globals = {instance.global(0), instance.global(1)};
  take_world(&result);
  return result;
}

// ---- the machine

struct Native {
  wring_store* store = nullptr;
  wring_module* module = nullptr;
  wring_code* code = nullptr;
  wring_error error = {};

  ~Native() {
    wring_code_put(code);
    wring_module_put(module);
    wring_store_put(store);
  }

  int compile(const Body& bytes, bool per_cpu, const TargetVariant& variant) {
    wring_limits limits = {};
    if (int e = wring_store_new(&limits, &store)) return e;
    if (int e = wring_module_new(store, bytes.data(), bytes.size(), &module, &error)) return e;
    wring_binding bindings[RandomProgram::kImports] = {};
    for (u32 i = 0; i < RandomProgram::kImports; i++) {
      bindings[i].kind = WRING_BIND_INTRINSIC;
      bindings[i].address = reinterpret_cast<u64>(&opaque_load);
    }
    bindings[RandomProgram::kMapAdd].address = reinterpret_cast<u64>(&opaque_add);
    bindings[RandomProgram::kMap].kind = WRING_BIND_CONSTANT;
    bindings[RandomProgram::kHost] = {
        WRING_BIND_HOST, 0, reinterpret_cast<u64>(&host_function), 1, 0, 0};
    MapBinding array = array_map(per_cpu);
    wring_map_binding maps[kHandles] = {};
    maps[0] = {per_cpu ? WRING_MAP_PERCPU_ARRAY : WRING_MAP_ARRAY, array.max_entries,
               array.elem_bytes, array.value_bytes, array.address};
    wring_target target = wring_posix_target();
    apply(variant, &target);
    target.gs_cpu_number = kGsCpuNumber;
    target.gs_this_cpu_off = kGsThisCpuOff;
    wring_compile_options options = {};
    options.functions = bindings;
    options.function_count = RandomProgram::kImports;
    options.maps = maps;
    options.map_count = kHandles;
    options.target = &target;
    options.check = WRING_CHECK_PASSES;
    options.metered = 1;
    if (int e = wring_compile(module, &options, &code, &error)) return e;
    return wring_posix_place(code, &error);
  }

  // func must be exported.
  Result run(u32 func, const std::vector<u64>& args, u32 results, u64 seed) {
    reset_world(seed);
    Result result;
    wring_instance* instance = nullptr;
    const wring_import_value imports[RandomProgram::kImports] = {};  // all bound to the host
    if (int e = wring_instance_new(code, imports, RandomProgram::kImports, &instance, &error)) {
      ADD_FAILURE() << "instantiation: " << e << " " << error.message;
      return result;
    }
    wring_vmctx* ctx = wring_instance_vmctx(instance);
    ctx->pkt = g_world.packet.data();
    ctx->pkt_len = g_world.packet.size();
    ctx->hook_args = g_world.args;
    ctx->hook_arg_count = 4;
    unsigned long long argv[16] = {};
    std::copy(args.begin(), args.end(), argv);
    unsigned long long fuel = kTestFuel;
    unsigned trap = wring_posix_invoke(instance, func, argv, &fuel);
    result.outcome.kind = trap ? Outcome::kTrapped : Outcome::kReturned;
    result.outcome.trap = static_cast<TrapReason>(trap);
    if (!trap) result.outcome.results.assign(argv, argv + results);
    const unsigned char* base = ctx->memory_base;
    result.memory.assign(base, base + ctx->memory->bytes);
    for (u32 i = 0; i < 2; i++) result.globals.push_back(*static_cast<u64*>(ctx->globals[i]));
    take_world(&result);
    wring_instance_put(instance);
    return result;
  }
};

void check_seed(u64 seed, u32 mix, int* compared, int* returned) {
  Body bytes = RandomProgram(seed, mix).generate();
  bool per_cpu = seed & 1;
  std::unique_ptr<Program> model = interpreted(bytes, per_cpu);
  ASSERT_TRUE(model) << "seed " << seed;
  ASSERT_EQ(model->error(), "") << "seed " << seed;
  const TargetVariant& variant = kTargetVariants[seed % std::size(kTargetVariants)];
  Native native;
  ASSERT_EQ(native.compile(bytes, per_cpu, variant), 0)
      << "seed " << seed << ": " << native.error.message;
  std::mt19937_64 random(seed);
  const Module& module = model->module();
  for (u32 f = module.imported_functions; f < module.functions.size(); f++)
    for (u32 trial = 0; trial < 4; trial++) {
      std::vector<u64> args;
      for (ValType type : module.func_type(f).params) {
        u64 value = random() >> (random() % 64);
        bool is_narrow = type == ValType::kI32 || type == ValType::kF32;
        args.push_back(is_narrow ? static_cast<u32>(value) : value);
      }
      Result want = interpret(*model, f, args, seed + trial);
      if (want.outcome.kind == Outcome::kSkipped) continue;
      Result got = native.run(f, args, module.func_type(f).results.size(), seed + trial);
      ++*compared;
      *returned += want.outcome.kind == Outcome::kReturned;
      ASSERT_TRUE(want == got) << "seed " << seed << " (" << variant.name << ") function " << f
                               << " trial " << trial << ": kind " << want.outcome.kind << "/"
                               << got.outcome.kind << " trap " << int(want.outcome.trap) << "/"
                               << int(got.outcome.trap) << " memory " << (want.memory == got.memory)
                               << " globals " << (want.globals == got.globals) << " packet "
                               << (want.packet == got.packet) << " maps "
                               << (want.array == got.array && want.per_cpu == got.per_cpu);
    }
}

class X64Random : public ::testing::TestWithParam<u32> {};

TEST_P(X64Random, ComputesTheSameAsTheInterpreter) {
  u64 first = 1, count = 250;
  if (const char* seeds = std::getenv("WRING_RANDOM_SEEDS")) {
    char* end;
    first = std::strtoull(seeds, &end, 10);
    count = *end == ':' ? std::strtoull(end + 1, nullptr, 10) : 1;
  }
  int compared = 0, returned = 0;
  for (u64 seed = first; seed < first + count && !HasFatalFailure(); seed++)
    check_seed(seed, GetParam(), &compared, &returned);
  syscall(SYS_arch_prctl, ARCH_SET_GS, 0ul);
  RecordProperty("compared", compared);
  RecordProperty("returned", returned);
  if (count >= 100) {
    EXPECT_GT(returned, static_cast<int>(count));
  }
}

INSTANTIATE_TEST_SUITE_P(Integers, X64Random, ::testing::Values(0u));
INSTANTIATE_TEST_SUITE_P(Floats, X64Random, ::testing::Values(u32{RandomProgram::kFloats}));
INSTANTIATE_TEST_SUITE_P(All, X64Random,
                         ::testing::Values(u32{RandomProgram::kFloats | RandomProgram::kVectors}));

}  // namespace
}  // namespace wring::test
