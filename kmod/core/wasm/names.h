// SPDX-License-Identifier: GPL-2.0
// The custom `name` section (spec, appendix 7.4): names of functions for messages and listings.
#pragma once

#include "core/wasm/module.h"

namespace wring {

// Fills Module::function_names from the module's first `name` section. A section that is broken in any way is
// ignored. Needs Module::functions and Module::customs. false when memory runs out.
[[nodiscard]] bool read_function_names(Module* module);

// Looks for the function's name in the binary of a module that may be anything: for messages about modules that
// cannot be decoded. Linear in the size of the binary; allocates nothing.
bool find_function_name(Bytes module, u32 func, Bytes* name);

}  // namespace wring
