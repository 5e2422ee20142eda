// SPDX-License-Identifier: GPL-2.0
// wring-spec: runs conformance scripts inside the kernel, or loads modules, and reports in TAP, one line per file.
#include <sys/resource.h>

#include <cstdio>
#include <string>
#include <vector>

#include "selftests/kernel/load_modules.h"
#include "selftests/kernel/spec_ioctl.h"
#include "uapi/wring.h"

namespace {

const char kUsage[] =
    "usage: wring-spec [--strict] [--verbose] [--known LIST] FILE.json...\n"
    "       wring-spec --modules FILE.wasm...\n"
    "Runs conformance scripts through /dev/wring. LIST names commands that are known to fail.\n"
    "With --modules, compiles and instantiates modules, with stubs for their imports.\n";

// What the script's group (a directory of its path) is about, which decides what its modules may contain.
unsigned features_of(const std::string& path) {
  if (path.find("/w2-") != std::string::npos) return WRING_WASM_2;
  if (path.find("/w3-") != std::string::npos) return WRING_WASM_3;
  return path.find("/p-threads/") != std::string::npos ? WRING_WASM_THREADS : 0;
}

}  // namespace

int main(int argc, char** argv) {
  wring::host::SpecOptions options;
  std::vector<std::string> files;
  bool modules = false;
  for (int i = 1; i < argc; i++) {
    std::string arg = argv[i];
    if (arg == "--strict") {
      options.strict = true;
    } else if (arg == "--modules") {
      modules = true;
    } else if (arg == "--verbose") {
      options.verbose = true;
    } else if (arg == "--known" && i + 1 < argc) {
      options.known = argv[++i];
    } else if (arg[0] == '-') {
      std::fputs(kUsage, stderr);
      return 2;
    } else {
      files.push_back(arg);
    }
  }
  if (files.empty()) {
    std::fputs(kUsage, stderr);
    return 2;
  }

  if (modules) return wring::kernel::load_modules(files) ? 0 : 1;

  // Scripts keep an instance, and so an fd, per module.
  rlimit limit = {16384, 16384};
  setrlimit(RLIMIT_NOFILE, &limit);

  int failed = 0;
  for (size_t i = 0; i < files.size(); i++) {
    wring::kernel::IoctlBackend backend(features_of(files[i]));
    if (!backend.ok()) {
      std::printf("1..0 # SKIP no /dev/wring\n");
      return 4;
    }
    bool passed = wring::host::run_spec(files[i], &backend, options);
    std::printf("%sok %zu - %s\n", passed ? "" : "not ", i + 1, files[i].c_str());
    std::fflush(stdout);
    failed += !passed;
  }
  std::printf("1..%zu\n", files.size());
  return failed ? 1 : 0;
}
