// SPDX-License-Identifier: GPL-2.0
// Listings of what the compiler makes of a module: IR text per pass, machine code with Wasm offsets.
#pragma once

#include <string>

namespace wring::host {

struct ListingOptions {
  std::string func;           // an index or a name; empty: all functions
  bool all_passes = false;    // IR: after every pass, not only the last
  bool clamped = false;       // bounds checks hold under speculation
  bool baseline_cpu = false;  // machine code: for the least CPU that will do, not this machine
};

// Intrinsics are expanded in line, and maps are arrays of 100 entries of 8 bytes. Print to stdout. Return an error
// message, or an empty string.
std::string list_ir(const std::string& module_bytes, const ListingOptions& options);
std::string list_asm(const std::string& module_bytes, const ListingOptions& options);

}  // namespace wring::host
