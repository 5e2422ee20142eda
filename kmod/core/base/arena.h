// SPDX-License-Identifier: GPL-2.0
// Arena: bump allocation for everything with one lifetime (a module, a compilation), with a byte budget.
#pragma once

#include "core/base/span.h"

namespace wring {

class Arena {
 public:
  // max_bytes bounds what the arena may take from the platform over its life.
  explicit Arena(usize max_bytes) : budget_(max_bytes) {}
  ~Arena() { reset(); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Zero-filled, aligned to 16. nullptr when the platform has no more, or the budget, which the running operation
  // then knows of (base/recovery.h).
  void* alloc(usize bytes);
  // The same without the zeroes.
  void* alloc_dirty(usize bytes) {
    usize dirty;
    return take(bytes, &dirty);
  }

  template <class T>
  T* make() {
    void* p = alloc(sizeof(T));
    return p ? new (p) T() : nullptr;
  }
  // An array of `count` zero-filled Ts (T: trivially destructible, all-zero is a valid T).
  // An empty span with data() == nullptr on failure when count > 0.
  template <class T>
  Span<T> make_array(usize count) {
    if (count == 0) return {};
    if (count > ~usize{0} / sizeof(T)) return {};
    T* p = static_cast<T*>(alloc(count * sizeof(T)));
    return p ? Span<T>(p, count) : Span<T>();
  }

  // The same in a chunk of its own, which give_back() frees before its time. Not where rewind() is used.
  void* alloc_alone(usize bytes);
  void give_back(void* p);

  // Frees everything at once; the budget starts anew.
  void reset();
  // What it takes from now on is its owner's, not the running operation's (base/recovery.h). For arenas that outlive
  // the operation that made them.
  void detach() { is_detached_ = true; }
  usize bytes_used() const { return used_; }
  usize budget() const { return budget_; }

 private:
  struct Chunk {
    Chunk* next;
    usize bytes;  // with all headers
  };

 public:
  // A point in the arena's life. rewind() gives up everything allocated since; the memory stays with the arena, to
  // be allocated (and cleared) again.
  struct Mark {
    Chunk* chunk;
    u8* cursor;
    u8* limit;
  };
  Mark mark() const { return {chunks_, cursor_, limit_}; }
  void rewind(const Mark& mark);

 private:
  void* take(usize bytes, usize* dirty);
  bool has_left(usize bytes) const { return bytes <= budget_ - min(used_, budget_); }
  Chunk* new_chunk(usize bytes);
  static void free_chunk(Chunk* chunk);
  Chunk* take_chunk(usize bytes, bool* is_dirty);
  void free_spare();

  Chunk* chunks_ = nullptr;
  Chunk* spare_ = nullptr;  // given up by a rewind, in the order they were taken
  u8* cursor_ = nullptr;
  u8* limit_ = nullptr;
  u8* dirty_ =
      nullptr;  // end of what was in use beyond the cursor before a rewind: not zero any more
  usize budget_;
  usize used_ = 0;
  bool is_detached_ = false;
};

// Gives up what is allocated from an arena in its lifetime.
class ArenaScope {
 public:
  explicit ArenaScope(Arena* arena) : arena_(arena), mark_(arena->mark()) {}
  ~ArenaScope() { arena_->rewind(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena* arena_;
  Arena::Mark mark_;
};

}  // namespace wring
