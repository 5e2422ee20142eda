// SPDX-License-Identifier: GPL-2.0
// decode: a module from its bytes, section by section (spec, section 5.5).
#include "core/base/new.h"
#include "core/base/sort.h"
#include "core/wasm/decoder.h"
#include "core/wasm/names.h"
#include "core/wasm/validate.h"

namespace wring {

namespace {

enum SectionId : u8 {
  kCustomSection,
  kTypeSection,
  kImportSection,
  kFunctionSection,
  kTableSection,
  kMemorySection,
  kGlobalSection,
  kExportSection,
  kStartSection,
  kElementSection,
  kCodeSection,
  kDataSection,
  kDataCountSection,
  kSectionCount,
};

// The place of each section id in a module; the data count precedes the code it serves.
constexpr u8 kSectionOrder[kSectionCount] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 10};

}  // namespace

Decoder::Decoder(Module* module, Diag* diag)
    : m_(module),
      diag_(diag),
      functions_(&module->arena),
      tables_(&module->arena),
      memories_(&module->arena),
      globals_(&module->arena),
      customs_(&module->arena) {}

void Decoder::invalid(u32 offset, const char* fmt, ...) {
  __builtin_va_list args;
  __builtin_va_start(args, fmt);
  static_cast<void>(invalid_.vfail(Err::kInvalid, kNone, offset, fmt, args));
  __builtin_va_end(args);
}

u32 Decoder::space_size(ExternKind kind) const {
  switch (kind) {
    case ExternKind::kFunc: return functions_.size();
    case ExternKind::kTable: return tables_.size();
    case ExternKind::kMemory: return memories_.size();
    case ExternKind::kGlobal: return globals_.size();
  }
  WRING_UNREACHABLE();
}

// The length of a vector. Each element takes a byte or more, so the length never exceeds what is left; `present`
// elements exist already and count against the limit.
Err Decoder::read_count(Reader* r, u64 present, u32 limit, const char* what, u32* out) {
  const u32 start = r->offset();
  TRY(r->read_u32(out));
  if (*out > r->remaining()) return r->unexpected_end();
  if (present + *out > limit)
    return diag_->fail(Err::kLimit, kNone, start, "too many %s: %llu, the limit is %u", what,
                       static_cast<unsigned long long>(present + *out), limit);
  return Err::kOk;
}

Err Decoder::run() {
  TRY(read_sections());
  return finish();
}

Err Decoder::read_sections() {
  Reader r(m_->bytes, 0, m_->bytes.size(), kNone, diag_);
  Bytes magic, version;
  TRY(r.read_bytes(4, &magic));
  if (__builtin_memcmp(magic.data(), "\0asm", 4))
    return r.malformed(0, "magic header not detected");
  TRY(r.read_bytes(4, &version));
  if (__builtin_memcmp(version.data(), "\1\0\0\0", 4))
    return r.malformed(4, "unknown binary version");

  u8 last = 0;  // in kSectionOrder
  while (!r.at_end()) {
    const u32 start = r.offset();
    u8 id = 0;
    TRY(r.read_u8(&id));
    if (id >= kSectionCount)
      return diag_->fail(Err::kMalformed, kNone, start, "malformed section id %u", id);
    u32 size = 0;
    TRY(r.read_u32(&size));
    if (size > r.remaining()) return r.malformed(start, "length out of bounds");
    if (id != kCustomSection) {
      if (kSectionOrder[id] <= last)
        return r.malformed(start, "unexpected content after last section");
      last = kSectionOrder[id];
    }
    Reader section(m_->bytes, r.offset(), r.offset() + size, kNone, diag_);
    TRY(read_section(id, &section));
    if (!section.at_end()) return r.malformed(section.offset(), "section size mismatch");
    TRY(r.skip(size));
  }
  return Err::kOk;
}

Err Decoder::read_section(u8 id, Reader* r) {
  switch (id) {
    case kCustomSection: return read_custom(r);
    case kTypeSection: return read_types(r);
    case kImportSection: return read_imports(r);
    case kFunctionSection: return read_functions(r);
    case kTableSection: return read_tables(r);
    case kMemorySection: return read_memories(r);
    case kGlobalSection: return read_globals(r);
    case kExportSection: return read_exports(r);
    case kStartSection: return read_start(r);
    case kElementSection: return read_elements(r);
    case kCodeSection: return read_code(r);
    case kDataSection: return read_datas(r);
    case kDataCountSection: return read_data_count(r);
  }
  WRING_UNREACHABLE();
}

