// SPDX-License-Identifier: GPL-2.0
// Scan: the allocation proper, one walk over the blocks in order that keeps track of what is in which register.
//
// Between instructions a value is in one register or in memory only. An instruction claims the registers its
// operands ask for; values in the way move to another register or, if the next use of another value is further
// away, that one is dropped from its register (Belady). A dropped value returns to a register at its next
// use, or where a loop is entered. At the boundaries of blocks, what is in registers is decided per block from
// the next uses, and the edges get the moves that make up the difference.
//
// Live ranges are thereby split wherever it pays; nothing ever fails for want of registers, because every value
// that an instruction does not use can be dropped.
#pragma once

#include "core/regalloc/hints.h"
#include "core/regalloc/moves.h"

namespace wring::ra {

// What the scan decides; the input of slot assignment (slots.h).
struct ScanResult {
  Span<Allocation> operands;  // slots: index is still the vreg
  Vec<PendingMove> moves;
  Span<PReg> def_reg;     // per vreg: where its definition puts it; kNoPReg: in memory
  Span<u8> in_memory;     // per vreg: some path reads it from memory, so it needs a slot
  Span<u32> def_weight;   // per vreg: weight of its definition
  Span<u32> drop_weight;  // per vreg: weight of all kStoreDrop moves
};

// How near (in instructions) the next use of a value must be for a reload where ways that have it in a register
// and others that do not come together.
constexpr u32 kNearUse = 4;

class Scan {
 public:
  Scan(const LirFunction& f, const RegEnv& env, const Liveness& live, Arena* arena, ScanResult* out)
      : f_(f), env_(env), live_(live), arena_(arena), out_(out) {}
  // Errors: Err::kNoMemory; Err::kInterrupted; Err::kInvalid if an instruction's constraints contradict each
  // other.
  Err run(Diag* diag);
  Hints& hints() { return hints_; }

 private:
  struct RegValue {
    VReg vreg;
    PReg reg;
    bool live_after;  // exits: not only passed to a block parameter
  };
  struct BlockState {
    Span<RegValue> entry,
        exit;  // block parameters are not among the entries: ScanResult::def_reg has them
    bool entered, left;
    BlockIndex
        resolved;  // predecessor whose edge was resolved last, plus one: edges can be parallel
  };
  // A value the current instruction uses.
  struct Use {
    VReg vreg;
    PReg before;  // where it is before the instruction, kNoPReg: in memory
    PReg reg;   // where operands without a fixed register read it; kNoPReg: undecided or in memory
    PReg home;  // where it is after the instruction, kNoPReg: in memory or dead
    RegMask fixed;  // registers of its fixed operands
    u32 next;       // use after this instruction, or kDead
    bool needs_reg, any, late;
    bool consumed;  // its register became that of a two-address result
    bool
        aside;  // only copies of it are used, and it lives on: handled like a value that is not used
  };
  // A two-address pair: the use operand is copied to a register that the definition overwrites.
  struct Pair {
    u32 def, use;  // operand numbers
    u32 item;      // index of the Use
    PReg reg;
  };
  // A value that would like to be in a register where a block begins.
  struct Candidate {
    VReg vreg;
    u32 distance;
    PReg vote;  // the register most predecessors have it in
    u32 vote_weight;
    u32 available;  // weight of the predecessors that have it in a register
    u32 key;        // what candidates are chosen by: smaller is better
    bool param;
    PReg reg;  // where it is put
  };

  // scan.cc
  Err init();
  void place(VReg v, PReg reg, u32 next);
  void vacate(PReg reg);
  void define(VReg v, PReg reg);
  void copy(u32 inst, MovePhase phase, Place from, Place to);
  void drop(VReg v, PReg reg, u32 inst, MovePhase phase, u32 weight);
  u32 end_of_range(VReg v) const;
  u64 fresh_cost(PReg reg) const;
  PReg pick(VReg v, RegMask allowed, PReg vote, u32 vote_weight);
  // Whether v is recomputed instead of reloaded.
  bool remats(VReg v) const { return f_.vregs[v].remat != kNone && !stored_[v]; }
  void read_memory(VReg v) {
    if (!remats(v)) out_->in_memory[v] = 1;
  }
  RegMask class_mask(VReg v) const {
    return f_.vregs[v].cls == RegClass::kInt ? int_mask_ : vec_mask_;
  }

