// SPDX-License-Identifier: GPL-2.0
// The optimizer: IR -> IR, each pass linear or near-linear.
#pragma once

#include "core/ir/ir.h"

namespace wring::opt {

// Called after each pass with its name; hosted builds verify and dump there. A non-kOk result stops.
struct PassObserver {
  virtual Err after_pass(const char* pass, const ir::Function& f, Diag* diag) = 0;

 protected:
  ~PassObserver() = default;
};

// Runs all passes; on return the IR is analyzed (cfg.h) and critical edges are split. observer may be null.
Err optimize(ir::Function* f, PassObserver* observer, Diag* diag);

// Only what lowering relies on: no phi that merges one value with itself, no dead code, critical edges split.
Err prepare(ir::Function* f, PassObserver* observer, Diag* diag);

}  // namespace wring::opt
