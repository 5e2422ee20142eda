// SPDX-License-Identifier: GPL-2.0
// The optimizer's pass order.
#include "core/opt/opt.h"

#include "core/ir/cfg.h"
#include "core/opt/passes.h"

namespace wring::opt {

namespace {

bool has_loops(const ir::Function& f) {
  for (const ir::Block& block : paced(f.blocks))
    if (block.is_loop_header) return true;
  return false;
}

}  // namespace

Err optimize(ir::Function* f, PassObserver* observer, Diag* diag) {
  Arena scratch(f->arena->budget());
  if (!scratch.alloc(1)) return diag->no_memory();
  Arena::Mark start = scratch.mark();  // with a chunk, which stays
  auto done = [&](const char* pass) {
    scratch.rewind(start);
    return observer ? observer->after_pass(pass, *f, diag) : Err::kOk;
  };
  TRY(simplify_phis(f, &scratch, diag));
  TRY(done("phis"));
  TRY(number_values(f, &scratch, diag));
  TRY(done("gvn"));
  TRY(eliminate_dead_code(f, &scratch, diag));
  TRY(done("dce"));
  TRY(clean_up_control_flow(f, &scratch, diag));
  TRY(done("cleanup"));
  TRY(ir::split_critical_edges(f, diag));
  // What a second round would find elsewhere is not worth its time.
  if (has_loops(*f)) {
    TRY(hoist_invariants(f, &scratch, diag));
    TRY(done("licm"));
    TRY(number_values(f, &scratch, diag));
    TRY(done("gvn again"));
    TRY(eliminate_dead_code(f, &scratch, diag));
    TRY(done("dce again"));
    TRY(clean_up_control_flow(f, &scratch, diag));
    TRY(done("cleanup again"));
  }
  TRY(duplicate_returns(f, &scratch, diag));
  TRY(done("returns"));
  return ir::split_critical_edges(f, diag);
}

Err meter(ir::Function* f, const CallCosts& calls, bool relax, PassObserver* observer, Diag* diag) {
  Arena scratch(f->arena->budget());
  TRY(charge(f, calls, &scratch, diag));
  if (relax) TRY(relax_metering(f, &scratch, diag));
  return observer ? observer->after_pass("metering", *f, diag) : Err::kOk;
}

Err prepare(ir::Function* f, PassObserver* observer, Diag* diag) {
  Arena scratch(f->arena->budget());
  TRY(simplify_phis(f, &scratch, diag));
  TRY(eliminate_dead_code(f, &scratch, diag));
  TRY(ir::split_critical_edges(f, diag));
  return observer ? observer->after_pass("prepare", *f, diag) : Err::kOk;
}

}  // namespace wring::opt
