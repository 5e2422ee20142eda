// SPDX-License-Identifier: GPL-2.0
// Register allocation: one linear scan over the SSA form that splits live ranges where registers run out.
//
// The scan (scan.h) walks the blocks in order and knows at each point which value is in which register and how
// far away its next use is (liveness.h). It spills what is needed last, enters loops with what they use, and
// leaves holes in the picture (slots, moves on edges) to be filled in afterwards (slots.h, moves.h).
#pragma once

#include "core/base/result.h"
#include "core/regalloc/lir.h"

namespace wring::ra {

// Where an operand or the end of a move is.
struct Allocation {
  enum Kind : u8 { kNone, kReg, kSlot } kind = kNone;
  u32 index = 0;  // PReg, or the slot's number in units of 8 bytes (16-byte slots: two units, even)
  bool operator==(const Allocation& o) const { return kind == o.kind && index == o.index; }
};

// Something to do immediately before instruction `inst`. Edits are sorted by inst and to be done in order:
// parallel moves are already resolved. A move between two slots goes through the target's scratch register.
struct Edit {
  enum Kind : u8 { kMove, kSwap, kRemat } kind;
  u8 bytes;  // 8 or 16
  RegClass cls;
  u32 inst;
  Allocation from;  // kRemat: unused
  Allocation to;
  u32 remat;  // kRemat: the LIR instruction to repeat with its def in `to` (a register)
  bool is_narrow = false, is_address = false;  // kMove: see VRegInfo
};

struct AllocationResult {
  Span<Allocation> operands;  // parallel to LirFunction::operands
  Span<Edit> edits;
  u32 slots = 0;     // in units of 8 bytes
  RegMask used = 0;  // every register written by a def, an edit or a clobber
};

// Allocates registers. Memory for the result comes from f.arena. Near-linear in instructions + live-range
// pieces; never recursive. Errors: Err::kNoMemory; Err::kInterrupted; Err::kInvalid for an instruction whose
// operands cannot be satisfied by any allocation (the lowering's bug).
Err allocate(const LirFunction& f, const RegEnv& env, AllocationResult* out, Diag* diag);

// Checks an allocation against the LIR independently of how it was made (symbolic execution over the
// control-flow graph): each use reads the value its vreg defines, constraints hold, nothing live is clobbered.
// A violation is the engine's bug: Err::kInvalid, "register allocation: ...".
Err check_allocation(const LirFunction& f, const RegEnv& env, const AllocationResult& result,
                     Diag* diag);

}  // namespace wring::ra
