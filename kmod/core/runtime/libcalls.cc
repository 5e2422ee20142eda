// SPDX-License-Identifier: GPL-2.0
// Library calls: memories, tables, exceptions, atomic waits, and fuel.
//
// Bulk operations pay fuel for their length before they begin, and where the host may be asked to yield they work
// in pieces: a 4 GiB fill must neither be free nor keep a CPU.
#include "core/abi/libcalls.h"

#include "core/base/nospec.h"
#include "core/base/recovery.h"
#include "core/runtime/instance.h"
#include "core/runtime/sleep.h"
#include "core/runtime/slices.h"
#include "core/runtime/table.h"
#include "core/runtime/trap.h"

namespace wring {

bool libcall_may_trap(Libcall call) {
  switch (call) {
#define LIBCALL(name, symbol, params, results, may_trap) \
  case Libcall::k##name:                                 \
    return may_trap;
#include "core/abi/libcalls.def"
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
#include "core/abi/libcalls.def"
#undef LIBCALL
    case Libcall::kCount: break;
  }
  WRING_UNREACHABLE();
}

using runtime::SleepSection;

namespace {

// Of tables: some take longer than bytes do.
constexpr u64 kBulkPieceEntries = kBulkPieceBytes / sizeof(wring_table_entry);

void trap(wring_vmctx* vmctx, TrapReason reason) { vmctx->trap_reason = static_cast<u32>(reason); }

// Up to `most` units of the reserve, which instances that call each other share.
u64 take_reserve(wring_vmctx* vmctx, u64 most) {
  wring_vmctx* root = vmctx->root;
  u64 taken = min<u64>(most, root->fuel_reserve);
  root->fuel_reserve -= taken;
  root->fuel_used += taken;
  return taken;
}

runtime::Table* table_of(wring_vmctx* vmctx, u32 table) {
  return runtime::instance_of(vmctx)->tables[table];
}

// What a library call comes to in which an invariant breaks.
void end_broken_call(wring_vmctx* vmctx) {
  wring_instance* root = runtime::instance_of(vmctx->root);
  if (root->has_left_fpu) SleepSection::end(root);
  trap(vmctx, TrapReason::kInternalError);
}

// The body of a library call that has assertions: if one fails, the call traps. The guest's state is what the call has
// made of it so far.
template <class F>
auto guarded_call(wring_vmctx* vmctx, F&& body) -> decltype(body()) {
  Guard guard(Stage::kLibcall);
  if (wring_recovery_set(guard.point())) {
    end_broken_call(vmctx);
    return decltype(body())();
  }
  return body();
}

u64 cycles() { return __builtin_ia32_rdtsc(); }

// In NMIs even interrupts wait.
u64 time_slice_of(const wring_vmctx& root) {
  return wring_os_in_nmi()
             ? min<u64>(root.time_slice, u64{kNmiMicroseconds} * wring_os_cycles_per_us())
             : root.time_slice;
}

// Looks at the time, whenever a slice of fuel is used up and after pieces of longer work: others get a turn where that
// is possible, and where it is not, invocations end when their time is over. False: the trap is set.
bool check_time(wring_vmctx* vmctx) {
  wring_vmctx* root = vmctx->root;
  u64 now = cycles();
  if (root->check_at == 0) root->check_at = now + time_slice_of(*root);
  if (now < root->check_at) return true;
  if (!vmctx->may_sleep) {
    trap(vmctx, TrapReason::kOutOfTime);
    return false;
  }
  SleepSection section(vmctx);
  bool goes_on = !wring_os_yield();
  root->check_at = cycles() + root->time_slice;
  if (!goes_on) trap(vmctx, TrapReason::kInterrupted);
  return goes_on;
}

// Whether sp lies on what the invocation that has taken the stack runs on.
bool runs_on(const wring_vmctx& vmctx, const wring_hook_stack& stack, const void* sp) {
  bool is_private = vmctx.private_stack_top != nullptr;
  u64 top = reinterpret_cast<u64>(is_private ? vmctx.private_stack_top : &stack);
  u64 bottom =
      reinterpret_cast<u64>(is_private ? vmctx.stack_limit : stack.limit) - kStackHeadroomBytes;
  return reinterpret_cast<u64>(sp) - bottom < top - bottom;
}

// The invocation on whose stack sp lies. It need not be the last one to have taken a stack: before and after a program
// runs its entry calls C functions where it was called. nullptr: none, an interrupt.
wring_vmctx* find_outer(const wring_hook_stack& stack, const void* sp) {
  for (const wring_hook_stack* at = stack.outer; at; at = at->outer) {
    wring_vmctx* vmctx = __atomic_load_n(&at->vmctx, __ATOMIC_RELAXED);
    if (vmctx && runs_on(*vmctx, *at, sp)) return vmctx;
  }
  return nullptr;
}

// Takes more fuel from the reserve until there is some, or traps.
bool refill(wring_vmctx* vmctx) {
  u64 slice = vmctx->root->fuel_slice;
  u64 missing = static_cast<u64>(-vmctx->fuel) / slice * slice;
  vmctx->fuel += static_cast<i64>(take_reserve(vmctx, missing + slice));
  if (vmctx->fuel > 0) return check_time(vmctx);
  trap(vmctx, TrapReason::kFuelExhausted);
  return false;
}

// After something has grown, which may not fit the caches any more: what is left of a long slice goes back.
void shorten_slice(wring_vmctx* vmctx) {
  u64 before = vmctx->fuel_slice;
  runtime::set_fuel_slice(runtime::instance_of(vmctx));
  i64 surplus = vmctx->fuel - static_cast<i64>(vmctx->fuel_slice);
  if (vmctx->fuel_slice == before || surplus <= 0) return;
  // Long slices are of instances that call no others: this is the root.
  vmctx->fuel -= surplus;
  vmctx->fuel_reserve += static_cast<u64>(surplus);
  vmctx->fuel_used -= static_cast<u64>(surplus);
}

// Pays for what is about to be done. Where that ends a slice the time is looked at.
bool charge(wring_vmctx* vmctx, u64 fuel) {
  vmctx->fuel -= static_cast<i64>(fuel);
  return vmctx->fuel >= 0 || refill(vmctx);
}

// Pays for a bulk operation on `bytes` bytes, before it is done (table entries cost a unit each to make). Where that
// ends a slice the time is looked at, so that many small operations take no longer than other code.
bool pay(wring_vmctx* vmctx, u64 bytes) { return charge(vmctx, bytes / kBulkBytesPerFuel); }

// The same after a piece of longer work, with a look at the time in any case.
bool pay_and_check_time(wring_vmctx* vmctx, u64 bytes) {
  return pay(vmctx, bytes) && check_time(vmctx);
}

// Calls work(done, n) for pieces of a job of `total` units, of `piece` at most, with a look at the time in between.
template <class F>
void in_pieces(wring_vmctx* vmctx, u64 total, u64 piece, F&& work) {
  for (u64 done = 0, n; done < total; done += n) {
    n = min(total - done, piece);
    work(done, n);
    if (done + n < total && !check_time(vmctx)) return;
  }
}

}  // namespace
}  // namespace wring

