// SPDX-License-Identifier: GPL-2.0
// Algebraic simplification: integer operations, conversions, select, addresses.
#include "core/opt/gvn.h"

namespace wring::opt {

namespace {

constexpr u32 kMaxRounds = 6;

bool is_commutative(Op op) {
  switch (op) {
    case Op::kAdd:
    case Op::kMul:
    case Op::kMulHiU:
    case Op::kMulHiS:
    case Op::kAnd:
    case Op::kOr:
    case Op::kXor:
    case Op::kEq:
    case Op::kNe: return true;
    default: return false;
  }
}

}  // namespace

Value Gvn::simplify(Inst* inst) {
  for (u32 round = 0; round < kMaxRounds; round++) {
    u64 bits;
    if (fold_constants(*inst, &bits)) return constant(inst->type, bits);
    Inst before = *inst;
    if (is_commutative(inst->op)) {
      // Constants to the right, else by number: equal operations look equal.
      u64 bits_left, bits_right;
      bool left = is_const(inst->arg[0], &bits_left), right = is_const(inst->arg[1], &bits_right);
      if (left > right || (left == right && inst->arg[0] > inst->arg[1]))
        swap(inst->arg[0], inst->arg[1]);
    }
    Value v;
    if (is_compare(inst->op))
      v = simplify_compare(inst);
    else if (inst->op == Op::kSelect)
      v = simplify_select(inst);
    else if (inst->count == 2)
      v = simplify_binary(inst);
    else
      v = simplify_unary(inst);
    if (v != kNone || failed_) return v;
    if (equal_insts(before, *inst)) return kNone;
  }
  return kNone;
}

Value Gvn::simplify_binary(Inst* inst) {
  Type type = inst->type;
  Value a = inst->arg[0], b = inst->arg[1];
  u64 c = 0, c2;
  bool known = is_const(b, &c);
  Value x;
  switch (inst->op) {
    case Op::kAdd: return simplify_add(inst);
    case Op::kAnd: return simplify_and(inst);
    case Op::kOr: return simplify_or(inst);
    case Op::kSub:
      if (a == b) return constant(type, 0);
      if (known) {
        *inst = make_inst(Op::kAdd, type, a, constant(type, 0 - c));
        return kNone;
      }
      // 0 - (0 - x); x - (0 - y)
      if (is_op(b, Op::kSub) && is_const(def(b).arg[0], &c2) && c2 == 0) {
        *inst = make_inst(Op::kAdd, type, a, def(b).arg[1]);
        return kNone;
      }
      if (is_op(a, Op::kAdd)) {
        if (def(a).arg[0] == b) return def(a).arg[1];
        if (def(a).arg[1] == b) return def(a).arg[0];
      }
      return kNone;
    case Op::kMul:
      if (!known) return kNone;
      if (c == 0) return b;
      if (c == 1) return a;
      if (c == mask_of(type)) {
        *inst = make_inst(Op::kSub, type, constant(type, 0), a);
      } else if (is_power_of_two(c)) {
        *inst = make_inst(Op::kShl, type, a, constant(type, count_trailing_zeros(c)));
      } else if (match_const(a, Op::kMul, &x, &c2)) {
        *inst = make_inst(Op::kMul, type, x, constant(type, c * c2));
      } else if (match_const(a, Op::kShl, &x, &c2)) {
        *inst = make_inst(Op::kMul, type, x, constant(type, c << (c2 % width_of(type))));
      }
      return kNone;
    case Op::kXor:
      if (a == b) return constant(type, 0);
      if (!known) return kNone;
      if (c == 0) return a;
      if (match_const(a, Op::kXor, &x, &c2)) {
        *inst = make_inst(Op::kXor, type, x, constant(type, c ^ c2));
      } else if (c == 1 && type == Type::kI32 && facts_.info(a).hi <= 1) {
        *inst = make_compare(Op::kEq, type, a, constant(type, 0));
      }
      return kNone;
    case Op::kShl:
    case Op::kShrS:
    case Op::kShrU:
    case Op::kRotl:
    case Op::kRotr: return simplify_shift(inst);
    case Op::kDivS:
    case Op::kDivU:
    case Op::kRemS:
    case Op::kRemU: return simplify_division(inst);
    case Op::kMulHiU:
      if (known && c <= 1) return constant(type, 0);
      return kNone;
    default: return kNone;
  }
}

// Constants move outwards, where they meet each other or an addressing mode.
Value Gvn::simplify_add(Inst* inst) {
  Type type = inst->type;
  Value a = inst->arg[0], b = inst->arg[1], x;
  u64 c, c2;
  if (is_const(b, &c)) {
    if (c == 0) return a;
    if (match_const(a, Op::kAdd, &x, &c2)) {
      *inst = make_inst(Op::kAdd, type, x, constant(type, c + c2));
    } else if (is_op(a, Op::kSub) && is_const(def(a).arg[0], &c2)) {
      *inst = make_inst(Op::kSub, type, constant(type, c + c2), def(a).arg[1]);
    }
    return kNone;
  }
  if (a == b) {
    *inst = make_inst(Op::kShl, type, a, constant(type, 1));
    return kNone;
  }
  for (u32 i = 0; i < 2; i++, swap(a, b)) {
    if (match_const(a, Op::kAdd, &x, &c)) {
      *inst = make_inst(Op::kAdd, type, make(Op::kAdd, type, x, b), constant(type, c));
      return kNone;
    }
    if (is_op(a, Op::kSub)) {
      if (def(a).arg[1] == b) return def(a).arg[0];
      if (is_const(def(a).arg[0], &c) && c == 0) {
        *inst = make_inst(Op::kSub, type, b, def(a).arg[1]);
        return kNone;
      }
    }
  }
  Value low = match_low_product(*inst);
  return low != kNone ? low : match_high_product(*inst);
}

Value Gvn::simplify_and(Inst* inst) {
  Type type = inst->type;
  Value a = inst->arg[0], b = inst->arg[1], x;
  u64 c, c2;
  if (a == b) return a;
  if (!is_const(b, &c)) return kNone;
  if ((facts_.info(a).bits & ~c) == 0) return a;
  if (match_const(a, Op::kAnd, &x, &c2)) {
    *inst = make_inst(Op::kAnd, type, x, constant(type, c & c2));
  } else if (match_const(a, Op::kOr, &x, &c2) && (c & c2) == 0) {
    *inst = make_inst(Op::kAnd, type, x, b);
  } else if ((is_op(a, Op::kSExt8) && c <= 0xff) || (is_op(a, Op::kSExt16) && c <= 0xffff) ||
             (is_op(a, Op::kSExt32) && c <= 0xffff'ffff)) {
    *inst = make_inst(Op::kAnd, type, def(a).arg[0], b);
  } else if (type == Type::kI64 && c <= 0xffff'ffff && is_op(a, Op::kSExtI32)) {
    x = make(Op::kZExtI32, type, def(a).arg[0]);
    *inst = make_inst(Op::kAnd, type, x, b);
  } else if (type == Type::kI64 && c == 0xffff'ffff) {
    // No constant needed.
    *inst = make_inst(Op::kZExtI32, type, make(Op::kWrap, Type::kI32, a));
  }
  return kNone;
}

Value Gvn::simplify_or(Inst* inst) {
  Type type = inst->type;
  Value a = inst->arg[0], b = inst->arg[1], x, y;
  u64 c, c2;
  if (a == b) return a;
  if (is_const(b, &c)) {
    if (c == 0) return a;
    if (c == mask_of(type)) return b;
    if (match_const(a, Op::kOr, &x, &c2))
      *inst = make_inst(Op::kOr, type, x, constant(type, c | c2));
    return kNone;
  }
  for (u32 i = 0; i < 2; i++, swap(a, b))
    if (match_const(a, Op::kShl, &x, &c) && match_const(b, Op::kShrU, &y, &c2) && x == y &&
        c + c2 == width_of(type)) {
      *inst = make_inst(Op::kRotl, type, x, constant(type, c));
      return kNone;
    }
  return match_low_product(*inst);
}

Value Gvn::simplify_shift(Inst* inst) {
  Type type = inst->type;
  Op op = inst->op;
  Value a = inst->arg[0], b = inst->arg[1], x;
  u32 width = width_of(type);
  u64 mask = mask_of(type), c, c2;
  if (!is_const(b, &c)) {
    // The count is taken modulo the width anyway.
    if (match_const(b, Op::kAnd, &x, &c) && (c & (width - 1)) == width - 1) inst->arg[1] = x;
    return kNone;
  }
  if (c >= width) {
    inst->arg[1] = constant(type, c % width);
    return kNone;
  }
  if (c == 0) return a;
  switch (op) {
    case Op::kShl:
      if (match_const(a, Op::kShl, &x, &c2)) {
        if (c + c2 >= width) return constant(type, 0);
        *inst = make_inst(op, type, x, constant(type, c + c2));
      } else if (match_const(a, Op::kShrU, &x, &c2) && c == c2) {
        *inst = make_inst(Op::kAnd, type, x, constant(type, (mask << c) & mask));
      }
      return kNone;
    case Op::kShrU:
      if (match_const(a, Op::kShrU, &x, &c2)) {
        if (c + c2 >= width) return constant(type, 0);
        *inst = make_inst(op, type, x, constant(type, c + c2));
      } else if (match_const(a, Op::kShl, &x, &c2) && c == c2) {
        *inst = make_inst(Op::kAnd, type, x, constant(type, mask >> c));
      }
      return kNone;
    case Op::kShrS:
      if (facts_.info(a).hi <= mask >> 1) {
        *inst = make_inst(Op::kShrU, type, a, b);
      } else if (match_const(a, Op::kShrS, &x, &c2)) {
        *inst = make_inst(op, type, x, constant(type, min<u64>(c + c2, width - 1)));
      } else if (match_const(a, Op::kShl, &x, &c2) && c == c2) {
        if (c == width - 8) *inst = make_inst(Op::kSExt8, type, x);
        if (c == width - 16) *inst = make_inst(Op::kSExt16, type, x);
        if (c == 32 && width == 64) *inst = make_inst(Op::kSExt32, type, x);
      }
      return kNone;
    case Op::kRotr: *inst = make_inst(Op::kRotl, type, a, constant(type, width - c)); return kNone;
    default:  // kRotl
      if (match_const(a, Op::kRotl, &x, &c2))
        *inst = make_inst(op, type, x, constant(type, c + c2));
      return kNone;
  }
}

Value Gvn::simplify_unary(Inst* inst) {
  if (inst->count != 1) return kNone;
  Type type = inst->type;
  Value a = inst->arg[0], x;
  const Inst arg = def(a);
  u64 c;
  u64 hi = arg.type == Type::kVoid ? 0 : facts_.info(a).hi;
  bool is_load = arg.op == Op::kLoad || arg.op == Op::kLoadRaw;
  switch (inst->op) {
    case Op::kWrap:
      if (arg.op == Op::kZExtI32 || arg.op == Op::kSExtI32) return arg.arg[0];
      if (arg.op == Op::kSExt32) inst->arg[0] = arg.arg[0];
      if (match_const(a, Op::kAnd, &x, &c) && (c & 0xffff'ffff) == 0xffff'ffff) inst->arg[0] = x;
      return kNone;
    case Op::kZExtI32:
      if (arg.op == Op::kWrap && facts_.info(arg.arg[0]).hi <= 0xffff'ffff) return arg.arg[0];
      if (match_const(a, Op::kAdd, &x, &c) && facts_.info(x).hi <= 0xffff'ffff - c)
        *inst = make_inst(Op::kAdd, type, make(Op::kZExtI32, type, x), constant(type, c));
      return kNone;
    case Op::kSExtI32:
      if (hi <= 0x7fff'ffff) {
        *inst = make_inst(Op::kZExtI32, type, a);
      } else if (arg.op == Op::kWrap) {
        *inst = make_inst(Op::kSExt32, type, arg.arg[0]);
      }
      return kNone;
    case Op::kSExt32:
      if (hi <= 0x7fff'ffff || arg.op == Op::kSExtI32 || arg.op == Op::kSExt32 ||
          arg.op == Op::kSExt16 || arg.op == Op::kSExt8 ||
          (is_load && static_cast<MemKind>(arg.aux) == MemKind::k32S))
        return a;
      if (arg.op == Op::kZExtI32) *inst = make_inst(Op::kSExtI32, type, arg.arg[0]);
      return kNone;
    case Op::kSExt16:
    case Op::kSExt8: {
      bool from8 = inst->op == Op::kSExt8;
      if (hi <= (from8 ? 0x7f : 0x7fff) || arg.op == Op::kSExt8 || arg.op == inst->op) return a;
      if (is_load && (static_cast<MemKind>(arg.aux) == MemKind::k8S ||
                      (!from8 && static_cast<MemKind>(arg.aux) == MemKind::k16S)))
        return a;
      u64 low = from8 ? 0xff : 0xffff;
      if (match_const(a, Op::kAnd, &x, &c) && (c & low) == low) inst->arg[0] = x;
      return kNone;
    }
    case Op::kBitcast: return arg.op == Op::kBitcast ? arg.arg[0] : kNone;
    case Op::kBswap: return arg.op == Op::kBswap ? arg.arg[0] : kNone;
    case Op::kBswap16:
      if (arg.op == Op::kBswap16) return make(Op::kAnd, type, arg.arg[0], constant(type, 0xffff));
      if (match_const(a, Op::kAnd, &x, &c) && (c & 0xffff) == 0xffff) inst->arg[0] = x;
      return kNone;
    default: return kNone;
  }
}

Value Gvn::simplify_select(Inst* inst) {
  Type type = inst->type;
  bool inverted = false;
  simplify_condition(&inst->arg[0], &inverted);
  if (inverted) swap(inst->arg[1], inst->arg[2]);
  Value condition = inst->arg[0], a = inst->arg[1], b = inst->arg[2];
  if (a == b) return a;
  Truth truth = facts_.truth_of(condition);
  if (truth != Truth::kUnknown) return truth == Truth::kTrue ? a : b;
  u64 x, y;
  if (type != Type::kI32 && type != Type::kI64) return kNone;
  if (!is_const(a, &x) || !is_const(b, &y) || (x | y) != 1) return kNone;
  // The condition itself, or its inverse, as a number.
  Value bit = condition;
  if (y == 1)
    bit = compare(Op::kEq, Type::kI32, condition, constant(Type::kI32, 0));
  else if (facts_.info(condition).hi > 1)
    bit = compare(Op::kNe, Type::kI32, condition, constant(Type::kI32, 0));
  return type == Type::kI64 ? make(Op::kZExtI32, type, bit) : bit;
}

// Of an access with index root + c: to the anchor of the root and a greater offset.
void Gvn::fold_to_anchor(Inst* inst, Value root, u64 c) {
  Value anchor = anchor_of(root), x;
  u64 from;
  if (anchor == kNone || anchor == inst->arg[0] || !match_const(anchor, Op::kAdd, &x, &from))
    return;
  u64 above = (c - from) & 0xffff'ffff;
  if (facts_.info(anchor).hi > 0xffff'ffff - above ||
      static_cast<u64>(inst->imm) + above > 0x7fff'ffff)
    return;
  inst->imm += static_cast<i64>(above);
  inst->arg[0] = anchor;
}

// Moves constants from an access's address into its offset.
void Gvn::fold_address(Inst* inst) {
  if (inst->op == Op::kLoadGs) return;
  bool linear = is_linear(inst->op);
  Value x;
  u64 c;
  if (linear) {
    // The index wraps at 32 bits, the sum of index and offset does not.
    if (is_const(inst->arg[0], &c)) {
      if (c && static_cast<u64>(inst->imm) + c <= 0xffff'ffff) {
        inst->imm += static_cast<i64>(c);
        inst->arg[0] = constant(Type::kI32, 0);
      }
      return;
    }
    while (match_const(inst->arg[0], Op::kAdd, &x, &c)) {
      if (facts_.info(x).hi > 0xffff'ffff - c || static_cast<u64>(inst->imm) + c > 0xffff'ffff)
        return fold_to_anchor(inst, x, c);
      inst->imm += static_cast<i64>(c);
      inst->arg[0] = x;
    }
    return fold_to_anchor(inst, inst->arg[0], 0);
  }
  while (match_const(inst->arg[0], Op::kAdd, &x, &c)) {
    i64 sum;
    if (__builtin_add_overflow(inst->imm, static_cast<i64>(c), &sum) || !fits_i32(sum)) return;
    inst->imm = sum;
    inst->arg[0] = x;
  }
}

}  // namespace wring::opt
