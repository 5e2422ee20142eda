// SPDX-License-Identifier: GPL-2.0
// Library calls: bulk memory and table operations, memory.grow, and fuel.
//
// Bulk operations pay fuel for their length before they begin, and where the host may be asked to yield they work
// in pieces: a 4 GiB fill must neither be free nor keep a CPU.
#include "core/runtime/libcalls.h"

#include "core/runtime/instance.h"

namespace wring {

bool libcall_may_trap(Libcall call) {
  switch (call) {
#define LIBCALL(name, symbol, params, results, may_trap) \
  case Libcall::k##name:                                 \
    return may_trap;
#include "core/runtime/libcalls.def"
#undef LIBCALL
    case Libcall::kCount: break;
  }
  WRING_UNREACHABLE();
}

u64 libcall_address(Libcall call) {
  switch (call) {
#define LIBCALL(name, symbol, params, results, may_trap) \
  case Libcall::k##name:                                 \
    return reinterpret_cast<u64>(&symbol);
#include "core/runtime/libcalls.def"
#undef LIBCALL
    case Libcall::kCount: break;
  }
  WRING_UNREACHABLE();
}

namespace {

constexpr u64 kPieceBytes = u64{4} << 20;

void trap(wring_vmctx* vmctx, TrapReason reason) { vmctx->trap_reason = static_cast<u32>(reason); }

bool in_bounds(u64 begin, u64 n, u64 size) { return begin <= size && n <= size - begin; }

// Takes more fuel from the reserve until there is some, or traps.
bool refill(wring_vmctx* vmctx) {
  while (vmctx->fuel <= 0) {
    if (vmctx->fuel_reserve == 0) {
      trap(vmctx, TrapReason::kFuelExhausted);
      return false;
    }
    u64 slice = min<u64>(vmctx->fuel_reserve, kFuelSlice);
    vmctx->fuel_reserve -= slice;
    vmctx->fuel += static_cast<i64>(slice);
  }
  if (vmctx->may_sleep && wring_os_yield()) {
    trap(vmctx, TrapReason::kInterrupted);
    return false;
  }
  return true;
}

// Pays for a bulk operation on `bytes` bytes, from the reserve first (table entries cost a unit each to make).
bool pay(wring_vmctx* vmctx, u64 bytes) {
  u64 cost = bytes / kBulkBytesPerFuel;
  u64 from_reserve = min<u64>(cost, vmctx->fuel_reserve);
  vmctx->fuel_reserve -= from_reserve;
  cost -= from_reserve;
  if (cost == 0) return true;
  if (vmctx->fuel < 0 || cost > static_cast<u64>(vmctx->fuel)) {
    vmctx->fuel = 0;
    trap(vmctx, TrapReason::kFuelExhausted);
    return false;
  }
  vmctx->fuel -= static_cast<i64>(cost);
  return true;
}

// Between two pieces of a bulk operation; false: interrupted.
bool may_continue(wring_vmctx* vmctx) {
  if (!vmctx->may_sleep || !wring_os_yield()) return true;
  trap(vmctx, TrapReason::kInterrupted);
  return false;
}

}  // namespace
}  // namespace wring

using namespace wring;  // NOLINT(google-build-using-namespace): the C functions below

extern "C" i64 wring_lib_fuel_refill(wring_vmctx* vmctx) { return refill(vmctx) ? vmctx->fuel : 0; }

extern "C" u32 wring_lib_memory_grow(wring_vmctx* vmctx, u32 pages) {
  wring_memory_view* memory = vmctx->memory;
  u64 old_bytes = memory->bytes;
  u32 old_pages = static_cast<u32>(old_bytes / kWasmPageBytes);
  if (pages == 0) return old_pages;
  u64 added = u64{pages} * kWasmPageBytes;
  if (!vmctx->may_sleep || added > memory->max_bytes - old_bytes) return ~0u;
  if (wring_os_memory_commit(memory->base, old_bytes, old_bytes + added) != 0) return ~0u;
  memory->bytes = old_bytes + added;
  return old_pages;
}

extern "C" void wring_lib_memory_fill(wring_vmctx* vmctx, u32 dst, u32 value, u32 n) {
  wring_memory_view* memory = vmctx->memory;
  if (!in_bounds(dst, n, memory->bytes)) return trap(vmctx, TrapReason::kMemoryOutOfBounds);
  if (!pay(vmctx, n)) return;
  u8* to = memory->base + dst;
  for (u64 rest = n; rest > 0;) {
    u64 piece = min(rest, kPieceBytes);
    __builtin_memset(to, static_cast<u8>(value), piece);
    to += piece;
    rest -= piece;
    if (rest > 0 && !may_continue(vmctx)) return;
  }
}

extern "C" void wring_lib_memory_copy(wring_vmctx* vmctx, u32 dst, u32 src, u32 n) {
  wring_memory_view* memory = vmctx->memory;
  if (!in_bounds(dst, n, memory->bytes) || !in_bounds(src, n, memory->bytes))
    return trap(vmctx, TrapReason::kMemoryOutOfBounds);
  if (!pay(vmctx, n)) return;
  // Overlapping ranges are copied from the end that is not overwritten first.
  bool is_upward = dst <= src;
  for (u64 done = 0; done < n;) {
    u64 piece = min(n - done, kPieceBytes);
    u64 at = is_upward ? done : n - done - piece;
    __builtin_memmove(memory->base + dst + at, memory->base + src + at, piece);
    done += piece;
    if (done < n && !may_continue(vmctx)) return;
  }
}

extern "C" void wring_lib_memory_init(wring_vmctx* vmctx, u32 segment, u32 dst, u32 src, u32 n) {
  wring_instance* instance = runtime::instance_of(vmctx);
  if (!runtime::init_memory_in_bounds(*instance, 0, segment, dst, src, n))
    return trap(vmctx, TrapReason::kMemoryOutOfBounds);
  if (pay(vmctx, n)) runtime::init_memory(instance, 0, segment, dst, src, n);
}

extern "C" void wring_lib_data_drop(wring_vmctx* vmctx, u32 segment) {
  runtime::instance_of(vmctx)->dropped_datas.set(segment);
}

extern "C" void wring_lib_table_init(wring_vmctx* vmctx, u32 table, u32 segment, u32 dst, u32 src,
                                     u32 n) {
  wring_instance* instance = runtime::instance_of(vmctx);
  if (!runtime::init_table_in_bounds(*instance, table, segment, dst, src, n))
    return trap(vmctx, TrapReason::kTableOutOfBounds);
  if (pay(vmctx, u64{n} * kBulkBytesPerFuel))
    runtime::init_table(instance, table, segment, dst, src, n);
}

extern "C" void wring_lib_table_copy(wring_vmctx* vmctx, u32 dst_table, u32 src_table, u32 dst,
                                     u32 src, u32 n) {
  wring_table_view* to = vmctx->tables[dst_table];
  wring_table_view* from = vmctx->tables[src_table];
  if (!in_bounds(dst, n, to->size) || !in_bounds(src, n, from->size))
    return trap(vmctx, TrapReason::kTableOutOfBounds);
  u64 bytes = u64{n} * sizeof(wring_table_entry);
  if (n == 0 || !pay(vmctx, bytes)) return;
  __builtin_memmove(to->entries + dst, from->entries + src, bytes);
}

extern "C" void wring_lib_elem_drop(wring_vmctx* vmctx, u32 segment) {
  runtime::instance_of(vmctx)->dropped_elements.set(segment);
}