  // scan_inst.cc
  Err instruction(u32 inst, Diag* diag);
  bool simple_instruction();
  Err gather();
  bool claim_fixed();
  void keep_in_place();
  PReg take(VReg v, bool early, bool late);
  PReg take_throughout(VReg v);
  bool should_vacate(PReg reg, VReg v);
  PReg take_wish(VReg v, bool early, bool late);
  Use* use_in(PReg reg);
  u64 evict_score(VReg v, u32 next) const;
  PReg victim(RegMask usable, bool used, u64* score);
  void evict(PReg reg);
  bool assign_pairs();
  bool assign_early_defs();
  bool assign_late_uses();
  bool assign_uses();
  bool assign_defs();
  bool worth_moving(VReg v, u32 next, PReg to);
  PReg new_home(VReg v, u32 next);
  void assign_recomputed();
  void rehome();
  void place_optional();
  void emit_moves();
  void update_state();
  Allocation& allocation(u32 operand) { return out_->operands[f_.insts[inst_].operands + operand]; }

  // scan_block.cc and scan_entry.cc
  Err enter(BlockIndex b);
  Err leave(BlockIndex b);
  bool only_succ(BlockIndex b) const { return f_.blocks[b].succs.size() == 1; }
  void inherit(BlockIndex b, BlockIndex pred);
  void merge(BlockIndex b);
  void candidate(VReg v, u32 distance, bool param);
  void vote(VReg v, PReg reg, u32 weight);
  void recount(VReg v, PReg reg, u32 weight);
  void add_votes(BlockIndex b, BlockIndex pred, bool first_round);
  bool counts(BlockIndex pred, BlockIndex b) const;
  void collect_candidates(BlockIndex b);
  void select(BlockIndex b, RegClass cls);
  void select_for_loop(BlockIndex b, RegClass cls);
  void choose(Vec<u32>* chosen, u32 index, u32 room, u32 key);
  bool worth_reloading(BlockIndex b, const Candidate& value) const;
  Span<u32> by_votes(const Vec<u32>& chosen);
  void assign_candidates(BlockIndex b);
  Err save_entry(BlockIndex b);
  Err save_exit(BlockIndex b);
  void resolve_edge(BlockIndex pred, BlockIndex succ);
  void pass_argument(VReg arg, VReg param, u32 inst, MovePhase phase, RegMask busy);

  const LirFunction& f_;
  const RegEnv& env_;
  const Liveness& live_;
  Arena* arena_;
  ScanResult* out_;
  FixedIndex fixed_;
  Hints hints_;
  RegMask int_mask_ = 0, vec_mask_ = 0;
  u32 callee_saved_[2] = {};  // per class: how many registers calls preserve
  RegMask touched_ = 0;       // registers that something was put into
  bool failed_ = false;       // a vector could not grow

  // The current state.
  BlockIndex block_ = 0;
  u32 begin_ = 0;   // the block's first instruction
  u32 weight_ = 0;  // and weight
  u32 inst_ = 0;
  Span<PReg> reg_of_;  // per vreg; kNoPReg: in memory (or dead)
  Span<u32> next_;     // per vreg in a register: next use, counted from the block's beginning
  Span<u8> stored_;    // per vreg: rematerializable, but needs a slot all the same
  VReg holder_[kPRegCount];
  RegMask occupied_ = 0;
  RegMask wanted_ =
      0;  // registers of the innermost loop's parameters, best left to their next values

  // The current instruction. A register is claimed early while operands are read, late while results are
  // written, and both times by a value that lives on.
  Vec<Use> uses_;
  Vec<Pair> pairs_;
  Span<u32> item_of_;  // per vreg: index into uses_ or kNone
  RegMask early_ = 0, late_ = 0;
  RegMask fixed_early_ = 0, fixed_late_ = 0;  // claimed by fixed operands and clobbers
  RegMask kept_ = 0;      // not claimed: values that the instruction does not use stay here
  RegMask homeless_ = 0;  // registers whose values must move (home_of_) or be dropped
  RegMask dropped_ = 0;
  PReg home_of_[kPRegCount];

  // Blocks.
  Span<BlockState> states_;
  Span<RegMask> loop_regs_;  // headers: the registers of the parameters
  Vec<Candidate> candidates_;
  Vec<u32> chosen_[2];     // per class: indices into candidates_, nearest use first
  Vec<u32> survivors_[2];  // likewise: those for registers that calls preserve, most uses first
  u32 order_[kPRegCount];
  Span<u32>
      entered_with_;  // per vreg: the last loop header that begins with it in a register, plus one
  Span<u32> candidate_of_;  // per vreg, or kNone
  Span<PReg> edge_reg_;     // per vreg, kNoPReg except while an edge is looked at
};

}  // namespace wring::ra