using namespace wring;  // NOLINT(google-build-using-namespace): the C functions below

extern "C" i64 wring_lib_fuel_refill(wring_vmctx* vmctx) { return refill(vmctx) ? vmctx->fuel : 0; }

extern "C" int wring_guest_charge(wring_vmctx* vmctx, unsigned long long fuel) {
  return charge(vmctx, fuel) ? 0 : -1;
}

extern "C" int wring_guest_pay(wring_vmctx* vmctx, unsigned long long bytes) {
  return pay(vmctx, bytes) ? 0 : -1;
}

extern "C" u32 wring_lib_nest(wring_vmctx* vmctx, const wring_hook_stack* stack, const void* sp) {
  wring_vmctx* outer = find_outer(*stack, sp);
  if (!outer) return 1;
  u64 now = cycles();
  // The outer one is in the same context: if this is an NMI, it is, too.
  if (outer->check_at == 0) outer->check_at = now + time_slice_of(*outer);
  vmctx->check_at = min<u64>(now + time_slice_of(*vmctx), outer->check_at);
  return now < outer->check_at;
}

// ---- memories ----

extern "C" u64 wring_lib_memory_grow(wring_vmctx* vmctx, u32 memory, u64 pages) {
  wring_memory_view* view = vmctx->memories[memory];
  u64 old_bytes = view->bytes;
  u64 old_pages = old_bytes / kWasmPageBytes;
  if (pages == 0) return old_pages;
  if (!vmctx->may_sleep || pages > (view->max_bytes - old_bytes) / kWasmPageBytes) return ~u64{0};
  u64 bytes = old_bytes + pages * kWasmPageBytes;
  if (!pay(vmctx, bytes - old_bytes)) return ~u64{0};
  SleepSection section(vmctx);
  if (wring_os_memory_commit(view->base, old_bytes, bytes) != 0) return ~u64{0};
  view->bytes = bytes;
  shorten_slice(vmctx);
  return old_pages;
}

