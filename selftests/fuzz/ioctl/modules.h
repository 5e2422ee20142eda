// SPDX-License-Identifier: GPL-2.0
// Module bytes for the ioctl fuzzer: small programs for hooks and instances that call the kernel's host functions, and
// those of the generator of modules.
#pragma once

#include <string>
#include <vector>

#include "selftests/fuzz/generate.h"
#include "uapi/wring.h"

namespace wring::fuzz {

using test::Body;
using test::Choices;

struct Candidate {
  Body module;
  Body exporter;                  // of what the module imports; mostly empty
  std::vector<std::string> maps;  // that it imports
  std::string entry;              // of hooks
  u32 imports = 0;
};

// Beside the types of programs: an instance.
constexpr u32 kInstanceType = WRING_PROG_NETFILTER + 1;

// For hooks of this type, WRING_PROG_MODULE or kInstanceType. Few never end or trap.
Candidate small_program(Choices* choices, u32 type);
// Of exports to invoke; what it imports is its exporter's.
Candidate generated_module(Choices* choices);
// One whose start function never ends: for loaders that are killed.
Body endless_start();

// With a few bytes changed, moved or cut off.
void change_bytes(Choices* choices, Body* bytes);

// What the module imports, as indices into the exporter's exports; false if either does not decode.
bool match_imports(const Body& module, const Body& exporter, std::vector<u32>* exports);

}  // namespace wring::fuzz
