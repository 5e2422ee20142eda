// SPDX-License-Identifier: GPL-2.0
// Loads real modules into the kernel, where their host is not.
#include "selftests/kernel/load_modules.h"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "selftests/host/in_process.h"
#include "selftests/host/provider.h"
#include "selftests/kernel/spec_ioctl.h"

namespace wring::kernel {

namespace {

using host::Outcome;

Outcome load(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(in), {});
  const std::string provider = host::make_provider(bytes);
  IoctlBackend backend(0);
  if (!backend.ok()) return {Outcome::kFailed, "no /dev/wring"};
  if (provider.empty()) return {Outcome::kFailed, "its imports cannot be provided"};
  int instance = -1;
  Outcome outcome = backend.instantiate(provider, {}, &instance);
  if (outcome.kind != Outcome::kOk) return {Outcome::kFailed, "its provider: " + outcome.text};
  std::vector<host::ImportValue> imports;
  const size_t count = host::ModuleNames(provider).exports().size();
  for (size_t i = 0; i < count; i++) imports.push_back({instance, static_cast<uint32_t>(i)});
  return backend.instantiate(bytes, imports, &instance);
}

}  // namespace

bool load_modules(const std::vector<std::string>& files) {
  bool all = true;
  for (const std::string& file : files) {
    const auto start = std::chrono::steady_clock::now();
    const Outcome outcome = load(file);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    const bool good = outcome.kind == Outcome::kOk || outcome.kind == Outcome::kTrap;
    std::printf("%sok - %s: %s%s%s, %.1f s\n", good ? "" : "not ", file.c_str(),
                name_of(outcome.kind), outcome.text.empty() ? "" : ": ", outcome.text.c_str(),
                seconds.count());
    std::fflush(stdout);
    all &= good;
  }
  std::printf("1..%zu\n", files.size());
  return all;
}

}  // namespace wring::kernel
