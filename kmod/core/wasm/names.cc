// SPDX-License-Identifier: GPL-2.0
// The custom `name` section: only the subsection of function names is used.
#include "core/wasm/names.h"

#include "core/wasm/reader.h"

namespace wring {

namespace {

constexpr u8 kFunctionNames = 1;

// A name map: (function index, name) in ascending order of the index.
Err read_name_map(Reader* r, Span<Bytes> names) {
  u32 count = 0;
  TRY(r->read_u32(&count));
  u64 next = 0;  // the least index allowed
  for (u32 i = 0; i < count; i++) {
    u32 index = 0, length = 0;
    TRY(r->read_u32(&index));
    if (index < next || index >= names.size()) return r->malformed(r->offset(), "function index");
    next = u64{index} + 1;
    TRY(r->read_u32(&length));
    TRY(r->read_bytes(length, &names[index]));
  }
  return r->at_end() ? Err::kOk : r->malformed(r->offset(), "subsection size mismatch");
}

Err read_subsections(Bytes payload, Span<Bytes> names, Diag* diag) {
  Reader r(payload, 0, payload.size(), kNone, diag);
  while (!r.at_end()) {
    u8 id = 0;
    u32 size = 0;
    TRY(r.read_u8(&id));
    TRY(r.read_u32(&size));
    const u32 begin = r.offset();
    TRY(r.skip(size));
    if (id == kFunctionNames) {
      Reader map(payload, begin, begin + size, kNone, diag);
      TRY(read_name_map(&map, names));
    }
  }
  return Err::kOk;
}

// The name of `func` in the subsections of a name section; an error also if there is none.
Err find_in_subsections(Reader* r, u32 func, Bytes* name) {
  for (;;) {
    u8 id = 0;
    u32 size = 0, count = 0;
    TRY(r->read_u8(&id));
    TRY(r->read_u32(&size));
    if (id != kFunctionNames) {
      TRY(r->skip(size));
      continue;
    }
    TRY(r->read_u32(&count));
    for (u32 i = 0; i < count; i++) {
      u32 index = 0, length = 0;
      TRY(r->read_u32(&index));
      TRY(r->read_u32(&length));
      TRY(r->read_bytes(length, name));
      if (index == func) return Err::kOk;
    }
  }
}

Err find_in_module(Bytes module, u32 func, Bytes* name) {
  constexpr u32 kHeaderBytes = 8;
  constexpr u8 kCustomSection = 0;
  static constexpr u8 kName[] = {'n', 'a', 'm', 'e'};
  Diag ignored;
  Reader r(module, 0, module.size(), kNone, &ignored);
  TRY(r.skip(kHeaderBytes));
  for (;;) {
    u8 id = 0;
    u32 size = 0;
    Bytes section, section_name;
    TRY(r.read_u8(&id));
    TRY(r.read_u32(&size));
    TRY(r.read_bytes(size, &section));
    if (id != kCustomSection) continue;
    Reader inner(section, 0, section.size(), kNone, &ignored);
    u32 length = 0;
    TRY(inner.read_u32(&length));
    TRY(inner.read_bytes(length, &section_name));
    if (equal(section_name, Bytes(kName))) return find_in_subsections(&inner, func, name);
  }
}

}  // namespace

bool find_function_name(Bytes module, u32 func, Bytes* name) {
  return find_in_module(module, func, name) == Err::kOk;
}

bool read_function_names(Module* module) {
  const CustomSection* section = module->find_custom("name");
  if (!section || module->functions.empty()) return true;
  Span<Bytes> names = module->arena.make_array<Bytes>(module->functions.size());
  if (names.size() != module->functions.size()) return false;
  Diag ignored;
  if (read_subsections(section->payload, names, &ignored) == Err::kOk)
    module->function_names = names;
  return true;
}

}  // namespace wring
