// SPDX-License-Identifier: GPL-2.0
// The back end's pipeline for one function.
#include "core/x64/emit.h"

namespace wring::x64 {

Err compile_function(const ir::Function& f, const Bindings& bindings, const Target& target,
                     const FunctionOptions& options, bool check, Arena* arena, CodeBuilder* code,
                     Diag* diag) {
  LoweredFunction lowered(arena);
  TRY(lower(f, bindings, target, options, &lowered, diag));
  ra::RegEnv env{{kAllocatable, sizeof(kAllocatable) / sizeof(kAllocatable[0])},
                 {},
                 kCalleeSaved,
                 {kScratch, ra::kNoPReg}};
  ra::AllocationResult allocation;
  TRY(ra::allocate(lowered.lir, env, &allocation, diag));
  if (check) TRY(ra::check_allocation(lowered.lir, env, allocation, diag));
  return emit(f, lowered, allocation, target, options, code, diag);
}

}  // namespace wring::x64
