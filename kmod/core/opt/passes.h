// SPDX-License-Identifier: GPL-2.0
// The optimizer's passes. Each takes analyzed IR (ir/cfg.h) and leaves analyzed IR. What they need only while they
// run is in `scratch`.
#pragma once

#include "core/opt/opt.h"

namespace wring::opt {

using namespace ir;
using ir::Function;  // not wring::Function

// Replaces phis that merge one value with themselves by that value.
Err simplify_phis(Function* f, Arena* scratch, Diag* diag);

// Unlists pure instructions and loads of known-valid memory that nothing needs, cycles of phis included.
Err eliminate_dead_code(Function* f, Arena* scratch, Diag* diag);

// Global value numbering with simplification, load elimination and removal of checks that conditions on the
// path make redundant; folds branches. Dead instructions are left listed.
Err number_values(Function* f, Arena* scratch, Diag* diag);

// Threads jumps through phis of constants, turns tiny pure diamonds into selects, joins straight lines of blocks.
Err clean_up_control_flow(Function* f, Arena* scratch, Diag* diag);

// Moves loop-invariant pure operations and loads in front of loops that have a block of their own there (which
// split_critical_edges sees to).
Err hoist_invariants(Function* f, Arena* scratch, Diag* diag);

// Decides what each Fuel costs, and what a call of the function does.
Err charge(Function* f, const CallCosts& calls, Arena* scratch, Diag* diag);

// Marks the Fuel of loops that are sure to end soon as unchecked.
Err relax_metering(Function* f, Arena* scratch, Diag* diag);

// Copies a block that only returns into its predecessors.
Err duplicate_returns(Function* f, Arena* scratch, Diag* diag);

}  // namespace wring::opt
