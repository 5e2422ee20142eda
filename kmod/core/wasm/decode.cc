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
  kTagSection,
  kSectionCount,
};

// The place of each section id in a module: tags follow memories, the data count precedes the code it serves.
constexpr u8 kSectionOrder[kSectionCount] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 11, 6};

}  // namespace

Decoder::Decoder(Module* module, Features features, Diag* diag)
    : m_(module),
      features_(features),
      diag_(diag),
      types_(&module->arena),
      groups_(&module->arena),
      functions_(&module->arena),
      tables_(&module->arena),
      memories_(&module->arena),
      globals_(&module->arena),
      tags_(&module->arena),
      customs_(&module->arena),
      const_stack_(&module->arena) {}

void Decoder::invalid(u32 offset, const char* fmt, ...) {
  __builtin_va_list args;
  __builtin_va_start(args, fmt);
  static_cast<void>(invalid_->vfail(Err::kInvalid, kNone, offset, fmt, args));
  __builtin_va_end(args);
}

u32 Decoder::space_size(ExternKind kind) const {
  switch (kind) {
    case ExternKind::kFunc: return functions_.size();
    case ExternKind::kTable: return tables_.size();
    case ExternKind::kMemory: return memories_.size();
    case ExternKind::kGlobal: return globals_.size();
    case ExternKind::kTag: return tags_.size();
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
  invalid_ = m_->arena.make<Diag>();
  if (!invalid_) return diag_->no_memory();
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
  // A component's layer is 1, and its version has not reached 1 yet.
  if (version[2] == 1 && version[3] == 0 && version[0] > 1)
    return fail_unsupported(diag_, kNone, 4, Unsupported::kComponents, "version", version[0]);
  if (__builtin_memcmp(version.data(), "\1\0\0\0", 4))
    return r.malformed(4, "unknown binary version");

  u8 last = 0;  // in kSectionOrder
  while (!r.at_end()) {
    tick();
    const u32 start = r.offset();
    u8 id = 0;
    TRY(r.read_u8(&id));
    if (id >= kSectionCount || (id == kTagSection && !features_.wasm3))
      return diag_->fail(Err::kMalformed, kNone, start, "malformed section id %u", id);
    u32 size = 0;
    TRY(r.read_u32(&size));
    if (size > r.remaining()) return r.malformed(start, "length out of bounds");
    if (id != kCustomSection) {
      if (kSectionOrder[id] <= last)
        return r.malformed(start, "unexpected content after last section");
      last = kSectionOrder[id];
    }
    Reader section(m_->bytes, r.offset(), r.offset() + size, kNone, diag_, features_);
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
    case kTagSection: return read_tags(r);
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

Err Decoder::read_data_count(Reader* r) {
  has_data_count_ = true;
  return r->read_u32(&data_count_);
}

Err Decoder::read_code(Reader* r) {
  const u32 start = r->offset();
  TRY(r->read_u32(&bodies_));
  if (bodies_ != functions_.size() - m_->imported_functions)
    return r->malformed(start, "function and code section have inconsistent lengths");
  for (u32 i = 0; i < bodies_; i++, tick()) {
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
  m_->tags = tags_.span();
  m_->customs = customs_.span();
  TRY(index_exports());
  if (invalid_->code != Err::kOk) {
    *diag_ = *invalid_;
    return diag_->code;
  }
  return Err::kOk;
}

Err Decoder::index_exports() {
  Span<const Export> exports = m_->exports;
  Span<u32> order = m_->arena.make_array<u32>(exports.size());
  if (order.size() != exports.size()) return diag_->no_memory();
  bool any_function = false;
  for (u32 i = 0; i < exports.size(); i++, tick()) {
    order[i] = i;
    any_function |= exports[i].kind == ExternKind::kFunc;
  }
  sort_by(order, [&](u32 i) { return ExportKey{exports[i].name, i}; });
  m_->exports_by_name = order;

  u32 duplicate = kNone;
  for (u32 i = 1; i < order.size(); i++, tick())
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
  fill(first, kNone);
  for (u32 i = exports.size(); i-- > 0; tick())
    if (exports[i].kind == ExternKind::kFunc && exports[i].index < first.size())
      first[exports[i].index] = i;
  m_->function_exports = first;
  return Err::kOk;
}

namespace {

Err decode_into(Bytes input, Features features, usize max_bytes, Module* m, Diag* diag) {
  Span<u8> copy = m->arena.make_array<u8>(input.size());
  if (copy.size() != input.size()) return diag->no_memory();
  copy_bytes(copy.data(), input.data(), input.size());
  m->bytes = copy;

  Decoder decoder(m, features, diag);
  TRY(decoder.run());
  if (!read_function_names(m)) return diag->no_memory();
  Arena scratch(max_bytes - min(max_bytes, m->arena.bytes_used()));
  return validate_bodies(*m, features, decoder.has_data_count(), &scratch, diag);
}

}  // namespace

Err decode(Bytes input, const Features& features, usize max_bytes, Module** out, Diag* diag) {
  *out = nullptr;
  if (input.size() > kMaxModuleBytes)
    return diag->fail(Err::kLimit, kNone, kNone, "module of %u bytes, the limit is %u",
                      input.size(), kMaxModuleBytes);
  Module* m = make_object<Module>(max_bytes);
  if (!m) return diag->no_memory();
  const Err err = decode_into(input, features, max_bytes, m, diag);
  if (err != Err::kOk) {
    module_free(m);
    return err;
  }
  *out = m;
  return Err::kOk;
}

}  // namespace wring
