// SPDX-License-Identifier: GPL-2.0
// Random programs compute natively what their unoptimized IR says, with every intrinsic: results, traps, memory,
// globals, packet and maps. The per-CPU variables the kernel keeps at gs are stood in for by a block of this process.
// WRING_RANDOM_SEEDS=FIRST:COUNT chooses the programs.
#include <asm/prctl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <random>

#include "selftests/core/ir/interpreter.h"
#include "selftests/core/ir/random_program.h"
#include "selftests/host/platform_posix.h"

namespace wring::test {
namespace {

using Import = RandomProgram::Import;

constexpr u64 kGsCpuNumber = 0x40, kGsThisCpuOff = 0x48;
constexpr u32 kMapEntries = 8, kElemBytes = 16;

// What surrounds an instance: a packet, hook arguments, an array and a per-CPU array.
struct World {
  std::vector<u8> packet;
  unsigned long long args[4];
  std::vector<u64> array, per_cpu;
  bool operator==(const World& o) const {
    return packet == o.packet && array == o.array && per_cpu == o.per_cpu;
  }
};

// Both sides use these addresses, since map addresses become constants in the code.
World g_world = {{}, {}, std::vector<u64>(kMapEntries * 2), std::vector<u64>(kMapEntries * 2)};
u64 g_pointers[kMapEntries];
// gs points here. As in the kernel, the base is also what turns a per-CPU address into this CPU's.
alignas(16) u8 g_gs_block[128];
u64 per_cpu_offset() { return reinterpret_cast<u64>(g_gs_block); }

void reset_world(u64 seed) {
  std::mt19937_64 random(seed);
  g_world.packet.resize(random() % 50);
  for (auto& x : g_world.args) x = random() >> (random() % 64);
  for (u8& byte : g_world.packet) byte = static_cast<u8>(random());
  for (u64& x : g_world.array) x = random();
  for (u64& x : g_world.per_cpu) x = random();
  for (u32 i = 0; i < kMapEntries; i++)
    g_pointers[i] = reinterpret_cast<u64>(&g_world.per_cpu[2 * i]) - per_cpu_offset();
}

void attach_world(wring_vmctx* ctx) {
  ctx->pkt = g_world.packet.data();
  ctx->pkt_len = g_world.packet.size();
  ctx->hook_args = g_world.args;
  ctx->hook_arg_count = 4;
}

// The import "host", and the out-of-line forms that map intrinsics take for handles other than the map's.
extern "C" u32 native_random_host(wring_vmctx* ctx, u32 a, u64 b) {
  if (a % 16 == 5) ctx->trap_reason = WRING_TRAP_Interrupted;
  return static_cast<u32>(a * 3 + b);
}
extern "C" u32 native_random_map_add(wring_vmctx*, u32, u32, u32, u64) { return ~u32{0}; }
extern "C" u64 native_random_map_load64(wring_vmctx*, u32, u32 index, u32) { return index; }

MapBinding map_binding(bool per_cpu) {
  MapBinding map;
  map.kind = per_cpu ? MapKind::kPerCpuArray : MapKind::kArray;
  map.max_entries = kMapEntries;
  map.elem_bytes = map.value_bytes = kElemBytes;
  map.address = reinterpret_cast<u64>(per_cpu ? g_pointers : g_world.array.data());
  return map;
}

// One program in both forms.
class Pair {
 public:
  Pair(u64 seed, const Body& plain) {
    bool per_cpu = seed & 1;
    make_interpreted(plain, per_cpu);
    if (program_) make_native(plain, per_cpu);
  }
  ~Pair() {
    wring_code_put(code_);
    wring_module_put(module_);
    wring_store_put(store_);
  }
  Pair(const Pair&) = delete;

  const std::string& error() const { return error_; }
  const Module& module() const { return program_->module(); }

