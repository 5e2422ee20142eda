// SPDX-License-Identifier: GPL-2.0
// wring-spec: runs conformance scripts inside the kernel and reports in TAP, one line per script.
#include <sys/resource.h>

#include <cctype>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "selftests/kernel/spec_ioctl.h"
#include "uapi/wring.h"

namespace {

const char kUsage[] =
    "usage: wring-spec [--strict] [--verbose] [--list LIST --dir DIR] [FILE.json]...\n"
    "Runs conformance scripts through /dev/wring: the files given, and those LIST names below "
    "DIR.\n";

// Paths of a list file: one per line, '#' begins a comment.
bool read_list(const std::string& path, const std::string& dir, std::vector<std::string>* files) {
  std::ifstream in(path);
  if (!in) return false;
  for (std::string line; std::getline(in, line);) {
    line.erase(line.find('#') == std::string::npos ? line.size() : line.find('#'));
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    if (!line.empty()) files->push_back(dir + "/" + line);
  }
  return true;
}

// What the script's group (a directory of its path) is about, which decides what its modules may contain.
unsigned features_of(const std::string& path) {
  if (path.find("/w2-") != std::string::npos) return WRING_WASM_2;
  if (path.find("/w3-") != std::string::npos) return WRING_WASM_3;
  return path.find("/p-threads/") != std::string::npos ? WRING_WASM_THREADS : 0;
}

}  // namespace

int main(int argc, char** argv) {
  wring::host::SpecOptions options;
  std::string list, dir = ".";
  std::vector<std::string> files;
  for (int i = 1; i < argc; i++) {
    std::string arg = argv[i];
    if (arg == "--strict") {
      options.strict = true;
    } else if (arg == "--verbose") {
      options.verbose = true;
    } else if ((arg == "--list" || arg == "--dir") && i + 1 < argc) {
      (arg == "--list" ? list : dir) = argv[++i];
    } else if (arg[0] == '-') {
      std::fputs(kUsage, stderr);
      return 2;
    } else {
      files.push_back(arg);
    }
  }
  if (!list.empty() && !read_list(list, dir, &files)) {
    std::fprintf(stderr, "wring-spec: cannot read %s\n", list.c_str());
    return 2;
  }
  if (files.empty()) {
    std::fputs(kUsage, stderr);
    return 2;
  }

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
