// SPDX-License-Identifier: GPL-2.0
// Products of 128 bits, which WebAssembly has to put together from 32-bit halves (compilers call a function for
// that, which is then inlined here): recognized, and left to one instruction of the machine.
//
// With a = a1:a0 and b = b1:b0 in halves, all in 64 bits:
//   low = a0 * b0, t1 = (low >> 32) + a1 * b0, t2 = (t1 & 0xffffffff) + a0 * b1
// (or a and b exchanged in t1 and t2), and the product is
//   (a1 * b1 + (t1 >> 32) + (t2 >> 32)) : (t2 << 32 | low & 0xffffffff).
// The upper half may have been summed up in any order, among other things.
#include "core/opt/gvn.h"

namespace wring::opt {

namespace {
constexpr u32 kMaxTerms = 8;
constexpr u32 kHalf = 32;
}  // namespace

// x, if v is its lower half.
Value Gvn::low_half_of(Value v) const {
  if (!is_op(v, Op::kZExtI32) || !is_op(def(v).arg[0], Op::kWrap)) return kNone;
  return def(def(v).arg[0]).arg[0];
}

// x, if v is its upper half moved down.
Value Gvn::high_half_of(Value v) const {
  Value x;
  u64 c;
  return def(v).type == Type::kI64 && match_const(v, Op::kShrU, &x, &c) && c == kHalf ? x : kNone;
}

// Whether v is x's upper half times y's lower.
bool Gvn::is_cross_product(Value v, Value x, Value low_of_y) const {
  const Inst& inst = def(v);
  if (inst.op != Op::kMul) return false;
  for (u32 side = 0; side < 2; side++)
    if (inst.arg[side] == low_of_y && high_half_of(inst.arg[1 - side]) == x) return true;
  return false;
}

// Takes t2 apart.
bool Gvn::match_partial_sums(Value t2, WideProduct* out) const {
  const Inst& second = def(t2);
  if (second.op != Op::kAdd || second.type != Type::kI64) return false;
  for (u32 i = 0; i < 2; i++) {
    Value t1 = low_half_of(second.arg[i]);
    if (t1 == kNone || !is_op(t1, Op::kAdd)) continue;
    const Inst& first = def(t1);
    for (u32 j = 0; j < 2; j++) {
      Value low = high_half_of(first.arg[j]);
      if (low == kNone || !is_op(low, Op::kMul)) continue;
      Value a0 = def(low).arg[0], b0 = def(low).arg[1];
      Value a = low_half_of(a0), b = low_half_of(b0);
      if (a == kNone || b == kNone) continue;
      Value cross1 = first.arg[1 - j], cross2 = second.arg[1 - i];
      if ((is_cross_product(cross1, a, b0) && is_cross_product(cross2, b, a0)) ||
          (is_cross_product(cross1, b, a0) && is_cross_product(cross2, a, b0))) {
        *out = {a, b, low, t1};
        return true;
      }
    }
  }
  return false;
}

// An addition that completes the upper half: what replaces it, or kNone.
Value Gvn::match_high_product(const Inst& inst) {
  if (inst.type != Type::kI64) return kNone;
  auto may_complete = [this](Value v) { return is_op(v, Op::kMul) || high_half_of(v) != kNone; };
  if (!may_complete(inst.arg[0]) && !may_complete(inst.arg[1])) return kNone;
  Value terms[kMaxTerms] = {inst.arg[0], inst.arg[1]};
  u32 count = 2;
  for (u32 i = 0; i < count;) {
    if (!is_op(terms[i], Op::kAdd) || count == kMaxTerms) {
      i++;
      continue;
    }
    const Inst& sum = def(terms[i]);
    terms[count++] = sum.arg[1];
    terms[i] = sum.arg[0];
  }
  for (u32 i = 0; i < count; i++) {
    Value t2 = high_half_of(terms[i]);
    WideProduct p;
    if (t2 == kNone || !match_partial_sums(t2, &p)) continue;
    u32 carry = kNone, top = kNone;
    for (u32 j = 0; j < count; j++) {
      const Inst& term = def(terms[j]);
      if (high_half_of(terms[j]) == p.t1) carry = j;
      if (term.op == Op::kMul &&
          ((high_half_of(term.arg[0]) == p.a && high_half_of(term.arg[1]) == p.b) ||
           (high_half_of(term.arg[0]) == p.b && high_half_of(term.arg[1]) == p.a)))
        top = j;
    }
    if (carry == kNone || top == kNone) continue;
    // Both halves, side by side: one of them may not be needed, but if both are, they cost one instruction.
    Value sum = make(Op::kMulHiU, Type::kI64, p.a, p.b);
    make(Op::kMul, Type::kI64, p.a, p.b);
    for (u32 j = 0; j < count && !failed_; j++)
      if (j != i && j != carry && j != top) sum = make(Op::kAdd, Type::kI64, terms[j], sum);
    return sum;
  }
  return kNone;
}

// The lower half, from its two pieces in disjoint bits.
Value Gvn::match_low_product(const Inst& inst) {
  if (inst.type != Type::kI64) return kNone;
  for (u32 side = 0; side < 2; side++) {
    Value t2;
    u64 c;
    WideProduct p;
    Value low = low_half_of(inst.arg[1 - side]);
    if (low != kNone && match_const(inst.arg[side], Op::kShl, &t2, &c) && c == kHalf &&
        match_partial_sums(t2, &p) && p.low == low) {
      make(Op::kMulHiU, Type::kI64, p.a, p.b);
      return make(Op::kMul, Type::kI64, p.a, p.b);
    }
  }
  return kNone;
}

}  // namespace wring::opt
