// SPDX-License-Identifier: GPL-2.0
// Engines in this process: machine code, Wring, and what wasm2c and clang made of the modules.
#include "selftests/bench/engine/engines.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "selftests/host/files.h"
#include "selftests/host/in_process.h"
#include "selftests/host/platform_posix.h"

#define KERNEL(name)                                       \
  extern "C" unsigned long long native_##name(unsigned n); \
  extern "C" unsigned long long wasm2c_##name(unsigned n);
#include "kernels.inc"
#undef KERNEL

namespace wring::bench {

namespace {

using Function = unsigned long long (*)(unsigned n);
struct Compiled {
  const char* name;
  Function native, wasm2c;
};
constexpr Compiled kKernels[] = {
#define KERNEL(name) {#name, native_##name, wasm2c_##name},
#include "kernels.inc"
#undef KERNEL
};

double cpu_ns() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Code that was compiled into this program.
class Linked final : public Engine {
 public:
  explicit Linked(Function Compiled::*which) : which_(which) {}
  bool open(const std::string& kernel, std::string* why) override {
    function_ = nullptr;
    for (const Compiled& compiled : kKernels)
      if (kernel == compiled.name) function_ = compiled.*which_;
    if (!function_) *why = "not compiled in";
    return function_ != nullptr;
  }
  bool run(std::uint32_t n, Run* out, std::string*) override {
    double start = cpu_ns();
    out->checksum = function_(n);
    out->ns = cpu_ns() - start;
    return true;
  }

 private:
  Function Compiled::*which_;
  Function function_ = nullptr;
};

class Wring final : public Engine {
 public:
  Wring(const Files& files, bool metered, bool clamped = false)
      : files_(files), metered_(metered), clamped_(clamped) {
    wring_limits limits = {};
    wring_store* store = nullptr;
    if (wring_store_new(&limits, &store) == 0) store_.reset(store);
  }
  bool open(const std::string& kernel, std::string* why) override;
  bool run(std::uint32_t n, Run* out, std::string* why) override;

