// SPDX-License-Identifier: GPL-2.0
// Bridges: made once per instance, all at a time, because library calls that put functions into shared tables run
// where nothing can be allocated any more.
#include "core/runtime/bridge.h"

#include "core/base/sort.h"
#include "core/runtime/instance.h"
#include "core/x64/x64.h"

namespace wring::runtime {

namespace {

bool needs_bridge(const wring_instance& instance, u32 func) {
  return instance.code->image.functions[func].indirect_entry != kNone;
}

// Emits all bridges; their offsets in the code go to instance->bridges.
Err emit_bridges(wring_instance* instance, CodeBuilder* code, Diag* diag) {
  const Module& module = instance->module();
  const link::CodeImage& image = instance->code->image;
  u32 functions = module.functions.size();
  instance->bridges = instance->arena.make_array<u32>(functions);
  if (instance->bridges.size() != functions) return diag->no_memory();
  for (u32 func = 0; func < functions; func++) {
    instance->bridges[func] = kNone;
    if (!needs_bridge(*instance, func)) continue;
    TRY(x64::emit_bridge(module.func_type(func), reinterpret_cast<u64>(&instance->vmctx),
                         image.address + image.functions[func].indirect_entry,
                         instance->code->target, code, &instance->bridges[func], diag));
  }
  return Err::kOk;
}

// Rewrites entries that lead straight into the instance's code. Only its own tables can hold such.
void redirect_tables(wring_instance* instance) {
  const link::CodeImage& image = instance->code->image;
  for (Table* table : instance->tables) {
    if (!table) continue;  // still being instantiated
    for (u32 i = 0; i < table->view.size; i++) {
      wring_table_entry& entry = table->view.entries[i];
      u64 offset = reinterpret_cast<u64>(entry.code) - image.address;
      if (!entry.code || offset >= image.bytes) continue;
      u32 func = link::find_function(image, static_cast<u32>(offset));
      WRING_ASSERT(func != kNone && instance->bridges[func] != kNone);
      entry.code = instance->bridge_code + instance->bridges[func];
    }
  }
}

}  // namespace

Err ensure_bridges(wring_instance* instance, Diag* diag) {
  mark_linked(instance);
  if (instance->bridge_code) return Err::kOk;
  Arena scratch(kMaxCompileBytes);
  CodeBuilder code(&scratch);
  TRY(emit_bridges(instance, &code, diag));
  if (code.bytes.empty()) return Err::kOk;
  link::CodeImage image;
  TRY(link::link(code, instance->code->target, kMaxCodeBytes, &scratch, &instance->arena, &image,
                 diag));
  usize bytes = align_up(image.bytes, 16);
  auto* memory = static_cast<u8*>(wring_os_code_alloc(bytes));
  if (!memory) return diag->no_memory();
  Err err = link::place(&image, memory, reinterpret_cast<u64>(memory), diag);
  if (err == Err::kOk && wring_os_code_publish(memory, bytes) != 0) err = diag->no_memory();
  if (err != Err::kOk) {
    wring_os_code_free(memory, bytes);
    return err;
  }
  instance->bridge_code = memory;
  instance->bridge_bytes = bytes;
  instance->bridge_calls = image.calls;
  redirect_tables(instance);
  return Err::kOk;
}

void destroy_bridges(wring_instance* instance) {
  if (instance->bridge_code) wring_os_code_free(instance->bridge_code, instance->bridge_bytes);
  instance->bridge_code = nullptr;
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
