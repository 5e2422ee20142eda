// SPDX-License-Identifier: GPL-2.0
// The allocation checker: follows every read of a value back to the value's definition.
//
// A block with a single predecessor goes on where that one ends; so blocks form trees, whose roots are the entry and
// the blocks where ways come together. Each tree is walked once, from its root, keeping track of what every place
// holds: the value of a vreg defined in the tree, what another place held at the root's beginning, or nothing of use.
// A read of the former must be of that vreg; a read of the latter is a demand on the root's beginning: "this place
// must hold that vreg here". Then each demand goes, once, to the ends of the root's predecessors (and from parameters
// to arguments): what their place holds there, which is looked up among the place's writes, must be that value, or
// becomes a demand on their root. A demand that meets another value, or that reaches the function's entry, is an
// error. Demands on slots pass over what does not write the slot (unchanged_since). Nothing here is shared with the
// allocator but the interface headers.
#include "core/regalloc/allocate.h"

#include "core/base/limits.h"
#include "core/base/sort.h"
#include "core/regalloc/check_flow.h"

namespace wring::ra {
namespace {

// A unit of storage: a register, or 8 bytes of a slot. Values of 16 bytes have one register, or two slot units of
// which the first is even (check_place): which half a unit holds follows from its number.
constexpr u32 kFirstSlot = 32;

// What a unit holds.
struct Source {
  enum Kind : u8 {
    kBeginning,  // what unit `of` held at the root's beginning
    kValue,      // vreg `of`
    kLost        // nothing of use since instruction `of`
  } kind;
  // The moves on the way let through only values of some sizes and classes.
  u8 sizes;    // in bytes: kNarrow, kWide or both
  u8 classes;  // bit per RegClass
  u32 of;
};
constexpr u8 kNarrow = 8, kWide = 16;
constexpr u8 kBothClasses = 3;
constexpr u8 class_bit(RegClass cls) { return static_cast<u8>(1 << static_cast<u8>(cls)); }

// What a unit holds at the end of a block that writes it, and in the blocks below that do not.
struct Write {
  u32 unit;
  u32 block;  // its number in the walk
  Source source;
  u32 outer;  // the innermost write of the unit in a block above, or kNone
};
// The write that what a unit holds at the ends of blocks is from, up to the unit's next change.
struct Change {
  u32 block;  // its number in the walk
  u32 write;  // index in writes_, or kNone: not written since the root's beginning
};
struct Demand {
  BlockIndex root;  // kNone: a free place in the table
  u32 unit;
  VReg vreg;
};

class Checker {
 public:
  Checker(const LirFunction& f, const RegEnv& env, const AllocationResult& result, Arena* arena,
          Diag* diag)
      : f_(f),
        env_(env),
        result_(result),
        arena_(arena),
        diag_(diag),
        written_(arena),
        undo_(arena),
        open_(arena),
        writes_(arena),
        work_(arena) {}
  Err run();

 private:
  struct Unit {
    u32 tree;   // stamp: `source` is what it holds, else what it held at the root's beginning
    u32 block;  // stamp: listed in written_
    Source source;
  };
  struct Node {
    BlockIndex root;
    u32 number, last;  // in the order of the walk; of the last block below
    BlockIndex child, sibling;
    u32 preds;  // roots: index of the first distinct predecessor in preds_
  };
  struct Param {
    BlockIndex block;
    u32 index;  // plus one; 0: not a parameter
  };
  struct Undo {
    u32 unit;
    Unit before;
  };
  struct History {
    u32 begin, end;  // the unit's changes
    u32 write;       // while they are found: the innermost write that is not over
  };
  struct Visit {
    BlockIndex block;
    u32 undo;  // how much of undo_ is from before
  };

