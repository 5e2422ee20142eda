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

// What calls cost beyond the call itself and what is paid within them, in units of fuel.
struct CallCosts {
  virtual u64 of_function(u32 func) const = 0;
  virtual u64 of_type(u32 type) const = 0;  // through tables and references
  virtual u64 of_host(u32 func) const = 0;

 protected:
  ~CallCosts() = default;
};

// For a function that has been optimized, or prepared: decides what each Op::Fuel costs, and Function::unpaid. `relax`:
// loops that are sure to end soon need not look at what is left.
Err meter(ir::Function* f, const CallCosts& calls, bool relax, PassObserver* observer, Diag* diag);

// Only what lowering relies on: no phi that merges one value with itself, no dead code, critical edges split.
Err prepare(ir::Function* f, PassObserver* observer, Diag* diag);

}  // namespace wring::opt
