// SPDX-License-Identifier: GPL-2.0
// Time and memory of one compilation. A process each, since the peak of a process's memory only grows.
#include "selftests/host/compile_report.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "selftests/host/sections.h"

namespace wring::host {

double cpu_ns() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

long resident_kib() {
  std::ifstream in("/proc/self/statm");
  long pages = 0, resident = 0;
  in >> pages >> resident;
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

long peak_kib() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

Outcome report_compile(const std::string& bytes, const CompileOptions& options) {
  long before = resident_kib();
  double start = cpu_ns();
  Compiled compiled;
  Outcome outcome = compile(bytes, options, &compiled);
  double ns = cpu_ns() - start;
  if (outcome.kind != Outcome::kOk) return outcome;
  printf("{\"module\":%zu,\"code\":%llu,\"text\":%llu,\"ms\":%.3f,\"peak\":%ld}\n", bytes.size(),
         static_cast<unsigned long long>(code_bytes_of(bytes)),
         wring_code_size(compiled.code.get()), ns / 1e6, std::max(0l, peak_kib() - before) * 1024);
  return outcome;
}

}  // namespace wring::host
