// SPDX-License-Identifier: GPL-2.0
// Proposals the engine knows by name only: what they are called, where they show in a binary, and what to do about it.
#pragma once

#include "core/base/result.h"

namespace wring {

enum class Unsupported : u8 {
  kNone,
  kGarbageCollection,
  kLegacyExceptions,
  kStringRefs,
  kStackSwitching,
  kSharedEverything,
  kWideArithmetic,
  kHalfPrecision,
  kMemoryControl,
  kComponents,
};

// The proposal of an opcode the engine does not have, of an abstract heap type, and of a form of type definitions.
Unsupported proposal_of_opcode(u8 prefix, u32 code);
Unsupported proposal_of_heap_type(u8 byte);
Unsupported proposal_of_type_form(u8 form);

// Fails with Err::kUnsupported and "PROPOSAL not supported: WHAT CODE; ADVICE", where there is advice.
Err fail_unsupported(Diag* diag, u32 func, u32 offset, Unsupported proposal, const char* what,
                     u32 code);

}  // namespace wring
