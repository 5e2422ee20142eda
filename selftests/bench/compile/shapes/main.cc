// SPDX-License-Identifier: GPL-2.0
// wring-shapes: compiles each shape at three sizes, one twice the other, and says which cost more than 2.2 times as
// much: in steps (basic blocks of the engine's code that were executed, and 32 bytes that were cleared or copied), or
// in the memory it held at most. Both come out the same whenever the program runs, unlike times, which are printed
// only to be looked at. Nor may the engine do more than so many steps without asking whether others want the CPU; where
// it does is printed as an offset into this program, for addr2line.
//
// The engine this is linked to is compiled with -fsanitize-coverage=trace-pc, and the linker leads its calls of the
// functions below marked __wrap_ here.
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "selftests/bench/compile/shapes/shapes.h"
#include "selftests/host/files.h"
#include "selftests/host/in_process.h"
#include "selftests/host/platform_posix.h"

extern "C" const char __executable_start;

namespace wring::bench {
namespace {

constexpr char kUsage[] =
    "Usage: wring-shapes [--tap | --most] [NAME]\n"
    "       wring-shapes FILE.wasm...\n"
    "Compiles each shape of code whose name contains NAME at three sizes, or each FILE, and prints "
    "what that costs.\n"
    "  --tap   small sizes, reported as tests\n"
    "  --most  up to the engine's limits\n"
    "Exit status: 0, 1 (something grows faster than its input), 2 (usage).\n";

constexpr double kMostGrowth = 2.2;
// What costs less is not compared: it is mostly what every module costs.
constexpr double kLeastSteps = 1e5, kLeastBytes = 1 << 20;
// Between two questions whether others want the CPU: one or two milliseconds.
constexpr std::uint64_t kMostInTurn = 500'000;

std::uint64_t g_steps;
std::uint64_t g_turn_begin, g_turn_due = ~0ull, g_longest_turn;
std::uintptr_t g_overruns[8];   // where the engine was when turns became too long
std::uint64_t g_bytes, g_peak;  // of the engine's memory

void end_turn() {
  g_longest_turn = std::max(g_longest_turn, g_steps - g_turn_begin);
  g_turn_begin = g_steps;
  g_turn_due = g_steps + kMostInTurn;
}

__attribute__((no_sanitize_coverage)) void note_overrun(void* where) {
  g_turn_due = ~0ull;
  auto at = static_cast<std::uintptr_t>(static_cast<char*>(where) - &__executable_start);
  for (std::uintptr_t& overrun : g_overruns) {
    if (overrun == 0) overrun = at;
    if (overrun == at) return;
  }
}

std::string overrun_text() {
  std::string text;
  char number[32];
  for (std::uintptr_t overrun : g_overruns) {
    if (overrun) snprintf(number, sizeof(number), " %#zx", overrun), text += number;
  }
  return text;
}

struct Cost {
  double steps, bytes, seconds;
  double turn;  // the most steps without a question
  std::size_t module_bytes;
  std::string error;
};

struct Mode {
  const char* name;
  bool check, optimize;
};
constexpr Mode kModes[] = {{"optimized, checked", true, true},
                           {"optimized", false, true},
                           {"checked", true, false},
                           {"neither", false, false}};

double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

Cost compile_untimed(const Body& bytes, const Mode& mode) {
  Cost cost = {};
  wring_limits limits = {};
  wring_store* new_store = nullptr;
  if (wring_store_new(&limits, &new_store) != 0) {
    cost.error = "no memory";
    return cost;
  }
  host::Store store(new_store);
  wring_target target = wring_posix_target();
  wring_compile_options options = {};
  options.target = &target;
  options.check = mode.check ? WRING_CHECK_STAGES : WRING_CHECK_NONE;
  options.metered = 1;
  options.unoptimized = !mode.optimize;
  wring_error error;
  wring_module* new_module = nullptr;
  wring_code* new_code = nullptr;
  std::uint64_t steps = g_steps, before = g_bytes;
  g_peak = g_bytes;
  double start = cpu_seconds();
  bool done = wring_module_new(store.get(), bytes.data(), bytes.size(), &new_module, &error) == 0;
  host::Module module(new_module);
  std::vector<wring_binding> bindings;
  wring_extern_desc import;
  for (unsigned i = 0; done && wring_module_import(new_module, i, &import) == 0; i++)
    if (import.kind == 0) bindings.push_back({WRING_BIND_WASM, 0, 0, 0, 0, 0});
  options.functions = bindings.data();
  options.function_count = static_cast<unsigned>(bindings.size());
  done = done && wring_compile(new_module, &options, &new_code, &error) == 0;
  host::Code code(new_code);
  cost.seconds = cpu_seconds() - start;
  cost.steps = static_cast<double>(g_steps - steps);
  cost.bytes = static_cast<double>(g_peak - before);
  cost.module_bytes = bytes.size();
  if (!done) cost.error = host::describe(error);
  return cost;
}

// The same, with what it takes to free everything.
Cost compile(const Body& bytes, const Mode& mode) {
  wring_posix_on_yield([](void*) { return end_turn(), 0; }, nullptr);
  std::fill(std::begin(g_overruns), std::end(g_overruns), 0);
  end_turn();
  g_longest_turn = 0;
  Cost cost = compile_untimed(bytes, mode);
  end_turn();
  g_turn_due = ~0ull;
  cost.turn = static_cast<double>(g_longest_turn);
  return cost;
}

// Why the last of three sizes, or the second, is too much; empty if neither is. Lists that double when they are full
// make single steps of memory uneven, so it is compared over both.
std::string excess(const Cost costs[3]) {
  char text[128] = "";
  for (u32 i = 1; i < 3; i++)
    if (costs[i - 1].steps >= kLeastSteps && costs[i].steps > kMostGrowth * costs[i - 1].steps)
      snprintf(text, sizeof(text), "steps grow %.2f times", costs[i].steps / costs[i - 1].steps);
  double growth = costs[2].bytes / costs[0].bytes;
  if (costs[0].bytes >= kLeastBytes && growth > kMostGrowth * kMostGrowth)
    snprintf(text, sizeof(text), "memory grows %.2f times for four times the size", growth);
  return text;
}

std::string too_long_a_turn(const Cost& cost) {
  if (cost.turn <= static_cast<double>(kMostInTurn)) return {};
  char text[64];
  snprintf(text, sizeof(text), "%.1f Msteps without a pause; too many at", cost.turn / 1e6);
  return text + overrun_text();
}

class Report {
 public:
  explicit Report(bool tap) : tap_(tap) {}
  void shape(const Shape& shape, u32 largest);
  void file(const std::string& path, const Body& bytes);
  bool good() const { return failed_ == 0; }

