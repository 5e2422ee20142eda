// SPDX-License-Identifier: GPL-2.0
// The LIR verifier: what the allocator, and emission after it, take for granted of LIR. Runs after lowering wherever
// compilations are checked; a stage that relies on something else adds it here. (ir/verify.h is the same for the IR.)
//
//  - Blocks cover the instructions in order, none is empty. Where a block has several successors, each of these has no
//    other predecessor and no parameters. Who passes arguments has one successor and ends in an instruction without
//    operands, before which the moves are done.
//  - Arguments and parameters agree in number, class and width.
//  - Each virtual register has one definition; its width fits its class. What a terminator defines nobody reads.
//  - Reuse is of a use of the same class, by one definition; no two definitions, and no two different values that are
//    read, have the same fixed register, whose class is theirs.
//  - Values that may be recomputed are defined by an instruction that does nothing else.
#pragma once

#include "core/base/result.h"
#include "core/regalloc/lir.h"

namespace wring::ra {

// A violation is lowering's bug: Err::kInvalid, "LIR: ...". Linear.
Err verify(const LirFunction& f, Diag* diag);

}  // namespace wring::ra