  Err fail(const char* what) {
    return diag_->fail(Err::kInvalid, kNone,
                       inst_ < f_.insts.size() ? f_.insts[inst_].origin : kNone,
                       "register allocation: %s at instruction %u", what, inst_);
  }
  Err check_shape();
  Err check_edit(const Edit& edit);
  Err check_place(Allocation a, u32 bytes, RegClass cls);
  Err check_operands();
  Err check_overlaps();
  Err init();
  void plant();
  Err walk_tree(BlockIndex root);
  Err walk_block(BlockIndex b);
  Err find_changes();
  Source at_end(BlockIndex b, u32 unit) const;
  Err analyze_flow();
  BlockIndex unchanged_since(const Demand& wanted) const;
  Err follow(const Demand& wanted);
  Err instruction();
  void do_edit(const Edit& edit);
  Source get(u32 unit) const;
  Source get(Allocation a, u32 bytes) const;
  void set(u32 unit, Source source);
  void set(Allocation a, u32 bytes, Source source);
  Err demand(u32 unit, VReg vreg, Source source);
  Err demand_of_root(u32 unit, VReg vreg);
  Demand* find(BlockIndex root, u32 unit);
  Err grow_table();
  u32 bytes_of(VReg v) const { return f_.vregs[v].slot_bytes; }
  static u32 unit_of(Allocation a) {
    return a.kind == Allocation::kReg ? a.index : kFirstSlot + a.index;
  }
  u32 units_of(Allocation a, VReg v) const {
    return a.kind == Allocation::kReg ? 1 : bytes_of(v) / 8;
  }
  bool overlap(Allocation a, VReg va, Allocation b, VReg vb) const {
    return unit_of(a) < unit_of(b) + units_of(b, vb) && unit_of(b) < unit_of(a) + units_of(a, va);
  }

