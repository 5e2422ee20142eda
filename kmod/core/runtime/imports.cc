// SPDX-License-Identifier: GPL-2.0
// Imports: type matching first, for all of them, then binding.
#include "core/runtime/imports.h"

#include "core/runtime/bridge.h"
#include "core/runtime/instance.h"

namespace wring::runtime {

namespace {

// Names come from the guest: what goes into a message is short and printable.
struct PrintableName {
  explicit PrintableName(Bytes name) {
    u32 n = 0;
    for (u8 c : name) {
      if (n == sizeof(text) - 1) break;
      text[n++] = c >= ' ' && c <= '~' && c != '"' ? static_cast<char>(c) : '?';
    }
    text[n] = 0;
  }
  char text[40];
};

Err link_error(const Import& import, const char* what, Diag* diag) {
  PrintableName module(import.module), name(import.name);
  return diag->fail(Err::kLink, kNone, import.offset, "%s \"%s\" \"%s\"", what, module.text,
                    name.text);
}

bool matches(const Limits& imported, u64 actual_size, const Limits& exported) {
  if (actual_size < imported.min) return false;
  return !imported.has_max || (exported.has_max && exported.max <= imported.max);
}

u32 signature_of(const wring_instance& instance, u32 func) {
  return instance.code->module->type_ids[instance.module().functions[func].type];
}

bool matches_type(const wring_instance& importer, const Import& import,
                  const wring_instance& exporter, const Export& e) {
  const Module& module = importer.module();
  switch (import.kind) {
    case ExternKind::kFunc:
      return signature_of(importer, import.index) == signature_of(exporter, e.index);
    case ExternKind::kTable: {
      const Table& table = *exporter.tables[e.index];
      const TableType& wanted = module.tables[import.index].type;
      return wanted.elem == table.type.elem &&
             matches(wanted.limits, table.view.size, table.type.limits);
    }
    case ExternKind::kMemory: {
      const Memory& memory = *exporter.memories[e.index];
      return matches(module.memories[import.index].type.limits, memory.view.bytes / kWasmPageBytes,
                     memory.type.limits);
    }
    case ExternKind::kGlobal: {
      const GlobalType& wanted = module.globals[import.index].type;
      const GlobalType& given = exporter.module().globals[e.index].type;
      return wanted.type == given.type && wanted.is_mutable == given.is_mutable;
    }
  }
  return false;
}

Err match_import(const wring_instance& instance, const Import& import,
                 const wring_import_value& value, Diag* diag) {
  bool is_host_bound = import.kind == ExternKind::kFunc &&
                       instance.code->binding_kinds[import.index] != BindingKind::kWasm;
  if (is_host_bound)
    return value.instance ? link_error(import, "import was compiled as a host function:", diag)
                          : Err::kOk;
  if (!value.instance) return link_error(import, "unknown import", diag);
  const wring_instance& exporter = *value.instance;
  if (exporter.code->module->store != instance.code->module->store)
    return link_error(import, "import from another store:", diag);
  const Module& module = exporter.module();
  if (value.export_index >= module.exports.size())
    return link_error(import, "unknown import", diag);
  const Export& e = module.exports[value.export_index];
  if (e.kind != import.kind || !matches_type(instance, import, exporter, e))
    return link_error(import, "incompatible import type", diag);
  return Err::kOk;
}

// A function of another instance: its own import slot if it imported it, else a bridge to it.
Err bind_function(wring_instance* instance, u32 func, wring_instance* exporter, u32 exported,
                  Diag* diag) {
  TRY(ensure_bridges(exporter, diag));
  wring_table_entry entry = table_entry_of(*exporter, exported);
  instance->vmctx.imports[func] = {entry.code, entry.type_id};
  return Err::kOk;
}

Err bind_import(wring_instance* instance, const Import& import, wring_instance* exporter,
                const Export& e, Diag* diag) {
  mark_linked(exporter);
  mark_linked(instance);
  switch (import.kind) {
    case ExternKind::kFunc: return bind_function(instance, import.index, exporter, e.index, diag);
    case ExternKind::kTable:
      // From now on both may put their functions where the other calls them.
      TRY(ensure_bridges(exporter, diag));
      TRY(ensure_bridges(instance, diag));
      instance->tables[import.index] = exporter->tables[e.index];
      return Err::kOk;
    case ExternKind::kMemory:
      instance->memories[import.index] = exporter->memories[e.index];
      return Err::kOk;
    case ExternKind::kGlobal:
      instance->vmctx.globals[import.index] = exporter->vmctx.globals[e.index];
      return Err::kOk;
  }
  return Err::kOk;
}

}  // namespace

Err match_imports(const wring_instance& instance, Span<const wring_import_value> imports,
                  Diag* diag) {
  Span<const Import> wanted = instance.module().imports;
  if (imports.size() != wanted.size())
    return diag->fail(Err::kLink, kNone, kNone, "%u values for %u imports", imports.size(),
                      wanted.size());
  for (u32 i = 0; i < wanted.size(); i++) TRY(match_import(instance, wanted[i], imports[i], diag));
  return Err::kOk;
}

Err bind_imports(wring_instance* instance, Span<const wring_import_value> imports, Diag* diag) {
  Span<const Import> wanted = instance->module().imports;
  for (u32 i = 0; i < wanted.size(); i++) {
    wring_instance* exporter = imports[i].instance;
    if (!exporter) continue;
    const Export& e = exporter->module().exports[imports[i].export_index];
    TRY(bind_import(instance, wanted[i], exporter, e, diag));
  }
  return Err::kOk;
}

}  // namespace wring::runtime
