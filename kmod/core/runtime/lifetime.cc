// SPDX-License-Identifier: GPL-2.0
// Lifetime of engine objects.
#include "core/runtime/lifetime.h"

#include "core/base/new.h"
#include "core/runtime/instance.h"

namespace wring::runtime {

void unref(wring_module* module) {
  if (--module->refs > 0) return;
  if (module->module) module_free(module->module);
  wring_os_free(module->type_ids);
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
  destroy_object(instance);
  unref(code);
}

void take_handle(wring_store* store) { store->handles++; }

void drop_handle(wring_store* store) {
  if (--store->handles > 0) return;
  while (store->linked) {
    wring_instance* instance = store->linked;
    store->linked = instance->next;
    unref(instance);
  }
  destroy_object(store);
}

int report(Err err, const Diag& diag, wring_error* out) {
  out->kind = static_cast<u32>(err);
  out->func = diag.func;
  out->offset = diag.offset;
  static_assert(sizeof(out->message) == sizeof(diag.message));
  __builtin_memcpy(out->message, diag.message, sizeof(out->message));
  return -static_cast<int>(err);
}

}  // namespace wring::runtime
