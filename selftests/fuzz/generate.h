// SPDX-License-Identifier: GPL-2.0
// Random Wasm modules for differential tests: integers only, valid by construction, without imports, deterministic,
// and terminating in any engine: loops count down, and functions consume a budget kept in a global.
//
// Every function is exported as "f<index>:<params>:<results>", one letter a value (i = i32, l = i64), so that a caller
// that cannot see types knows what to pass; memory and globals are exported too.
#pragma once

#include <string>
#include <vector>

#include "selftests/core/ir/module_writer.h"
#include "selftests/fuzz/choices.h"

namespace wring::test {

struct Signature {
  std::string params, results;
  bool operator==(const Signature&) const = default;
};

// What the bodies of a module may refer to.
struct ModuleShape {
  struct Global {
    char type;
    bool is_mutable;
  };
  struct DataSegment {
    u32 bytes;
    bool is_passive;
  };
  struct ElementSegment {
    u32 entries;
    bool is_passive;
  };
  std::vector<Signature> types;  // the type section
  std::vector<u32> functions;    // type indices
  std::vector<Global>
      globals;  // the first one is the budget: i32, changed by function entries only
  bool has_memory = false;
  u32 memory_bytes = 0;
  u32 tables = 0;
  u32 table_size = 0;  // entry i of table 0 is mostly function i % functions.size()
  std::vector<DataSegment> data;
  std::vector<ElementSegment> elements;

  const Signature& signature(u32 func) const { return types[functions[func]]; }
};

// Module bytes.
Body generate_module(Choices* choices);

// One function's code entry: local declarations and instructions, with the final end.
Body generate_function(Choices* choices, const ModuleShape& shape, u32 func);

}  // namespace wring::test
