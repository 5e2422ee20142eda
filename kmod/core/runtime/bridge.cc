// SPDX-License-Identifier: GPL-2.0
// Bridges: made once per instance, all at a time, because library calls that put functions into shared tables run
// where nothing can be allocated any more.
#include "core/runtime/bridge.h"

#include "core/base/new.h"
#include "core/base/sort.h"
#include "core/runtime/instance.h"
#include "core/x64/x64.h"

namespace wring::runtime {

namespace {

// Imports bound to other instances are reached by those instances' own bridges.
bool needs_bridge(const wring_instance& instance, u32 func) {
  const wring_code& code = *instance.code;
  if (instance.module().is_imported_function(func) &&
      code.binding_kinds[func] == BindingKind::kWasm)
    return false;
  return code.image.functions[func].indirect_entry != kNone;
}

// Emits all bridges; offsets[func] is where the function's is, or kNone.
Err emit_bridges(const wring_instance& instance, CodeBuilder* code, Span<u32> offsets, Diag* diag) {
  const Module& module = instance.module();
  const link::CodeImage& image = instance.code->image;
  for (u32 func = 0; func < offsets.size(); func++, tick()) {
    offsets[func] = kNone;
    if (!needs_bridge(instance, func)) continue;
    TRY(x64::emit_bridge(module.func_type(func), reinterpret_cast<u64>(&instance.vmctx),
                         image.address + image.functions[func].indirect_entry,
                         instance.code->target, instance.code->tail_bytes, code, &offsets[func],
                         diag));
  }
  return Err::kOk;
}

// References are addresses of records, which change in place; tables hold copies of them. Without assertions: it is
// done as a whole or not at all.
void redirect(wring_instance* instance, Span<const u32> offsets) {
  wring_func_ref* function = instance->vmctx.functions;
  for (u32 offset : paced(offsets)) {
    if (offset != kNone) function->code = instance->bridge_code + offset;
    function++;
  }
  for (Table* table : instance->tables) {
    if (!table || !table->holds_functions()) continue;  // still being instantiated
    for (u32 i = 0; i < table->view.size; i++, tick()) {
      wring_table_entry& entry = table->view.entries[i];
      if (entry.ref) entry.code = entry.ref->code;
    }
  }
}

void release_bridges(void* what) {
  auto* instance = static_cast<wring_instance*>(what);
  wring_os_code_free(instance->bridge_code, instance->bridge_bytes);
  instance->bridge_code = nullptr;
}

}  // namespace

Err ensure_bridges(wring_instance* instance, Diag* diag) {
  TRY(mark_linked(instance, diag));
  if (instance->is_bridged) return Err::kOk;
  Arena scratch(kMaxCompileBytes);
  // Too large for the kernel's stack.
  void* builder = scratch.alloc(sizeof(CodeBuilder));
  if (!builder) return diag->no_memory();
  CodeBuilder& code = *new (builder) CodeBuilder(&scratch);
  u32 functions = instance->code->plan.functions.size();
  Span<u32> offsets = scratch.make_array<u32>(functions);
  if (offsets.size() != functions) return diag->no_memory();
  TRY(emit_bridges(*instance, &code, offsets, diag));
  if (code.bytes.empty()) {
    instance->is_bridged = true;
    return Err::kOk;
  }
  link::CodeImage image;
  TRY(link::link(code, instance->code->target, kMaxCodeBytes, &scratch, &instance->arena, &image,
                 diag));
  usize bytes = align_up(image.bytes, 16);
  auto* memory = static_cast<u8*>(wring_os_code_alloc(bytes));
  if (!memory) return diag->no_memory();
  instance->bridge_code = memory;
  instance->bridge_bytes = bytes;
  hold(&instance->bridge_held, release_bridges, instance);
  Err err = link::place(&image, memory, reinterpret_cast<u64>(memory), diag);
  if (err == Err::kOk && wring_os_code_publish(memory, bytes) != 0) err = diag->no_memory();
  if (err != Err::kOk) {
    destroy_bridges(instance);
    return err;
  }
  instance->bridge_calls = image.calls;
  instance->is_bridged = true;
  // Those of an instance that was there before stay, whatever becomes of the one that imports from it.
  if (instance->is_built) unhold(&instance->bridge_held);
  redirect(instance, offsets);
  return Err::kOk;
}

void destroy_bridges(wring_instance* instance) {
  unhold(&instance->bridge_held);
  if (instance->bridge_code) release_bridges(instance);
}

const CallSite* find_bridge_call(const wring_instance& instance, u64 pc) {
  u64 offset = pc - reinterpret_cast<u64>(instance.bridge_code);
  if (!instance.bridge_code || offset >= instance.bridge_bytes) return nullptr;
  u32 i = lower_bound(instance.bridge_calls, offset, [](const CallSite& c) { return u64{c.pc}; });
  return i < instance.bridge_calls.size() && instance.bridge_calls[i].pc == offset
             ? &instance.bridge_calls[i]
             : nullptr;
}

}  // namespace wring::runtime