 private:
  void line(const Mode& mode, const std::string& size, const Cost& cost, const std::string& why);

  bool tap_;
  u32 failed_ = 0;
};

void Report::line(const Mode& mode, const std::string& size, const Cost& cost,
                  const std::string& why) {
  double kb = static_cast<double>(cost.module_bytes) / 1e3;
  printf("  %-18s %8s %9.1f KB %9.1f Msteps %6.2f M at once %8.1f MB %7.1f B/B %7.2f s  %s\n",
         mode.name, size.c_str(), kb, cost.steps / 1e6, cost.turn / 1e6, cost.bytes / 1e6,
         cost.bytes / (kb * 1e3), cost.seconds, why.c_str());
  fflush(stdout);
}

void Report::file(const std::string& path, const Body& bytes) {
  printf("%s\n", path.c_str());
  for (const Mode& mode : kModes) {
    Cost cost = compile(bytes, mode);
    std::string why = cost.error.empty() ? too_long_a_turn(cost) : cost.error;
    line(mode, "", cost, why);
    failed_ += !why.empty();
  }
}

void Report::shape(const Shape& shape, u32 largest) {
  std::string why;
  Body modules[3] = {shape.make(largest / 4), shape.make(largest / 2), shape.make(largest)};
  if (!tap_) printf("%s (%s)\n", shape.name, shape.limit);
  for (const Mode& mode : kModes) {
    Cost costs[3];
    for (u32 i = 0; i < 3; i++) {
      costs[i] = compile(modules[i], mode);
      std::string what = costs[i].error;
      if (what.empty() && i == 2) what = excess(costs);
      if (what.empty()) what = too_long_a_turn(costs[i]);
      if (!what.empty() && why.empty())
        why = what + " (" + mode.name + ", size " + std::to_string(largest >> (2 - i)) + ")";
      if (!tap_) line(mode, std::to_string(largest >> (2 - i)), costs[i], what);
    }
  }
  if (tap_)
    printf("%s - %s%s%s\n", why.empty() ? "ok" : "not ok", shape.name, why.empty() ? "" : ": ",
           why.c_str());
  fflush(stdout);
  failed_ += !why.empty();
}

int run(int argc, char** argv) {
  bool tap = false, most = false;
  std::string part;
  Report report(false);
  if (argc > 1 && strstr(argv[1], ".wasm")) {
    for (int i = 1; i < argc; i++) {
      std::string bytes;
      if (!host::read_file(argv[i], &bytes)) {
        fprintf(stderr, "wring-shapes: cannot read %s\n", argv[i]);
        return 1;
      }
      report.file(argv[i], Body(bytes.begin(), bytes.end()));
    }
    return !report.good();
  }
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--tap")) {
      tap = true;
    } else if (!strcmp(argv[i], "--most")) {
      most = true;
    } else if (argv[i][0] != '-' && part.empty()) {
      part = argv[i];
    } else {
      fputs(kUsage, stderr);
      return 2;
    }
  }
  std::vector<Shape> chosen;
  for (const auto& group : {control_shapes(), value_shapes(), module_shapes()})
    for (const Shape& shape : group)
      if (std::string(shape.name).find(part) != std::string::npos) chosen.push_back(shape);
  if (tap) printf("1..%zu\n", chosen.size());
  report = Report(tap);
  for (const Shape& shape : chosen) report.shape(shape, most ? shape.most : 4 * shape.quick);
  return chosen.empty() || !report.good();
}

}  // namespace
}  // namespace wring::bench

