// SPDX-License-Identifier: GPL-2.0
// The custom `name` section (spec, appendix 7.4): names of functions for messages and listings, and of globals.
#pragma once

#include "core/wasm/module.h"
#include "core/wasm/reader.h"

namespace wring {

// Fills Module::function_names from the module's first `name` section. A section that is broken in any way is
// ignored. Needs Module::functions and Module::customs. false when memory runs out.
[[nodiscard]] bool read_function_names(Module* module);

// Looks for the function's name in the binary of a module that may be anything: for messages about modules that
// cannot be decoded. Linear in the size of the binary; allocates nothing.
bool find_function_name(Bytes module, u32 func, Bytes* name);

// The names of globals in the module's first `name` section (extended name section proposal), one after the other, as
// far as the section is not broken. Indices are not checked.
class GlobalNames {
 public:
  explicit GlobalNames(const Module& module);
  bool next(u32* global, Bytes* name);

 private:
  Diag ignored_;
  Reader rest_;
  u32 count_ = 0;
};

}  // namespace wring