extern "C" void wring_lib_memory_fill(wring_vmctx* vmctx, u32 memory, u64 dst, u32 value, u64 n) {
  const wring_memory_view* view = vmctx->memories[memory];
  if (!range_in_bounds(&dst, &n, view->bytes)) return trap(vmctx, TrapReason::kMemoryOutOfBounds);
  if (!pay(vmctx, n)) return;
  u8* to = view->base + dst;
  in_pieces(vmctx, n, kBulkPieceBytes, [&](u64 done, u64 piece) {
    __builtin_memset(to + done, static_cast<u8>(value), piece);
  });
}

extern "C" void wring_lib_memory_copy(wring_vmctx* vmctx, u32 dst_memory, u32 src_memory, u64 dst,
                                      u64 src, u64 n) {
  const wring_memory_view* to = vmctx->memories[dst_memory];
  const wring_memory_view* from = vmctx->memories[src_memory];
  if (!range_in_bounds(&dst, &n, to->bytes) || !range_in_bounds(&src, &n, from->bytes))
    return trap(vmctx, TrapReason::kMemoryOutOfBounds);
  if (!pay(vmctx, n)) return;
  // Overlapping ranges are copied from the end that is not overwritten first.
  bool is_upward = to->base + dst <= from->base + src;
  in_pieces(vmctx, n, kBulkPieceBytes, [&](u64 done, u64 piece) {
    u64 at = is_upward ? done : n - done - piece;
    __builtin_memmove(to->base + dst + at, from->base + src + at, piece);
  });
}

extern "C" void wring_lib_memory_init(wring_vmctx* vmctx, u32 memory, u32 segment, u64 dst, u32 src,
                                      u32 n) {
  return guarded_call(vmctx, [&] {
    wring_instance* instance = runtime::instance_of(vmctx);
    u64 from = src, bytes = n;
    if (!runtime::init_memory_in_bounds(*instance, memory, segment, &dst, &from, &bytes))
      return trap(vmctx, TrapReason::kMemoryOutOfBounds);
    if (!pay(vmctx, bytes)) return;
    in_pieces(vmctx, bytes, kBulkPieceBytes, [&](u64 done, u64 piece) {
      runtime::init_memory(instance, memory, segment, dst + done, from + done, piece);
    });
  });
}

extern "C" void wring_lib_data_drop(wring_vmctx* vmctx, u32 segment) {
  return guarded_call(vmctx, [&] { runtime::instance_of(vmctx)->dropped_datas.set(segment); });
}

// ---- tables ----

extern "C" u64 wring_lib_table_get(wring_vmctx* vmctx, u32 table, u64 index) {
  return guarded_call(vmctx, [&]() -> u64 {
    const runtime::Table* from = table_of(vmctx, table);
    u32 size = from->view.size;
    if (index < size) return runtime::get_entry(*from, index_nospec(index, size));
    trap(vmctx, TrapReason::kTableOutOfBounds);
    return 0;
  });
}

extern "C" void wring_lib_table_set(wring_vmctx* vmctx, u32 table, u64 index, u64 ref) {
  return guarded_call(vmctx, [&] {
    runtime::Table* to = table_of(vmctx, table);
    u32 size = to->view.size;
    if (index >= size) return trap(vmctx, TrapReason::kTableOutOfBounds);
    runtime::set_entries(to, index_nospec(index, size), 1, ref);
  });
}

