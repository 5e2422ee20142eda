// SPDX-License-Identifier: GPL-2.0
// Instantiation: memories, tables, globals and segments of a new instance (spec, section 4.5.4).
#include "core/runtime/instance.h"

#include "core/runtime/bridge.h"
#include "core/runtime/imports.h"

namespace wring::runtime {

namespace {

u32 or_default(u32 limit, u32 engine_limit) {
  return limit ? min(limit, engine_limit) : engine_limit;
}

const wring_limits& limits_of(const wring_instance& instance) {
  return instance.code->module->store->limits;
}

template <class T>
Err make_array(wring_instance* instance, u32 count, Span<T>* out, Diag* diag) {
  *out = instance->arena.make_array<T>(count);
  return out->size() == count ? Err::kOk : diag->no_memory();
}

// The arrays that vmctx points to, still empty.
Err make_index_spaces(wring_instance* instance, Diag* diag) {
  const Module& module = instance->module();
  Span<wring_import_slot> imports;
  Span<void*> globals;
  TRY(make_array(instance, module.imported_functions, &imports, diag));
  TRY(make_array(instance, module.globals.size(), &globals, diag));
  TRY(make_array(instance, module.memories.size(), &instance->memories, diag));
  TRY(make_array(instance, module.tables.size(), &instance->tables, diag));
  if (!instance->dropped_elements.init(&instance->arena, module.elements.size()) ||
      !instance->dropped_datas.init(&instance->arena, module.datas.size()))
    return diag->no_memory();
  instance->vmctx.imports = imports.data();
  instance->vmctx.globals = globals.data();
  instance->vmctx.instance = instance;
  instance->vmctx.root = &instance->vmctx;
  return Err::kOk;
}

Err make_memory(wring_instance* instance, const MemoryType& type, Memory** out, Diag* diag) {
  u64 limit = or_default(limits_of(*instance).memory_pages, kMaxMemoryPages);
  if (type.limits.min > limit)
    return diag->fail(Err::kLimit, kNone, kNone, "memory of %llu pages exceeds the limit of %llu",
                      static_cast<unsigned long long>(type.limits.min),
                      static_cast<unsigned long long>(limit));
  auto* memory = instance->arena.make<Memory>();
  if (!memory) return diag->no_memory();
  memory->type = type;
  u64 max_pages = type.limits.has_max ? min(type.limits.max, limit) : limit;
  memory->view.max_bytes = max_pages * kWasmPageBytes;
  memory->view.base = wring_os_memory_reserve();
  if (!memory->view.base)
    return diag->fail(Err::kNoMemory, kNone, kNone, "no address space left for a linear memory");
  // From here on destroy_instance() gives it back.
  *out = memory;
  u64 bytes = type.limits.min * kWasmPageBytes;
  if (bytes > 0 && wring_os_memory_commit(memory->view.base, 0, bytes) != 0)
    return diag->no_memory();
  memory->view.bytes = bytes;
  return Err::kOk;
}

Err make_memories(wring_instance* instance, Diag* diag) {
  const Module& module = instance->module();
  for (u32 i = module.imported_memories; i < module.memories.size(); i++)
    TRY(make_memory(instance, module.memories[i].type, &instance->memories[i], diag));
  if (!instance->memories.empty()) {
    instance->vmctx.memory = &instance->memories[0]->view;
    instance->vmctx.memory_base = instance->memories[0]->view.base;
  }
  return Err::kOk;
}

Err make_table(wring_instance* instance, const TableType& type, Table** out, Diag* diag) {
  u32 limit = or_default(limits_of(*instance).table_entries, kMaxTableEntries);
  if (type.limits.min > limit)
    return diag->fail(Err::kLimit, kNone, kNone, "table of %llu entries exceeds the limit of %u",
                      static_cast<unsigned long long>(type.limits.min), limit);
  auto* table = instance->arena.make<Table>();
  if (!table) return diag->no_memory();
  table->type = type;
  // No supported instruction grows tables, so there is room for what it starts with.
  table->view.size = table->view.max = static_cast<u32>(type.limits.min);
  if (table->view.max > 0) {
    table->view.entries = static_cast<wring_table_entry*>(
        wring_os_alloc(usize{table->view.max} * sizeof(wring_table_entry)));
    if (!table->view.entries) return diag->no_memory();
  }
  *out = table;
  return Err::kOk;
}

Err make_tables(wring_instance* instance, Diag* diag) {
  const Module& module = instance->module();
  for (u32 i = module.imported_tables; i < module.tables.size(); i++)
    TRY(make_table(instance, module.tables[i].type, &instance->tables[i], diag));
  Span<wring_table_view*> views;
  TRY(make_array(instance, module.tables.size(), &views, diag));
  for (u32 i = 0; i < views.size(); i++) views[i] = &instance->tables[i]->view;
  instance->vmctx.tables = views.data();
  return Err::kOk;
}

Err make_globals(wring_instance* instance, Diag* diag) {
  const Module& module = instance->module();
  Span<GlobalCell> cells;
  TRY(make_array(instance, module.globals.size() - module.imported_globals, &cells, diag));
  for (u32 i = 0; i < cells.size(); i++) {
    u32 global = module.imported_globals + i;
    ConstValue value;
    TRY(evaluate(*instance, module.globals[global].init, &value, diag));
    __builtin_memcpy(cells[i].words, value.words, sizeof(value.words));
    instance->vmctx.globals[global] = cells[i].words;
  }
  return Err::kOk;
}

// An active segment's place; i32 offsets.
Err segment_offset(const wring_instance& instance, Range expression, u32* out, Diag* diag) {
  ConstValue value;
  TRY(evaluate(instance, expression, &value, diag));
  *out = static_cast<u32>(value.words[0]);
  return Err::kOk;
}

Err out_of_bounds(const char* what, u32 segment, TrapReason reason, u32 offset, Diag* diag) {
  return diag->fail(Err::kTrap, kNone, offset, "%s: %s segment %u",
                    wring_trap_text(static_cast<u32>(reason)), what, segment);
}

Err init_segments(wring_instance* instance, Diag* diag) {
  const Module& module = instance->module();
  for (u32 i = 0; i < module.elements.size(); i++) {
    const ElementSegment& segment = module.elements[i];
    if (segment.mode == SegmentMode::kActive) {
      u32 dst;
      TRY(segment_offset(*instance, segment.offset, &dst, diag));
      if (!init_table_in_bounds(*instance, segment.table, i, dst, 0, segment.size()))
        return out_of_bounds("element", i, TrapReason::kTableOutOfBounds, segment.offset.begin,
                             diag);
      init_table(instance, segment.table, i, dst, 0, segment.size());
    }
    if (segment.mode != SegmentMode::kPassive) instance->dropped_elements.set(i);
  }
  for (u32 i = 0; i < module.datas.size(); i++) {
    const DataSegment& segment = module.datas[i];
    if (segment.mode != SegmentMode::kActive) continue;
    u32 dst;
    TRY(segment_offset(*instance, segment.offset, &dst, diag));
    if (!init_memory_in_bounds(*instance, segment.memory, i, dst, 0, segment.bytes.size()))
      return out_of_bounds("data", i, TrapReason::kMemoryOutOfBounds, segment.offset.begin, diag);
    init_memory(instance, segment.memory, i, dst, 0, segment.bytes.size());
    instance->dropped_datas.set(i);
  }
  return Err::kOk;
}

// Takes an instance that nobody can have reached yet off the store's list.
void unmark_linked(wring_instance* instance) {
  if (!instance->is_linked) return;
  wring_instance** at = &instance->code->module->store->linked;
  while (*at != instance) at = &(*at)->next;
  *at = instance->next;
  instance->is_linked = false;
  instance->refs--;
}

// All that comes before the segments.
Err make_parts(wring_instance* instance, Span<const wring_import_value> imports, Diag* diag) {
  TRY(make_index_spaces(instance, diag));
  TRY(match_imports(*instance, imports, diag));
  TRY(bind_imports(instance, imports, diag));
  TRY(make_memories(instance, diag));
  TRY(make_tables(instance, diag));
  return make_globals(instance, diag);
}

}  // namespace

Err instantiate(wring_instance* instance, Span<const wring_import_value> imports, Diag* diag) {
  Err err = make_parts(instance, imports, diag);
  if (err == Err::kOk) return init_segments(instance, diag);
  unmark_linked(instance);
  return err;
}

void mark_linked(wring_instance* instance) {
  if (instance->is_linked) return;
  instance->is_linked = true;
  instance->refs++;
  wring_store* store = instance->code->module->store;
  instance->next = store->linked;
  store->linked = instance;
}

void destroy_instance(wring_instance* instance) {
  if (instance->code) {
    const Module& module = instance->module();
    for (u32 i = module.imported_memories; i < instance->memories.size(); i++) {
      Memory* memory = instance->memories[i];
      if (memory) wring_os_memory_release(memory->view.base, memory->view.bytes);
    }
    for (u32 i = module.imported_tables; i < instance->tables.size(); i++) {
      Table* table = instance->tables[i];
      if (table) wring_os_free(table->view.entries);
    }
  }
  destroy_bridges(instance);
}

}  // namespace wring::runtime
