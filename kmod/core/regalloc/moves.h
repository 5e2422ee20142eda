// SPDX-License-Identifier: GPL-2.0
// Moves: what the scan wants moved where, and parallel move resolution into a sequence of edits.
#pragma once

#include "core/regalloc/allocate.h"

namespace wring::ra {

// Moves before one instruction are done in this order; those of one phase happen in parallel.
enum class MovePhase : u8 { kBlockEntry, kStoreDef, kInst, kBlockExit };

// Where a move starts or ends: a register, or the memory that belongs to a vreg (its slot; for a rematerialized
// vreg, as a source: recomputing it). Slots get their numbers only after the scan.
struct Place {
  PReg reg;   // kNoPReg: in memory
  VReg vreg;  // whose value it is
};

struct PendingMove {
  enum Kind : u8 {
    kCopy,
    kStoreDrop,  // only needed if the vreg is stored where it leaves its registers, not where it is defined
    kRematStore,  // recompute from.vreg in the register to.reg, which is free, and store it to to.vreg's slot
  } kind;
  MovePhase phase;
  u32 inst;
  Place from, to;
};

// A move between numbered places.
struct Transfer {
  Allocation from, to;
  u8 bytes;
  RegClass cls;
  bool is_narrow = false, is_address = false;  // see VRegInfo
};

// Orders parallel moves: a sequence of kMove and kSwap edits with the same effect.
class MoveResolver {
 public:
  Err init(const RegEnv& env, Arena* arena, u32 slots);
  // Appends to *edits. `slots` grows when a cycle through memory needs a slot of its own. Linear in the moves.
  // No two moves end in the same place.
  Err resolve(u32 inst, Span<Transfer> moves, u32* slots, Vec<Edit>* edits);

 private:
  struct Node {
    u32 stamp;
    u32 readers;     // pending moves that read the place's original value
    u32 writer;      // pending move that ends here, or kNone
    Allocation now;  // where the original value can be read at the moment
  };
  static u32 index_of(Allocation a) { return a.kind == Allocation::kReg ? a.index : 32 + a.index; }
  Node& node(Allocation a);
  Err emit(u32 inst, const Transfer& move, Allocation from, Vec<Edit>* edits);
  void done(const Transfer& move);
  Allocation spare_slot(u8 bytes, u32* slots);
  Err swap_around(u32 inst, Span<Transfer> moves, u32 start, Vec<Edit>* edits);

  PReg scratch_[2] = {kNoPReg, kNoPReg};
  Span<Node> nodes_;
  Vec<u32> ready_;
  bool failed_ = false;
  u32 stamp_ = 0;
  Allocation spare_[2] = {};  // slots of 8 and 16 bytes for breaking cycles
};

}  // namespace wring::ra
