// SPDX-License-Identifier: GPL-2.0
// Library calls: the runtime's C functions that generated code calls directly (spec, section 4.6).
//
// They run wherever guests run, hooks in NMI context included: unless vmctx->may_sleep is set they neither sleep,
// allocate nor lock. Whoever traps sets vmctx->trap_reason and leaves everything else as it was.
#pragma once

#include "core/abi/vmctx.h"
#include "core/base/types.h"

namespace wring {

enum class Libcall : u8 {
#define LIBCALL(name, symbol, params, results, may_trap) k##name,
#include "core/abi/libcalls.def"
#undef LIBCALL
  kCount
};

enum class TrapReason : u16 {
#define TRAP(name, text) k##name,
#include "core/abi/traps.def"
#undef TRAP
};

bool libcall_may_trap(Libcall call);
u64 libcall_address(Libcall call);

}  // namespace wring

// What they do and return: libcalls.def.
extern "C" {
wring::u64 wring_lib_memory_grow(wring_vmctx* vmctx, wring::u32 memory, wring::u64 pages);
void wring_lib_memory_fill(wring_vmctx* vmctx, wring::u32 memory, wring::u64 dst, wring::u32 value,
                           wring::u64 n);
void wring_lib_memory_copy(wring_vmctx* vmctx, wring::u32 dst_memory, wring::u32 src_memory,
                           wring::u64 dst, wring::u64 src, wring::u64 n);
void wring_lib_memory_init(wring_vmctx* vmctx, wring::u32 memory, wring::u32 segment,
                           wring::u64 dst, wring::u32 src, wring::u32 n);
void wring_lib_data_drop(wring_vmctx* vmctx, wring::u32 segment);
wring::u64 wring_lib_table_get(wring_vmctx* vmctx, wring::u32 table, wring::u64 index);
void wring_lib_table_set(wring_vmctx* vmctx, wring::u32 table, wring::u64 index, wring::u64 ref);
wring::u64 wring_lib_table_grow(wring_vmctx* vmctx, wring::u32 table, wring::u64 ref, wring::u64 n);
void wring_lib_table_fill(wring_vmctx* vmctx, wring::u32 table, wring::u64 dst, wring::u64 ref,
                          wring::u64 n);
void wring_lib_table_init(wring_vmctx* vmctx, wring::u32 table, wring::u32 segment, wring::u64 dst,
                          wring::u32 src, wring::u32 n);
void wring_lib_table_copy(wring_vmctx* vmctx, wring::u32 dst_table, wring::u32 src_table,
                          wring::u64 dst, wring::u64 src, wring::u64 n);
void wring_lib_elem_drop(wring_vmctx* vmctx, wring::u32 segment);
wring_exception* wring_lib_exn_new(wring_vmctx* vmctx, wring::u32 tag, wring::u32 func,
                                   wring::u32 origin);
void wring_lib_exn_free(wring_vmctx* vmctx, wring_exception* exception);
wring::u32 wring_lib_atomic_wait32(wring_vmctx* vmctx, wring::u32 memory, wring::u64 address,
                                   wring::u32 expected, wring::i64 timeout);
wring::u32 wring_lib_atomic_wait64(wring_vmctx* vmctx, wring::u32 memory, wring::u64 address,
                                   wring::u64 expected, wring::i64 timeout);
wring::u32 wring_lib_atomic_notify(wring_vmctx* vmctx, wring::u32 memory, wring::u64 address,
                                   wring::u32 count);
// New fuel (> 0), or <= 0 after a trap.
wring::i64 wring_lib_fuel_refill(wring_vmctx* vmctx);
// Describes the trap at vmctx->trap_pc in the root vmctx. vmctx is the trapping instance's.
void wring_lib_record_trap(wring_vmctx* vmctx);
wring::u32 wring_lib_uncaught(wring_vmctx* vmctx);
wring::u32 wring_lib_nest(wring_vmctx* vmctx, const wring_hook_stack* stack, const void* sp);
}
