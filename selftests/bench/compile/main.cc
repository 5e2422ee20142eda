// SPDX-License-Identifier: GPL-2.0
// wring-bench-compile: how fast modules become code, what memory that takes, and what instances cost.
//
// Method. Each module is compiled in a process of its own by each compiler, several times if it is small; the figures
// are medians of processor time, and the growth of the process's peak resident size over what it was with the module's
// bytes in memory. Wring with and without its checks take turns, some rounds long: what the checks take is the median
// over rounds. Wring compiles on one thread; node runs with --single-threaded, so that its compilers do too. An
// instance gets stubs for its imports (host/provider.h); a trap at its start is not waited for.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

#include "selftests/host/compile_report.h"
#include "selftests/host/files.h"
#include "selftests/host/platform_posix.h"
#include "selftests/host/provider.h"
#include "selftests/host/sections.h"

namespace wring::bench {
namespace {

using host::cpu_ns;

constexpr char kUsage[] =
    "Usage: wring-bench-compile [OPTION]... MODULE...\n"
    "Compiles each MODULE with Wring, with and without its checks, and with node's compilers, and\n"
    "prints tables.\n"
    "  --node FILE      the node to compare with (default: node; \"\": none)\n"
    "  --markdown FILE  also write the tables there\n"
    "Exit status: 0, 1 (something failed), 2 (usage).\n";

constexpr char kWorkerScript[] = "selftests/bench/compile/worker.mjs";
constexpr std::uint64_t kBytesPerSample = 4'000'000;  // small modules are compiled this much in all
constexpr unsigned kMaxTimes = 50;
constexpr int kRounds = 5;

struct Sample {
  double compile_ns = 0, instance_ns = 0, peak_kib = 0;
};

struct Compiler {
  const char* name;
  std::vector<std::string> node_flags;  // empty: Wring
  bool checked = false;
};

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

bool write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.flush();
  if (!out) fprintf(stderr, "wring-bench-compile: cannot write %s\n", path.c_str());
  return static_cast<bool>(out);
}

// A module and an instance of it, linked to one of its provider.
struct Program {
  host::Compiled provider, compiled;
  host::Instance imports, instance;
  double compile_ns = 0;

  bool load(const std::string& bytes, bool checked, std::string* why);
  bool instantiate(std::string* why);
  unsigned call(unsigned long long* values);
};

bool fail(const host::Outcome& outcome, std::string* why) {
  *why = outcome.text;
  return outcome.kind == host::Outcome::kOk;
}

bool Program::load(const std::string& bytes, bool checked, std::string* why) {
  host::CompileOptions options;
  options.check = checked ? WRING_CHECK_STAGES : WRING_CHECK_NONE;
  double start = cpu_ns();
  if (!fail(host::compile(bytes, options, &compiled), why)) return false;
  compile_ns = cpu_ns() - start;
  return fail(
      host::compile_in(compiled.store.get(), host::make_provider(bytes), options, &provider), why);
}

bool make_instance(wring_code* code, const std::vector<wring_import_value>& imports,
                   host::Instance* out, std::string* why) {
  wring_error error;
  wring_instance* created = nullptr;
  int result = wring_instance_new(code, imports.data(), static_cast<unsigned>(imports.size()),
                                  &created, &error);
  if (result != 0) *why = host::describe(error);
  out->reset(created);
  return result == 0 || result == -WRING_ERR_TRAP;
}

bool Program::instantiate(std::string* why) {
  std::vector<wring_import_value> values;
  const unsigned count = wring_module_import_count(compiled.module.get());
  // Instances that are linked stay until their store goes: none is made in vain.
  if (count > 0 && !make_instance(provider.code.get(), {}, &imports, why)) return false;
  for (unsigned i = 0; i < count; i++) values.push_back({imports.get(), i});
  return make_instance(compiled.code.get(), values, &instance, why);
}

// Calls the first function the module defines.
unsigned Program::call(unsigned long long* values) {
  unsigned long long fuel = ~0ull >> 2;
  return wring_posix_invoke(instance.get(), 0, values, &fuel);
}

// In a child process: compiles `times` times and writes what worker.mjs does.
int compile_here(const std::string& bytes, bool checked, unsigned times) {
  long before = host::resident_kib();
  for (unsigned i = 0; i < times; i++) {
    Program program;
    std::string why;
    double start = cpu_ns();
    if (!program.load(bytes, checked, &why) || !program.instantiate(&why)) {
      fprintf(stderr, "wring-bench-compile: %s\n", why.c_str());
      return 1;
    }
    printf("%.0f %.0f\n", program.compile_ns, cpu_ns() - start);
  }
  printf("%ld\n", std::max(0l, host::peak_kib() - before));
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
  std::vector<double> compile, instance;
  char line[256];
  double a, b;
  while (in && fgets(line, sizeof(line), in)) {
    int count = sscanf(line, "%lf %lf", &a, &b);
    if (count == 2) {
      compile.push_back(a);
      instance.push_back(b);
    } else if (count == 1) {
      out->peak_kib = a;
    }
  }
  if (in) fclose(in);
  int status = 0;
  waitpid(child, &status, 0);
  *out = {median(compile), median(instance), out->peak_kib};
  return status == 0 && !compile.empty();
}

struct Options {
  std::string node = "node", markdown, self;
  std::vector<std::string> modules;
};

// What one module took, by compiler.
struct Row {
  std::string name;
  double code_bytes;
  std::vector<Sample> samples;
  double checks = 0;  // how much of checked compilation is checking, in percent

