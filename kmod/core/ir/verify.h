// SPDX-License-Identifier: GPL-2.0
// The IR verifier: every invariant ir.h and ops.def state. Runs between passes in hosted builds.
#pragma once

#include "core/ir/ir.h"

namespace wring::ir {

// Checks types, argument counts, dominance of uses, phi shapes, pred/succ symmetry, terminators and block
// order. A violation is the engine's bug: it is reported through diag as Err::kInvalid with "IR: ...".
Err verify(const Function& f, const char* pass, Diag* diag);

}  // namespace wring::ir
