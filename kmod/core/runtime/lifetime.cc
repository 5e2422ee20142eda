// SPDX-License-Identifier: GPL-2.0
// Lifetime of engine objects.
#include "core/runtime/lifetime.h"

#include "core/base/new.h"
#include "core/base/pace.h"
#include "core/runtime/instance.h"
#include "core/wasm/names.h"

namespace wring::runtime {

namespace {

constexpr u32 kFreeingSteps = 256;  // of an instance

void copy_printable(Bytes name, wring_error* error) {
  u32 n = 0;
  for (u8 c : name) {
    if (n == sizeof(error->function) - 1) break;
    error->function[n++] = c >= ' ' && c <= '~' ? static_cast<char>(c) : '?';
  }
  error->function[n] = 0;
}

}  // namespace

void unref(wring_module* module) {
  if (--module->refs > 0) return;
  if (module->module) module_free(module->module);
  give_memory(module->type_ids);
  destroy_object(module);
}

void unref(wring_code* code) {
  if (--code->refs > 0) return;
  wring_module* module = code->module;
  if (code->release) code->release(code->release_arg);
  destroy_object(code);
  unref(module);
}

void unref(wring_instance* instance) {
  if (--instance->refs > 0) return;
  wring_code* code = instance->code;
  destroy_instance(instance);
  unref(code);
}

void take_handle(wring_store* store) { store->handles++; }

void drop_handle(wring_store* store) {
  if (--store->handles > 0) return;
  while (store->linked) {
    wring_instance* instance = store->linked;
    store->linked = instance->next;
    unref(instance);
    tick_and_go_on(kFreeingSteps);
  }
  destroy_object(store);
}

int report(Err err, const Diag& diag, wring_error* out) {
  *out = {};
  out->kind = static_cast<u32>(err);
  out->func = diag.func;
  out->offset = diag.offset;
  static_assert(sizeof(out->message) == sizeof(diag.message));
  __builtin_memcpy(out->message, diag.message, sizeof(out->message));
  return -static_cast<int>(err);
}

void name_function(const Module& module, wring_error* error) {
  if (error->func >= module.functions.size()) return;
  copy_printable(guarded(Stage::kQuery, Bytes(), [&] { return module.function_name(error->func); }),
                 error);
}

void name_function(Bytes module, wring_error* error) {
  if (error->func == kNone) return;
  Bytes name;
  Diag ignored;
  Operation operation;  // there may be many names
  Err found = operation.run(Stage::kQuery, &ignored, [&] {
    return find_function_name(module, error->func, &name) ? Err::kOk : Err::kInvalid;
  });
  if (found == Err::kOk) copy_printable(name, error);
}

}  // namespace wring::runtime
