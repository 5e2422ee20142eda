// SPDX-License-Identifier: GPL-2.0
// Fault injection, in builds of its own (WRING_INJECT): the host counts assertions by the stage they are evaluated in,
// and makes one of them fail. Other builds contain nothing of it.
#pragma once

#include "core/base/types.h"

namespace wring {

enum class Stage : u8 { kNone, kDecode, kCompile, kPlace, kInstantiate, kQuery, kInvoke, kLibcall };

}  // namespace wring

#ifdef WRING_INJECT
// Enters a stage and returns the one before.
extern "C" unsigned int wring_inject_stage(unsigned int stage);
#else
inline unsigned int wring_inject_stage(unsigned int) { return 0; }
#endif
