// SPDX-License-Identifier: GPL-2.0
// The C interface to instances: creation, stacks and invocations.
#include "core/base/pace.h"
#include "core/runtime/instance.h"
#include "core/runtime/lifetime.h"
#include "core/runtime/table.h"
#include "core/runtime/trap.h"

using namespace wring;  // NOLINT(google-build-using-namespace): everything below is C functions

namespace {

using ArrayEntry = u32 (*)(wring_vmctx*, unsigned long long*);

struct Stack {
  u8* limit;
  void* top;
};

// How invocations use the stack; false if it is missing or too small.
bool plan_stack(void* stack, u64 bytes, Stack* out) {
  if (!stack || bytes < WRING_MIN_STACK_BYTES) return false;
  u64 begin = reinterpret_cast<u64>(stack);
  out->limit = reinterpret_cast<u8*>(begin + kStackHeadroomBytes);
  out->top = reinterpret_cast<void*>((begin + bytes) & ~u64{15});
  return true;
}

// Whether the word is a reference to a function of that instance.
bool is_own_function(const wring_instance& instance, u64 word) {
  u64 offset = word - reinterpret_cast<u64>(instance.vmctx.functions);
  return offset < u64{instance.code->plan.functions.size()} * sizeof(wring_func_ref) &&
         offset % sizeof(wring_func_ref) == 0 &&
         reinterpret_cast<const wring_func_ref*>(word)->code;
}

constexpr u32 kLookupSteps = 16;  // among linked instances

// Whether generated code may use what the host passes as a reference of that type.
bool is_valid_ref(const wring_instance& instance, ValType type, u64 word) {
  if (word == 0) return is_nullable(type);
  if (top_of(type) == ValType::kExternRef) return heap_of(type) != heap_of(ValType::kNullExternRef);
  // Exceptions do not outlive what refers to them, and the host's word is not looked at.
  if (top_of(type) == ValType::kExnRef || heap_of(type) == heap_of(ValType::kNullFuncRef))
    return false;
  const wring_instance* owner = &instance;
  if (instance.is_linked) {
    owner = static_cast<wring_instance*>(instance.code->module->store->functions.find(word));
    tick_and_go_on(kLookupSteps);
  }
  return owner && is_own_function(*owner, word) &&
         (!is_concrete(type) || reinterpret_cast<const wring_func_ref*>(word)->type_id ==
                                    instance.code->module->type_ids[type_index_of(type)]);
}

bool are_valid_args(const wring_instance& instance, u32 func, const unsigned long long* argv) {
  for (ValType type : instance.module().func_type(func).params) {
    if (is_ref(type) && !is_valid_ref(instance, type, *argv)) return false;
    argv += type == ValType::kV128 ? 2 : 1;
  }
  return true;
}

// Calls the entry stub; the vmctx is set up but for what belongs to the call itself. No assertions: those of library
// calls are theirs to recover from.
u32 enter(wring_instance* instance, u32 func, unsigned long long* argv) {
  const wring_code& code = *instance->code;
  wring_vmctx* vmctx = &instance->vmctx;
  auto entry =
      reinterpret_cast<ArrayEntry>(code.image.address + code.image.array_entries.data()[func]);
  vmctx->root = vmctx;
  vmctx->may_sleep = 1;
  vmctx->exception = nullptr;
  vmctx->trap_reason = WRING_TRAP_None;
  runtime::save_stack_pointers(instance);
  instance->in_fpu_section = code.plan.uses_fpu;
  if (code.plan.uses_fpu) wring_os_fpu_begin();
  u32 reason = entry(vmctx, argv);
  if (code.plan.uses_fpu) wring_os_fpu_end();
  instance->in_fpu_section = false;
  if (reason == WRING_TRAP_None && vmctx->exception) reason = wring_lib_uncaught(vmctx);
  vmctx->may_sleep = 0;
  // Hook entries rely on what does not change between invocations.
  if (reason == WRING_TRAP_None) runtime::save_own_stack_pointers(instance);
  return reason;
}

}  // namespace

extern "C" int wring_instance_new(wring_code* code, const wring_import_value* imports,
                                  unsigned int import_count, wring_instance** out,
                                  wring_error* err) {
  Diag diag;
  if (!code->is_placed)
    return runtime::report(diag.fail(Err::kLink, kNone, kNone, "code has not been placed"), diag,
                           err);
  wring_instance* instance = nullptr;
  auto unlink = [&] {
    if (instance) runtime::unmark_linked(instance);
  };
  Operation building, initializing;
  Err result = building.run(
      Stage::kInstantiate, &diag,
      [&] {
        Err built = runtime::build_instance(code, {imports, import_count}, &instance, &diag);
        if (built == Err::kOk || !instance) return built;
        unlink();
        runtime::destroy_instance(instance);
        return built;
      },
      unlink);
  if (result != Err::kOk) return runtime::report(result, diag, err);
  code->refs++;
  runtime::take_handle(code->module->store);
  result = initializing.run(Stage::kInstantiate, &diag,
                            [&] { return runtime::init_segments(instance, &diag); });
  if (result != Err::kOk) {
    wring_instance_put(instance);
    return runtime::report(result, diag, err);
  }
  runtime::save_own_stack_pointers(instance);
  *out = instance;
  return 0;
}

