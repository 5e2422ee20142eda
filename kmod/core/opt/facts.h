// SPDX-License-Identifier: GPL-2.0
// Facts: what is known about values at the point the optimizer has reached.
//
// Per value an unsigned range and the bits that may be set, first from the operation that makes it, then
// narrowed by the conditions on the path: branches taken, traps not taken. Between two values `a + c <= b`, which
// turns one bounds check into many. Facts from conditions are undone when the scope (a subtree of the
// dominator tree) they were found in is left.
#pragma once

#include "core/ir/ir.h"

namespace wring::opt {

using namespace ir;
using ir::Function;  // not wring::Function

struct ValueInfo {
  u64 lo, hi;  // inclusive, of the zero-extended value
  u64 bits;    // those that may be one
};

enum class Truth : u8 { kUnknown, kFalse, kTrue };

// Integers and floats; vectors have no infos to speak of.
constexpr u64 mask_of(Type type) {
  return type == Type::kI32 || type == Type::kF32 ? 0xffff'ffff : ~u64{0};
}
constexpr u32 width_of(Type type) { return type == Type::kI32 ? 32 : 64; }
// All bits up to the highest of x.
constexpr u64 fill_below(u64 x) { return x ? ~u64{0} >> __builtin_clzll(x) : 0; }

class Facts {
 public:
  [[nodiscard]] bool init(Function* f, Arena* scratch);

  // What the operation alone says about its result; its arguments' infos are known.
  ValueInfo derive(const Inst& inst) const;
  // Records the info of a value that has just been made (or whose instruction changed).
  [[nodiscard]] bool define(Value v);
  // Adds to a value's definition that it lies within `bound`.
  void restrict(Value v, const ValueInfo& bound);
  // As narrow as can be had cheaply.
  ValueInfo info(Value v) const;
  bool is_const(Value v, u64* bits) const;  // *bits is set only if it is

  // A condition holds or does not from here on. False when memory runs out.
  [[nodiscard]] bool assume(Value condition, bool holds);
  [[nodiscard]] bool assume_equal(Value v, u64 number) { return narrow(v, number, number); }
  [[nodiscard]] bool assume_at_most(Value v, u64 most) { return narrow(v, 0, most); }
  // a + plus <= b, in integers: whether that is known, and that it holds from here on.
  bool at_most(Value a, i64 plus, Value b) const;
  [[nodiscard]] bool assume_at_most(Value a, i64 plus, Value b) {
    return relate(decompose(a), decompose(b), plus);
  }
  // Whether a comparison's outcome is known.
  Truth evaluate(Op op, Type operand_type, Value a, Value b) const;
  Truth truth_of(Value condition) const;

  // Scopes nest.
  u32 mark() const { return log_.size(); }
  void undo_to(u32 mark);

 private:
  struct Relation {
    Value a, b;
    i64 c;  // a + c <= b
    bool exists;
  };
  struct Change {
    bool is_relation;
    u32 index;   // value, or slot in relations_
    u64 lo, hi;  // before; relation: lo is the old c, hi whether it held
  };
  struct Linear {
    Value root;
    i64 offset;
  };
  ValueInfo derive_at(const Inst& inst, u32 depth) const;
  ValueInfo info_at(Value v, u32 depth) const;
  ValueInfo derive_binary(const Inst& inst, u32 depth) const;
  [[nodiscard]] bool narrow(Value v, u64 lo, u64 hi);
  [[nodiscard]] bool assume_at(Value condition, bool holds, u32 depth);
  [[nodiscard]] bool assume_less(Value a, Value b, bool or_equal);
  Linear decompose(Value v) const;
  Relation* find(Value a, Value b) const;
  [[nodiscard]] bool relate(Linear a, Linear b, i64 slack);
  bool known(Value a, Value b, i64 c) const;

  Function* f_ = nullptr;
  Vec<ValueInfo> infos_;
  Vec<Change> log_;
  Span<Relation> relations_;  // open addressing; a slot once used stays with its pair
  u32 relations_used_ = 0;
};

}  // namespace wring::opt
