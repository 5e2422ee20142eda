// SPDX-License-Identifier: GPL-2.0
// Decoder: from bytes to the sections of a Module; private to decode.cc and segments.cc.
//
// Checks everything outside function bodies. What violates the format ends decoding at once; what is
// merely invalid is recorded in invalid_ and reported only if the rest of the module is well-formed, because
// the spec's malformed comes before its invalid. Bodies are left to validate.h.
#pragma once

#include "core/base/vector.h"
#include "core/wasm/instr.h"
#include "core/wasm/module.h"
#include "core/wasm/reader.h"

namespace wring {

class Decoder {
 public:
  Decoder(Module* module, Diag* diag);
  // On kOk everything of *module but function bodies is decoded and valid.
  Err run();
  bool has_data_count() const { return has_data_count_; }

 private:
  // decode.cc
  Err read_sections();
  Err read_section(u8 id, Reader* r);
  Err read_custom(Reader* r);
  Err read_types(Reader* r);
  Err read_imports(Reader* r);
  Err read_functions(Reader* r);
  Err read_tables(Reader* r);
  Err read_memories(Reader* r);
  Err read_globals(Reader* r);
  Err read_exports(Reader* r);
  Err read_start(Reader* r);
  Err read_data_count(Reader* r);
  Err read_code(Reader* r);
  Err read_func_type(Reader* r, FuncType* out);
  Err read_limits(Reader* r, Limits* out);
  Err read_table_type(Reader* r, TableType* out);
  Err read_memory_type(Reader* r, MemoryType* out);
  Err read_global_type(Reader* r, GlobalType* out);
  Err read_type_index(Reader* r, u32* out);
  Err read_count(Reader* r, u64 present, u32 limit, const char* what, u32* out);
  Err finish();
  Err index_exports();

  // segments.cc
  Err read_elements(Reader* r);
  Err read_element(Reader* r, ElementSegment* out);
  Err read_element_list(Reader* r, bool expressions, ElementSegment* out);
  Err read_datas(Reader* r);
  // A constant expression with a result of type `type`.
  Err read_const_expr(Reader* r, ValType type, Range* out);
  ValType check_const_instr(const Instr& in);
  // Marks a function as referenced, after checking its index.
  void reference_function(u32 function, u32 offset);

  u32 space_size(ExternKind kind) const;
  // Records a violation of chapter 3 at a byte offset; decoding goes on.
  void invalid(u32 offset, const char* fmt, ...) __attribute__((format(printf, 3, 4)));

  Module* m_;
  Diag* diag_;
  Vec<Function> functions_;
  Vec<Table> tables_;
  Vec<Memory> memories_;
  Vec<Global> globals_;
  Vec<CustomSection> customs_;
  u32 bodies_ = 0;
  u32 data_count_ = 0;
  bool has_data_count_ = false;
  Diag invalid_;
};

}  // namespace wring
