// SPDX-License-Identifier: GPL-2.0
// Metering of short loops. Every iteration of a loop pays, but where the loop is sure to end soon it is enough that
// somebody after it looks whether there was anything to pay with: what an unchecked loop costs is one subtraction that
// nothing waits for.
//
// A loop is short if nothing is called in it, no other loop is within it, and a condition that is tested in every
// iteration compares a counter with a constant, such that it fails after a bounded number of steps.
#include "core/ir/cfg.h"
#include "core/opt/gvn.h"

namespace wring::opt {

namespace {

// What may be done without a look at the fuel: the cost of all iterations.
constexpr u64 kMaxWork = 1 << 12;
constexpr u32 kMaxLatches = 4;

// A condition `counter op bound` under which the loop goes on. The counter is phi + add when it is tested, and the phi
// grows by step with each iteration.
struct Test {
  Op op;
  u32 bits;
  u64 add, step, bound;
  bool has_entry;  // the phi's first value is `entry`
  u64 entry;
};

i64 signed_of(u64 value, u32 bits) {
  return bits == 32 ? static_cast<i32>(value) : static_cast<i64>(value);
}

constexpr u64 kForever = ~u64{0};

// How many times the test succeeds at most, kForever if that is unknown. Distances are exact as long as what is
// compared stays away from where the type wraps, which the first lines of each case make sure of.
u64 successes(const Test& t) {
  u64 mask = t.bits == 32 ? 0xffff'ffff : ~u64{0};
  u64 first = (t.entry + t.add) & mask, step = t.step & mask, bound = t.bound & mask;
  i64 signed_step = signed_of(step, t.bits);
  u64 up = signed_step > 0 ? step : 0, down = signed_step < 0 ? (0 - step) & mask : 0;
  if (up > kMaxWork || down > kMaxWork) return kForever;
  i64 low = signed_of(first, t.bits), limit = signed_of(bound, t.bits);
  i64 room = t.bits == 32 ? i64{1} << 31 : i64{1} << 62;
  bool is_tame = low < room / 2 && low > -room / 2 && limit < room / 2 && limit > -room / 2;
  switch (t.op) {
    case Op::kLtU:
    case Op::kLeU:
      // Whatever the counter starts with: each success is followed by a value that is greater and does not wrap.
      return up && bound <= mask - 2 * up ? bound / up + 2 : kForever;
    case Op::kGtU:
    case Op::kGeU:
      if (!t.has_entry || !down || bound < 2 * down) return kForever;
      return first < bound ? 1 : (first - bound) / down + 2;
    case Op::kNe:
      if (!t.has_entry) return kForever;
      if (up) return ((bound - first) & mask) % up ? kForever : ((bound - first) & mask) / up;
      if (down) return ((first - bound) & mask) % down ? kForever : ((first - bound) & mask) / down;
      return kForever;
    case Op::kLtS:
    case Op::kLeS:
      if (!t.has_entry || !up || !is_tame) return kForever;
      return low > limit ? 1 : static_cast<u64>(limit - low) / up + 2;
    case Op::kGtS:
    case Op::kGeS:
      if (!t.has_entry || !down || !is_tame) return kForever;
      return low < limit ? 1 : static_cast<u64>(low - limit) / down + 2;
    default: return kForever;
  }
}

class ShortLoops {
 public:
  ShortLoops(Function* f, const Dominators& tree) : f_(f), tree_(tree) {}

  void run() {
    u32 header =
        kNone;  // of the loop being walked, if it is innermost and does nothing that rules it out
    for (BlockId b = 0; b < f_->blocks.size(); b++, tick()) {
      const Block& block = f_->blocks[b];
      if (header != kNone && block.loop_header != header) {
        finish(header, b);
        header = kNone;
      }
      if (block.is_loop_header) header = b;
      if (header == kNone) continue;
      for (Value v : paced(block.insts))
        if (effects_of(f_->insts[v].op) & kCalls) header = kNone;
    }
    if (header != kNone) finish(header, f_->blocks.size());
  }

