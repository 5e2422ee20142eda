// SPDX-License-Identifier: GPL-2.0
// The IR verifier: all that one stage may take for granted of another's IR. Runs between passes wherever compilations
// are checked; a stage that relies on something else adds it here.
//
// After every pass (verify):
//  - the entry block is block 0 and has no predecessors; every block can be reached, ends in its only terminator, and
//    lists each instruction once, phis first; parameters, constants and the vmctx are listed in the entry block;
//  - each edge is in its source's successors and its target's predecessors, as often in one as in the other; a Jump
//    has one successor, a Branch two, a Switch at least two (the same block may be several of them), others none;
//  - blocks are in reverse post-order with contiguous loops that are entered through their headers, and what cfg.h
//    fills in is right;
//  - definitions dominate uses, and types, immediates and numbers of arguments are as ops.def says;
//  - phis have one argument per predecessor, equal ones for parallel edges, and are in blocks with at least two
//    different predecessors only.
// And of functions whose addresses are clamped (Function::clamps_speculation; verify_clamps):
//  - the address of every access to host memory is a base plus constants, and plus at most scaled indices that
//    ClampIndex made; nothing is loaded from linear memory or computed otherwise to be used as a base;
//  - constant offsets from a packet's start are below kPacketTailBytes, and arguments have none;
//  - code that is called through a pointer was loaded from where it never changes, or comes from a MatchOrNull, as do
//    exceptions whose values are read.
//
// For lowering and register allocation also (verify_lowerable):
//  - no edge leads from a block with several successors to one with several predecessors (cfg.h, single_pred). With
//    the above: who passes values to phis ends in a Jump, so that there is a place for the moves.
#pragma once

#include "core/ir/ir.h"

namespace wring::ir {

// A violation is the engine's bug: it is reported through diag as Err::kInvalid with "IR: after PASS: ...". Linear.
Err verify(const Function& f, const char* pass, Diag* diag);

Err verify_clamps(const Function& f, const char* pass, Diag* diag);  // part of verify()

// What verify() leaves open, of a function that passed it.
Err verify_lowerable(const Function& f, Diag* diag);

}  // namespace wring::ir
