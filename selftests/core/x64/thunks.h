// SPDX-License-Identifier: GPL-2.0
// Stand-ins for the kernel's retpolines and return thunk, and the target variants tests compile for.
#pragma once

#include "core/engine.h"
#include "core/link/code.h"

extern "C" const char wring_test_thunks[];  // 16 thunks, 32 bytes apart, by register number
extern "C" const char wring_test_return_thunk[];
extern "C" unsigned long long wring_test_thunk_calls,
    wring_test_return_calls;  // how often they ran

namespace wring::test {

struct TargetVariant {
  const char* name;
  bool baseline;  // no optional CPU features, which SSE4.1 is not
  bool blinded;
  bool
      mitigated;  // retpolines, return thunk, SLS padding, IBT, bounds checks that hold under speculation
};
constexpr TargetVariant kTargetVariants[] = {
    {"native", false, false, false},  {"baseline", true, false, false},
    {"blinded", false, true, false},  {"mitigated", false, false, true},
    {"everything", true, true, true},
};

inline void apply(const TargetVariant& variant, wring_target* target) {
  if (variant.baseline) target->cpu &= kCpuSse41;
  if (variant.blinded) target->random = 0x123456789abcdef1;
  if (variant.mitigated) {
    target->ibt = target->sls = target->retpoline = target->clamp_speculation = 1;
    target->return_thunk = reinterpret_cast<unsigned long long>(wring_test_return_thunk);
    for (unsigned i = 0; i < 16; i++)
      target->indirect_thunks[i] = reinterpret_cast<unsigned long long>(wring_test_thunks + 32 * i);
  }
}

}  // namespace wring::test
