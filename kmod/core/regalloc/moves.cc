// SPDX-License-Identifier: GPL-2.0
// Parallel move resolution: moves whose end nobody reads any more go first, what is left are cycles.
//
// After Boissinot, Darte, Rastello, de Dinechin and Guillon, "Revisiting Out-of-SSA Translation" (CGO 2009),
// algorithm 1: once a value has a second copy, the remaining readers use the copy.
#include "core/regalloc/moves.h"

namespace wring::ra {

Err MoveResolver::init(const RegEnv& env, Arena* arena, u32 slots) {
  scratch_[0] = env.scratch[0];
  scratch_[1] = env.scratch[1];
  nodes_ = arena->make_array<Node>(usize{slots} + 32 + 4);
  ready_.init(arena);
  return nodes_.data() ? Err::kOk : Err::kNoMemory;
}

MoveResolver::Node& MoveResolver::node(Allocation a) {
  Node& n = nodes_[index_of(a)];
  if (n.stamp != stamp_) n = {stamp_, 0, kNone, a};
  return n;
}

Err MoveResolver::emit(u32 inst, const Transfer& move, Allocation from, Vec<Edit>* edits) {
  Edit edit = {Edit::kMove, move.bytes, move.cls,       inst,           from,
               move.to,     0,          move.is_narrow, move.is_address};
  return edits->push(edit) ? Err::kOk : Err::kNoMemory;
}

// The move is emitted: its source has one reader less.
void MoveResolver::done(const Transfer& move) {
  Node& source = node(move.from);
  node(move.to).writer = kNone;
  source.readers--;
  bool better = source.writer != kNone || move.from.kind == Allocation::kSlot;
  if (better && move.to.kind == Allocation::kReg && source.now == move.from) {
    // The others read the copy, so the source may be overwritten.
    source.now = move.to;
    if (source.writer != kNone) failed_ |= !ready_.push(source.writer);
    return;
  }
  if (source.readers == 0 && source.now == move.from && source.writer != kNone)
    failed_ |= !ready_.push(source.writer);
}

// A slot that nothing else uses, for breaking cycles through memory.
Allocation MoveResolver::spare_slot(u8 bytes, u32* slots) {
  Allocation& spare = spare_[bytes == 16 ? 1 : 0];
  if (spare.kind == Allocation::kNone) {
    if (bytes == 16) *slots += *slots & 1;
    spare = {Allocation::kSlot, *slots};
    *slots += bytes == 16 ? 2 : 1;
  }
  return spare;
}

// Backward along a cycle of registers: swapping a place with its source puts the right value there, and the
// hub's original value moves on to the source, which is the next place to fix.
Err MoveResolver::swap_around(u32 inst, Span<Transfer> moves, u32 start, Vec<Edit>* edits) {
  Allocation hub = moves[start].from;
  for (u32 i = node(hub).writer;; tick()) {
    Allocation to = moves[i].to, from = moves[i].from;
    node(to).writer = kNone;
    node(from).readers--;
    if (from == hub) return Err::kOk;
    i = node(from).writer;
    // The value that moves on can be the wider one.
    u8 bytes = moves[start].cls == RegClass::kVec ? 16 : 8;
    Edit edit = {Edit::kSwap, bytes, moves[start].cls, inst, from, to, 0};
    if (!edits->push(edit)) return Err::kNoMemory;
  }
}

Err MoveResolver::resolve(u32 inst, Span<Transfer> moves, u32* slots, Vec<Edit>* edits) {
  stamp_++;
  ready_.clear();
  for (u32 i = 0; i < moves.size(); i++, tick()) {
    if (moves[i].from == moves[i].to) continue;
    node(moves[i].from).readers++;
    WRING_ASSERT(node(moves[i].to).writer == kNone);
    node(moves[i].to).writer = i;
  }
  for (u32 i = 0; i < moves.size(); i++, tick())
    if (!(moves[i].from == moves[i].to) && node(moves[i].to).readers == 0)
      failed_ |= !ready_.push(i);

  for (u32 next = 0;;) {
    while (!ready_.empty()) {
      tick();
      u32 i = ready_.pop();
      TRY(emit(inst, moves[i], node(moves[i].from).now, edits));
      done(moves[i]);
    }
    if (failed_) return Err::kNoMemory;  // a move is missing that is in no cycle
    // A move that is still pending is part of a cycle in which every place has one reader.
    while (next < moves.size() &&
           (moves[next].from == moves[next].to || node(moves[next].to).writer != next)) {
      next++;
      tick();
    }
    if (next == moves.size()) break;
    bool registers = true;
    u32 start = next;  // a move of the cycle, from a register if there is one
    for (u32 i = next;; tick()) {
      if (moves[i].from.kind == Allocation::kReg)
        start = i;
      else
        registers = false;
      i = node(moves[i].from).writer;
      if (i == next) break;
    }
    const Transfer& move = moves[start];
    PReg scratch = scratch_[static_cast<u32>(move.cls)];
    if (registers && scratch == kNoPReg) {
      TRY(swap_around(inst, moves, start, edits));
      continue;
    }
    Allocation spare = {Allocation::kReg, scratch};
    if (!registers) spare = spare_slot(move.bytes, slots);
    Transfer save = {move.from, spare, move.bytes, move.cls, move.is_narrow, move.is_address};
    TRY(emit(inst, save, move.from, edits));
    node(move.from).now = spare;
    failed_ |= !ready_.push(node(move.from).writer);
  }
  return failed_ ? Err::kNoMemory : Err::kOk;
}

}  // namespace wring::ra
