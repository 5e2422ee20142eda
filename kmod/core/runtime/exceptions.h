// SPDX-License-Identifier: GPL-2.0
// Exceptions: where they live, and which of them can still be reached.
//
// Each instance that throws has a pool, filled in advance so that `throw` works where nothing can be allocated. An
// exception nobody kept a reference to is freed by whoever catches it. Which of the others (catch_ref) are still needed
// is found out when the pool is empty, by a conservative scan of what may hold references: the guest's frames, which
// have no maps, are looked at word by word. That takes no memory, and all of it is paid for in fuel as it is done, in
// pieces between which the time is looked at: it may find no end in a hook's time, or be interrupted.
#pragma once

#include "core/abi/vmctx.h"
#include "core/base/arena.h"
#include "core/base/result.h"
#include "core/runtime/address_index.h"
#include "core/wasm/types.h"

struct wring_instance;

namespace wring::runtime {

class ExceptionPool {
 public:
  // What the exceptions of an instance need.
  struct Shape {
    u32 slot_bytes = 0;  // each; 0: the instance throws none
    u32 slots = 0;       // to begin with
  };
  // For tags whose values take up to `value_words` words.
  static Shape shape_for(u32 value_words);

  ~ExceptionPool() { reset(); }

  // Makes the first slots. False when memory runs out.
  [[nodiscard]] bool init(Shape shape, Arena* arena);
  void reset();

  // An exception with so many zeroed words of values, no more than those the shape is for, or nullptr if the free ones
  // are used up. Any context.
  wring_exception* take(u32 value_words);
  void give_back(wring_exception* exception);
  // Adds slots, at most up to kMaxExceptions altogether. May sleep.
  bool grow();

  // From now on the index has all slots (the pool must not move), and until leave(). False when memory runs out. Both
  // may sleep, no assertions.
  [[nodiscard]] bool join(AddressIndex* index);
  void leave();

  // Makes [*low, *high) contain all slots.
  void extend_range(u64* low, u64* high) const;
  // The exception that has `address` within it, or nullptr: of the pool, or of all that have joined the index, with
  // the pool it is of. Pools double as they grow, and so have a dozen pieces at most.
  wring_exception* find(u64 address) const;
  static wring_exception* find(const AddressIndex& index, u64 address, ExceptionPool** pool);
  bool owns(const wring_exception& exception) const {
    return find(reinterpret_cast<u64>(&exception)) != nullptr;
  }
  // Calls f for each slot, in use (it has a tag) or not, until f returns false, and says whether it never did.
  template <class F>
  bool for_each_slot(F&& f) {
    for (Chunk* chunk = chunks_; chunk; chunk = chunk->next)
      for (u32 i = 0; i < chunk->slots; i++)
        if (!f(slot(*chunk, i))) return false;
    return true;
  }

 private:
  struct alignas(16) Chunk {
    ExceptionPool* pool;
    Chunk* next;
    u32 slots;
    bool is_allocated;  // on its own, not in the arena
  };
  wring_exception* slot(const Chunk& chunk, u32 i) const {
    auto* begin = reinterpret_cast<u8*>(const_cast<Chunk*>(&chunk) + 1);
    return reinterpret_cast<wring_exception*>(begin + usize{i} * slot_bytes_);
  }
  wring_exception* exception_at(const Chunk& chunk, u64 address) const;
  u64 begin_of(const Chunk& chunk) const { return reinterpret_cast<u64>(&chunk + 1); }
  u64 end_of(const Chunk& chunk) const { return begin_of(chunk) + u64{chunk.slots} * slot_bytes_; }
  bool add(Chunk* chunk, u32 slots, bool is_allocated);

  u32 slot_bytes_ = 0;
  u32 slots_ = 0;
  Chunk* chunks_ = nullptr;
  wring_exception* free_ = nullptr;
  AddressIndex* index_ = nullptr;  // null: joined none
};

// How many words the values of a tag's exceptions take.
u32 value_words(const FuncType& tag);
// Gives an exception back that nothing refers to, to the pool of the instance that threw it: that of `vmctx` or one
// linked to it. Any context.
void free_exception(wring_vmctx* vmctx, wring_exception* exception);

// Gives back all exceptions that nothing refers to, of the instance and of those linked to it. To be called in an
// invocation, by the library call of `vmctx`. Whatever it does counts as so many bytes looked at, a cache line where
// it goes from place to place; after each kCollectorPieceBytes, and in the end, it tells how many there were since, and
// asks whether it may go on. False if not: then perhaps not all have been given back, which is for the next one. Any
// context.
using GoesOn = bool (*)(wring_vmctx* vmctx, u64 bytes);
bool collect_exceptions(wring_vmctx* vmctx, GoesOn goes_on);

}  // namespace wring::runtime
