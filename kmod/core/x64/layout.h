// SPDX-License-Identifier: GPL-2.0
// Block layout: which blocks vanish, and the order in which the others are emitted.
#pragma once

#include "core/regalloc/allocate.h"

namespace wring::x64 {

struct Layout {
  Span<u32> order;  // blocks to emit
  Span<u32>
      target;  // by block: itself, or where jumps to it lead because it holds nothing but a jump
  // By place in `order`: one past the last place of the innermost loop that begins there; 0 elsewhere.
  Span<u32> loop_end;
};

// Blocks that only jump are skipped over; loops that test at the top are rotated to test at the
// bottom; cold blocks come last. Linear. False when memory runs out.
bool plan_layout(const ra::LirFunction& f, const ra::AllocationResult& allocation, Layout* out);

// The first edit that is not before instruction `inst`.
u32 first_edit(const ra::AllocationResult& allocation, u32 inst);

}  // namespace wring::x64
