// SPDX-License-Identifier: GPL-2.0
// Random Wasm modules for differential tests: valid by construction, deterministic, and terminating in any engine:
// loops count down, and functions consume a budget kept in a global. NaNs whose bits an engine may choose become
// canonical before anything can tell them apart, except that results and globals of float types may be any NaN.
//
// Every function is exported as "f<index>:<params>:<results>", one letter a value (i = i32, l = i64, f = f32, d = f64,
// v = v128), so that a caller that cannot see types knows what to pass; memories, globals, tables and tags are exported
// too. One that makes a long chain of tail calls is "t<index>:...": its stack must suffice. Imports, if there are any,
// are all of one other module, by the names of its exports.
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
  bool big_functions = true;
};

struct Signature {
  std::string params, results;
  bool operator==(const Signature&) const = default;
};

enum class FunctionKind : u8 {
  kImported,
  kOrdinary,
  kLeaf,  // calls nothing of this module and does not pay: mostly small enough to be copied into its callers
  kNeverReturns,  // a leaf that ends in a trap or an exception
  kEndless,       // a loop without end; only called where control never comes
  kChain,         // calls the next link by a tail call until its first parameter is 0
  kChainStart,
  kBig,
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
  std::vector<Signature> types;     // the type section
  std::vector<u32> functions;       // type indices
  std::vector<FunctionKind> kinds;  // of the functions
  std::vector<u32> callable;        // functions that ordinary ones may call or take references of
  std::vector<Global>
      globals;  // the first one is the budget: i32, changed by function entries only
  bool has_memory = false;
  u32 memory_bytes = 0;         // of each
  std::vector<bool> memory_64;  // by memory: indices are i64
  std::vector<u32> memory_max;  // by memory: pages
  std::vector<u32> tags;        // type indices
  GenerateOptions uses;         // what this module makes use of
  std::string alphabet;         // types of values, each as often as it is to be drawn
  u32 tables = 0;
  u32 table_size =
      0;  // what ordinary code addresses; all have room for two links of chains after it
  std::vector<u32> table_max;  // by table
  // Entry i of table 0 is mostly a function of the type columns[i % columns.size()].
  std::vector<u32> columns;
  // Two signatures with the same results that links of chains of tail calls have: type indices, and what has them.
  std::vector<u32> chain_types;
  std::vector<u32> links[2];
  std::vector<DataSegment> data;
  std::vector<ElementSegment> elements;
  // The first so many of each are imports.
  u32 imported_functions = 0, imported_globals = 0, imported_memories = 0, imported_tables = 0,
      imported_tags = 0;

  const Signature& signature(u32 func) const { return types[functions[func]]; }
};

// Module bytes, without imports.
Body generate_module(Choices* choices, const GenerateOptions& options = {});
// The same, or a module that imports from another one, which is instantiated before it.
struct ModulePair {
  Body module;
  Body exporter;  // empty: there are no imports
};
ModulePair generate_modules(Choices* choices, const GenerateOptions& options = {});
// What a fuzzer's input stands for: it is a module if it is empty or begins as one, else it chooses one, without big
// functions, which may have imports.
Body module_of_input(const uint8_t* data, size_t size);

// One function's code entry: local declarations and instructions, with the final end.
Body generate_function(Choices* choices, const ModuleShape& shape, u32 func);

}  // namespace wring::test