 private:
  const Inst& at(Value v) const { return f_->insts[v]; }
  bool is_const(Value v, u64* value) const {
    while (at(v).op == Op::kZExtI32) v = at(v).arg[0];
    *value = static_cast<u64>(at(v).imm);
    return at(v).op == Op::kConst;
  }
  // v as other + constant.
  Value strip_add(Value v, u64* add) const {
    *add = 0;
    u64 c;
    for (u32 i = 0; i < 4 && at(v).op == Op::kAdd && is_const(at(v).arg[1], &c); i++) {
      *add += c;
      v = at(v).arg[0];
    }
    return v;
  }

  // The loop is the blocks [header, end).
  void finish(BlockId header, BlockId end) {
    const Block& block = f_->blocks[header];
    Value fuel = kNone;
    for (Value v : paced(block.insts))
      if (at(v).op == Op::kFuel) fuel = v;
    if (fuel == kNone) return;
    u64 cost = static_cast<u64>(at(fuel).imm);
    u32 latches = 0;
    for (BlockId pred : ticking(block.preds)) latches += pred >= header;
    if (latches > kMaxLatches) return;
    for (BlockId b = header; b < end; b++, tick()) {
      if (at(f_->blocks[b].insts.back()).op != Op::kBranch) continue;
      bool every_time = true;
      for (BlockId pred : ticking(block.preds))
        if (pred >= header) every_time &= tree_.dominates(b, pred);
      if (!every_time) continue;
      u64 trips = trips_of(b, header, end);
      if (trips >= kMaxWork || (trips + 1) * cost > kMaxWork) continue;
      f_->insts[fuel].aux = 1;
      return;
    }
  }

  // How often the branch at the end of b leads back into the loop.
  u64 trips_of(BlockId b, BlockId header, BlockId end) const {
    const Block& block = f_->blocks[b];
    const Inst& branch = at(block.insts.back());
    auto is_inside = [&](BlockId to) { return to >= header && to < end; };
    bool yes = is_inside(block.succs[0]), no = is_inside(block.succs[1]);
    if (yes == no) return kForever;
    const Inst& condition = at(branch.arg[0]);
    Test test = {};
    Value counter = branch.arg[0];
    test.op = Op::kNe;
    Type type = condition.type;
    if (is_compare(condition.op)) {
      test.op = condition.op;
      counter = condition.arg[0];
      type = condition.operand_type;
      if (!is_const(condition.arg[1], &test.bound)) return kForever;
    }
    if (!yes) test.op = inverse(test.op);
    test.bits = type == Type::kI64 ? 64 : 32;
    counter = strip_add(counter, &test.add);
    const Inst& phi = at(counter);
    if (phi.op != Op::kPhi || phi.block != header || phi.type != type) return kForever;
    return trips_of_phi(counter, header, &test);
  }

  u64 trips_of_phi(Value phi, BlockId header, Test* test) const {
    Span<Value> args = f_->args(phi);
    const Block& block = f_->blocks[header];
    bool has_step = false;
    test->has_entry = true;
    bool has_entry = false;
    for (u32 i = 0; i < args.size(); i++, tick()) {
      u64 value;
      if (block.preds[i] >= header) {
        if (strip_add(args[i], &value) != phi || (has_step && value != test->step)) return kForever;
        test->step = value;
        has_step = true;
      } else {
        bool known = is_const(args[i], &value) && (!has_entry || value == test->entry);
        test->has_entry &= known;
        test->entry = value;
        has_entry = true;
      }
    }
    return has_step && has_entry ? successes(*test) : kForever;
  }

  Function* f_;
  const Dominators& tree_;
};

}  // namespace

Err relax_metering(Function* f, Arena* scratch, Diag* diag) {
  Dominators tree;
  if (!tree.init(*f, scratch)) return diag->no_memory();
  ShortLoops(f, tree).run();
  return Err::kOk;
}

}  // namespace wring::opt
