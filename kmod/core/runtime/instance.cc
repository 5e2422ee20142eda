// SPDX-License-Identifier: GPL-2.0
// Instantiation: memories, tables, globals and segments of a new instance (spec, section 4.5.4).
#include "core/runtime/instance.h"

#include "core/base/new.h"
#include "core/runtime/bridge.h"
#include "core/runtime/imports.h"
#include "core/runtime/slices.h"
#include "core/runtime/table.h"

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

// The arrays that vmctx points to; of memories, tables, globals and tags only what is known already.
Err make_index_spaces(wring_instance* instance, Diag* diag) {
  const Module& module = instance->module();
  const InstancePlan& plan = instance->code->plan;
  Span<wring_func_ref> functions;
  Span<void*> globals;
  Span<const wring_tag*> tags;
  Span<wring_memory_view*> memories;
  Span<wring_table_view*> tables;
  TRY(make_array(instance, plan.functions.size(), &functions, diag));
  TRY(make_array(instance, module.globals.size(), &globals, diag));
  TRY(make_array(instance, module.imported_globals, &instance->imported_globals, diag));
  TRY(make_array(instance, module.tags.size(), &tags, diag));
  TRY(make_array(instance, module.memories.size(), &memories, diag));
  TRY(make_array(instance, module.tables.size(), &tables, diag));
  TRY(make_array(instance, module.memories.size(), &instance->memories, diag));
  TRY(make_array(instance, module.tables.size(), &instance->tables, diag));
  if (!instance->dropped_elements.init(&instance->arena, module.elements.size()) ||
      !instance->dropped_datas.init(&instance->arena, module.datas.size()) ||
      !instance->exceptions.init(plan.exceptions, &instance->arena))
    return diag->no_memory();
  copy_bytes(functions.data(), plan.functions.data(), functions.size() * sizeof(wring_func_ref));
  wring_vmctx* vmctx = &instance->vmctx;
  vmctx->functions = functions.data();
  vmctx->globals = globals.data();
  vmctx->tags = tags.data();
  vmctx->memories = memories.data();
  vmctx->tables = tables.data();
  vmctx->instance = instance;
  vmctx->root = vmctx;
  vmctx->time_slice = u64{kTurnMicroseconds} * wring_os_cycles_per_us();
  return Err::kOk;
}

Err make_tags(wring_instance* instance, Diag* diag) {
  const Module& module = instance->module();
  Span<wring_tag> own;
  TRY(make_array(instance, module.tags.size() - module.imported_tags, &own, diag));
  for (u32 i = 0; i < own.size(); i++, tick()) {
    u32 tag = module.imported_tags + i;
    own[i].type_id = instance->code->module->type_ids[module.tags[tag].type];
    instance->vmctx.tags[tag] = &own[i];
  }
  return Err::kOk;
}

void release_memory(void* what) {
  const auto* memory = static_cast<Memory*>(what);
  wring_os_memory_release(memory->view.base, memory->view.bytes);
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
  u64 bytes = type.limits.min * kWasmPageBytes;
  memory->view.max_bytes = most_pages(type.limits, limit) * kWasmPageBytes;
  memory->view.base = wring_os_memory_reserve(bytes);
  if (!memory->view.base)
    return diag->fail(Err::kNoMemory, kNone, kNone,
                      "no memory or address space left for a linear memory");
  memory->view.bytes = bytes;
  hold(&memory->held, release_memory, memory);
  *out = memory;
  return Err::kOk;
}

Err make_memories(wring_instance* instance, Diag* diag) {
  const Module& module = instance->module();
  for (u32 i = module.imported_memories; i < module.memories.size(); i++)
    TRY(make_memory(instance, module.memories[i].type, &instance->memories[i], diag));
  wring_vmctx* vmctx = &instance->vmctx;
  for (u32 i = 0; i < module.memories.size(); i++)
    vmctx->memories[i] = &instance->memories[i]->view;
  if (!module.memories.empty()) {
    vmctx->memory = vmctx->memories[0];
    vmctx->memory_base = vmctx->memory->base;
  }
  return Err::kOk;
}

Err make_tables(wring_instance* instance, Diag* diag) {
  const Module& module = instance->module();
  u32 limit = or_default(limits_of(*instance).table_entries, kMaxTableEntries);
  for (u32 i = module.imported_tables; i < module.tables.size(); i++) {
    auto* table = instance->arena.make<Table>();
    if (!table) return diag->no_memory();
    instance->tables[i] = table;
    TRY(make_table(module.tables[i].type, limit, instance->code->plan.growing_tables.test(i),
                   &instance->arena, table, diag));
    if (module.tables[i].init.size() == 0) continue;
    ConstValue value;
    TRY(evaluate(*instance, module.tables[i].init, &value, diag));
    if (value.words[0]) set_many_entries(table, 0, table->view.size, value.words[0]);
  }
  for (u32 i = 0; i < module.tables.size(); i++)
    instance->vmctx.tables[i] = &instance->tables[i]->view;
  return Err::kOk;
}

