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

// Wasm calls; what does not fit goes to the stack (abi.h).
constexpr Reg kArgRegs[] = {kRdi, kRsi, kRdx, kRcx, kR8, kR9};
constexpr Reg kResultRegs[] = {kRax, kRdx, kRcx, kRsi, kRdi, kR8};
constexpr u32 kArgRegCount = 6, kResultRegCount = 6;
// Likewise xmm0 to xmm7, for arguments and results.
constexpr u32 kVecArgRegCount = 8;
// Host calls: rdi is the vmctx.
constexpr Reg kHostArgRegs[] = {kRsi, kRdx, kRcx, kR8, kR9};
constexpr u32 kHostArgRegCount = 5;

// In order of preference: registers that need no prefix byte first, those that calls preserve last.
constexpr ra::PReg kAllocatable[] = {kRax, kRcx, kRdx, kRsi, kRdi, kR8,
                                     kR9,  kR10, kRbx, kRbp, kR12};
// Vector registers, whose numbers as ra::PReg begin at kFirstVec. Where the assembler expects one, a Reg is its number
// without that.
constexpr ra::PReg kFirstVec = 16;
constexpr ra::PReg vec_reg(u32 number) { return static_cast<ra::PReg>(kFirstVec + number); }
constexpr Reg xmm(u32 number) { return static_cast<Reg>(number); }
constexpr u32 kVecRegs = 16;
constexpr Reg kVecScratch = xmm(15);  // never live between LIR instructions
constexpr ra::PReg kVecAllocatable[] = {16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30};
constexpr ra::RegMask kCalleeSaved = ra::bit(kRbx) | ra::bit(kRbp) | ra::bit(kR12);
// What a call may change: every allocatable register but those, the scratch register and all vector
// registers.
constexpr ra::RegMask kCallClobbers = 0xffff0000 | ra::bit(kRax) | ra::bit(kRcx) | ra::bit(kRdx) |
                                      ra::bit(kRsi) | ra::bit(kRdi) | ra::bit(kR8) | ra::bit(kR9) |
                                      ra::bit(kR10) | ra::bit(kR11);

}  // namespace wring::x64
