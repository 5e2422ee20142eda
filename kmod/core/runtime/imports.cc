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
  if (actual_size < imported.min || imported.is_64 != exported.is_64) return false;
  return !imported.has_max || (exported.has_max && exported.max <= imported.max);
}

u32 id_of(const TypeOf& t) { return t.module->type_ids[type_index_of(t.type)]; }

bool is_same(const TypeOf& a, const TypeOf& b) {
  if (is_concrete(a.type) && is_concrete(b.type))
    return is_nullable(a.type) == is_nullable(b.type) && id_of(a) == id_of(b);
  return a.type == b.type;
}

bool is_heap(ValType type, ValType abstract) { return heap_of(type) == heap_of(abstract); }

// Matching of value types (spec, section 3.3.3): is `a` at least as specific as `b`?
bool is_subtype(const TypeOf& a, const TypeOf& b) {
  if (!is_ref(a.type) || !is_ref(b.type)) return a.type == b.type;
  if (is_nullable(a.type) && !is_nullable(b.type)) return false;
  if (top_of(a.type) != top_of(b.type)) return false;
  if (is_concrete(b.type))
    return is_concrete(a.type) ? id_of(a) == id_of(b) : is_heap(a.type, ValType::kNullFuncRef);
  if (is_heap(b.type, top_of(b.type))) return true;
  return heap_of(a.type) == heap_of(b.type);
}

u32 signature_of(const wring_instance& instance, u32 func) {
  return instance.code->module->type_ids[instance.module().functions[func].type];
}

TypeOf type_of_global(const wring_instance& instance, u32 global) {
  if (global < instance.imported_globals.size()) return instance.imported_globals[global];
  return {instance.code->module, instance.module().globals[global].type.type};
}

bool matches_type(const wring_instance& importer, const Import& import,
                  const wring_instance& exporter, const Export& e) {
  const wring_module* wanted_by = importer.code->module;
  const wring_module* given_by = exporter.code->module;
  const Module& module = *wanted_by->module;
  switch (import.kind) {
    case ExternKind::kFunc:
      return signature_of(importer, import.index) == signature_of(exporter, e.index);
    case ExternKind::kTable: {
      const Table& table = *exporter.tables[e.index];
      // The table's type is in terms of the module that defined it, which may be a third one: of the same type ids.
      const TableType& given = given_by->module->tables[e.index].type;
      const TableType& wanted = module.tables[import.index].type;
      return is_same({wanted_by, wanted.elem}, {given_by, given.elem}) &&
             matches(wanted.limits, table.view.size, table.type.limits);
    }
    case ExternKind::kMemory: {
      const Memory& memory = *exporter.memories[e.index];
      const MemoryType& wanted = module.memories[import.index].type;
      return wanted.is_shared == memory.type.is_shared &&
             matches(wanted.limits, memory.view.bytes / kWasmPageBytes, memory.type.limits);
    }
    case ExternKind::kGlobal: {
      const GlobalType& wanted = module.globals[import.index].type;
      TypeOf a = type_of_global(exporter, e.index), b{wanted_by, wanted.type};
      return wanted.is_mutable == given_by->module->globals[e.index].type.is_mutable &&
             (wanted.is_mutable ? is_same(a, b) : is_subtype(a, b));
    }
    case ExternKind::kTag:
      return exporter.vmctx.tags[e.index]->type_id ==
             wanted_by->type_ids[module.tags[import.index].type];
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

bool is_func_ref(ValType type) { return is_ref(type) && top_of(type) == ValType::kFuncRef; }

bool has_func_refs(const FuncType& type) {
  for (ValType t : ticking(type.params))
    if (is_func_ref(t)) return true;
  for (ValType t : ticking(type.results))
    if (is_func_ref(t)) return true;
  return false;
}

// Whether either side may get hold of functions of the other by way of the import, other than the one imported.
bool passes_functions(const Module& module, const Import& import) {
  switch (import.kind) {
    case ExternKind::kFunc: return has_func_refs(module.func_type(import.index));
    case ExternKind::kTable: return is_func_ref(module.tables[import.index].type.elem);
    case ExternKind::kMemory: return false;
    case ExternKind::kGlobal: return is_func_ref(module.globals[import.index].type.type);
    case ExternKind::kTag: return has_func_refs(module.tag_type(import.index));
  }
  return true;
}

Err bind_import(wring_instance* instance, const Import& import, wring_instance* exporter,
                const Export& e, Diag* diag) {
  TRY(mark_linked(exporter, diag));
  TRY(mark_linked(instance, diag));
  bool passes = passes_functions(instance->module(), import);
  if (passes) TRY(ensure_bridges(instance, diag));
  if (passes || import.kind == ExternKind::kFunc) TRY(ensure_bridges(exporter, diag));
  wring_vmctx* vmctx = &instance->vmctx;
  switch (import.kind) {
    case ExternKind::kFunc:
      vmctx->functions[import.index] = exporter->vmctx.functions[e.index];
      break;
    case ExternKind::kTable: instance->tables[import.index] = exporter->tables[e.index]; break;
    case ExternKind::kMemory: instance->memories[import.index] = exporter->memories[e.index]; break;
    case ExternKind::kGlobal:
      vmctx->globals[import.index] = exporter->vmctx.globals[e.index];
      instance->imported_globals[import.index] = type_of_global(*exporter, e.index);
      break;
    case ExternKind::kTag: vmctx->tags[import.index] = exporter->vmctx.tags[e.index]; break;
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
  for (u32 i = 0; i < wanted.size(); i++, tick())
    TRY(match_import(instance, wanted[i], imports[i], diag));
  return Err::kOk;
}

Err bind_imports(wring_instance* instance, Span<const wring_import_value> imports, Diag* diag) {
  Span<const Import> wanted = instance->module().imports;
  for (u32 i = 0; i < wanted.size(); i++, tick()) {
    wring_instance* exporter = imports[i].instance;
    if (!exporter) continue;
    const Export& e = exporter->module().exports[imports[i].export_index];
    TRY(bind_import(instance, wanted[i], exporter, e, diag));
  }
  return Err::kOk;
}

}  // namespace wring::runtime