Err make_globals(wring_instance* instance, Diag* diag) {
  const Module& module = instance->module();
  const InstancePlan& plan = instance->code->plan;
  Span<GlobalCell> cells;
  TRY(make_array(instance, plan.globals.size(), &cells, diag));
  copy_bytes(cells.data(), plan.globals.data(), cells.size() * sizeof(GlobalCell));
  for (u32 i = 0; i < cells.size(); i++, tick())
    instance->vmctx.globals[module.imported_globals + i] = cells[i].words;
  for (u32 global : paced(plan.computed_globals)) {
    ConstValue value;
    TRY(evaluate(*instance, module.globals[global].init, &value, diag));
    __builtin_memcpy(instance->vmctx.globals[global], value.words, sizeof(value.words));
  }
  return Err::kOk;
}

Err out_of_bounds(const char* what, u32 segment, TrapReason reason, u32 offset, Diag* diag) {
  return diag->fail(Err::kTrap, kNone, offset, "%s: %s segment %u",
                    wring_trap_text(static_cast<u32>(reason)), what, segment);
}

// All that comes before the segments.
Err make_parts(wring_instance* instance, Span<const wring_import_value> imports, Diag* diag) {
  TRY(make_index_spaces(instance, diag));
  TRY(match_imports(*instance, imports, diag));
  TRY(bind_imports(instance, imports, diag));
  TRY(make_tags(instance, diag));
  TRY(make_memories(instance, diag));
  TRY(make_globals(instance, diag));
  return make_tables(instance, diag);
}

// A record per function that somebody may hold a reference to, still without addresses.
Err plan_functions(wring_code* code, Diag* diag) {
  const Module& module = *code->module->module;
  u32 count = 0;
  for (u32 i = 0; i < module.functions.size(); i++, tick())
    if (i < module.imported_functions || code->image.functions[i].indirect_entry != kNone)
      count = i + 1;
  code->plan.functions = code->tables.make_array<wring_func_ref>(count);
  return code->plan.functions.size() == count ? Err::kOk : diag->no_memory();
}

Err plan_globals(wring_code* code, Diag* diag) {
  const Module& module = *code->module->module;
  InstancePlan* plan = &code->plan;
  u32 count = module.globals.size() - module.imported_globals;
  Vec<u32> computed(&code->tables);
  plan->globals = code->tables.make_array<GlobalCell>(count);
  if (plan->globals.size() != count) return diag->no_memory();
  for (u32 i = 0; i < count; i++, tick()) {
    u32 global = module.imported_globals + i;
    ConstValue value;
    if (evaluate_in_advance(*code->module, module.globals[global].init, &value))
      __builtin_memcpy(plan->globals[i].words, value.words, sizeof(value.words));
    else if (!computed.push(global))
      return diag->no_memory();
  }
  plan->computed_globals = computed.span();
  return Err::kOk;
}

bool is_exn(ValType type) { return is_ref(type) && top_of(type) == ValType::kExnRef; }

Err plan_exceptions(wring_code* code, bool throws, Diag* diag) {
  const Module& module = *code->module->module;
  u32 words = 0;
  for (u32 i = 0; i < module.tags.size(); i++) words = max(words, value_words(module.tag_type(i)));
  if (throws) code->plan.exceptions = ExceptionPool::shape_for(words);
  Vec<u32> globals(&code->tables), tables(&code->tables);
  for (u32 i = 0; i < module.globals.size(); i++, tick())
    if (is_exn(module.globals[i].type.type) && !globals.push(i)) return diag->no_memory();
  for (u32 i = 0; i < module.tables.size(); i++)
    if (is_exn(module.tables[i].type.elem) && !tables.push(i)) return diag->no_memory();
  code->plan.exn_globals = globals.span();
  code->plan.exn_tables = tables.span();
  return Err::kOk;
}

}  // namespace

Err make_plan(wring_code* code, const BitSet& may_grow, bool throws, Diag* diag) {
  const Module& module = *code->module->module;
  TRY(plan_functions(code, diag));
  TRY(plan_globals(code, diag));
  TRY(plan_exceptions(code, throws, diag));
  if (!code->plan.growing_tables.init(&code->tables, module.tables.size()))
    return diag->no_memory();
  code->plan.growing_tables.merge(may_grow);
  // Who imports a table may grow it too.
  for (const Export& e : paced(module.exports))
    if (e.kind == ExternKind::kTable) code->plan.growing_tables.set(e.index);
  return Err::kOk;
}

