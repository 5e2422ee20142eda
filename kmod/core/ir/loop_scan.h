// SPDX-License-Identifier: GPL-2.0
// LoopScan: which locals each loop of a body assigns, so that SSA construction can place loop phis before it
// has seen the loop.
#pragma once

#include "core/base/vector.h"
#include "core/wasm/instr.h"

namespace wring::ir {

// What SSA construction refuses a body with: kMaxSsaWork is exceeded.
Err too_much_ssa_work(u32 func, u32 offset, Diag* diag);

class LoopScan {
 public:
  // `body` and the instructions scanned are of function `func`, which is validated.
  void init(Arena* arena, const Module* module, u32 func);
  // The locals assigned in the loop whose `loop` instruction starts at `offset` and whose body starts at `next`,
  // inner loops included; each once. Valid until the next outermost loop is asked for. Loops must be asked
  // for in the order of the body, an outer one before its inner ones (dead loops may be left out). Linear in the
  // size of the outermost loops plus the sizes of the answers.
  Err assigned(u32 offset, u32 next, u32 end, Span<const u32>* locals, Diag* diag);

 private:
  struct Loop {
    u32 offset;
    u32 first;  // in locals_
    u32 count;
  };
  struct Open {
    u32 loop;   // in loops_
    u32 depth;  // of blocks around it
    u32 begin;  // in pending_
  };
  Err scan(u32 offset, u32 next, u32 end, Diag* diag);
  bool close(const Open& open);

  const Module* module_ = nullptr;
  u32 func_ = 0;
  u32 scanned_end_ = 0;  // end of the outermost loop scanned last
  u32 next_ = 0;         // first candidate in loops_
  Vec<Loop> loops_;      // in the order of the body
  Vec<u32> locals_;
  Vec<u32> pending_;  // assignments of the open loops, innermost last
  Vec<Open> open_;
  Vec<u32> seen_;  // by local: number of the loop that listed it last
  u32 stamp_ = 0;
};

}  // namespace wring::ir