  double speed(size_t compiler) const {
    double ns = samples[compiler].compile_ns;
    return ns > 0 ? code_bytes / ns * 1000 : 0;
  }
};

// By field.
Sample median_of(const std::vector<Sample>& rounds) {
  auto field = [&](double Sample::*member) {
    std::vector<double> values;
    for (const Sample& round : rounds) values.push_back(round.*member);
    return median(values);
  };
  return {field(&Sample::compile_ns), field(&Sample::instance_ns), field(&Sample::peak_kib)};
}

// With Wring's two ways to compile first, which compilers_of() sees to.
double checks_of(const std::vector<std::vector<Sample>>& rounds) {
  std::vector<double> shares;
  for (size_t i = 0; i < rounds[0].size() && i < rounds[1].size(); i++)
    shares.push_back(100 * (1 - rounds[0][i].compile_ns / rounds[1][i].compile_ns));
  return median(shares);
}

std::vector<Compiler> compilers_of(const Options& options) {
  std::vector<Compiler> compilers = {{"Wring", {}, false}, {"Wring, checked", {}, true}};
  if (!options.node.empty()) {
    compilers.push_back({"V8 Liftoff", {"--single-threaded", "--liftoff-only"}, false});
    compilers.push_back({"V8 TurboFan", {"--single-threaded", "--no-liftoff"}, false});
  }
  return compilers;
}

// What compiles one module, `times` times.
std::vector<std::string> command_of(const Options& options, const Compiler& compiler,
                                    const std::string& path, const std::string& provider,
                                    const std::string& times) {
  if (compiler.node_flags.empty())
    return {options.self, compiler.checked ? "--child-checked" : "--child", path, times};
  std::vector<std::string> command = {options.node};
  command.insert(command.end(), compiler.node_flags.begin(), compiler.node_flags.end());
  command.insert(command.end(),
                 {"--no-wasm-lazy-compilation", kWorkerScript, path, provider, times});
  return command;
}

bool bench_module(const Options& options, const std::string& path,
                  const std::vector<Compiler>& compilers, Row* row) {
  std::string bytes;
  if (!host::read_file(path, &bytes) || host::code_bytes_of(bytes) == 0) {
    fprintf(stderr, "wring-bench-compile: cannot read %s\n", path.c_str());
    return false;
  }
  size_t begin = path.rfind('/') + 1;
  row->name = path.substr(begin, path.rfind('.') - begin);
  row->code_bytes = static_cast<double>(host::code_bytes_of(bytes));
  const std::string provider = "/tmp/wring-bench-" + std::to_string(getpid()) + ".wasm";
  if (!write_file(provider, host::make_provider(bytes))) return false;
  const std::string times = std::to_string(
      std::clamp<unsigned>(static_cast<unsigned>(kBytesPerSample / bytes.size()), 1, kMaxTimes));
  std::vector<std::vector<Sample>> rounds(compilers.size());
  bool good = true;
  for (int round = 0; round < kRounds && good; round++)
    for (size_t i = 0; i < compilers.size(); i++) {
      if (round > 0 && !compilers[i].node_flags.empty()) continue;
      rounds[i].emplace_back();
      if (collect(command_of(options, compilers[i], path, provider, times), &rounds[i].back()))
        continue;
      fprintf(stderr, "wring-bench-compile: %s failed on %s\n", compilers[i].name, path.c_str());
      good = false;
    }
  for (const std::vector<Sample>& samples : rounds) row->samples.push_back(median_of(samples));
  row->checks = checks_of(rounds);
  unlink(provider.c_str());
  return good;
}

// MB/s of all compilers, and what the checks take.
std::string speed_table(const std::vector<Row>& rows, const std::vector<Compiler>& compilers) {
  std::string head = "| MB of code section per second | KB |", line = "|---|---:|";
  for (const Compiler& compiler : compilers) {
    head += format(" %s |", compiler.name);
    line += "---:|";
  }
  std::string out = head + " checks |\n" + line + "---:|\n";
  std::vector<double> logs(compilers.size());
  for (const Row& row : rows) {
    out += format("| %s | %.0f |", row.name.c_str(), row.code_bytes / 1000);
    for (size_t i = 0; i < compilers.size(); i++) {
      out += format(" %.2f |", row.speed(i));
      logs[i] += std::log(row.speed(i));
    }
    out += format(" %.0f %% |\n", row.checks);
  }
  if (rows.empty()) return out;
  out += "| geometric mean | |";
  for (double sum : logs)
    out += format(" %.2f |", std::exp(sum / static_cast<double>(rows.size())));
  return out + " |\n";
}

std::string memory_table(const std::vector<Row>& rows, const std::vector<Compiler>& compilers) {
  std::string out =
      "\n| module | compiler | ms to an instance | peak bytes per byte |\n|---|---|---:|---:|\n";
  for (const Row& row : rows)
    for (size_t i = 0; i < compilers.size(); i++)
      out +=
          format("| %s | %s | %.1f | %.1f |\n", row.name.c_str(), compilers[i].name,
                 row.samples[i].instance_ns / 1e6, row.samples[i].peak_kib * 1024 / row.code_bytes);
  return out;
}

bool bench_modules(const Options& options, std::string* out) {
  const std::vector<Compiler> compilers = compilers_of(options);
  std::vector<Row> rows;
  bool good = true;
  for (const std::string& path : options.modules) {
    rows.emplace_back();
    if (!bench_module(options, path, compilers, &rows.back())) {
      good = false;
      rows.pop_back();
      continue;
    }
    fprintf(stderr, "%s: done\n", path.c_str());
  }
  std::sort(rows.begin(), rows.end(),
            [](const Row& a, const Row& b) { return a.code_bytes < b.code_bytes; });
  *out += speed_table(rows, compilers) + memory_table(rows, compilers);
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
  bool good = bench_modules(options, &text);
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
      return host::read_file(argv[i + 1], &bytes)
                 ? compile_here(bytes, option == "--child-checked",
                                static_cast<unsigned>(strtoul(argv[i + 2], nullptr, 10)))
                 : 1;
    }
    if (option == "--help") return fputs(kUsage, stdout), 0;
    if (option == "--node" && i + 1 < argc) {
      options.node = argv[++i];
    } else if (option == "--markdown" && i + 1 < argc) {
      options.markdown = argv[++i];
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
