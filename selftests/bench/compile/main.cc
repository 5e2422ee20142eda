// SPDX-License-Identifier: GPL-2.0
// wring-bench-compile: how fast modules become code, what memory that takes, and what instances cost.
//
// Method. The modules consist of clang's output for the benchmark kernels, all linked into one module whose functions
// are repeated to the size wanted. Each size is compiled in a process of its own, several times if it is small; the
// figures are medians of processor time, and the growth of the process's peak resident size over what it was with the
// module's bytes in memory. Wring compiles on one thread; node runs with --single-threaded, so that its compilers do
// too. "First instruction" is from the bytes to the return of an exported function that does nothing, instantiation
// included.
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "selftests/bench/compile/module.h"
#include "selftests/host/in_process.h"
#include "selftests/host/platform_posix.h"

namespace wring::bench {
namespace {

constexpr char kUsage[] =
    "Usage: wring-bench-compile [OPTION]... MODULE...\n"
    "Compiles a MODULE's functions, repeated to sizes from 10 KB to 40 MB, and prints a table; of\n"
    "several modules the largest that is not too large.\n"
    "  --sizes LIST     comma-separated KB of code (default 10,100,1000,10000,40000)\n"
    "  --no-node        leave out node's compilers\n"
    "  --markdown FILE  also write the tables there\n"
    "Exit status: 0, 1 (something failed), 2 (usage).\n";

constexpr char kWorkerScript[] = "selftests/bench/compile/worker.mjs";
constexpr std::uint64_t kBytesPerSample = 4'000'000;  // small modules are compiled this much in all
constexpr unsigned kMaxTimes = 200;

struct Sample {
  double compile_ns = 0, first_ns = 0, peak_kib = 0;
};

struct Compiler {
  const char* name;
  std::vector<std::string> node_flags;  // empty: Wring
  bool checked = false;
};

double cpu_ns() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

__attribute__((format(printf, 1, 2))) std::string format(const char* pattern, ...) {
  char text[256];
  va_list args;
  va_start(args, pattern);
  vsnprintf(text, sizeof(text), pattern, args);
  va_end(args);
  return text;
}

bool read_file(const std::string& path, std::string* out) {
  std::ifstream in(path, std::ios::binary);
  out->assign(std::istreambuf_iterator<char>(in), {});
  return in.is_open() && !in.bad();
}

bool write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.flush();
  if (!out) fprintf(stderr, "wring-bench-compile: cannot write %s\n", path.c_str());
  return static_cast<bool>(out);
}

// A module compiled, placed and instantiated.
struct Program {
  host::Store store;
  host::Module module;
  host::Code code;
  host::Instance instance;
  unsigned function = 0;
  double compile_ns = 0;

