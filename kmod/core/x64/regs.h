// SPDX-License-Identifier: GPL-2.0
// x86-64 registers and the roles generated code gives them.
#pragma once

#include "core/regalloc/lir.h"

namespace wring::x64 {

// Numbered as the machine encodes them, which is also how ra::PReg numbers them.
enum Reg : u8 {
  kRax,
  kRcx,
  kRdx,
  kRbx,
  kRsp,
  kRbp,
  kRsi,
  kRdi,
  kR8,
  kR9,
  kR10,
  kR11,
  kR12,
  kR13,
  kR14,
  kR15,
  kNoReg = 0xff,
};

// Pinned registers, and the scratch register that is never live between LIR instructions.
constexpr Reg kMemoryBase = kR15, kVmCtx = kR14, kFuel = kR13, kScratch = kR11;

// Wasm calls; what does not fit goes to the stack (x64.h).
constexpr Reg kArgRegs[] = {kRdi, kRsi, kRdx, kRcx, kR8, kR9};
constexpr Reg kResultRegs[] = {kRax, kRdx, kRcx, kRsi, kRdi, kR8};
constexpr u32 kArgRegCount = 6, kResultRegCount = 6;
// Host calls: rdi is the vmctx.
constexpr Reg kHostArgRegs[] = {kRsi, kRdx, kRcx, kR8, kR9};
constexpr u32 kHostArgRegCount = 5;

// In order of preference: registers that need no prefix byte first, those that calls preserve last.
constexpr ra::PReg kAllocatable[] = {kRax, kRcx, kRdx, kRsi, kRdi, kR8,
                                     kR9,  kR10, kRbx, kRbp, kR12};
constexpr ra::RegMask kCalleeSaved = ra::bit(kRbx) | ra::bit(kRbp) | ra::bit(kR12);
// What a call may change: every allocatable register but those, the scratch register and all vector
// registers.
constexpr ra::RegMask kCallClobbers = 0xffff0000 | ra::bit(kRax) | ra::bit(kRcx) | ra::bit(kRdx) |
                                      ra::bit(kRsi) | ra::bit(kRdi) | ra::bit(kR8) | ra::bit(kR9) |
                                      ra::bit(kR10) | ra::bit(kR11);

}  // namespace wring::x64
