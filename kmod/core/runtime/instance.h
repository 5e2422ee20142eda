// SPDX-License-Identifier: GPL-2.0
// Instances: instantiation, and the operations on tables and memories that library calls share with it.
#pragma once

#include "core/runtime/libcalls.h"
#include "core/runtime/objects.h"

namespace wring::runtime {

inline wring_instance* instance_of(wring_vmctx* vmctx) {
  return static_cast<wring_instance*>(vmctx->instance);
}

// Fills in an instance whose `code` is set and everything else is empty: imports, memories, tables, globals,
// segments (spec, section 4.5.4, without the start function). After an error it is destroyed like a complete one; if
// it failed at a segment, functions of it may be in other instances' tables, and it stays linked.
Err instantiate(wring_instance* instance, Span<const wring_import_value> imports, Diag* diag);
// Frees what the instance owns, not its references.
void destroy_instance(wring_instance* instance);

// Keeps the instance until its store goes, because others may reach it or it them.
void mark_linked(wring_instance* instance);

// The instance's own view of function `func`: what goes into a table. Any context.
wring_table_entry table_entry_of(const wring_instance& instance, u32 func);

// Evaluates a validated constant expression; *func is set for a function reference (kNone: null), words otherwise.
// Any context.
struct ConstValue {
  u64 words[2] = {};
  u32 func = kNone;
};
Err evaluate(const wring_instance& instance, Range expression, ConstValue* out, Diag* diag);

// table.init and memory.init, for library calls and active segments; the caller checks the bounds first. Segments
// that were dropped are empty. Any context.
bool init_table_in_bounds(const wring_instance& instance, u32 table, u32 segment, u32 dst, u32 src,
                          u32 n);
void init_table(wring_instance* instance, u32 table, u32 segment, u32 dst, u32 src, u32 n);
bool init_memory_in_bounds(const wring_instance& instance, u32 memory, u32 segment, u32 dst,
                           u32 src, u32 n);
void init_memory(wring_instance* instance, u32 memory, u32 segment, u32 dst, u32 src, u32 n);

}  // namespace wring::runtime
