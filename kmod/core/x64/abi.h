// SPDX-License-Identifier: GPL-2.0
// How Wasm calls pass values: which go into registers, and where in the stack area the others are.
//
// Integers and references take kArgRegs and kResultRegs in turn, floats and vectors xmm0 to xmm7, each class
// on its own. What is left takes 8 bytes of the stack area each, v128 16 aligned to 16, in order. Arguments
// and results share the area, both from its start: a function stores a stack result only when it needs no
// stack parameter any more. The area starts at [rsp] before the call pushes the return address and is at
// least `tail_bytes` of the callee's module, so that a tail call finds room for its arguments there.
#pragma once

#include "core/base/arena.h"
#include "core/wasm/types.h"
#include "core/x64/regs.h"

namespace wring::x64 {

struct Place {
  ra::PReg reg;  // kNoPReg: on the stack
  u32 offset;    // there, in bytes
};

// Floats and vectors, which live in vector registers.
constexpr bool is_vector(ValType type) {
  return type == ValType::kF32 || type == ValType::kF64 || type == ValType::kV128;
}
// What a value takes of the stack area.
u32 stack_bytes_of(ValType type);

struct CallLayout {
  Span<Place> params;
  Span<Place> results;
  u32 param_bytes = 0;   // of the stack area
  u32 result_bytes = 0;  // likewise
  u32 area_bytes() const { return max(param_bytes, result_bytes); }
};

// The layout of calls of that type. False when memory runs out.
bool layout_call(const FuncType& type, Arena* arena, CallLayout* out);

}  // namespace wring::x64
