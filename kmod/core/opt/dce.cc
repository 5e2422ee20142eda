// SPDX-License-Identifier: GPL-2.0
// Dead code elimination. Marks backwards from instructions with effects; what stays unmarked is unlisted.
#include "core/base/bitset.h"
#include "core/opt/passes.h"

namespace wring::opt {

Err eliminate_dead_code(Function* f, Arena* scratch, Diag* diag) {
  BitSet live;
  Vec<Value> work(scratch);
  if (!live.init(scratch, f->insts.size())) return diag->no_memory();
  for (const Block& block : paced(f->blocks))
    for (Value v : paced(block.insts)) {
      // A linear memory load may trap and stays; a raw load is only a read.
      if (!(effects_of(f->insts[v].op) & (kWrites | kTraps | kCalls | kEnds))) continue;
      live.set(v);
      if (!work.push(v)) return diag->no_memory();
    }
  bool ok = true;
  for (; !work.empty(); tick())
    f->for_each_arg(work.pop(), [&](Value arg) {
      if (live.test(arg)) return;
      live.set(arg);
      ok &= work.push(arg);
    });
  if (!ok) return diag->no_memory();
  for (Block& block : paced(f->blocks)) {
    u32 kept = 0;
    for (Value v : paced(block.insts))
      if (live.test(v)) block.insts[kept++] = v;
    if (!block.insts.resize(kept)) return diag->no_memory();
  }
  return Err::kOk;
}

}  // namespace wring::opt