  bool load(const std::string& bytes, bool checked, std::string* why);
  bool instantiate(std::string* why);
  unsigned call(unsigned long long* values);
};

bool Program::load(const std::string& bytes, bool checked, std::string* why) {
  wring_limits limits = {};
  wring_store* new_store = nullptr;
  if (wring_store_new(&limits, &new_store) != 0) {
    *why = "no memory";
    return false;
  }
  store.reset(new_store);
  wring_error error;
  wring_module* new_module = nullptr;
  wring_code* new_code = nullptr;
  wring_target target = wring_posix_target();
  wring_compile_options options = {};
  options.target = &target;
  options.metered = 1;
  options.check = checked;
  double start = cpu_ns();
  bool done = wring_module_new(store.get(), bytes.data(), bytes.size(), &new_module, &error) == 0;
  module.reset(new_module);
  done = done && wring_compile(new_module, &options, &new_code, &error) == 0;
  code.reset(new_code);
  done = done && wring_posix_place(new_code, &error) == 0;
  compile_ns = cpu_ns() - start;
  if (!done) {
    *why = host::describe(error);
    return false;
  }
  wring_extern_desc desc;
  for (unsigned i = 0; wring_module_export(new_module, i, &desc) == 0; i++) {
    if (desc.kind != 0) continue;
    function = desc.index;
    if (std::string(desc.name.data, desc.name.len) == "first") break;
  }
  return true;
}

bool Program::instantiate(std::string* why) {
  wring_error error;
  wring_instance* created = nullptr;
  if (wring_instance_new(code.get(), nullptr, 0, &created, &error) != 0) {
    *why = host::describe(error);
    return false;
  }
  instance.reset(created);
  return true;
}

unsigned Program::call(unsigned long long* values) {
  unsigned long long fuel = ~0ull >> 2;
  return wring_posix_invoke(instance.get(), function, values, &fuel);
}

long resident_kib() {
  std::ifstream in("/proc/self/statm");
  long pages = 0, resident = 0;
  in >> pages >> resident;
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

// In a child process: compiles `times` times and writes what worker.mjs does.
int compile_here(const std::string& bytes, bool checked, unsigned times) {
  long before = resident_kib();
  for (unsigned i = 0; i < times; i++) {
    Program program;
    std::string why;
    double start = cpu_ns();
    unsigned long long values[1] = {0};
    if (!program.load(bytes, checked, &why) || !program.instantiate(&why)) {
      fprintf(stderr, "wring-bench-compile: %s\n", why.c_str());
      return 1;
    }
    if (program.call(values) != WRING_TRAP_None) return 1;
    printf("%.0f %.0f\n", program.compile_ns, cpu_ns() - start);
  }
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("%ld\n", std::max(0l, usage.ru_maxrss - before));
  return 0;
}

// Runs `command` and reads its lines.
bool collect(const std::vector<std::string>& command, Sample* out) {
  int from[2];
  if (pipe(from) != 0) return false;
  std::vector<char*> args;
  for (const std::string& word : command) args.push_back(const_cast<char*>(word.c_str()));
  args.push_back(nullptr);
  pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) {
    dup2(from[1], 1);
    close(from[0]);
    close(from[1]);
    execvp(args[0], args.data());
    _exit(127);
  }
  close(from[1]);
  FILE* in = fdopen(from[0], "r");
  std::vector<double> compile, first;
  char line[256];
  double a, b;
  while (in && fgets(line, sizeof(line), in)) {
    int count = sscanf(line, "%lf %lf", &a, &b);
    if (count == 2) {
      compile.push_back(a);
      first.push_back(b);
    } else if (count == 1) {
      out->peak_kib = a;
    }
  }
  if (in) fclose(in);
  int status = 0;
  waitpid(child, &status, 0);
  *out = {median(compile), median(first), out->peak_kib};
  return status == 0 && !compile.empty();
}

struct Options {
  std::vector<unsigned long> sizes = {10, 100, 1000, 10000, 40000};
  bool node = true;
  std::string markdown, self;
  std::vector<std::string> modules;
};

bool bench_sizes(const Options& options, std::string* out) {
  std::vector<Compiler> compilers = {{"Wring", {}, false}, {"Wring, checked", {}, true}};
  if (options.node) {
    compilers.push_back({"V8 Liftoff", {"--single-threaded", "--liftoff-only"}, false});
    compilers.push_back({"V8 TurboFan", {"--single-threaded", "--no-liftoff"}, false});
  }
  std::vector<std::string> modules;
  for (const std::string& path : options.modules) {
    modules.emplace_back();
    if (read_file(path, &modules.back()) && code_bytes_of(modules.back())) continue;
    fprintf(stderr, "wring-bench-compile: cannot read %s\n", path.c_str());
    return false;
  }
  *out +=
      "| code section | compiler | MB/s | ms to first instruction | peak bytes per byte |\n"
      "|---:|---|---:|---:|---:|\n";
  bool good = true;
  for (unsigned long size : options.sizes) {
    const std::string* origin = &modules[0];
    for (const std::string& module : modules)
      if (code_bytes_of(module) <= size * 1000 && code_bytes_of(module) > code_bytes_of(*origin))
        origin = &module;
    std::string large = repeat_functions(*origin, size * 1000);
    std::string path = options.modules[0] + "." + std::to_string(size);
    if (large.empty() || !write_file(path, large)) return false;
    double code = static_cast<double>(code_bytes_of(large));
    unsigned times =
        std::clamp<unsigned>(static_cast<unsigned>(kBytesPerSample / large.size()), 1, kMaxTimes);
    for (const Compiler& compiler : compilers) {
      std::vector<std::string> command;
      if (compiler.node_flags.empty()) {
        command = {options.self, compiler.checked ? "--child-checked" : "--child", path};
      } else {
        command = {"node"};
        command.insert(command.end(), compiler.node_flags.begin(), compiler.node_flags.end());
        command.insert(command.end(), {"--no-wasm-lazy-compilation", kWorkerScript, path, "first"});
      }
      command.push_back(std::to_string(times));
      Sample sample;
      if (!collect(command, &sample)) {
        fprintf(stderr, "wring-bench-compile: %s failed on %s\n", compiler.name, path.c_str());
        good = false;
        continue;
      }
      std::string row = format("| %.0f KB | %s | %.2f | %.2f | %.1f |\n", code / 1000,
                               compiler.name, code / sample.compile_ns * 1000,
                               sample.first_ns / 1e6, sample.peak_kib * 1024 / code);
      fprintf(stderr, "%s", row.c_str());
      *out += row;
    }
    unlink(path.c_str());
  }
  return good;
}

// (module (memory 1) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
const std::string kOnePage(
    "\0asm\1\0\0\0"
    "\1\6\1\x60\1\x7f\1\x7f"
    "\3\2\1\0"
    "\5\3\1\0\1"
    "\7\x8\1\4grow\0\0"
    "\xa\x8\1\6\0\x20\0\x40\0\xb",
    8 + 8 + 4 + 5 + 10 + 10);

// What an instance of a module with one page of memory costs, in microseconds.
bool bench_instances(std::string* out) {
  constexpr int kTimes = 2000;
  std::vector<double> made, grown, dropped, used;
  std::string why;
  Program program;
  if (!program.load(kOnePage, false, &why)) {
    fprintf(stderr, "wring-bench-compile: %s\n", why.c_str());
    return false;
  }
  for (int i = 0; i < kTimes; i++) {
    double start = cpu_ns();
    if (!program.instantiate(&why)) return false;
    double instantiated = cpu_ns();
    unsigned long long pages[1] = {0};
    if (program.call(pages) != WRING_TRAP_None || pages[0] != 1) return false;
    double called = cpu_ns();
    pages[0] = 1;
    if (program.call(pages) != WRING_TRAP_None || pages[0] != 1) return false;
    double has_grown = cpu_ns();
    program.instance.reset();
    double ended = cpu_ns();
    made.push_back(instantiated - start);
    used.push_back(called - instantiated);
    grown.push_back(has_grown - called);
    dropped.push_back(ended - has_grown);
  }
  *out += "\n| instance with a memory of one page | µs |\n|---|---:|\n";
  *out += format("| instantiation | %.2f |\n", median(made) / 1000);
  *out += format("| call of an export | %.2f |\n", median(used) / 1000);
  *out += format("| growth by a page, call included | %.2f |\n", median(grown) / 1000);
  *out += format("| teardown | %.2f |\n", median(dropped) / 1000);
  return true;
}

int bench(const Options& options) {
  std::string text;
  bool good = bench_sizes(options, &text);
  good &= bench_instances(&text);
  printf("%s", text.c_str());
  if (!options.markdown.empty()) good &= write_file(options.markdown, text);
  return good ? 0 : 1;
}

int usage() {
  fputs(kUsage, stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.self = argv[0];
  for (int i = 1; i < argc; i++) {
    std::string option = argv[i];
    if ((option == "--child" || option == "--child-checked") && i + 2 < argc) {
      std::string bytes;
      return read_file(argv[i + 1], &bytes)
                 ? compile_here(bytes, option == "--child-checked",
                                static_cast<unsigned>(strtoul(argv[i + 2], nullptr, 10)))
                 : 1;
    }
    if (option == "--help") return fputs(kUsage, stdout), 0;
    if (option == "--no-node") {
      options.node = false;
    } else if (option == "--markdown" && i + 1 < argc) {
      options.markdown = argv[++i];
    } else if (option == "--sizes" && i + 1 < argc) {
      options.sizes.clear();
      for (char* at = argv[++i]; *at;) {
        options.sizes.push_back(strtoul(at, &at, 10));
        if (*at && *at++ != ',') return usage();
        if (options.sizes.back() == 0) return usage();
      }
    } else if (option[0] != '-') {
      options.modules.push_back(option);
    } else {
      return usage();
    }
  }
  if (options.modules.empty()) return usage();
  return bench(options);
}

}  // namespace wring::bench

int main(int argc, char** argv) { return wring::bench::main(argc, argv); }
