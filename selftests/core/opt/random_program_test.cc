// SPDX-License-Identifier: GPL-2.0
// Random programs compute the same before and after optimization, by the optimizer's order of passes and by any other:
// results, traps, memory, globals, packet, maps. And the back end takes what comes of it, on any CPU.
// WRING_RANDOM_SEEDS=FIRST:COUNT chooses the programs.
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/ir/cfg.h"
#include "core/opt/passes.h"
#include "core/x64/x64.h"
#include "selftests/core/ir/interpreter.h"
#include "selftests/core/ir/random_program.h"

namespace wring::test {
namespace {

constexpr u64 kGsCpuNumber = 0x40, kGsThisCpuOff = 0x48, kPerCpuDistance = 4096;

// What surrounds an instance: a packet, hook arguments, an array and a per-CPU array.
struct World {
  std::vector<u8> packet;
  unsigned long long args[4];
  std::vector<u64> array = std::vector<u64>(8 * 2);
  std::vector<u64> per_cpu = std::vector<u64>(8 * 2 + kPerCpuDistance / 8);
  u64 pointers[8];
};

// The same addresses for both versions, since map addresses become constants.
World g_world;

void reset_world(u64 seed) {
  std::mt19937_64 random(seed);
  g_world.packet.resize(random() % 50);
  for (auto& x : g_world.args) x = random() >> (random() % 64);
  for (u8& byte : g_world.packet) byte = static_cast<u8>(random());
  for (u64& x : g_world.array) x = random();
  for (u64& x : g_world.per_cpu) x = random();
  for (u32 i = 0; i < 8; i++) g_world.pointers[i] = reinterpret_cast<u64>(&g_world.per_cpu[2 * i]);
}

Program* make_program(const Body& bytes, bool per_cpu, std::string* message) {
  Module* module = decode_module(bytes, message);
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
      bindings[i].value = 0;
    } else if (i == RandomProgram::kHost) {
      bindings[i].kind = BindingKind::kHost;
      bindings[i].may_trap = true;
    } else {
      bindings[i].kind = BindingKind::kIntrinsic;
      bindings[i].intrinsic = intrinsics[i];
    }
  }
  MapBinding map;
  map.kind = per_cpu ? MapKind::kPerCpuArray : MapKind::kArray;
  map.max_entries = 8;
  map.elem_bytes = map.value_bytes = 16;
  map.address = reinterpret_cast<u64>(per_cpu ? g_world.pointers : g_world.array.data());
  MapBinding opaque;
  auto* program = new Program(module, bindings, {map, opaque});
  program->bindings().gs_cpu_number = kGsCpuNumber;
  program->bindings().gs_this_cpu_off = kGsThisCpuOff;
  return program;
}

struct Result {
  Outcome outcome;
  std::vector<u8> memory, packet;
  std::vector<u64> globals, array, per_cpu;
  bool operator==(const Result&) const = default;
};