extern "C" u64 wring_lib_table_grow(wring_vmctx* vmctx, u32 table, u64 ref, u64 n) {
  return guarded_call(vmctx, [&]() -> u64 {
    runtime::Table* to = table_of(vmctx, table);
    // Their pages may be new.
    bool fits = n <= to->view.max - to->view.size;
    if (fits && !pay(vmctx, n * kBulkBytesPerFuel)) return ~u64{0};
    SleepSection section(vmctx);
    u64 old_size = runtime::grow_table(to, ref, n, vmctx->may_sleep != 0);
    shorten_slice(vmctx);
    return old_size;
  });
}

extern "C" void wring_lib_table_fill(wring_vmctx* vmctx, u32 table, u64 dst, u64 ref, u64 n) {
  return guarded_call(vmctx, [&] {
    runtime::Table* to = table_of(vmctx, table);
    if (!range_in_bounds(&dst, &n, to->view.size))
      return trap(vmctx, TrapReason::kTableOutOfBounds);
    if (!pay(vmctx, n * to->entry_bytes())) return;
    in_pieces(vmctx, n, kBulkPieceEntries,
              [&](u64 done, u64 piece) { runtime::set_entries(to, dst + done, piece, ref); });
  });
}

extern "C" void wring_lib_table_init(wring_vmctx* vmctx, u32 table, u32 segment, u64 dst, u32 src,
                                     u32 n) {
  return guarded_call(vmctx, [&] {
    wring_instance* instance = runtime::instance_of(vmctx);
    u64 from = src, entries = n;
    if (!runtime::init_table_in_bounds(*instance, table, segment, &dst, &from, &entries))
      return trap(vmctx, TrapReason::kTableOutOfBounds);
    if (!pay(vmctx, entries * kBulkBytesPerFuel)) return;
    in_pieces(vmctx, entries, kBulkPieceEntries, [&](u64 done, u64 piece) {
      runtime::init_table(instance, table, segment, dst + done, from + done, piece);
    });
  });
}

extern "C" void wring_lib_table_copy(wring_vmctx* vmctx, u32 dst_table, u32 src_table, u64 dst,
                                     u64 src, u64 n) {
  return guarded_call(vmctx, [&] {
    runtime::Table* to = table_of(vmctx, dst_table);
    runtime::Table* from = table_of(vmctx, src_table);
    if (!range_in_bounds(&dst, &n, to->view.size) || !range_in_bounds(&src, &n, from->view.size))
      return trap(vmctx, TrapReason::kTableOutOfBounds);
    u64 entry_bytes = to->entry_bytes();
    if (n == 0 || !pay(vmctx, n * entry_bytes)) return;
    // Validation saw to it that both hold references of one kind.
    bool is_upward = to != from || dst <= src;
    in_pieces(vmctx, n, kBulkPieceEntries, [&](u64 done, u64 piece) {
      u64 at = is_upward ? done : n - done - piece;
      __builtin_memmove(reinterpret_cast<u8*>(to->view.words) + (dst + at) * entry_bytes,
                        reinterpret_cast<const u8*>(from->view.words) + (src + at) * entry_bytes,
                        piece * entry_bytes);
    });
  });
}

extern "C" void wring_lib_elem_drop(wring_vmctx* vmctx, u32 segment) {
  return guarded_call(vmctx, [&] { runtime::instance_of(vmctx)->dropped_elements.set(segment); });
}

// ---- exceptions ----

extern "C" wring_exception* wring_lib_exn_new(wring_vmctx* vmctx, u32 tag, u32 func, u32 origin) {
  return guarded_call(vmctx, [&]() -> wring_exception* {
    wring_instance* instance = runtime::instance_of(vmctx);
    u32 words = runtime::value_words(instance->module().tag_type(tag));
    if (!pay(vmctx, u64{words} * sizeof(u64))) return nullptr;  // for clearing them
    wring_exception* exception = instance->exceptions.take(words);
    if (!exception) {
      if (!runtime::collect_exceptions(vmctx, pay_and_check_time)) return nullptr;
      exception = instance->exceptions.take(words);
    }
    if (!exception && vmctx->may_sleep) {
      SleepSection section(vmctx);
      if (instance->exceptions.grow()) exception = instance->exceptions.take(words);
    }
    if (!exception) {
      trap(vmctx, TrapReason::kOutOfExceptions);
      return nullptr;
    }
    exception->tag = vmctx->tags[tag];
    exception->throw_func = func;
    exception->throw_offset = origin;
    exception->value_words = words;
    return exception;
  });
}

