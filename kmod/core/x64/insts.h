// SPDX-License-Identifier: GPL-2.0
// LIR opcodes of x86-64 and what an instruction carries besides its operands.
#pragma once

#include "core/regalloc/lir.h"
#include "core/x64/asm.h"

namespace wring::x64 {

enum class Lir : u16 {
#define LIR(name) k##name,
#include "core/x64/insts.def"
#undef LIR
  kCount
};

enum class Src : u8 { kOperand, kImm, kMem };

// Base registers of an address: none, the next operand, or a pinned register. kConstant: the address is that of
// LoweredFunction::constants[disp].
enum class Base : u8 { kNone, kOperand, kMemory, kVmCtx, kConstant };

struct Address {
  Base base = Base::kNone;
  bool has_index = false;
  bool gs = false;
  bool faults = false;  // may be out of a linear memory's bounds
  u8 scale = 0;         // log2
  u8 operand = 0;       // number of the first operand that belongs to it: base, then index
  i32 disp = 0;
  u32 origin = 0;  // Wasm offset to report when it faults
};

// A comparison: flags of `a op b`, where a is a register or memory, b a register or slot, memory or
// immediate.
struct Condition {
  // Of floats, compared by ucomis: kCcE means equal and ordered, kCcNe the opposite.
  bool is_float = false;
  bool is_vector =
      false;  // ptest of a and b, both in registers: kCcE if they have no bit in common
  Cc cc = kCcNe;
  bool test = false;  // test instead of cmp
  Size size = Size::k32;
  bool a_in_memory = false;
  Src b = Src::kOperand;
  u8 operand = 0;  // number of the first operand: a, then b, as far as they are operands
  i32 imm = 0;
};

// Index = ra::LirInst::data.
struct Payload {
  i64 imm = 0;
  Address mem;
  Condition cond;
  Size size = Size::k32;
  Src src = Src::kOperand;
  Alu alu = Alu::kAdd;
  Shift shift = Shift::kShl;
  Unary unary = Unary::kNeg;
  Scan scan = Scan::kBsf;
  Extend extend = Extend::k32U;
  bool flag = false;
  bool is_signed = false;
  u8 imm8 = 0;
  u8 bytes = 0;
  VecOp vec = VecOp::kCount;
  u16 index = 0;
  TrapReason reason = TrapReason::kNone;
};

}  // namespace wring::x64
