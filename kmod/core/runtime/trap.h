// SPDX-License-Identifier: GPL-2.0
// Trap records of what is not a trap of generated code.
#pragma once

#include "core/runtime/objects.h"

namespace wring::runtime {

// Makes a trap of an exception that left the invocation `vmctx` is the root of. Any context.
void record_uncaught(wring_vmctx* vmctx, const wring_exception& exception);

}  // namespace wring::runtime
