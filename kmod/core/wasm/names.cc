// SPDX-License-Identifier: GPL-2.0
// The custom `name` section: only the subsections of the names of functions and of globals are used.
#include "core/wasm/names.h"

#include "core/base/pace.h"

namespace wring {

namespace {

constexpr u8 kFunctionNames = 1;
constexpr u8 kGlobalNames = 7;

// A name map: (function index, name) in ascending order of the index.
Err read_name_map(Reader* r, Span<Bytes> names) {
  u32 count = 0;
  TRY(r->read_u32(&count));
  u64 next = 0;  // the least index allowed
  for (u32 i = 0; i < count; i++, tick()) {
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
  for (; !r.at_end(); tick()) {
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

// Moves *r into the first subsection of that id; an error also if there is none.
Err enter_subsection(Reader* r, u8 wanted) {
  for (;; tick()) {
    u8 id = 0;
    u32 size = 0;
    TRY(r->read_u8(&id));
    TRY(r->read_u32(&size));
    if (id == wanted) return Err::kOk;
    TRY(r->skip(size));
  }
}

Err read_name(Reader* r, u32* index, Bytes* name) {
  u32 length = 0;
  TRY(r->read_u32(index));
  TRY(r->read_u32(&length));
  return r->read_bytes(length, name);
}

// The name of `func` in the subsections of a name section; an error also if there is none.
Err find_in_subsections(Reader* r, u32 func, Bytes* name) {
  for (;;) {
    u32 count = 0, index = 0;
    TRY(enter_subsection(r, kFunctionNames));
    TRY(r->read_u32(&count));
    for (u32 i = 0; i < count; i++, tick()) {
      TRY(read_name(r, &index, name));
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
  for (;; tick()) {
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

GlobalNames::GlobalNames(const Module& module) : rest_({}, 0, 0, kNone, &ignored_) {
  const CustomSection* section = module.find_custom("name");
  if (!section) return;
  rest_ = Reader(section->payload, 0, section->payload.size(), kNone, &ignored_);
  if (enter_subsection(&rest_, kGlobalNames) != Err::kOk || rest_.read_u32(&count_) != Err::kOk)
    count_ = 0;
}

bool GlobalNames::next(u32* global, Bytes* name) {
  if (count_ == 0) return false;
  tick();
  count_ = read_name(&rest_, global, name) == Err::kOk ? count_ - 1 : 0;
  return rest_.diag()->code == Err::kOk;
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
