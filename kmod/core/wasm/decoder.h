// SPDX-License-Identifier: GPL-2.0
// Decoder: from bytes to the sections of a Module; private to decode.cc and the files it names.
//
// Checks everything outside function bodies. What violates the format ends decoding at once; what is
// merely invalid is recorded in invalid_ and reported only if the rest of the module is well-formed, because
// the spec's malformed comes before its invalid. Bodies are left to validate.h.
#pragma once

#include "core/base/vector.h"
#include "core/wasm/instr.h"
#include "core/wasm/module.h"
#include "core/wasm/reader.h"
#include "core/wasm/unsupported.h"

namespace wring {

class Decoder {
 public:
  Decoder(Module* module, Features features, Diag* diag);
  // On kOk everything of *module but function bodies is decoded and valid.
  Err run();
  bool has_data_count() const { return has_data_count_; }

 private:
  // decode.cc: the section loop, and sections about bytes
  Err read_sections();
  Err read_section(u8 id, Reader* r);
  Err read_custom(Reader* r);
  Err read_data_count(Reader* r);
  Err read_code(Reader* r);
  Err finish();
  Err index_exports();
  Err read_count(Reader* r, u64 present, u32 limit, const char* what, u32* out);

  // type_section.cc: function types and the types of other things
  Err read_types(Reader* r);
  Err read_group(Reader* r);
  Err read_sub_type(Reader* r);
  Err read_func_type(Reader* r);
  Err read_type_list(Reader* r, u32 limit, const char* what, Span<const ValType>* out);
  Err read_val_type(Reader* r, ValType* out);
  Err read_ref_type(Reader* r, ValType* out);
  Err read_type_index(Reader* r, u32* out);
  Err read_bound(Reader* r, u64* out);
  Err read_limits(Reader* r, bool may_be_shared, Limits* out, bool* is_shared);
  Err read_table_type(Reader* r, TableType* out);
  Err read_memory_type(Reader* r, MemoryType* out);
  Err read_global_type(Reader* r, GlobalType* out);
  Err read_tag_type(Reader* r, Tag* out);
  void check_type(u32 offset, ValType type);

  // entities.cc: imports, definitions, exports
  Err read_imports(Reader* r);
  Err read_import(Reader* r, Import* out);
  Err read_functions(Reader* r);
  Err read_tables(Reader* r);
  Err read_table(Reader* r, Table* out);
  Err read_memories(Reader* r);
  Err read_tags(Reader* r);
  Err read_globals(Reader* r);
  Err read_exports(Reader* r);
  Err read_start(Reader* r);
  // Adds to an index space, unless it is full.
  Err add_table(u32 offset, const Table& table);
  Err add_memory(u32 offset, const Memory& memory);

  // segments.cc
  Err read_elements(Reader* r);
  Err read_element(Reader* r, ElementSegment* out);
  Err read_element_list(Reader* r, bool expressions, ElementSegment* out);
  Err read_datas(Reader* r);

  // const_expr.cc
  // A constant expression with a result of type `type`.
  Err read_const_expr(Reader* r, ValType type, Range* out);
  Err check_const_instr(const Instr& in);
  Err push_const(u32 offset, ValType type);
  void combine_consts(const Instr& in);
  ValType const_global_type(const Instr& in);
  // Marks a function as referenced, after checking its index.
  void reference_function(u32 function, u32 offset);

  u32 space_size(ExternKind kind) const;
  bool is_subtype(ValType a, ValType b) const;
  ExternKind last_kind() const { return features_.wasm3 ? ExternKind::kTag : ExternKind::kGlobal; }
  // Records a violation of chapter 3 at a byte offset; decoding goes on.
  void invalid(u32 offset, const char* fmt, ...) __attribute__((format(printf, 3, 4)));
  Err unsupported_type(u32 offset, u8 form) {
    return fail_unsupported(diag_, kNone, offset, proposal_of_type_form(form), "type form", form);
  }

  Module* m_;
  const Features features_;
  Diag* diag_;
  Vec<FuncType> types_;
  Vec<u32> groups_;  // by type index: the first type of its recursion group
  Vec<Function> functions_;
  Vec<Table> tables_;
  Vec<Memory> memories_;
  Vec<Global> globals_;
  Vec<Tag> tags_;
  Vec<CustomSection> customs_;
  Vec<ValType> const_stack_;  // of the constant expression being read
  u32 known_types_ = 0;       // type indices below are in scope
  u32 bodies_ = 0;
  u32 data_count_ = 0;
  bool has_data_count_ = false;
  Diag* invalid_ = nullptr;  // the first violation of chapter 3; in the arena: it is large
};

}  // namespace wring