Err Decoder::read_custom(Reader* r) {
  const u32 start = r->offset();
  CustomSection custom;
  TRY(r->read_name(&custom.name));
  TRY(r->read_bytes(r->remaining(), &custom.payload));
  if (customs_.size() == kMaxCustomSections)
    return diag_->fail(Err::kLimit, kNone, start, "too many custom sections, the limit is %u",
                       kMaxCustomSections);
  return customs_.push(custom) ? Err::kOk : diag_->no_memory();
}

Err Decoder::read_types(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, 0, kMaxTypes, "types", &count));
  Span<FuncType> types = m_->arena.make_array<FuncType>(count);
  if (types.size() != count) return diag_->no_memory();
  for (FuncType& type : types) TRY(read_func_type(r, &type));
  m_->types = types;
  return Err::kOk;
}

Err Decoder::read_func_type(Reader* r, FuncType* out) {
  const u32 start = r->offset();
  u8 form = 0;
  TRY(r->read_u8(&form));
  // The form is a one-byte s7: a continuation bit makes it too long.
  if (form & 0x80) return r->malformed(start, "integer representation too long");
  if (form != 0x60) return r->malformed(start, "malformed function type");
  // Value types are bytes equal to their enumerators, so the lists are views of the module.
  const auto read_list = [&](u32 limit, const char* what, Span<const ValType>* list) {
    u32 count = 0;
    TRY(read_count(r, 0, limit, what, &count));
    const u32 first = r->offset();
    ValType type;
    for (u32 i = 0; i < count; i++) TRY(r->read_val_type(&type));
    *list = {reinterpret_cast<const ValType*>(m_->bytes.data() + first), count};
    return Err::kOk;
  };
  TRY(read_list(kMaxParams, "parameters", &out->params));
  return read_list(kMaxResults, "results", &out->results);
}

Err Decoder::read_type_index(Reader* r, u32* out) {
  const u32 start = r->offset();
  TRY(r->read_u32(out));
  if (*out >= m_->types.size()) invalid(start, "unknown type %u", *out);
  return Err::kOk;
}

Err Decoder::read_limits(Reader* r, Limits* out) {
  const u32 start = r->offset();
  u8 flags = 0;
  TRY(r->read_u8(&flags));
  // The flags are a one-bit integer.
  if (flags & 0x80) return r->malformed(start, "integer representation too long");
  if (flags > 1) return r->malformed(start, "integer too large");
  u32 bound = 0;
  TRY(r->read_u32(&bound));
  out->min = bound;
  out->has_max = flags & 1;
  if (out->has_max) {
    TRY(r->read_u32(&bound));
    out->max = bound;
  }
  return Err::kOk;
}

Err Decoder::read_table_type(Reader* r, TableType* out) {
  const u32 start = r->offset();
  TRY(r->read_ref_type(&out->elem));
  TRY(read_limits(r, &out->limits));
  if (out->limits.has_max && out->limits.min > out->limits.max)
    invalid(start, "size minimum must not be greater than maximum");
  return Err::kOk;
}

Err Decoder::read_memory_type(Reader* r, MemoryType* out) {
  const u32 start = r->offset();
  TRY(read_limits(r, &out->limits));
  const Limits& limits = out->limits;
  if (limits.min > kMaxMemoryPages || (limits.has_max && limits.max > kMaxMemoryPages))
    invalid(start, "memory size must be at most 65536 pages (4GiB)");
  if (limits.has_max && limits.min > limits.max)
    invalid(start, "size minimum must not be greater than maximum");
  return Err::kOk;
}

Err Decoder::read_global_type(Reader* r, GlobalType* out) {
  TRY(r->read_val_type(&out->type));
  u8 mutability = 0;
  TRY(r->read_u8(&mutability));
  if (mutability > 1) return r->malformed(r->offset() - 1, "malformed mutability");
  out->is_mutable = mutability == 1;
  return Err::kOk;
}

