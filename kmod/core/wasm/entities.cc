// SPDX-License-Identifier: GPL-2.0
// Decoder, continued: imports, the definitions of functions, tables, memories, tags and globals, and exports.
#include "core/wasm/decoder.h"

namespace wring {

Err Decoder::add_table(u32 offset, const Table& table) {
  if (tables_.size() == kMaxTables)
    return diag_->fail(Err::kLimit, kNone, offset, "too many tables, the limit is %u", kMaxTables);
  return tables_.push(table) ? Err::kOk : diag_->no_memory();
}

Err Decoder::add_memory(u32 offset, const Memory& memory) {
  if (!features_.wasm3 && !memories_.empty()) {
    invalid(offset, "multiple memories");
    return Err::kOk;
  }
  if (memories_.size() == kMaxMemories)
    return diag_->fail(Err::kLimit, kNone, offset, "too many memories, the limit is %u",
                       kMaxMemories);
  return memories_.push(memory) ? Err::kOk : diag_->no_memory();
}

Err Decoder::read_imports(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, 0, kMaxImports, "imports", &count));
  Span<Import> imports = m_->arena.make_array<Import>(count);
  if (imports.size() != count) return diag_->no_memory();
  for (Import& import : paced(imports)) TRY(read_import(r, &import));
  m_->imports = imports;
  m_->imported_functions = functions_.size();
  m_->imported_tables = tables_.size();
  m_->imported_memories = memories_.size();
  m_->imported_globals = globals_.size();
  m_->imported_tags = tags_.size();
  return Err::kOk;
}

Err Decoder::read_import(Reader* r, Import* out) {
  out->offset = r->offset();
  TRY(r->read_name(&out->module));
  TRY(r->read_name(&out->name));
  u8 kind = 0;
  TRY(r->read_u8(&kind));
  if (kind > static_cast<u8>(last_kind()))
    return r->malformed(r->offset() - 1, "malformed import kind");
  out->kind = static_cast<ExternKind>(kind);
  out->index = space_size(out->kind);
  switch (out->kind) {
    case ExternKind::kFunc: {
      Function function{};
      TRY(read_type_index(r, &function.type));
      return functions_.push(function) ? Err::kOk : diag_->no_memory();
    }
    case ExternKind::kTable: {
      Table table;
      TRY(read_table_type(r, &table.type));
      return add_table(out->offset, table);
    }
    case ExternKind::kMemory: {
      Memory memory;
      TRY(read_memory_type(r, &memory.type));
      return add_memory(out->offset, memory);
    }
    case ExternKind::kGlobal: {
      Global global;
      TRY(read_global_type(r, &global.type));
      return globals_.push(global) ? Err::kOk : diag_->no_memory();
    }
    case ExternKind::kTag: {
      Tag tag;
      TRY(read_tag_type(r, &tag));
      return tags_.push(tag) ? Err::kOk : diag_->no_memory();
    }
  }
  WRING_UNREACHABLE();
}

Err Decoder::read_functions(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, functions_.size(), kMaxFunctions, "functions", &count));
  if (!functions_.reserve(usize{functions_.size()} + count)) return diag_->no_memory();
  for (u32 i = 0; i < count; i++, tick()) {
    Function function{};
    TRY(read_type_index(r, &function.type));
    if (!functions_.push(function)) return diag_->no_memory();
  }
  return Err::kOk;
}

Err Decoder::read_tables(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, tables_.size(), kMaxTables, "tables", &count));
  for (u32 i = 0; i < count; i++, tick()) {
    const u32 start = r->offset();
    Table table;
    TRY(read_table(r, &table));
    TRY(add_table(start, table));
  }
  return Err::kOk;
}

// A table type, or 0x40 0x00, a table type and the value of the elements.
Err Decoder::read_table(Reader* r, Table* out) {
  const u32 start = r->offset();
  u8 form = 0;
  TRY(r->read_u8(&form));
  const bool has_init = features_.wasm3 && form == 0x40;
  if (has_init) {
    TRY(r->read_u8(&form));
    if (form != 0) return r->malformed(r->offset() - 1, "zero byte expected");
  } else {
    r->rewind(start);
  }
  TRY(read_table_type(r, &out->type));
  if (has_init) return read_const_expr(r, out->type.elem, &out->init);
  if (!is_nullable(out->type.elem))
    invalid(start, "type mismatch: a table of %s needs an initial value", name_of(out->type.elem));
  return Err::kOk;
}

Err Decoder::read_memories(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, 0, kNone, "memories",
                 &count));  // in 2.0 more than one are invalid, not too many
  for (u32 i = 0; i < count; i++, tick()) {
    const u32 start = r->offset();
    Memory memory;
    TRY(read_memory_type(r, &memory.type));
    TRY(add_memory(start, memory));
  }
  return Err::kOk;
}

Err Decoder::read_tags(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, tags_.size(), kMaxTags, "tags", &count));
  if (!tags_.reserve(usize{tags_.size()} + count)) return diag_->no_memory();
  for (u32 i = 0; i < count; i++, tick()) {
    Tag tag;
    TRY(read_tag_type(r, &tag));
    if (!tags_.push(tag)) return diag_->no_memory();
  }
  return Err::kOk;
}

Err Decoder::read_globals(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, globals_.size(), kMaxGlobals, "globals", &count));
  if (!globals_.reserve(usize{globals_.size()} + count)) return diag_->no_memory();
  for (u32 i = 0; i < count; i++, tick()) {
    Global global;
    TRY(read_global_type(r, &global.type));
    TRY(read_const_expr(r, global.type.type, &global.init));
    if (!globals_.push(global)) return diag_->no_memory();
  }
  return Err::kOk;
}

Err Decoder::read_exports(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, 0, kMaxExports, "exports", &count));
  Span<Export> exports = m_->arena.make_array<Export>(count);
  if (exports.size() != count) return diag_->no_memory();
  for (Export& export_ : paced(exports)) {
    TRY(r->read_name(&export_.name));
    u8 kind = 0;
    TRY(r->read_u8(&kind));
    if (kind > static_cast<u8>(last_kind()))
      return r->malformed(r->offset() - 1, "malformed export kind");
    export_.kind = static_cast<ExternKind>(kind);
    const u32 start = r->offset();
    TRY(r->read_u32(&export_.index));
    if (export_.kind == ExternKind::kFunc)
      reference_function(export_.index, start);
    else if (export_.index >= space_size(export_.kind))
      invalid(start, "unknown %s %u", name_of(export_.kind), export_.index);
  }
  m_->exports = exports;
  return Err::kOk;
}

Err Decoder::read_start(Reader* r) {
  const u32 start = r->offset();
  TRY(r->read_u32(&m_->start));
  if (m_->start >= functions_.size()) {
    invalid(start, "unknown function %u", m_->start);
    return Err::kOk;
  }
  const u32 index = functions_[m_->start].type;
  if (index >= m_->types.size()) return Err::kOk;  // recorded where the index was read
  const FuncType& type = m_->types[index];
  if (!type.params.empty() || !type.results.empty())
    invalid(start, "start function %u must have neither parameters nor results", m_->start);
  return Err::kOk;
}

}  // namespace wring
