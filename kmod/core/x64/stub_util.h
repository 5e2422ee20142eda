// SPDX-License-Identifier: GPL-2.0
// What function bodies and stubs have in common: vmctx fields, returns, indirect calls under mitigations.
#pragma once

#include "core/abi/vmctx.h"
#include "core/x64/asm.h"

namespace wring::x64 {

constexpr u32 kReturnAddressBytes = 8;

inline Mem stack(u32 offset) { return {kRsp, kNoReg, 0, false, static_cast<i32>(offset)}; }

// From the return address that an entry stub's call of the program leaves to the stub's trap exit
// (x64.h).
constexpr u32 kTrapExitDistance = 112;

// Labels and jumps of one stub.
constexpr usize kStubArenaBytes = 1 << 20;

#define WRING_VMCTX_OFFSET(field) __builtin_offsetof(struct wring_vmctx, field)

inline Mem vmctx_field(usize offset, Reg vmctx = kVmCtx) {
  return {vmctx, kNoReg, 0, false, static_cast<i32>(offset)};
}

inline void emit_return(Assembler* as, const Target& target) {
  if (target.return_thunk)
    as->jmp_address(target.return_thunk);
  else
    as->ret();
  if (target.sls) as->int3();
}

inline void emit_indirect_call(Assembler* as, const Target& target, Reg callee) {
  if (target.retpoline)
    as->call_address(target.indirect_thunks[callee]);
  else
    as->call(callee);
}

inline void emit_indirect_jump(Assembler* as, const Target& target, Reg callee) {
  if (target.retpoline)
    as->jmp_address(target.indirect_thunks[callee]);
  else
    as->jmp(Rm(callee));
  if (target.sls) as->int3();
}

// Fills up to where the trap exit belongs; `after_call` is at the call's return address.
inline void pad_to_trap_exit(Assembler* as, Label after_call) {
  if (as->out_of_memory()) return;
  WRING_ASSERT(as->size_since(after_call) <= kTrapExitDistance);
  while (!as->out_of_memory() && as->size_since(after_call) < kTrapExitDistance) as->int3();
}

}  // namespace wring::x64