Err Decoder::read_imports(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, 0, kMaxImports, "imports", &count));
  Span<Import> imports = m_->arena.make_array<Import>(count);
  if (imports.size() != count) return diag_->no_memory();
  for (Import& import : imports) {
    import.offset = r->offset();
    TRY(r->read_name(&import.module));
    TRY(r->read_name(&import.name));
    u8 kind = 0;
    TRY(r->read_u8(&kind));
    if (kind > static_cast<u8>(ExternKind::kGlobal))
      return r->malformed(r->offset() - 1, "malformed import kind");
    import.kind = static_cast<ExternKind>(kind);
    import.index = space_size(import.kind);
    bool pushed = true;
    switch (import.kind) {
      case ExternKind::kFunc: {
        Function function{};
        TRY(read_type_index(r, &function.type));
        pushed = functions_.push(function);
        break;
      }
      case ExternKind::kTable: {
        Table table;
        TRY(read_table_type(r, &table.type));
        if (tables_.size() == kMaxTables)
          return diag_->fail(Err::kLimit, kNone, import.offset, "too many tables, the limit is %u",
                             kMaxTables);
        pushed = tables_.push(table);
        break;
      }
      case ExternKind::kMemory: {
        Memory memory;
        TRY(read_memory_type(r, &memory.type));
        if (memories_.size() == kMaxMemories)
          invalid(import.offset, "multiple memories");
        else
          pushed = memories_.push(memory);
        break;
      }
      case ExternKind::kGlobal: {
        Global global;
        TRY(read_global_type(r, &global.type));
        pushed = globals_.push(global);
        break;
      }
    }
    if (!pushed) return diag_->no_memory();
  }
  m_->imports = imports;
  m_->imported_functions = functions_.size();
  m_->imported_tables = tables_.size();
  m_->imported_memories = memories_.size();
  m_->imported_globals = globals_.size();
  return Err::kOk;
}

Err Decoder::read_functions(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, functions_.size(), kMaxFunctions, "functions", &count));
  if (!functions_.reserve(usize{functions_.size()} + count)) return diag_->no_memory();
  for (u32 i = 0; i < count; i++) {
    Function function{};
    TRY(read_type_index(r, &function.type));
    if (!functions_.push(function)) return diag_->no_memory();
  }
  return Err::kOk;
}

Err Decoder::read_tables(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, tables_.size(), kMaxTables, "tables", &count));
  for (u32 i = 0; i < count; i++) {
    const u32 start = r->offset();
    Table table;
    TRY(read_table_type(r, &table.type));
    const Limits& limits = table.type.limits;
    const bool ordered = !limits.has_max || limits.min <= limits.max;  // else it is invalid
    if (ordered && limits.min > kMaxTableEntries)
      return diag_->fail(Err::kLimit, kNone, start, "table has %llu entries, the limit is %u",
                         static_cast<unsigned long long>(limits.min), kMaxTableEntries);
    if (!tables_.push(table)) return diag_->no_memory();
  }
  return Err::kOk;
}

Err Decoder::read_memories(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, 0, kNone, "memories", &count));  // more than one are invalid, not too many
  for (u32 i = 0; i < count; i++) {
    const u32 start = r->offset();
    Memory memory;
    TRY(read_memory_type(r, &memory.type));
    if (memories_.size() == kMaxMemories)
      invalid(start, "multiple memories");
    else if (!memories_.push(memory))
      return diag_->no_memory();
  }
  return Err::kOk;
}

