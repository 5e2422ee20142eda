// SPDX-License-Identifier: GPL-2.0
// Building blocks for code that makes or changes IR: instructions, edges, constants.
#pragma once

#include "core/ir/ir.h"

namespace wring::ir {

// An instruction with a fixed number of arguments, not yet part of a function.
Inst make_inst(Op op, Type type);
Inst make_inst(Op op, Type type, Value a);
Inst make_inst(Op op, Type type, Value a, Value b);
Inst make_inst(Op op, Type type, Value a, Value b, Value c);
// A comparison of operands of type `operand_type`.
Inst make_compare(Op op, Type operand_type, Value a, Value b);

// What a constant of the type looks like in Inst::imm.
constexpr i64 normalize(Type type, u64 bits) {
  bool is_narrow = type == Type::kI32 || type == Type::kF32;
  return static_cast<i64>(is_narrow ? bits & 0xffff'ffff : bits);
}

// Adds a block without instructions or edges: kNone when memory runs out.
BlockId add_block(Function* f);
// Adds an edge at the end of from's successors and to's predecessors. False when memory runs out.
bool add_edge(Function* f, BlockId from, BlockId to);

// The function's constants and its VmCtx: one instruction each per value, all in the entry block, so that
// equal constants are equal Values and every block may use them.
class ConstPool {
 public:
  // Finds the constants that f's entry block lists. The pool's own tables are in `scratch`.
  Err init(Function* f, Arena* scratch);
  // kNone when memory runs out. A new constant is listed only by flush(): until then the IR is incomplete.
  Value get(Type type, u64 bits);  // not V128
  Value get_v128(V128 value);
  Value zero(Type type) { return type == Type::kV128 ? get_v128({0, 0}) : get(type, 0); }
  Value vmctx();
  // Lists the new values in the entry block, after the parameters.
  Err flush();

 private:
  Value intern(const Inst& inst);
  Value* find(const Inst& inst);
  bool grow();

  Function* f_ = nullptr;
  Arena* scratch_ = nullptr;
  Span<Value> slots_;  // open addressing, kNone + 1 = 0 is empty: stores Value + 1
  u32 used_ = 0;
  Value vmctx_ = kNone;
  Vec<Value> fresh_;
};

}  // namespace wring::ir