Result run(const Program& program, u32 func, const std::vector<u64>& args, u64 seed) {
  reset_world(seed);
  Instance instance(program);
  instance.set_gs(kGsCpuNumber, 3);
  instance.set_gs(kGsThisCpuOff, kPerCpuDistance);
  instance.set_host(RandomProgram::kHost, [](wring_vmctx* ctx, const std::vector<u64>& a) -> u64 {
    if (a[0] % 16 == 5) ctx->trap_reason = WRING_TRAP_Interrupted;
    return static_cast<u32>(a[0] * 3 + a[1]);
  });
  // Handle 1 is opaque, 9 does not exist.
  instance.set_host(RandomProgram::kMapAdd,
                    [](wring_vmctx*, const std::vector<u64>&) -> u64 { return 0xffff'ffff; });
  instance.set_host(RandomProgram::kMapLoad64,
                    [](wring_vmctx*, const std::vector<u64>& a) { return a[1]; });
  wring_vmctx* ctx = instance.vmctx();
  ctx->pkt = g_world.packet.data();
  ctx->pkt_len = g_world.packet.size();
  ctx->hook_args = g_world.args;
  ctx->hook_arg_count = 4;
  Result result;
  result.outcome = instance.instantiate();
  instance.max_depth = 40;
  instance.max_steps = 100'000;
  if (result.outcome.kind == Outcome::kReturned) result.outcome = instance.call(func, args);
  result.memory = instance.memory();
  result.globals = {instance.global(0), instance.global(1)};
  result.packet = g_world.packet;
  result.array = g_world.array;
  result.per_cpu = g_world.per_cpu;
  return result;
}

// Passes drawn at random, some again and again, in place of those that optimize() runs.
Err any_passes(std::mt19937_64* random, ir::Function* f, opt::PassObserver* observer, Diag* diag) {
  static constexpr struct {
    const char* name;
    Err (*run)(ir::Function*, Arena*, Diag*);
  } kPasses[] = {
      {"phis", opt::simplify_phis},
      {"gvn", opt::number_values},
      {"dce", opt::eliminate_dead_code},
      {"cleanup", opt::clean_up_control_flow},
      {"licm", opt::hoist_invariants},
      {"metering", opt::relax_metering},
      {"returns", opt::duplicate_returns},
      {"edges", [](ir::Function* g, Arena*, Diag* d) { return ir::split_critical_edges(g, d); }},
  };
  Arena scratch(kMaxCompileBytes);
  for (u64 n = (*random)() % 16; n > 0; n--) {
    const auto& pass = kPasses[(*random)() % std::size(kPasses)];
    TRY(pass.run(f, &scratch, diag));
    TRY(observer->after_pass(pass.name, *f, diag));
  }
  // What lowering asks for beyond what passes leave.
  TRY(opt::eliminate_dead_code(f, &scratch, diag));
  TRY(ir::split_critical_edges(f, diag));
  TRY(observer->after_pass("last", *f, diag));
  return ir::verify_lowerable(*f, diag);
}

// Lowers every function and allocates its registers, with the checkers on.
void compile_natively(const Program& program, bool is_baseline, const std::string& what) {
  Arena arena(kMaxCompileBytes);
  CodeBuilder code(&arena);
  const u32 count = program.module().functions.size();
  code.functions = arena.make_array<FunctionCode>(count);
  Target target;
  target.cpu = is_baseline ? u32{kCpuSse41} : x64::cpu_features();
  target.clamp_speculation = program.clamp_speculation;
  for (u32 f = program.module().imported_functions; f < count; f++) {
    if (!program.function(f)) continue;
    Diag diag;
    ASSERT_EQ(x64::compile_function(*program.function(f), program.bindings(), target, {}, true,
                                    &arena, &code, &diag),
              Err::kOk)
        << what << " function " << f << ": " << diag.message;
  }
}

void check_seed(u64 seed, u32 mix, bool any_order, int* compared, int* returned) {
  Body bytes = RandomProgram(seed, mix).generate();
  std::string message;
  std::unique_ptr<Program> built(make_program(bytes, seed & 1, &message));
  ASSERT_TRUE(built) << "seed " << seed << ": " << message;
  std::unique_ptr<Program> optimized(make_program(bytes, seed & 1, &message));
  optimized->clamp_speculation = seed / 4 & 1;
  built->compile(false);
  ASSERT_EQ(built->error(), "") << "seed " << seed;
  std::mt19937_64 random(seed);
  if (any_order)
    optimized->compile([&](ir::Function* f, opt::PassObserver* observer, Diag* diag) {
      return any_passes(&random, f, observer, diag);
    });
  else
    optimized->compile(true);
  ASSERT_EQ(optimized->error(), "") << "seed " << seed;
  ASSERT_NO_FATAL_FAILURE(
      compile_natively(*optimized, seed / 2 & 1, "seed " + std::to_string(seed)));
  const Module& module = built->module();
  for (u32 f = module.imported_functions; f < module.functions.size(); f++)
    for (u32 trial = 0; trial < 4; trial++) {
      std::vector<u64> args;
      for (ValType type : module.func_type(f).params) {
        u64 value = random() >> (random() % 64);
        bool is_narrow = type == ValType::kI32 || type == ValType::kF32;
        args.push_back(is_narrow ? static_cast<u32>(value) : value);
      }
      Result before = run(*built, f, args, seed + trial);
      Result after = run(*optimized, f, args, seed + trial);
      if (before.outcome.kind == Outcome::kSkipped || after.outcome.kind == Outcome::kSkipped)
        continue;
      ++*compared;
      *returned += before.outcome.kind == Outcome::kReturned;
      ASSERT_TRUE(before == after)
          << "seed " << seed << " function " << f << " trial " << trial << ": kind "
          << before.outcome.kind << "/" << after.outcome.kind << " trap "
          << int(before.outcome.trap) << "/" << int(after.outcome.trap);
    }
}

class RandomPrograms : public ::testing::TestWithParam<u32> {
 protected:
  void check(bool any_order) {
    u64 first = 1, count = 300;
    if (const char* seeds = std::getenv("WRING_RANDOM_SEEDS")) {
      char* end;
      first = std::strtoull(seeds, &end, 10);
      count = *end == ':' ? std::strtoull(end + 1, nullptr, 10) : 1;
    }
    int compared = 0, returned = 0;
    for (u64 seed = first; seed < first + count && !HasFatalFailure(); seed++)
      check_seed(seed, GetParam(), any_order, &compared, &returned);
    RecordProperty("compared", compared);
    RecordProperty("returned", returned);
    if (count >= 100) {
      EXPECT_GT(returned, static_cast<int>(count));
    }
  }
};

TEST_P(RandomPrograms, OptimizedComputesTheSame) { check(false); }
TEST_P(RandomPrograms, PassesInAnyOrderComputeTheSame) { check(true); }

INSTANTIATE_TEST_SUITE_P(Integers, RandomPrograms, ::testing::Values(0u));
INSTANTIATE_TEST_SUITE_P(Floats, RandomPrograms, ::testing::Values(u32{RandomProgram::kFloats}));
INSTANTIATE_TEST_SUITE_P(All, RandomPrograms,
                         ::testing::Values(u32{RandomProgram::kFloats | RandomProgram::kVectors}));

}  // namespace
}  // namespace wring::test