void place_plan(wring_code* code) {
  const Module& module = *code->module->module;
  for (u32 i = 0; i < code->plan.functions.size(); i++, tick()) {
    u32 entry = code->image.functions[i].indirect_entry;
    // Imports from other instances get theirs from those, whatever adapters there are for the host.
    if (entry == kNone ||
        (module.is_imported_function(i) && code->binding_kinds[i] == BindingKind::kWasm))
      continue;
    code->plan.functions[i] = {reinterpret_cast<void*>(code->image.address + entry),
                               code->module->type_ids[module.functions[i].type]};
  }
}

Err build_instance(wring_code* code, Span<const wring_import_value> imports, wring_instance** out,
                   Diag* diag) {
  auto* instance = make_object<wring_instance>(kMaxCompileBytes);
  if (!instance) return diag->no_memory();
  *out = instance;
  instance->code = code;
  TRY(make_parts(instance, imports, diag));
  instance->arena.detach();
  instance->is_built = true;
  set_fuel_slice(instance);
  return Err::kOk;
}

Err init_segments(wring_instance* instance, Diag* diag) {
  const Module& module = instance->module();
  for (u32 i = 0; i < module.elements.size(); i++, tick()) {
    const ElementSegment& segment = module.elements[i];
    if (segment.mode == SegmentMode::kActive) {
      ConstValue dst;
      TRY(evaluate(*instance, segment.offset, &dst, diag));
      u64 src = 0, n = segment.size();
      if (!init_table_in_bounds(*instance, segment.table, i, &dst.words[0], &src, &n))
        return out_of_bounds("element", i, TrapReason::kTableOutOfBounds, segment.offset.begin,
                             diag);
      init_table(instance, segment.table, i, dst.words[0], src, n);
    }
    if (segment.mode != SegmentMode::kPassive) instance->dropped_elements.set(i);
  }
  for (u32 i = 0; i < module.datas.size(); i++, tick()) {
    const DataSegment& segment = module.datas[i];
    if (segment.mode != SegmentMode::kActive) continue;
    ConstValue dst;
    TRY(evaluate(*instance, segment.offset, &dst, diag));
    u64 src = 0, n = segment.bytes.size();
    if (!init_memory_in_bounds(*instance, segment.memory, i, &dst.words[0], &src, &n))
      return out_of_bounds("data", i, TrapReason::kMemoryOutOfBounds, segment.offset.begin, diag);
    init_memory(instance, segment.memory, i, dst.words[0], src, n);
    instance->dropped_datas.set(i);
  }
  return Err::kOk;
}

void unmark_linked(wring_instance* instance) {
  if (!instance->is_linked) return;
  wring_store* store = instance->code->module->store;
  wring_instance** at = &store->linked;
  for (; *at != instance; at = &(*at)->next) tick_and_go_on(1);
  *at = instance->next;
  instance->next = nullptr;
  instance->is_linked = false;
  instance->refs--;
  store->linked_count--;
  store->functions.remove(reinterpret_cast<u64>(instance->vmctx.functions));
  instance->exceptions.leave();
}

Err mark_linked(wring_instance* instance, Diag* diag) {
  if (instance->is_linked) return Err::kOk;
  wring_store* store = instance->code->module->store;
  if (store->linked_count >= kMaxLinkedInstances)
    return diag->fail(Err::kLimit, kNone, kNone, "more than %u instances linked to each other",
                      kMaxLinkedInstances);
  u64 functions = reinterpret_cast<u64>(instance->vmctx.functions);
  u64 bytes = u64{instance->code->plan.functions.size()} * sizeof(wring_func_ref);
  if (!store->functions.add(functions, functions + bytes, instance)) return diag->no_memory();
  if (!instance->exceptions.join(&store->exceptions)) {
    store->functions.remove(functions);
    return diag->no_memory();
  }
  instance->is_linked = true;
  instance->refs++;
  store->linked_count++;
  instance->next = store->linked;
  store->linked = instance;
  set_fuel_slice(instance);
  return Err::kOk;
}

void destroy_instance(wring_instance* instance) {
  const Module& module = instance->module();
  u32 index = 0;
  for (Memory* memory : instance->memories)
    if (index++ >= module.imported_memories && memory) {
      unhold(&memory->held);
      release_memory(memory);
    }
  index = 0;
  for (Table* table : instance->tables)
    if (index++ >= module.imported_tables && table) destroy_table(table);
  destroy_bridges(instance);
  destroy_object(instance);
}

}  // namespace wring::runtime
