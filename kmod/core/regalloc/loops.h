// SPDX-License-Identifier: GPL-2.0
// Loop summaries: what the values that live around a loop have to expect in it.
#pragma once

#include "core/regalloc/liveness.h"

namespace wring::ra {

// Fills in the fields of BlockLiveness that concern whole loops. parents: per loop header, the header of the
// loop around it or kNone. Loops must be contiguous for exact results; others are only estimated worse.
void summarize_loops(const LirFunction& f, Span<BlockIndex> parents, Span<BlockLiveness> blocks);

}  // namespace wring::ra
