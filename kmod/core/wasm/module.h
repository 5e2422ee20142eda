// SPDX-License-Identifier: GPL-2.0
// Module: a decoded and validated Wasm module (spec, section 2.5), the product of decode.cc and validate.cc.
//
// Everything lives in the module's arena; names, bodies and segments are views of `bytes`, a copy the module
// owns. A Module is immutable once decode() has returned it and may be shared between threads.
#pragma once

#include "core/base/arena.h"
#include "core/base/limits.h"
#include "core/base/result.h"
#include "core/wasm/types.h"

namespace wring {

// A range of Module::bytes.
struct Range {
  u32 begin = 0;
  u32 end = 0;
  u32 size() const { return end - begin; }
};

struct Import {
  Bytes module;
  Bytes name;
  ExternKind kind;
  u32 index;   // in the index space of `kind`
  u32 offset;  // where in the module, for error messages
};

struct Export {
  Bytes name;
  ExternKind kind;
  u32 index;  // in the index space of `kind`
};

// Imported functions come first in the index space; so do imported tables, memories and globals.
struct Function {
  u32 type;    // index into Module::types
  Range body;  // from the local declarations to the final `end`, inclusive; empty if imported
  bool address_taken;  // may be reached by call_indirect or as a reference: exported, in an element
                       // segment, or named by ref.func
};

struct Global {
  GlobalType type;
  Range init;  // constant expression, ending with `end`; empty if imported
};

struct Table {
  TableType type;
  Range init;  // constant expression for every element; empty: null
};

struct Memory {
  MemoryType type;
};

// An exception tag (3.0): its function type has no results.
struct Tag {
  u32 type;  // index into Module::types
};

enum class SegmentMode : u8 { kActive, kPassive, kDeclared };

struct ElementSegment {
  SegmentMode mode;
  ValType type;
  u32 table;     // if active
  Range offset;  // constant expression, if active
  // Exactly one of the two is non-empty, unless the segment is empty.
  Span<const u32> functions;      // function indices
  Span<const Range> expressions;  // constant expressions
  u32 size() const { return functions.empty() ? expressions.size() : functions.size(); }
};

struct DataSegment {
  SegmentMode mode;  // kActive or kPassive
  u32 memory;        // if active
  Range offset;      // constant expression, if active
  Range bytes;
};

// The order of Module::exports_by_name: by the name's length, then its bytes, then the place in the section.
struct ExportKey {
  Bytes name;
  u32 index;  // into Module::exports
};
bool operator<(const ExportKey& a, const ExportKey& b);

struct CustomSection {
  Bytes name;
  Bytes payload;
};

struct Module {
  explicit Module(usize max_bytes) : arena(max_bytes) {}

  Arena arena;
  Bytes bytes;

  Span<const FuncType> types;
  // By type index. Type equality is iso-recursive (spec, section 3.2): types of a recursion group refer to each
  // other by their place in it. group_begin: first type of the group the type belongs to; canonical: the first
  // type of the module equal to it.
  Span<const u32> type_group_begin;
  Span<const u32> type_canonical;
  Span<const Import> imports;
  Span<const Function> functions;
  Span<const Table> tables;
  Span<const Memory> memories;
  Span<const Global> globals;
  Span<const Tag> tags;
  Span<const Export> exports;
  Span<const ElementSegment> elements;
  Span<const DataSegment> datas;
  Span<const CustomSection> customs;
  u32 start = kNone;  // function index
  u32 imported_functions = 0;
  u32 imported_tables = 0;
  u32 imported_memories = 0;
  u32 imported_globals = 0;
  u32 imported_tags = 0;

  // From the `name` section, or empty; one entry per function when not empty. Names are not trusted: any bytes.
  Span<const Bytes> function_names;

  // Lookup tables: indices into exports in the order of ExportKey, and for each function its first export or
  // kNone (empty if no function is exported).
  Span<const u32> exports_by_name;
  Span<const u32> function_exports;

  const FuncType& func_type(u32 function) const { return types[functions[function].type]; }
  const FuncType& tag_type(u32 tag) const { return types[tags[tag].type]; }
  bool is_imported_function(u32 function) const { return function < imported_functions; }
  // The export of that name, or nullptr. O(log exports).
  const Export* find_export(Bytes name) const;
  // The function's name for messages: name section, else an export's name, else empty.
  Bytes function_name(u32 function) const;
  // The function whose body holds the byte at `offset`, or `otherwise`. Code of one function that was inlined
  // into another is still the first one's by this measure. O(log functions).
  u32 function_at(u32 offset, u32 otherwise) const;
  // The first custom section of that name (NUL-terminated), or nullptr.
  const CustomSection* find_custom(const char* name) const;
};

// Decodes and fully validates `input`, copying it. On success *out owns everything and is freed with
// module_free(). max_bytes bounds the memory taken. May sleep.
Err decode(Bytes input, const Features& features, usize max_bytes, Module** out, Diag* diag);
void module_free(Module* module);

}  // namespace wring