Err Decoder::read_globals(Reader* r) {
  u32 count = 0;
  TRY(read_count(r, globals_.size(), kMaxGlobals, "globals", &count));
  if (!globals_.reserve(usize{globals_.size()} + count)) return diag_->no_memory();
  for (u32 i = 0; i < count; i++) {
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
  for (Export& export_ : exports) {
    TRY(r->read_name(&export_.name));
    u8 kind = 0;
    TRY(r->read_u8(&kind));
    if (kind > static_cast<u8>(ExternKind::kGlobal))
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

Err Decoder::read_data_count(Reader* r) {
  has_data_count_ = true;
  return r->read_u32(&data_count_);
}

Err Decoder::read_code(Reader* r) {
  const u32 start = r->offset();
  TRY(r->read_u32(&bodies_));
  if (bodies_ != functions_.size() - m_->imported_functions)
    return r->malformed(start, "function and code section have inconsistent lengths");
  for (u32 i = 0; i < bodies_; i++) {
    const u32 entry = r->offset();
    const u32 index = m_->imported_functions + i;
    u32 size = 0;
    TRY(r->read_u32(&size));
    const u32 begin = r->offset();
    TRY(r->skip(size));
    if (size > kMaxFunctionBytes)
      return diag_->fail(Err::kLimit, index, entry, "function body of %u bytes, the limit is %u",
                         size, kMaxFunctionBytes);
    functions_[index].body = {begin, begin + size};
  }
  return Err::kOk;
}

Err Decoder::finish() {
  const u32 end = m_->bytes.size();
  if (bodies_ != functions_.size() - m_->imported_functions)
    return diag_->fail(Err::kMalformed, kNone, end,
                       "function and code section have inconsistent lengths");
  if (has_data_count_ && data_count_ != m_->datas.size())
    return diag_->fail(Err::kMalformed, kNone, end,
                       "data count and data section have inconsistent lengths");
  m_->functions = functions_.span();
  m_->tables = tables_.span();
  m_->memories = memories_.span();
  m_->globals = globals_.span();
  m_->customs = customs_.span();
  TRY(index_exports());
  if (invalid_.code != Err::kOk) {
    *diag_ = invalid_;
    return diag_->code;
  }
  return Err::kOk;
}

Err Decoder::index_exports() {
  Span<const Export> exports = m_->exports;
  Span<u32> order = m_->arena.make_array<u32>(exports.size());
  if (order.size() != exports.size()) return diag_->no_memory();
  bool any_function = false;
  for (u32 i = 0; i < exports.size(); i++) {
    order[i] = i;
    any_function |= exports[i].kind == ExternKind::kFunc;
  }
  sort_by(order, [&](u32 i) { return ExportKey{exports[i].name, i}; });
  m_->exports_by_name = order;

  u32 duplicate = kNone;
  for (u32 i = 1; i < order.size(); i++)
    if (order[i] < duplicate && equal(exports[order[i]].name, exports[order[i - 1]].name))
      duplicate = order[i];
  if (duplicate != kNone) {
    const Bytes name = exports[duplicate].name;
    // Names are views of the module's bytes.
    const u32 offset = static_cast<u32>(name.data() - m_->bytes.data());
    invalid(offset, "duplicate export name \"%.*s\"", static_cast<int>(min(name.size(), 64u)),
            reinterpret_cast<const char*>(name.data()));
  }

  if (!any_function) return Err::kOk;
  Span<u32> first = m_->arena.make_array<u32>(functions_.size());
  if (first.size() != functions_.size()) return diag_->no_memory();
  for (u32& f : first) f = kNone;
  for (u32 i = exports.size(); i-- > 0;)
    if (exports[i].kind == ExternKind::kFunc && exports[i].index < first.size())
      first[exports[i].index] = i;
  m_->function_exports = first;
  return Err::kOk;
}

namespace {

Err decode_into(Bytes input, usize max_bytes, Module* m, Diag* diag) {
  Span<u8> copy = m->arena.make_array<u8>(input.size());
  if (copy.size() != input.size()) return diag->no_memory();
  if (!input.empty()) __builtin_memcpy(copy.data(), input.data(), input.size());
  m->bytes = copy;

  Decoder decoder(m, diag);
  TRY(decoder.run());
  if (!read_function_names(m)) return diag->no_memory();
  Arena scratch(max_bytes - min(max_bytes, m->arena.bytes_used()));
  return validate_bodies(*m, decoder.has_data_count(), &scratch, diag);
}

}  // namespace

Err decode(Bytes input, const Features&, usize max_bytes, Module** out, Diag* diag) {
  *out = nullptr;
  if (input.size() > kMaxModuleBytes)
    return diag->fail(Err::kLimit, kNone, kNone, "module of %u bytes, the limit is %u",
                      input.size(), kMaxModuleBytes);
  Module* m = make_object<Module>(max_bytes);
  if (!m) return diag->no_memory();
  const Err err = decode_into(input, max_bytes, m, diag);
  if (err != Err::kOk) {
    module_free(m);
    return err;
  }
  *out = m;
  return Err::kOk;
}

}  // namespace wring