extern "C" void wring_instance_put(wring_instance* instance) {
  if (!instance) return;
  wring_store* store = instance->code->module->store;
  runtime::unref(instance);
  runtime::drop_handle(store);
}

extern "C" wring_vmctx* wring_instance_vmctx(wring_instance* instance) { return &instance->vmctx; }

extern "C" int wring_instance_set_stack(wring_instance* instance, void* stack,
                                        unsigned long long bytes) {
  Stack own;
  if (!plan_stack(stack, bytes, &own)) return -WRING_ERR_LIMIT;
  instance->vmctx.stack_limit = own.limit;
  instance->vmctx.private_stack_top = own.top;
  return 0;
}

extern "C" wring_hook_stack* wring_hook_stack_init(void* stack, unsigned long long bytes,
                                                   wring_hook_stack* next) {
  Stack shared;
  if (!plan_stack(stack, bytes, &shared)) return nullptr;
  auto* at = static_cast<wring_hook_stack*>(shared.top) - 1;
  if (!next) {
    next = at--;
    *next = {};
  }
  *at = {next, nullptr, shared.limit, nullptr};
  next->outer = at;
  return at;
}

extern "C" int wring_instance_global(wring_instance* instance, unsigned int global_index,
                                     unsigned long long out[2]) {
  if (global_index >= instance->module().globals.size()) return -WRING_ERR_LIMIT;
  __builtin_memcpy(out, instance->vmctx.globals[global_index], WRING_GLOBAL_CELL_BYTES);
  return 0;
}

extern "C" int wring_instance_table(wring_instance* instance, unsigned int table_index,
                                    unsigned long long entry, unsigned long long* ref,
                                    unsigned int* size) {
  if (table_index >= instance->tables.size()) return -WRING_ERR_LIMIT;
  const runtime::Table& table = *instance->tables.data()[table_index];
  *size = table.view.size;
  *ref = entry < *size ? runtime::get_entry(table, entry) : 0;
  return 0;
}

extern "C" int wring_instance_memory(wring_instance* instance, unsigned int memory_index,
                                     struct wring_memory_view* out) {
  if (memory_index >= instance->memories.size()) return -WRING_ERR_LIMIT;
  *out = instance->memories.data()[memory_index]->view;
  return 0;
}

extern "C" unsigned long long wring_instance_memory_bytes(const wring_instance* instance) {
  u64 bytes = 0;
  for (u32 i = instance->module().imported_memories; i < instance->memories.size(); i++)
    bytes += instance->memories.data()[i]->view.bytes;
  return bytes;
}

extern "C" void wring_instance_usage(const wring_instance* instance, wring_usage* out) {
  const wring_vmctx& vmctx = instance->vmctx;
  out->runs = __atomic_load_n(&vmctx.turns, __ATOMIC_RELAXED) / 2;
  out->fuel = __atomic_load_n(&vmctx.fuel_used, __ATOMIC_RELAXED) +
              out->runs * instance->code->hook_first_slice;
}

extern "C" void wring_instance_usage_reset(wring_instance* instance) {
  instance->vmctx.turns = 0;
  instance->vmctx.fuel_used = 0;
}

extern "C" unsigned int wring_invoke(wring_instance* instance, unsigned int func,
                                     unsigned long long* argv, void* stack,
                                     unsigned long long stack_bytes, unsigned long long* fuel) {
  const wring_code& code = *instance->code;
  wring_vmctx* vmctx = &instance->vmctx;
  if (func >= code.image.array_entries.size() || code.image.array_entries.data()[func] == kNone ||
      (__atomic_fetch_or(&vmctx->turns, 1u, __ATOMIC_ACQUIRE) & 1) != 0)
    return WRING_TRAP_HostError;

  u8* hook_stack_limit = vmctx->stack_limit;
  vmctx->trap_frame_count = 0;
  u32 reason = guarded(Stage::kInvoke, u32{WRING_TRAP_InternalError}, [&] {
    bool is_valid = are_valid_args(*instance, func, argv);
    return static_cast<u32>(is_valid ? WRING_TRAP_None : WRING_TRAP_HostError);
  });
  Stack use;
  if (!plan_stack(stack, stack_bytes, &use)) reason = WRING_TRAP_HostError;
  if (reason == WRING_TRAP_None) {
    vmctx->stack_limit = use.limit;
    vmctx->stack_top = use.top;
    u64 slice = min<u64>(*fuel, vmctx->fuel_slice);
    vmctx->fuel = static_cast<i64>(slice);
    vmctx->fuel_reserve = *fuel - slice;
    vmctx->check_at = 0;
    reason = enter(instance, func, argv);
    u64 left = vmctx->fuel > 0 ? static_cast<u64>(vmctx->fuel) : 0;
    *fuel = vmctx->fuel_reserve + left;
    vmctx->fuel_used += slice - left;
  }
  vmctx->stack_limit = hook_stack_limit;
  __atomic_store_n(&vmctx->turns, vmctx->turns + 1, __ATOMIC_RELEASE);
  return reason;
}
