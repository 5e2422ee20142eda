// SPDX-License-Identifier: GPL-2.0
// Ranges, possible bits and order between values.
#include "core/opt/facts.h"

namespace wring::opt {

namespace {

// How far info() looks through operations whose arguments have been narrowed since, and conditions are taken apart.
constexpr u32 kDepth = 3;
constexpr u32 kLinearSteps = 6;
// Hashes are not keyed: who makes pairs collide gets no more out of it than this many looks at each.
constexpr u32 kMaxProbes = 64;

constexpr ValueInfo any(Type type) { return {0, mask_of(type), mask_of(type)}; }
constexpr ValueInfo up_to(u64 hi) { return {0, hi, fill_below(hi)}; }

ValueInfo unite(const ValueInfo& a, const ValueInfo& b) {
  return {min(a.lo, b.lo), max(a.hi, b.hi), a.bits | b.bits};
}

// Makes range and bits agree.
ValueInfo tighten(ValueInfo info) {
  info.bits &= fill_below(info.hi);
  info.hi = min(info.hi, info.bits);
  info.lo = min(info.lo, info.hi);
  return info;
}

ValueInfo loaded(MemKind kind, Type type) {
  switch (kind) {
    case MemKind::k8U: return up_to(0xff);
    case MemKind::k16U: return up_to(0xffff);
    case MemKind::k32U: return up_to(0xffff'ffff);
    default: return any(type);
  }
}

u64 low_zeros(u64 bits) { return bits ? u64{1} << count_trailing_zeros(bits) : 0; }

ValueInfo sign_extended(const ValueInfo& a, u32 from, Type type) {
  u64 sign = u64{1} << (from - 1);
  return a.hi < sign ? a : any(type);
}

}  // namespace

bool Facts::init(Function* f, Arena* scratch) {
  f_ = f;
  infos_.init(scratch);
  log_.init(scratch);
  // A pair per condition.
  u32 compares = 0;
  for (const Inst& inst : paced(f->insts)) compares += is_compare(inst.op);
  u64 slots = 64;
  while (slots < u64{compares} * 4) slots *= 2;
  relations_ = scratch->make_array<Relation>(slots);
  relations_used_ = 0;
  return relations_.data() && infos_.reserve(f->insts.size() + f->insts.size() / 4 + 64);
}

bool Facts::define(Value v) {
  if (v >= infos_.size() && !infos_.resize(usize{v} + 1)) return false;
  infos_[v] = derive(f_->insts[v]);
  return true;
}

void Facts::restrict(Value v, const ValueInfo& bound) {
  ValueInfo& info = infos_[v];
  info = tighten({max(info.lo, bound.lo), min(info.hi, bound.hi), info.bits & bound.bits});
}

bool Facts::is_const(Value v, u64* bits) const {
  const Inst& inst = f_->insts[v];
  if (inst.op != Op::kConst) return false;
  *bits = static_cast<u64>(inst.imm);
  return true;
}

ValueInfo Facts::info(Value v) const { return info_at(v, 0); }

// The stored info, sharpened by what the arguments say now: a condition narrows a value, not what was
// computed from it before.
ValueInfo Facts::info_at(Value v, u32 depth) const {
  const ValueInfo& stored = infos_[v];
  if (depth >= kDepth || stored.lo == stored.hi) return stored;
  const Inst& inst = f_->insts[v];
  switch (inst.op) {
    case Op::kAdd:
    case Op::kSub:
    case Op::kAnd:
    case Op::kShl:
    case Op::kShrU:
    case Op::kZExtI32:
    case Op::kWrap: break;
    default: return stored;
  }
  ValueInfo now = derive_at(inst, depth + 1);
  // Contradictory facts mean the point cannot be reached; any of them will do then.
  u64 lo = max(stored.lo, now.lo), hi = min(stored.hi, now.hi);
  if (lo > hi) return stored;
  return tighten({lo, hi, stored.bits & now.bits});
}

ValueInfo Facts::derive(const Inst& inst) const { return tighten(derive_at(inst, kDepth)); }

ValueInfo Facts::derive_binary(const Inst& inst, u32 depth) const {
  Type type = inst.type;
  u64 mask = mask_of(type);
  ValueInfo a = info_at(inst.arg[0], depth);
  ValueInfo b = info_at(inst.arg[1], depth);
  bool b_const = b.lo == b.hi;
  u32 shift = static_cast<u32>(b.lo) % width_of(type);
  ValueInfo out = any(type);
  u64 lo, hi;
  switch (inst.op) {
    case Op::kAdd: {
      u64 unit = low_zeros(a.bits | b.bits);
      if (!__builtin_add_overflow(a.hi, b.hi, &hi) && hi <= mask) {
        out = {a.lo + b.lo, hi, (a.bits & b.bits) ? fill_below(hi) : a.bits | b.bits};
      } else if (b_const && !__builtin_sub_overflow(a.lo, (0 - b.lo) & mask, &lo)) {
        out = {lo, a.hi - ((0 - b.lo) & mask),
               mask};  // adding a negative constant to what is large enough
      }
      if (unit) out.bits &= ~(unit - 1);
      break;
    }
    case Op::kSub:
      if (a.lo >= b.hi) out = {a.lo - b.hi, a.hi - b.lo, mask};
      break;
    case Op::kMul:
      if (!__builtin_mul_overflow(a.hi, b.hi, &hi) && hi <= mask) {
        out = {a.lo * b.lo, hi, fill_below(hi)};
        u64 unit = low_zeros(a.bits) * low_zeros(b.bits);
        if (unit) out.bits &= ~(unit - 1);
      }
      break;
    case Op::kMulHiU:
      out = up_to(static_cast<u64>((static_cast<unsigned __int128>(a.hi) * b.hi) >> 64));
      break;
    case Op::kDivU: out = {a.lo / max<u64>(b.hi, 1), a.hi / max<u64>(b.lo, 1), mask}; break;
    case Op::kRemU: out = up_to(b.hi ? min(a.hi, b.hi - 1) : a.hi); break;
    case Op::kAnd: out = {0, min(a.hi, b.hi), a.bits & b.bits}; break;
    case Op::kOr: out = {max(a.lo, b.lo), mask, a.bits | b.bits}; break;
    case Op::kXor: out.bits = a.bits | b.bits; break;
    case Op::kShl:
      if (!b_const) break;
      if (a.hi <= mask >> shift)
        out = {a.lo << shift, a.hi << shift, a.bits << shift};
      else
        out.bits = (a.bits << shift) & mask;
      break;
    case Op::kShrS:
      if (a.hi > mask >> 1) break;
      [[fallthrough]];
    case Op::kShrU:
      out = b_const ? ValueInfo{a.lo >> shift, a.hi >> shift, a.bits >> shift} : up_to(a.hi);
      break;
    case Op::kClampIndex: out = up_to(min(a.hi, b.hi ? b.hi - 1 : 0)); break;
    default: break;
  }
  return out;
}

ValueInfo Facts::derive_at(const Inst& inst, u32 depth) const {
  if (inst.type == Type::kVoid) return {0, 0, 0};
  if (is_compare(inst.op) || is_float_compare(inst.op)) return up_to(1);
  switch (inst.op) {
    case Op::kConst: {
      u64 bits = static_cast<u64>(inst.imm);
      return {bits, bits, bits};
    }
    case Op::kSelect: return unite(info_at(inst.arg[1], depth), info_at(inst.arg[2], depth));
    case Op::kClz:
    case Op::kCtz:
    case Op::kPopcnt: return up_to(width_of(inst.type));
    case Op::kBswap16: return up_to(0xffff);
    case Op::kZExtI32: return info_at(inst.arg[0], depth);
    case Op::kWrap: {
      ValueInfo a = info_at(inst.arg[0], depth);
      if (a.hi <= mask_of(Type::kI32)) return a;
      return {0, mask_of(Type::kI32), a.bits & mask_of(Type::kI32)};
    }
    case Op::kSExtI32:
    case Op::kSExt32: return sign_extended(info_at(inst.arg[0], depth), 32, inst.type);
    case Op::kSExt8: return sign_extended(info_at(inst.arg[0], depth), 8, inst.type);
    case Op::kSExt16: return sign_extended(info_at(inst.arg[0], depth), 16, inst.type);
    case Op::kLoad:
    case Op::kLoadMem:
    case Op::kLoadRaw:
    case Op::kLoadGs:
    case Op::kAtomicLoad:
    case Op::kAtomicRmw:
    case Op::kAtomicCas: return loaded(static_cast<MemKind>(inst.aux & 0xff), inst.type);
    case Op::kBitcast:
      // (The bits of a float constant are its info.)
      return inst.type == Type::kI32 || inst.type == Type::kI64 ? info_at(inst.arg[0], depth)
                                                                : any(inst.type);
    default:
      if (!Function::has_pool_args(inst.op) && inst.count == 2) return derive_binary(inst, depth);
      return any(inst.type);
  }
}

void Facts::undo_to(u32 mark) {
  while (log_.size() > mark) {
    tick();
    Change change = log_.pop();
    if (change.is_relation) {
      relations_[change.index].c = static_cast<i64>(change.lo);
      relations_[change.index].exists = change.hi;
    } else {
      infos_[change.index].lo = change.lo;
      infos_[change.index].hi = change.hi;
    }
  }
}

bool Facts::narrow(Value v, u64 lo, u64 hi) {
  for (u32 i = 0; i < kDepth; i++) {
    ValueInfo& info = infos_[v];
    lo = max(lo, info.lo);
    hi = min(hi, info.hi);
    if (lo > hi) return true;  // the point cannot be reached
    if (lo != info.lo || hi != info.hi) {
      if (!log_.push({false, v, info.lo, info.hi})) return false;
      info.lo = lo;
      info.hi = hi;
    }
    // The same number in another width.
    const Inst& inst = f_->insts[v];
    bool same = inst.op == Op::kZExtI32 ||
                (inst.op == Op::kWrap && infos_[inst.arg[0]].hi <= mask_of(Type::kI32));
    if (!same) break;
    v = inst.arg[0];
  }
  return true;
}

// v as root + offset without wrapping, through extensions.
Facts::Linear Facts::decompose(Value v) const {
  Linear out = {v, 0};
  for (u32 i = 0; i < kLinearSteps; i++) {
    const Inst& inst = f_->insts[out.root];
    if (inst.op == Op::kZExtI32) {
      out.root = inst.arg[0];
      continue;
    }
    if (inst.op == Op::kWrap && info(inst.arg[0]).hi <= mask_of(Type::kI32)) {
      out.root = inst.arg[0];
      continue;
    }
    u64 c;
    if (inst.op != Op::kAdd || !is_const(inst.arg[1], &c)) break;
    ValueInfo a = info(inst.arg[0]);
    u64 mask = mask_of(inst.type);
    u64 minus = (0 - c) & mask;
    // Offsets stay far from the limits of i64, so that sums of them do.
    if (c <= (u64{1} << 40) && a.hi <= mask - c)
      out.offset += static_cast<i64>(c);
    else if (minus <= (u64{1} << 40) && a.lo >= minus)
      out.offset -= static_cast<i64>(minus);
    else
      break;
    out.root = inst.arg[0];
  }
  return out;
}

Facts::Relation* Facts::find(Value a, Value b) const {
  u32 mask = relations_.size() - 1;
  u32 hash = static_cast<u32>(((u64{a} << 32 | b) * 0x9e37'79b9'7f4a'7c15) >> 32);
  for (u32 i = 0; i < kMaxProbes; i++) {
    Relation& r = relations_[(hash + i) & mask];
    if ((r.a == a && r.b == b) || r.a == r.b)
      return &r;  // a pair of equals is never stored: a free slot
  }
  return nullptr;
}

// root a + a's offset + slack <= root b + b's offset.
bool Facts::relate(Linear a, Linear b, i64 slack) {
  if (a.root == b.root) return true;
  i64 c = a.offset - b.offset + slack;
  Relation* r = find(a.root, b.root);
  if (!r) return true;  // one fact less
  if (r->a == r->b) {
    if ((relations_used_ + 1) * 2 > relations_.size()) return true;  // full: likewise
    relations_used_++;
    r->a = a.root;
    r->b = b.root;
    r->exists = false;
  }
  if (r->exists && r->c >= c) return true;
  if (!log_.push(
          {true, static_cast<u32>(r - relations_.data()), static_cast<u64>(r->c), r->exists}))
    return false;
  r->c = c;
  r->exists = true;
  return true;
}

// Whether a + c <= b is known.
bool Facts::known(Value a, Value b, i64 c) const {
  const Relation* r = find(a, b);
  return r && r->a != r->b && r->exists && r->c >= c;
}

bool Facts::at_most(Value a, i64 plus, Value b) const {
  ValueInfo x = info(a), y = info(b);
  constexpr u64 kFar = u64{1} << 62;
  if (x.hi < kFar && y.lo < kFar && static_cast<i64>(x.hi) + plus <= static_cast<i64>(y.lo))
    return true;
  Linear p = decompose(a), q = decompose(b);
  if (p.root == q.root) return p.offset + plus <= q.offset;
  return known(p.root, q.root, p.offset + plus - q.offset);
}

bool Facts::assume_less(Value a, Value b, bool or_equal) {
  ValueInfo x = info(a), y = info(b);
  u64 strict = or_equal ? 0 : 1;
  if (y.hi < strict || x.lo > ~u64{0} - strict) return true;  // cannot be
  return narrow(a, 0, y.hi - strict) && narrow(b, x.lo + strict, ~u64{0}) &&
         relate(decompose(a), decompose(b), static_cast<i64>(strict));
}

bool Facts::assume(Value condition, bool holds) { return assume_at(condition, holds, 0); }

bool Facts::assume_at(Value condition, bool holds, u32 depth) {
  if (!(holds ? narrow(condition, 1, ~u64{0}) : narrow(condition, 0, 0))) return false;
  const Inst& inst = f_->insts[condition];
  if (depth < kDepth && (inst.op == Op::kAnd || inst.op == Op::kOr) &&
      infos_[inst.arg[0]].hi <= 1 && infos_[inst.arg[1]].hi <= 1 && (inst.op == Op::kAnd) == holds)
    return assume_at(inst.arg[0], holds, depth + 1) && assume_at(inst.arg[1], holds, depth + 1);
  if (!is_compare(inst.op)) return true;
  Value a = inst.arg[0], b = inst.arg[1];
  ValueInfo x = info(a), y = info(b);
  u64 sign = mask_of(inst.operand_type) / 2 + 1;
  bool same_as_unsigned = x.hi < sign && y.hi < sign;
  switch (inst.op) {
    case Op::kEq:
    case Op::kNe:
      if ((inst.op == Op::kEq) == holds) return narrow(a, y.lo, y.hi) && narrow(b, x.lo, x.hi);
      if (y.lo == y.hi && x.lo < x.hi) {
        if (x.lo == y.lo) return narrow(a, x.lo + 1, x.hi);
        if (x.hi == y.lo) return narrow(a, x.lo, x.hi - 1);
      }
      return true;
    case Op::kLtS:
    case Op::kGeS:
      if (!same_as_unsigned) {
        // At least a non-negative number: then itself not negative.
        bool at_least = (inst.op == Op::kGeS) == holds;
        return !at_least || y.hi >= sign || narrow(a, y.lo, sign - 1);
      }
      [[fallthrough]];
    case Op::kLtU:
    case Op::kGeU: {
      bool less = (inst.op == Op::kLtU || inst.op == Op::kLtS) == holds;
      return less ? assume_less(a, b, false) : assume_less(b, a, true);
    }
    case Op::kGtS:
    case Op::kLeS:
      if (!same_as_unsigned) return true;
      [[fallthrough]];
    case Op::kGtU:
    case Op::kLeU: {
      bool greater = (inst.op == Op::kGtU || inst.op == Op::kGtS) == holds;
      return greater ? assume_less(b, a, false) : assume_less(a, b, true);
    }
    default: return true;
  }
}

Truth Facts::truth_of(Value condition) const {
  ValueInfo x = info(condition);
  return x.hi == 0 ? Truth::kFalse : x.lo > 0 ? Truth::kTrue : Truth::kUnknown;
}

Truth Facts::evaluate(Op op, Type operand_type, Value a, Value b) const {
  auto truth = [](bool value) { return value ? Truth::kTrue : Truth::kFalse; };
  if (op == Op::kGtS || op == Op::kGtU || op == Op::kLeS || op == Op::kLeU) {
    swap(a, b);
    op = op == Op::kGtS   ? Op::kLtS
         : op == Op::kGtU ? Op::kLtU
         : op == Op::kLeS ? Op::kGeS
                          : Op::kGeU;
  }
  ValueInfo x = info(a), y = info(b);
  bool is_const = x.lo == x.hi && y.lo == y.hi;
  if (op == Op::kEq || op == Op::kNe) {
    bool equal = op == Op::kEq;
    if (a == b || (is_const && x.lo == y.lo)) return truth(equal);
    if (x.hi < y.lo || y.hi < x.lo) return truth(!equal);
    if (y.lo == y.hi && (y.lo & ~x.bits)) return truth(!equal);
    Linear p = decompose(a), q = decompose(b);
    if (p.root == q.root) return truth((p.offset == q.offset) == equal);
    return Truth::kUnknown;
  }
  bool less = op == Op::kLtS || op == Op::kLtU;
  if (op == Op::kLtS || op == Op::kGeS) {
    u64 sign = mask_of(operand_type) / 2 + 1;
    bool a_positive = x.hi < sign, b_positive = y.hi < sign;
    bool a_negative = x.lo >= sign, b_negative = y.lo >= sign;
    if (a == b) return truth(!less);
    if (a_negative && b_positive) return truth(less);
    if (a_positive && b_negative) return truth(!less);
    // Of equal sign: the order is that of the unsigned numbers.
    if (!(a_positive && b_positive) && !(a_negative && b_negative)) return Truth::kUnknown;
  }
  if (x.hi < y.lo) return truth(less);
  if (x.lo >= y.hi) return truth(!less);
  Linear p = decompose(a), q = decompose(b);
  if (p.root == q.root) return truth((p.offset < q.offset) == less);
  if (known(p.root, q.root, p.offset - q.offset + 1)) return truth(less);
  if (known(q.root, p.root, q.offset - p.offset)) return truth(!less);
  return Truth::kUnknown;
}

}  // namespace wring::opt
