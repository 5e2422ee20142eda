// SPDX-License-Identifier: GPL-2.0
// Bridges: code that enters an instance from any other one, switching to its vmctx and memory.
#pragma once

#include "core/runtime/objects.h"

namespace wring::runtime {

// Makes bridges into all address-taken functions the instance's code defines, unless it has them, and leads its
// function references, wherever they are, through them. Call before another instance can get hold of a function of
// this one. Marks the instance as linked. May sleep.
Err ensure_bridges(wring_instance* instance, Diag* diag);
void destroy_bridges(wring_instance* instance);

// The bridge that contains the return address pc, as its call site, or nullptr. Any context.
const CallSite* find_bridge_call(const wring_instance& instance, u64 pc);

}  // namespace wring::runtime