  const LirFunction& f_;
  const RegEnv& env_;
  const AllocationResult& result_;
  Arena* arena_;
  Diag* diag_;
  u32 inst_ = 0;
  RegMask allowed_ = 0;    // allocatable registers
  RegMask mentioned_ = 0;  // and those that fixed operands ask for or edits may use
  Span<u32> first_edit_;   // per instruction and one more
  Span<Node> nodes_;
  Vec<BlockIndex> preds_;  // of the roots, each once
  Span<Param> params_;     // per vreg
  BlockIndex root_ = 0;    // of the tree that is looked at
  Span<Unit> units_;       // during the walk
  u32 tree_ = 0, walked_ = 0;
  Vec<u32> written_;  // units written in the block, each once
  Vec<Undo> undo_;
  Vec<Visit> open_;
  bool out_of_memory_ = false;
  Vec<Write> writes_;      // in the order of the walk
  Span<History> history_;  // per unit
  Span<Change> changes_;   // by unit, and in the order of the walk
  Span<Demand> table_;     // all demands: open addressing
  u32 demands_ = 0;
  Vec<Demand> work_;  // those still to be followed
  FlowInfo flow_;
  Span<u32> write_order_;  // the changes' writes as numbers of blocks in flow_, sorted per unit
};

Err Checker::init() {
  u32 blocks = f_.blocks.size();
  units_ = arena_->make_array<Unit>(usize{kFirstSlot} + result_.slots);
  history_ = arena_->make_array<History>(usize{kFirstSlot} + result_.slots);
  nodes_ = arena_->make_array<Node>(blocks);
  params_ = arena_->make_array<Param>(usize{f_.vregs.size()} + 1);
  preds_.init(arena_);
  if (!units_.data() || !history_.data() || !nodes_.data() || !params_.data())
    return Err::kNoMemory;
  for (BlockIndex b = 0; b < blocks; b++, tick()) {
    const LirBlock& block = f_.blocks[b];
    for (u32 i = 0; i < block.params.size(); i++, tick()) params_[block.params[i]] = {b, i + 1};
  }
  return grow_table();
}

// Makes the trees. A block whose predecessor comes later can as well be a root.
void Checker::plant() {
  u32 blocks = f_.blocks.size();
  fill(nodes_, Node{kNone, 0, 0, kNone, kNone, 0});
  for (BlockIndex b = 0; b < blocks; b++, tick()) {
    const LirBlock& block = f_.blocks[b];
    Node& node = nodes_[b];
    node.preds = preds_.size();
    // node.last of a predecessor is free as a mark yet: the last block it was listed for, plus one.
    for (BlockIndex pred : ticking(block.preds)) {
      if (nodes_[pred].last == b + 1) continue;
      nodes_[pred].last = b + 1;
      out_of_memory_ |= !preds_.push(pred);
    }
    bool single = preds_.size() - node.preds == 1 && b != 0 && block.params.empty();
    if (out_of_memory_ || !single || preds_.back() >= b) {
      node.root = b;
      continue;
    }
    BlockIndex parent = preds_.pop();
    node.root = nodes_[parent].root;
    node.sibling = nodes_[parent].child;
    nodes_[parent].child = b;
  }
}

Err Checker::run() {
  TRY(check_shape());
  TRY(init());
  plant();
  if (out_of_memory_) return Err::kNoMemory;
  for (BlockIndex b = 0; b < f_.blocks.size(); b++, tick(16))
    if (nodes_[b].root == b) TRY(walk_tree(b));
  TRY(find_changes());
  for (; !work_.empty(); tick(64)) TRY(follow(work_.pop()));
  return Err::kOk;
}

// Everything that does not need data flow.
Err Checker::check_shape() {
  for (PReg reg : env_.int_regs) allowed_ |= bit(reg);
  for (PReg reg : env_.vec_regs) allowed_ |= bit(reg);
  mentioned_ = allowed_;
  for (PReg reg : env_.scratch)
    if (reg != kNoPReg) mentioned_ |= bit(reg);
  for (const Operand& op : paced(f_.operands))
    if (op.constraint == Constraint::kFixed) mentioned_ |= bit(op.reg);
  if (result_.operands.size() != f_.operands.size()) return fail("operands are missing");
  first_edit_ = arena_->make_array<u32>(usize{f_.insts.size()} + 1);
  if (!first_edit_.data()) return Err::kNoMemory;
  u32 at = 0;
  for (inst_ = 0; inst_ < f_.insts.size(); inst_++, tick(4)) {
    first_edit_[inst_] = at;
    for (; at < result_.edits.size() && result_.edits[at].inst == inst_; at++, tick())
      TRY(check_edit(result_.edits[at]));
    TRY(check_operands());
    TRY(check_overlaps());
    if (f_.insts[inst_].clobbers & ~result_.used)
      return fail("a clobbered register is not in `used`");
  }
  first_edit_[f_.insts.size()] = at;
  return at == result_.edits.size() ? Err::kOk : fail("edits are not in order");
}

Err Checker::check_place(Allocation a, u32 bytes, RegClass cls) {
  switch (a.kind) {
    case Allocation::kReg:
      if (a.index >= 32 || (a.index < 16) != (cls == RegClass::kInt))
        return fail("a register of the wrong class");
      return Err::kOk;
    case Allocation::kSlot:
      if (a.index >= result_.slots || bytes / 8 > result_.slots - a.index || a.index % (bytes / 8))
        return fail("a slot out of bounds or misaligned");
      return Err::kOk;
    default: return fail("a place is missing");
  }
}

Err Checker::check_edit(const Edit& edit) {
  if (edit.bytes != 8 && edit.bytes != 16) return fail("an edit of a strange size");
  TRY(check_place(edit.to, edit.bytes, edit.cls));
  if (edit.kind != Edit::kRemat) TRY(check_place(edit.from, edit.bytes, edit.cls));
  bool registers = edit.to.kind == Allocation::kReg &&
                   (edit.kind == Edit::kRemat || edit.from.kind == Allocation::kReg);
  if (edit.kind != Edit::kMove && !registers) return fail("a swap or recomputation in memory");
  auto allowed = [&](Allocation a) {
    return a.kind != Allocation::kReg ||
           (mentioned_ & result_.used & bit(static_cast<PReg>(a.index)));
  };
  if (!allowed(edit.to) || (edit.kind == Edit::kSwap && !allowed(edit.from)))
    return fail("an edit writes a register it must not");
  if (edit.kind == Edit::kRemat) {
    if (edit.remat >= f_.insts.size()) return fail("a recomputation of nothing");
    u32 defs = 0;
    for (const Operand& op : f_.operands_of(edit.remat))
      defs += op.kind == OperandKind::kDef ? 1 : 9;
    if (defs != 1) return fail("a recomputation of something that is not a constant");
  }
  return Err::kOk;
}

Err Checker::check_operands() {
  const LirInst& inst = f_.insts[inst_];
  Span<Operand> operands = f_.operands_of(inst_);
  for (u32 k = 0; k < operands.size(); k++) {
    const Operand& op = operands[k];
    Allocation a = result_.operands[inst.operands + k];
    TRY(check_place(a, bytes_of(op.vreg), f_.vregs[op.vreg].cls));
    bool in_reg = a.kind == Allocation::kReg;
    bool is_def = op.kind == OperandKind::kDef;
    RegMask mask = in_reg ? bit(static_cast<PReg>(a.index)) : 0;
    if (op.constraint == Constraint::kFixed) {
      if (!in_reg || a.index != op.reg) return fail("an operand is not in its fixed register");
    } else if (in_reg) {
      if (!(mask & allowed_)) return fail("an operand is in a reserved register");
      bool reuse = op.constraint == Constraint::kReuse;
      if ((is_def || op.other) && !reuse && (mask & inst.clobbers))
        return fail("a result or late use is in a clobbered register");
    }
    if (op.constraint == Constraint::kReg && !in_reg)
      return fail("an operand is not in a register");
    if (op.constraint == Constraint::kReuse) {
      if (!in_reg || !(a == result_.operands[inst.operands + op.reg]))
        return fail("a result is not in its input's register");
      if (operands[op.reg].constraint != Constraint::kFixed && (mask & inst.clobbers))
        return fail("a result is in a clobbered register");
    }
    if (is_def && in_reg && !(mask & result_.used))
      return fail("a result's register is not in `used`");
  }
  return Err::kOk;
}

// Results and reads that are alive at the same time in one instruction must not share a place.
Err Checker::check_overlaps() {
  const LirInst& inst = f_.insts[inst_];
  Span<Operand> operands = f_.operands_of(inst_);
  auto place = [&](u32 k) { return result_.operands[inst.operands + k]; };
  for (u32 d = 0; d < operands.size(); d++, tick()) {
    if (operands[d].kind != OperandKind::kDef) continue;
    for (u32 k = 0; k < operands.size(); k++) {
      const Operand& other = operands[k];
      bool clash = other.kind == OperandKind::kDef ? k < d : operands[d].other || other.other;
      if (operands[d].constraint == Constraint::kReuse && operands[d].reg == k) clash = false;
      if (clash && overlap(place(d), operands[d].vreg, place(k), other.vreg))
        return fail("two operands share a place");
    }
  }
  return Err::kOk;
}

Source Checker::get(u32 unit) const {
  const Unit& u = units_[unit];
  if (u.tree == tree_) return u.source;
  return {Source::kBeginning, kNarrow | kWide, kBothClasses, unit};
}

// What the place holds as a value of that many bytes: the units of a wide slot must hold the two halves of one.
Source Checker::get(Allocation a, u32 bytes) const {
  Source first = get(unit_of(a));
  if (a.kind == Allocation::kReg || bytes == kNarrow) return first;
  Source second = get(unit_of(a) + 1);
  first.sizes &= second.sizes;
  first.classes &= second.classes;
  bool in_slot = first.kind == Source::kBeginning && first.of >= kFirstSlot;
  if (second.kind != first.kind || second.of != first.of + in_slot)
    return {Source::kLost, 0, 0, inst_};
  return first;
}

void Checker::set(u32 unit, Source source) {
  Unit& u = units_[unit];
  if (u.block != walked_) out_of_memory_ |= !written_.push(unit) || !undo_.push({unit, u});
  u = {tree_, walked_, source};
}

void Checker::set(Allocation a, u32 bytes, Source source) {
  set(unit_of(a), source);
  if (a.kind == Allocation::kReg || bytes == kNarrow) return;
  if (source.kind == Source::kBeginning && source.of >= kFirstSlot) source.of++;
  set(unit_of(a) + 1, source);
}

// The place in the table for what `root` demands of the unit.
Demand* Checker::find(BlockIndex root, u32 unit) {
  u32 mask = table_.size() - 1;
  u64 hash = (u64{root} << 32 | unit) * 0x9e37'79b9'7f4a'7c15;
  for (u32 i = static_cast<u32>(hash >> 32) & mask;; i = (i + 1) & mask) {
    Demand& d = table_[i];
    if (d.root == kNone || (d.root == root && d.unit == unit)) return &d;
  }
}

Err Checker::grow_table() {
  Span<Demand> old = table_;
  table_ = arena_->make_array<Demand>(old.empty() ? 64 : usize{old.size()} * 2);
  if (!table_.data()) return Err::kNoMemory;
  for (Demand& d : paced(table_)) d.root = kNone;
  for (const Demand& d : paced(old))
    if (d.root != kNone) *find(d.root, d.unit) = d;
  return Err::kOk;
}

Err Checker::demand_of_root(u32 unit, VReg vreg) {
  Demand* known = find(root_, unit);
  if (known->root != kNone)
    return known->vreg == vreg ? Err::kOk : fail("one place is to hold two values");
  if (root_ == 0) return fail("a value is read that was never written");
  *known = {root_, unit, vreg};
  if (!work_.push(*known)) return Err::kNoMemory;
  return ++demands_ > table_.size() / 2 ? grow_table() : Err::kOk;
}

// `unit`, which holds `source`, must hold vreg.
Err Checker::demand(u32 unit, VReg vreg, Source source) {
  if (source.kind == Source::kLost) {
    inst_ = source.of;
    return fail("a clobbered register is read later");
  }
  u32 bytes = bytes_of(vreg);
  if (!(source.sizes & bytes) || !(source.classes & class_bit(f_.vregs[vreg].cls)))
    return fail("a move does not fit its value");
  if (source.kind == Source::kValue)
    return source.of == vreg ? Err::kOk : fail("a value is overwritten before it is read");
  TRY(demand_of_root(source.of, vreg));
  bool whole = unit < kFirstSlot && source.of >= kFirstSlot && bytes == kWide;
  return whole ? demand_of_root(source.of + 1, vreg) : Err::kOk;
}

// Walks the tree, each block once and a block before those below it.
Err Checker::walk_tree(BlockIndex root) {
  root_ = root;
  tree_++;
  for (BlockIndex b = root; b != kNone; tick()) {
    if (!open_.push({b, undo_.size()})) return Err::kNoMemory;
    TRY(walk_block(b));
    b = nodes_[b].child;
    while (b == kNone && !open_.empty()) {
      Visit done = open_.pop();
      nodes_[done.block].last = walked_;
      while (undo_.size() > done.undo) {
        tick();
        Undo undo = undo_.pop();
        units_[undo.unit] = undo.before;
      }
      if (done.block != root) b = nodes_[done.block].sibling;
    }
  }
  return Err::kOk;
}

Err Checker::walk_block(BlockIndex b) {
  const LirBlock& block = f_.blocks[b];
  nodes_[b].number = ++walked_;
  written_.clear();
  for (u32 i = block.begin; i < block.end; i++, tick(16)) {
    inst_ = i;
    for (u32 e = first_edit_[i]; e < first_edit_[i + 1]; e++, tick()) do_edit(result_.edits[e]);
    TRY(instruction());
  }
  for (u32 unit : paced(written_))
    out_of_memory_ |= !writes_.push({unit, walked_, units_[unit].source, kNone});
  return out_of_memory_ ? Err::kNoMemory : Err::kOk;
}

// Finds each unit's changes. (To go up from write to write instead, at every look, takes as long as there are writes.)
// The blocks below one follow it in the walk, so that writes are nested.
Err Checker::find_changes() {
  changes_ = arena_->make_array<Change>(2 * usize{writes_.size()});
  Span<u32> last = arena_->make_array<u32>(usize{walked_} + 1);  // by number of the block
  if ((!writes_.empty() && !changes_.data()) || !last.data()) return Err::kNoMemory;
  for (const Node& node : paced(nodes_)) last[node.number] = node.last;
  for (const Write& write : paced(writes_)) history_[write.unit].end += 2;
  u32 changes = 0;
  for (History& history : paced(history_)) {
    u32 begin = changes;
    changes += history.end;
    history = {begin, begin, kNone};
  }
  auto end_writes = [&](History* history, u32 block) {  // those that do not reach that block
    auto over = [&](u32 write) { return last[writes_[write].block] + 1; };
    while (history->write != kNone && over(history->write) <= block) {
      tick();
      u32 from = over(history->write);
      history->write = writes_[history->write].outer;
      u32 to = history->write == kNone ? block : min(block, over(history->write));
      if (from < to) changes_[history->end++] = {from, history->write};
    }
  };
  for (u32 i = 0; i < writes_.size(); i++, tick()) {
    History& history = history_[writes_[i].unit];
    end_writes(&history, writes_[i].block);
    writes_[i].outer = history.write;
    history.write = i;
    changes_[history.end++] = {writes_[i].block, i};
  }
  for (History& history : paced(history_)) end_writes(&history, walked_ + 1);
  return Err::kOk;
}

// What the unit holds at the end of the block.
Source Checker::at_end(BlockIndex b, u32 unit) const {
  const History& history = history_[unit];
  Span<Change> changes = changes_.slice(history.begin, history.end - history.begin);
  u32 later = lower_bound(changes, nodes_[b].number + 1, [](const Change& c) { return c.block; });
  u32 write = later > 0 ? changes[later - 1].write : kNone;
  if (write != kNone) return writes_[write].source;
  return {Source::kBeginning, kNarrow | kWide, kBothClasses, unit};
}

// Once something is demanded of a slot.
Err Checker::analyze_flow() {
  if (write_order_.data()) return Err::kOk;
  TRY(flow_.init(f_, arena_));
  write_order_ = arena_->make_array<u32>(usize{changes_.size()} + 1);
  Span<u32> numbers = arena_->make_array<u32>(usize{walked_} + 1);  // by number in the walk
  if (!write_order_.data() || !numbers.data()) return Err::kNoMemory;
  for (BlockIndex b = 0; b < nodes_.size(); b++, tick())
    numbers[nodes_[b].number] = flow_.number(b);
  for (u32 unit = kFirstSlot; unit < history_.size(); unit++, tick()) {
    const History& history = history_[unit];
    for (u32 i = history.begin; i < history.end; i++, tick()) {
      u32 write = changes_[i].write;
      write_order_[i] = write == kNone ? kNone : numbers[writes_[write].block];
    }
    sort_by(write_order_.slice(history.begin, history.end - history.begin),
            [](u32 number) { return number; });
  }
  return Err::kOk;
}

// The highest block that dominates the root and from whose end on, when it is left for the last time before the root,
// nothing writes the unit or passes a value to the vreg: what is demanded of the root must hold there. kNone if there
// is none.
//
// What does either in between is itself dominated by that block. Either it has a number between the two blocks'. Or it
// has the root's number or a higher one, and leads back to the header of a loop around it, with a number between
// theirs; then that loop contains the root as well, because the numbers of its blocks follow each other.
BlockIndex Checker::unchanged_since(const Demand& wanted) const {
  u32 root = flow_.number(wanted.root);
  if (root == kNone) return kNone;
  const History& history = history_[wanted.unit];
  Span<u32> writes = write_order_.slice(history.begin, history.end - history.begin);
  u32 i = lower_bound(writes, root, [](u32 number) { return number; });
  u32 before = i > 0 ? writes[i - 1] : 0;
  u32 after = i < writes.size() ? writes[i] : kNone;
  if (params_[wanted.vreg].index) {
    u32 passed = flow_.number(params_[wanted.vreg].block);
    if (passed == root) return kNone;
    if (passed < root) before = max(before, passed);  // else some way leads here without it
  }
  BlockIndex loop = after == kNone ? kNone : flow_.loop_with(wanted.root, after);
  if (loop != kNone) before = max(before, flow_.number(loop));
  return flow_.highest_dominator(wanted.root, before);
}

// What is demanded of the root must hold at the end of each of its predecessors. What is in a slot may have been there
// for long, and must not be demanded of every root on the way.
Err Checker::follow(const Demand& wanted) {
  auto demand_at_end = [&](BlockIndex b, VReg vreg) {
    root_ = nodes_[b].root;
    inst_ = f_.blocks[b].end - 1;
    return demand(wanted.unit, vreg, at_end(b, wanted.unit));
  };
  if (wanted.unit >= kFirstSlot) {
    TRY(analyze_flow());
    BlockIndex since = unchanged_since(wanted);
    if (since != kNone) return demand_at_end(since, wanted.vreg);
  }
  const Param& param = params_[wanted.vreg];
  bool defines = param.index && param.block == wanted.root;
  u32 end = wanted.root + 1 < nodes_.size() ? nodes_[wanted.root + 1].preds : preds_.size();
  for (u32 i = nodes_[wanted.root].preds; i < end; i++, tick()) {
    BlockIndex pred = preds_[i];
    TRY(demand_at_end(pred, defines ? f_.blocks[pred].args[param.index - 1] : wanted.vreg));
  }
  return Err::kOk;
}

Err Checker::instruction() {
  const LirInst& inst = f_.insts[inst_];
  Span<Operand> operands = f_.operands_of(inst_);
  for (u32 k = 0; k < operands.size(); k++) {
    const Operand& op = operands[k];
    if (op.kind != OperandKind::kUse) continue;
    Allocation a = result_.operands[inst.operands + k];
    u32 at = inst_;
    for (u32 part = 0; part < units_of(a, op.vreg); part++)
      TRY(demand(unit_of(a) + part, op.vreg, get(unit_of(a) + part)));
    inst_ = at;
  }
  for (RegMask rest = inst.clobbers; rest; rest &= rest - 1)
    set(count_trailing_zeros(rest), {Source::kLost, 0, 0, inst_});
  for (u32 k = 0; k < operands.size(); k++) {
    const Operand& op = operands[k];
    if (op.kind == OperandKind::kDef)
      set(result_.operands[inst.operands + k], bytes_of(op.vreg),
          {Source::kValue, kNarrow | kWide, kBothClasses, op.vreg});
  }
  return Err::kOk;
}

void Checker::do_edit(const Edit& edit) {
  auto through = [&](Source source, u32 sizes) {
    source.sizes &= static_cast<u8>(sizes);
    source.classes &= class_bit(edit.cls);
    return source;
  };
  if (edit.kind == Edit::kRemat) {
    VReg vreg = f_.operands_of(edit.remat)[0].vreg;
    Source source = {Source::kValue, kNarrow | kWide, kBothClasses, vreg};
    if (f_.vregs[vreg].remat != edit.remat) source = {Source::kLost, 0, 0, inst_};
    set(edit.to, edit.bytes, through(source, edit.bytes));
    return;
  }
  Source from = get(edit.from, edit.bytes);
  if (edit.kind == Edit::kMove) {
    set(edit.to, edit.bytes, through(from, edit.bytes));
    return;
  }
  // Registers, which are exchanged as far as the edit is wide.
  u32 sizes = edit.bytes == kWide ? kNarrow | kWide : kNarrow;
  Source to = get(edit.to, edit.bytes);
  set(edit.to, edit.bytes, through(from, sizes));
  set(edit.from, edit.bytes, through(to, sizes));
}

}  // namespace

Err check_allocation(const LirFunction& f, const RegEnv& env, const AllocationResult& result,
                     Diag* diag) {
  Arena scratch(kMaxCompileBytes);
  Err err = Checker(f, env, result, &scratch, diag).run();
  return err == Err::kNoMemory ? diag->no_memory() : err;
}

}  // namespace wring::ra
