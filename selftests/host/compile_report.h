// SPDX-License-Identifier: GPL-2.0
// wring-host compile: what it takes to make code of a module. Also what benchmarks measure with.
#pragma once

#include <string>

#include "selftests/host/in_process.h"

namespace wring::host {

// Processor time of this thread; this process's resident size now, and at its peak.
double cpu_ns();
long resident_kib();
long peak_kib();

// Compiles in this process and prints one line of JSON: sizes in bytes, processor time in ms, and how much the process
// grew at most over what it was with the module's bytes in memory, in bytes.
Outcome report_compile(const std::string& bytes, const CompileOptions& options);

}  // namespace wring::host
