// SPDX-License-Identifier: GPL-2.0
// Gvn: global value numbering with simplification, load elimination and facts from conditions, in one walk.
//
// The walk is a preorder of the dominator tree that visits children in reverse post-order: every block comes
// after its forward predecessors, and what was found on the way to a block is exactly what dominates it, so the
// tables are undone when a subtree is left. Each instruction is rewritten in terms of the values that stand
// for its arguments, simplified, and then either replaced by an equal value or listed anew.
#pragma once

#include "core/ir/cfg.h"
#include "core/ir/edit.h"
#include "core/opt/facts.h"
#include "core/opt/passes.h"

namespace wring::opt {

Op inverse(Op compare);  // of the opposite outcome
Op swapped(Op compare);  // for exchanged operands

// For each byte of a value where it comes from: a byte of one other value, zero, or unknown.
struct ByteMap {
  static constexpr u8 kZero = 0xfe, kUnknown = 0xff;
  Value source;
  u8 byte[8];
};

// Accesses of linear memories, whose first argument is a 32-bit index.
inline bool is_linear(Op op) {
  return op >= Op::kLoad && op <= Op::kAtomicCas && op != Op::kMemBase;
}

// Memory is divided into classes that cannot overlap. A class has a version, which stores and calls change:
// loads of one location at one version are equal.
enum MemoryClass : u8 {
  kLinearMemory,
  kPacketData,
  kHostData,       // map values
  kInstanceState,  // vmctx, tables, memory views
  kImportedGlobals,
  kFirstGlobal,  // the module's own globals, by index modulo what is left
  kMemoryClasses = 16,
};

class Gvn {
 public:
  Gvn(Function* f, Arena* scratch, Diag* diag) : f_(f), scratch_(scratch), diag_(diag) {}
  Err run();

 private:
  // gvn.cc: the walk
  struct Scope {
    BlockId block;
    BlockId next_child;
    u32 pure_mark, memory_mark, facts_mark, anchor_mark;
  };
  Err init();
  Err visit(BlockId block);
  void enter(BlockId block);
  bool is_live_edge(BlockId pred, BlockId block) const;
  void rewrite_args(Value v);
  void visit_inst(Value v);
  void visit_phi(Value v, bool is_header);
  void visit_trap_if(Value v);
  void visit_terminator(Value v);
  void fold_to_jump(BlockId block, BlockId succ);
  void list(Value v);
  void define(Value v);
  Err finish();
  bool prune_edges();

  // counters.cc: what loop phis are bounded by
  static constexpr i64 kNoDistance = i64{1} << 62;
  struct Step {
    Value base;  // the phi, or the phi plus 0 .. extra
    u64 add;
    u64 extra;
  };
  struct Guard {
    Step tested;  // base + tested.add < bound, <= bound or != bound
    Value bound;  // kNone: zero
    bool is_not_equal, or_equal, is_signed;
  };
  void bound_counters(BlockId header);
  bool bound_counter(BlockId header, Value phi, u64* trips);
  u64 static_bound(Value v, u32 depth) const;
  bool bound_tested(Value condition, bool holds, Value next, u64* most) const;
  u64 trips_after_wrap(const Guard& guard, Value entry, const Step& next) const;
  u64 countdown(BlockId header, Value phi) const;
  bool follow_step(Value v, Value phi, Step* out) const;
  bool read_guard(Value condition, bool holds, BlockId header, Value phi, const Step& next,
                  Guard* out) const;
  bool apply_guard(const Guard& guard, Value phi, Value entry, const Step& next, u64* limit,
                   i64* distance) const;
  // What stands for a value of a block that may not have been visited.
  Value current(Value v) const { return v < replacement_.size() ? replacement_[v] : v; }

  // number.cc: value tables
  struct PureEntry {
    u32 hash;
    Value value;
    u32 next;
  };
  struct MemoryEntry {
    u32 hash;
    u32 next;
    Value base;
    Value memory;  // the linear memory's base, kNone for memory 0 and in host memory
    i64 offset;
    u32 version;
    MemKind kind;
    Type type;
    u8 memory_class;
    Value value;
  };
  Value number(Inst inst, Value reuse);
  u32 hash_inst(const Inst& inst) const;
  bool equal_insts(const Inst& a, const Inst& b) const;
  Value find_pure(const Inst& inst, u32 hash) const;
  void add_pure(Value v, u32 hash);
  u8 class_of(const Inst& access) const;
  u32 classes_written(const Inst& inst) const;
  u8 address_class(const Inst& inst) const;
  void visit_load(Value v);
  void visit_store(Value v);
  void visit_call();
  void visit_lane_load(Value v);
  void visit_atomic(Value v);
  void write_classes(u32 classes);
  void new_version(u8 memory_class);
  void assume_in_bounds(const Inst& access);
  void note_anchor(Value index);
  Value anchor_of(Value root) const { return root < anchors_.size() ? anchors_[root].of : kNone; }
  void remember(u8 memory_class, const Inst& access, MemKind kind, Type type, Value value);
  Value find_memory(const Inst& load, u8 memory_class) const;
  void add_memory(const MemoryEntry& entry);
  void note_recent(const MemoryEntry& entry);
  void keep_recent(const Inst& store, u8 memory_class, MemKind kind);
  void undo(const Scope& scope);
  void enter_memory(BlockId block);
  bool scan_loop_writes();

