// SPDX-License-Identifier: GPL-2.0
// Simplification of comparisons. What leaves here is eq, ne, lt or ge, with a constant on the right.
#include "core/opt/gvn.h"

namespace wring::opt {

Op inverse(Op op) {
  switch (op) {
    case Op::kEq: return Op::kNe;
    case Op::kNe: return Op::kEq;
    case Op::kLtS: return Op::kGeS;
    case Op::kLtU: return Op::kGeU;
    case Op::kLeS: return Op::kGtS;
    case Op::kLeU: return Op::kGtU;
    case Op::kGtS: return Op::kLeS;
    case Op::kGtU: return Op::kLeU;
    case Op::kGeS: return Op::kLtS;
    default: return Op::kLtU;
  }
}

Op swapped(Op op) {
  switch (op) {
    case Op::kLtS: return Op::kGtS;
    case Op::kLtU: return Op::kGtU;
    case Op::kLeS: return Op::kGeS;
    case Op::kLeU: return Op::kGeU;
    case Op::kGtS: return Op::kLtS;
    case Op::kGtU: return Op::kLtU;
    case Op::kGeS: return Op::kLeS;
    case Op::kGeU: return Op::kLeU;
    default: return op;
  }
}

Value Gvn::simplify_compare(Inst* inst) {
  Type type = inst->operand_type;
  Truth truth = facts_.evaluate(inst->op, type, inst->arg[0], inst->arg[1]);
  if (truth != Truth::kUnknown) return constant(Type::kI32, truth == Truth::kTrue);

  u64 c, left;
  bool known = is_const(inst->arg[1], &c);
  bool swap_sides =
      is_const(inst->arg[0], &left) || (!known && (inst->op == Op::kGtS || inst->op == Op::kGtU ||
                                                   inst->op == Op::kLeS || inst->op == Op::kLeU));
  if (swap_sides) {
    *inst = make_compare(swapped(inst->op), type, inst->arg[1], inst->arg[0]);
    known = is_const(inst->arg[1], &c);
  }
  if (known) {
    // x > c is x >= c + 1, unless that wraps.
    bool above = inst->op == Op::kGtS || inst->op == Op::kGtU;
    bool not_above = inst->op == Op::kLeS || inst->op == Op::kLeU;
    u64 most = inst->op == Op::kGtU || inst->op == Op::kLeU ? mask_of(type) : mask_of(type) >> 1;
    if (above || not_above) {
      if (c == most) return constant(Type::kI32, not_above);
      Op op = above ? (inst->op == Op::kGtS ? Op::kGeS : Op::kGeU)
                    : (inst->op == Op::kLeS ? Op::kLtS : Op::kLtU);
      *inst = make_compare(op, type, inst->arg[0], constant(type, c + 1));
      return kNone;
    }
  }
  u64 positive = mask_of(type) >> 1;
  if ((inst->op == Op::kLtS || inst->op == Op::kGeS) && facts_.info(inst->arg[0]).hi <= positive &&
      facts_.info(inst->arg[1]).hi <= positive)
    inst->op = inst->op == Op::kLtS ? Op::kLtU : Op::kGeU;
  Value v = narrow_compare(inst);
  if (v != kNone || !known || inst->operand_type != type) return v;
  return compare_constant(inst, c);
}

// 64-bit comparisons of extended 32-bit values.
Value Gvn::narrow_compare(Inst* inst) {
  if (inst->operand_type != Type::kI64) return kNone;
  const Inst a = def(inst->arg[0]), b = def(inst->arg[1]);
  bool is_signed = inst->op == Op::kLtS || inst->op == Op::kGeS;
  u64 c;
  bool known = is_const(inst->arg[1], &c);
  if (a.op == Op::kZExtI32 && !is_signed) {
    // (A zero-extended value is not negative: signed comparisons have become unsigned before.)
    if (b.op == Op::kZExtI32)
      *inst = make_compare(inst->op, Type::kI32, a.arg[0], b.arg[0]);
    else if (known && c <= 0xffff'ffff)
      *inst = make_compare(inst->op, Type::kI32, a.arg[0], constant(Type::kI32, c));
  } else if (a.op == Op::kSExtI32) {
    bool order_kept = is_signed || inst->op == Op::kEq || inst->op == Op::kNe;
    if (order_kept && b.op == Op::kSExtI32)
      *inst = make_compare(inst->op, Type::kI32, a.arg[0], b.arg[0]);
    else if (order_kept && known && fits_i32(static_cast<i64>(c)))
      *inst = make_compare(inst->op, Type::kI32, a.arg[0], constant(Type::kI32, c));
  }
  return kNone;
}

// The lower bits of x - d, x being no wider than they: where the wrapped half is out of the way, as it is. What uses it
// must not tell values from `limit` on apart. Characters are tested so.
Value Gvn::unmasked_difference(Value v, u64 limit) const {
  Value sum, x;
  u64 mask, c;
  if (!match_const(v, Op::kAnd, &sum, &mask) || (mask & (mask + 1)) != 0 ||
      !match_const(sum, Op::kAdd, &x, &c) || facts_.info(x).hi > mask)
    return kNone;
  u64 d = (0 - c) & mask_of(def(v).type);
  return d <= mask && limit <= mask + 1 - d ? sum : kNone;
}

// inst compares with the constant c.
Value Gvn::compare_constant(Inst* inst, u64 c) {
  bool is_equality = inst->op == Op::kEq || inst->op == Op::kNe;
  if (is_equality || inst->op == Op::kLtU || inst->op == Op::kGeU) {
    Value difference = unmasked_difference(inst->arg[0], c + is_equality);
    if (difference != kNone) {
      inst->arg[0] = difference;
      return kNone;
    }
  }
  Type type = inst->operand_type;
  Value a = inst->arg[0], x;
  const Inst arg = def(a);
  u64 mask = mask_of(type), c2;
  if (c == 1 && inst->op == Op::kLtU) {
    *inst = make_compare(Op::kEq, type, a, constant(type, 0));
    return kNone;
  }
  if (c == 1 && inst->op == Op::kGeU) {
    *inst = make_compare(Op::kNe, type, a, constant(type, 0));
    return kNone;
  }
  if (inst->op != Op::kEq && inst->op != Op::kNe) return kNone;
  bool equal = inst->op == Op::kEq;
  ValueInfo info = facts_.info(a);
  if (type == Type::kI32 && info.hi <= 1) {
    // Of a truth value (c is 0 or 1, else the outcome were known).
    if ((c == 1) == equal) return a;
    if (is_compare(arg.op)) {
      *inst = make_compare(inverse(arg.op), arg.operand_type, arg.arg[0], arg.arg[1]);
      return kNone;
    }
    if (!equal) *inst = make_compare(Op::kEq, type, a, constant(type, 0));
    return kNone;
  }
  if (match_const(a, Op::kAdd, &x, &c2)) {
    *inst = make_compare(inst->op, type, x, constant(type, (c - c2) & mask));
  } else if (match_const(a, Op::kXor, &x, &c2)) {
    *inst = make_compare(inst->op, type, x, constant(type, c ^ c2));
  } else if (c == 0 && (arg.op == Op::kSub || arg.op == Op::kXor)) {
    *inst = make_compare(inst->op, type, arg.arg[0], arg.arg[1]);
  } else if (arg.op == Op::kBswap) {
    u64 reversed =
        type == Type::kI32 ? __builtin_bswap32(static_cast<u32>(c)) : __builtin_bswap64(c);
    *inst = make_compare(inst->op, type, arg.arg[0], constant(type, reversed));
  } else if (arg.op == Op::kBswap16 && facts_.info(arg.arg[0]).hi <= 0xffff) {
    *inst = make_compare(inst->op, type, arg.arg[0],
                         constant(type, __builtin_bswap16(static_cast<u16>(c))));
  } else if (match_const(a, Op::kAnd, &x, &c2) && is_power_of_two(c2) && c == c2) {
    // A single bit: compare with zero.
    *inst = make_compare(equal ? Op::kNe : Op::kEq, type, a, constant(type, 0));
  } else if (arg.op == Op::kWrap && facts_.info(arg.arg[0]).hi <= 0xffff'ffff) {
    *inst = make_compare(inst->op, Type::kI64, arg.arg[0], constant(Type::kI64, c));
  }
  return kNone;
}

}  // namespace wring::opt