extern "C" void wring_lib_exn_free(wring_vmctx* vmctx, wring_exception* exception) {
  if (!exception->is_escaped) runtime::free_exception(vmctx, exception);
}

extern "C" u32 wring_lib_uncaught(wring_vmctx* vmctx) {
  wring_exception* exception = vmctx->exception;
  if (!exception) return WRING_TRAP_None;
  vmctx->exception = nullptr;
  vmctx->trap_frame_count = 0;
  runtime::restore_stack_pointers(runtime::instance_of(vmctx));
  guarded_call(vmctx, [&] { runtime::record_uncaught(vmctx, *exception); });
  wring_lib_exn_free(vmctx, exception);
  return vmctx->trap_reason;
}

// ---- atomics ----

namespace {

// What wait and notify check alike (spec of the threads proposal). nullptr: trapped.
const u8* atomic_address(wring_vmctx* vmctx, u32 memory, u64 address, u32 bytes) {
  const wring_memory_view* view = vmctx->memories[memory];
  u64 n = bytes;
  if (address % bytes == 0 && range_in_bounds(&address, &n, view->bytes))
    return view->base + address;
  trap(vmctx, address % bytes ? TrapReason::kUnalignedAtomic : TrapReason::kMemoryOutOfBounds);
  return nullptr;
}

u32 atomic_wait(wring_vmctx* vmctx, u32 memory, u64 address, u32 bytes, u64 expected, i64 timeout) {
  const u8* at = atomic_address(vmctx, memory, address, bytes);
  if (!at) return 0;
  if (!runtime::instance_of(vmctx)->memories[memory]->type.is_shared) {
    trap(vmctx, TrapReason::kExpectedSharedMemory);
    return 0;
  }
  u64 now = bytes == 4 ? __atomic_load_n(reinterpret_cast<const u32*>(at), __ATOMIC_SEQ_CST)
                       : __atomic_load_n(reinterpret_cast<const u64*>(at), __ATOMIC_SEQ_CST);
  if (now != expected) return WRING_WAIT_NOT_EQUAL;
  if (timeout == 0) return WRING_WAIT_TIMED_OUT;
  if (!vmctx->may_sleep) {
    trap(vmctx, TrapReason::kWouldBlock);
    return 0;
  }
  SleepSection section(vmctx);
  wring_wait_result result = wring_os_wait(at, bytes, expected, timeout);
  if (result == WRING_WAIT_INTERRUPTED) trap(vmctx, TrapReason::kInterrupted);
  return static_cast<u32>(result);
}

}  // namespace

extern "C" u32 wring_lib_atomic_wait32(wring_vmctx* vmctx, u32 memory, u64 address, u32 expected,
                                       i64 timeout) {
  return guarded_call(vmctx,
                      [&] { return atomic_wait(vmctx, memory, address, 4, expected, timeout); });
}

extern "C" u32 wring_lib_atomic_wait64(wring_vmctx* vmctx, u32 memory, u64 address, u64 expected,
                                       i64 timeout) {
  return guarded_call(vmctx,
                      [&] { return atomic_wait(vmctx, memory, address, 8, expected, timeout); });
}

extern "C" u32 wring_lib_atomic_notify(wring_vmctx* vmctx, u32 memory, u64 address, u32 count) {
  return guarded_call(vmctx, [&]() -> u32 {
    const u8* at = atomic_address(vmctx, memory, address, 4);
    // Nobody waits on a memory that is not shared; and waking takes locks, which hooks must not.
    if (!at || !runtime::instance_of(vmctx)->memories[memory]->type.is_shared || !vmctx->may_sleep)
      return 0;
    return wring_os_notify(at, count);
  });
}
