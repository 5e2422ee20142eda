// SPDX-License-Identifier: GPL-2.0
// The back end's pipeline for one function.
#include "core/regalloc/verify.h"
#include "core/x64/emit.h"

namespace wring::x64 {

Err compile_function(const ir::Function& f, const Bindings& bindings, const Target& target,
                     const FunctionOptions& options, bool check, Arena* arena, CodeBuilder* code,
                     Diag* diag) {
  LoweredFunction lowered(arena);
  TRY(lower(f, bindings, target, options, &lowered, diag));
  if (lowered.uses_vectors && !(target.cpu & kCpuSse41))
    return diag->fail(Err::kUnsupported, f.index, kNone,
                      "floats and vectors need a CPU with SSSE3 and SSE4.1");
  ra::RegEnv env{kAllocatable, {}, kCalleeSaved, {kScratch, vec_reg(kVecScratch)}};
  if (lowered.uses_vectors) env.vec_regs = kVecAllocatable;
  if (check) TRY(ra::verify(lowered.lir, diag));
  ra::AllocationResult allocation;
  TRY(ra::allocate(lowered.lir, env, &allocation, diag));
  if (check) TRY(ra::check_allocation(lowered.lir, env, allocation, diag));
  return emit(f, lowered, allocation, target, options, code, diag);
}

}  // namespace wring::x64
