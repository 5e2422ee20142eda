// SPDX-License-Identifier: GPL-2.0
// Random Wasm modules for differential tests: valid by construction, without imports, deterministic, and terminating in
// any engine: loops count down, and functions consume a budget kept in a global. NaNs whose bits an engine may choose
// become canonical before anything can tell them apart, except that results and globals of float types may be any NaN.
//
// Every function is exported as "f<index>:<params>:<results>", one letter a value (i = i32, l = i64, f = f32, d = f64,
// v = v128), so that a caller that cannot see types knows what to pass; memories and globals are exported too.
#pragma once

#include <string>
#include <vector>

#include "selftests/core/ir/module_writer.h"
#include "selftests/fuzz/choices.h"

namespace wring::test {

// What modules may contain beside integers, one memory and tables of functions.
struct GenerateOptions {
  bool floats = true;
  bool simd = true;
  bool relaxed_simd = true;
  bool references = true;
  bool tail_calls = true;
  bool atomics = true;
  bool memory64 = true;
  bool multi_memory = true;
  bool call_ref = true;
  bool exceptions = true;
};

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
  u32 memory_bytes = 0;         // of each
  std::vector<bool> memory_64;  // by memory: indices are i64
  std::vector<u32> tags;        // type indices
  GenerateOptions uses;         // what this module makes use of
  std::string alphabet;         // types of values, each as often as it is to be drawn
  u32 tables = 0;
  u32 table_size = 0;  // entry i of table 0 is mostly function i % functions.size()
  std::vector<DataSegment> data;
  std::vector<ElementSegment> elements;

  const Signature& signature(u32 func) const { return types[functions[func]]; }
};

// Module bytes.
Body generate_module(Choices* choices, const GenerateOptions& options = {});
// What a fuzzer's input stands for: it is a module if it is empty or begins as one, else it chooses one.
Body module_of_input(const uint8_t* data, size_t size);

// One function's code entry: local declarations and instructions, with the final end.
Body generate_function(Choices* choices, const ModuleShape& shape, u32 func);

}  // namespace wring::test
