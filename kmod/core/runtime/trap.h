// SPDX-License-Identifier: GPL-2.0
// Traps: records of those that are none of generated code, and what is undone.
#pragma once

#include "core/runtime/objects.h"

namespace wring::runtime {

// Makes a trap of an exception that left the invocation `vmctx` is the root of. Any context.
void record_uncaught(wring_vmctx* vmctx, const wring_exception& exception);

// Shadow stack pointers (link/stack_pointers.h) of the instance and all that it is linked to: nobody else runs those.
// What they are is remembered before an invocation and comes back when that traps. Hook entries remember those that
// may have changed since what save_own_... has found. No assertions; any context, but where the invocation may sleep,
// so may this: linked instances are many.
void save_own_stack_pointers(wring_instance* instance);
void save_stack_pointers(wring_instance* entered);
void restore_stack_pointers(wring_instance* entered);

}  // namespace wring::runtime
