// SPDX-License-Identifier: GPL-2.0
// Pace: others get a turn, and a fatal signal is heeded, after so much work, wherever in an operation it is done.
//
// Work is counted in steps, each what a pass does for one element: some 50 ns, no more than a microsecond. Every loop
// whose length the input decides counts its steps. When there have been enough of them, wring_os_yield() is asked, and
// if the caller is being killed, the operation is abandoned there and then, as if an assertion had failed
// (base/recovery.h), with Err::kInterrupted: passes need not know. So tick() is called where assertions may be.
//
// The count is the CPU's (in a process: the thread's), since what matters is for how long it has been held; the kernel
// keeps it in a per-CPU variable, and one instruction counts whoever is preempted.
#pragma once

#include "core/base/span.h"

namespace wring {

// A step takes up to 50 ns or so, with what it misses in the caches.
constexpr int kTurnSteps = 1 << 12;

#if __STDC_HOSTED__
inline bool is_turn_over(int steps) { return (wring_os_pace -= steps) < 0; }
inline void begin_turn() { wring_os_pace = kTurnSteps; }
#else
inline bool is_turn_over(int steps) {
  bool is_over;
  asm volatile("subl %1, %%gs:wring_os_pace" : "=@ccs"(is_over) : "er"(steps));
  return is_over;
}
inline void begin_turn() { asm volatile("movl %0, %%gs:wring_os_pace" : : "er"(kTurnSteps)); }
#endif

// The turn is over: others get one, then another begins, unless the operation is to be abandoned.
[[gnu::cold]] void end_turn();
[[gnu::cold]] void end_turn_and_go_on();

// Counts up to a million steps. Outside of operations, where sleeping may be forbidden, nothing comes of it.
inline void tick(u32 steps = 1) {
  if (__builtin_expect(is_turn_over(static_cast<int>(steps)), 0)) end_turn();
}
// The same where sleeping is allowed, but nothing can be abandoned: while something is freed, say.
inline void tick_and_go_on(u32 steps) {
  if (__builtin_expect(is_turn_over(static_cast<int>(steps)), 0)) end_turn_and_go_on();
}

// `for (T& x : paced(list))`: a step for each element, counted in pieces. `ticking(list)`: the same, one by one, which
// is cheaper where most lists are short.
template <class T>
class Paced {
 public:
  Paced(T* begin, T* end) : begin_(begin), end_(end) {}
  class Iterator {
   public:
    Iterator(T* at, T* end) : at_(at), stop_(at), end_(end) { begin_piece(); }
    T& operator*() const { return *at_; }
    void operator++() { ++at_; }
    bool operator!=(T* end) {
      if (at_ != stop_) return true;
      if (stop_ == end) return false;
      begin_piece();
      return true;
    }

   private:
    void begin_piece() {
      u32 count = static_cast<u32>(min<usize>(static_cast<usize>(end_ - stop_), kPiece));
      stop_ += count;
      tick(count);
    }
    T* at_;
    T* stop_;
    T* end_;
  };
  Iterator begin() const { return Iterator(begin_, end_); }
  T* end() const { return end_; }

 private:
  static constexpr usize kPiece = 64;
  T* begin_;
  T* end_;
};
template <class List>
auto paced(const List& list) {
  return Paced(list.begin(), list.end());
}

template <class T>
class Ticking {
 public:
  Ticking(T* begin, T* end) : begin_(begin), end_(end) {}
  class Iterator {
   public:
    explicit Iterator(T* at) : at_(at) {}
    T& operator*() const { return *at_; }
    void operator++() {
      ++at_;
      tick();
    }
    bool operator!=(T* end) const { return at_ != end; }

   private:
    T* at_;
  };
  Iterator begin() const { return Iterator(begin_); }
  T* end() const { return end_; }

 private:
  T* begin_;
  T* end_;
};
template <class List>
auto ticking(const List& list) {
  return Ticking(list.begin(), list.end());
}

// memcpy and memset, which count what they do if it is much. Copies may overlap if they go down.
void copy_many_bytes(void* to, const void* from, usize bytes);
void fill_many_bytes(void* at, u8 byte, usize bytes);
constexpr usize kManyBytes = 4096;
inline void copy_bytes(void* to, const void* from, usize bytes) {
  if (bytes >= kManyBytes)
    copy_many_bytes(to, from, bytes);
  else if (bytes > 0)
    __builtin_memmove(to, from, bytes);
}
inline void fill_bytes(void* at, u8 byte, usize bytes) {
  if (bytes >= kManyBytes)
    fill_many_bytes(at, byte, bytes);
  else if (bytes > 0)
    __builtin_memset(at, byte, bytes);
}

// All elements of a list, which may be long, become `value`.
template <class List, class T>
void fill(const List& list, const T& value) {
  constexpr usize kPiece = 256;
  auto* end = list.end();
  for (auto* at = list.begin(); at != end;) {
    auto* stop = at + min<usize>(static_cast<usize>(end - at), kPiece);
    tick(kPiece / 16);
    while (at != stop) *at++ = value;
  }
}
inline void fill(Span<u32> list, u32 value) {
  WRING_ASSERT(value == 0 || value == kNone);
  fill_bytes(list.data(), static_cast<u8>(value), u64{list.size()} * sizeof(u32));
}

}  // namespace wring