  // Runs function `func` in fresh instances. An empty string: the same, or not comparable.
  std::string compare(u32 func, const std::vector<u64>& args, u64 world_seed, bool* compared) {
    reset_world(world_seed);
    Instance other(*program_);
    prepare(&other);
    Outcome expected = other.instantiate();
    if (expected.kind == Outcome::kReturned) expected = other.call(func, args);
    World world = g_world;

    reset_world(world_seed);
    wring_instance* native = nullptr;
    wring_error error;
    std::vector<wring_import_value> imports(module().imports.size());
    if (wring_instance_new(code_, imports.data(), static_cast<unsigned>(imports.size()), &native,
                           &error) != 0)
      return error.message;
    attach_world(wring_instance_vmctx(native));
    std::vector<unsigned long long> argv(args.begin(), args.end());
    argv.resize(16);
    unsigned long long fuel = 10'000'000;
    unsigned trap = wring_posix_invoke(native, func, argv.data(), &fuel);
    std::string difference;
    *compared = expected.kind != Outcome::kSkipped && trap != WRING_TRAP_StackExhausted &&
                trap != WRING_TRAP_FuelExhausted;
    if (*compared) difference = differs(expected, &other, world, trap, argv, native);
    wring_instance_put(native);
    return difference;
  }

 private:
  void make_interpreted(const Body& bytes, bool per_cpu) {
    wring::Module* module = nullptr;
    Diag diag;
    if (decode({bytes.data(), bytes.size()}, {}, kMaxCompileBytes, &module, &diag) != Err::kOk) {
      error_ = diag.message;
      return;
    }
    const Intrinsic intrinsics[] = {
        Intrinsic::kPktLen,    Intrinsic::kPktLoad8,   Intrinsic::kPktLoad16, Intrinsic::kPktLoad32,
        Intrinsic::kPktLoad64, Intrinsic::kPktStore16, Intrinsic::kArg,       Intrinsic::kCpuId,
        Intrinsic::kCount,     Intrinsic::kMapAdd,     Intrinsic::kMapLoad64};
    std::vector<FunctionBinding> bindings(RandomProgram::kImports);
    for (u32 i = 0; i < RandomProgram::kImports; i++) {
      bindings[i].kind = i == Import::kMap    ? BindingKind::kConstant
                         : i == Import::kHost ? BindingKind::kHost
                                              : BindingKind::kIntrinsic;
      bindings[i].address = 1;
      bindings[i].may_trap = true;
      if (bindings[i].kind == BindingKind::kIntrinsic) bindings[i].intrinsic = intrinsics[i];
    }
    program_ = std::make_unique<Program>(module, bindings,
                                         std::vector<MapBinding>{map_binding(per_cpu), {}});
    program_->bindings().gs_cpu_number = kGsCpuNumber;
    program_->bindings().gs_this_cpu_off = kGsThisCpuOff;
    program_->compile(false);
    error_ = program_->error();
  }

  static void prepare(Instance* other) {
    other->set_gs(kGsCpuNumber, 3);
    other->set_gs(kGsThisCpuOff, per_cpu_offset());
    other->set_host(Import::kHost, [](wring_vmctx* ctx, const std::vector<u64>& a) -> u64 {
      return native_random_host(ctx, static_cast<u32>(a[0]), a[1]);
    });
    other->set_host(Import::kMapAdd,
                    [](wring_vmctx*, const std::vector<u64>&) -> u64 { return ~u32{0}; });
    other->set_host(Import::kMapLoad64,
                    [](wring_vmctx*, const std::vector<u64>& a) { return a[1]; });
    attach_world(other->vmctx());
    other->max_depth = 40;
    other->max_steps = 100'000;
  }

  void make_native(const Body& bytes, bool per_cpu) {
    wring_error error = {};
    wring_limits limits = {};
    wring_store_new(&limits, &store_);
    std::vector<wring_binding> bindings(RandomProgram::kImports);
    for (u32 i = 0; i < RandomProgram::kImports; i++) {
      bindings[i].kind = i == Import::kMap ? WRING_BIND_CONSTANT : WRING_BIND_INTRINSIC;
      bindings[i].may_trap = 1;
    }
    bindings[Import::kHost] = {
        WRING_BIND_HOST, 0, reinterpret_cast<u64>(&native_random_host), 1, 0, 0};
    bindings[Import::kMapAdd].address = reinterpret_cast<u64>(&native_random_map_add);
    bindings[Import::kMapLoad64].address = reinterpret_cast<u64>(&native_random_map_load64);
    MapBinding map = map_binding(per_cpu);
    wring_map_binding maps[2] = {{static_cast<unsigned>(map.kind), map.max_entries, map.elem_bytes,
                                  map.value_bytes, map.address},
                                 {}};
    wring_target target = wring_posix_target();
    target.gs_cpu_number = kGsCpuNumber;
    target.gs_this_cpu_off = kGsThisCpuOff;
    wring_compile_options options = {};
    options.functions = bindings.data();
    options.function_count = RandomProgram::kImports;
    options.maps = maps;
    options.map_count = 2;
    options.target = &target;
    options.check = WRING_CHECK_PASSES;
    options.metered = 1;
    if (wring_module_new(store_, bytes.data(), bytes.size(), &module_, &error) != 0 ||
        wring_compile(module_, &options, &code_, &error) != 0 ||
        wring_posix_place(code_, &error) != 0)
      error_ = error.message;
  }

