// SPDX-License-Identifier: GPL-2.0
// Exceptions: where they live, and which of them can still be reached.
//
// Each instance that throws has a pool, filled in advance so that `throw` works where nothing can be allocated. An
// exception nobody kept a reference to is freed by whoever catches it. Which of the others (catch_ref) are still needed
// is found out when the pool is empty, by a conservative scan of what may hold references: the guest's frames, which
// have no maps, are looked at word by word. That is bounded by the stack, takes no memory and is paid for in fuel.
#pragma once

#include "core/abi/vmctx.h"
#include "core/base/arena.h"
#include "core/base/result.h"
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

  // A zeroed exception, or nullptr if the free ones are used up. Any context.
  wring_exception* take();
  void give_back(wring_exception* exception);
  // Adds slots, at most up to kMaxExceptions altogether. May sleep.
  bool grow();

  // Makes [*low, *high) contain all slots.
  void extend_range(u64* low, u64* high) const;
  // The exception that has `address` within it, or nullptr.
  wring_exception* find(u64 address) const;
  bool owns(const wring_exception& exception) const {
    return find(reinterpret_cast<u64>(&exception)) != nullptr;
  }
  template <class F>
  void for_each_used(F&& f) {
    for (Chunk* chunk = chunks_; chunk; chunk = chunk->next)
      for (u32 i = 0; i < chunk->slots; i++)
        if (slot(*chunk, i)->tag) f(slot(*chunk, i));
  }

 private:
  struct alignas(16) Chunk {
    Chunk* next;
    u32 slots;
    bool is_allocated;  // on its own, not in the arena
  };
  wring_exception* slot(const Chunk& chunk, u32 i) const {
    auto* begin = reinterpret_cast<u8*>(const_cast<Chunk*>(&chunk) + 1);
    return reinterpret_cast<wring_exception*>(begin + usize{i} * slot_bytes_);
  }
  void add(Chunk* chunk, u32 slots, bool is_allocated);

  u32 slot_bytes_ = 0;
  u32 slots_ = 0;
  Chunk* chunks_ = nullptr;
  wring_exception* free_ = nullptr;
};

// How many words the values of a tag's exceptions take.
u32 value_words(const FuncType& tag);
// Gives an exception back that nothing refers to, to the pool of the instance that threw it: that of `vmctx` or one
// linked to it. Any context.
void free_exception(wring_vmctx* vmctx, wring_exception* exception);

// Gives back all exceptions that nothing refers to, of the instance and of those linked to it. To be called in an
// invocation, by the library call of `vmctx`. Says how many bytes it looked at; that is done in pieces, between which
// it asks whether it may go on: false, with nothing given back, if not. Any context.
using GoesOn = bool (*)(wring_vmctx* vmctx);
bool collect_exceptions(wring_vmctx* vmctx, GoesOn goes_on, u64* scanned_bytes);

}  // namespace wring::runtime
