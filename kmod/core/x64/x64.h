// SPDX-License-Identifier: GPL-2.0
// The x86-64 back end's interface: IR function in, machine code appended to a CodeBuilder.
//
// Register conventions of generated code:
//   r15  base of linear memory 0        r14  vmctx        r13  fuel left (signed; traps below 0)
//   r11  scratch, never allocated        rsp  stack; no frame pointer
//   xmm15 vector scratch, never allocated
//   Wasm calls: integer arguments in rdi rsi rdx rcx r8 r9, results in rax rdx rcx rsi rdi r8, floats
//   and vectors in xmm0-xmm7 both ways, the rest on the stack (abi.h); rbx rbp r12 (and r13-r15) are
//   preserved, everything else is clobbered.
//   MXCSR holds its default (round to nearest, no exceptions, no flush to zero) in code that uses
//   vector registers.
//   Host and library calls: the C ABI with the vmctx in rdi first; fuel is stored to and reloaded
//   from the vmctx.
#pragma once

#include "core/abi/hook.h"
#include "core/ir/ir.h"
#include "core/link/binding.h"
#include "core/link/code.h"
#include "core/regalloc/allocate.h"
#include "core/x64/regs.h"

namespace wring::x64 {

// CpuFeature bits of the CPU this runs on.
u32 cpu_features();

struct FunctionOptions {
  // The prologue traps if rsp - frame is below vmctx->stack_limit. Frames of up to kSmallFrameBytes
  // may compare rsp alone (the limit leaves room for one). Frames beyond that are always checked:
  // see has_checked_stack.
  bool check_stack = false;
  u32 entry_cost = 0;  // fuel that the entry consumes
  u32 tail_bytes = 0;  // the most stack_param_bytes of a tail call of the module
};

// How much of the stack area (abi.h) the arguments of a call of that type take.
u32 stack_param_bytes(const FuncType& type);

// Lowers, allocates registers for and emits one function. check runs the allocation checker.
// Err::kLimit when the frame or the code grows too large.
Err compile_function(const ir::Function& f, const Bindings& bindings, const Target& target,
                     const FunctionOptions& options, bool check, Arena* arena, CodeBuilder* code,
                     Diag* diag);

// How an invocation starts and ends. An entry stub (array or hook entry) sets up the pinned
// registers, stores the stack pointer at its call of the program in vmctx->entry_sp, and calls. A
// trap site calls StubId::kTrap with rsp as it was in the function's body; that stores trap_pc (the
// return address), trap_sp (rsp before the call) and fuel in the current vmctx, calls
// wring_lib_record_trap on a stack aligned to 16, and goes on at StubId::kLeave: rsp = entry_sp,
// and a jump to the entry's trap exit, which lies kTrapExitDistance bytes after the return address
// that the entry's call left below entry_sp. There r13 still holds the fuel; every other register
// is lost, r14 may be another instance's. The reason is in the entered vmctx's trap_reason.
//
// Host functions must not start an invocation on an instance that is already part of one, directly
// or by bridges.

// Appends the shared stubs (StubId) of a module: those that code->uses asks for, so that they come
// after all functions.
Err emit_stubs(const Target& target, CodeBuilder* code, Diag* diag);

// Appends a stub that the host calls as  u32 stub(vmctx, u64 *argv): loads the pinned registers,
// takes the function's arguments from argv[0..], stores its results to argv[0..] (i32 and f32
// zero-extended; a v128 takes two words), returns 0 or the trap reason. vmctx->fuel is the budget and holds
// what is left afterwards. The callee runs on the stack at vmctx->stack_top. The stub sets vmctx->entry_sp, host_sp and
// nothing else of the bridged fields (the host does); it finds its own vmctx and argv
// again on its stack. tail_bytes: see FunctionOptions; likewise below. *area_bytes: what it takes of the stack for
// arguments and results in memory, unchecked.
Err emit_array_entry(const FuncType& type, u32 func, const Target& target, u32 tail_bytes,
                     CodeBuilder* code, u32* area_bytes, Diag* diag);

// What a hook's entry stub does around the program; the host's part of it is abi/hook.h. It
// only does what the functions compiled so far ask for (CodeBuilder::uses), so that it must be
// emitted after all of them:
//   save the pinned registers in use, and the callee-saved ones that a trap could leave changed
//   look at *is_timed            (if it is not 0, all the rest is done between time_begin and time_end)
//   load the vmctx               (gs-relative: gs points to where this CPU's per-CPU copies are)
//   make vmctx->turns odd        (if it was: return slow_path(vmctx, WRING_HOOK_MISS, WRING_MISS_BUSY))
//   check_at = 0
//   take one of the CPU's stacks (own_stack; there is none left: turns as before, and a miss; it is
//                                not the CPU's first: wring_lib_nest says whether that may be, and
//                                sets check_at)
//   fpu_begin()                  (0: back, turns as before, and a miss; only if the code uses vector registers)
//   hook_ctx = rdi; pkt, pkt_len; hook_args (hook_arg_count is the host's: it is there already)
//   stack_pointers               (only of programs that may leave one elsewhere without a trap)
//   switch to that stack         (or to vmctx->private_stack_top)
//   entry_sp; memory base; a slice of fuel, fuel_reserve; call
//                                (a trap: slow_path(vmctx, WRING_HOOK_TRAP, reason), trap_reason = 0;
//                                an exception: the same, by way of wring_lib_uncaught)
//   compare the verdict with its range
//                                (bad: slow_path(vmctx, WRING_HOOK_BAD_VERDICT, verdict))
//   fpu_end(), give the stack back, fuel_used, turns + 1, restore, return
// vmctx->root must be the vmctx itself. rsp is a multiple of 16 at calls of C functions if the hook
// is called as the C ABI wants.
struct HookEntry : wring_hook_entry {
  bool own_stack;     // take a stack
  bool checks_stack;  // there are checked prologues: stack_limit must be the stack's
  u32 tail_bytes;
  Span<const StackPointer> stack_pointers;  // those that do not rest are saved in the vmctx
};
// What an invocation begins with, of its fuel; 0 if the functions compiled so far use none.
u64 hook_first_slice(const HookEntry& entry, const CodeBuilder& code);
Err emit_hook_entry(const HookEntry& entry, const Target& target, CodeBuilder* code, u32* offset,
                    Diag* diag);

// Appends a bridge: an indirect entry (landing pad where IBT is on) callable from any instance,
// which runs `code_address` (an indirect entry) with the given instance's vmctx and memory base. It
// saves the caller's r14 in the qword just below its own return address (runtime/trap.cc walks
// through it), copies the bridged fields of the caller's vmctx (WRING_VMCTX_BRIDGED_*) to the
// callee's, copies stack arguments and results, leaves the fuel in its register, and on return
// restores r14, reloads r15 from it and hands vmctx->exception on. Reached by a tail call from a function that a
// bridge called it goes on in that one's frame: chains of tail calls between instances take a constant stack. Adds a
// CallSite with func kNone and origin = the distance from rsp at its call to its own return address. On a trap the
// callee unwinds past it.
Err emit_bridge(const FuncType& type, u64 vmctx, u64 code_address, const Target& target,
                u32 tail_bytes, CodeBuilder* code, u32* offset, Diag* diag);

}  // namespace wring::x64
