// SPDX-License-Identifier: GPL-2.0
// Shadow stack pointers: which globals of a module a trap has to put back.
//
// Compilers that need addresses of local variables keep a stack in linear memory and its pointer in a global. Functions
// lower it and put it back before they return, which those that a trap unwinds do not. Nothing in the format marks such
// a global; what makes it one is the convention that its functions keep (kmod/DESIGN.md, 2026-12-01):
//
//   A mutable global of type i32 (or i64, if there is a 64-bit memory) that some function writes is a stack pointer if
//   it is called so: `__stack_pointer` in the name section, after the last slash, as an import or an export; or if
//   - there is a function that lowers it and leaves it as it was in each of its ways to return, and that either puts
//     back a value it has kept in a local or accesses memory at the lowered address;
//   - and there is no function that returns with it moved by a constant.
//
// Decided by following, in one pass over each body, what is known of values: constants, and how far they lie from what
// a global held when the function began. Calls leave it as they find it: that is the convention in question, which
// holds in general if it holds in each function. For the same reason false positives are harmless: a trap leaves the
// global as every function that returns does.
#pragma once

#include "core/link/code.h"
#include "core/wasm/instr.h"

namespace wring::link {

class StackPointers {
 public:
  Err begin(const Module& module, Arena* arena, Diag* diag);
  // For each defined function: enter, all its instructions in order, leave.
  Err enter(u32 func);
  Err step(const Instr& instr);
  void leave();
  // At most kMaxStackPointers, in ascending order.
  Err finish();
  Span<const StackPointer> found() const { return found_.span(); }

 private:
  // Globals followed at a time in a function; others that it moves count as if nothing were known of them.
  static constexpr u32 kMaxSlots = 4;
  static constexpr u32 kMaxDepth = 8;
  static constexpr i64 kUnknown = -1 - (i64{1} << 62);

  struct Value {
    // kMoved: what `global` held at the function's entry, plus `amount`; kLowered: less than that.
    enum Kind : u8 { kNothing, kConst, kMoved, kLowered } kind = kNothing;
    u32 global = 0;
    u32 local = kNone;  // the local that the value came from
    i64 amount = 0;
  };
  struct Local {
    Value value;
    u32 func = kNone;  // of which this is said
    u32 set_at = 0;
    u32 used_at = 0;  // where a value from it was last written elsewhere
  };
  // Whether code is reached: not at all; for all its compiler knew, which did not see that what is before traps; yes.
  enum class Reach : u8 { kLeft, kTrapped, kLive };
  struct State {
    Reach reach = Reach::kLive;
    i64 amounts[kMaxSlots] =
        {};  // by slot: how far the global is from what it was at entry, or kUnknown
  };
  struct Frame {
    Opcode op;           // kIf: no else so far
    bool is_caught;      // exceptions may continue at its end
    u32 locals;          // size of set_locals_ at its start
    u32 outermost_loop;  // offsets of the loops around the instructions in it, or kNone
    u32 innermost_loop;
    State entry;
    State end;
  };
  // What the function does to a global that it moves.
  struct Slot {
    u32 global;
    bool is_lowered, is_put_back, is_kept, is_addressed;
    bool returns, returns_moved, is_unclear;
  };
  // By global, over all functions.
  enum Finding : u8 { kWritten = 1, kFramed = 2, kMovedForGood = 4, kUnproven = 8, kNamed = 16 };

  bool is_candidate(u32 global) const;
  void note_names();

  void push(const Value& value);
  Value pop();
  Value peek(u32 depth) const;
  void note_address(const Value& value);
  void combine(Opcode op);

  Slot* slot_of(u32 global);
  Slot* track(u32 global);
  Value read_global(u32 global);
  void write_global(u32 offset, u32 global, const Value& value);
  Value read_local(u32 local) const;
  Err write_local(u32 offset, u32 local, const Value& value);
  void forget_locals(u32 down_to);
  void note_use(u32 offset, u32 local);

  Err control(const Instr& instr);
  Err open(const Instr& instr);
  void catch_at(const Instr& instr);
  void begin_else();
  void close();
  void branch(u32 label);
  void merge(State* into, const State& from) const;
  void note_return();

  const Module* module_ = nullptr;
  Diag* diag_ = nullptr;
  Span<u8> findings_;     // by global: Finding
  Span<u32> written_in_;  // by global: 1 + the last function that wrote it without a slot
  bool has_memory64_ = false;
  bool catches_ =
      false;  // somewhere an exception is caught: what it came past has not put anything back
  Vec<StackPointer> found_;

  // Of the current function.
  u32 func_ = kNone;
  bool is_unclear_ = false;
  Slot slots_[kMaxSlots];
  u32 slot_count_ = 0;
  State now_;
  Vec<Frame> frames_;
  Vec<Local> locals_;    // as far as anything has been known of any
  Vec<u32> set_locals_;  // locals that something was known of, in the order of their being set
  // The topmost operands, as far as known: a ring.
  Value values_[kMaxDepth];
  u32 top_ = 0;
  u32 depth_ = 0;
};

}  // namespace wring::link
