// SPDX-License-Identifier: GPL-2.0
// Validation of function bodies (spec, sections 3.4 and 3.5, and the algorithm of appendix A.3).
#pragma once

#include "core/wasm/module.h"

namespace wring {

// Validates the bodies of all functions of a module whose other sections are valid. Malformed instructions are
// found on the way, so the first error in the order of the bytes is reported. Needs memory for one function's
// operands, blocks and locals at a time, from `scratch`. May sleep.
Err validate_bodies(const Module& module, Features features, bool has_data_count, Arena* scratch,
                    Diag* diag);

}  // namespace wring