  // simplify.cc, arith.cc, compare.cc, divide.cc: each returns the value that replaces *inst, or kNone after
  // perhaps having changed *inst to something simpler that is equal.
  Value simplify(Inst* inst);
  Value simplify_binary(Inst* inst);
  Value simplify_add(Inst* inst);
  Value simplify_and(Inst* inst);
  Value simplify_or(Inst* inst);
  Value simplify_shift(Inst* inst);
  Value simplify_unary(Inst* inst);
  Value simplify_select(Inst* inst);
  Value simplify_compare(Inst* inst);
  Value compare_constant(Inst* inst, u64 c);
  Value unmasked_difference(Value v, u64 limit) const;
  Value narrow_compare(Inst* inst);
  void simplify_condition(Value* condition, bool* inverted);
  void fold_address(Inst* inst);
  void fold_to_anchor(Inst* inst, Value root, u64 c);
  Value simplify_division(Inst* inst);
  Value divide_unsigned(Value x, u64 d, Type type);
  Value divide_signed(Value x, i64 d, Type type);
  bool fold_constants(const Inst& inst, u64* bits) const;
  Value match_bytes(const Inst& inst, const ByteMap& map);
  ByteMap bytes_of_inst(const Inst& inst, const ValueInfo& info) const;
  ByteMap bytes_of_value(Value v) const;
  // wide.cc
  struct WideProduct {
    Value a, b;
    Value low, t1;  // as there
  };
  Value low_half_of(Value v) const;
  Value high_half_of(Value v) const;
  bool is_cross_product(Value v, Value x, Value low_of_y) const;
  bool match_partial_sums(Value t2, WideProduct* out) const;
  Value match_high_product(const Inst& inst);
  Value match_low_product(const Inst& inst);

  // Helpers.
  Value make(Op op, Type type, Value a) { return number(make_inst(op, type, a), kNone); }
  Value make(Op op, Type type, Value a, Value b) {
    return number(make_inst(op, type, a, b), kNone);
  }
  Value compare(Op op, Type type, Value a, Value b) {
    return number(make_compare(op, type, a, b), kNone);
  }
  Value constant(Type type, u64 bits);
  bool is_const(Value v, u64* bits) const { return facts_.is_const(v, bits); }
  const Inst& def(Value v) const { return f_->insts[v]; }
  bool is_op(Value v, Op op) const { return f_->insts[v].op == op; }
  // Whether v is op(x, constant).
  bool match_const(Value v, Op op, Value* x, u64* c) const {
    const Inst& inst = f_->insts[v];
    if (inst.op != op || !is_const(inst.arg[1], c)) return false;
    *x = inst.arg[0];
    return true;
  }

  Function* f_;
  Arena* scratch_;
  Diag* diag_;
  bool failed_ = false;  // out of memory; looked at once per block
  bool edges_removed_ = false;
  u32 nesting_ = 0;  // of number(): bounds the recursion through simplify()
  u32 origin_ = 0;   // for instructions made
  BlockId block_ = 0;

  ConstPool consts_;
  Facts facts_;
  Span<Value> replacement_;                   // by original value: what stands for it
  Span<BlockId> first_child_, next_sibling_;  // dominator tree
  Span<bool> reachable_;
  Span<u32> switch_case_;  // by block: the Switch index that leads to it, kNone if several
  Vec<Scope> scopes_;
  Vec<Value> out_;      // the current block's new list
  bool ended_ = false;  // the current block ended early

  Span<u32> pure_heads_, memory_heads_;
  Vec<PureEntry> pure_;
  Vec<MemoryEntry> memory_;
  Vec<u8> classes_;     // by value: what an address made from it points to
  Vec<ByteMap> bytes_;  // by value
  struct Versions {
    u32 of[kMemoryClasses];
  };
  Span<Versions> versions_out_;  // by block, at its end
  Span<u32> loop_writes_;        // by loop header: classes written in the loop
  Versions now_ = {};
  u32 last_version_ = 0;
  // What the current block has loaded or stored lately and no store has overwritten since, whatever the versions say.
  static constexpr u32 kRecent = 32;
  MemoryEntry recent_[kRecent];
  u32 recent_count_ = 0, recent_next_ = 0;

  // By value x: a sum x + c that was the index of an access on the way here, kNone if there is none.
  struct Anchor {
    Value of = kNone;
  };
  struct AnchorChange {
    Value root, before;
  };
  Vec<Anchor> anchors_;
  Vec<AnchorChange> anchor_log_;
};

}  // namespace wring::opt