  static std::string differs(const Outcome& expected, Instance* other, const World& world,
                             unsigned trap, const std::vector<unsigned long long>& results,
                             wring_instance* native) {
    if (trap != static_cast<unsigned>(expected.trap))
      return std::string("trap: ") + wring_trap_text(trap) +
             ", expected: " + wring_trap_text(static_cast<unsigned>(expected.trap));
    for (size_t i = 0; trap == 0 && i < expected.results.size(); i++)
      if (results[i] != expected.results[i])
        return "result " + std::to_string(i) + " is " + std::to_string(results[i]) + ", expected " +
               std::to_string(expected.results[i]);
    const wring_memory_view* memory = wring_instance_vmctx(native)->memory;
    if (memory->bytes != other->memory().size()) return "memory sizes differ";
    if (memcmp(memory->base, other->memory().data(), memory->bytes) != 0) return "memories differ";
    for (u32 i = 0; i < 2; i++) {
      unsigned long long bits[2];
      if (wring_instance_global(native, i, bits) != 0 || bits[0] != other->global(i))
        return "globals differ";
    }
    return g_world == world ? "" : "packets or maps differ";
  }

  std::unique_ptr<Program> program_;
  wring_store* store_ = nullptr;
  wring_module* module_ = nullptr;
  wring_code* code_ = nullptr;
  std::string error_;
};

void check_seed(u64 seed, int* compared) {
  Pair pair(seed, RandomProgram(seed).generate());
  ASSERT_EQ(pair.error(), "") << "seed " << seed;
  std::mt19937_64 random(seed);
  for (u32 func = pair.module().imported_functions; func < pair.module().functions.size(); func++) {
    for (u32 trial = 0; trial < 4; trial++) {
      std::vector<u64> args;
      for (ValType type : pair.module().func_type(func).params) {
        u64 value = random() >> (random() % 64);
        args.push_back(type == ValType::kI32 ? static_cast<u32>(value) : value);
      }
      bool is_comparable = false;
      ASSERT_EQ(pair.compare(func, args, seed + trial, &is_comparable), "")
          << "seed " << seed << " function " << func << " trial " << trial;
      *compared += is_comparable;
    }
  }
}

TEST(NativeRandom, NativeCodeComputesWhatTheIrSays) {
  const u32 cpu = 3;
  memcpy(g_gs_block + kGsCpuNumber, &cpu, sizeof(cpu));
  const u64 offset = per_cpu_offset();
  memcpy(g_gs_block + kGsThisCpuOff, &offset, sizeof(offset));
  ASSERT_EQ(syscall(SYS_arch_prctl, ARCH_SET_GS, g_gs_block), 0);
  u64 first = 1, count = 200;
  if (const char* seeds = std::getenv("WRING_RANDOM_SEEDS")) {
    char* end;
    first = std::strtoull(seeds, &end, 10);
    count = *end == ':' ? std::strtoull(end + 1, nullptr, 10) : 1;
  }
  int compared = 0;
  for (u64 seed = first; seed < first + count && !::testing::Test::HasFatalFailure(); seed++)
    check_seed(seed, &compared);
  EXPECT_GT(compared, static_cast<int>(count));
  EXPECT_EQ(syscall(SYS_arch_prctl, ARCH_SET_GS, 0), 0);
}

}  // namespace
}  // namespace wring::test
