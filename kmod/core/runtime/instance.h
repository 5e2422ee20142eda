// SPDX-License-Identifier: GPL-2.0
// Instances: instantiation, and the operations on tables and memories that library calls share with it.
#pragma once

#include "core/abi/libcalls.h"
#include "core/runtime/objects.h"

namespace wring::runtime {

inline wring_instance* instance_of(wring_vmctx* vmctx) {
  return static_cast<wring_instance*>(vmctx->instance);
}

// Works out code->plan, but for the addresses of functions, for which place_plan() is called once the code has been
// placed. may_grow: by table index, whether the module's own code grows the table; throws: whether it throws.
Err make_plan(wring_code* code, const BitSet& may_grow, bool throws, Diag* diag);
void place_plan(wring_code* code);

// Instantiation (spec, section 4.5.4, without the start function) in two steps. build_instance: imports, memories,
// tables, globals; *out is set as soon as there is anything to destroy. Nobody can have reached the instance yet, so
// that after an error it is taken off the store's list and destroyed.
Err build_instance(wring_code* code, Span<const wring_import_value> imports, wring_instance** out,
                   Diag* diag);
// init_segments: after an error functions of the instance may be in other instances' tables, and it stays linked.
Err init_segments(wring_instance* instance, Diag* diag);
// Frees the instance and what it owns, not its references. No assertions.
void destroy_instance(wring_instance* instance);

// Keeps the instance until its store goes, because others may reach it or it them; and the contrary. May sleep, no
// assertions. After an error (memory, too many) nothing has changed.
Err mark_linked(wring_instance* instance, Diag* diag);
void unmark_linked(wring_instance* instance);
// The first of all that the instance is linked to, itself included, or the instance; `next` leads to the others.
inline wring_instance* first_linked(wring_instance* instance) {
  return instance->is_linked ? instance->code->module->store->linked : instance;
}

// A reference to function `func`, which must be address-taken. Any context.
inline u64 func_ref_of(const wring_instance& instance, u32 func) {
  return reinterpret_cast<u64>(&instance.vmctx.functions[func]);
}

// Evaluates a validated constant expression; references are words. In any context if it is of a reference type, others
// need the store to themselves.
struct ConstValue {
  u64 words[2] = {};
};
Err evaluate(const wring_instance& instance, Range expression, ConstValue* out, Diag* diag);
// The same where no instance is needed: false if one is.
bool evaluate_in_advance(const wring_module& module, Range expression, ConstValue* out);

// table.init and memory.init, for library calls and active segments; the caller checks the bounds first (as
// range_in_bounds does, base/nospec.h). Segments that were dropped are empty. Any context.
bool init_table_in_bounds(const wring_instance& instance, u32 table, u32 segment, u64* dst,
                          u64* src, u64* n);
void init_table(wring_instance* instance, u32 table, u32 segment, u64 dst, u64 src, u64 n);
bool init_memory_in_bounds(const wring_instance& instance, u32 memory, u32 segment, u64* dst,
                           u64* src, u64* n);
void init_memory(wring_instance* instance, u32 memory, u32 segment, u64 dst, u64 src, u64 n);

}  // namespace wring::runtime
