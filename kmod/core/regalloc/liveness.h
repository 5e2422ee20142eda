// SPDX-License-Identifier: GPL-2.0
// Liveness: what is live where, and how far away the next use of each value is.
//
// Distances count instructions along the nearest path to a use. Leaving a loop adds kLoopExit and entering a cold
// block adds kColdEntry, so that a use inside the loop is always nearer than one behind it (Braun and Hack,
// "Register Spilling and Live-Range Splitting for SSA-Form Programs", CC 2009).
#pragma once

#include "core/base/result.h"
#include "core/regalloc/lir.h"

namespace wring::ra {

constexpr u32 kDead = ~0u;  // "no further use"
constexpr u32 kLoopExit = 1u << 20;
constexpr u32 kColdEntry = 1u << 21;
constexpr u32 kFar = 1u << 30;  // distances saturate here
// How many (block, live value) pairs are kept: so many for any function and so many more per instruction, which is
// more than real code has (90 per instruction was the most seen), but not more than the third figure. A function
// with more is allocated block by block: every value that crosses a block boundary then lives in memory there.
constexpr u32 kLiveEntries = 1u << 16;
constexpr u32 kLiveEntriesPerInst = 128;
constexpr u32 kMaxLiveEntries = 8u << 20;

// Execution frequency estimates: kUnitWeight per entry, eight times that per loop level.
constexpr u32 kUnitWeight = 64;
constexpr u32 kMaxWeightDepth = 5;

struct LiveIn {
  VReg vreg;
  u32 distance;  // from the block's first instruction
};

struct BlockLiveness {
  Span<LiveIn> in;  // without the block's parameters; empty if liveness is not precise
  u32 weight;
  u32 call_distance;  // to the next call, counted like the distance to a use; kDead if there is none
  u32 pressure[2];    // per register class: values live at once, at most
  u32 crossing[2];    // per register class: values live across one call, at most
  u32 loop_pressure[2];  // headers: the same for the whole loop, cold blocks left out
  u32 loop_crossing[2];
  bool calls;         // contains a call
  bool loop_calls;    // headers: the loop contains a call outside cold blocks
  bool always_calls;  // headers: no hot way around the loop avoids a call
  bool called;  // a call is on every hot path from the innermost loop's header to the block's end
  bool called_before;  // headers: the same for the loop around it and the ways into this one
  u32 first_param;     // index into Liveness::param_next
  u32 first_arg;       // index into Liveness::arg_next
};

// Points: an instruction i reads and writes at 2 * i + 1; a block that begins at i is entered at 2 * i.
struct LiveRange {
  u32 first = kNone;  // the smallest point at which the value is live
  u32 last = 0;       // the largest
  u32 hot_last = 0;   // the largest outside cold blocks
};

struct Liveness {
  bool precise = true;
  Span<BlockLiveness> blocks;
  Span<u32>
      next_use;  // parallel to the operands: where the next use of the vreg after this instruction is,
                 // counted from the block's first instruction; kDead if there is none
  Span<u32> param_next;    // the same for block parameters
  Span<u32> arg_next;      // kDead if the block argument is not used otherwise after the edge
  Span<LiveRange> ranges;  // per vreg
};

// Memory from *arena. Errors: Err::kNoMemory.
Err compute_liveness(const LirFunction& f, Arena* arena, Liveness* out);

inline u32 saturating_add(u32 a, u32 b) { return a + b < a ? ~0u : a + b; }
inline u32 far_add(u32 a, u32 b) { return min(kFar, a + b); }

}  // namespace wring::ra