using wring::bench::g_bytes, wring::bench::g_peak, wring::bench::g_steps;
using wring::bench::g_turn_begin, wring::bench::g_turn_due;

extern "C" {

__attribute__((no_sanitize_coverage)) void __sanitizer_cov_trace_pc() {
  if (++g_steps >= g_turn_due) wring::bench::note_overrun(__builtin_return_address(0));
}

void* __real_wring_os_alloc(wring_size bytes);
void __real_wring_os_free(void* p);
void* __real_memset(void* to, int byte, size_t bytes);
void* __real_memcpy(void* to, const void* from, size_t bytes);

void* __wrap_wring_os_alloc(wring_size bytes) {
  void* p = __real_wring_os_alloc(bytes);
  if (!p) return p;
  g_bytes += malloc_usable_size(p);
  if (g_bytes > g_peak) g_peak = g_bytes;
  // Cleared; the kernel does that page by page, with pauses.
  g_turn_begin += bytes / 32;
  if (g_turn_due != ~0ull) g_turn_due += bytes / 32;
  g_steps += bytes / 32;
  return p;
}

void __wrap_wring_os_free(void* p) {
  if (p) g_bytes -= malloc_usable_size(p);
  __real_wring_os_free(p);
}

void* __wrap_memset(void* to, int byte, size_t bytes) {
  g_steps += bytes / 32;
  return __real_memset(to, byte, bytes);
}

void* __wrap_memcpy(void* to, const void* from, size_t bytes) {
  g_steps += bytes / 32;
  return __real_memcpy(to, from, bytes);
}

}  // extern "C"

int main(int argc, char** argv) { return wring::bench::run(argc, argv); }
