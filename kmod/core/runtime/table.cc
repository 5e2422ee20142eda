// SPDX-License-Identifier: GPL-2.0
// Tables: small ones that cannot grow lie in the instance's arena, others have memory or address space of their own.
#include "core/runtime/table.h"

#include "core/base/pace.h"

namespace wring::runtime {

namespace {

constexpr u64 kPageBytes = 4096;
constexpr u64 kMaxArenaBytes = 4096;
constexpr u64 kPieceEntries = 1024;
// Of a whole piece, whose pages may be new.
constexpr u32 kPieceSteps = 4096;

void release_reservation(void* what) {
  auto* table = static_cast<Table*>(what);
  wring_os_table_release(table->reservation, table->reserved_bytes, table->committed_bytes);
}

u64 committed_for(const Table& table, u64 entries) {
  return align_up(entries * table.entry_bytes(), kPageBytes);
}

}  // namespace

Err make_table(const TableType& type, u32 max_entries, bool may_grow, Arena* arena, Table* out,
               Diag* diag) {
  *out = {};
  out->type = type;
  u64 size = type.limits.min;
  if (size > max_entries)
    return diag->fail(Err::kLimit, kNone, kNone, "table of %llu entries exceeds the limit of %u",
                      static_cast<unsigned long long>(size), max_entries);
  u64 max_size = type.limits.has_max ? min<u64>(type.limits.max, max_entries) : max_entries;
  if (!may_grow) max_size = size;
  void* entries = nullptr;
  if (max_size > size) {
    u64 reserved = committed_for(*out, max_size), committed = committed_for(*out, size);
    entries = out->reservation = wring_os_table_reserve(reserved);
    if (!entries) return diag->no_memory();
    out->reserved_bytes = reserved;
    hold(&out->held, release_reservation, out);
    if (committed > 0 && wring_os_table_commit(entries, 0, committed) != 0)
      return diag->no_memory();
    out->committed_bytes = committed;
  } else if (size > 0) {
    u64 bytes = size * out->entry_bytes();
    entries = bytes <= kMaxArenaBytes ? arena->alloc(bytes) : out->own_entries = take_memory(bytes);
    if (!entries) return diag->no_memory();
  }
  out->view.entries = static_cast<wring_table_entry*>(entries);
  out->view.size = static_cast<u32>(size);
  out->view.max = static_cast<u32>(max_size);
  return Err::kOk;
}

void destroy_table(Table* table) {
  if (table->reservation) {
    unhold(&table->held);
    release_reservation(table);
  }
  give_memory(table->own_entries);
  table->reservation = table->own_entries = nullptr;
}

u64 get_entry(const Table& table, u64 index) {
  return table.holds_functions() ? reinterpret_cast<u64>(table.view.entries[index].ref)
                                 : table.view.words[index];
}

void set_entries(Table* table, u64 index, u64 n, u64 ref) {
  if (!table->holds_functions()) {
    for (u64 i = index; i < index + n; i++) table->view.words[i] = ref;
    return;
  }
  const auto* func = reinterpret_cast<const wring_func_ref*>(ref);
  wring_table_entry entry = {};
  if (func) entry = {func->code, func->type_id, func};
  for (u64 i = index; i < index + n; i++) table->view.entries[i] = entry;
}

void set_many_entries(Table* table, u64 index, u64 n, u64 ref) {
  for (u64 done = 0, piece; done < n; done += piece) {
    piece = min(n - done, kPieceEntries);
    set_entries(table, index + done, piece, ref);
    tick_and_go_on(kPieceSteps);
  }
}

u64 grow_table(Table* table, u64 ref, u64 n, bool may_sleep) {
  u32 size = table->view.size;
  if (n > table->view.max - size) return ~u64{0};
  if (n == 0) return size;
  u64 needed = committed_for(*table, size + n);
  if (needed > table->committed_bytes) {
    if (!may_sleep ||
        wring_os_table_commit(table->reservation, table->committed_bytes, needed) != 0)
      return ~u64{0};
    table->committed_bytes = needed;
  }
  if (may_sleep)
    set_many_entries(table, size, n, ref);
  else
    set_entries(table, size, n, ref);  // no more than were committed with others
  table->view.size = static_cast<u32>(size + n);
  return size;
}

}  // namespace wring::runtime