 private:
  Files files_;
  bool metered_, clamped_;
  host::Store store_;
  host::Module module_;
  host::Code code_;
  host::Instance instance_;
  unsigned function_ = 0;
};

bool Wring::open(const std::string& kernel, std::string* why) {
  instance_.reset();
  code_.reset();
  module_.reset();
  std::string bytes;
  if (!host::read_file(files_.module_of(kernel), &bytes)) {
    *why = "cannot read " + files_.module_of(kernel);
    return false;
  }
  wring_error error;
  wring_module* module = nullptr;
  wring_code* code = nullptr;
  wring_instance* instance = nullptr;
  wring_target target = wring_posix_target();
  wring_compile_options options = {};
  target.clamp_speculation = clamped_;
  options.target = &target;
  options.metered = metered_;
  bool done = wring_module_new(store_.get(), bytes.data(), bytes.size(), &module, &error) == 0;
  module_.reset(module);
  done = done && wring_compile(module, &options, &code, &error) == 0;
  code_.reset(code);
  done = done && wring_posix_place(code, &error) == 0 &&
         wring_instance_new(code, nullptr, 0, &instance, &error) == 0;
  instance_.reset(instance);
  if (!done) {
    *why = host::describe(error);
    return false;
  }
  wring_extern_desc desc;
  for (unsigned i = 0; wring_module_export(module, i, &desc) == 0; i++)
    if (desc.kind == 0 && std::string(desc.name.data, desc.name.len) == "run") {
      function_ = desc.index;
      return true;
    }
  *why = "exports no run";
  return false;
}

bool Wring::run(std::uint32_t n, Run* out, std::string* why) {
  unsigned long long values[1] = {n}, fuel = ~0ull >> 2;
  double start = cpu_ns();
  unsigned reason = wring_posix_invoke(instance_.get(), function_, values, &fuel);
  out->ns = cpu_ns() - start;
  out->checksum = values[0];
  if (reason != WRING_TRAP_None) *why = wring_trap_text(reason);
  return reason == WRING_TRAP_None;
}

// Another process that is told "open PATH" and "run N" on its input and answers "ok", "ok CHECKSUM NS" or
// "error WHY".
class Worker final : public Engine {
 public:
  Worker(const Files& files, std::vector<std::string> command) : files_(files) {
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0) return;
    if (pipe2(from, O_CLOEXEC) != 0) {
      close(to[0]);
      close(to[1]);
      return;
    }
    std::vector<char*> args;
    for (std::string& word : command) args.push_back(word.data());
    args.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(to[0], 0);
      dup2(from[1], 1);
      execvp(args[0], args.data());
      _exit(127);
    }
    close(to[0]);
    close(from[1]);
    out_ = fdopen(to[1], "w");
    in_ = fdopen(from[0], "r");
  }
  ~Worker() override {
    if (out_) fclose(out_);
    if (in_) fclose(in_);
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  bool open(const std::string& kernel, std::string* why) override {
    return ask("open " + files_.module_of(kernel), why);
  }
  bool run(std::uint32_t n, Run* out, std::string* why) override {
    if (!ask("run " + std::to_string(n), why)) return false;
    unsigned long long checksum;
    if (sscanf(answer_.c_str(), "ok %llu %lf", &checksum, &out->ns) != 2) {
      *why = "strange answer: " + answer_;
      return false;
    }
    out->checksum = checksum;
    return true;
  }

 private:
  bool ask(const std::string& question, std::string* why) {
    char line[1024];
    if (!out_ || !in_ || fprintf(out_, "%s\n", question.c_str()) < 0 || fflush(out_) != 0 ||
        !fgets(line, sizeof(line), in_)) {
      *why = "the engine's process does not answer";
      return false;
    }
    answer_ = line;
    while (!answer_.empty() && answer_.back() == '\n') answer_.pop_back();
    if (answer_.rfind("ok", 0) == 0) return true;
    *why = answer_.rfind("error ", 0) == 0 ? answer_.substr(6) : answer_;
    return false;
  }

  Files files_;
  pid_t pid_ = -1;
  FILE* out_ = nullptr;
  FILE* in_ = nullptr;
  std::string answer_;
};

constexpr char kWorkerScript[] = "selftests/bench/engine/worker.mjs";

}  // namespace

std::vector<std::string> all_kernels() {
  std::vector<std::string> names;
  for (const Compiled& compiled : kKernels) names.push_back(compiled.name);
  return names;
}

const std::vector<EngineInfo>& all_engines() {
  static const std::vector<EngineInfo> engines = {
      {"native", "clang -O2 of the same source, in this process"},
      {"wring", "Wring, metered"},
      {"wring-unmetered", "Wring without metering"},
      {"wring-clamped", "Wring, metered, as for loaders without CAP_PERFMON"},
      {"v8", "node with TurboFan from the start (--no-liftoff)"},
      {"v8-tiering", "node as it comes, warm"},
      {"v8-liftoff", "node with the baseline compiler only (--liftoff-only)"},
      {"wasm2c", "wabt's wasm2c, then clang -O2; without SIMD, which Debian's wasm2c lacks"},
  };
  return engines;
}

std::unique_ptr<Engine> make_engine(const std::string& name, const Files& files, std::string* why) {
  if (name == "native") return std::make_unique<Linked>(&Compiled::native);
  if (name == "wring") return std::make_unique<Wring>(files, true);
  if (name == "wring-unmetered") return std::make_unique<Wring>(files, false);
  if (name == "wring-clamped") return std::make_unique<Wring>(files, true, true);
  if (name == "v8")
    return std::make_unique<Worker>(
        files, std::vector<std::string>{"node", "--no-liftoff", kWorkerScript});
  if (name == "v8-tiering")
    return std::make_unique<Worker>(files, std::vector<std::string>{"node", kWorkerScript});
  if (name == "v8-liftoff")
    return std::make_unique<Worker>(
        files, std::vector<std::string>{"node", "--liftoff-only", kWorkerScript});
  if (name == "wasm2c") return std::make_unique<Linked>(&Compiled::wasm2c);
  *why = "no engine of that name is built in";
  return nullptr;
}

}  // namespace wring::bench
