// SPDX-License-Identifier: GPL-2.0
// Tables: entries of function references are records with a copy of what a call needs, those of other references words
// (vmctx.h). A reference on its own is a word everywhere.
#pragma once

#include "core/runtime/objects.h"

namespace wring::runtime {

// Makes a table of null references. may_grow: it gets address space to grow in. On failure what it has got so far
// belongs to *out all the same.
Err make_table(const TableType& type, u32 max_entries, bool may_grow, Arena* arena, Table* out,
               Diag* diag);
void destroy_table(Table* table);

// Within [0, size). Any context.
u64 get_entry(const Table& table, u64 index);
void set_entries(Table* table, u64 index, u64 n, u64 ref);
void set_many_entries(Table* table, u64 index, u64 n, u64 ref);  // lets others run meanwhile

// Adds n entries and returns the old size, or ~0 if that is not possible. Sleeps only if may_sleep.
u64 grow_table(Table* table, u64 ref, u64 n, bool may_sleep);

}  // namespace wring::runtime
