// SPDX-License-Identifier: GPL-2.0
// SSA construction: a validated function body -> ir::Function, in one pass over the bytes.
#pragma once

#include "core/ir/ir.h"
#include "core/link/binding.h"

namespace wring::ir {

// What the code that accesses an instance needs to know; see abi/vmctx.h and link/binding.h.
struct BuildContext {
  const Module* module;
  const Bindings* bindings;        // what each import is bound to
  Span<const u32> type_ids;        // Store-wide signature id per module type, for call_indirect
  bool metered = true;             // emit Fuel
  bool clamp_speculation = false;  // see Function
  u32 max_memory_pages = kMaxMemoryPages;  // no memory grows beyond this, whatever its type says
  // By function index: whether a call may return with wring_vmctx::exception set. Empty: none may.
  Span<const u8> may_throw;
  bool indirect_may_throw = false;  // likewise for calls through tables and references
};

// Builds function `func` into *out, whose arena the caller chose. For an imported function that is an adapter which
// calls what the import is bound to: what tables, exports and references hold. A call of a host function with several
// results is Err::kUnsupported. Linear in the size of the body (plus phis and values of exceptions and calls, which
// kMaxSsaWork bounds). The result is analyzed (cfg.h), and dead code is still in it.
Err build(const BuildContext& context, u32 func, Function* out, Diag* diag);

}  // namespace wring::ir
