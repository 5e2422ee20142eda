// SPDX-License-Identifier: GPL-2.0
// Scan for assigned locals. Each loop's list is the union of its own assignments and its inner loops' lists,
// so an assignment is looked at once per loop that will have a phi for it.
#include "core/ir/loop_scan.h"

namespace wring::ir {

Err too_much_ssa_work(u32 func, u32 offset, Diag* diag) {
  return diag->fail(Err::kLimit, func, offset,
                    "control flow carries more values than the limit of %u",
                    static_cast<u32>(kMaxSsaWork));
}

void LoopScan::init(Arena* arena, const Module* module, u32 func) {
  module_ = module;
  func_ = func;
  loops_.init(arena);
  locals_.init(arena);
  pending_.init(arena);
  open_.init(arena);
  seen_.init(arena);
  scanned_end_ = next_ = stamp_ = 0;
}

Err LoopScan::assigned(u32 offset, u32 next, u32 end, Span<const u32>* locals, Diag* diag) {
  if (offset >= scanned_end_) TRY(scan(offset, next, end, diag));
  for (; loops_[next_].offset != offset; next_++) tick();
  const Loop& loop = loops_[next_];
  *locals = locals_.span().slice(loop.first, loop.count);
  return Err::kOk;
}

// Closes the innermost open loop: what is pending since it was opened, without duplicates, is its list and
// stays pending for the loop around it.
bool LoopScan::close(const Open& open) {
  stamp_++;
  Loop& loop = loops_[open.loop];
  loop.first = locals_.size();
  u32 kept = open.begin;
  for (u32 i = open.begin; i < pending_.size(); i++, tick()) {
    u32 local = pending_[i];
    if (local >= seen_.size() && !seen_.resize(usize{local} + 1)) return false;
    if (seen_[local] == stamp_) continue;
    seen_[local] = stamp_;
    pending_[kept++] = local;
    if (!locals_.push(local)) return false;
  }
  loop.count = locals_.size() - loop.first;
  return pending_.resize(kept);
}

Err LoopScan::scan(u32 offset, u32 next, u32 end, Diag* diag) {
  loops_.clear();
  locals_.clear();
  pending_.clear();
  open_.clear();
  next_ = 0;
  if (!loops_.push({offset, 0, 0}) || !open_.push({0, 0, 0})) return diag->no_memory();
  u32 depth = 0;
  Instr in;
  while (!open_.empty()) {
    tick();
    TRY(decode_instr(module_->bytes, next, end, func_, &in, diag));
    next = in.next;
    bool ok = true;
    switch (in.op) {
      case Opcode::kLocalSet:
      case Opcode::kLocalTee: ok = pending_.push(in.index); break;
      case Opcode::kBlock:
      case Opcode::kIf:
      case Opcode::kTryTable: depth++; break;
      case Opcode::kLoop:
        depth++;
        ok = loops_.push({in.offset, 0, 0}) &&
             open_.push({loops_.size() - 1, depth, pending_.size()});
        break;
      case Opcode::kEnd:
        if (open_.back().depth == depth) ok = close(open_.pop());
        depth--;
        break;
      default: break;
    }
    if (!ok) return diag->no_memory();
    if (locals_.size() > kMaxSsaWork / kSsaPhiWork)
      return too_much_ssa_work(func_, in.offset, diag);
  }
  scanned_end_ = in.next;
  return Err::kOk;
}

}  // namespace wring::ir
