// SPDX-License-Identifier: GPL-2.0
// Bounds of loop counters. When the walk reaches a loop header it does not know yet what its phis get from the back
// edges; but often a glance ahead tells. Where a back edge adds to a phi, and on the way to it a condition has
// compared the sum with a value from outside the loop, the phi stays within bounds, and so does its distance to
// that value: by induction over the iterations, provided the sums do not wrap within these bounds.
//
// Bounds make additions to counters foldable into addresses, distances make checks in the loop redundant.
#include "core/opt/gvn.h"

namespace wring::opt {

namespace {

constexpr u32 kMaxPhis = 16;   // looked at per header
constexpr u32 kMaxGuards = 8;  // blocks looked at per back edge, from the latch upwards
constexpr u32 kMaxAdds = 4;
constexpr u64 kMaxStep = u64{1} << 30;  // a few of them together stay far from overflowing

}  // namespace

// What an unvisited value can at most be, from its operation alone and those of what it merges.
u64 Gvn::static_bound(Value v, u32 depth) const {
  constexpr u32 kMaxDepth = 2, kMaxMerged = 4;
  const Inst& inst = f_->insts[v];
  u64 c;
  if (is_compare(inst.op) || is_float_compare(inst.op)) return 1;
  switch (inst.op) {
    case Op::kConst: return static_cast<u64>(inst.imm);
    case Op::kLoad:
    case Op::kLoadMem:
    case Op::kLoadRaw:
      if (static_cast<MemKind>(inst.aux) == MemKind::k8U) return 0xff;
      if (static_cast<MemKind>(inst.aux) == MemKind::k16U) return 0xffff;
      break;
    case Op::kZExtI32: return 0xffff'ffff;
    case Op::kAnd:
      if (is_const(current(inst.arg[1]), &c)) return c;
      break;
    case Op::kShrU:
      if (is_const(current(inst.arg[1]), &c)) return mask_of(inst.type) >> c % width_of(inst.type);
      break;
    case Op::kPhi:
    case Op::kSelect: {
      if (depth == kMaxDepth || inst.count > kMaxMerged) break;
      Span<Value> args = f_->args(v);
      u64 most = 0;
      for (u32 i = inst.op == Op::kSelect; i < args.size(); i++, tick())
        if (args[i] != v) most = max(most, static_bound(current(args[i]), depth + 1));
      return min(most, mask_of(inst.type));
    }
    default: break;
  }
  return mask_of(inst.type);
}

// v as base + add, where base is the phi or the phi plus something between 0 and extra.
bool Gvn::follow_step(Value v, Value phi, Step* out) const {
  *out = {kNone, 0, 0};
  for (u32 i = 0; i <= kMaxAdds; i++) {
    v = current(v);
    if (v == phi) {
      out->base = v;
      return true;
    }
    const Inst& inst = def(v);
    if (inst.op != Op::kAdd) return false;
    u64 c;
    if (is_const(current(inst.arg[1]), &c)) {
      if (c > kMaxStep) return false;
      out->add += c;
      v = inst.arg[0];
      continue;
    }
    for (u32 side = 0; side < 2; side++) {
      if (current(inst.arg[side]) != phi) continue;
      out->base = v;
      out->extra = static_bound(current(inst.arg[1 - side]), 0);
      return out->extra <= kMaxStep;
    }
    return false;
  }
  return false;
}

// What a condition that holds (or not) on a back edge says about base + something.
bool Gvn::read_guard(Value condition, bool holds, BlockId header, Value phi, const Step& next,
                     Guard* out) const {
  condition = current(condition);
  Op op = Op::kNe;
  Value left = condition, right = kNone;
  const Inst& inst = def(condition);
  Type type = inst.type;
  out->bound = kNone;  // stands for zero
  if (is_compare(inst.op)) {
    op = inst.op;
    left = current(inst.arg[0]);
    right = current(inst.arg[1]);
    type = inst.operand_type;
  }
  if (type != def(phi).type) return false;
  for (u32 side = 0; side < 2; side++) {
    bool invariant = right == kNone || def(right).block < header;
    if (invariant && follow_step(left, phi, &out->tested) && out->tested.base == next.base) {
      if (right != kNone) out->bound = right;
      break;
    }
    if (side == 1 || right == kNone) return false;
    swap(left, right);
    op = swapped(op);
  }
  if (!holds) op = inverse(op);
  out->is_signed = op == Op::kLtS || op == Op::kLeS;
  out->is_not_equal = op == Op::kNe;
  out->or_equal = op == Op::kLeU || op == Op::kLeS;
  return out->is_not_equal || op == Op::kLtU || op == Op::kLtS || out->or_equal;
}

// Whether the guard on the only back edge keeps the phi, which starts as `entry`, within *limit. *distance is what can
// be added to the phi without exceeding the guard's bound, kNoDistance if there is nothing to say.
bool Gvn::apply_guard(const Guard& guard, Value phi, Value entry, const Step& next, u64* limit,
                      i64* distance) const {
  u64 mask = mask_of(def(phi).type);
  ValueInfo start = facts_.info(entry);
  ValueInfo bound = {0, 0, 0};
  if (guard.bound != kNone) bound = facts_.info(guard.bound);
  *distance = kNoDistance;
  if (guard.is_not_equal) {
    if (next.extra || next.add == 0) return false;
    // Counts up to exactly the bound: in steps that hit it ...
    if (start.lo == start.hi && bound.lo == bound.hi && bound.lo >= start.lo &&
        bound.lo - start.lo >= guard.tested.add &&
        (bound.lo - start.lo - guard.tested.add) % next.add == 0) {
      *limit = bound.lo - guard.tested.add;
      return *limit <= mask - next.add;
    }
    // ... up to the end of the numbers, which is zero (compilers like to count from below to there) ...
    if (start.lo == start.hi && start.lo != 0 && bound.hi == 0 && next.add == guard.tested.add &&
        (mask - start.lo + 1) % next.add == 0) {
      *limit = mask - next.add + 1;
      return true;
    }
    // ... or one by one from somewhere below.
    if (next.add != 1 || guard.tested.add != 1 || guard.bound == kNone || bound.hi == 0 ||
        !facts_.at_most(entry, 1, guard.bound))
      return false;
    *limit = bound.hi - 1;
    *distance = 1;
    return true;
  }
  if (guard.bound == kNone) return false;
  u64 most = guard.is_signed ? mask >> 1 : mask;
  u64 strict = guard.or_equal ? 0 : 1;
  if (bound.hi > most || bound.hi < strict + guard.tested.add) return false;
  // Nothing between the phi and what is tested, or its next value, wraps while the phi is within the limit.
  u64 reach = next.extra + max(guard.tested.add, next.add);
  if (reach > most) return false;
  *limit = max(start.hi, bound.hi - strict - guard.tested.add);
  if (*limit > most - reach) return false;
  *limit = max(start.hi, bound.hi - strict - guard.tested.add + next.add);
  if (*limit > most - reach) return false;
  *distance = static_cast<i64>(guard.tested.add + strict) - static_cast<i64>(next.add);
  return true;
}

// A back edge that is only taken if the phi's next value is below something bounds the phi however it is stepped.
bool Gvn::bound_tested(Value condition, bool holds, Value next, u64* most) const {
  const Inst& inst = def(current(condition));
  if (!is_compare(inst.op) || inst.operand_type != f_->insts[next].type) return false;
  for (u32 side = 0; side < 2; side++) {
    if (current(inst.arg[side]) != current(next)) continue;
    Value bound = current(inst.arg[1 - side]);
    Op op = side ? swapped(inst.op) : inst.op;
    if (!holds) op = inverse(op);
    u64 hi = def(bound).block < block_ ? facts_.info(bound).hi : static_bound(bound, 0);
    if (op == Op::kLtU && hi > 0)
      *most = hi - 1;
    else if (op == Op::kLeU)
      *most = hi;
    else
      return false;
    return true;
  }
  return false;
}

// Counts up by a constant, where only the first step may wrap: how often until the guard fails; ~0 if that is not
// known.
u64 Gvn::trips_after_wrap(const Guard& guard, Value entry, const Step& next) const {
  ValueInfo start = facts_.info(entry);
  u64 mask = mask_of(def(entry).type);
  if (guard.bound == kNone || guard.is_signed || guard.is_not_equal || start.lo != start.hi ||
      next.extra || next.add == 0 || guard.tested.add != next.add || start.lo <= mask - next.add)
    return ~u64{0};
  u64 second = (start.lo + next.add) & mask, bound = facts_.info(guard.bound).hi;
  u64 strict = guard.or_equal ? 0 : 1;
  if (bound < strict || bound - strict > mask - next.add) return ~u64{0};
  return bound - strict < second ? 1 : (bound - strict - second) / next.add + 2;
}

// Bounds for one phi, and the most iterations they allow.
bool Gvn::bound_counter(BlockId header, Value phi, u64* trips) {
  const Block& block = f_->blocks[header];
  Span<Value> args = f_->args(phi);
  if (args.size() != 2 || (block.preds[0] >= header) == (block.preds[1] >= header)) return false;
  u32 back = block.preds[1] >= header;
  Value entry = args[1 - back];
  Step next;
  bool steps = follow_step(args[back], phi, &next);
  BlockId to = header, from = block.preds[back];
  for (u32 n = 0; n < kMaxGuards; n++) {
    const Block& source = f_->blocks[from];
    const Inst& end = f_->insts[source.insts.back()];
    Guard guard;
    u64 limit;
    i64 distance;
    bool is_guard = end.op == Op::kBranch && source.succs[0] != source.succs[1];
    if (is_guard && bound_tested(end.arg[0], source.succs[0] == to, args[back], &limit)) {
      limit = max(limit, facts_.info(entry).hi);
      facts_.restrict(phi, {0, limit, fill_below(limit)});
    }
    if (is_guard && steps &&
        read_guard(end.arg[0], source.succs[0] == to, header, phi, next, &guard))
      *trips = min(*trips, trips_after_wrap(guard, entry, next));
    if (is_guard && steps &&
        read_guard(end.arg[0], source.succs[0] == to, header, phi, next, &guard) &&
        apply_guard(guard, phi, entry, next, &limit, &distance)) {
      ValueInfo start = facts_.info(entry);
      limit = max(limit, start.hi);
      facts_.restrict(phi, {start.lo, limit, fill_below(limit)});
      if (next.add != 0) *trips = min(*trips, (limit - start.lo) / next.add + 1);
      if (distance != kNoDistance && facts_.at_most(entry, distance, guard.bound))
        failed_ |= !facts_.assume_at_most(phi, distance, guard.bound);
      return true;
    }
    // Upwards through blocks that have one way in.
    if (from == header || source.preds.size() != 1) break;
    to = from;
    from = source.preds[0];
  }
  return false;
}

// A phi that goes down by one until it is zero bounds the iterations.
u64 Gvn::countdown(BlockId header, Value phi) const {
  const Block& block = f_->blocks[header];
  Span<Value> args = f_->args(phi);
  if (args.size() != 2 || block.preds[0] >= header || block.preds[1] < header) return ~u64{0};
  Value next = current(args[1]), x;
  u64 c;
  if (!match_const(next, Op::kAdd, &x, &c) || current(x) != phi || c != mask_of(def(phi).type))
    return ~u64{0};
  // The branch back is the latch's own, or of the block before it if the edge was split.
  BlockId to = header, from = block.preds[1];
  if (f_->blocks[from].succs.size() == 1 && from != header && f_->blocks[from].preds.size() == 1) {
    to = from;
    from = f_->blocks[from].preds[0];
  }
  const Block& source = f_->blocks[from];
  const Inst& end = f_->insts[source.insts.back()];
  if (end.op != Op::kBranch || source.succs[0] != to || source.succs[1] == to) return ~u64{0};
  Value condition = current(end.arg[0]);
  bool tests = condition == next;
  if (match_const(condition, Op::kNe, &x, &c)) tests |= current(x) == next && c == 0;
  ValueInfo start = facts_.info(args[0]);
  return tests && start.lo >= 1 ? start.hi : ~u64{0};
}

void Gvn::bound_counters(BlockId header) {
  const Block& block = f_->blocks[header];
  u64 trips = ~u64{0};
  u32 bounded = 0;  // bit per phi
  u32 phis = 0;
  for (Value v : paced(out_)) {
    if (phis == kMaxPhis) break;
    trips = min(trips, countdown(header, v));
    if (bound_counter(header, v, &trips)) bounded |= 1u << phis;
    phis++;
  }
  // What else goes up by constants does so at most as often.
  if (trips > u64{1} << 32) return;
  for (u32 i = 0; i < phis; i++, tick()) {
    Value phi = out_[i];
    if (bounded >> i & 1) continue;
    Span<Value> args = f_->args(phi);
    if (args.size() != 2 || block.preds[0] >= header) continue;
    Step next;
    if (!follow_step(args[1], phi, &next) || next.extra) continue;
    ValueInfo start = facts_.info(args[0]);
    u64 limit, mask = mask_of(def(phi).type);
    if (__builtin_mul_overflow(next.add, trips, &limit) || limit > mask - start.hi) continue;
    limit += start.hi;  // one step more than the phi is taken to, so that the last does not wrap
    facts_.restrict(phi, {start.lo, limit - next.add, fill_below(limit - next.add)});
  }
}

}  // namespace wring::opt
